"""A canary of a wave: how it stands, and what the wave remembers of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from msgspec import Struct
from msgspec.structs import replace

from serinus.coordinator.core.standing import Key, Standing
from serinus.coordinator.core.waves import (
    LISTED_MAX,
    MemberState,
    MemberStatus,
    Memory,
    Remembered,
    Wave,
    WaveStatus,
)


class Seen(Struct, frozen=True):
    """A member: its step, how it stands (None: nothing is known of it), what was remembered."""

    step: int
    key: Key
    standing: Standing | None
    known: Memory

    def let_go(self, granted: str) -> Seen:
        return Seen(self.step, self.key, self.standing, replace(self.known, granted=granted))


def resolve(
    wave: Wave, standings: Mapping[Key, Standing], whole: Set[str]
) -> list[tuple[int, Key]]:
    """Steps and members in the order of the manifest, each in the first step that names it.

    Those that labels selected before stay members as long as their cluster is not wholly known.
    """
    found: dict[Key, int] = {}
    for index, step in enumerate(wave.spec.steps):
        for member in step.canaries:
            cluster = member.cluster or wave.cluster
            namespace = member.namespace or wave.namespace
            if member.name:
                found.setdefault(Key(cluster, namespace, member.name), index)
                continue
            if not member.selector:
                continue  # neither one nor the other: the wave is refused
            where = (cluster, namespace)
            keys = [
                key
                for key, standing in standings.items()
                if (key.cluster, key.namespace) == where
                and member.selector.items() <= standing.labels.items()
            ]
            if cluster not in whole:
                known = memories(wave.status, step.name)
                keys += [k for k in known if (k.cluster, k.namespace) == where]
            for key in sorted(keys):
                found.setdefault(key, index)
    return [(index, key) for key, index in found.items()]


def memories(status: WaveStatus, step: str = "") -> dict[Key, Memory]:
    """What is remembered of every canary, or of those of one step."""
    return {
        Key.of(path): Memory(granted=one.granted, live=one.live, before=one.before, run=one.run)
        for known in status.steps
        if step in ("", known.name)
        for one in known.remembered
        for path in one.canaries
    }


def alike(members: Iterable[Seen]) -> tuple[Remembered, ...]:
    """What is to be remembered of them, those of which it is the same together."""
    groups: dict[Memory, list[str]] = {}
    for member in members:
        groups.setdefault(member.known, []).append(member.key.path)
    return tuple(
        Remembered(
            granted=known.granted,
            live=known.live,
            before=known.before,
            run=known.run,
            canaries=tuple(paths),
        )
        for known, paths in groups.items()
        if known != Memory()
    )


def listed(members: Iterable[tuple[Seen, str]]) -> tuple[tuple[MemberStatus, ...], int]:
    """Those that people ask about, with what each waits for, and how many more there are."""
    found = [
        MemberStatus(
            cluster=member.key.cluster,
            namespace=member.key.namespace,
            name=member.key.name,
            state=state(member),
            message=why,
        )
        for member, why in members
        if why or not is_settled(member)
    ]
    found.sort(key=lambda one: _ORDER.index(one.state))
    return tuple(found[:LISTED_MAX]), max(0, len(found) - LISTED_MAX)


_ORDER: tuple[MemberState, ...] = (
    "failed",
    "unknown",
    "unready",
    "running",
    "granted",
    "waiting",
    "settled",
)


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
