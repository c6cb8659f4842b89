"""Looking, remembering, letting go; requests to our own canaries; hooks that wait."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.builders import NEW, OLD, a_canary, a_status, a_workload_seen, an_observed
from tests.unit.router.cluster import FakeCluster

from serinus.coordinator.core.fleet import SILENT_S, Ask, Changed, Fleet, Message, Pulse
from serinus.coordinator.core.orders import Order
from serinus.coordinator.core.standing import Key, Standing, release_of
from serinus.coordinator.desk import ABORT, PAUSE, SEEN_S, SHOW_S, START_S, Desk
from serinus.events import CanaryGone, CanaryRef
from serinus.kube.cluster import Change
from serinus.kube.errors import Conflict
from serinus.kube.refs import Obj, Ref
from serinus.runtime import LoopClock
from serinus.runtime.telemetry import PrometheusMetrics

pytestmark = pytest.mark.looptime

WEB = Key("here", "shop", "web")
THERE = Key("there", "shop", "web")
IMAGES = {"web": "example.test/web:2"}
RELEASE = release_of(IMAGES)
WAVE = Ref("serinus.dev/v1alpha1", "Wave", "shop", "web")


def a_wave(*steps: tuple[str, str], **spec: Any) -> Obj:
    """Steps as (cluster, canary)."""
    return {
        "apiVersion": "serinus.dev/v1alpha1",
        "kind": "Wave",
        "metadata": {"name": "web", "namespace": "shop", "uid": "w", "generation": 1},
        "spec": {
            "steps": [
                {"name": f"s{n}", "canaries": [{"cluster": cluster, "name": name}]}
                for n, (cluster, name) in enumerate(steps)
            ],
            **spec,
        },
    }


def seen(phase: str, target: str = NEW, *, annotations: dict[str, str] | None = None) -> Any:
    """Our own canary `web`; a waiting one wants images that are not live yet."""
    return an_observed(
        status=a_status(phase),
        target=a_workload_seen(target, images=IMAGES),
        annotations=annotations or {},
    )


class Line:
    """What was said to the other clusters."""

    def __init__(self) -> None:
        self.said: list[Message] = []

    async def say(self, messages: Iterable[Message]) -> None:
        self.said += messages


class Stage:
    """A desk on a cluster in memory; the other cluster is `there`."""

    def __init__(self, *objects: Obj) -> None:
        self.cluster = FakeCluster(a_canary(), *objects)
        self.clock = LoopClock(epoch=1_800_000_000.0)
        self.desk = Desk(
            "here", 1, cluster=self.cluster, clock=self.clock, metrics=PrometheusMetrics()
        )
        self.line = Line()
        self.desk.line = self.line
        self.there = Fleet("there", 1)
        for obj in objects:
            self.sees(obj)
        self.desk.waves.replace(list(self.desk.waves), "1")

    def sees(self, obj: Obj) -> None:
        """The watch brings a wave."""
        live = self.cluster.objects[WAVE] if obj["kind"] == "Wave" else obj
        self.desk.waves.take(Change("MODIFIED", live))

    async def hear(self, messages: list[Message]) -> None:
        self.desk.hear(self.there.pulse())
        for message in messages:
            self.desk.hear(message)
        for message in list(self.line.said):
            for answer in self.there.hear(message, self.clock.monotonic()):
                self.desk.hear(answer)
        await asyncio.sleep(0.2)
        for message in list(self.line.said):
            for answer in self.there.hear(message, self.clock.monotonic()):
                self.desk.hear(answer)
        await asyncio.sleep(0.2)

    async def observe(self, observed: Any) -> None:
        await self.desk.observe(observed)
        await asyncio.sleep(0.2)

    @property
    def status(self) -> Obj:
        found: Obj = self.cluster.objects[WAVE]["status"]
        return found

    @property
    def annotations(self) -> dict[str, str]:
        canary = next(o for r, o in self.cluster.objects.items() if r.kind == "Canary")
        return canary["metadata"].get("annotations") or {}

    def events(self) -> list[str]:
        return [o["message"] for r, o in self.cluster.objects.items() if r.kind == "Event"]


@asynccontextmanager
async def a_desk(*objects: Obj, ready: bool = True) -> AsyncIterator[Stage]:
    """After its start; `ready=False`: at its start."""
    stage = Stage(*objects)
    tasks = [asyncio.create_task(stage.desk.run()), asyncio.create_task(stage.desk.pulse())]
    try:
        await asyncio.sleep(START_S + 0.2 if ready else 0.0)
        yield stage
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def there(state: Any, release: str = RELEASE, live: str = "") -> Standing:
    return Standing(key=THERE, state=state, phase=state, release=release, live=live or release)


# --- waves ---------------------------------------------------------------------------------------


async def test_a_canary_waits_for_another_cluster_and_goes_when_that_is_done() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web"))) as stage:
        await stage.hear(stage.there.stand(there("running", live="old")))
        await stage.observe(seen("Waiting"))
        answer = stage.desk.confirm("shop", "web")
        assert (403, "wave shop/web@here: shop/web in there is running") == (
            answer.status,
            answer.text,
        )
        assert "Running" == stage.status["phase"]

        await stage.hear(stage.there.stand(there("settled")))

        assert 200 == stage.desk.confirm("shop", "web").status
        granted = [m.get("granted") for m in stage.status["steps"][1]["remembered"]]
        assert [RELEASE] == granted


async def test_what_is_let_go_was_remembered_before() -> None:
    """A status that cannot be written lets nothing go."""
    async with a_desk(a_wave(("here", "web"))) as stage:
        stage.cluster.failures_of[("patch", "Wave/web")] = [Conflict("changed")] * 1000
        await stage.observe(seen("Waiting"))
        assert 403 == stage.desk.confirm("shop", "web").status

        stage.cluster.failures_of.clear()
        stage.sees(a_wave(("here", "web")))
        await asyncio.sleep(10.0)

        assert 200 == stage.desk.confirm("shop", "web").status


async def test_at_rest_nothing_is_written_and_nothing_but_pulses_is_said() -> None:
    async with a_desk(a_wave(("here", "web"))) as stage:
        await stage.observe(seen("Initialized", OLD))
        await asyncio.sleep(2 * SHOW_S)
        stage.cluster.asked.clear()
        stage.line.said.clear()
        await asyncio.sleep(600.0)

        assert [] == stage.cluster.asked
        assert {"pulse.v1"} == {m.__struct_config__.tag for m in stage.line.said}


async def test_changes_are_told_as_events_once() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web"))) as stage:
        await stage.observe(seen("Waiting"))
        (text,) = stage.events()
        assert text.startswith("step s0: no news from there since this coordinator started at")
        await stage.observe(seen("Waiting", annotations={"x": "y"}))
        assert 1 == len(stage.events())


async def test_a_pulse_comes_behind_the_changes_that_it_counts() -> None:
    """Otherwise everybody would ask for the whole again and again."""
    async with a_desk() as stage:
        said: list[Message] = []
        real = stage.line.say

        async def slowly(messages: Iterable[Message]) -> None:
            for message in messages:
                await asyncio.sleep(0.3)
                await real([message])
                said.append(message)

        stage.line.say = slowly  # type: ignore[method-assign]
        for n in range(20):
            await stage.desk.observe(seen("Waiting", target=f"s1-{n}"))
            await stage.desk.observe(seen("Initialized", OLD))
            await asyncio.sleep(0.25)
        await asyncio.sleep(30.0)

        known = 0
        for message in said:
            assert not isinstance(message, Pulse) or message.number == known
            known = message.number if isinstance(message, Changed) else known
        assert known >= 40


async def test_a_wave_that_is_deleted_lets_nothing_go_any_more() -> None:
    wave = a_wave(("here", "web"))
    async with a_desk(wave) as stage:
        await stage.observe(seen("Waiting"))
        assert 200 == stage.desk.confirm("shop", "web").status

        stage.desk.waves.take(Change("DELETED", stage.cluster.objects[WAVE]))
        await asyncio.sleep(0.2)

        answer = stage.desk.confirm("shop", "web")
        assert 403 == answer.status
        assert "no Wave in here has anything to say" in answer.text


async def test_a_wave_that_cannot_be_read_harms_no_other() -> None:
    broken = a_wave(("here", "web"))
    broken["metadata"]["name"], broken["spec"]["steps"] = "broken", "all of them"
    async with a_desk(a_wave(("here", "web"))) as stage:
        stage.desk.waves.take(Change("ADDED", stage.cluster.put(broken)))
        await stage.observe(seen("Waiting"))
        assert 200 == stage.desk.confirm("shop", "web").status


async def test_a_wave_that_cannot_be_read_says_where_and_what_to_write() -> None:
    """Also one that could be read before: what it let go stays, and it says so once."""
    async with a_desk(a_wave(("here", "web"))) as stage:
        await stage.observe(seen("Waiting"))
        edit(stage, "all of them")
        await asyncio.sleep(1.0)

        assert "Refused" == stage.status["phase"]
        said = "spec.steps[0].canaries: Expected `array`, got `str`; see `kubectl explain"
        assert stage.status["message"].startswith(said)
        stalled = next(c for c in stage.status["conditions"] if c["type"] == "Stalled")
        assert ("True", "Refused", stage.status["message"]) == (
            stalled["status"],
            stalled["reason"],
            stalled["message"],
        )
        assert said in stage.events()[-1]
        assert 200 == stage.desk.confirm("shop", "web").status
        stage.cluster.asked.clear()
        await asyncio.sleep(60.0)
        assert [] == stage.cluster.asked

        edit(stage, [{"name": "web"}])
        await asyncio.sleep(1.0)
        assert "Running" == stage.status["phase"]


def edit(stage: Stage, canaries: object) -> None:
    stage.sees(stage.cluster.objects[WAVE])
    wave = copy.deepcopy(stage.cluster.objects[WAVE])
    wave["spec"]["steps"][0]["canaries"] = canaries
    stage.cluster.put(wave)
    stage.sees(wave)


async def test_a_status_that_cannot_be_read_is_named_too() -> None:
    wave = a_wave(("here", "web"))
    wave["status"] = {"steps": "all of them"}
    async with a_desk(wave) as stage:
        assert stage.status["message"].startswith("status.steps: Expected `array`")


async def test_a_canary_that_is_gone_is_no_longer_known() -> None:
    async with a_desk(a_wave(("here", "web"))) as stage:
        await stage.observe(seen("Waiting"))
        await stage.desk.forget(CanaryGone(canary=CanaryRef("shop", "web")))
        await asyncio.sleep(0.2)

        assert {} == dict(stage.desk.fleet.mine)
        assert 403 == stage.desk.confirm("shop", "web").status


async def test_a_cluster_that_falls_silent_is_noticed_without_any_news() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web"))) as stage:
        await stage.hear(stage.there.stand(there("settled", "another")))
        await stage.observe(seen("Waiting"))
        assert "has not got this release" in stage.status["message"]

        await asyncio.sleep(SILENT_S + 2.0)

        assert "no news from there" in stage.status["message"]


async def test_time_alone_lets_the_next_step_begin() -> None:
    wave = a_wave(("there", "web"), ("here", "web"))
    wave["spec"]["steps"][0]["soak"] = "60s"
    async with a_desk(wave) as stage:
        await stage.hear(stage.there.stand(there("settled")))
        await stage.observe(seen("Waiting"))
        for _ in range(58):
            await stage.hear([])
            await asyncio.sleep(0.6)
        assert 403 == stage.desk.confirm("shop", "web").status
        for _ in range(4):
            await stage.hear([])
            await asyncio.sleep(0.6)
        assert 200 == stage.desk.confirm("shop", "web").status


# --- after a start --------------------------------------------------------------------------------


async def test_nobody_is_told_that_all_others_are_away_while_they_have_not_been_asked() -> None:
    """A status is written when enough is known, and hooks wait for that."""
    wave = a_wave(("there", "web"), ("here", "web"))
    async with a_desk(wave, ready=False) as stage:
        await stage.observe(seen("Waiting"))
        await asyncio.sleep(SEEN_S)
        assert "status" not in stage.cluster.objects[WAVE]
        assert (403, "the coordinator has just started") == answered(stage)

        await stage.hear(stage.there.stand(there("settled")))

        assert (200, "go") == answered(stage)
        assert ["Running"] == [e.split(",")[0].split(": ")[-1] for e in stage.events()]


async def test_one_that_is_not_heard_of_is_waited_for_with_a_bound_and_named() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web")), ready=False) as stage:
        await stage.observe(seen("Waiting"))
        await asyncio.sleep(START_S)
        since = "no news from there since this coordinator started at 2027-01-15T08:00:00Z; "
        assert since + "annotate serinus.dev/override-silence=<who>" in stage.status["message"]
        asked = stage.desk.done(WEB, "there", "web", "")
        assert (403, True) == (asked.status, "since this coordinator started" in asked.text)


async def test_what_was_ordered_stands_until_a_restarted_coordinator_knows_better() -> None:
    """It does not answer those who ask for the whole before it has looked at its waves."""
    wave = a_wave(("there", "web"), ("here", "web"))
    async with a_desk(wave, ready=False) as stage:
        await stage.desk.observe(seen("Waiting"))
        stage.desk.hear(Ask("there", "here"))
        await asyncio.sleep(1.0)
        assert "report.v1" not in tags(stage)
        await asyncio.sleep(START_S)
        stage.desk.hear(Ask("there", "here"))
        await asyncio.sleep(1.0)
        assert "report.v1" in tags(stage)


@pytest.mark.parametrize("home", ["there", "here"])
async def test_a_hold_outlives_the_coordinator_that_asked_for_it(home: str) -> None:
    """It is taken away when the wave is heard of and says so, not because nobody said anything."""
    held = f"wave shop/web@{home}, release {RELEASE}: the wave is paused"
    wave = a_wave(("here", "web"), paused=True)
    async with a_desk(*([wave] if home == "here" else []), ready=False) as stage:
        stage.cluster.failures_of[("patch", "Wave/web")] = [Conflict("changed")] * 1000
        await stage.desk.observe(seen("Promoting", annotations={PAUSE: held}))
        await asyncio.sleep(60.0)
        assert [] == [what for _, what in stage.cluster.asked if what.startswith("Canary/")]

        stage.cluster.failures_of.clear()
        if home == "there":
            await stage.hear([])
        else:
            stage.cluster.put({**wave, "spec": {**wave["spec"], "paused": False}})
            stage.sees(wave)
            await asyncio.sleep(10.0)
        assert PAUSE not in {k: v for k, v in stage.annotations.items() if v}


def answered(stage: Stage) -> tuple[int, str]:
    answer = stage.desk.confirm("shop", "web")
    return answer.status, answer.text


def tags(stage: Stage) -> list[str]:
    return [str(m.__struct_config__.tag) for m in stage.line.said]


# --- how much is written --------------------------------------------------------------------------


async def test_how_far_a_wave_is_is_written_once_a_second_and_grants_at_once() -> None:
    """Fifty canaries of another cluster move, three times a second each, for ten seconds."""
    keys = [Key("there", "shop", f"web-{n}") for n in range(50)]
    wave = a_wave(*((key.cluster, key.name) for key in keys), ("here", "web"))
    async with a_desk(wave) as stage:
        await stage.observe(seen("Waiting"))
        await stage.hear([m for k in keys for m in stage.there.stand(moving(k, 0))])
        stage.cluster.asked.clear()
        for turn in range(1, 31):
            await stage.hear([m for k in keys for m in stage.there.stand(moving(k, turn))])
        writes = sum(verb == "patch" for verb, _ in stage.cluster.asked)
        assert 5 < writes <= 10 / SHOW_S + 3


def moving(key: Key, turn: int) -> Standing:
    phase = ("Progressing", "Promoting", "Finalising")[turn % 3]
    return Standing(key=key, state="running", phase=phase, release="new", live="old")


# --- our own canaries ----------------------------------------------------------------------------


def an_order(action: Any, why: str = "shop/web in there failed") -> Order:
    return Order(key=WEB, wave="shop/all@there", action=action, release=RELEASE, why=why)


async def test_an_abort_from_elsewhere_is_asked_for_once() -> None:
    async with a_desk() as stage:
        await stage.observe(seen("Promoting"))
        await stage.hear(stage.there.order("shop/all", [an_order("abort")]))
        wanted = f"wave shop/all@there, release {RELEASE}: shop/web in there failed"
        assert wanted == stage.annotations[ABORT]

        stage.cluster.asked.clear()
        await stage.observe(seen("Promoting", annotations={ABORT: wanted}))
        await asyncio.sleep(60.0)
        assert [] == stage.cluster.asked


async def test_a_hold_is_taken_away_again_and_people_s_own_is_not() -> None:
    async with a_desk() as stage:
        await stage.observe(seen("Promoting"))
        await stage.hear(stage.there.order("shop/all", [an_order("hold", "paused")]))
        assert stage.annotations[PAUSE].startswith("wave shop/all@there")

        await stage.hear(stage.there.order("shop/all", [an_order("go")]))
        assert PAUSE not in {k: v for k, v in stage.annotations.items() if v}

        await stage.observe(seen("Promoting", annotations={PAUSE: "alice"}))
        stage.cluster.asked.clear()
        await stage.hear(stage.there.order("shop/all", []))
        assert [] == stage.cluster.asked


async def test_an_order_about_another_release_is_not_carried_out() -> None:
    other = Order(key=WEB, wave="shop/all@there", action="abort", release="another", why="x")
    async with a_desk() as stage:
        await stage.observe(seen("Promoting"))
        await stage.hear(stage.there.order("shop/all", [other]))
        assert {} == stage.annotations


async def test_a_request_that_could_not_be_made_is_made_later() -> None:
    async with a_desk() as stage:
        stage.cluster.failures_of[("patch", "Canary/web")] = [Conflict("busy")]
        await stage.observe(seen("Promoting"))
        await stage.hear(stage.there.order("shop/all", [an_order("abort")]))
        await asyncio.sleep(10.0)
        assert ABORT in stage.annotations


# --- hooks ---------------------------------------------------------------------------------------


async def test_a_hook_is_answered_as_soon_as_it_may_go() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web"))) as stage:
        await stage.observe(seen("Waiting"))
        began = stage.clock.monotonic()
        ask = asyncio.create_task(
            stage.desk.settled(lambda: stage.desk.confirm("shop", "web"), 30.0)
        )
        await asyncio.sleep(3.0)
        await stage.hear(stage.there.stand(there("settled")))

        assert 200 == (await ask).status
        assert stage.clock.monotonic() - began < 4.0


async def test_a_hook_that_waits_in_vain_hears_why() -> None:
    async with a_desk(a_wave(("there", "web"), ("here", "web"))) as stage:
        await stage.observe(seen("Waiting"))
        answer = await stage.desk.settled(lambda: stage.desk.confirm("shop", "web"), 5.0)
        assert 403 == answer.status
        assert answer.text.startswith("wave shop/web@here: no news from there since")


async def test_another_canary_may_be_asked_about_without_any_wave() -> None:
    async with a_desk() as stage:
        await stage.observe(seen("Waiting"))
        await stage.hear(stage.there.stand(there("running")))
        assert 403 == stage.desk.done(WEB, "there", "web", "").status
        await stage.hear(stage.there.stand(there("settled")))
        assert 200 == stage.desk.done(WEB, "there", "web", "").status
        assert 403 == stage.desk.done(WEB, "nowhere", "web", "").status
