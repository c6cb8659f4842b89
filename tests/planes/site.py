"""One canary behind a real data plane: pods that answer, a router that writes, clients that ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from tests.integration.test_router import Bench, running
from tests.planes.catalog import Plane
from tests.planes.conditions import ANYTHING, Ask
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube
from tests.servers.waiting import eventually

from serinus.analyzer.core.queries import Names, names_of
from serinus.events import CanarySpec, ObjectRef, Routes

TARGET_PORT = 8080
AT_ONCE = 16
NAMES = {"web": "canary", "web-primary": "primary"}
Answer = tuple[int, str]
PRIMARY, CANARY = (200, "primary"), (200, "canary")


class Pods:
    """Answers for every pod with the name of its release; `seen` counts what reached them."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.seen: Counter[str] = Counter()
        self._kube = kube
        self._namespace = namespace
        self._names: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        if address not in self._names:
            await self._read()
        name = self._names[address]
        self.seen[name] += 1
        return web.Response(text=name)

    async def _read(self) -> None:
        for pod in await self._kube.list("v1", "Pod", self._namespace):
            app = pod["metadata"]["labels"]["app"]
            self._names[pod["status"].get("podIP", "")] = NAMES[app]


class Site:
    """`url` and `host` are how clients reach the canary."""

    def __init__(self, plane: Plane, url: str, bench: Bench, pods: Pods) -> None:
        self.plane = plane
        self.pods = pods
        self._url = url
        self._bench = bench
        self._host = host_of(bench.namespace)

    @property
    def names(self) -> Names:
        """What metric queries know the canary by."""
        spec = CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web"))
        return names_of(self._bench.namespace, "web", spec)

    async def route(self, routes: Routes) -> None:
        """The routes as an intent of the analyzer's; returns when the router saw them settle."""
        intent = self._bench.intent(canary="running")
        await self._bench.settled(msgspec.structs.replace(intent, routes=routes))

    async def ask(self, client: aiohttp.ClientSession, what: Ask = ANYTHING) -> Answer:
        """One request; a connection that breaks is an answer with status 0."""
        headers = {"Host": self._host, **what.headers}
        try:
            async with client.get(self._url + what.path, headers=headers) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 0, repr(error)

    async def answers(self, count: int, what: Ask = ANYTHING) -> Counter[Answer]:
        """How `count` requests of clients without a memory were answered."""
        found: Counter[Answer] = Counter()
        left = iter(range(count))

        async def some(client: aiohttp.ClientSession) -> None:
            for _ in left:
                found[await self.ask(client, what)] += 1

        async with a_client() as client, asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some(client))
        return found

    async def until(self, wanted: Iterable[Answer], what: Ask = ANYTHING) -> None:
        """Waits until the data plane has taken what the router wrote: all of these answers and no
        others are given."""
        expected = set(wanted)

        async def probe() -> bool:
            return set(await self.answers(60, what)) == expected

        await eventually(probe, f"answers are {sorted(expected)}")


@asynccontextmanager
async def a_client(jar: aiohttp.abc.AbstractCookieJar | None = None) -> AsyncIterator[Any]:
    """Remembers no cookies, unless they have a jar."""
    timeout = aiohttp.ClientTimeout(total=10)
    memory = aiohttp.DummyCookieJar() if jar is None else jar
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=memory) as client:
        yield client


def host_of(namespace: str) -> str:
    return f"{namespace}.test"


@asynccontextmanager
async def a_site(
    plane: Plane, url: str, control_plane: ControlPlane, kube: Kube, namespace: str
) -> AsyncIterator[Site]:
    """The user's manifests, pods behind them, and everything on the primary."""
    pods = Pods(kube, namespace)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pods.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", TARGET_PORT).start()
    bench = Bench(kube, namespace, plane.mesh)
    host = host_of(namespace)
    fields = {"needs": tuple(sorted(plane.can)), **plane.exposure(host)}
    bench.exposure = msgspec.structs.replace(bench.exposure, **fields)
    try:
        await bench.set_up()
        for manifest in plane.manifests(host):
            await kube.apply(manifest, namespace)
        async with running(control_plane, bench):
            made = Site(plane, url, bench, pods)
            await bench.settled(bench.intent())
            await made.until([PRIMARY])
            yield made
    finally:
        await runner.cleanup()
