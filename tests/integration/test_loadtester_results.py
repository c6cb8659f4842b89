"""What tasks came to is not lost: not with the replica that ran them, not while NATS is away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.builders import REF
from tests.servers.loadtester import BOUND_S, TOKEN, LoadTester, load_tester
from tests.servers.nats import NatsServer
from tests.servers.waiting import eventually

from serinus.analyzer.core.rollout import HookAsk
from serinus.analyzer.settings import Settings
from serinus.analyzer.shell.hooks import ask_hook
from serinus.analyzer.shell.loadtester import credentials
from serinus.events import CanaryRef, LoadFinished, Webhook
from serinus.runtime import RuntimeSettings, SystemClock
from serinus.runtime.http import HttpClient
from serinus.runtime.nats import NatsBus
from serinus.runtime.settings import Secret
from serinus.runtime.telemetry import PrometheusMetrics

FAILING = {"cmd": "echo too slow; exit 3", "failOnError": "true", "returnCmdOutput": "true"}
TOLD = "command echo too slow; exit 3 failed: too slow\n: exit status 3"


@asynccontextmanager
async def reader(server: NatsServer) -> AsyncIterator[NatsBus]:
    made = NatsBus(
        "reader",
        RuntimeSettings(nats_url=server.url),
        clock=SystemClock(),
        metrics=PrometheusMetrics(),
    )
    made.start()
    try:
        yield made
    finally:
        await made.close()


async def ended(one: LoadTester, id_: str) -> dict[str, Any]:
    """The row of a run, once that has ended."""
    found: dict[str, Any] = {}

    async def is_over() -> bool:
        found.update(await one.get(f"/tasks/{id_}"))
        return bool(found["state"] != "running")

    await eventually(is_over, f"{id_} is over", BOUND_S)
    return found


async def begun(one: LoadTester, namespace: str, **metadata: str) -> str:
    """The id of a run that nobody waits for."""
    body = {"name": "web", "namespace": namespace, "metadata": metadata}
    async with one.client.post(one.face, json=body) as answer:
        assert answer.status == 202, await answer.text()
        return answer.headers["Serinus-Task"]


async def all_is_said(one: LoadTester) -> None:
    """Another replica, or the next one here, will know what this one does."""

    async def is_kept() -> bool:
        async with one.client.get(f"{one.health}/metrics") as answer:
            return bool(re.search(r"^serinus_load_unsaid\S* 0$", await answer.text(), re.M))

    await eventually(is_kept, "everything is said", BOUND_S)


async def test_a_failed_task_fails_the_hook_that_asked_for_it(tmp_path: Path) -> None:
    """The reference answers 202 and never speaks of it again (11.3 no. 26)."""
    client = HttpClient()
    async with load_tester(tmp_path) as one:
        settings = Settings(loadtester_urls=(one.face,), loadtester_token=Secret(TOKEN))
        hook = Webhook(name="load", url=one.face, metadata=FAILING)
        ask = HookAsk(key="k", hook=hook, phase="Progressing", checksum="1")
        answers = []
        for _ in range(2):
            asked = await ask_hook(ask, REF, client, SystemClock(), "", credentials(settings))
            answers.append(asked.passed)
            await one.idle()
    await client.close()

    assert answers == [True, False]


async def test_whichever_replica_is_asked_the_failure_is_told_once(
    nats: NatsServer, tmp_path: Path
) -> None:
    space = "told-once"
    async with (
        load_tester(tmp_path, nats.url) as one,
        load_tester(tmp_path, nats.url) as other,
    ):
        await ended(one, await begun(one, space, **FAILING))
        await all_is_said(one)
        assert await other.post("/", space, **FAILING) == (500, TOLD)
        await all_is_said(other)
        # Nobody is told twice; it is run again instead.
        assert await one.post("/", space, **FAILING) == (202, "")


async def test_a_failure_outlives_the_load_tester(nats: NatsServer, tmp_path: Path) -> None:
    space = "outlived"
    async with load_tester(tmp_path, nats.url) as one:
        id_ = await begun(one, space, **FAILING)
        await ended(one, id_)
        await all_is_said(one)
        await one.kill()

    async with load_tester(tmp_path, nats.url) as next_one:
        row = await next_one.get(f"/tasks/{id_}")
        assert (row["id"], row["state"], row["exit"]) == (id_, "failed", 3)
        assert id_ in [row["id"] for row in await next_one.tasks()]
        assert await next_one.post("/", space, **FAILING) == (500, TOLD)


async def test_what_was_cut_off_by_a_restart_is_no_failure(
    nats: NatsServer, tmp_path: Path
) -> None:
    space = "cut-off"
    slow = {"cmd": "sleep 60", "failOnError": "true"}
    async with load_tester(tmp_path, nats.url) as one:
        id_ = await begun(one, space, **slow)
        assert await one.stop() == 0

    async with load_tester(tmp_path, nats.url) as next_one:
        assert (await next_one.get(f"/tasks/{id_}"))["state"] == "stopped"
        assert await next_one.post("/", space, **slow) == (202, "")


async def test_facts_wait_while_nats_is_away(own_nats: NatsServer, tmp_path: Path) -> None:
    space = "waited"
    async with load_tester(tmp_path, own_nats.url) as one:
        assert (await one.post("/gate/open", space))[0] == 202
        own_nats.kill()
        id_ = await begun(one, space, cmd="exit 4")
        assert (await ended(one, id_))["exit"] == 4
        own_nats.start()
        async with reader(own_nats) as bus:

            async def is_told() -> bool:
                latest = await bus.latest(LoadFinished, CanaryRef(space, "web"))
                return latest is not None and latest.message.exit_status == 4

            await eventually(is_told, "the end is told", BOUND_S)


@pytest.mark.parametrize("kind", ["cmd", "bash"])
async def test_every_task_has_an_id_a_state_an_end_and_an_output(kind: str, tmp_path: Path) -> None:
    body = {"name": "web", "namespace": "shop", "metadata": {"type": kind, "cmd": "echo a; exit 5"}}
    async with load_tester(tmp_path) as one:
        async with one.client.post(one.face, json=body) as answer:
            id_ = answer.headers["Serinus-Task"]
        row = await ended(one, id_)

    assert (row["id"], row["canary"], row["type"]) == (id_, "web.shop", kind)
    assert (row["state"], row["exit"], row["output"]) == ("failed", 5, "a\n")
    assert row["error"] == "exit status 5"
