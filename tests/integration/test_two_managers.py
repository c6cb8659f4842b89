"""Two field managers at once: GitOps tools apply the user's manifests all through a release.

Flux and Argo CD in one: server-side apply with force, over and over, by two managers of their own.
On every mesh, with routes of ours and with the user's own: the share is what was ordered at every
moment, nobody undoes what another one wrote, and nothing is written twice by us.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.builders import NAMESPACE
from tests.integration.test_mesh_documents import FOLDERS
from tests.integration.test_router import BOUND_S, Bench, a_canary, a_deployment, running
from tests.laws.given import SHAPES, beginning
from tests.laws.strategies import PLAIN
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.control_plane import control_plane as running_control_plane
from tests.servers.knative import SERVICE, knative
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.waiting import eventually

from serinus.events import Exposure, ObjectRef, Routes
from serinus.kube.refs import Ref, ref_of
from serinus.kube.revision import revised, template_hash
from serinus.router.core.objects import Live, NotYet
from serinus.router.meshes.catalog import MESHES, row_of

MANAGERS = ("kustomize-controller", "argocd-controller")
# Lists of theirs hold our entries: these tools are told to leave them (docs/your-own-routes.md).
SHARED = ("HTTPRoute", "GRPCRoute", "VirtualService", "HTTPProxy")
OLDER = "appmesh"
STARTS = [
    *(name for name, row in MESHES.items() if row.kinds),
    *(name for name in SHAPES if "their" in name),
]


class Tool:
    """Applies the manifests of a repository in turns, for as long as it runs.

    shared  manifests of which it makes the object, and no more where that is there
    """

    def __init__(self, kube: Kube, namespace: str, manifests: list[Obj], shared: list[Obj]) -> None:
        self._kube, self._namespace = kube, namespace
        self.manifests, self.shared = manifests, shared
        self.rounds = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.round()
        task = asyncio.create_task(self._run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self.round()

    async def round(self) -> None:
        for manager in MANAGERS:
            for manifest in self.manifests:
                await self._kube.server_side_apply(manifest, self._namespace, manager)
            for manifest in self.shared:
                ref = ref_of(manifest)
                found = (ref.api_version, ref.kind, self._namespace, ref.name)
                if await self._kube.find(*found) is None:
                    await self._kube.server_side_apply(manifest, self._namespace, manager)
        self.rounds += 1

    async def applies(self, times: int) -> None:
        """Everything was applied so often from now on."""
        wanted = self.rounds + 1 + times

        async def applied() -> bool:
            return self.rounds >= wanted

        await eventually(applied, f"applied {times} times", BOUND_S)


class Watcher:
    """Sees every version of the route's objects, and with it every share that clients had."""

    def __init__(self, kube: Kube, exposure: Exposure) -> None:
        self._kube, self._exposure = kube, exposure
        self._mesh = row_of(exposure.mesh).mesh
        self._live: dict[Ref, Obj] = {}
        self.shares: list[int] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        refs = self._mesh.needs(self._exposure)
        tasks = [asyncio.create_task(self._watch(*kind)) for kind in {_kind(ref) for ref in refs}]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, api_version: str, kind: str, namespace: str) -> None:
        async for change, obj in self._kube.watch(api_version, kind, namespace or None):
            whole = {"apiVersion": api_version, "kind": kind} | obj
            self._live[ref_of(whole)] = whole
            if change == "DELETED":
                del self._live[ref_of(whole)]
            self._look()

    def _look(self) -> None:
        """One share for all rules, or there are two of them at one moment."""
        live = Live(self._live)
        for weight in (0, 20, 40):
            wanted = Routes(primary=100 - weight, canary=weight)
            seen = self._mesh.observe(self._exposure, wanted, live)
            found = seen.routes if isinstance(seen, NotYet) else seen
            if found == wanted:
                if self.shares[-1:] != [weight]:
                    self.shares.append(weight)
                return
        if self._live and found is not None and self.shares:
            self.shares.append(found.canary)

    async def contents(self) -> dict[str, Obj]:
        """What there is now, but for what controllers report."""
        found: dict[str, Obj] = {}
        for ref in self._mesh.needs(self._exposure):
            obj = await self._kube.find(ref.api_version, ref.kind, ref.namespace or None, ref.name)
            if obj is not None:
                meta = obj["metadata"]
                found[str(ref)] = {
                    "labels": meta.get("labels"),
                    "annotations": meta.get("annotations"),
                    "spec": obj["spec"],
                }
        return found


