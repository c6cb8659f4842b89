"""docs/migrating.md on a real API server: the real Flagger and the real ring, one after the other.

What must hold: no pod of a primary is restarted, nothing is released that nobody pushed, no share
goes to a canary that nobody released, and who comes next goes on with the next release.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ring import Ring
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.flagger import USER, flagger
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.stub import Stub
from tests.servers.waiting import eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"
# Flagger's shortest interval is 10 s, and it needs six of them for the shortest release.
BOUND_S = 150.0
pytestmark = pytest.mark.timeout(600)
CANARY = ("flagger.app/v1beta1", "Canary")
DEPLOYMENT = ("apps/v1", "Deployment")
INGRESS = ("networking.k8s.io/v1", "Ingress")
ROUTES = {
    "traefik": ("traefik.io/v1alpha1", "TraefikService"),
    "istio": ("networking.istio.io/v1beta1", "VirtualService"),
    "nginx": INGRESS,
}
MESHES = ("kubernetes", *ROUTES)


class Shop:
    """A service per mesh in one namespace, and what became of each."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.phases: dict[str, list[str]] = {}

    async def open(self, *services: Obj) -> None:
        for whole in services:
            await self.kube.apply(whole, self.namespace)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Notes every phase that every canary goes through."""

        async def watch() -> None:
            async for _, canary in self.kube.watch(*CANARY, self.namespace):
                phases = self.phases.setdefault(canary["metadata"]["name"], [])
                phase = (canary.get("status") or {}).get("phase", "")
                if phases[-1:] != [phase]:
                    phases.append(phase)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def status(self, name: str) -> Obj:
        return dict((await self.kube.get(*CANARY, self.namespace, name)).get("status") or {})

    async def reach(self, phase: str, names: tuple[str, ...] = MESHES) -> None:
        async def reached() -> bool:
            return all([(await self.status(name)).get("phase") == phase for name in names])

        await eventually(reached, f"all in {phase}", BOUND_S)

    async def release(self, version: int) -> None:
        """Another image for everybody, up to its promotion."""
        path = "/spec/template/spec/containers/0/image"
        patch = [{"op": "replace", "path": path, "value": f"example.test/web:{version}"}]
        since = self.now()
        for name in MESHES:
            await self.kube.patch(*DEPLOYMENT, self.namespace, name, patch)

        async def ended() -> bool:
            return all(self.since(since)[name][-1:] == ["Succeeded"] for name in MESHES)

        await eventually(ended, f"version {version} is live", BOUND_S)
        await eventually(self._is_parked, "the canaries' pods are gone", BOUND_S)

    async def _is_parked(self) -> bool:
        pods = await self.kube.list("v1", "Pod", self.namespace)
        labels = [pod["metadata"].get("labels", {}).get("app") for pod in pods]
        return not set(MESHES) & set(labels)

    def now(self) -> dict[str, int]:
        return {name: len(phases) for name, phases in self.phases.items()}

    def since(self, then: dict[str, int]) -> dict[str, list[str]]:
        """The phases that each canary entered since."""
        return {name: self.phases[name][then[name] :] for name in MESHES}

    async def serving(self) -> dict[str, Any]:
        """Everything by which requests find a version: pods by uid, templates, Services, routes."""
        found: dict[str, Any] = {}
        for pod in await self.kube.list("v1", "Pod", self.namespace):
            found[f"pod {pod['metadata']['name']}"] = pod["metadata"]["uid"]
        for deployment in await self.kube.list(*DEPLOYMENT, self.namespace):
            name, spec = deployment["metadata"]["name"], deployment["spec"]
            found[f"deployment {name}"] = (spec["replicas"], spec["template"])
        for service in await self.kube.list("v1", "Service", self.namespace):
            name, spec = service["metadata"]["name"], service["spec"]
            found[f"service {name}"] = (spec["selector"], spec["clusterIP"])
        return found

    async def shares(self) -> dict[str, int]:
        """The canary's share in every route."""
        found: dict[str, int] = {}
        for mesh, (api_version, kind) in ROUTES.items():
            name = f"{mesh}-canary" if kind == "Ingress" else mesh
            route = await self.kube.get(api_version, kind, self.namespace, name)
            match kind:
                case "TraefikService":
                    found[mesh] = share(route)
                case "VirtualService":
                    split = route["spec"]["http"][0]["route"]
                    weights = {d["destination"]["host"]: d["weight"] for d in split}
                    found[mesh] = weights.get(f"{mesh}-canary", 0)
                case _:
                    annotations = route["metadata"]["annotations"]
                    found[mesh] = int(annotations["nginx.ingress.kubernetes.io/canary-weight"])
        return found


