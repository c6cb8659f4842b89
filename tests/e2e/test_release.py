"""Releases on a real cluster, with 200 requests per second from outside all along."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.e2e import judge
from tests.e2e.hello import APPS, CANARY, NAME, TRAEFIK, Hello
from tests.e2e.load import RATE
from tests.e2e.stage import FRONTS, NAMESPACE
from tests.e2e.suite import RELEASE
from tests.servers.kube import Obj

# Traefik deals requests out, Envoy draws lots: four standard deviations of 1,200 requests.
SHARE_POINTS = {"traefik": 3.0, "contour": 6.0}
BAD_ERROR_RATE = 0.10
# Enough to see what comes after: proxies that follow, pods that end.
AFTERMATH = 8 * RATE
EVERYWHERE = pytest.mark.parametrize("hello", FRONTS, indirect=True)
HOOKS = f"http://{RELEASE}-loadtester.{NAMESPACE}/"


def hooks(hello: Hello) -> list[Obj]:
    """What the load tester is asked to do, with the tools that its image has."""
    shared = {"url": HOOKS, "timeout": "10s"}
    url = f"http://{NAME}-canary.{hello.namespace}/"
    smoke = {"type": "bash", "cmd": f"curl -sf {url} | jq -e '.version == \"2.0\"'"}
    load = {"type": "cmd", "cmd": f"hey -z 2s -q 5 -c 1 {url}"}
    return [
        {"name": "smoke", "type": "pre-rollout", **shared, "metadata": smoke},
        {"name": "load", "type": "rollout", **shared, "metadata": load},
    ]


async def initialised(hello: Hello, webhooks: Sequence[Obj] = ()) -> None:
    await hello.deploy()
    await hello.canary(webhooks=webhooks)
    await hello.until("Initialized")


@EVERYWHERE
async def test_a_good_release_goes_live_and_no_request_fails(
    hello: Hello, figures: list[str]
) -> None:
    await initialised(hello, webhooks=hooks(hello))
    async with hello.traffic() as traffic:
        await hello.push("2.0")
        await hello.until("Progressing")
        await hello.until("Succeeded", within_s=120)
        await traffic.enough(AFTERMATH)
    steps = judge.steps(hello.moments, traffic.requests, "2.0")
    figures += [
        f"good release, {hello.front}: {len(traffic.requests)} requests",
        *map(str, steps),
    ]
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert [step.ordered for step in steps] == [20, 40, 60]
    assert [
        step for step in steps if abs(step.seen - step.ordered) > SHARE_POINTS[hello.front]
    ] == []
    assert {r.version for r in traffic.requests[-RATE:]} == {"2.0"}
    assert await hello.version_of(f"{NAME}-primary") == "2.0"
    assert await hello.replicas_of(NAME) == 0
    assert f"Promotion completed! Scaling down {NAME}.{hello.namespace}" in await hello.events()


@EVERYWHERE
async def test_a_bad_release_costs_no_more_than_was_ordered(
    hello: Hello, figures: list[str]
) -> None:
    await initialised(hello)
    async with hello.traffic() as traffic:
        await hello.push("2.0-errors10")
        await hello.until("Progressing")
        await hello.until("Failed", within_s=90)
        await traffic.enough(AFTERMATH)
    failures = judge.failures(traffic.requests)
    stake = judge.at_stake(hello.moments, traffic.requests)
    allowed = judge.allowed_failures(stake, BAD_ERROR_RATE)
    figures.append(
        f"bad release, {hello.front}: {len(traffic.requests)} requests, {failures.total()} "
        f"failed, {allowed:.0f} allowed: {stake:.0f} ordered for the canary, of which "
        f"{BAD_ERROR_RATE:.0%} fail"
    )
    assert {(status, version) for status, version, _ in failures} == {(500, "2.0-errors10")}
    assert failures.total() <= allowed
    steps = judge.steps(hello.moments, traffic.requests, "2.0-errors10")
    figures += map(str, steps)
    assert [
        step for step in steps if abs(step.seen - step.ordered) > SHARE_POINTS[hello.front]
    ] == []
    assert {r.version for r in traffic.requests[-RATE:]} == {"1.0"}
    assert await hello.version_of(f"{NAME}-primary") == "1.0"
    told = await hello.events()
    assert any("advancement success rate" in text and "< 99%" in text for text in told), told
    assert any(text.startswith(f"Canary failed! Scaling down {NAME}.") for text in told), told


async def test_a_release_that_never_comes_up_gets_no_request(hello: Hello) -> None:
    await hello.deploy()
    await hello.canary(progressDeadlineSeconds=20)
    await hello.until("Initialized")
    async with hello.traffic() as traffic:
        await hello.push("2.0-crash")
        await hello.until("Progressing")
        await hello.until("Failed", within_s=60)
        await traffic.enough(AFTERMATH)
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert {r.version for r in traffic.requests} == {"1.0"}
    assert {moment.weight for moment in hello.moments} == {0}
    assert await hello.replicas_of(NAME) == 0


async def test_a_release_whose_pods_crash_under_load_is_rolled_back(
    hello: Hello, figures: list[str]
) -> None:
    await hello.deploy()
    await hello.canary(threshold=20)
    await hello.until("Initialized")
    async with hello.traffic() as traffic:
        await hello.push("2.0-crash6")
        await hello.until("Progressing")
        await hello.until("Failed", within_s=60)
        await traffic.enough(AFTERMATH)
    failures = judge.failures(traffic.requests)
    stake = judge.at_stake(hello.moments, traffic.requests)
    figures.append(
        f"crashing release: {len(traffic.requests)} requests, {failures.total()} failed, "
        f"{stake:.0f} ordered for the canary: {dict(failures)}"
    )
    assert {status for status, _, _ in failures} <= {502, 503}
    assert failures.total() <= stake
    assert {r.version for r in traffic.requests[-RATE:]} == {"1.0"}
    assert 20 in {moment.weight for moment in hello.moments}
    told = await hello.events()
    assert any("CrashLoopBackOff" in text for text in told), told


async def test_a_baseline_serves_beside_the_primary_and_goes_without_a_lost_request(
    hello: Hello, figures: list[str]
) -> None:
    """The service drains nothing by itself: it is the hook of ours that lets proxies follow."""
    await hello.deploy(drain_s=0)
    await hello.canary(baseline=True)
    await hello.until("Initialized")
    async with hello.traffic() as traffic:
        await hello.push("2.0-errors10")
        await hello.until_weight(20)
        await traffic.enough(4 * RATE)
        baseline = await hello.answered_by(f"{NAME}-baseline")
        primary = await hello.answered_by(f"{NAME}-primary")
        await hello.until("Failed", within_s=90)
        await traffic.enough(AFTERMATH)
    failures = judge.failures(traffic.requests)
    figures.append(f"baseline: {len(traffic.requests)} requests, {baseline} beside {primary}")
    assert len(baseline) == len(primary) == 2
    assert min(baseline.values()) > RATE // 4
    assert {(status, version) for status, version, _ in failures} == {(500, "2.0-errors10")}
    assert not await hello.answered_by(f"{NAME}-baseline")


async def test_a_changed_config_map_is_a_release(hello: Hello, figures: list[str]) -> None:
    await hello.deploy(from_config=True)
    await hello.canary(step=50, most=50)
    await hello.until("Initialized")
    async with hello.traffic() as traffic:
        await hello.configure("2.0")
        await hello.until("Progressing")
        await hello.until("Succeeded", within_s=90)
        await traffic.enough(AFTERMATH)
    steps = judge.steps(hello.moments, traffic.requests, "2.0")
    figures += [f"config map: {len(traffic.requests)} requests", *map(str, steps)]
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert [step.ordered for step in steps] == [50]
    assert [
        step for step in steps if abs(step.seen - step.ordered) > SHARE_POINTS[hello.front]
    ] == []
    assert {r.version for r in traffic.requests[-RATE:]} == {"2.0"}
    copy = await hello.get("ConfigMap", f"{NAME}-primary")
    assert copy["data"] == {"version": "2.0"}


async def test_a_canary_comes_and_goes_and_no_request_fails(
    hello: Hello, figures: list[str]
) -> None:
    """The user has a Service and a route already, gets a Canary, and has them back after it."""
    await hello.deploy()
    await hello.own_route()
    await hello.serving()
    route = await hello.get("TraefikService", NAME, TRAEFIK)
    async with hello.traffic() as traffic:
        await hello.canary(revertOnDeletion=True)
        await hello.until("Initialized")
        await traffic.enough(AFTERMATH)
        assert await hello.replicas_of(NAME) == 0
        await hello.kube.delete(CANARY, "Canary", hello.namespace, NAME)
        await hello.until("gone", within_s=90)
        await traffic.enough(AFTERMATH)
    figures.append(f"canary comes and goes: {len(traffic.requests)} requests")
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert await hello.replicas_of(NAME) == 2
    assert (await hello.get("TraefikService", NAME, TRAEFIK))["spec"] == route["spec"]
    assert (await hello.get("Service", NAME))["spec"]["selector"] == {"app": NAME}
    primary = await hello.kube.find(APPS, "Deployment", hello.namespace, f"{NAME}-primary")
    assert primary is None or primary["metadata"].get("deletionTimestamp")
