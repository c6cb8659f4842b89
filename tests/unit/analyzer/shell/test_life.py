"""What the analyzer keeps does not grow with the rollouts that it has seen."""

import asyncio
import gc
import types
from typing import Any

import pytest
from tests.builders import (
    a_canary_spec,
    a_metric,
    a_primary_seen,
    a_status,
    a_workload_seen,
    an_analysis,
)
from tests.unit.analyzer.doubles import Stage, in_turn, reply

pytestmark = pytest.mark.looptime

GOOD = '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"100"]}]}}'
BAD = GOOD.replace("100", "50")
SPEC = a_canary_spec(analysis=an_analysis(metrics=(a_metric(threshold=99),)))
# Enough to fill everything that has a bound, and then as many again several times over.
FILLED, MANY = 40, 160
CODE = (type, types.ModuleType, types.FunctionType, types.CodeType, asyncio.AbstractEventLoop)


def kept_by(stage: Stage) -> int:
    """How many objects the loop holds on to, the doubles around it left out."""
    outside = (stage.broker, stage.bus, stage.http, stage.cluster, stage.clock, stage.spawn)
    seen = {id(one) for one in outside}
    todo: list[Any] = [stage.loop]
    found = 0
    while todo:
        here = todo.pop()
        if id(here) in seen or isinstance(here, CODE):
            continue
        seen.add(id(here))
        found += 1
        todo += gc.get_referents(here)
    return found


async def release(stage: Stage, number: int) -> None:
    """One rollout to its end; every other one fails."""
    stage.http.script = in_turn(reply(200, GOOD if number % 2 else BAD))
    target = a_workload_seen(f"s1-{number:06}")
    promoted = stage.canary["status"]["lastPromotedSpec"]
    await stage.observe(target=target, primary=a_primary_seen(promoted))
    await stage.route()
    while stage.canary["status"]["phase"] not in ("Succeeded", "Failed"):
        await asyncio.sleep(10.01)
        status = stage.canary["status"]
        is_given = status["phase"] in ("Promoting", "Finalising")
        revision = status["lastAppliedSpec"] if is_given else promoted
        await stage.observe(target=target, primary=a_primary_seen(revision))
        await stage.route()


async def test_nothing_grows_with_the_rollouts_that_ended() -> None:
    stage = Stage(in_turn(reply(200, GOOD)), spec=SPEC, status=a_status("Initialized"))
    phases = set()
    for number in range(FILLED):
        await release(stage, number)
        phases.add(stage.canary["status"]["phase"])
    before = kept_by(stage)

    for number in range(FILLED, FILLED + MANY):
        await release(stage, number)

    assert {"Succeeded", "Failed"} == phases
    assert kept_by(stage) - before < MANY / 4
    await stage.loop.close()
    await stage.spawn.close()
