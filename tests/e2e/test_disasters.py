"""In the middle of a release something dies, and the release's history is as if nothing had been.

The same canary is released once undisturbed; phases, weights and Events must come as there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import pytest
from tests.e2e import judge
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import with_kube
from tests.e2e.disasters import (
    astray_s,
    drain,
    end,
    in_charge,
    kill,
    kubectl,
    paused,
    pods,
    replicas_seen,
    set_clock,
    settable_clocks,
)
from tests.e2e.hello import INTERVAL_S, NAME, Hello, hello_in
from tests.e2e.judge import History
from tests.e2e.load import RATE, Traffic
from tests.e2e.stage import NAMESPACE, PREFIX, Stage
from tests.e2e.suite import RELEASE, Suite
from tests.servers.kube import Kube, Obj
from tests.servers.waiting import eventually

STEPS = [15, 30, 45, 60]
# A scrape that is missed while everything restarts is asked for again.
PATIENT = 10
EARLY = 0.8
LATEST_S = 240
TOLD_WITHIN_S = 60
AFTERMATH = 8 * RATE
PAUSE = 30 * RATE
ASTRAY_S = 60.0
SHARED = ("watcher", "analyzer", "router", "notifier")


async def initialised(hello: Hello) -> History:
    """What its history is before anything is released."""
    await hello.deploy()
    await hello.canary(step=STEPS[0], most=STEPS[-1], threshold=PATIENT)
    await hello.until("Initialized")
    return await hello.history()


@contextlib.asynccontextmanager
async def released(hello: Hello) -> AsyncIterator[Traffic]:
    """A release under load, in whose middle, from the first weight on, the block runs."""
    async with hello.traffic() as traffic:
        await hello.push("2.0")
        await hello.until_weight(STEPS[0])
        yield traffic
        await hello.until("Succeeded", within_s=LATEST_S)
        await traffic.enough(AFTERMATH)
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert {r.version for r in traffic.requests[-RATE:]} == {"2.0"}


@pytest.fixture(scope="session")
def undisturbed(installed: Stage, node: Cluster) -> History:
    """Of such a canary, from its first day to the end of its release."""

    async def run(kube: Kube) -> History:
        async with hello_in(kube, installed, f"{PREFIX}undisturbed") as hello:
            await initialised(hello)
            async with released(hello):
                pass
            return await hello.history()

    return with_kube(node.kubeconfig, run)


async def assert_unharmed(hello: Hello, undisturbed: History, *, patient: bool = False) -> None:
    """Its history is that of the undisturbed one, within a minute (somebody new tells it), and no
    step of it was early. Raises AssertionError with all that is otherwise."""
    found: list[str] = []

    async def same() -> bool:
        found[:] = judge.differences(undisturbed, await hello.history(), patient=patient)
        return not found

    with contextlib.suppress(TimeoutError):
        await eventually(same, "the same history", TOLD_WITHIN_S)
    assert not found, "\n".join([*found, *await hello.events()])
    gaps_s = judge.gaps_s(hello.moments)
    assert len(gaps_s) == len(STEPS)
    assert min(gaps_s) >= EARLY * INTERVAL_S, gaps_s


async def test_undisturbed_steps_come_in_their_order(undisturbed: History) -> None:
    weights = [weight for phase, weight in undisturbed.statuses if phase == "Progressing"]
    assert weights == [0, *STEPS]
    assert undisturbed.statuses[-1] == ("Succeeded", 0)


async def test_a_node_is_drained_and_budgets_keep_one_of_each_until_there_is_another(
    hello: Hello, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    """The one node is its own successor: drained of what budgets let go, it takes pods again."""
    await initialised(hello)
    async with released(hello) as traffic:
        before = {pod["metadata"]["uid"] for pod in await pods(hello.kube)}
        places = {pod["spec"]["nodeName"] for pod in await pods(hello.kube)}
        draining = [asyncio.create_task(drain(node.kubeconfig, place)) for place in places]
        try:
            await eventually(lambda: _held(hello.kube), "the budgets let no more go", 60)
            left = [pod for pod in await pods(hello.kube) if pod["metadata"]["uid"] in before]
            await traffic.enough(AFTERMATH)
        finally:
            for place in places:
                await kubectl(node.kubeconfig, "uncordon", place)
        said = "".join(await asyncio.gather(*draining))
    after = {pod["metadata"]["uid"] for pod in await pods(hello.kube)}
    figures.append(
        f"drain: {len(before)} pods, {len(left)} held back by budgets; {len(traffic.requests)} "
        f"requests; gaps {_rounded(hello)}"
    )
    assert len(left) == len(SHARED) == len({_service(pod) for pod in left})
    assert "disruption budget" in said
    assert not before & after
    await assert_unharmed(hello, undisturbed)


async def test_the_bus_loses_its_volume(
    hello: Hello, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    """It comes back empty: everything on it is made anew from the cluster."""
    await initialised(hello)
    async with released(hello) as traffic:
        before = await _streams(hello.kube)
        assert await kill(hello.kube, "nats")

        async def made_anew() -> bool:
            # The server that is on its way out may still answer.
            after = await _streams(hello.kube)
            return after.keys() >= before.keys() and min(after.values()) > max(before.values())

        await eventually(made_anew, "all streams are there again", 90)
    figures.append(
        f"NATS without its volume: {len(before)} streams made anew; {len(traffic.requests)} "
        f"requests; gaps {_rounded(hello)}"
    )
    assert {"SNAPSHOTS", "INTENTS", "FACTS"} <= before.keys()
    await assert_unharmed(hello, undisturbed)


async def test_the_api_server_hangs_for_half_a_minute(
    hello: Hello, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    await initialised(hello)
    async with released(hello) as traffic:
        with paused("kube-apiserver", node.kubeconfig):
            await traffic.enough(PAUSE)
    figures.append(f"API server paused: {len(traffic.requests)} requests; gaps {_rounded(hello)}")
    await assert_unharmed(hello, undisturbed)


@pytest.fixture(scope="module")
def clocks(
    installed: Stage, suite: Suite, node: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Every pod's clock can be set."""
    values = tmp_path_factory.mktemp("clocks") / "values.yaml"

    async def begin(kube: Kube) -> None:
        values.write_text(await settable_clocks(kube))
        await suite.install("--values", str(values))

    with_kube(node.kubeconfig, begin)
    try:
        yield
    finally:
        asyncio.run(suite.install())


