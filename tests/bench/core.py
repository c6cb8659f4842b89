"""How much a decision costs: `decide` and `desired` on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.bench.table import Row
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import Answer, Look, Rollout, Value
from serinus.events import decode, encode

RUNS, CALLS = 60, 200
DECIDE = 50_000


def per_second(work: Callable[[], object]) -> float:
    """Calls per CPU second, best of many short runs: of a shared machine only the best is ours."""
    best = 0.0
    for _ in range(RUNS):
        begun = time.process_time()
        for _ in range(CALLS):
            work()
        best = max(best, CALLS / (time.process_time() - begun))
    return best


def a_step() -> tuple[Rollout, Look]:
    """A moment at which all metrics are answered and the next step is decided."""
    story = Story(step_weight=20).initialised().push("v2")
    answers: dict[str, Answer] = {}
    while True:
        look = Look(at=story.now + 10, answers=answers)
        asks = decide(story.rollout, look).asks
        if not asks:
            return story.rollout, look
        answers = {**answers, **{ask.key: Value(key=ask.key, value=99.9) for ask in asks}}


def rows() -> list[Row]:
    """What is done, how often per second."""
    idle = Story(step_weight=20).initialised()
    running = Story(step_weight=20).initialised().push("v2")
    rollout, look = a_step()
    body = encode(running.seen)
    measured = {
        "decide, idle canary": lambda: decide(idle.rollout, Look(at=idle.now + 1)),
        "decide, running rollout": lambda: decide(running.rollout, Look(at=running.now + 1)),
        "a step decided, its metrics answered": lambda: decide(rollout, look),
        "desired and its id": lambda: desired(running.rollout).id,
        "decode a snapshot": lambda: decode(body),
        "encode a snapshot": lambda: encode(running.seen),
    }
    found = {name: per_second(work) for name, work in measured.items()}
    return [
        Row(
            what=f"{name}, one core",
            here=f"{rate:,.0f}/s",
            target=f"> {DECIDE:,}/s" if name.startswith("decide") else "",
            met=rate > DECIDE if name.startswith("decide") else None,
        )
        for name, rate in found.items()
    ]