def share(route: Obj) -> int:
    """The canary's share in a TraefikService."""
    split = {s["name"]: s["weight"] for s in route["spec"]["weighted"]["services"]}
    return int(split.get(f"{route['metadata']['name']}-canary", 0))


def a_service(name: str, **spec: Any) -> list[Obj]:
    """A Deployment that reads a ConfigMap and a Secret, and its canary on the mesh of its name."""
    labels = {"app": name}
    sources = [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]
    container = {"name": "web", "image": "example.test/web:1", "envFrom": sources}
    analysis = {"interval": "10s", "threshold": 2, "metrics": []}
    steps = {"iterations": 1} if name == "kubernetes" else {"stepWeight": 50, "maxWeight": 50}
    if name == "nginx":
        spec["ingressRef"] = {"apiVersion": INGRESS[0], "kind": INGRESS[1], "name": name}
    meta = {"name": name}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "1"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"b": "2"}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": meta,
            "spec": {
                "provider": name,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80},
                "analysis": {**analysis, **steps},
                **spec,
            },
        },
    ]


def an_ingress(name: str) -> Obj:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": "a.test", "http": {"paths": paths}}],
        },
    }


def an_operator(name: str) -> Obj:
    """A Deployment that stands for an operator in the commands; the programs are the test's."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": "example.test/operator:1"}]},
            },
        },
    }


def commands(heading: str) -> list[str]:
    """The commands below a heading of the page."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    return re.findall(r"^    (.+)$", part, re.M)


