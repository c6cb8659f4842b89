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
    alike,
    has_failed,
    is_new,
    is_settled,
    listed,
    memories,
    remembered,
    resolve,
    state,
    takes_a_place,
)
from serinus.coordinator.core.orders import (
    APPROVE,
    NEVER_ASKS,
    RESUME,
    SKIP,
    THAW,
    UNASKED,
    Action,
    Order,
    Plan,
    View,
)
from serinus.coordinator.core.standing import Key, Standing, release_of
from serinus.coordinator.core.validate import problems
from serinus.coordinator.core.waves import (
    MEMBERS_MAX,
    Memory,
    Step,
    StepStatus,
    Wave,
    WavePhase,
    WaveStatus,
)
from serinus.events.canary import duration_s
from serinus.kube.times import rfc3339


def plan(wave: Wave, view: View, now: float) -> Plan:
    """What is to be remembered, and what each canary may do."""
    members = resolve(wave, view.standings, view.whole)
    wrong = problems(wave)
    if len(members) > MEMBERS_MAX:
        wrong.append(
            f"spec.steps: they select {len(members)} canaries, {MEMBERS_MAX} are the most; "
            "make several waves of them"
        )
    if wrong:
        return _refused(wave, view, members, wrong[0], now)
    return _Planning(wave, view, members, now).plan()


def _refused(
    wave: Wave, view: View, members: Sequence[tuple[int, Key]], why: str, now: float
) -> Plan:
    """Nothing new begins; what is under way goes on, unless the wave is paused."""
    orders = []
    for _, key in members:
        standing = view.standings.get(key)
        action: Action
        match standing.state if standing else None:
            case "waiting":
                action = "wait"
            case "running":
                action = "hold" if wave.spec.paused else "go"
            case _:
                continue
        assert standing is not None
        orders.append(_order(wave, standing, action, f"the wave is refused: {why}"))
    return Plan(status=refused(wave, why, now), orders=tuple(orders))


def refused(wave: Wave, why: str, now: float) -> WaveStatus:
    """What a wave says that cannot work; what is remembered of its canaries stays."""
    status = replace(wave.status, observed_generation=wave.generation, phase="Refused", message=why)
    return _since(wave, status, now)


def _order(wave: Wave, standing: Standing, action: Action, why: str) -> Order:
    return Order(
        key=standing.key,
        wave=f"{wave.key}@{wave.cluster}",
        action=action,
        release=standing.release,
        why=why,
        cut_off=wave.spec.when_cut_off,
    )


class _Planning:
    """One look at one wave."""

    def __init__(
        self, wave: Wave, view: View, members: Sequence[tuple[int, Key]], now: float
    ) -> None:
        self.wave, self.spec, self.view, self.now = wave, wave.spec, view, now
        self.old = wave.status
        self.due: list[float] = []
        self.used = dict(self.old.used)
        # What is the same for many members is worked out once.
        self._failed: dict[str, list[Seen]] = {}
        self._waited: dict[tuple[int, str], list[tuple[WavePhase, str]]] = {}
        known = memories(self.old)
        seen = [
            Seen(step, key, view.standings.get(key), known.get(key, Memory()))
            for step, key in members
        ]
        # A run begins with the first thing that is new, and ends when nothing is.
        self.running = any(is_new(m) for m in seen)
        self.run = self.old.run + (self.running and not self.old.running)
        self.members = [remembered(m, self.run) for m in seen]
        self.unheard = {
            cluster: why
            for cluster in self._clusters(self.spec.steps)
            if (why := self._silence(cluster))
        }
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
        heard = [m for m in members if m.key.cluster not in self.unheard]
        if len(heard) < len(members) and not self._says(SKIP):
            return known
        done = bool(members) and all(is_settled(m) for m in heard)
        done_at = (known.done_at or self.now) if done else 0.0
        return replace(known, done_at=done_at, approved=self._says(key) if done else "")

    def _clusters(self, steps: Iterable[Step]) -> list[str]:
        """The clusters whose canaries these steps are about."""
        return sorted({m.cluster or self.wave.cluster for s in steps for m in s.canaries})

    def _silence(self, cluster: str) -> str:
        """Since when there is no news from a cluster, and what to do about it; "" if there is."""
        if (since := self.view.silent.get(cluster)) is not None:
            text = f"no news from {cluster} since {rfc3339(since)}"
        elif cluster not in self.view.whole:
            began = rfc3339(self.view.started)
            text = f"no news from {cluster} since this coordinator started at {began}"
        else:
            return ""
        return f"{text}; annotate {SKIP}=<who> to go on without it"

    def _says(self, key: str) -> str:
        """What an annotation says that has not had its effect yet."""
        value = self.wave.annotations.get(key, "")
        return value if value and self.used.get(key) != value else ""

    def _forget_overrides(self) -> None:
        """An override counts for what it was given for."""
        ended = {
            RESUME: not self.running and not any(has_failed(m) for m in self.members),
            THAW: calendar.frozen_until(self.spec.freeze, self.now) is None,
            SKIP: not self.unheard,
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
        unheard = {} if self._says(SKIP) else self.unheard
        for index in range(before):
            step, status = self.spec.steps[index], self.steps[index]
            for cluster in self._clusters([step]):
                if cluster in unheard:
                    yield "Waiting", unheard[cluster]
                    return
            members = [m for m in self.members if m.step == index]
            for other in (m for m in members if m.key.cluster not in self.unheard):
                if (why := self._lacks(other, release)) is not None:
                    yield "Running", why
                    return
            if not members and not self.unheard:
                yield (
                    "Waiting",
                    f"step {step.name} has no canary of its own; name or label one, "
                    "or take it out of spec.steps",
                )
                return
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
        if other.standing is None:
            return self._missing(other)
        if not is_settled(other):
            return f"{other.key} is {other.standing.phase or 'not initialized'}"
        if self.spec.identity == "images" and other.standing.live != release:
            return f"{other.key} has not got this release yet"
        return None

    def _missing(self, member: Seen) -> str:
        return f"there is no canary {member.key}; create it, or take it out of spec.steps"

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
            why = self.unheard.get(member.key.cluster) or self._missing(member)
            return granted, "Waiting", why
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
        return _order(self.wave, standing, action, why)

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
        shown, unlisted = listed((member, why) for member, _, why in found)
        status = replace(
            self.old,
            observed_generation=self.wave.generation,
            phase=phase,
            step="" if at is None else self.spec.steps[at].name,
            message=message,
            run=self.run,
            running=self.running,
            done=f"{sum(map(is_settled, self.members))}/{len(self.members)}",
            steps=tuple(
                self._summary(index, [m for m, _, _ in found if m.step == index])
                for index in range(len(self.steps))
            ),
            canaries=shown,
            unlisted=unlisted,
            used=self.used,
        )
        return _since(self.wave, status, self.now)

    def _summary(self, index: int, members: Sequence[Seen]) -> StepStatus:
        counts: dict[str, int] = dict(sorted(Counter(map(state, members)).items()))
        return replace(self.steps[index], counts=counts, remembered=alike(members))


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
