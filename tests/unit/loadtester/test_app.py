"""The load tester as a whole service, alone."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from serinus.loadtester.app import service
from serinus.loadtester.settings import Settings
from serinus.runtime import Running, SettingsError, load, serve


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def settings(port: int, **more: str) -> Settings:
    environ = {
        "SERINUS_LISTEN": "127.0.0.1:0",
        "SERINUS_WEB": f"127.0.0.1:{port}",
        "SERINUS_DRAIN_S": "2",
        "SERINUS_OPEN": "true",
        **more,
    }
    return load(Settings, environ)


async def test_alone_it_needs_no_nats_and_stops_its_tasks_when_told_to() -> None:
    port, stop = free_port(), asyncio.Event()
    up: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    whole = asyncio.create_task(serve(service, settings(port), stop=stop, started=up.set_result))
    async with asyncio.timeout(10), aiohttp.ClientSession() as client:
        running = await up
        body = {"name": "web", "namespace": "prod", "metadata": {"cmd": "sleep 30"}}
        async with client.post(f"http://127.0.0.1:{port}/", json=body) as answer:
            assert answer.status == 202
        for path, status in (("open", 202), ("check", 200)):
            async with client.post(f"http://127.0.0.1:{port}/gate/{path}", json=body) as answer:
                assert answer.status == status
        stop.set()
        await whole

    [run] = running.deps.crew.runs()
    assert run.ended is not None
    assert run.ended.error == "signal: terminated"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERINUS_NAMESPACE_REGEXP", "("),
        ("SERINUS_WEB", "nowhere"),
        ("SERINUS_CALLERS", '[{"token": ""}]'),
        ("SERINUS_RULES", '[{"command": "("}]'),
        ("SERINUS_TLS_CERT", "/nowhere"),
    ],
)
async def test_settings_that_cannot_work_stop_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        await serve(service, settings(free_port(), **{name: value}))


def test_the_environment_is_read() -> None:
    found = load(
        Settings,
        {"SERINUS_TIMEOUT_S": "90", "SERINUS_MAX_TASKS": "3", "SERINUS_TOKEN": "s3cret"},
    )

    assert (found.timeout_s, found.max_tasks, found.token.reveal()) == (90.0, 3, "s3cret")
    assert found.nats_url == ""
