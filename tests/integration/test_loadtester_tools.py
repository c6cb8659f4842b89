"""The tools of the load tester's image, really run against the sandbox's proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.sandbox.api import Api, Obj
from tests.servers.loadtester import LoadTester, load_tester
from tests.servers.waiting import eventually
from tests.tools import debian

from serinus.sandbox import Sandbox

REQUESTS = 400
# A tenth of its answers is a 500.
IMAGE = "hello:1.0-errors10"
DEPLOYMENT: Obj = {
    "metadata": {"name": "hello"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "hello"}},
        "template": {
            "metadata": {"labels": {"app": "hello"}},
            "spec": {
                "containers": [
                    {
                        "name": "hello",
                        "image": IMAGE,
                        "ports": [{"name": "http", "containerPort": 9898}],
                    }
                ]
            },
        },
    },
}
SERVICE: Obj = {
    "metadata": {"name": "hello"},
    "spec": {
        "selector": {"app": "hello"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    },
}
ROUTE: Obj = {
    "metadata": {"name": "hello"},
    "spec": {
        "entryPoints": ["web"],
        "routes": [
            {
                "kind": "Rule",
                "match": "PathPrefix(`/`)",
                "services": [{"name": "hello", "port": 80}],
            }
        ],
    },
}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path / "box") as running:
        async with Api(running.kubeconfig) as api:
            await api.create("deployments.v1.apps", DEPLOYMENT)
            await api.create("services", SERVICE)
            await api.create("ingressroutes.v1alpha1.traefik.io", ROUTE)
        yield running


@pytest.fixture
async def one(tmp_path: Path, box: Sandbox) -> AsyncIterator[LoadTester]:
    rules = '[{"command": "(hey|wrk) .*"}]'
    async with load_tester(tmp_path, SERINUS_RULES=rules) as running:

        async def served() -> bool:
            """Each of both pods has answered well."""
            async with running.client.get(box.traefik_url) as answer:
                return answer.status == 200

        for _ in range(4):
            await eventually(served, "the proxy has the route", 30)
        yield running


async def numbers(one: LoadTester, cmd: str) -> dict[str, Any]:
    """What a load test came to, as /tasks has it."""
    debian.program(cmd.split()[0])
    assert await one.post("/", "shop", cmd=cmd) == (202, "")
    await one.idle()
    row = (await one.tasks())[0]
    assert row["state"] == "succeeded", row
    found: dict[str, Any] = row["numbers"]
    return found


async def test_hey_counts_every_request_through_the_proxy(one: LoadTester, box: Sandbox) -> None:
    found = await numbers(one, f"hey -n {REQUESTS} -c 4 {box.traefik_url}/")

    assert found["status_200"] + found["status_500"] == REQUESTS
    assert 0 < found["status_500"] < REQUESTS / 4
    assert found["errors"] == 0
    assert found["requests_per_s"] > 0
    assert 0 < found["p50_s"] <= found["p99_s"] <= found["slowest_s"]


async def test_wrk_counts_the_bad_answers_through_the_proxy(one: LoadTester, box: Sandbox) -> None:
    found = await numbers(one, f"wrk -t 1 -c 4 -d 1s --latency {box.traefik_url}/")

    assert found["requests"] > 0
    assert 0 < found["not_ok"] < found["requests"] / 4
    assert found["errors"] == 0
    assert 0 < found["p50_s"] <= found["p99_s"]