async def test_the_clock_of_an_analyzer_is_minutes_ahead_then_behind(
    hello: Hello, clocks: None, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    await goes_astray("analyzer", hello, node, figures)
    await assert_unharmed(hello, undisturbed, patient=True)


async def test_the_clock_of_a_watcher_is_minutes_ahead_then_behind(
    hello: Hello, clocks: None, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    await goes_astray("watcher", hello, node, figures)
    await assert_unharmed(hello, undisturbed)


async def test_the_clock_of_a_router_is_minutes_ahead_then_behind(
    hello: Hello, clocks: None, node: Cluster, undisturbed: History, figures: list[str]
) -> None:
    await goes_astray("router", hello, node, figures)
    await assert_unharmed(hello, undisturbed)


async def goes_astray(service: str, hello: Hello, node: Cluster, figures: list[str]) -> None:
    """A release with the pod of this service that has the canary on a wrong clock. At the end that
    pod dies, and one that is right goes on from there."""
    await initialised(hello)
    pod = await in_charge(hello.kube, service, f"{hello.namespace}/{NAME}")
    async with released(hello) as traffic:
        await set_clock(node.kubeconfig, pod, "+5m")
        await hello.until_weight(STEPS[1])
        ahead_s = await astray_s(node.kubeconfig, pod)
        await set_clock(node.kubeconfig, pod, "-3m")
        await hello.until_weight(STEPS[2])
        behind_s = await astray_s(node.kubeconfig, pod)
        seen = await replicas_seen(hello.kube, service)
        await end(hello.kube, pod)
    figures.append(
        f"{service}'s clock {ahead_s:+.0f} s, then {behind_s:+.0f} s: {len(traffic.requests)} "
        f"requests; gaps {_rounded(hello)}"
    )
    assert ahead_s > ASTRAY_S
    assert behind_s < -ASTRAY_S
    assert set(seen.values()) == {2.0}, "a wrong clock does not cost a Lease"


def _service(pod: Obj) -> str:
    return str(pod["metadata"]["labels"]["app.kubernetes.io/name"])


def _rounded(hello: Hello) -> list[float]:
    return [round(gap_s, 1) for gap_s in judge.gaps_s(hello.moments)]


async def _held(kube: Kube) -> bool:
    """Whether no budget lets another pod go."""
    budgets = await kube.list("policy/v1", "PodDisruptionBudget", NAMESPACE)
    return not any(budget["status"]["disruptionsAllowed"] for budget in budgets)


async def _streams(kube: Kube) -> dict[str, datetime]:
    """When each stream on the bus was made; none while NATS is away."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{RELEASE}-nats-0:8222/proxy/jsz?streams=true"
    with contextlib.suppress(Exception):
        (account,) = (await kube.request("GET", path))["account_details"]
        return {s["name"]: datetime.fromisoformat(s["created"]) for s in account["stream_detail"]}
    return {}
