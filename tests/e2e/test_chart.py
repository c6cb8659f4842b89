"""What an operator does with the chart while users release: test, upgrade, remove, install."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
import yaml
from tests.chart.metrics import asked_for
from tests.e2e import judge
from tests.e2e.cluster import Cluster
from tests.e2e.hello import CANARY, NAME, Hello
from tests.e2e.images import SERVICES
from tests.e2e.load import RATE
from tests.e2e.own_nats import OwnNats
from tests.e2e.stage import APPS, NAMESPACE, Stage, tails
from tests.e2e.suite import RELEASE, Suite
from tests.servers.kube import ApiError, Kube, Obj
from tests.servers.process import ServerError
from tests.servers.waiting import eventually
from tests.tools.helm import CHART

AFTERMATH = 8 * RATE
# While eight services start on two cores Prometheus may miss a scrape: a check without data is
# asked once more, which is not what these tests are about.
PATIENT = 10
LATEST_S = 240
TEST = f"{RELEASE}-test"
STREAMS = {"SNAPSHOTS", "INTENTS", "FACTS"}
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


async def test_helm_test_releases_something_and_leaves_nothing(
    installed: Stage, suite: Suite, node: Cluster
) -> None:
    """With a hook that is called, as nothing but the default rules of the load tester stand."""
    await suite.install("--set-string", "loadtester.rules=")
    async with Kube(node.kubeconfig) as kube:
        begun = len(await _told(kube))
        try:
            said = await suite.test()
        except ServerError as error:
            raise AssertionError(f"{error}\n{await tails(kube, NAMESPACE, 12)}") from None
        assert said.count("Phase:          Succeeded") == said.count("TEST SUITE:") >= 5
        told = (await _told(kube))[begun:]
        assert any(text.startswith(f"Promotion completed! Scaling down {TEST}") for text in told)
        assert await kube.find(CANARY, "Canary", NAMESPACE, TEST) is None
        assert await kube.find(APPS, "Deployment", NAMESPACE, TEST) is None
        assert await kube.find("v1", "ServiceAccount", NAMESPACE, TEST) is None
    await suite.install()


async def test_what_alerts_and_dashboards_ask_for_is_exported(
    installed: Stage, node: Cluster
) -> None:
    exported: set[str] = set()
    async with Kube(node.kubeconfig) as kube:
        for pod in await kube.list("v1", "Pod", NAMESPACE):
            meta = pod["metadata"]
            is_ours = meta["labels"].get("app.kubernetes.io/name") not in ("nats", None)
            if not is_ours or "deletionTimestamp" in meta:
                continue
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{meta['name']}:8080/proxy/metrics"
            exported |= set(re.findall(r"^# TYPE (\w+)", await kube.text(path), re.MULTILINE))
    missing = {where: names - exported for where, names in asked_for().items() if names - exported}
    assert missing == {}


async def test_an_upgrade_from_the_version_before_and_the_way_back_skip_and_double_no_step(
    hello: Hello, suite: Suite, before: Suite, figures: list[str]
) -> None:
    """Both in one rollout: two replicas of everything are replaced twice, and the bus with them."""
    await suite.uninstall()
    await hello.kube.delete(*DEFINITION, None, "waves.serinus.dev")  # which is new since
    await before.install()
    try:
        passwords = await _passwords(hello.kube)
        await hello.deploy()
        await hello.canary(step=10, most=80, threshold=PATIENT)
        await hello.until("Initialized")
        async with hello.traffic() as traffic:
            await hello.push("2.0")
            await hello.until_weight(10)
            await suite.install("--reset-then-reuse-values")
            versions, definitions = await _versions(hello.kube), await _definitions(hello.kube)
            assert hello.moments[-1].phase == "Progressing"
            await suite.roll_back()
            await hello.until("Succeeded", within_s=LATEST_S)
            await traffic.enough(AFTERMATH)
        assert await _versions(hello.kube) == {before.version}
        assert set((await _passwords(hello.kube)).items()) >= set(passwords.items())
    finally:
        await suite.install()
    steps = judge.steps(hello.moments, traffic.requests, "2.0")
    figures += [f"upgrade in mid-rollout: {len(traffic.requests)} requests", *map(str, steps)]
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert judge.path(hello.moments) == [*range(0, 90, 10)], hello.moments
    assert {r.version for r in traffic.requests[-RATE:]} == {"2.0"}
    assert versions == {suite.version} != {before.version}
    assert definitions == _charted()


async def test_without_the_suite_services_go_on_serving_and_with_it_again_they_are_released(
    hello: Hello, suite: Suite, figures: list[str]
) -> None:
    await hello.deploy()
    await hello.canary(threshold=PATIENT)
    await hello.until("Initialized")
    async with hello.traffic() as traffic:
        await suite.uninstall()
        try:
            await traffic.enough(AFTERMATH)
            assert await hello.kube.find(CANARY, "Canary", hello.namespace, NAME) is not None
        finally:
            await suite.install()
        await traffic.enough(AFTERMATH)
        assert {m.phase for m in hello.moments[-1:]} == {"Initialized"}
        await hello.push("2.0")
        await hello.until("Succeeded", within_s=LATEST_S)
        await traffic.enough(AFTERMATH)
    figures.append(f"removed and installed again: {len(traffic.requests)} requests")
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert {r.version for r in traffic.requests[-RATE:]} == {"2.0"}


async def test_of_three_nats_servers_one_goes_and_then_all_for_the_users_own_in_mid_rollout(
    hello: Hello, suite: Suite, tmp_path: Path, figures: list[str]
) -> None:
    """The user's begins empty: what a rollout needs to go on is in Kubernetes."""
    own = OwnNats(hello.kube, hello.namespace)
    await own.start(hello.stage.references["nats"], tmp_path)
    await suite.install("--set", "nats.replicas=3")
    try:
        copies = await _copies(hello.kube)
        assert {name: count for name, count in copies.items() if count != 3} == {}
        assert set(copies) >= STREAMS
        await hello.deploy()
        await hello.canary(threshold=PATIENT)
        await hello.until("Initialized")
        async with hello.traffic() as traffic:
            await hello.push("2.0")
            await hello.until_weight(20)
            await hello.kube.delete("v1", "Pod", NAMESPACE, f"{RELEASE}-nats-0")
            await hello.until_weight(40)
            await suite.install("--set", own.values)
            await hello.until("Succeeded", within_s=LATEST_S)
            await traffic.enough(AFTERMATH)
        assert await own.clients() == {(service, True) for service in SERVICES}
        assert await own.streams() >= STREAMS
        assert await hello.kube.find(APPS, "StatefulSet", NAMESPACE, f"{RELEASE}-nats") is None
    finally:
        await suite.install()
    steps = judge.steps(hello.moments, traffic.requests, "2.0")
    figures += [f"from NATS to NATS: {len(traffic.requests)} requests", *map(str, steps)]
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert judge.path(hello.moments) == [0, 20, 40, 60], hello.moments


