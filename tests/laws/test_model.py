"""The brain against a small model of weights and counters.

The model is written from the reference's tables alone (1.2 to 1.4, 2.7 to 2.9), with what differs
on purpose: the check that reaches the threshold ends the run, and blue/green asks for its promotion
once. It knows plain numbers and nothing of the brain. Both are given the same manifest and the same
verdicts, and must agree on phase, counters and traffic after every interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.rollout import HookAnswer, Value

ROUNDS = 60
MATCH = [{"headers": {"x-canary": {"exact": "insider"}}}]


@dataclass
class Model:
    """Numbers after each tick. `gate`: whether confirm-promotion agrees, tick by tick."""

    step: int = 0
    steps: Sequence[int] = ()
    maximum: int = 0
    iterations: int = 0
    ab: bool = False
    threshold: int = 1
    back: int = 0
    mirror: bool = False
    gated: bool = False
    phase: str = "Progressing"
    weight: int = 0
    count: int = 0
    failed: int = 0
    seen: list[tuple[str, int, int, int, int, bool]] = field(default_factory=list)

    @property
    def top(self) -> int:
        if self.steps:
            return min(100, self.steps[-1])
        return self.maximum or 100

    def width(self) -> int:
        """nextStep of the reference."""
        if self.step > 0 or not self.steps:
            return self.step
        room = 100 - self.weight
        if room == 0:
            return 1
        if self.weight == 0:
            return min(room, self.steps[0])
        for here, following in zip(self.steps, self.steps[1:], strict=False):
            if self.weight == here:
                return min(room, following - self.weight)
        return room

    def traffic(self) -> tuple[int, bool]:
        """The canary's share, and whether requests are mirrored to it."""
        if self.phase in ("Succeeded", "Failed"):
            return 0, False
        if self.iterations and self.ab:
            return (100 if self.count else 0), False
        if self.iterations:
            switched = self.count > self.iterations
            return (100 if switched else 0), self.mirror and 0 < self.count <= self.iterations
        return self.weight, self.mirror and self.weight == 0 and self.count > 0

    def tick(self, good: bool, gate: bool) -> None:
        if self.phase == "Promoting":
            self.shift()
        elif self.phase in ("Progressing", "WaitingPromotion"):
            first = self.weight == 0 and self.count == 0
            if not first and not good:
                self.failed += 1
                if self.failed >= self.threshold:
                    self.end("Failed")
            elif self.iterations:
                self.iterate(gate)
            else:
                self.advance(gate)
        self.seen.append((self.phase, self.weight, self.count, self.failed, *self.traffic()))

    def advance(self, gate: bool) -> None:
        if self.weight >= self.top:
            self.promote(gate)
        elif self.mirror and self.weight == 0 and self.count == 0:
            self.count = 1
        else:
            self.weight = min(100, self.weight + self.width())
            self.count = 0

    def iterate(self, gate: bool) -> None:
        if self.count < self.iterations:
            self.count += 1
        elif self.ab:
            self.promote(gate)
        elif self.count == self.iterations:
            if self.gated and not gate:
                self.phase = "WaitingPromotion"
            else:
                self.count += 1
        else:
            self.copied()

    def promote(self, gate: bool) -> None:
        if self.gated and not gate:
            self.phase = "WaitingPromotion"
        else:
            self.copied()

    def copied(self) -> None:
        """The primary takes the copy at once here, so traffic begins to return in the same tick."""
        self.phase = "Promoting"
        self.shift()

    def shift(self) -> None:
        if not self.back or self.weight == 0:
            self.end("Succeeded")
            return
        self.weight = max(0, self.weight - self.back)
        if self.weight == 0:
            self.end("Succeeded")

    def end(self, phase: str) -> None:
        self.phase, self.weight, self.count = phase, 0, 0
        if phase == "Failed":
            self.failed = 0


def told(story: Story) -> tuple[str, int, int, int, int, bool]:
    status, routes = story.status, story.intent.routes
    return (
        status.phase,
        status.canary_weight,
        status.iterations,
        status.failed_checks,
        routes.canary,
        routes.mirror,
    )


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, object]:
    common = {
        "threshold": draw(st.integers(1, 4)),
        "mirror": draw(st.booleans()),
        "gated": draw(st.booleans()),
    }
    match draw(st.sampled_from(["step", "steps", "blue-green", "ab"])):
        case "step":
            return common | {
                "step": draw(st.integers(5, 100)),
                "maximum": draw(st.integers(0, 100)),
                "back": draw(st.sampled_from([0, 0, 25, 40, 100])),
            }
        case "steps":
            climbing = st.lists(st.integers(1, 120), min_size=1, max_size=5, unique=True)
            return common | {
                "steps": sorted(draw(climbing)),
                "back": draw(st.sampled_from([0, 30])),
            }
        case "ab":
            return common | {"iterations": draw(st.integers(1, 6)), "ab": True, "mirror": False}
        case _:
            return common | {"iterations": draw(st.integers(1, 6))}


def story_of(manifest: dict[str, object]) -> Story:
    names = {"step": "step_weight", "maximum": "max_weight", "back": "step_weight_promotion"}
    analysis = {names.get(key, key): value for key, value in manifest.items()}
    analysis["step_weights"] = analysis.pop("steps", [])
    if analysis.pop("ab", False):
        analysis["match"] = MATCH
    if analysis.pop("gated"):
        gate = {"name": "go", "type": "confirm-promotion", "url": "http://h/go"}
        analysis["webhooks"] = [gate]
    rate = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    return Story(metrics=rate, **analysis).initialised()


def verdicts(bits: Sequence[bool]) -> Iterator[bool]:
    yield from bits
    while True:
        yield True


@given(
    manifest=manifests(),
    checks=st.lists(st.sampled_from([True, True, True, False]), max_size=20),
    gates=st.lists(st.booleans(), max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_the_brain_takes_the_steps_of_the_references_tables(
    manifest: dict[str, object], checks: list[bool], gates: list[bool]
) -> None:
    model, story = Model(**manifest), story_of(manifest)  # type: ignore[arg-type]  # drawn, by name
    good, opens = verdicts(checks), verdicts(gates)
    story.now += 1
    for number in range(ROUNDS):
        is_good, is_open = next(good), next(opens)
        story.metric = lambda ask, good=is_good: Value(key=ask.key, value=100.0 if good else 0.0)
        story.hook = lambda ask, opens=is_open: HookAnswer(key=ask.key, passed=opens)
        if number == 0:
            story.push("v2")
        else:
            story.tick()
        model.tick(is_good, is_open)
        assert told(story) == model.seen[-1], f"tick {number} of {manifest}"
        if model.phase in ("Succeeded", "Failed"):
            break
    else:
        raise AssertionError("neither promoted nor rolled back")
