"""Three clusters whose rings are joined by NATS leaf nodes; releases pass through all of them.

Each region has a control plane, a NATS server and a ring of its own; the hub only connects. All
NATS servers run as the chart renders them, with its users and their rights. The line of a region
goes through a cable that a test can pull out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.chart import bus
from tests.chart.bus import Bus
from tests.faults.lanes import VERSION_1, VERSION_2, deployment
from tests.ring import Ring
from tests.servers.control_plane import ControlPlane, control_plane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.process import free_ports
from tests.servers.stub import Answers, Stub
from tests.servers.waiting import eventually

# The first test waits for three of everything.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

REGIONS = ("east", "west", "south")
SERVICES = ("watcher", "analyzer", "router", "coordinator")
CANARY = ("flagger.app/v1beta1", "Canary")
WAVE = ("serinus.dev/v1alpha1", "Wave")
BOUND_S = 60.0
SETTINGS = {"SERINUS_MIN_INTERVAL_S": "0.1", "SERINUS_SETTLE_S": "0.5"}


class Cable:
    """Forwards one port to another until it is pulled out."""

    def __init__(self, port: int, to: int) -> None:
        self._port, self._to = port, to
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)

    async def pull(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in tuple(self._ends):
            end.transport.abort()
        for pump in tuple(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._ends.discard(sink)


class Region:
    """One cluster and its ring, as people see them."""

    def __init__(
        self, name: str, kube: Kube, ring: Ring, second: Ring, cable: Cable, stub: Stub
    ) -> None:
        self.name = name
        self.kube = kube
        self.ring = ring
        # Another coordinator of the same cluster, as there is one during an upgrade; not started.
        self.second = second
        self.cable = cable
        self.stub = stub
        self.seen: list[tuple[float, str, str, int]] = []
        self._changed = asyncio.Condition()

    async def watch(self) -> None:
        """Notes every status of every canary, with when it came."""
        async for change, item in self.kube.watch(*CANARY):
            status = item.get("status") or {}
            if change == "DELETED" or not status.get("phase"):
                continue
            now = asyncio.get_running_loop().time()
            async with self._changed:
                self.seen.append(
                    (
                        now,
                        item["metadata"]["namespace"],
                        status["phase"],
                        status.get("canaryWeight", 0),
                    )
                )
                self._changed.notify_all()

    def when(self, namespace: str, phase: str, weight: int | None = None) -> list[float]:
        """When that was seen."""
        return [
            at
            for at, where, what, share in self.seen
            if (where, what) == (namespace, phase) and weight in (None, share)
        ]

    async def until(
        self, namespace: str, phase: str, weight: int | None = None, times: int = 1
    ) -> float:
        try:
            async with asyncio.timeout(BOUND_S), self._changed:
                await self._changed.wait_for(
                    lambda: len(self.when(namespace, phase, weight)) >= times
                )
        except TimeoutError:
            told = [seen[1:] for seen in self.seen if seen[1] == namespace]
            raise AssertionError(f"never {phase} in {self.name}: {told}") from None
        return self.when(namespace, phase, weight)[-1]

    async def begin(self, namespace: str, hook: Mapping[str, Any]) -> None:
        """The first version and its Canary, at rest."""
        self.answer(namespace, 100)
        await self.kube.namespace(namespace)
        await self.kube.apply(deployment(VERSION_1), namespace)
        await self.kube.apply(self.canary(namespace, hook), namespace)
        await self.until(namespace, "Initialized")

    def answer(self, namespace: str, success_rate: float) -> None:
        script = self.stub.script(f"{self.name}-{namespace}")
        script.set_prometheus([Answers(match="traefik", values=(success_rate,))])

    def canary(self, namespace: str, hook: Mapping[str, Any]) -> Obj:
        url = f"http://127.0.0.1:{self.ring.web_port}"
        return {
            "apiVersion": CANARY[0],
            "kind": "Canary",
            "metadata": {"name": "web"},
            "spec": {
                "provider": "traefik",
                "metricsServer": self.stub.url("prometheus", f"{self.name}-{namespace}"),
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80, "targetPort": 8080},
                "analysis": {
                    "interval": "1s",
                    "threshold": 1,
                    "stepWeight": 30,
                    "maxWeight": 60,
                    "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
                    "webhooks": [{**hook, "url": url + hook["url"]}],
                },
            },
        }

    async def push(self, namespace: str) -> None:
        path = "/spec/template/spec/containers/0/image"
        patch = [{"op": "replace", "path": path, "value": VERSION_2}]
        await self.kube.patch("apps/v1", "Deployment", namespace, "web", patch)


CONFIRM = {"name": "wave", "type": "confirm-rollout", "url": "/confirm", "timeout": "10s"}


def a_ring(
    name: str, plane: ControlPlane, server: Bus, folder: Path, services: tuple[str, ...]
) -> Ring:
    """Services of one cluster, each with its user of the bus."""
    users = {
        service: {
            "SERINUS_NATS_USER": service,
            "SERINUS_NATS_PASSWORD": server.password(service),
        }
        for service in services
    }
    return Ring(
        kubeconfig=lambda service: plane.kubeconfig(
            "admin" if service == "coordinator" else service
        ),
        nats=server.url,
        settings={
            **SETTINGS,
            "SERINUS_CLUSTER": name,
            "SERINUS_FLEET_URL": server.url,
            "SERINUS_FLEET_USER": "fleet",
            "SERINUS_FLEET_PASSWORD": server.password("fleet"),
            "SERINUS_WAIT_S": "5",
            "SERINUS_CHECK_WAIT_S": "40",
        },
        per_service=users,
        services=services,
        folder=folder,
    )


@asynccontextmanager
async def a_region(
    name: str, plane: ControlPlane, hub: Bus, stub: Stub, folder: Path
) -> AsyncIterator[Region]:
    (port,) = free_ports(1)
    cable = Cable(port, hub.leaf_port)
    await cable.plug()
    with bus.leaf(folder / f"nats-{name}", name, hub, port) as server:
        ring = a_ring(name, plane, server, folder / f"ring-{name}", SERVICES)
        async with (
            Kube(plane.kubeconfig()) as kube,
            Kube(plane.kubeconfig("kubelet")) as node,
            Kubelet(node, ready_after_s=0.1),
            ring,
        ):
            second = a_ring(name, plane, server, folder / f"second-{name}", ("coordinator",))
            region = Region(name, kube, ring, second, cable, stub)
            watching = asyncio.create_task(region.watch())
            try:
                yield region
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
    await cable.pull()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def regions(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Region]]:
    folder = tmp_path_factory.mktemp("waves")
    async with AsyncExitStack() as stack:
        hub = stack.enter_context(bus.hub(folder / "hub", "hub", REGIONS))
        planes = {
            name: stack.enter_context(control_plane(folder / f"plane-{name}")) for name in REGIONS
        }
        stub = await stack.enter_async_context(Stub())
        yield {
            name: await stack.enter_async_context(a_region(name, planes[name], hub, stub, folder))
            for name in REGIONS
        }


def wave(namespace: str, **spec: Any) -> Obj:
    """East, then west, then south."""
    return {
        "apiVersion": WAVE[0],
        "kind": "Wave",
        "metadata": {"name": "web"},
        "spec": {
            "steps": [
                {"name": name, "canaries": [{"cluster": name, "name": "web"}]} for name in REGIONS
            ],
            **spec,
        },
    }


async def all_begin(regions: Mapping[str, Region], namespace: str, **spec: Any) -> None:
    """A canary in each region, and the wave in the first."""
    await asyncio.gather(*(r.begin(namespace, CONFIRM) for r in regions.values()))
    await regions["east"].kube.apply(wave(namespace, **spec), namespace)
    await says(regions["east"], namespace, phase="Idle", done="3/3")


async def says(region: Region, namespace: str, **wanted: str) -> Obj:
    """Waits until the wave's status says so; a message may say more than what is wanted."""
    status: Obj = {}

    async def so() -> bool:
        status.clear()
        status.update((await region.kube.get(*WAVE, namespace, "web")).get("status") or {})
        return all(value in str(status.get(key)) for key, value in wanted.items())

    try:
        await eventually(so, f"the wave says {wanted}", BOUND_S)
    except TimeoutError:
        raise AssertionError(f"the wave never said {wanted}, but {status}") from None
    return status