async def test_a_dry_run_tells_everything_changes_nothing_and_ends_without_a_lost_request(
    hello: Hello, suite: Suite, figures: list[str]
) -> None:
    await suite.install("--set", "dryRun=true")
    try:
        await hello.deploy()
        await hello.own_route()
        await hello.serving()
        async with hello.traffic() as traffic:
            own = await hello.objects()
            await hello.canary(threshold=PATIENT)
            await hello.until("Initialized")
            await traffic.enough(AFTERMATH)
            assert await hello.objects() == own
            told = await hello.events()
            await suite.install()
            await hello.primary()
            await hello.until("Initialized", within_s=LATEST_S)
            await traffic.enough(AFTERMATH)
    finally:
        await suite.install()
    figures.append(f"dry run, then for real: {len(traffic.requests)} requests")
    assert told
    assert [text for text in told if not text.startswith("Dry run: ")] == []
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert await hello.version_of(f"{NAME}-primary") == "1.0"
    assert await hello.replicas_of(NAME) == 0


async def test_a_suite_of_one_namespace_releases_there_with_roles_of_that_namespace(
    hello: Hello, suite: Suite
) -> None:
    await suite.install("--set", f"namespace={hello.namespace}")
    try:
        assert await _cluster_roles(hello.kube) == set()
        await hello.deploy()
        await hello.canary(step=50, most=50, threshold=PATIENT)
        await hello.until("Initialized")
        async with hello.traffic():
            await hello.push("2.0")
            await hello.until("Succeeded", within_s=LATEST_S)
        assert await hello.version_of(f"{NAME}-primary") == "2.0"
    finally:
        await suite.install()
    assert len(await _cluster_roles(hello.kube)) == 5


