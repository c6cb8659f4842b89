"""Records releases of known goodness with the real proxy: `python -m tests.corpus.record`.

The sandbox runs the versions as processes behind its Traefik, split by weight; every request is a
real one, over loopback. A window is over when about a thousand requests were answered, which stands
for ten seconds at a hundred a second; then Traefik's own counters are read, as a scrape would. What
was counted goes into traefik.jsonl, one release a line. Takes about five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from tests.corpus.recorded import PATH, Recording, Window
from tests.servers.waiting import eventually

from serinus.analyzer.providers.exposition import labels_of, samples
from serinus.kube.client import KubeClient, connect
from serinus.kube.refs import Obj, Ref
from serinus.runtime.http import HttpClient, HttpRequest
from serinus.sandbox import Sandbox

WINDOWS = 24
REQUESTS = 1000
SWING = 0.3
CONNECTIONS = 24
ODD_WINDOWS = range(8, 12)
HOLES = frozenset({6, 13, 14})
SERVICE_REQUESTS = "traefik_service_requests_total"
DURATIONS = "traefik_service_request_duration_seconds_bucket"
SIDES = ("canary", "primary")
PORT = 9898
READY_S = 60.0


class Plan(Struct, frozen=True, kw_only=True):
    """One release to be recorded.

    primary, canary  what is wrong with each, as a tag of the sandbox's image
    share            the canary's, in percent
    odd              a side one pod of which fails three times as often for some windows
    holes            some windows are not scraped
    """

    name: str
    primary: str
    canary: str
    share: int
    odd: str = ""
    holes: bool = False


PLANS = (
    Plan(name="good", primary="errors1", canary="errors1", share=5),
    Plan(name="good", primary="errors1", canary="errors1", share=20),
    Plan(name="good", primary="errors1", canary="errors1", share=50),
    Plan(name="good", primary="errors3", canary="errors3", share=5),
    Plan(name="good", primary="errors0", canary="errors0", share=5),
    Plan(name="good", primary="errors1", canary="errors1", share=20, odd="canary"),
    Plan(name="good", primary="errors1", canary="errors1", share=5, odd="primary", holes=True),
    Plan(name="bad", primary="errors1", canary="errors5", share=5),
    Plan(name="bad", primary="errors1", canary="errors5", share=5),
    Plan(name="bad", primary="errors1", canary="errors5", share=5),
    Plan(name="bad", primary="errors1", canary="errors5", share=5, odd="primary", holes=True),
    Plan(name="bad", primary="errors3", canary="errors15", share=5),
    Plan(name="bad", primary="errors1", canary="errors5", share=20),
    Plan(name="bad", primary="errors1", canary="errors3", share=20),
    Plan(name="slow", primary="errors1", canary="errors1-slow150", share=5),
)


def a_deployment(name: str, label: str, tag: str, replicas: int) -> Obj:
    labels = {"app": label, "pods": name}
    container = {
        "name": "web",
        "image": f"hello:1-{tag}",
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def objects(run: str, plan: Plan) -> Iterator[Obj]:
    """Both versions, their Services, and the route that splits requests between them."""
    for side in SIDES:
        name = f"{run}-{side}"
        yield a_deployment(name, name, getattr(plan, side), 2)
        if plan.odd == side:
            worse = f"errors{3 * int(plan.primary.removeprefix('errors'))}"
            yield a_deployment(f"{name}-odd", name, worse, 0)
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "selector": {"app": name},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            },
        }
    services = [
        {"kind": "Service", "name": f"{run}-{side}", "port": 80, "weight": weight}
        for side, weight in (("canary", plan.share), ("primary", 100 - plan.share))
    ]
    yield {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": run, "namespace": "default"},
        "spec": {"weighted": {"services": services}},
    }
    match = {
        "kind": "Rule",
        "match": f"Host(`{run}.local`)",
        "services": [{"kind": "TraefikService", "name": run}],
    }
    yield {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": run, "namespace": "default"},
        "spec": {"entryPoints": ["web"], "routes": [match]},
    }


class Load:
    """Requests over connections that stay open, as many as the proxy answers."""

    def __init__(self, address: str, host: str) -> None:
        self._host, _, port = address.rpartition("/")[2].partition(":")
        self._port = int(port)
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def send(self, count: int) -> None:
        """Returns when so many were answered, whatever the answers were."""
        turns = itertools.repeat(None, count)
        await asyncio.gather(*(self._connection(turns) for _ in range(CONNECTIONS)))

    async def _connection(self, turns: Iterator[None]) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            for _ in turns:
                writer.write(self._request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class Stage:
    """The sandbox with one client for its API and one for its pages."""

    def __init__(self, box: Sandbox, cluster: KubeClient, http: HttpClient) -> None:
        self.box = box
        self.cluster = cluster
        self.http = http

    async def resize(self, name: str, replicas: int) -> None:
        ref = Ref("apps/v1", "Deployment", "default", name)
        await self.cluster.patch(ref, {"spec": {"replicas": replicas}}, manager="recorder")
        await eventually(lambda: self._has(ref, replicas), f"{name} has {replicas} pods", READY_S)

    async def _has(self, ref: Ref, replicas: int) -> bool:
        status = (await self.cluster.get(ref)).get("status") or {}
        counts = (status.get(field, 0) for field in ("replicas", "availableReplicas"))
        return all(count == replicas for count in counts)

    async def counters(self, run: str) -> Mapping[str, dict[str, float]]:
        """Traefik's counters: by side, `all`, `bad`, and requests up to each bound."""
        page = await self.http.send(HttpRequest(url=self.box.traefik_metrics_url))
        found: dict[str, dict[str, float]] = {side: {} for side in SIDES}
        for series, name, value in samples(page.text, (SERVICE_REQUESTS, DURATIONS)):
            labels = labels_of(series)
            for side in SIDES:
                if labels.get("service", "").startswith(f"default-{run}-{side}-80@"):
                    keys = [labels["le"]] if name == DURATIONS else ["all"]
                    if name == SERVICE_REQUESTS and labels["code"].startswith("5"):
                        keys.append("bad")
                    for key in keys:
                        found[side][key] = found[side].get(key, 0.0) + value
        return found


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with Sandbox(nats=False) as box, connect(str(box.kubeconfig)) as cluster:
        http = HttpClient()
        try:
            yield Stage(box, cluster, http)
        finally:
            await http.close()


