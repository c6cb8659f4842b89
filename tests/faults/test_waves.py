"""Three clusters whose rings are joined by NATS leaf nodes; releases pass through all of them.

Each region has a control plane, a NATS server and a ring of its own; the hub only connects. The
line of a region goes through a cable that a test can pull out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.faults.lanes import VERSION_1, VERSION_2, deployment
from tests.ring import Ring
from tests.servers.control_plane import ControlPlane, control_plane
from tests.servers.kube import Kube, Obj
from tests.servers.kubelet import Kubelet
from tests.servers.nats import nats_server
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
HUB = """
accounts {{ FLEET {{ users: [
{users}
] }} }}
# A region that learned the hub's own address would go around its cable.
leafnodes {{ listen: "127.0.0.1:{port}", no_advertise: true }}
"""
# A region may speak under its own name only, and hear of nothing but the fleet.
USER = (
    '{{ user: {name}, password: {name}-pw, permissions: {{ publish: "serinus.fleet.{name}.>", '
    'subscribe: "serinus.fleet.>" }} }}'
)
LEAF = """
accounts {{
  RING {{ jetstream: enabled, users: [ {{ user: ring, password: ring-pw }} ] }}
  FLEET {{ users: [ {{ user: fleet, password: fleet-pw }} ] }}
}}
no_auth_user: ring
leafnodes {{
  reconnect: 1
  remotes: [ {{ url: "nats-leaf://{name}:{name}-pw@127.0.0.1:{port}", account: FLEET }} ]
}}
"""


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

    def __init__(self, name: str, kube: Kube, ring: Ring, cable: Cable, stub: Stub) -> None:
        self.name = name
        self.kube = kube
        self.ring = ring
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


@asynccontextmanager
async def a_region(
    name: str, plane: ControlPlane, hub_port: int, stub: Stub, folder: Path
) -> AsyncIterator[Region]:
    (port,) = free_ports(1)
    cable = Cable(port, hub_port)
    await cable.plug()
    config = LEAF.format(name=name, port=port)
    with nats_server(folder / f"nats-{name}", config) as server:
        ring = Ring(
            kubeconfig=lambda service: plane.kubeconfig(
                "admin" if service == "coordinator" else service
            ),
            nats=server.url,
            settings={
                **SETTINGS,
                "SERINUS_CLUSTER": name,
                "SERINUS_FLEET_URL": server.url,
                "SERINUS_FLEET_USER": "fleet",
                "SERINUS_FLEET_PASSWORD": "fleet-pw",
                "SERINUS_WAIT_S": "5",
                "SERINUS_CHECK_WAIT_S": "40",
            },
            services=SERVICES,
            folder=folder / f"ring-{name}",
        )
        async with (
            Kube(plane.kubeconfig()) as kube,
            Kube(plane.kubeconfig("kubelet")) as node,
            Kubelet(node, ready_after_s=0.1),
            ring,
        ):
            region = Region(name, kube, ring, cable, stub)
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
    (port,) = free_ports(1)
    users = "\n".join(USER.format(name=name) for name in REGIONS)
    async with AsyncExitStack() as stack:
        stack.enter_context(nats_server(folder / "hub", HUB.format(users=users, port=port)))
        planes = {
            name: stack.enter_context(control_plane(folder / f"plane-{name}")) for name in REGIONS
        }
        stub = await stack.enter_async_context(Stub())
        yield {
            name: await stack.enter_async_context(a_region(name, planes[name], port, stub, folder))
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

    assert ["settled", "settled", "failed"] == [m["state"] for m in status["canaries"]]


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
    """Within two seconds, the bound of the benchmarks; here only that it comes, and goes again."""
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


async def test_a_region_may_not_speak_for_another(regions: dict[str, Region]) -> None:
    """The hub lets nothing else through, so no region can say that another one is done."""
    import nats

    url = regions["west"].ring.environment("coordinator")["SERINUS_NATS_URL"]
    client = await nats.connect(url, user="fleet", password="fleet-pw")
    heard: list[bytes] = []

    async def hear(message: Any) -> None:
        heard.append(message.data)

    other = await nats.connect(
        regions["south"].ring.environment("coordinator")["SERINUS_NATS_URL"],
        user="fleet",
        password="fleet-pw",
    )
    try:
        await other.subscribe("serinus.fleet.>", cb=hear)
        await other.flush()
        await asyncio.sleep(0.5)
        await client.publish("serinus.fleet.east.changed", b"a lie")
        await client.publish("serinus.fleet.west.changed", b"the truth")
        await client.publish("serinus.snapshot.canary.shop.web", b"not for others")
        await client.flush()

        async def arrived() -> bool:
            return b"the truth" in heard

        await eventually(arrived, "the truth arrives", 10.0)
        assert not {b"a lie", b"not for others"} & set(heard)
    finally:
        await client.close()
        await other.close()