async def test_the_load_tester_stands_alone_and_lets_nobody_in_without_its_token(
    hello: Hello, suite: Suite
) -> None:
    await suite.install_load_tester("flagger-loadtester", hello.namespace)
    service = f"/api/v1/namespaces/{hello.namespace}/services/http:flagger-loadtester:80/proxy"
    try:
        assert (await hello.kube.text(f"{service}/healthz")).strip() == "OK"
        with pytest.raises(ApiError) as refused:
            await hello.kube.text(f"{service}/", "POST")
        assert refused.value.status == 401
    finally:
        await suite.uninstall_load_tester("flagger-loadtester", hello.namespace)


def _charted() -> dict[str, set[str]]:
    """The fields of each definition of a custom resource in the chart."""
    found = [yaml.safe_load(file.read_text("utf-8")) for file in CHART.glob("files/crds/*.yaml")]
    return {obj["metadata"]["name"]: _fields(_schema(obj)) for obj in found}


async def _definitions(kube: Kube) -> dict[str, set[str]]:
    """As `_charted`, in the cluster."""
    found = await kube.list(*DEFINITION)
    ours = {obj["metadata"]["name"]: obj for obj in found}
    return {name: _fields(_schema(ours[name])) for name in _charted() if name in ours}


def _schema(definition: Obj) -> Obj:
    return dict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def _fields(schema: Obj, path: str = "") -> set[str]:
    """Every field of a definition, by its path."""
    found = {path}
    for name, below in schema.get("properties", {}).items():
        found |= _fields(below, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            found |= _fields(schema[inner], f"{path}.*")
    return found


async def _versions(kube: Kube) -> set[str]:
    """Of the suite, by what its pods are labelled with."""
    pods = await kube.list("v1", "Pod", NAMESPACE)
    labels = [p["metadata"]["labels"] for p in pods if "deletionTimestamp" not in p["metadata"]]
    return {one["app.kubernetes.io/version"] for one in labels if "helm.sh/chart" in one}


async def _passwords(kube: Kube) -> dict[str, str]:
    """The users of the bus."""
    found = await kube.get("v1", "Secret", NAMESPACE, f"{RELEASE}-nats")
    return dict(found["data"])


async def _cluster_roles(kube: Kube) -> set[str]:
    """Those of the release, but Traefik's of the tests."""
    found = await kube.list("rbac.authorization.k8s.io/v1", "ClusterRole")
    names = {obj["metadata"]["name"] for obj in found}
    return {name for name in names if name.startswith(f"{NAMESPACE}-{RELEASE}")}


async def _told(kube: Kube) -> list[str]:
    """What events say of the Canary of `helm test`."""
    found = await kube.list("v1", "Event", NAMESPACE)
    return [str(e["message"]) for e in found if e["involvedObject"]["name"] == TEST]


async def _copies(kube: Kube) -> dict[str, int]:
    """How many servers keep each stream, once all of them know."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{RELEASE}-nats-0:8222/proxy/jsz?streams=true"
    found: dict[str, int] = {}

    async def kept() -> bool:
        (account,) = (await kube.request("GET", path))["account_details"]
        streams = account.get("stream_detail", [])
        found.update({s["name"]: 1 + len(s["cluster"].get("replicas", [])) for s in streams})
        return len(found) >= 3 and set(found.values()) == {3}

    with contextlib.suppress(TimeoutError):
        await eventually(kept, "three copies of every stream", 60)
    return found