async def record(on: Stage, index: int, plan: Plan) -> Recording:
    """One release, window by window."""
    run = f"r{index}"
    made = list(objects(run, plan))
    for obj in made:
        await on.cluster.create(obj)
    for obj in made:
        if obj["kind"] == "Deployment":
            await on.resize(obj["metadata"]["name"], obj["spec"]["replicas"])
    load = Load(on.box.traefik_url, f"{run}.local")

    async def routed() -> bool:
        await load.send(200)
        counted = await on.counters(run)
        return all(counted[side].get("all") for side in SIDES)

    await eventually(routed, f"{run} is routed", READY_S)
    before = await on.counters(run)
    windows: list[Window | None] = []
    dice = random.Random(index)
    phase = dice.random() * 2 * math.pi
    for at in range(WINDOWS):
        if plan.odd and at in (ODD_WINDOWS.start, ODD_WINDOWS.stop):
            await on.resize(f"{run}-{plan.odd}-odd", 1 if at == ODD_WINDOWS.start else 0)
        await load.send(round(REQUESTS * (1 + SWING * math.sin(phase + at / 4))))
        if plan.holes and at in HOLES:
            windows.append(None)
            continue
        after = await on.counters(run)
        windows.append(_grown(before, after))
        before = after
    for obj in reversed(made):
        meta = obj["metadata"]
        await on.cluster.delete(Ref(obj["apiVersion"], obj["kind"], "default", meta["name"]))
    return Recording(
        kind=plan.name,
        primary=plan.primary,
        canary=plan.canary,
        share=plan.share / 100,
        odd=plan.odd,
        bounds=sorted({float(le) for le in before["primary"] if le not in ("all", "bad")}),
        windows=windows,
    )


def _grown(before: Mapping[str, Any], after: Mapping[str, Any]) -> Window:
    """What was counted in between; bounds in ascending order."""
    found = []
    for side in SIDES:
        new, old = after[side], before[side]
        bounds = sorted((le for le in after["primary"] if le not in ("all", "bad")), key=float)
        counts = {key: new.get(key, 0.0) - old.get(key, 0.0) for key in ("all", "bad", *bounds)}
        found.append((counts["all"], counts["bad"], tuple(counts[le] for le in bounds)))
    return Window(canary=found[0], primary=found[1])


async def main() -> None:
    lines = []
    async with stage() as on:
        for index, plan in enumerate(PLANS):
            recording = await record(on, index, plan)
            lines.append(msgspec.json.encode(recording))
            print(index, plan, file=sys.stderr, flush=True)
    PATH.write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    asyncio.run(main())
