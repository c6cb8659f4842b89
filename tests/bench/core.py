"""How much a decision costs: `decide` and `desired` on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import Look
from serinus.events import decode, encode

SECONDS = 1.0


def per_second(work: Callable[[], object]) -> float:
    """Best of three runs: the machine is shared, and only the best is ours."""
    best = 0.0
    for _ in range(3):
        begun, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < SECONDS / 3:
            for _ in range(200):
                work()
            done += 200
        best = max(best, done / spent)
    return best


def rows() -> list[tuple[str, float]]:
    """What is done, how often per second."""
    idle = Story(step_weight=20).initialised()
    running = Story(step_weight=20).initialised().push("v2")
    body = encode(running.seen)
    return [
        ("decide, idle canary", per_second(lambda: decide(idle.rollout, Look(at=idle.now + 1)))),
        (
            "decide, running rollout",
            per_second(lambda: decide(running.rollout, Look(at=running.now + 1))),
        ),
        ("desired and its id", per_second(lambda: desired(running.rollout).id)),
        ("decode a snapshot", per_second(lambda: decode(body))),
        ("encode a snapshot", per_second(lambda: encode(running.seen))),
    ]
