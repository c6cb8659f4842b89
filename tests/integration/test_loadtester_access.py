"""Who gets into the load tester: nobody by default; by token; by certificate; as its namespaces."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.builders import REF
from tests.servers.certificates import Authority, Certificate
from tests.servers.loadtester import TOKEN, LoadTester, load_tester

from serinus.analyzer.core.rollout import HookAnswer, HookAsk
from serinus.analyzer.settings import Settings
from serinus.analyzer.shell.hooks import ask_hook
from serinus.analyzer.shell.loadtester import Credentials, credentials
from serinus.events import Webhook
from serinus.runtime import SystemClock
from serinus.runtime.http import HttpClient
from serinus.runtime.settings import Secret

CLOSED = {"SERINUS_TOKEN": "", "SERINUS_RULES": ""}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def hook(client: HttpClient, ours: Credentials, url: str, **metadata: str) -> HookAnswer:
    """What the analyzer hears when it asks a hook of shop/web."""
    asked = Webhook(name="load", url=url, metadata={"type": "bash", **metadata})
    ask = HookAsk(key="k", hook=asked, phase="Progressing", checksum="1")
    return await ask_hook(ask, REF, client, SystemClock(), "", ours)


async def test_by_default_nothing_runs_and_no_gate_opens(tmp_path: Path) -> None:
    async with load_tester(tmp_path, headers={}, **CLOSED) as one:
        for path in ("/", "/gate/open", "/gate/check", "/rollback/open", "/tasks"):
            assert await one.post(path, "shop", cmd="true") == (401, "Unauthorized"), path
        assert (await one.post("/gate/approve", "shop"))[0] == 200
        assert "nobody may call" in one.log.read_text()


async def test_the_open_mode_is_asked_for_and_warned_of(tmp_path: Path) -> None:
    async with load_tester(tmp_path, headers={}, **CLOSED, SERINUS_OPEN="true") as one:
        assert await one.post("/", "shop", type="bash", cmd="echo a | grep a") == (200, "")
        assert "open: whoever reaches this port" in one.log.read_text()


async def test_a_hook_of_the_analyzer_comes_in_by_the_token_it_was_given(
    tmp_path: Path, client: HttpClient
) -> None:
    async with load_tester(tmp_path) as one:
        settings = Settings(loadtester_urls=(one.face,), loadtester_token=Secret(TOKEN))

        assert (await hook(client, credentials(settings), one.face, cmd="true")).passed
        assert await hook(client, Credentials(), one.face, cmd="true") == HookAnswer(
            key="k", passed=False, text="Unauthorized"
        )


def https(authority: Authority, shown: Certificate | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    if shown:
        context.load_cert_chain(*shown)
    return context


def serving(authority: Authority, **more: str) -> dict[str, str]:
    server = authority.issue("server", "IP:127.0.0.1")
    return {
        "SERINUS_TLS_CERT": str(server.cert),
        "SERINUS_TLS_KEY": str(server.key),
        "SERINUS_TLS_CLIENT_CA": str(authority.cert),
        "SERINUS_TOKEN": "",
        **more,
    }


async def as_client(one: LoadTester, context: ssl.SSLContext, namespace: str) -> int:
    body = {"name": "web", "namespace": namespace, "metadata": {"type": "bash", "cmd": "true"}}
    async with (
        aiohttp.ClientSession() as session,
        session.post(one.face, json=body, ssl=context) as answer,
    ):
        return answer.status


async def test_with_certificates_only_those_of_the_authority_come_in(
    authority: Authority, tmp_path: Path, client: HttpClient
) -> None:
    known = authority.issue("analyzer")
    stranger = Authority(tmp_path / "elsewhere").issue("analyzer")
    tls = https(authority, known)
    async with load_tester(tmp_path, tls=tls, headers={}, **serving(authority)) as one:
        assert await as_client(one, tls, "shop") == 200
        assert await as_client(one, https(authority, None), "shop") == 401
        with pytest.raises(aiohttp.ClientError):
            await as_client(one, https(authority, stranger), "shop")
        settings = Settings(
            loadtester_urls=(one.face,),
            loadtester_ca=str(authority.cert),
            loadtester_cert=str(known.cert),
            loadtester_key=str(known.key),
        )
        assert (await hook(client, credentials(settings), one.face, cmd="true")).passed


async def test_a_certificate_speaks_for_the_namespaces_of_its_name(
    authority: Authority, tmp_path: Path
) -> None:
    callers = '[{"certificate": "team-a", "namespaces": "a-.*"}]'
    tls = https(authority, authority.issue("team-a"))
    other = https(authority, authority.issue("team-b"))
    settings = serving(authority, SERINUS_CALLERS=callers)
    async with load_tester(tmp_path, tls=tls, headers={}, **settings) as one:
        assert await as_client(one, tls, "a-shop") == 200
        assert await as_client(one, tls, "b-shop") == 403
        assert await as_client(one, other, "a-shop") == 401
        assert await one.post("/gate/open", "a-shop") == (202, "")


async def test_commands_are_those_of_the_list_of_their_canary(tmp_path: Path) -> None:
    rules = '[{"namespace": "shop", "canary": "web", "command": "echo [a-z ]+"}]'
    async with load_tester(tmp_path, SERINUS_RULES=rules) as one:
        assert (await one.post("/", "shop", type="bash", cmd="echo a"))[0] == 200
        for namespace, cmd in (("shop", "id"), ("other", "echo a"), ("shop", "echo a; id")):
            status, text = await one.post("/", namespace, type="bash", cmd=cmd)
            assert (status, text) == (403, f"no rule lets web.{namespace} run this bash")


async def test_without_a_list_everything_runs_but_in_no_shell(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with load_tester(tmp_path, SERINUS_RULES="") as one:
        asked = {"type": "bash", "returnCmdOutput": "true"}
        assert await one.post("/", "shop", cmd="echo 'a  b'", **asked) == (200, "a  b\n")
        for cmd in (f"echo a > {log}", f"true; touch {log}", f"echo $(touch {log})"):
            status, text = await one.post("/", "shop", cmd=cmd, **asked)
            assert status == 403, cmd
            assert "needs a shell" in text
    assert not log.exists()