def _kind(ref: Ref) -> tuple[str, str, str]:
    return ref.api_version, ref.kind, ref.namespace


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """The API server with the kinds of all meshes."""
    folders = [folder for folder in FOLDERS if "/" not in folder]
    control_plane.install_crds([file for folder in folders for file in crds.of_mesh(folder)])
    return control_plane


@pytest.fixture(scope="module")
def older_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """App Mesh's older kinds have the names of the newer ones, and one server has one of them."""
    files = crds.of_mesh("appmesh/v1beta1")
    with running_control_plane(tmp_path_factory.mktemp("older"), crds=files) as plane:
        yield plane


def located(value: Any, namespace: str) -> Any:
    """The same in another namespace."""
    text = msgspec.json.encode(value).decode().replace(NAMESPACE, namespace)
    text = text.replace("gloo-system", namespace)
    found: Any = msgspec.json.decode(text, type=type(value))
    return found


@pytest.mark.parametrize("start", [one for one in STARTS if one != OLDER])
async def test_a_release_goes_on_undisturbed_while_manifests_are_applied(
    start: str, plane: ControlPlane, kube: Kube, kubelet: Kubelet
) -> None:
    namespace = await kube.namespace(
        "two-" + "".join(c if c.isalnum() else "-" for c in start).lower()
    )
    await release(start, plane, kube, namespace)
    await kube.delete("v1", "Namespace", None, namespace)


async def test_a_release_on_app_meshs_older_kinds_goes_on_undisturbed(
    older_plane: ControlPlane,
) -> None:
    async with (
        Kube(older_plane.kubeconfig()) as kube,
        Kube(older_plane.kubeconfig("kubelet")) as node,
        Kubelet(node, ready_after_s=0.1),
    ):
        await release(OLDER, older_plane, kube, await kube.namespace("older"))


async def release(start: str, plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """A release of two steps beside tools that apply everything that is the user's."""
    exposure, sources = beginning(start, PLAIN)
    exposure, sources = located(exposure, namespace), located(sources, namespace)
    bench = Bench(kube, namespace, exposure.mesh)
    bench.exposure = exposure
    deployment = a_deployment()
    await bench.set_up(deployment)
    del deployment["spec"]["replicas"]
    target = ObjectRef(api_version="apps/v1", kind="Deployment", name="web")
    manifests = [a_canary(exposure.mesh), *sources]
    if start == "knative":
        target = ObjectRef(api_version=SERVICE[0], kind="Service", name="web")
        manifests[1].pop("status")
    else:
        manifests.append(deployment)
    shared = [one for one in sources if "their" in start and one["kind"] in SHARED]
    tool = Tool(kube, namespace, [one for one in manifests if one not in shared], shared)
    watcher = Watcher(kube, exposure)
    # Knative's is target, primary and route in one.
    most = 2 if start == "knative" else 1
    plays = knative(kube, namespace) if start == "knative" else contextlib.nullcontext()
    async with tool.running(), watcher.running(), running(plane, bench), plays:

        async def wish(weight: int, **fields: Any) -> None:
            """Settled, each object written once at most, and nothing moves from then on."""
            begun = plane.audit_log.stat().st_size
            found = await kube.get(target.api_version, target.kind, namespace, "web")
            revision = template_hash(revised(found), kind=target.kind)
            wanted = bench.intent(weight=weight, target=target, _revision=revision, **fields)
            await bench.settled(wanted)
            assert max(written(plane, begun).values(), default=0) <= most, written(plane, begun)
            begun, contents = plane.audit_log.stat().st_size, await watcher.contents()
            await tool.applies(2)
            assert {} == written(plane, begun)
            assert contents == await watcher.contents()

        await wish(0)
        manifest = next(one for one in manifests if one["kind"] == target.kind)
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "example.test/web:2"
        await tool.applies(1)
        await wish(20, canary="running")
        await wish(40, canary="running")
        await wish(40, canary="running", promote=True)
        await wish(0)
        assert watcher.shares == [0, 20, 40, 0]
        contents = await watcher.contents()

        async def is_shared() -> bool:
            return contents == await watcher.contents()

        for route in shared:  # by somebody who did not read the page
            await kube.server_side_apply(route, namespace, MANAGERS[0])
            await eventually(is_shared, "shared again", BOUND_S)
        await bench.settled(bench.intent(target=target, canary="as-is", _release=True))


def written(plane: ControlPlane, since: int) -> Counter[str]:
    """How often the router changed what since this size of the audit log."""
    return Counter(
        f"{one.object_ref.resource}/{one.object_ref.name}"
        for one in plane.requests("router", since=since)
        if one.verb not in ("get", "list", "watch") and one.response_status.code < 300
    )
