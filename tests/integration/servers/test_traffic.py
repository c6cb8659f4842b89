"""Traefik, Prometheus and hey are the real ones, and the numbers that they give are true."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.servers.control_plane import ControlPlane
from tests.servers.kube import Kube, Obj
from tests.servers.prometheus import Prometheus
from tests.servers.prometheus import prometheus as running_prometheus
from tests.servers.traefik import Traefik
from tests.servers.traefik import traefik as running_traefik
from tests.servers.waiting import eventually
from tests.tools import debian

REQUESTS = 200
SERVED = 'traefik_service_requests_total{{service=~"{}-web-{}-[0-9a-zA-Z-]+@kubernetescrd"}}'


@asynccontextmanager
async def a_release(status: int) -> AsyncIterator[int]:
    """A small HTTP server that always answers `status`; its port."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=str(status))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def a_service(name: str, port: int) -> Obj:
    spec = {"type": "ExternalName", "externalName": "127.0.0.1", "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def a_split(ports: dict[str, int], weights: dict[str, int]) -> Obj:
    services = [
        {"name": f"web-{role}", "port": ports[role], "weight": weight}
        for role, weight in weights.items()
    ]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": "web"},
        "spec": {"weighted": {"services": services}},
    }


def a_route(path: str) -> Obj:
    service = {"name": "web", "kind": "TraefikService"}
    rule = {"match": f"PathPrefix(`{path}`)", "kind": "Rule", "services": [service]}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "web"},
        "spec": {"entryPoints": ["web"], "routes": [rule]},
    }


@pytest.fixture
def proxy(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Traefik]:
    with running_traefik(tmp_path / "traefik", control_plane.kubeconfig()) as server:
        yield server


@pytest.fixture
def metrics(proxy: Traefik, tmp_path: Path) -> Iterator[Prometheus]:
    targets = {"traefik": [proxy.metrics]}
    with running_prometheus(tmp_path / "prometheus", targets, every_s=0.2) as server:
        yield server


async def load(address: str) -> dict[str, int]:
    """Sends REQUESTS with hey; how many of each status came back."""
    argv = [debian.program("hey"), "-n", str(REQUESTS), "-c", "4", address]
    done = await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, text=True, check=True, timeout=60
    )
    return {code: int(n) for code, n in re.findall(r"\[(\d+)]\s+(\d+) responses", done.stdout)}


async def test_the_weights_of_a_traefik_service_are_what_clients_get(
    kube: Kube, namespace: str, proxy: Traefik, metrics: Prometheus
) -> None:
    """One in five requests goes to a canary of weight 20, and Prometheus counts the same."""

    async def routed() -> bool:
        async with aiohttp.ClientSession() as client, client.get(address) as answer:
            return answer.status != 404

    async def counted() -> bool:
        found = {
            role: sum(await asyncio.to_thread(metrics.query, SERVED.format(namespace, role)))
            for role in ports
        }
        # The request that found the route is counted too, and is one release's or the other's.
        return sum(found.values()) == REQUESTS + 1 and 0 <= found["canary"] - answered["500"] <= 1

    async with a_release(200) as primary, a_release(500) as canary:
        ports = {"primary": primary, "canary": canary}
        for role, port in ports.items():
            await kube.apply(a_service(f"web-{role}", port), namespace)
        await kube.apply(a_split(ports, {"primary": 80, "canary": 20}), namespace)
        await kube.apply(a_route(f"/{namespace}"), namespace)
        address = f"{proxy.url}/{namespace}"
        await eventually(routed, "Traefik has read the route")

        answered = await load(address)

    assert sum(answered.values()) == REQUESTS
    assert abs(answered["500"] - REQUESTS * 0.2) <= 1
    await eventually(counted, "Prometheus has counted every request")
