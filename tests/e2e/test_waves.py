"""A wave over real pods, by the coordinator that the chart installs."""

from __future__ import annotations

import asyncio
import os
import subprocess

from tests.e2e.cluster import Cluster
from tests.e2e.hello import NAME, Hello, hello_in
from tests.e2e.stage import NAMESPACE, Stage
from tests.e2e.suite import RELEASE
from tests.servers.kube import Kube, Obj
from tests.servers.process import of_the_environment
from tests.servers.waiting import eventually

HOOK = {
    "name": "wave",
    "type": "confirm-rollout",
    "url": f"http://{RELEASE}-coordinator.{NAMESPACE}:8090/confirm",
    "timeout": "10s",
}
LATEST_S = 90.0


async def test_the_second_canary_begins_when_the_first_has_succeeded(
    hello: Hello, installed: Stage, node: Cluster, figures: list[str]
) -> None:
    """What is released has the same images all along: anything new in the first is waited for."""
    async with (
        Kube(node.kubeconfig) as kube,
        hello_in(kube, installed, f"{hello.namespace}-2") as second,
    ):
        await asyncio.gather(*(one_at_rest(one) for one in (hello, second)))
        await kube.apply(wave(second.namespace), hello.namespace)
        await columns_of(node, hello.namespace, until="2/2")
        await hello.push("2.0")
        await hello.until("Waiting", "Progressing")
        await second.push("2.0")
        await second.until("Waiting")
        first_done = await hello.until("Succeeded", within_s=LATEST_S)
        last = await second.until("Succeeded", within_s=LATEST_S)
        shown = await columns_of(node, hello.namespace, until="2/2")
        assert ["2.0"] * 2 == [await one.version_of(f"{NAME}-primary") for one in (hello, second)]

    begun = next(moment.at for moment in second.moments if moment.weight)
    assert first_done.at <= begun
    assert ["NAME", "PHASE", "STEP", "DONE", "SINCE", "MESSAGE"] == shown[0]
    assert [NAME, "Idle", "2/2"] == shown[1][:3]
    figures.append(f"a wave of two: the second went live {last.at - first_done.at:.0f} s later")


async def one_at_rest(hello: Hello) -> None:
    await hello.deploy()
    analysis = {
        "interval": "10s",
        "threshold": 5,
        "stepWeight": 50,
        "maxWeight": 50,
        "webhooks": [HOOK],
    }
    await hello.canary(analysis=analysis)
    await hello.until("Initialized", within_s=LATEST_S)


def wave(second: str) -> Obj:
    steps = [
        {"name": "first", "canaries": [{"name": NAME}]},
        {"name": "second", "canaries": [{"name": NAME, "namespace": second}]},
    ]
    return {
        "apiVersion": "serinus.dev/v1alpha1",
        "kind": "Wave",
        "metadata": {"name": NAME},
        # A version is a variable there, not an image.
        "spec": {"identity": "any", "steps": steps},
    }


async def columns_of(node: Cluster, namespace: str, *, until: str) -> list[list[str]]:
    """What `kubectl get waves` shows, once its row has this word: header and row, without gaps."""
    argv = [of_the_environment("kubectl"), "--namespace", namespace, "get", "waves"]
    environment = os.environ | {"KUBECONFIG": str(node.kubeconfig)}
    rows: list[list[str]] = []

    async def there() -> bool:
        done = await asyncio.to_thread(
            subprocess.run, argv, env=environment, capture_output=True, text=True, check=True
        )
        rows[:] = [line.split() for line in done.stdout.splitlines()]
        return len(rows) == 2 and until in rows[1]

    await eventually(there, f"the wave is {until}: {rows}", LATEST_S)
    return rows
