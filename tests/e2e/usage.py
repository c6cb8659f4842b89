"""What each pod of the suite takes, at rest and under load: `python -m tests.e2e.usage`.

At rest: everything installed, nothing to do. Under load: one release with all of its steps, 200
requests per second from outside and as many by the load tester, which a hook asks for them. Prints
a table of resident memory and of processor time by container, as the node's kubelet counts them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from tests.e2e import images, stage
from tests.e2e.cluster import cluster
from tests.e2e.hello import NAME, Hello, hello_in
from tests.e2e.load import RATE
from tests.e2e.shared import Shared
from tests.e2e.stage import NAMESPACE, PREFIX
from tests.e2e.suite import RELEASE, Suite
from tests.servers.kube import Kube

SPACE = f"{PREFIX}usage"
REST_S = 60.0
EVERY_S = 10.0


class Taken(NamedTuple):
    """By one container: resident memory in MiB, and processor time since its start in seconds."""

    mib: float
    cpu_s: float


class Usage(NamedTuple):
    """Of one container over a while: the most memory in MiB, thousandths of a processor."""

    mib: float
    milli: float


async def sampled(kube: Kube) -> dict[str, Taken]:
    """Every pod of the suite's namespace."""
    found = {}
    for node in await kube.list("v1", "Node"):
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
        for pod in (await kube.request("GET", path))["pods"]:
            if pod["podRef"]["namespace"] == NAMESPACE:
                found[pod["podRef"]["name"]] = _taken(pod["containers"][0])
    return found


def _taken(container: Mapping[str, Any]) -> Taken:
    memory, cpu = container["memory"], container["cpu"]
    resident = memory.get("rssBytes", memory.get("workingSetBytes", 0))
    return Taken(resident / 2**20, cpu.get("usageCoreNanoSeconds", 0) / 1e9)


async def lines(kube: Kube) -> list[str]:
    """What each has taken so far, for people."""
    found = sorted((await sampled(kube)).items())
    return [f"{name:40} {t.mib:6.1f} MiB  {t.cpu_s:6.1f} s CPU" for name, t in found]


async def over(kube: Kube, work: Callable[[], Awaitable[None]]) -> dict[str, Usage]:
    """What pods took while `work` was done."""
    first, begun = await sampled(kube), time.monotonic()
    most = {name: taken.mib for name, taken in first.items()}
    task = asyncio.ensure_future(work())
    last = first
    while not task.done():
        await asyncio.wait([task], timeout=EVERY_S)
        last = await sampled(kube)
        for name, taken in last.items():
            most[name] = max(most.get(name, 0.0), taken.mib)
    await task
    took_s = time.monotonic() - begun
    return {
        name: Usage(most[name], 1000 * (last[name].cpu_s - taken.cpu_s) / took_s)
        for name, taken in first.items()
        if name in last
    }


async def released(hello: Hello) -> None:
    """A release under load from both sides, up to its promotion."""
    url = f"http://{NAME}-canary.{hello.namespace}/"
    crowd = {"type": "cmd", "cmd": f"hey -z 40s -q {RATE // 4} -c 4 {url}"}
    hook = {"name": "load", "type": "rollout", "timeout": "10s", "metadata": crowd}
    await hello.deploy()
    await hello.canary(
        threshold=10, webhooks=[{**hook, "url": f"http://{RELEASE}-loadtester.{NAMESPACE}/"}]
    )
    await hello.until("Initialized")
    async with hello.traffic():
        await hello.push("2.0")
        await hello.until("Progressing")
        await hello.until("Succeeded", within_s=180)


async def measured() -> None:
    shared = Shared.find()
    every = images.every()
    archives = [images.archive(image, shared) for image in every.values()]
    references = {name: image.reference for name, image in every.items()}
    with cluster(shared) as node:
        for archive in archives:
            node.load(archive)
        suite = Suite(node.kubeconfig, NAMESPACE, references)
        async with Kube(node.kubeconfig) as kube:
            running = await stage.set_up(kube, suite, references)
            try:
                rest = await over(kube, lambda: asyncio.sleep(REST_S))
                async with hello_in(kube, running, SPACE) as hello:
                    load = await over(kube, lambda: released(hello))
            finally:
                await stage.tear_down(kube, suite)
    print(f"{'':34} {'at rest':>18} {'under load':>18}")
    for name in sorted(load):
        parts = [f"{u.mib:6.1f} MiB {u.milli:6.1f}m" for u in (rest[name], load[name])]
        print(f"{name:34}", *parts)


if __name__ == "__main__":
    asyncio.run(measured())