async def test_a_good_release_goes_through_all_regions_in_order(
    regions: dict[str, Region],
) -> None:
    await all_begin(regions, "good")
    # Git reaches the last region first.
    for name in reversed(REGIONS):
        await regions[name].push("good")

    done = [await regions[name].until("good", "Succeeded") for name in REGIONS]

    begun = [regions[name].when("good", "Progressing", 30)[0] for name in REGIONS]
    assert begun[0] < done[0] < begun[1] < done[1] < begun[2] < done[2]
    await says(regions["east"], "good", phase="Idle", done="3/3")


async def test_a_coordinator_that_dies_or_is_there_twice_takes_no_step_twice(
    regions: dict[str, Region],
) -> None:
    """Killed while the first is under way; then two come, as in an upgrade, and one goes again."""
    home = regions["east"]
    await all_begin(regions, "killed")
    for name in REGIONS:
        await regions[name].push("killed")
    await home.until("killed", "Progressing", 30)
    home.ring.kill("coordinator")
    await home.until("killed", "Succeeded")
    assert [] == regions["west"].when("killed", "Progressing", 30)

    async with home.second:
        await home.ring.start("coordinator")
        await regions["west"].until("killed", "Progressing", 30)
    done = [await regions[name].until("killed", "Succeeded") for name in REGIONS]

    begun = [regions[name].when("killed", "Progressing", 30) for name in REGIONS]
    assert [1, 1, 1] == [len(times) for times in begun]
    assert done[0] < begun[1][0] < done[1] < begun[2][0] < done[2]
    assert 1 == (await says(home, "killed", phase="Idle", done="3/3"))["run"]


