"""The whole pocket cluster: real Traefik, real NATS, real processes, real requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest
from tests.integration.sandbox.api import MERGE, STRATEGIC, Api, Obj
from tests.servers.waiting import eventually

from serinus.sandbox import Program, Sandbox

DEPLOYMENTS = "deployments.v1.apps"
SPLIT = "traefikservices.v1alpha1.traefik.io"
HOST = {"Host": "web.local"}


def a_deployment(name: str, image: str, replicas: int = 2) -> Obj:
    labels = {"app": name}
    ports = [{"name": "http", "containerPort": 9898}]
    container = {"name": "web", "image": image, "ports": ports}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def a_service(name: str) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}


def a_split(canary: int) -> Obj:
    weights = {"web-primary": 100 - canary, "web-canary": canary}
    services = [
        {"kind": "Service", "name": name, "port": 80, "weight": weight}
        for name, weight in weights.items()
    ]
    return {"spec": {"weighted": {"services": services}}}


ROUTE = {
    "metadata": {"name": "web"},
    "spec": {
        "entryPoints": ["web"],
        "routes": [
            {
                "kind": "Rule",
                "match": "Host(`web.local`)",
                "services": [{"kind": "TraefikService", "name": "web"}],
            }
        ],
    },
}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path / "box") as running:
        yield running


@pytest.fixture
async def api(box: Sandbox) -> AsyncIterator[Api]:
    async with Api(box.kubeconfig) as client:
        yield client


async def available(api: Api, name: str, image: str = "") -> None:
    """Waits until the Deployment is complete, in its newest version."""

    async def complete() -> bool:
        found = (await api.get(DEPLOYMENTS, name)).body
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        return bool(
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == wanted
            and status.get("replicas", 0) == wanted
            and status.get("availableReplicas", 0) == wanted
        )

    await eventually(complete, f"{name} is available", 30)


async def a_split_app(api: Api, box: Sandbox, canary: int) -> None:
    """Two releases behind one route, answering."""
    for name, image in (("web-primary", "hello:1.0"), ("web-canary", "hello:2.0")):
        await api.create(DEPLOYMENTS, a_deployment(name, image))
        await api.create("services", a_service(name))
    for name in ("web-primary", "web-canary"):
        await available(api, name)
    await api.create(SPLIT, {"metadata": {"name": "web"}, **a_split(canary)})
    await api.create("ingressroutes.v1alpha1.traefik.io", ROUTE)
    async with aiohttp.ClientSession() as session:

        async def answers() -> bool:
            seen = [await version(session, box) for _ in range(8)]
            return all(one[0] == 200 for one in seen)

        await eventually(answers, "the route answers", 15)


async def version(session: aiohttp.ClientSession, box: Sandbox) -> tuple[int, str]:
    async with session.get(box.traefik_url, headers=HOST) as answer:
        await answer.read()
        return answer.status, answer.headers.get("X-Version", "")


async def set_image(api: Api, name: str, image: str) -> None:
    containers = [{"name": "web", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    assert (await api.patch(DEPLOYMENTS, name, patch, STRATEGIC)).code == 200


async def test_requests_are_split_as_ordered_and_a_change_is_quick(box: Sandbox, api: Api) -> None:
    await a_split_app(api, box, 20)
    async with aiohttp.ClientSession() as session:
        seen = Counter([(await version(session, box))[1] for _ in range(500)])

        await api.patch(SPLIT, "web", a_split(100), MERGE)
        ordered = time.monotonic()

        async def moved() -> bool:
            return {(await version(session, box))[1] for _ in range(20)} == {"2.0"}

        await eventually(moved, "all requests reach the canary", 5)
        took = time.monotonic() - ordered

    assert seen["2.0"] / 500 == pytest.approx(0.2, abs=0.02)
    assert took < 2.0


async def test_a_rolling_update_loses_no_request(box: Sandbox, api: Api) -> None:
    await a_split_app(api, box, 0)
    seen: Counter[tuple[int, str]] = Counter()
    done = asyncio.Event()

    async def ask(session: aiohttp.ClientSession) -> None:
        while not done.is_set():
            seen[await version(session, box)] += 1

    async with aiohttp.ClientSession() as session:
        asking = [asyncio.create_task(ask(session)) for _ in range(4)]
        await set_image(api, "web-primary", "hello:1.1")
        await available(api, "web-primary")

        async def old_are_gone() -> bool:
            pods = (await api.get("pods", labelSelector="app=web-primary")).body["items"]
            return len(pods) == 2

        await eventually(old_are_gone, "the old pods are gone", 15)
        done.set()
        await asyncio.gather(*asking)

    assert {code for code, _ in seen} == {200}
    assert {release for _, release in seen} == {"1.0", "1.1"}


async def test_a_machine_with_one_loopback_address_is_enough(tmp_path: Path) -> None:
    async with (
        Sandbox(tmp_path / "box", nats=False, single_address=True) as box,
        Api(box.kubeconfig) as api,
    ):
        await a_split_app(api, box, 50)
        pods = (await api.get("pods")).body["items"]
        async with aiohttp.ClientSession() as session:
            seen = Counter([(await version(session, box))[1] for _ in range(40)])

    assert {pod["status"]["podIP"] for pod in pods} == {"127.0.0.1"}
    assert seen == {"1.0": 20, "2.0": 20}


async def test_traefik_counts_by_service_and_status(box: Sandbox, api: Api) -> None:
    await a_split_app(api, box, 50)
    await set_image(api, "web-canary", "hello:3.0-errors100")
    await available(api, "web-canary")

    async with aiohttp.ClientSession() as session:

        async def failed_are_counted() -> bool:
            await version(session, box)
            async with session.get(box.traefik_metrics_url) as answer:
                lines = (await answer.text()).splitlines()
            return any(
                line.startswith("traefik_service_requests_total")
                and 'code="500"' in line
                and 'service="default-web-canary-80@kubernetescrd"' in line
                for line in lines
            )

        await eventually(failed_are_counted, "Traefik counts failures of the canary", 15)


def waiting_reasons(pods: list[Any]) -> set[str]:
    return {
        status["state"]["waiting"]["reason"]
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if "waiting" in status["state"]
    }


@pytest.mark.parametrize(
    ("image", "reason"),
    [("hello:2.0-crash", "CrashLoopBackOff"), ("nginx:1", "ImagePullBackOff")],
)
async def test_a_pod_says_why_it_does_not_run(
    box: Sandbox, api: Api, image: str, reason: str
) -> None:
    await api.create(DEPLOYMENTS, a_deployment("web", image, 1))

    async def told() -> bool:
        pods = (await api.get("pods")).body["items"]
        return waiting_reasons(pods) == {reason}

    await eventually(told, reason, 15)


async def test_a_version_that_never_becomes_ready_leaves_the_old_one_serving(
    box: Sandbox, api: Api
) -> None:
    deployment = a_deployment("web", "hello:1.0")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}}
    deployment["spec"]["progressDeadlineSeconds"] = 2
    await api.create(DEPLOYMENTS, deployment)
    await available(api, "web")

    await set_image(api, "web", "hello:2.0-neverready")

    async def stuck() -> bool:
        conditions = (await api.get(DEPLOYMENTS, "web")).body["status"]["conditions"]
        return "ProgressDeadlineExceeded" in [c["reason"] for c in conditions]

    await eventually(stuck, "the deadline is exceeded", 15)
    assert (await api.get(DEPLOYMENTS, "web")).body["status"]["availableReplicas"] == 2


async def test_a_pod_gets_its_configuration_and_its_log_can_be_read(box: Sandbox, api: Api) -> None:
    await api.create("configmaps", {"metadata": {"name": "c"}, "data": {"ERROR_RATE": "1"}})
    deployment = a_deployment("web", "hello:1.0", 1)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": "c"}}]
    await api.create(DEPLOYMENTS, deployment)
    await available(api, "web")
    (pod,) = (await api.get("pods")).body["items"]

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{pod['status']['podIP']}:9898/") as answer,
    ):
        assert answer.status == 500
    log = await api.call("GET", api.path("pods", pod["metadata"]["name"], "log"))
    assert "version 1.0 listens on" in log.body


async def test_a_deletion_by_force_cuts_the_grace_short(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code += "print('up', flush=True); time.sleep(99)"
    stubborn = Program((sys.executable, "-c", code))
    async with (
        Sandbox(
            tmp_path / "box", nats=False, traefik=False, programs={"stubborn": stubborn}
        ) as box,
        Api(box.kubeconfig) as api,
    ):
        container = {"name": "c", "image": "stubborn:1"}
        await api.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})

        async def is_up() -> bool:
            return "up" in str((await api.call("GET", api.path("pods", "p", "log"))).body)

        await eventually(is_up, "the program is up", 10)
        await api.delete("pods", "p")
        assert (await api.get("pods", "p")).meta["deletionGracePeriodSeconds"] == 30
        await api.delete("pods", "p", {"gracePeriodSeconds": 0})
        kubelets = [t for t in asyncio.all_tasks() if t.get_name() == "pod p"]
        await asyncio.wait_for(asyncio.gather(*kubelets), 5)

    assert len(kubelets) == 1


async def test_nats_keeps_its_streams_through_a_kill(box: Sandbox) -> None:
    assert box.nats is not None
    client = await nats.connect(box.nats_url)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    await client.jetstream().publish("s.a", b"kept")
    await client.close()

    await box.nats.kill()
    await box.nats.start()

    client = await nats.connect(box.nats_url)
    info = await client.jetstream().stream_info("S")
    await client.close()
    assert info.state.messages == 1


async def test_a_spawned_program_knows_the_cluster_and_ends_with_it(tmp_path: Path) -> None:
    code = "import os, time; e = os.environ; print(e['KUBECONFIG'], e['X'], flush=True)"
    code += "; time.sleep(99)"
    async with Sandbox(tmp_path / "box", nats=False, traefik=False) as box:
        child = await box.spawn("mine", [sys.executable, "-c", code], {"X": "y"})

        async def said() -> bool:
            return "y" in child.tail()

        await eventually(said, "the program speaks", 10)
        assert child.tail() == f"{box.kubeconfig} y"

    assert child.returncode == -signal.SIGTERM


STARTS_A_SANDBOX = """
import asyncio, json, sys
from pathlib import Path
from serinus.sandbox import Program, Sandbox

async def main():
    async with Sandbox(Path(sys.argv[1])) as box:
        child = await box.spawn("mine", ["sleep", "99"])
        servers = [box.nats.child.pid, box.traefik.child.pid, child.pid]
        print(json.dumps(servers), flush=True)
        await asyncio.sleep(99)

asyncio.run(main())
"""


async def test_nothing_outlives_a_sandbox_that_was_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", STARTS_A_SANDBOX, str(tmp_path / "box")]
    parent = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pids = json.loads(await parent.stdout.readline())
    parent.kill()
    await parent.wait()

    async def all_gone() -> bool:
        return not any(alive(pid) for pid in pids)

    assert len(pids) == 3
    await eventually(all_gone, "all children have ended", 10)


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        # A zombie that nobody has waited for yet is dead enough.
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    return False
