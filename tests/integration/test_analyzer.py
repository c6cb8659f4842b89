"""The analyzer as a whole service: a real kube-apiserver keeps its record, real HTTP its answers.

The test plays the watcher (it shows the live object) and the router (it reports routes as ordered).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.builders import NEW, OLD, a_primary_seen, a_routes_observed, a_workload_seen, an_observed
from tests.contract import manifests
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.stub import Stub
from tests.servers.waiting import eventually

from serinus.analyzer.app import service
from serinus.analyzer.settings import Settings
from serinus.events import (
    API_VERSION,
    FINALIZER,
    CanaryGone,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
    Fact,
    Intent,
    MetricTemplateSpec,
)
from serinus.kube.credentials import READABLE
from serinus.runtime import MemoryBroker, MemoryBus, SystemClock, serve
from serinus.runtime.run import Running

BOUND_S = 60.0


class Ring:
    """One canary on a real API server; what the watcher and the router would say about it."""

    def __init__(self, kube: Kube, plane: ControlPlane, stub: Stub, namespace: str) -> None:
        self.kube = kube
        self.plane = plane
        self.stub = stub
        self.namespace = namespace
        self.clock = SystemClock()
        self.broker = MemoryBroker(self.clock)
        self.eyes = MemoryBus(self.broker, "watcher")
        self.hands = MemoryBus(self.broker, "router")
        self.seen: dict[str, Any] = {}

    async def create(self, **spec: Any) -> None:
        analysis = {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
        manifest = {
            "apiVersion": API_VERSION,
            "kind": "Canary",
            "metadata": {"name": "web"},
            "spec": {
                "provider": "traefik",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "analysis": {**analysis, **spec.pop("analysis", {})},
                **spec,
            },
        }
        await self.kube.apply(manifest, self.namespace)

    async def live(self) -> Obj:
        return await self.kube.get(API_VERSION, "Canary", self.namespace, "web")

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.live()).get("status") or {}
        return found

    async def show(self, **seen: Any) -> None:
        """What the watcher publishes now."""
        self.seen |= seen
        obj = await self.live()
        meta = obj["metadata"]
        observed = an_observed(
            canary=CanaryRef(self.namespace, "web", meta["uid"]),
            resource_version=meta["resourceVersion"],
            generation=meta["generation"],
            finalizers=tuple(meta.get("finalizers", ())),
            deleting="deletionTimestamp" in meta,
            spec=msgspec.convert(obj["spec"], CanarySpec),
            status=msgspec.convert(obj.get("status") or {}, CanaryStatus),
            at=self.clock.now(),
            **self.seen,
        )
        await self.eyes.publish(observed)

    async def gone(self, uid: str) -> None:
        ref = CanaryRef(self.namespace, "web", uid)
        await self.eyes.publish(CanaryGone(canary=ref, at=self.clock.now()))

    async def route(self) -> None:
        """A router that does at once whatever is wanted, until it is cancelled."""
        async for delivery in self.hands.follow([Intent]):
            intent: Intent = delivery.message
            weight = intent.routes.canary
            report = a_routes_observed(intent.id, weight, canary=intent.canary)
            await self.hands.publish(msgspec.structs.replace(report, at=self.clock.now()))
            if intent.workload.promote:
                await self.show(primary=a_primary_seen(intent.revision))

    async def until(self, phase: str) -> dict[str, Any]:
        async def is_so() -> bool:
            return (await self.status()).get("phase") == phase

        await eventually(is_so, f"phase {phase}", BOUND_S)
        return await self.status()

    def texts(self) -> list[str]:
        return [fact.text for fact in self.broker.messages(Fact) if fact.text]

    @asynccontextmanager
    async def analyzing(self, **settings: Any) -> AsyncIterator[Running]:
        """An analyzer, from its start to its stop."""
        stop = asyncio.Event()
        started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        made = Settings(
            kubeconfig=str(self.plane.kubeconfig("analyzer")),
            listen="127.0.0.1:0",
            metrics_server=self.stub.url("prometheus", self.namespace),
            min_interval_s=1.0,
            **settings,
        )
        bus = MemoryBus(self.broker, "analyzer")
        tasks = [
            asyncio.create_task(
                serve(service, made, bus=bus, stop=stop, started=started.set_result)
            ),
            asyncio.create_task(self.route()),
        ]
        try:
            async with asyncio.timeout(BOUND_S):
                running = await started
            yield running
        finally:
            stop.set()
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def ring(kube: Kube, control_plane: ControlPlane, stub: Stub, namespace: str) -> Ring:
    return Ring(kube, control_plane, stub, namespace)


async def test_a_canary_is_taken_from_its_first_snapshot_to_a_promotion(ring: Ring) -> None:
    """Every status on the way is one the API server takes, and only statuses are written."""
    await ring.create()
    async with ring.analyzing() as running:
        await ring.show(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
        status = await ring.until("Initialized")
        assert status["lastAppliedSpec"] == status["lastPromotedSpec"] == OLD
        await ring.show(target=a_workload_seen(NEW), configs={"configmap/web": "1"})
        status = await ring.until("Succeeded")

        assert status["lastPromotedSpec"] == NEW
        assert status["trackedConfigs"] == {"configmap/web": "1"}
        held = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
        assert held == {"Promoted": ("True", "Succeeded"), "Ready": ("True", "Succeeded")}
        assert status["observedGeneration"] == 1
        assert [(r["revision"], r["outcome"]) for r in status["history"][:1]] == [(NEW, "promoted")]
        assert status["canaryAnalysis"]["passed"] == 1
        url = f"http://127.0.0.1:{running.server.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert "flagger_canary_successes_total{" in await answer.text()
    assert [t for t in ring.texts() if "weight" in t or "Promotion" in t] == [
        f"Advance web.{ring.namespace} canary weight 50",
        f"Promotion completed! Scaling down web.{ring.namespace}",
    ]
    sent = [r for r in ring.plane.requests("analyzer") if f"/{ring.namespace}/" in r.path]
    assert {(r.verb, r.path.partition("?")[0].rpartition("/")[2]) for r in sent} == {
        ("patch", "status")
    }


async def test_a_request_by_annotation_is_kept_by_the_api_server_and_done_once(ring: Ring) -> None:
    await ring.create(analysis={"interval": "30s"})
    async with ring.analyzing():
        await ring.show(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
        await ring.until("Initialized")
        await ring.show(target=a_workload_seen(NEW))
        await ring.until("Progressing")
        await ring.show(annotations={"flagger.app/abort": "alice"})
        status = await ring.until("Failed")
        assert status["requests"] == {"abort": "alice"}
        assert (status["history"][0]["outcome"], status["history"][0]["by"]) == (
            "rolled-back",
            "alice",
        )
        await ring.show(annotations={"flagger.app/abort": "alice", "flagger.app/retry": "alice"})
        await ring.until("Progressing")
        await ring.show(annotations={})
        await asyncio.sleep(0.5)
        status = await ring.status()
    assert (status["phase"], status.get("requests")) == ("Progressing", None)


async def test_the_worked_examples_of_the_guide_are_kept_whole_by_a_real_api_server(
    kube: Kube, namespace: str
) -> None:
    for manifest in manifests.of_the_examples():
        name = manifest["metadata"]["name"]
        await kube.apply({**manifest, "metadata": {"name": name}}, namespace)
        live = await kube.get(API_VERSION, "Canary", namespace, name)
        wanted = msgspec.convert(manifest["spec"], CanarySpec)
        assert msgspec.convert(live["spec"], CanarySpec) == wanted, name


REFUSED = (
    ({"stepMirrorWeight": 10}, "stepMirrorWeight needs maxMirrorWeight"),
    (
        {"mirrorWeight": 50, "maxMirrorWeight": 20},
        "maxMirrorWeight must not be less than mirrorWeight",
    ),
    (
        {"webhooks": [{"name": "h", "url": "http://h/", "expiry": "1h"}]},
        "expiry is for hooks that wait for approval",
    ),
    (
        {"webhooks": [{"name": "h", "url": "http://h/", "method": "GET", "body": "x"}]},
        "a GET has no body",
    ),
)


async def test_what_nobody_can_mean_is_refused_with_a_sentence(ring: Ring) -> None:
    for analysis, message in REFUSED:
        with pytest.raises(Exception, match=message):
            await ring.create(analysis=analysis)


async def test_an_edit_between_looking_and_writing_is_not_overwritten(ring: Ring) -> None:
    """The write is refused (409), nothing is said, and the next look decides anew."""
    await ring.create()
    await ring.show(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
    await ring.kube.patch(API_VERSION, "Canary", ring.namespace, "web", {"spec": {"suspend": True}})
    async with ring.analyzing():
        await asyncio.sleep(1.0)
        assert await ring.status() == {}
        assert ring.texts() == []

        async def is_read() -> bool:
            return "skipping canary run as object is suspended" in ring.texts()

        await eventually(is_read, "the object itself was read", BOUND_S)
    assert await ring.status() == {}


async def test_where_labels_are_asked_for_a_source_gets_no_other_secrets_keys(ring: Ring) -> None:
    """The API server's own Secrets, one that its owner has labelled and one that is not."""
    metrics, seen = [], {}
    for name, labels in (("open", {READABLE: "true"}), ("shut", {"team": "shop"})):
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": f"t0ken-{name}"}}
        await ring.kube.apply(
            {**secret, "metadata": {"name": name, "labels": labels}}, ring.namespace
        )
        address = ring.stub.url("prometheus", f"{ring.namespace}-theirs")
        provider = {"type": "prometheus", "address": address, "secretRef": {"name": name}}
        template = {"provider": provider, "query": "errors"}
        seen[f"{ring.namespace}/{name}"] = msgspec.convert(template, MetricTemplateSpec)
        metrics.append({"name": name, "templateRef": {"name": name}, "thresholdRange": {"max": 1}})
    await ring.create(analysis={"metrics": metrics})

    async with ring.analyzing(labelled_secrets_only=True):
        await ring.show(templates=seen, target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
        cure = (
            "spec.provider.secretRef: secret shut is not labelled to be read for this: "
            f"kubectl --namespace {ring.namespace} label secret shut {READABLE}=true"
        )

        async def is_told() -> bool:
            return any(text.endswith(cure) for text in ring.texts())

        await eventually(is_told, "which Secret has no label", BOUND_S)
    asked = ring.stub.of(f"{ring.namespace}-theirs")
    assert {call.authorization for call in asked} == {"Bearer t0ken-open"}


async def test_a_finalizer_comes_with_the_wish_and_goes_with_it(ring: Ring) -> None:
    await ring.create(revertOnDeletion=True)
    async with ring.analyzing():
        await ring.show(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
        await ring.until("Initialized")
        live = await ring.live()
        assert live["metadata"]["finalizers"] == [FINALIZER]

        await ring.kube.delete(API_VERSION, "Canary", ring.namespace, "web")
        await ring.show()

        async def is_gone() -> bool:
            return await ring.kube.find(API_VERSION, "Canary", ring.namespace, "web") is None

        await eventually(is_gone, "the canary is gone", BOUND_S)
        await ring.gone(live["metadata"]["uid"])
    assert ring.texts()[-2:] == [
        f"Terminating canary web.{ring.namespace}",
        f"Terminated canary web.{ring.namespace}",
    ]


async def test_an_analyzer_that_died_is_followed_by_one_that_goes_on(ring: Ring) -> None:
    """The second knows nothing but the cluster and the bus; no step is taken twice."""
    await ring.create(analysis={"interval": "2s", "stepWeight": 20, "maxWeight": 60})
    async with ring.analyzing():
        await ring.show(target=a_workload_seen(OLD), primary=a_primary_seen(OLD))
        await ring.until("Initialized")
        await ring.show(target=a_workload_seen(NEW))
        await ring.until("Progressing")

    async with ring.analyzing():
        await ring.show()
        await ring.until("Succeeded")

    weights = [t.rpartition(" ")[2] for t in ring.texts() if "canary weight" in t]
    assert weights == ["20", "40", "60"]
