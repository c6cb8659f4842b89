"""Flagger's load tester, row by row (reference 6.5, 6.6 and 9.3), at a process in its open mode.

Nothing in its image, and nobody's token: this is what manifests written for Flagger meet.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.builders import REF
from tests.servers.loadtester import LoadTester, load_tester
from tests.servers.process import free_ports

from serinus.analyzer.core.rollout import HookAnswer, HookAsk
from serinus.analyzer.shell.hooks import ask_hook, payload
from serinus.events import Webhook
from serinus.runtime import SystemClock
from serinus.runtime.http import HttpClient

OPEN = {"SERINUS_TOKEN": "", "SERINUS_RULES": "", "SERINUS_OPEN": "true"}


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[LoadTester]:
    async with load_tester(tmp_path, headers={}, **OPEN, SERINUS_NAMESPACE_REGEXP="sh.p") as made:
        yield made


def body(namespace: str = "shop", **metadata: str) -> bytes:
    return json.dumps({"name": "web", "namespace": namespace, "metadata": metadata}).encode()


async def asked(one: LoadTester, path: str, content: bytes = b"", method: str = "POST") -> Any:
    async with one.client.request(method, one.face + path, data=content) as answer:
        return answer.status, await answer.text()


BARE = b'{"name": "web", "namespace": "shop", "phase": "Progressing", "checksum": "1"}'
ROWS: list[tuple[str, str, bytes, tuple[int, str]]] = [
    # 6.5: routes that take no body, whatever the method
    ("healthz", "/healthz", b"", (200, "OK")),
    ("approve", "/gate/approve", b"not looked at", (200, "OK")),
    ("halt", "/gate/halt", b"not looked at", (403, "Forbidden")),
    # 6.5: an unknown key is closed
    ("closed gate", "/gate/check", BARE, (403, "Forbidden")),
    ("closed rollback", "/rollback/check", BARE, (403, "Forbidden")),
    # 6.5: malformed JSON, foreign namespaces (an unanchored search), metadata
    ("malformed", "/", b"{", (400, "")),
    ("malformed at a gate", "/gate/open", b"{", (400, "")),
    ("namespace", "/", body("other", cmd="true"), (403, "Forbidden")),
    ("namespace at a gate", "/rollback/open", body("other"), (403, "Forbidden")),
    ("unanchored", "/", body("a-shop-b", cmd="true"), (202, "")),
    ("no metadata", "/", BARE, (400, "metadata not found in payload")),
    ("empty metadata", "/", body(), (400, "metadata not found in payload")),
    # 6.6: types
    ("cmd", "/", body(cmd="exit 3"), (202, "")),
    ("cmd by name", "/", body(type="cmd", cmd="true", logCmdOutput="true"), (202, "")),
    ("every path", "/any/path", body(cmd="true"), (202, "")),
    ("cmd without cmd", "/", body(type="cmd"), (400, "cmd not found in metadata")),
    ("bash", "/", body(type="bash", cmd="echo a | grep a"), (200, "")),
    ("output", "/", body(type="bash", cmd="echo a", returnCmdOutput="true"), (200, "a\n")),
    # 9.3
    (
        "bash exit 1",
        "/",
        body(type="bash", cmd="false"),
        (500, "command false failed: : exit status 1"),
    ),
    (
        "bash with output",
        "/",
        body(type="bash", cmd="echo no; exit 2"),
        (500, "command echo no; exit 2 failed: no\n: exit status 2"),
    ),
    ("bash without cmd", "/", body(type="bash"), (400, "cmd not found in metadata")),
    ("helm without cmd", "/", body(type="helm"), (400, "cmd not found in metadata")),
    ("kubectl without cmd", "/", body(type="kubectl"), (400, "cmd not found in metadata")),
    ("ngrinder", "/", body(type="ngrinder", server="x"), (400, "clone not found in metadata")),
    ("concord", "/", body(type="concord", server="x"), (400, "org not found in metadata")),
    # 6.6: there the connection drops
    ("unknown type", "/", body(type="wrk2", cmd="x"), (400, "unknown task type wrk2")),
]


async def test_every_row_is_answered_byte_for_byte(one: LoadTester) -> None:
    seen = {name: await asked(one, path, content) for name, path, content, _ in ROWS}

    assert seen == {name: answer for name, *_, answer in ROWS}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_methods_are_not_looked_at(one: LoadTester, method: str) -> None:
    assert await asked(one, "/gate/approve", b"", method) == (200, "OK")
    assert await asked(one, "/", body(type="bash", cmd="true"), method) == (200, "")


async def test_gates_and_rollback_gates_are_two_key_spaces(one: LoadTester) -> None:
    assert await asked(one, "/gate/open", BARE) == (202, "")
    assert await asked(one, "/gate/check", BARE) == (200, "Approved")
    assert await asked(one, "/rollback/check", BARE) == (403, "Forbidden")
    assert await asked(one, "/gate/close", BARE) == (202, "")
    assert await asked(one, "/gate/check", BARE) == (403, "Forbidden")


async def test_metrics_are_there_with_those_of_tasks(one: LoadTester) -> None:
    """11.3 no. 24: the reference exports none about tasks."""
    await asked(one, "/", body(type="bash", cmd="true"))
    status, text = await asked(one, "/metrics", b"", "GET")

    assert status == 200
    ended = r'^serinus_load_tasks_total\{(?=.*kind="bash")(?=.*outcome="succeeded").*\} 1\.0$'
    assert re.search(ended, text, re.M)


async def test_a_command_that_runs_already_is_skipped(one: LoadTester, tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    cmd = f"echo run >> {log}; until [ -e {gate} ]; do sleep 0.05; done"
    for _ in range(3):
        assert await asked(one, "/", body(cmd=cmd)) == (202, "")
    gate.touch()
    await one.idle()

    assert log.read_text() == "run\n"


async def test_helm_and_kubectl_get_arguments_split_at_white_space(tmp_path: Path) -> None:
    for name in ("helm", "kubectl"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho {name} "$#" "$2"\n')
        tool.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    async with load_tester(tmp_path, headers={}, **OPEN, PATH=path) as one:
        for kind, name in (("helm", "helm"), ("helmv3", "helm"), ("kubectl", "kubectl")):
            asking = body(type=kind, cmd="test  'a b'", returnCmdOutput="true")
            assert await asked(one, "/", asking) == (200, f"{name} 3 'a\n")


def test_the_payload_is_the_references() -> None:
    """The example of 6.2."""
    hook = Webhook(
        name="load",
        url="http://load/",
        metadata={"type": "cmd", "cmd": "hey -z 1m http://shop-canary.prod/"},
    )
    ask = HookAsk(key="k", hook=hook, phase="Progressing", checksum="7b9c6f5d48")
    ref = type(REF)("prod", "shop")

    assert payload(ask, ref) == (
        b'{"name":"shop","namespace":"prod","phase":"Progressing","checksum":"7b9c6f5d48",'
        b'"metadata":{"type":"cmd","cmd":"hey -z 1m http://shop-canary.prod/"}}'
    )


async def test_a_hook_that_is_answered_500_and_then_202_succeeds_with_a_retry() -> None:
    """9.3: webhook 500 then 202 with retries 1 -> success."""
    [port] = free_ports(1)
    statuses = [500, 202]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = HttpClient()
    hook = Webhook(name="load", url=f"http://127.0.0.1:{port}/", retries=1)
    ask = HookAsk(key="k", hook=hook, phase="Progressing", checksum="1")
    try:
        found = await ask_hook(ask, REF, client, SystemClock())
    finally:
        await client.close()
        await runner.cleanup()

    assert found == HookAnswer(key="k", passed=True)
    assert statuses == []
