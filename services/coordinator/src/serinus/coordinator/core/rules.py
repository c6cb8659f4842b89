"""What a Wave lets happen: a pure function of the Wave, of how all canaries stand, and of the time.

Nothing here remembers. What must outlive a restart (which releases were let go, when a step was
done, which approvals were used) is in the Wave's status, which is written before anything is let
go. A canary is let go for one release; another release has to ask again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from serinus.coordinator.core import calendar
from serinus.coordinator.core.standing import Key, Standing, release_of
from serinus.coordinator.core.waves import (
    MemberState,
    MemberStatus,
    Step,
    StepStatus,
    Wave,
    WavePhase,
    WaveStatus,
)
from serinus.events.canary import duration_s

APPROVE = "serinus.dev/approve-"
THAW = "serinus.dev/override-freeze"
RESUME = "serinus.dev/override-failure"

UNASKED = "began without asking; its manifest needs a confirm-rollout hook"
NEVER_ASKS = "its manifest has no confirm-rollout hook, so nothing can hold it"

Action = Literal["wait", "go", "hold", "abort", "undo"]


class Order(Struct, frozen=True, kw_only=True):
    """What one canary may do, for one release of it.

    wait   not begin          go     begin, and go on
    hold   take no further step
    abort  go back now        undo   give the primary back what was live before
    why    for people; with `wait` what is waited for
    """

    key: Key
    wave: str
    action: Action
    release: str
    why: str = ""
    cut_off: Literal["finish", "hold"] = "finish"


class View(Struct, frozen=True):
    """How all canaries stand, as far as is known here.

    silent  clusters that have not been heard of lately, with since when in Unix seconds
    """

    standings: Mapping[Key, Standing]
    silent: Mapping[str, float] = {}


class Plan(Struct, frozen=True, kw_only=True):
    """due_at: when time alone may change it (Unix seconds)."""

    status: WaveStatus
    orders: tuple[Order, ...] = ()
    due_at: float | None = None


class _Seen(Struct, frozen=True):
    """A member: its step, how it stands (None: nothing is known of it), what was remembered."""

    step: int
    key: Key
    standing: Standing | None
    known: MemberStatus

    def let_go(self, granted: str) -> _Seen:
        return _Seen(self.step, self.key, self.standing, replace(self.known, granted=granted))


def plan(wave: Wave, view: View, now: float) -> Plan:
    """What is to be remembered, and what each canary may do."""
    wrong = problems(wave)
    if wrong:
        status = replace(wave.status, observed_generation=wave.generation, message=wrong[0])
        return Plan(status=_since(wave, replace(status, phase="Refused"), now))
    return _Planning(wave, view, now).plan()


def problems(wave: Wave) -> list[str]:
    """What keeps the manifest from working: path, what is wrong, what to write instead."""
    spec, found = wave.spec, []
    if not spec.steps:
        found.append("spec.steps: there are none; name at least one step with canaries")
    names: set[str] = set()
    for index, step in enumerate(spec.steps):
        where = f"spec.steps[{index}]"
        if not step.name or step.name in names:
            found.append(f"{where}.name: {step.name!r} is empty or taken; give each its own")
        names.add(step.name)
        if not step.canaries:
            found.append(f"{where}.canaries: there are none; name one, or a selector")
        for number, member in enumerate(step.canaries):
            if bool(member.name) == bool(member.selector):
                found.append(f"{where}.canaries[{number}]: write either name or selector")
        if step.soak and duration_s(step.soak) is None:
            found.append(f"{where}.soak: {step.soak!r} is no duration; write one like 5m")
    for index, window in enumerate(spec.freeze):
        if text := calendar.check(window):
            found.append(f"spec.freeze[{index}]: {text}")
    return found


class _Planning:
    """One look at one wave."""

    def __init__(self, wave: Wave, view: View, now: float) -> None:
        self.wave, self.spec, self.view, self.now = wave, wave.spec, view, now
        self.old = wave.status
        self.due: list[float] = []
        self.used = dict(self.old.used)
        known = {Key(m.cluster, m.namespace, m.name): m for m in self.old.canaries}
        members = [
            _Seen(step, key, view.standings.get(key), known.get(key, _blank(key)))
            for step, key in self._resolve()
        ]
        # A run begins with the first thing that is new, and ends when nothing is.
        self.running = any(_is_new(m) for m in members)
        self.run = self.old.run + (self.running and not self.old.running)
        self.members = [_remembered(m, self.run) for m in members]
        self.steps = [self._step(index, step) for index, step in enumerate(self.spec.steps)]
        self._forget_overrides()

    def _resolve(self) -> list[tuple[int, Key]]:
        """Members in the order of the manifest, each in the first step that names it."""
        found: dict[Key, int] = {}
        for index, step in enumerate(self.spec.steps):
            for member in step.canaries:
                cluster = member.cluster or self.wave.cluster
                namespace = member.namespace or self.wave.namespace
                if member.name:
                    found.setdefault(Key(cluster, namespace, member.name), index)
                    continue
                for key in sorted(self.view.standings):
                    labels = self.view.standings[key].labels.items()
                    if (key.cluster, key.namespace) == (cluster, namespace) and (
                        member.selector.items() <= labels
                    ):
                        found.setdefault(key, index)
        return [(index, key) for key, index in found.items()]

    def _step(self, index: int, step: Step) -> StepStatus:
        members = [m for m in self.members if m.step == index]
        lives = release_of({str(m.key): m.known.live for m in members})
        key = APPROVE + step.name
        known = next((s for s in self.old.steps if s.name == step.name), StepStatus(name=step.name))
        if known.lives != lives:
            if known.approved:
                self.used[key] = known.approved
            known = StepStatus(name=step.name, lives=lives)
        done = bool(members) and all(_is_settled(m) for m in members)
        done_at = (known.done_at or self.now) if done else 0.0
        return replace(known, done_at=done_at, approved=self._says(key) if done else "")

    def _says(self, key: str) -> str:
        """What an annotation says that has not had its effect yet."""
        value = self.wave.annotations.get(key, "")
        return value if value and self.used.get(key) != value else ""

    def _forget_overrides(self) -> None:
        """An override counts for what it was given for."""
        ended = {
            RESUME: not self.running and not any(_has_failed(m) for m in self.members),
            THAW: calendar.frozen_until(self.spec.freeze, self.now) is None,
        }
        for key, is_over in ended.items():
            if is_over and (value := self._says(key)):
                self.used[key] = value

    # --- what keeps one from starting -------------------------------------------------------------

    def _bars(self, standing: Standing) -> Iterable[tuple[WavePhase, str]]:
        """What nothing may begin under, even if it was let go already."""
        if self.spec.paused:
            yield "Paused", "the wave is paused; set spec.paused to false"
        if failed := self._failures(standing.release):
            names = ", ".join(str(m.key) for m in failed)
            yield (
                "Stopped",
                f"{names} failed; release a better version, or annotate {RESUME}=<who>",
            )
        if frozen := self._frozen():
            yield "Frozen", frozen

    def _failures(self, release: str) -> list[_Seen]:
        """Members that were rolled back from this release (any, if releases have no identity)."""
        if self._says(RESUME):
            return []
        return [
            m
            for m in self.members
            if m.standing is not None
            and _has_failed(m)
            and (self.spec.identity == "any" or m.standing.release == release)
        ]

    def _frozen(self) -> str:
        found = calendar.frozen_until(self.spec.freeze, self.now)
        if found is None or self._says(THAW):
            return ""
        until, reason = found
        self.due.append(until)
        why = f" ({reason})" if reason else ""
        return f"frozen until {rfc3339(until)}{why}; annotate {THAW}=<who> to go on"

    def _waits(self, member: _Seen, standing: Standing) -> Iterable[tuple[WavePhase, str]]:
        """What has to come first."""
        for index in range(member.step):
            for other in (m for m in self.members if m.step == index):
                if (why := self._lacks(other, standing.release)) is not None:
                    yield "Running", why
                    return
            step, status = self.spec.steps[index], self.steps[index]
            until = (status.done_at or self.now) + (duration_s(step.soak) or 0.0)
            if until > self.now:
                self.due.append(until)
                yield "Waiting", f"step {step.name} soaks until {rfc3339(until)}"
            if step.approval and not status.approved:
                yield (
                    "Waiting",
                    f"approval after step {step.name}; annotate {APPROVE}{step.name}=<who>",
                )

    def _lacks(self, other: _Seen, release: str) -> str | None:
        """What an earlier canary still lacks; None if it is done."""
        if (since := self.view.silent.get(other.key.cluster)) is not None:
            return f"no news from {other.key.cluster} since {rfc3339(since)}"
        if other.standing is None:
            return f"nothing is known of {other.key}"
        if not _is_settled(other):
            return f"{other.key} is {other.standing.phase or 'not initialized'}"
        if self.spec.identity == "images" and other.standing.live != release:
            return f"{other.key} has not got this release yet"
        return None

    def _full(self, member: _Seen, taken: Sequence[bool]) -> Iterable[tuple[WavePhase, str]]:
        here = sum(t for t, m in zip(taken, self.members, strict=True) if m.step == member.step)
        step = self.spec.steps[member.step]
        for limit, count in ((self.spec.at_once, sum(taken)), (step.at_once, here)):
            if limit and count >= limit:
                yield "Running", f"{count} are under way, {limit} may be at once"

    # --- together ---------------------------------------------------------------------------------

    def plan(self) -> Plan:
        taken = [_takes_a_place(m) for m in self.members]
        found: list[tuple[_Seen, WavePhase, str]] = []
        for index, member in enumerate(self.members):
            granted, phase, why = self._look(member, taken)
            seen = member.let_go(granted)
            taken[index] = _takes_a_place(seen)
            found.append((seen, phase, why))
        orders = (self._order(member, why) for member, _, why in found)
        return Plan(
            status=self._status(found),
            orders=tuple(order for order in orders if order is not None),
            due_at=min(self.due, default=None),
        )

    def _look(self, member: _Seen, taken: Sequence[bool]) -> tuple[str, WavePhase, str]:
        """The release that may go, and what a release waits for: phase and text, or "" and ""."""
        standing, granted = member.standing, member.known.granted
        if standing is None:
            return granted, "Waiting", f"nothing is known of {member.key}"
        if standing.state == "running":
            return standing.release, "", "" if granted == standing.release else UNASKED
        if standing.state != "waiting":
            return "", "", "" if standing.asks else NEVER_ASKS
        reasons = list(self._bars(standing))
        if granted != standing.release:
            reasons += [*self._waits(member, standing), *self._full(member, taken)]
        if reasons:
            return "", *reasons[0]
        return standing.release, "", ""

    def _order(self, member: _Seen, why: str) -> Order | None:
        standing = member.standing
        if standing is None:
            return None
        action: Action
        failed = [] if _has_failed(member) else self._failures(standing.release)
        if standing.state == "waiting":
            action = "go" if member.known.granted == standing.release else "wait"
        elif standing.state == "running":
            action = "go"
            if failed and self.spec.on_failure != "stop":
                action, why = "abort", f"{failed[0].key} failed"
            elif self.spec.paused:
                action, why = "hold", "the wave is paused"
        elif failed and self.spec.on_failure == "undo" and self._came_with(member, failed):
            action, why = "undo", f"{failed[0].key} failed"
        else:
            return None
        return Order(
            key=member.key,
            wave=f"{self.wave.key}@{self.wave.cluster}",
            action=action,
            release=standing.release,
            why=why,
            cut_off=self.spec.when_cut_off,
        )

    def _came_with(self, member: _Seen, failed: Sequence[_Seen]) -> bool:
        """What is live there came with the release that failed elsewhere."""
        if not (_is_settled(member) and member.known.before):
            return False
        return self.spec.identity == "images" or member.known.run == self.run

    def _status(self, found: Sequence[tuple[_Seen, WavePhase, str]]) -> WaveStatus:
        failed = [m for m in self.members if _has_failed(m)]
        reasons = [(phase, why, member.step) for member, phase, why in found if phase]
        phase: WavePhase = "Running" if self.running else "Idle"
        message, at = "", None
        if reasons:
            phase, message, at = min(reasons, key=lambda reason: _RANK[reason[0]])
        elif self.running:
            at = min((m.step for m, _, _ in found if _takes_a_place(m)), default=0)
        if failed and not self._says(RESUME):
            phase = "Stopped"
            message = message or f"{', '.join(str(m.key) for m in failed)} failed"
        status = replace(
            self.old,
            observed_generation=self.wave.generation,
            phase=phase,
            step="" if at is None else self.spec.steps[at].name,
            message=message,
            run=self.run,
            running=self.running,
            done=f"{sum(map(_is_settled, self.members))}/{len(self.members)}",
            steps=tuple(self.steps),
            canaries=tuple(
                replace(member.known, state=_state(member), message=why) for member, _, why in found
            ),
            used=self.used,
        )
        return _since(self.wave, status, self.now)


_RANK: dict[WavePhase, int] = {
    "Refused": 0,
    "Stopped": 1,
    "Paused": 2,
    "Frozen": 3,
    "Waiting": 4,
    "Running": 5,
    "Idle": 6,
    "": 7,
}


def _blank(key: Key) -> MemberStatus:
    return MemberStatus(cluster=key.cluster, namespace=key.namespace, name=key.name)


def _is_new(member: _Seen) -> bool:
    return member.standing is not None and member.standing.state in ("waiting", "running")


def _is_settled(member: _Seen) -> bool:
    return member.standing is not None and member.standing.state == "settled"


def _has_failed(member: _Seen) -> bool:
    return member.standing is not None and member.standing.state == "failed"


def _takes_a_place(member: _Seen) -> bool:
    """It counts as one that is under way: it runs, or it was let go and is about to."""
    standing = member.standing
    if standing is None or standing.state not in ("waiting", "running"):
        return False
    return standing.state == "running" or member.known.granted == standing.release


def _remembered(member: _Seen, run: int) -> _Seen:
    """With what is live now, and what was before that."""
    known, standing = member.known, member.standing
    if standing is None or standing.state == "unready" or standing.live == known.live:
        return member
    known = replace(known, live=standing.live, before=known.live, run=run)
    return _Seen(member.step, member.key, standing, known)


def _state(member: _Seen) -> MemberState:
    if member.standing is None:
        return "unknown"
    granted = _takes_a_place(member) and member.standing.state == "waiting"
    return "granted" if granted else member.standing.state


def _since(wave: Wave, status: WaveStatus, now: float) -> WaveStatus:
    said = (wave.status.phase, wave.status.message)
    unchanged = said == (status.phase, status.message) and wave.status.since
    return replace(status, since=wave.status.since if unchanged else rfc3339(now))


def rfc3339(at: float) -> str:
    """`at`, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