async def test_the_first_ones_failure_stops_the_rest(regions: dict[str, Region]) -> None:
    await all_begin(regions, "first")
    regions["east"].answer("first", 50)
    for name in REGIONS:
        await regions[name].push("first")

    await regions["east"].until("first", "Failed")
    status = await says(regions["east"], "first", phase="Stopped", message="first/web in east")

    assert ["failed", "waiting", "waiting"] == [m["state"] for m in status["canaries"]]
    for name in ("west", "south"):
        assert [] == regions[name].when("first", "Progressing", 30)
        assert await regions[name].until("first", "Waiting")


async def test_a_failure_in_the_third_keeps_the_first_two(regions: dict[str, Region]) -> None:
    await all_begin(regions, "third")
    regions["south"].answer("third", 50)
    for name in REGIONS:
        await regions[name].push("third")

    await regions["south"].until("third", "Failed")
    status = await says(regions["east"], "third", phase="Stopped", done="2/3")

    assert ["failed"] == [m["state"] for m in status["canaries"]]
    counts = [{"settled": 1}, {"settled": 1}, {"failed": 1}]
    assert counts == [step["counts"] for step in status["steps"]]


async def test_all_or_nothing_takes_the_first_two_back(regions: dict[str, Region]) -> None:
    await all_begin(regions, "nothing", onFailure="undo")
    regions["south"].answer("nothing", 50)
    for name in REGIONS:
        await regions[name].push("nothing")

    await regions["south"].until("nothing", "Failed")

    for name in ("east", "west"):
        await regions[name].until("nothing", "Failed")
        primary = await regions[name].kube.get("apps/v1", "Deployment", "nothing", "web-primary")
        image = primary["spec"]["template"]["spec"]["containers"][0]["image"]
        assert VERSION_1 == image


async def test_a_region_that_is_cut_off_finishes_and_nobody_guesses(
    regions: dict[str, Region],
) -> None:
    await all_begin(regions, "cut")
    for name in REGIONS:
        await regions[name].push("cut")
    await regions["west"].until("cut", "Progressing", 30)
    await regions["west"].cable.pull()
    try:
        await regions["west"].until("cut", "Succeeded")
        await says(regions["east"], "cut", message="no news from west")
        assert [] == regions["south"].when("cut", "Progressing", 30)
    finally:
        await regions["west"].cable.plug()

    await regions["south"].until("cut", "Succeeded")
    await says(regions["east"], "cut", phase="Idle", done="3/3")


async def test_a_pause_reaches_everybody_who_can_be_reached(regions: dict[str, Region]) -> None:
    """Within two seconds, the bound of the benchmarks; here only that it comes, and goes again.

    Meanwhile a region that is held loses its coordinator and its line: nobody guesses there.
    """
    steps = [{"name": "all", "canaries": [{"cluster": name, "name": "web"} for name in REGIONS]}]
    await all_begin(regions, "pause", steps=steps)
    for name in REGIONS:
        await regions[name].push("pause")
    for name in REGIONS:
        await regions[name].until("pause", "Progressing", 30)
    home = regions["east"].kube
    await home.patch(*WAVE, "pause", "web", {"spec": {"paused": True}})

    async def all_hold() -> bool:
        found = [await r.kube.get(*CANARY, "pause", "web") for r in regions.values()]
        notes = [one["metadata"].get("annotations") or {} for one in found]
        return all(note.get("flagger.app/pause", "").startswith("wave ") for note in notes)

    await eventually(all_hold, "all hold", BOUND_S)
    west = regions["west"]
    await west.cable.pull()
    try:
        west.ring.kill("coordinator")
        await west.ring.start("coordinator")
        assert await all_hold()
    finally:
        await west.cable.plug()
    await home.patch(*WAVE, "pause", "web", {"spec": {"paused": False}})
    for name in REGIONS:
        await regions[name].until("pause", "Succeeded")


@pytest.mark.parametrize(
    ("path", "word"), [("/check-status", "region"), ("/check-primary-status", "primary-cluster")]
)
async def test_the_guides_hooks_wait_for_another_cluster(
    regions: dict[str, Region], path: str, word: str
) -> None:
    """Without any wave, with the guide's URLs and metadata."""
    namespace = path.strip("/")
    hook = {
        "name": "check-us-east-status",
        "type": "pre-rollout",
        "url": path,
        "timeout": "45s",
        "metadata": {word: "east", "canary": "web", "namespace": namespace},
    }
    first, second = regions["east"], regions["west"]
    await asyncio.gather(first.begin(namespace, CONFIRM), second.begin(namespace, hook))
    await first.kube.apply(
        wave(namespace, steps=[{"name": "all", "canaries": [{"name": "web"}]}]), namespace
    )
    await second.push(namespace)
    await second.until(namespace, "Progressing")
    await first.push(namespace)

    done = await first.until(namespace, "Succeeded")
    begun = await second.until(namespace, "Progressing", 30)
    await second.until(namespace, "Succeeded")

    assert done < begun