async def told(heading: str, plane: ControlPlane) -> None:
    """Does what the page says below this heading."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(plane.kubeconfig())}
    for command in commands(heading):
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", command,
            env=environment, cwd=PAGE.parents[1],
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(90):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"{command}\n{output.decode()}"


class Operators:
    """Our ring and Flagger, of which the test lets one work at a time."""

    def __init__(
        self, plane: ControlPlane, nats: NatsServer, stub: Stub, namespace: str, folder: Path
    ) -> None:
        self._plane, self._nats, self._stub = plane, nats, stub
        self._namespace, self._folder = namespace, folder

    @asynccontextmanager
    async def ours(self) -> AsyncIterator[None]:
        metrics = self._stub.url("prometheus", self._namespace)
        settings = {"SERINUS_NAMESPACE": self._namespace, "SERINUS_METRICS_SERVER": metrics}
        ring = Ring(kubeconfig=self._plane.kubeconfig, nats=self._nats.url, settings=settings)
        async with ring:
            yield

    @asynccontextmanager
    async def theirs(self) -> AsyncIterator[None]:
        metrics = self._stub.url("prometheus", self._namespace)
        kubeconfig = self._plane.kubeconfig(USER)
        with flagger(self._folder, kubeconfig, self._namespace, metrics) as child:
            yield
            assert child.running, child.tail()

    async def flagger_looks(self, times: int) -> None:
        """Flagger has looked at every canary so often since."""
        begun = self._plane.audit_log.stat().st_size

        async def looked() -> bool:
            seen = [
                one.object_ref.name
                for one in self._plane.requests(USER, since=begun)
                if one.verb == "get" and one.object_ref.resource == "canaries"
            ]
            return all(seen.count(name) >= times for name in MESHES)

        await eventually(looked, f"Flagger looked {times} times", BOUND_S)


@pytest.fixture
def operators(
    control_plane: ControlPlane,
    kubelet: Kubelet,
    own_nats: NatsServer,
    stub: Stub,
    namespace: str,
    tmp_path: Path,
) -> Operators:
    control_plane.install_crds(crds.of_mesh("istio"))
    return Operators(control_plane, own_nats, stub, namespace, tmp_path)


async def test_there_and_back_nothing_restarts_and_nothing_is_released(
    operators: Operators, control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Ours, then Flagger, then ours; a canary that we put a finalizer on is deleted by Flagger."""
    for operator in ("flagger-system", "flagger"), ("serinus", "analyzer"):
        await kube.apply(an_operator(operator[1]), await kube.namespace(operator[0]))
    shop = Shop(kube, namespace)
    leaving = a_service("leaving", provider="kubernetes", revertOnDeletion=True)
    leaving[-1]["spec"]["analysis"] = {"interval": "10s", "threshold": 2, "iterations": 1}
    services = [one for mesh in MESHES for one in a_service(mesh)]
    async with shop.watched():
        async with operators.ours():
            await shop.open(an_ingress("nginx"), *services, *leaving)
            await shop.reach("Initialized", (*MESHES, "leaving"))
            await shop.release(2)
        ours = {name: await shop.status(name) for name in MESHES}
        before, since = await shop.serving(), shop.now()

        await told("Back to Flagger", control_plane)
        async with operators.theirs():
            await shop.reach("Initialized")
            await operators.flagger_looks(3)
            assert before == await shop.serving()
            assert dict.fromkeys(ROUTES, 0) == await shop.shares()
            for name in MESHES:
                theirs = await shop.status(name)
                assert not theirs["lastAppliedSpec"].startswith("s1-")
                assert theirs["lastAppliedSpec"] == theirs["lastPromotedSpec"]
                assert theirs["trackedConfigs"] == ours[name]["trackedConfigs"]
                assert shop.since(since)[name] == ["Initializing", "Initialized"]
            await kube.delete(*CANARY, namespace, "leaving")
            await shop.release(3)
            assert await kube.find(*CANARY, namespace, "leaving") is None
            target = await kube.get(*DEPLOYMENT, namespace, "leaving")
            assert target["status"]["availableReplicas"] > 0
        before, since = await shop.serving(), shop.now()

        await told("From Flagger", control_plane)
        async with operators.ours():

            async def adopted() -> bool:
                known = [(await shop.status(name))["lastAppliedSpec"] for name in MESHES]
                return all(revision.startswith("s1-") for revision in known)

            await eventually(adopted, "all are taken over", BOUND_S)
            assert before == await shop.serving()
            assert shop.since(since) == {name: [] for name in MESHES}
            await shop.release(4)
    for name in MESHES:
        primary = await kube.get(*DEPLOYMENT, namespace, f"{name}-primary")
        (container,) = primary["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "example.test/web:4"


async def test_a_run_of_flaggers_goes_on_from_its_weight(
    operators: Operators, control_plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    shop = Shop(kube, namespace)
    services = a_service("traefik")
    services[-1]["spec"]["analysis"] |= {"stepWeight": 20, "maxWeight": 60}
    weights: list[int] = []

    async def follow() -> None:
        async for _, route in kube.watch(*ROUTES["traefik"], namespace):
            if weights[-1:] != [share(route)]:
                weights.append(share(route))

    following = asyncio.create_task(follow())
    try:
        async with operators.theirs():
            await shop.open(*services)
            await shop.reach("Initialized", ("traefik",))
            path = "/spec/template/spec/containers/0/image"
            patch = [{"op": "replace", "path": path, "value": "example.test/web:2"}]
            await kube.patch(*DEPLOYMENT, namespace, "traefik", patch)

            async def at_20() -> bool:
                return (await shop.status("traefik")).get("canaryWeight") == 20

            await eventually(at_20, "at 20", BOUND_S)
        async with operators.ours():
            await shop.reach("Succeeded", ("traefik",))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert weights == [0, 20, 40, 60, 0]
