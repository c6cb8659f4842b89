"""What a Wave lets happen: a pure function of the Wave, of how all canaries stand, and of the time.

Nothing here remembers. What must outlive a restart (which releases were let go, when a step was
done, which annotations were used) is in the Wave's status, which is written before anything is let
go. A canary is let go for one release; another release has to ask again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from serinus.coordinator.core import calendar
from serinus.coordinator.core.members import (
    Seen,
    blank,
    has_failed,
    is_new,
    is_settled,
    remembered,
    resolve,
    state,
    takes_a_place,
)
from serinus.coordinator.core.orders import (
    APPROVE,
    NEVER_ASKS,
    RESUME,
    THAW,
    UNASKED,
    Action,
    Order,
    Plan,
    View,
)
from serinus.coordinator.core.standing import Key, Standing, release_of
from serinus.coordinator.core.validate import problems
from serinus.coordinator.core.waves import Step, StepStatus, Wave, WavePhase, WaveStatus
from serinus.events.canary import duration_s
from serinus.kube.times import rfc3339


def plan(wave: Wave, view: View, now: float) -> Plan:
    """What is to be remembered, and what each canary may do."""
    wrong = problems(wave)
    if wrong:
        status = replace(wave.status, observed_generation=wave.generation, message=wrong[0])
        return Plan(status=_since(wave, replace(status, phase="Refused"), now))
    return _Planning(wave, view, now).plan()


class _Planning:
    """One look at one wave."""

    def __init__(self, wave: Wave, view: View, now: float) -> None:
        self.wave, self.spec, self.view, self.now = wave, wave.spec, view, now
        self.old = wave.status
        self.due: list[float] = []
        self.used = dict(self.old.used)
        # What is the same for many members is worked out once.
        self._failed: dict[str, list[Seen]] = {}
        self._waited: dict[tuple[int, str], list[tuple[WavePhase, str]]] = {}
        known = {Key(m.cluster, m.namespace, m.name): m for m in self.old.canaries}
        members = [
            Seen(step, key, view.standings.get(key), known.get(key, blank(key)))
            for step, key in resolve(wave, view.standings)
        ]
        # A run begins with the first thing that is new, and ends when nothing is.
        self.running = any(is_new(m) for m in members)
        self.run = self.old.run + (self.running and not self.old.running)
        self.members = [remembered(m, self.run) for m in members]
        self.steps = [self._step(index, step) for index, step in enumerate(self.spec.steps)]
        self._forget_overrides()

    def _step(self, index: int, step: Step) -> StepStatus:
        members = [m for m in self.members if m.step == index]
        lives = release_of({str(m.key): m.known.live for m in members})
        key = APPROVE + step.name
        known = next((s for s in self.old.steps if s.name == step.name), StepStatus(name=step.name))
        if known.lives != lives:
            if known.approved:
                self.used[key] = known.approved
            known = StepStatus(name=step.name, lives=lives)
        done = bool(members) and all(is_settled(m) for m in members)
        done_at = (known.done_at or self.now) if done else 0.0
        return replace(known, done_at=done_at, approved=self._says(key) if done else "")

    def _says(self, key: str) -> str:
        """What an annotation says that has not had its effect yet."""
        value = self.wave.annotations.get(key, "")
        return value if value and self.used.get(key) != value else ""

    def _forget_overrides(self) -> None:
        """An override counts for what it was given for."""
        ended = {
            RESUME: not self.running and not any(has_failed(m) for m in self.members),
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

    def _failures(self, release: str) -> list[Seen]:
        """Members that were rolled back from this release (any, if releases have no identity)."""
        if self._says(RESUME):
            return []
        if release in self._failed:
            return self._failed[release]
        self._failed[release] = [
            m
            for m in self.members
            if m.standing is not None
            and has_failed(m)
            and (self.spec.identity == "any" or m.standing.release == release)
        ]
        return self._failed[release]

    def _frozen(self) -> str:
        found = calendar.frozen_until(self.spec.freeze, self.now)
        if found is None or self._says(THAW):
            return ""
        until, reason = found
        self.due.append(until)
        why = f" ({reason})" if reason else ""
        return f"frozen until {rfc3339(until)}{why}; annotate {THAW}=<who> to go on"

    def _waits(self, member: Seen, standing: Standing) -> Iterable[tuple[WavePhase, str]]:
        """What has to come first."""
        key = (member.step, standing.release)
        if key not in self._waited:
            self._waited[key] = list(self._comes_first(*key))
        return self._waited[key]

    def _comes_first(self, before: int, release: str) -> Iterable[tuple[WavePhase, str]]:
        for index in range(before):
            for other in (m for m in self.members if m.step == index):
                if (why := self._lacks(other, release)) is not None:
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

    def _lacks(self, other: Seen, release: str) -> str | None:
        """What an earlier canary still lacks; None if it is done."""
        if (since := self.view.silent.get(other.key.cluster)) is not None:
            return f"no news from {other.key.cluster} since {rfc3339(since)}"
        if other.standing is None:
            return f"nothing is known of {other.key}"
        if not is_settled(other):
            return f"{other.key} is {other.standing.phase or 'not initialized'}"
        if self.spec.identity == "images" and other.standing.live != release:
            return f"{other.key} has not got this release yet"
        return None

    def _full(self, member: Seen, taken: Counter[int]) -> Iterable[tuple[WavePhase, str]]:
        step = self.spec.steps[member.step]
        counts = ((self.spec.at_once, taken.total()), (step.at_once, taken[member.step]))
        for limit, count in counts:
            if limit and count >= limit:
                yield "Running", f"{count} are under way, {limit} may be at once"

    # --- together ---------------------------------------------------------------------------------

    def plan(self) -> Plan:
        taken = Counter(m.step for m in self.members if takes_a_place(m))
        found: list[tuple[Seen, WavePhase, str]] = []
        for member in self.members:
            granted, phase, why = self._look(member, taken)
            seen = member.let_go(granted)
            taken[member.step] += takes_a_place(seen) - takes_a_place(member)
            found.append((seen, phase, why))
        orders = (self._order(member, why) for member, _, why in found)
        return Plan(
            status=self._status(found),
            orders=tuple(order for order in orders if order is not None),
            due_at=min(self.due, default=None),
        )

    def _look(self, member: Seen, taken: Counter[int]) -> tuple[str, WavePhase, str]:
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

    def _order(self, member: Seen, why: str) -> Order | None:
        standing = member.standing
        if standing is None:
            return None
        action: Action
        failed = [] if has_failed(member) else self._failures(standing.release)
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

    def _came_with(self, member: Seen, failed: Sequence[Seen]) -> bool:
        """What is live there came with the release that failed elsewhere."""
        if not (is_settled(member) and member.known.before):
            return False
        return self.spec.identity == "images" or member.known.run == self.run

    def _status(self, found: Sequence[tuple[Seen, WavePhase, str]]) -> WaveStatus:
        failed = [m for m in self.members if has_failed(m)]
        reasons = [(phase, why, member.step) for member, phase, why in found if phase]
        phase: WavePhase = "Running" if self.running else "Idle"
        message, at = "", None
        if reasons:
            phase, message, at = min(reasons, key=lambda reason: _RANK[reason[0]])
        elif self.running:
            at = min((m.step for m, _, _ in found if takes_a_place(m)), default=0)
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
            done=f"{sum(map(is_settled, self.members))}/{len(self.members)}",
            steps=tuple(self.steps),
            canaries=tuple(
                replace(member.known, state=state(member), message=why) for member, _, why in found
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


def _since(wave: Wave, status: WaveStatus, now: float) -> WaveStatus:
    said = (wave.status.phase, wave.status.message)
    unchanged = said == (status.phase, status.message) and wave.status.since
    return replace(status, since=wave.status.since if unchanged else rfc3339(now))
