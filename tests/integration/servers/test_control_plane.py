"""The control plane of the tests is a real one, and its audit log tells who asked for what."""

from __future__ import annotations

import asyncio

from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Health, Kubelet, Rule

BOUND_S = 60.0


def a_deployment(name: str = "web", image: str = "web:1", replicas: int = 2) -> Obj:
    labels = {"app": name}
    container = {"name": name, "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def ready_pods(kube: Kube, namespace: str, expected: int) -> None:
    """Waits until the Deployment reports that many ready pods."""
    async with asyncio.timeout(BOUND_S):
        async for _, found in kube.watch("apps/v1", "Deployment", namespace):
            if found.get("status", {}).get("readyReplicas", 0) == expected:
                return


async def crash_reasons(kube: Kube, namespace: str) -> set[str]:
    pods = await kube.list("v1", "Pod", namespace)
    states = [s["state"] for pod in pods for s in pod["status"].get("containerStatuses", [])]
    return {state["waiting"]["reason"] for state in states if "waiting" in state}


async def test_a_deployment_gets_ready_pods(kube: Kube, kubelet: Kubelet, namespace: str) -> None:
    """The Deployment controller makes pods and the stand-in kubelet makes them Ready."""
    await kube.apply(a_deployment(replicas=3), namespace)

    await ready_pods(kube, namespace, expected=3)


async def test_a_rule_keeps_pods_unready_until_it_is_lifted(
    kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """With `first`, only that many pods are held back."""
    kubelet.set_rules(namespace, [Rule(pods="web-", image="web:1", first=1)])
    await kube.apply(a_deployment(replicas=3), namespace)
    await ready_pods(kube, namespace, expected=2)

    kubelet.set_rules(namespace, [])

    await ready_pods(kube, namespace, expected=3)


async def test_a_rule_makes_running_pods_crash(
    kube: Kube, kubelet: Kubelet, namespace: str
) -> None:
    """A pod that was Ready reports CrashLoopBackOff from then on."""
    await kube.apply(a_deployment(), namespace)
    await ready_pods(kube, namespace, expected=2)

    kubelet.set_rules(namespace, [Rule(health=Health.CRASHING)])
    await ready_pods(kube, namespace, expected=0)

    assert {"CrashLoopBackOff"} == await crash_reasons(kube, namespace)


async def test_what_an_owner_leaves_is_collected(kube: Kube, namespace: str) -> None:
    """The garbage collector knows our kinds: what a Canary owns goes with it."""
    canary = await kube.apply(a_canary(), namespace)
    owner = {key: canary["metadata"][key] for key in ("name", "uid")}
    owner |= {"apiVersion": canary["apiVersion"], "kind": canary["kind"]}
    owned: Obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owned", "ownerReferences": [owner]},
    }
    await kube.apply(owned, namespace)

    async with asyncio.timeout(BOUND_S):
        async for change, found in kube.watch("v1", "ConfigMap", namespace):
            if found["metadata"]["name"] != "owned":
                continue
            if change == "DELETED":
                break
            # Only now: what went before a watch began is not told.
            await kube.delete("flagger.app/v1beta1", "Canary", namespace, "web")


def a_canary() -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    analysis = {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis},
    }


async def test_the_kinds_of_the_meshes_are_served(kube: Kube) -> None:
    """Traefik and the Gateway API are there as far as the API server is concerned."""
    assert "traefikservices" in await kube.path("traefik.io/v1alpha1", "TraefikService")
    assert "httproutes" in await kube.path("gateway.networking.k8s.io/v1", "HTTPRoute")


async def test_requests_are_counted_by_user(control_plane: ControlPlane, namespace: str) -> None:
    """A service's requests are told from everybody else's, reads and writes apart."""
    async with Kube(control_plane.kubeconfig("router")) as client:
        await client.list("v1", "ConfigMap", namespace)
        await client.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, namespace
        )

    mine = [r for r in control_plane.requests("router") if r.object_ref.namespace == namespace]

    assert [(r.verb, r.response_status.code) for r in mine] == [("list", 200), ("create", 201)]
