"""A canary of a wave: how it stands, and what the wave remembers of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from serinus.coordinator.core.standing import Key, Standing
from serinus.coordinator.core.waves import MemberState, MemberStatus, Wave


class Seen(Struct, frozen=True):
    """A member: its step, how it stands (None: nothing is known of it), what was remembered."""

    step: int
    key: Key
    standing: Standing | None
    known: MemberStatus

    def let_go(self, granted: str) -> Seen:
        return Seen(self.step, self.key, self.standing, replace(self.known, granted=granted))


def resolve(wave: Wave, standings: Mapping[Key, Standing]) -> list[tuple[int, Key]]:
    """Steps and members in the order of the manifest, each in the first step that names it."""
    found: dict[Key, int] = {}
    for index, step in enumerate(wave.spec.steps):
        for member in step.canaries:
            cluster = member.cluster or wave.cluster
            namespace = member.namespace or wave.namespace
            if member.name:
                found.setdefault(Key(cluster, namespace, member.name), index)
                continue
            for key in sorted(standings):
                labels = standings[key].labels.items()
                if (key.cluster, key.namespace) == (cluster, namespace) and (
                    member.selector.items() <= labels
                ):
                    found.setdefault(key, index)
    return [(index, key) for key, index in found.items()]


def blank(key: Key) -> MemberStatus:
    return MemberStatus(cluster=key.cluster, namespace=key.namespace, name=key.name)


def is_new(member: Seen) -> bool:
    return member.standing is not None and member.standing.state in ("waiting", "running")


def is_settled(member: Seen) -> bool:
    return member.standing is not None and member.standing.state == "settled"


def has_failed(member: Seen) -> bool:
    return member.standing is not None and member.standing.state == "failed"


def takes_a_place(member: Seen) -> bool:
    """It counts as one that is under way: it runs, or it was let go and is about to."""
    standing = member.standing
    if standing is None or standing.state not in ("waiting", "running"):
        return False
    return standing.state == "running" or member.known.granted == standing.release


def remembered(member: Seen, run: int) -> Seen:
    """With what is live now, and what was before that."""
    known, standing = member.known, member.standing
    if standing is None or standing.state == "unready" or standing.live == known.live:
        return member
    known = replace(known, live=standing.live, before=known.live, run=run)
    return Seen(member.step, member.key, standing, known)


def state(member: Seen) -> MemberState:
    if member.standing is None:
        return "unknown"
    granted = takes_a_place(member) and member.standing.state == "waiting"
    return "granted" if granted else member.standing.state
