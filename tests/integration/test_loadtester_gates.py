"""Gates outlive everything and everybody, and people turn them from the command line."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from tests.servers.loadtester import BOUND_S, TOKEN, LoadTester, load_tester
from tests.servers.nats import NatsServer
from tests.servers.waiting import eventually

SPACE = "kept-gates"


async def serinus(one: LoadTester, *words: str, token: str = TOKEN) -> tuple[int, str]:
    """The exit status of a `serinus gate` command and what it said, without the moment."""
    environ = {
        **os.environ,
        "SERINUS_LOADTESTER_URL": one.face,
        "SERINUS_LOADTESTER_TOKEN": token,
    }
    argv = [sys.executable, "-c", "from serinus.cli.main import main; raise SystemExit(main())"]
    process = await asyncio.create_subprocess_exec(
        *argv, "gate", *words, env=environ, stdout=asyncio.subprocess.PIPE, stderr=-2
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_gate_survives_the_death_of_every_replica_and_of_nats(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(load_tester(tmp_path, own_nats.url)) for _ in range(2)
        ]
        assert await replicas[0].post("/gate/open", SPACE, by="ana") == (202, "")
        assert await replicas[1].post("/rollback/open", SPACE) == (202, "")
        before = await replicas[1].get("/gates")
        for replica in replicas:
            await replica.kill()
        own_nats.kill()

    own_nats.start()
    async with load_tester(tmp_path, own_nats.url) as one, load_tester(tmp_path, own_nats.url):
        assert await one.post("/gate/check", SPACE) == (200, "Approved")
        assert await one.post("/rollback/check", SPACE) == (200, "Approved")
        after = await one.get("/gates")

    assert after == before
    assert [(row["gate"], row["by"]) for row in after] == [
        ("gate", "ana via token"),
        ("rollback", "token"),
    ]
    assert all(row["at"] > 1.7e9 for row in after)


async def test_what_one_replica_was_told_counts_while_the_other_is_dead(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    async with (
        load_tester(tmp_path, own_nats.url) as one,
        load_tester(tmp_path, own_nats.url) as other,
    ):
        await one.post("/gate/open", SPACE)
        await one.kill()
        assert await other.post("/gate/close", SPACE) == (202, "")
        own_nats.kill()
        own_nats.start()

        async def is_closed() -> bool:
            return await other.post("/gate/check", SPACE) == (403, "Forbidden")

        await eventually(is_closed, "the gate is closed", BOUND_S)


async def test_people_turn_gates_from_the_command_line(nats: NatsServer, tmp_path: Path) -> None:
    space = "turned-gates"
    async with load_tester(tmp_path, nats.url) as one:
        turn = ("web", "-n", space)
        assert await serinus(one, "open", *turn, "--by", "ana") == (
            0,
            f"gate of {space}/web: open\n",
        )
        assert await serinus(one, "open", *turn, "--rollback", "--by", "bo") == (
            0,
            f"rollback of {space}/web: open\n",
        )
        assert await one.post("/gate/check", space) == (200, "Approved")

        status, listed = await serinus(one, "list", "-n", space)
        rows = [line.split() for line in listed.splitlines()]
        assert status == 0
        assert rows[0] == ["NAMESPACE", "CANARY", "GATE", "OPENED", "BY"]
        assert [[*row[:3], *row[4:]] for row in rows[1:]] == [
            [space, "web", "gate", "ana", "via", "token"],
            [space, "web", "rollback", "bo", "via", "token"],
        ]

        assert (await serinus(one, "close", *turn))[0] == 0
        assert await one.post("/gate/check", space) == (403, "Forbidden")
        status, listed = await serinus(one, "list", "-n", space)
        assert len(listed.splitlines()) == 2


async def test_what_cannot_be_turned_says_why(tmp_path: Path) -> None:
    async with load_tester(tmp_path) as one:
        status, said = await serinus(one, "open", "web", token="wrong")
        assert (status, "401 Unauthorized; show a token" in said) == (1, True)
        status, said = await serinus(one, "open")
        assert (status, "which canary?" in said) == (1, True)
        await one.kill()
        status, said = await serinus(one, "list")
        assert (status, "cannot connect" in said) == (1, True)
