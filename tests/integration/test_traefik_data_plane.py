"""What we render, the real Traefik serves: splits, A/B conditions, mirrors, cookies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from tests.builders import an_exposure
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.process import free_ports
from tests.servers.traefik import Traefik
from tests.servers.traefik import traefik as running_traefik
from tests.servers.waiting import eventually

from serinus.events import Cookies, Exposure, ObjectRef, Routes
from serinus.events.canary import HttpMatch, ServiceSpec, SessionAffinity, StringMatch
from serinus.kube.refs import ref_of
from serinus.router.core.objects import Live
from serinus.router.meshes import traefik

REQUESTS = 200
INSIDER = HttpMatch(
    headers={"X-Canary": StringMatch(exact="insider"), "X-Beta": StringMatch(prefix="1.")}
)
TESTER = HttpMatch(query_params={"beta": StringMatch(regex="yes|ja")})
# Two releases on one port: the Services of a release have the same one.
ADDRESSES = {"web": "127.0.0.1", "web-primary": "127.0.0.1", "web-canary": "127.0.0.2"}


class Backends:
    """The primary and the canary; `seen` counts requests by the name that answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = {"primary": 0, "canary": 0}


@asynccontextmanager
async def backends() -> AsyncIterator[Backends]:
    (port,) = free_ports(1)
    found = Backends(port)
    runners = []
    for name, address in (("primary", "127.0.0.1"), ("canary", "127.0.0.2")):

        async def answer(request: web.Request, name: str = name) -> web.Response:
            found.seen[name] += 1
            return web.Response(text=name)

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
        runners.append(runner)
    try:
        yield found
    finally:
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
def proxy(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Traefik]:
    with running_traefik(tmp_path / "traefik", control_plane.kubeconfig()) as server:
        yield server


class Site:
    """A namespace behind Traefik: the user's IngressRoute and what we render for it."""

    def __init__(self, kube: Kube, namespace: str, proxy: Traefik, port: int) -> None:
        self.url = f"{proxy.url}/{namespace}"
        self._kube = kube
        self._namespace = namespace
        self._port = port

    def exposure(self, **fields: object) -> Exposure:
        service = ServiceSpec(port=self._port)
        made = an_exposure(namespace=self._namespace, service=service)
        return msgspec.structs.replace(made, **fields)

    async def set_up(self, kind: str) -> Obj:
        """Services and an IngressRoute that leads to the Service or the TraefikService."""
        for name, address in ADDRESSES.items():
            ports = [{"port": self._port}]
            spec = {"type": "ExternalName", "externalName": address, "ports": ports}
            meta = {"name": name}
            service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
            await self._kube.apply(service, self._namespace)
        port = {"port": self._port} if kind == "Service" else {}
        rule = {
            "kind": "Rule",
            "match": f"PathPrefix(`/{self._namespace}`)",
            "services": [{"name": "web", "kind": kind, **port}],
        }
        route: Obj = {
            "apiVersion": traefik.API_VERSION,
            "kind": "IngressRoute",
            "metadata": {"name": "public"},
            "spec": {"entryPoints": ["web"], "routes": [rule]},
        }
        return await self._kube.apply(route, self._namespace)

    async def render(self, exposure: Exposure, routes: Routes, *sources: Obj) -> None:
        live = Live({ref_of(obj): obj for obj in sources})
        for obj in traefik.render(exposure, routes, live):
            await self._kube.apply(obj, self._namespace)

    async def ask(
        self, client: aiohttp.ClientSession, path: str = "", **headers: str
    ) -> tuple[int, str]:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        async with client.get(self.url + path, headers=asked) as answer:
            return answer.status, await answer.text()

    async def until(self, client: aiohttp.ClientSession, wanted: str, **headers: str) -> None:
        async def is_so() -> bool:
            return await self.ask(client, **headers) == (200, wanted)

        await eventually(is_so, f"{wanted} answers")


async def test_ab_requests_reach_the_canary_and_no_others_do(
    kube: Kube, namespace: str, proxy: Traefik
) -> None:
    insider = {"X_Canary": "insider", "X_Beta": "1.7"}
    async with backends() as served, aiohttp.ClientSession() as client:
        site = Site(kube, namespace, proxy, served.port)
        source = await site.set_up("Service")
        ref = ObjectRef(kind="IngressRoute", name="public")
        match = (INSIDER, TESTER)
        exposure = site.exposure(route=ref, match=match)
        await site.render(exposure, Routes(primary=0, canary=100, match=match), source)
        await site.until(client, "canary", **insider)

        assert (200, "canary") == await site.ask(client, "?beta=ja")
        assert (200, "primary") == await site.ask(client)
        assert (200, "primary") == await site.ask(client, "?beta=no")
        assert (200, "primary") == await site.ask(client, X_Canary="insider")
        assert (200, "primary") == await site.ask(client, X_Canary="insider", X_Beta="2.1")


async def test_the_users_route_is_split_by_the_one_before_it(
    kube: Kube, namespace: str, proxy: Traefik
) -> None:
    async with backends() as served, aiohttp.ClientSession() as client:
        site = Site(kube, namespace, proxy, served.port)
        source = await site.set_up("Service")
        await site.until(client, "primary")
        exposure = site.exposure(route=ObjectRef(kind="IngressRoute", name="public"))
        await site.render(exposure, Routes(primary=80, canary=20), source)
        await site.until(client, "canary")

        answers = [await site.ask(client) for _ in range(REQUESTS)]

    shares = [answer for _, answer in answers]
    assert {200} == {status for status, _ in answers}
    assert abs(shares.count("canary") - REQUESTS * 0.2) <= 1


async def test_mirrored_requests_are_answered_by_the_primary(
    kube: Kube, namespace: str, proxy: Traefik
) -> None:
    async with backends() as served, aiohttp.ClientSession() as client:
        site = Site(kube, namespace, proxy, served.port)
        await site.set_up("TraefikService")
        exposure = site.exposure(needs=("weight", "mirror"))
        await site.render(exposure, Routes(mirror=True, mirror_weight=40))
        await site.until(client, "primary")
        before = served.seen["canary"]

        answers = [await site.ask(client) for _ in range(REQUESTS)]

        async def arrived() -> bool:
            return abs(served.seen["canary"] - before - REQUESTS * 0.4) <= 1

        await eventually(arrived, "the canary has got 40 % of them")
    assert {(200, "primary")} == set(answers)


async def test_a_client_stays_where_it_is_for_one_release(
    kube: Kube, namespace: str, proxy: Traefik
) -> None:
    settings = SessionAffinity(cookie_name="canary", path="/")
    async with backends() as served, aiohttp.ClientSession() as client:
        site = Site(kube, namespace, proxy, served.port)
        await site.set_up("TraefikService")
        exposure = site.exposure()
        await site.render(exposure, Routes())
        await site.until(client, "primary")
        for canary, cookie in ((20, "canary=first"), (70, "canary=first")):
            cookies = Cookies(settings=settings, canary=cookie)
            routes = Routes(primary=100 - canary, canary=canary, cookies=cookies)
            await site.render(exposure, routes)

            async def is_split() -> bool:
                async with aiohttp.ClientSession() as other:
                    return "canary" in {(await site.ask(other))[1] for _ in range(6)}

            await eventually(is_split, "new clients meet the canary")
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar) as returning:
                answers = {await site.ask(returning) for _ in range(20)}
            assert 1 == len(answers)
        await site.render(exposure, Routes(cookies=Cookies(settings=settings)))
        await site.until(client, "primary")
