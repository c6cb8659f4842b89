"""What hooks at our own load tester go with, and that nobody else gets to see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builders import REF
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply

from serinus.analyzer.core.rollout import HookAsk
from serinus.analyzer.settings import Settings
from serinus.analyzer.shell.hooks import ask_hook
from serinus.analyzer.shell.loadtester import credentials
from serinus.events import Webhook
from serinus.runtime.http import HttpRequest, HttpResponse, Identity
from serinus.runtime.settings import Secret, SettingsError

URLS = ("http://loadtester.serinus", "https://loadtester.serinus.svc:9443/")
OURS = credentials(Settings(loadtester_urls=URLS, loadtester_token=Secret("t0ken")))

pytestmark = pytest.mark.looptime


async def sent(url: str, token: str = "", **fields: object) -> HttpRequest:
    http = FakeHttp(in_turn(reply(200)))
    hook = Webhook(**{"name": "load", "url": url, **fields})  # type: ignore[arg-type]
    ask = HookAsk(key="k", hook=hook, phase="Progressing", checksum="1")
    await ask_hook(ask, REF, http, http.clock, token, OURS)
    return http.sent[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://loadtester.serinus/",
        "http://loadtester.serinus:80/gate/check",
        "http://LoadTester.serinus./x?y",
        "https://loadtester.serinus.svc:9443",
    ],
)
async def test_hooks_at_the_load_tester_carry_its_token(url: str) -> None:
    request = await sent(url)

    assert request.headers["Authorization"] == "Bearer t0ken"
    assert not request.redirects


@pytest.mark.parametrize(
    "url",
    [
        "http://loadtester.serinus.evil.test/",
        "http://loadtester.serinus@evil.test/",
        "http://evil.test/http://loadtester.serinus/",
        "http://evil.test#@loadtester.serinus/",
        "http://loadtester.serinus:8080/",
        "https://loadtester.serinus/",
        "http://loadtester.serinus:port/",
        "ftp://loadtester.serinus/",
        "loadtester.serinus",
    ],
)
async def test_nobody_else_gets_to_see_it(url: str) -> None:
    request = await sent(url)

    assert "Authorization" not in request.headers
    assert request.identity is None
    assert request.redirects


@pytest.mark.parametrize(
    "fields",
    [
        {"body": '{"name": "web", "namespace": "of-somebody-else"}'},
        {"disable_tls": True},
        {"headers": {"authorization": "Basic x"}},
    ],
)
async def test_a_hook_that_could_speak_for_others_goes_without(fields: dict[str, object]) -> None:
    assert "Authorization" not in (await sent("http://loadtester.serinus/", **fields)).headers


async def test_the_hooks_own_token_goes_first() -> None:
    request = await sent("http://loadtester.serinus/", token="its-own")

    assert request.headers["Authorization"] == "Bearer its-own"


BUSY = reply(429, "too many tasks are running", **{"Retry-After": "5"})


@pytest.mark.parametrize(
    ("url", "replies", "passed", "attempts"),
    [
        (URLS[0], (BUSY, BUSY, reply(202)), True, 3),
        (URLS[0], (BUSY, BUSY, BUSY, reply(202)), False, 3),
        ("http://other/", (BUSY, reply(202)), False, 1),
    ],
)
async def test_a_load_tester_that_is_full_is_asked_again_within_the_timeout(
    url: str, replies: tuple[HttpResponse, ...], passed: bool, attempts: int
) -> None:
    """That it is full says nothing about the release; elsewhere it is a failure, as in Flagger."""
    http = FakeHttp(in_turn(*replies))
    ask = HookAsk(key="k", hook=Webhook(name="load", url=url), phase="Progressing", checksum="1")

    answer = await ask_hook(ask, REF, http, http.clock, "", OURS)

    assert (answer.passed, len(http.sent)) == (passed, attempts)
    assert http.times[-1] - http.times[0] == 5.0 * (attempts - 1)


def test_certificates_are_read_from_files(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(name)
    found = credentials(
        Settings(
            loadtester_ca=str(tmp_path / "ca"),
            loadtester_cert=str(tmp_path / "cert"),
            loadtester_key=str(tmp_path / "key"),
        )
    )

    assert found.identity == Identity(ca=b"ca", cert=b"cert", key=b"key")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings(loadtester_urls=("loadtester",)), "SERINUS_LOADTESTER_URLS"),
        (Settings(loadtester_ca="/nowhere/ca.pem"), "SERINUS_LOADTESTER_CA"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(settings: Settings, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        credentials(settings)
