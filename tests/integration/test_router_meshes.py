"""Routes that lie over the user's, and routes of no namespace, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.integration.test_router import BOUND_S, Bench, running
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.waiting import eventually

from serinus.events import IntentRefused, ObjectRef
from serinus.kube.revision import revised, template_hash
from serinus.router.core.objects import LIVE_REVISION

KNATIVE = "serving.knative.dev/v1"
KUMA = "kuma.io/v1alpha1"
INGRESS = "networking.k8s.io/v1"


@pytest.fixture
async def nginx(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> AsyncIterator[Bench]:
    """A fresh canary behind the user's Ingress `public`."""
    made = Bench(kube, namespace, "nginx")
    ref = ObjectRef(api_version=INGRESS, kind="Ingress", name="public")
    made.exposure = msgspec.structs.replace(made.exposure, ingress=ref)
    await made.set_up()
    async with running(control_plane, made):
        yield made


@pytest.fixture
async def knative(control_plane: ControlPlane, kube: Kube, namespace: str) -> AsyncIterator[Bench]:
    """A Knative Service with its first revision; Knative itself is played by the test."""
    services = [file for file in crds.of_mesh("knative") if "service" in file.name]
    control_plane.install_crds(services)
    made = Bench(kube, namespace, "knative")
    target = ObjectRef(api_version=KNATIVE, kind="Service", name="web")
    made.exposure = msgspec.structs.replace(made.exposure, service=None, route=target)
    await made.set_up()
    await kube.apply(
        {
            "apiVersion": KNATIVE,
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"template": {"spec": {"containers": [{"image": "example.test/web:1"}]}}},
        },
        namespace,
    )
    async with running(control_plane, made):
        yield made


@pytest.fixture
async def kuma(
    control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> AsyncIterator[Bench]:
    """A fresh canary on Kuma; its Service is named after the test, as its route is for all."""
    files = [file for file in crds.of_mesh("kuma") if "trafficroutes" in file.name]
    control_plane.install_crds(files)
    made = Bench(kube, namespace, "kuma")
    made.exposure = msgspec.structs.replace(made.exposure, name=f"s-{namespace}"[:50].strip("-"))
    await made.set_up()
    async with running(control_plane, made):
        yield made


def the_ingress(service: str) -> Obj:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rules = [{"host": "only.test"}, {"host": "a.test", "http": {"paths": [path]}}]
    return {
        "apiVersion": INGRESS,
        "kind": "Ingress",
        "metadata": {"name": "public", "annotations": {"note": "mine"}},
        "spec": {"rules": rules},
    }


async def test_a_canary_ingress_follows_the_weights_and_goes_with_the_release(
    nginx: Bench, kube: Kube
) -> None:
    """The user's Ingress is never written."""
    await nginx.send(nginx.intent())
    missing = 'ingresses.networking.k8s.io "public" not found'
    await nginx.until(lambda told: told.error.endswith(missing), missing)
    mine = await kube.apply(the_ingress("web"), nginx.namespace)
    await nginx.settled(nginx.intent())
    revision = await nginx.push("example.test/web:2")

    await nginx.settled(nginx.intent(weight=20, canary="running", _revision=revision))

    found = await kube.get(INGRESS, "Ingress", nginx.namespace, "public-canary")
    annotations = found["metadata"]["annotations"]
    assert "20" == annotations["nginx.ingress.kubernetes.io/canary-weight"]
    assert "mine" == annotations["note"]
    assert "Canary" == found["metadata"]["ownerReferences"][0]["kind"]

    await nginx.settled(nginx.intent(canary="as-is", _release=True))

    assert await kube.find(INGRESS, "Ingress", nginx.namespace, "public-canary") is None
    now = await kube.get(INGRESS, "Ingress", nginx.namespace, "public")
    assert mine["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]


async def test_a_route_of_no_namespace_goes_when_its_canary_is_gone(
    kuma: Bench, kube: Kube
) -> None:
    """Nothing in a namespace can own it, so garbage collection does not see it."""
    name = kuma.exposure.name
    await kuma.settled(kuma.intent())
    assert "default" == (await kube.get(KUMA, "TrafficRoute", None, name))["mesh"]

    await kube.delete("flagger.app/v1beta1", "Canary", kuma.namespace, "web")

    async def gone() -> bool:
        return await kube.find(KUMA, "TrafficRoute", None, name) is None

    await eventually(gone, "the TrafficRoute is gone", BOUND_S)


async def test_a_name_that_another_namespace_has_is_refused(kuma: Bench, kube: Kube) -> None:
    """And the route that has it stays as it is."""
    name = kuma.exposure.name
    theirs = await kube.apply(
        {
            "apiVersion": KUMA,
            "kind": "TrafficRoute",
            "mesh": "default",
            "metadata": {"name": name},
            "spec": {"destinations": [{"match": {"kuma.io/service": f"{name}_other_svc_80"}}]},
        }
    )

    await kuma.send(kuma.intent())

    async def refused() -> bool:
        return any(told.reason == "Foreign" for told in kuma.broker.messages(IntentRefused))

    await eventually(refused, "the intent is refused", BOUND_S)
    now = await kube.get(KUMA, "TrafficRoute", None, name)
    assert theirs["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]
    await kube.delete(KUMA, "TrafficRoute", None, name)


async def test_a_knative_service_is_split_promoted_and_given_back(
    knative: Bench, kube: Kube
) -> None:
    """One object, whose template stays the user's to the last field."""
    target = ObjectRef(api_version=KNATIVE, kind="Service", name="web")

    async def reports(latest: str) -> Obj:
        """Knative makes a revision and follows the traffic."""
        now = await kube.get(KNATIVE, "Service", knative.namespace, "web")
        status = {
            "observedGeneration": now["metadata"]["generation"],
            "latestCreatedRevisionName": latest,
            "latestReadyRevisionName": latest,
            "traffic": now["spec"].get("traffic"),
        }
        return await kube.patch(
            KNATIVE, "Service", knative.namespace, "web", {"status": status}, "/status"
        )

    async def settles(latest: str, **wish: Any) -> Obj:
        found = await reports(latest)
        intent = knative.intent(
            target=target, _revision=template_hash(revised(found), kind="Service"), **wish
        )
        await knative.send(intent)

        async def followed() -> bool:
            await reports(latest)
            return any(news.settled for news in knative.news())

        await eventually(followed, f"{latest} settled", BOUND_S)
        return await kube.get(KNATIVE, "Service", knative.namespace, "web")

    first = await settles("web-00001")
    assert "web-00001" == first["metadata"]["annotations"][LIVE_REVISION]
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}
    await kube.patch(KNATIVE, "Service", knative.namespace, "web", [image])

    shared = await settles("web-00002", weight=20, canary="running")
    promoted = await settles("web-00002", weight=20, canary="running", promote=True)
    alone = await settles("web-00002")

    assert [20, 80] == [one["percent"] for one in shared["spec"]["traffic"]]
    assert "web-00001" == shared["spec"]["traffic"][1]["revisionName"]
    assert "web-00002" == promoted["metadata"]["annotations"][LIVE_REVISION]
    assert [0, 100] == [one["percent"] for one in alone["spec"]["traffic"]]
    assert "web-00002" == alone["spec"]["traffic"][1]["revisionName"]

    given_back = await settles("web-00002", canary="as-is", _release=True)

    assert "traffic" not in given_back["spec"]
    assert "annotations" not in given_back["metadata"]
    assert "web:2" == given_back["spec"]["template"]["spec"]["containers"][0]["image"]
