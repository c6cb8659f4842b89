"""The protocol around decisions: remember, intend, tell, ask; and what crashes leave behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from tests.builders import (
    NEW,
    OLD,
    REF,
    T0,
    a_canary_spec,
    a_hook,
    a_metric,
    a_primary_seen,
    a_routes_observed,
    a_status,
    a_workload_seen,
    an_analysis,
    an_observed,
)
from tests.unit.analyzer.doubles import Script, Stage, in_turn, reply
from tests.unit.hands import Hands

from serinus.events import (
    CanaryGone,
    CanarySpec,
    Fact,
    Intent,
    Promoted,
    RolloutStarted,
    WeightAdvanced,
)
from serinus.kube.errors import Conflict, Denied, Unreachable

pytestmark = pytest.mark.looptime

ONE = reply(
    200, '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"100"]}]}}'
)
BAD = reply(
    200, '{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"50"]}]}}'
)
MEASURED = a_canary_spec(analysis=an_analysis(metrics=(a_metric(threshold=99),)))

MakeStage = Callable[..., Stage]


@pytest.fixture
async def stage() -> AsyncIterator[MakeStage]:
    made: list[Stage] = []

    def make(script: Script | None = None, **fields: Any) -> Stage:
        made.append(Stage(script or in_turn(ONE), **fields))
        return made[-1]

    yield make
    for one in made:
        await one.loop.close()
        await one.spawn.close()


def progressing(weight: int = 0, spec: CanarySpec = MEASURED, **fields: Any) -> dict[str, Any]:
    return {"spec": spec, "status": a_status("Progressing", canary_weight=weight, **fields)}


def published_by(s: Stage) -> list[Any]:
    """Everything that is offered to the bus from now on."""
    offered: list[Any] = []
    publish = s.bus.publish

    async def counting(message: Any, **more: Any) -> int:
        offered.append(message)
        return await publish(message, **more)

    s.bus.publish = counting  # type: ignore[method-assign]
    return offered


async def test_a_new_revision_is_acted_on_at_once(stage: MakeStage) -> None:
    """No interval passes between seeing it and telling router and people."""
    s = stage(spec=MEASURED, status=a_status("Initialized"))

    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))

    assert s.canary["status"]["phase"] == "Progressing"
    assert s.intents()[-1].workload.canary == "running"
    assert s.texts() == ["New revision detected! Scaling up web.shop"]
    assert asyncio.get_running_loop().time() < 0.01


async def test_the_status_is_written_before_the_intent_and_the_intent_before_the_fact(
    stage: MakeStage,
) -> None:
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    order: list[str] = []
    publish, patch = s.bus.publish, s.cluster.patch

    async def published(message: Any, **more: Any) -> int:
        order.append(type(message).__name__)
        return await publish(message, **more)

    async def patched(*args: Any, **more: Any) -> Any:
        order.append("status")
        return await patch(*args, **more)

    s.bus.publish = published  # type: ignore[method-assign]
    s.cluster.patch = patched  # type: ignore[method-assign]
    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))

    assert order == ["status", "Intent", "RolloutStarted"]


async def test_a_lost_race_is_dropped_and_nothing_is_said(stage: MakeStage) -> None:
    """409: the decision never happened."""
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.before.append(Conflict("changed"))

    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))

    assert s.status_writes() == []
    assert s.texts() == []
    assert s.intents() == []


async def test_after_a_conflict_without_news_the_object_itself_is_read(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.before.append(Conflict("changed"))
    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))

    await asyncio.sleep(5)

    assert len(s.cluster.reads) == 1
    assert s.texts() == ["New revision detected! Scaling up web.shop"]


async def test_a_run_goes_from_first_weight_to_promotion(stage: MakeStage) -> None:
    """Steps of 20 to 60, an interval of 10 s, one check before each step but the first."""
    s = stage(**progressing())
    await s.observe()
    await s.route()
    while s.canary["status"]["phase"] != "Succeeded":
        await asyncio.sleep(10.01)
        await s.observe(primary=a_primary_seen(NEW))
        await s.route()

    assert [w.canary_weight for w in s.broker.messages(WeightAdvanced)] == [20, 40, 60]
    phases = [w["phase"] for w in s.status_writes() if "phase" in w]
    assert phases == ["Promoting", "Finalising", "Succeeded"]
    assert s.canary["status"]["lastPromotedSpec"] == NEW
    assert len(s.http.sent) == 3


async def test_one_step_is_one_status_patch(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    await s.observe()
    await s.route()

    await asyncio.sleep(10.5)

    assert s.canary["status"]["canaryWeight"] == 40
    assert len(s.status_writes()) == 1
    assert s.cluster.reads == []


async def test_an_idle_canary_costs_nothing(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Succeeded"))
    await s.observe(primary=a_primary_seen(NEW))
    await s.route()
    before = len(s.intents())

    await asyncio.sleep(3600)

    assert s.cluster.patches == []
    assert s.cluster.reads == []
    assert s.http.sent == []
    assert len(s.intents()) == before


async def test_checks_keep_the_users_interval(stage: MakeStage) -> None:
    s = stage(in_turn(BAD), **progressing(20, a_canary_spec(analysis=MEASURED.analysis)))
    await s.observe()
    await s.route()

    await asyncio.sleep(35)

    assert s.http.times == pytest.approx([10.0, 20.0, 30.0], abs=0.01)
    assert s.canary["status"]["failedChecks"] == 3


async def test_an_old_snapshot_after_our_write_takes_no_step_back(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    old = s.seen(an_observed())
    await s.observe()
    await s.route()
    await asyncio.sleep(10.5)
    assert s.canary["status"]["canaryWeight"] == 40

    await s.loop.observe(old)

    assert s.intents()[-1].routes.canary == 40
    assert len(s.status_writes()) == 1


async def test_an_intent_is_not_repeated(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    published = published_by(s)
    await s.observe()
    await s.route()
    await s.observe(missing_configs=())

    assert len([m for m in published if isinstance(m, Intent)]) == 1


async def test_a_restart_asks_the_bus_and_repeats_nothing(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    await s.observe()
    sequence = await s.bus.latest(Intent, REF)

    await s.loop.close()
    s.restarted()
    await s.observe()

    again = await s.bus.latest(Intent, REF)
    assert sequence is not None
    assert again is not None
    assert again.sequence == sequence.sequence


async def test_a_bus_that_lost_its_memory_is_told_the_intent_again(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    await s.observe()

    s.broker.lose_everything()
    await asyncio.sleep(1)

    assert [i.routes.canary for i in s.intents()] == [20]


async def test_an_api_server_that_is_away_delays_the_decision(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.before += [Unreachable("HTTP 503"), Unreachable("HTTP 503")]

    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))
    await asyncio.sleep(10)

    assert s.texts() == ["New revision detected! Scaling up web.shop"]
    assert len(s.status_writes()) == 1


async def test_a_write_whose_answer_got_lost_is_told_when_it_shows(stage: MakeStage) -> None:
    """The API server did it, we never heard: its snapshot proves it, and the facts follow once."""
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.lost.append(Unreachable("no answer"))
    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))
    assert s.texts() == []

    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))
    await asyncio.sleep(10)

    assert s.texts() == ["New revision detected! Scaling up web.shop"]
    assert len(s.status_writes()) == 1


async def test_a_refusal_by_the_api_server_is_tried_again_slowly(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.before.append(Denied("canaries/status is forbidden"))
    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))
    await asyncio.sleep(29)
    assert s.status_writes() == []

    await asyncio.sleep(2)

    assert len(s.status_writes()) == 1
    assert 'serinus_analyzer_setbacks_total{reason="refused"} 1' in s.exposed()


async def test_facts_that_stay_true_are_told_once(stage: MakeStage) -> None:
    """Not even offered to the bus again, whose own memory for repeats is short."""
    s = stage(spec=a_canary_spec(suspend=True), status=a_status("Initialized"))
    published = published_by(s)

    for _ in range(5):
        await s.observe()

    assert [m.text for m in published if isinstance(m, Fact)] == [
        "skipping canary run as object is suspended"
    ]


async def test_post_rollout_hooks_come_before_the_news_of_the_end(stage: MakeStage) -> None:
    """As recorded: the first passes, the second fails, the third is not asked."""
    hooks = tuple(a_hook(n, type="post-rollout") for n in ("one", "two", "three"))
    spec = a_canary_spec(analysis=an_analysis(webhooks=hooks))
    s = stage(in_turn(reply(200), reply(404, "no")), spec=spec, status=a_status("Finalising"))
    await s.observe(primary=a_primary_seen(NEW))
    await s.route()

    await asyncio.sleep(1)

    assert s.texts() == [
        "Post-rollout check one passed",
        "Post-rollout hook two failed no",
        "Promotion completed! Scaling down web.shop",
    ]
    assert [r.url for r in s.http.sent] == ["http://hooks.test/one", "http://hooks.test/two"]


async def test_an_end_that_a_crash_left_untold_is_told_at_start(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Succeeded"))

    await s.observe(primary=a_primary_seen(NEW))

    assert s.texts() == ["Promotion completed! Scaling down web.shop"]
    (told,) = s.broker.messages(Promoted)
    assert told.alert is not None


async def test_an_end_that_was_told_is_not_told_again(stage: MakeStage) -> None:
    s = stage(spec=MEASURED, status=a_status("Succeeded"))
    await s.bus.publish(Promoted(canary=REF, id="x", at=T0 + 0.0004, text="done"))

    await s.observe(primary=a_primary_seen(NEW))

    assert s.texts() == ["done"]


async def test_a_canary_that_is_gone_leaves_nothing_behind(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    await s.observe()
    await s.route()
    assert 'flagger_canary_weight{namespace="shop",workload="web"} 20' in s.exposed()

    await s.loop.forget(CanaryGone(canary=REF))
    await asyncio.sleep(60)

    assert "flagger_canary_weight{" not in s.exposed()
    assert "flagger_canary_total{" not in s.exposed()
    assert s.http.sent == []
    assert s.loop.life(REF.key) is None


async def test_a_canary_of_another_replica_costs_nothing_until_it_is_ours(stage: MakeStage) -> None:
    """Snapshots and routes came meanwhile: the next step is on time, whoever takes it."""
    hands = Hands()
    s = stage(**progressing(20), share=hands)
    await s.observe()
    other = Stage(in_turn(ONE), **progressing(20))
    await other.observe()
    wanted = other.intents()[-1]
    await s.loop.observe_routes(a_routes_observed(wanted.id, 20))
    await asyncio.sleep(9.0)
    assert ([], [], None) == (s.intents(), s.status_writes(), s.loop.life(REF.key))

    hands.give(REF.key)
    await asyncio.sleep(1.1)

    assert [40] == [w["canaryWeight"] for w in s.status_writes() if "canaryWeight" in w]
    await other.loop.close()
    await other.spawn.close()


async def test_a_canary_that_goes_to_another_replica_is_let_go(stage: MakeStage) -> None:
    hands = Hands([REF.key])
    s = stage(**progressing(20), share=hands)
    await s.observe()
    await s.route()

    hands.give()
    await asyncio.sleep(60)
    assert ([], []) == (s.status_writes(), s.http.sent)
    assert "flagger_canary_weight{" not in s.exposed()

    hands.give(REF.key)
    await asyncio.sleep(1)

    assert 1 == len(s.status_writes())


async def test_a_canary_that_leaves_again_while_it_is_being_taken_over_is_not_kept(
    stage: MakeStage,
) -> None:
    hands = Hands([REF.key])
    s = stage(**progressing(20), share=hands)
    latest = s.bus.latest

    async def slow(*args: Any) -> Any:
        hands.give()
        return await latest(*args)

    s.bus.latest = slow  # type: ignore[method-assign]
    await s.observe()

    assert (None, []) == (s.loop.life(REF.key), s.intents())


async def test_routes_that_come_first_wait_for_their_canary(stage: MakeStage) -> None:
    s = stage(**progressing(20))
    await s.observe()
    intent = s.intents()[-1]
    await s.loop.close()
    s.restarted()

    await s.loop.observe_routes(a_routes_observed(intent.id, 20))
    await s.observe()
    await asyncio.sleep(10.5)

    assert s.canary["status"]["canaryWeight"] == 40


async def test_routes_of_a_canary_that_is_gone_are_not_kept(stage: MakeStage) -> None:
    """The router may speak last; one of the same name that comes later is another canary."""
    s = stage(**progressing(20))
    await s.observe()
    told = a_routes_observed(s.intents()[-1].id, 20)
    await s.loop.forget(CanaryGone(canary=REF))

    await s.loop.observe_routes(told)
    assert s.loop.early == 0

    another = msgspec.structs.replace(REF, uid="another")
    await s.loop.observe_routes(msgspec.structs.replace(told, canary=another))
    assert s.loop.early == 1


async def test_revert_on_deletion_gets_its_finalizer(stage: MakeStage) -> None:
    spec = a_canary_spec(revert_on_deletion=True)
    s = stage(spec=spec, status=a_status("Initialized"))

    await s.observe(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
    await s.observe(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))

    assert s.canary["metadata"]["finalizers"] == ["finalizer.flagger.app"]
    assert len(s.cluster.patches) == 1


async def test_a_mistake_in_one_turn_is_counted_and_tried_again(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(spec=MEASURED, status=a_status("Initialized"))
    s.cluster.before.append(RuntimeError("a bug"))

    await s.observe(target=a_workload_seen(NEW), primary=a_primary_seen(OLD))
    await asyncio.sleep(61)

    assert 'serinus_analyzer_setbacks_total{reason="bug"} 1' in s.exposed()
    assert [type(f) for f in s.broker.messages(Fact) if f.text] == [RolloutStarted]


async def test_an_outdated_view_never_replaces_a_newer_wish(stage: MakeStage) -> None:
    """A starting analyzer with an old snapshot: the bus knows better, the object is read."""
    s = stage(**progressing(20))
    old = s.seen(an_observed())
    await s.observe()
    await s.route()
    await asyncio.sleep(10.5)
    assert s.intents()[-1].routes.canary == 40

    await s.loop.close()
    s.restarted()
    await s.loop.observe(old)
    assert s.intents()[-1].routes.canary == 40
    await asyncio.sleep(5)

    life = s.loop.life(REF.key)
    assert life is not None
    assert life.seen.status.canary_weight == 40


async def test_a_slow_answer_counts_for_the_round_in_which_it_was_asked(stage: MakeStage) -> None:
    """A hook that needs longer than the interval is asked once per step, and the step is taken."""
    hooked = a_canary_spec(analysis=an_analysis(webhooks=(a_hook(type="rollout", timeout="1m"),)))
    s = stage(in_turn(reply(200)), **progressing(20, hooked))
    s.http.delay_s = 25.0
    await s.observe()
    await s.route()

    await asyncio.sleep(36)

    assert s.canary["status"]["canaryWeight"] == 40
    assert len(s.http.sent) == 1
    assert 'flagger_canary_duration_seconds_sum{name="web",namespace="shop"} 25' in s.exposed()
