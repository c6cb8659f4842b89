"""The HTTP face, route by route, with real commands (reference 6.5 and 6.6)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from serinus.loadtester.core.callers import Caller, Callers, Rule
from serinus.loadtester.core.payload import Namespaces, Payload
from serinus.loadtester.crew import Crew, Run
from serinus.loadtester.gates import BUCKET, Gates, Space
from serinus.loadtester.kin import Kin
from serinus.loadtester.results import BUCKET as RESULTS
from serinus.loadtester.results import Results
from serinus.loadtester.tasks.catalog import workshop
from serinus.loadtester.web import MAX_BODY, Desk, app
from serinus.runtime.clock import SystemClock
from serinus.runtime.http import HttpClient
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.telemetry import PrometheusMetrics

Answer = tuple[int, str]
Ask = Callable[..., Awaitable[Answer]]


@dataclass
class Crowd:
    """A load tester of its own, and what it told."""

    desk: Desk
    broker: MemoryBroker
    client: TestClient[Any, Any]
    turned: list[tuple[Space, str, bool, str]]

    async def ask(self, path: str, method: str = "POST", **more: Any) -> Answer:
        answer = await self.raw(path, method, **more)
        return answer.status, await answer.text()

    async def raw(self, path: str, method: str = "POST", **more: Any) -> ClientResponse:
        answer = await self.client.request(method, path, **more)
        await answer.read()
        return answer

    async def task(self, path: str = "/", **metadata: str) -> Answer:
        return await self.ask(path, json=call(metadata=metadata))


def call(**more: Any) -> dict[str, Any]:
    return {"name": "web", "namespace": "prod", "phase": "Progressing", "checksum": "1", **more}


def nothing(run: Run) -> None:
    return None


Make = Callable[..., Awaitable[Crowd]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Crowd] = []

    async def one(at_once: int = 4, timeout_s: float = 20.0, **desk: Any) -> Crowd:
        metrics = PrometheusMetrics()
        broker = MemoryBroker(SystemClock())
        turned: list[tuple[Space, str, bool, str]] = []

        def changed(space: Space, call: Payload, is_open: bool, by: str) -> None:
            turned.append((space, call.canary, is_open, by))

        crew = Crew(
            clock=SystemClock(),
            metrics=metrics,
            work=workshop(
                HttpClient(), SystemClock(), Kin(100), timeout_s=timeout_s, output_limit=10_000
            ),
            at_once=at_once,
            started=nothing,
            finished=nothing,
        )
        bus = MemoryBus(broker, "loadtester")
        gates = Gates(bus.bucket(BUCKET), SystemClock())
        results = Results(crew, bus.bucket(RESULTS), lambda word: None)
        anybody = Callers((), is_open=True)
        rules, calls = (Rule(shell=True),), metrics.gauge("calls", "")
        plain = Desk(
            crew, results, gates, Namespaces(""), metrics.exposition, changed, anybody, rules, calls
        )
        whole = replace(plain, **desk)
        client = TestClient(TestServer(app(whole)))
        await client.start_server()
        made.append(Crowd(whole, broker, client, turned))
        return made[-1]

    yield one
    for crowd in made:
        await crowd.desk.crew.drain(0)
        await crowd.client.close()


@pytest.fixture
async def crowd(make: Make) -> Crowd:
    return await make()


# --- fixed routes ---


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/healthz", (200, "OK")),
        ("/gate/approve", (200, "OK")),
        ("/gate/halt", (403, "Forbidden")),
    ],
)
async def test_fixed_routes_answer_whatever_the_method_and_body(
    crowd: Crowd, method: str, path: str, answer: Answer
) -> None:
    assert await crowd.ask(path, method, data=b"{not json") == answer


async def test_metrics_are_prometheus_text(crowd: Crowd) -> None:
    await crowd.task(type="bash", cmd="true")

    status, text = await crowd.ask("/metrics", "GET")

    assert status == 200
    assert 'serinus_load_tasks_total{kind="bash",outcome="succeeded"} 1' in text


# --- gates ---


@pytest.mark.parametrize("space", ["gate", "rollback"])
async def test_a_gate_is_closed_until_it_is_opened(crowd: Crowd, space: Space) -> None:
    assert await crowd.ask(f"/{space}/check", json=call()) == (403, "Forbidden")
    assert await crowd.ask(f"/{space}/open", json=call()) == (202, "")
    assert await crowd.ask(f"/{space}/check", json=call()) == (200, "Approved")
    assert await crowd.ask(f"/{space}/close", json=call()) == (202, "")
    assert await crowd.ask(f"/{space}/check", json=call()) == (403, "Forbidden")
    assert [turn[:3] for turn in crowd.turned] == [
        (space, "web.prod", True),
        (space, "web.prod", False),
    ]


async def test_a_gate_is_of_one_canary_and_one_space(crowd: Crowd) -> None:
    await crowd.ask("/gate/open", json={"name": "web", "namespace": "prod"})

    assert (await crowd.ask("/gate/check", json=call(name="api")))[0] == 403
    assert (await crowd.ask("/gate/check", json=call(namespace="test")))[0] == 403
    assert (await crowd.ask("/rollback/check", json=call()))[0] == 403


async def test_a_gate_whose_store_is_away_is_neither_open_nor_closed(crowd: Crowd) -> None:
    crowd.broker.disconnect()

    answer = await crowd.raw("/gate/check", json=call())

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    "path", ["/", "/gate/check", "/gate/open", "/gate/close", "/rollback/check", "/rollback/open"]
)
@pytest.mark.parametrize("body", [b"", b"{not json", b"[]"])
async def test_malformed_json_is_400_and_empty(crowd: Crowd, path: str, body: bytes) -> None:
    assert await crowd.ask(path, data=body) == (400, "")


@pytest.mark.parametrize(
    "path", ["/", "/gate/check", "/gate/open", "/gate/close", "/rollback/check", "/rollback/close"]
)
async def test_foreign_namespaces_are_forbidden(make: Make, path: str) -> None:
    crowd = await make(namespaces=Namespaces("^team-"))

    assert await crowd.ask(path, json=call(metadata={"cmd": "true"})) == (403, "Forbidden")
    assert await crowd.ask("/gate/open", json=call(namespace="team-a")) == (202, "")


# --- tasks ---


async def test_a_cmd_is_taken_and_not_waited_for(crowd: Crowd) -> None:
    assert await crowd.task(type="cmd", cmd="sleep 20") == (202, "")

    [run] = crowd.desk.crew.runs()
    assert run.state == "running"


async def test_every_other_path_takes_tasks(crowd: Crowd) -> None:
    assert await crowd.task("/any/where", cmd="true") == (202, "")


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ({"cmd": "echo hi"}, (200, "")),
        ({"cmd": "echo hi", "returnCmdOutput": "true"}, (200, "hi\n")),
        (
            {"cmd": "echo no; exit 3"},
            (500, "command echo no; exit 3 failed: no\n: exit status 3"),
        ),
        ({}, (400, "cmd not found in metadata")),
    ],
)
async def test_bash_is_waited_for(crowd: Crowd, metadata: dict[str, str], answer: Answer) -> None:
    assert await crowd.task(type="bash", **metadata) == answer


async def test_bash_is_bash(crowd: Crowd) -> None:
    cmd = "[[ abc == a* ]] && echo ${BASH_VERSION:+bash}"

    assert await crowd.task(type="bash", cmd=cmd, returnCmdOutput="1") == (200, "bash\n")


@pytest.mark.parametrize("kind", ["helm", "helmv3", "kubectl"])
async def test_tools_get_their_words_and_are_waited_for(
    crowd: Crowd, kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("helm", "kubectl"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho {name} "$#" "$2"\n')
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    answer = await crowd.task(type=kind, cmd="test  'a b'", returnCmdOutput="true")

    assert answer == (200, f"{kind.removesuffix('v3')} 3 'a\n")


async def test_a_tool_that_is_not_installed_is_said(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert await crowd.task(type="helm", cmd="test web") == (
        500,
        'command test web failed: : exec: "helm": executable file not found in $PATH',
    )


@pytest.mark.parametrize("body", [call(), call(metadata={}), call(metadata=None)])
async def test_without_metadata_it_is_400(crowd: Crowd, body: dict[str, Any]) -> None:
    assert await crowd.ask("/", json=body) == (400, "metadata not found in payload")


async def test_an_unknown_type_is_400(crowd: Crowd) -> None:
    assert await crowd.task(type="wrk2", cmd="x") == (400, "unknown task type wrk2")


async def test_a_command_that_takes_too_long_is_killed_and_fails(make: Make) -> None:
    crowd = await make(timeout_s=0.2)

    status, text = await crowd.task(type="bash", cmd="echo on; sleep 20")

    assert (status, text) == (
        500,
        "command echo on; sleep 20 failed: on\n: signal: killed (after 0.2 s)",
    )


async def test_a_full_crew_asks_to_come_back(make: Make) -> None:
    crowd = await make(at_once=1)
    await crowd.task(cmd="sleep 20")

    answer = await crowd.raw("/", json=call(metadata={"cmd": "sleep 21"}))

    assert answer.status == 429
    assert answer.headers["Retry-After"] == "5"


async def test_a_tester_that_stops_says_so(crowd: Crowd) -> None:
    await crowd.desk.crew.drain(0)

    answer = await crowd.raw("/", json=call(metadata={"cmd": "true"}))

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"


async def test_the_same_bash_command_asked_twice_runs_once(crowd: Crowd, tmp_path: Any) -> None:
    """A hook that is asked again while its first run goes on gets that run's answer."""
    log, gate = tmp_path / "log", tmp_path / "gate"
    cmd = f"echo run >> {log}; until [ -e {gate} ]; do sleep 0.02; done; echo done"
    first, second = (
        asyncio.create_task(crowd.task(type="bash", cmd=cmd, returnCmdOutput="true"))
        for _ in range(2)
    )
    async with asyncio.timeout(10):
        while not log.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    gate.touch()

    assert await first == await second == (200, "done\n")
    assert log.read_text() == "run\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (call(name="x" * 254), "a name is longer than 253 characters"),
        (call(metadata={"cmd": "x" * 100_001}), "cmd is longer than 100000 characters"),
    ],
)
async def test_what_cannot_be_a_name_or_a_command_is_400(
    crowd: Crowd, body: dict[str, Any], says: str
) -> None:
    assert await crowd.ask("/", json=body) == (400, says)


async def test_a_body_without_end_is_refused(crowd: Crowd) -> None:
    status, _ = await crowd.ask("/", data=io.BytesIO(b"x" * (MAX_BODY + 1)))

    assert status == 413


async def test_tasks_are_listed(crowd: Crowd) -> None:
    await crowd.task(type="bash", cmd="echo hi; exit 2")

    answer = await crowd.raw("/tasks", "GET")

    [row] = await answer.json()
    assert row.pop("seconds") < 10
    assert row.pop("startedAt") > 0
    assert row.pop("id").startswith(row["task"] + ":")
    assert len(row.pop("task")) == 16
    assert row == {
        "canary": "web.prod",
        "namespace": "prod",
        "reported": False,
        "type": "bash",
        "command": "echo hi; exit 2",
        "state": "failed",
        "exit": 2,
        "error": "exit status 2",
        "output": "hi\n",
        "numbers": {},
    }


async def test_an_answer_names_the_run_and_there_is_all_of_its_output(crowd: Crowd) -> None:
    body = call(metadata={"type": "bash", "cmd": "seq 5000"})
    name = (await crowd.raw("/", json=body)).headers["Serinus-Task"]

    row = await (await crowd.raw(f"/tasks/{name}", "GET")).json()

    assert (row["id"], row["state"]) == (name, "succeeded")
    assert row["output"].endswith("4999\n5000\n")
    assert len(row["output"]) == 10_000
    assert (await crowd.ask("/tasks/other", "GET")) == (404, "no such task")


async def test_gates_are_listed_with_who_and_when(make: Make) -> None:
    known = (Caller(token="a", name="ci"), Caller(token="b", namespaces="stage"))
    crowd = await make(callers=Callers(known))
    for space in ("rollback", "gate"):
        await crowd.ask(f"/{space}/open", json=call(), headers={"Authorization": "Bearer a"})

    rows = await (await crowd.raw("/gates", "GET", headers={"Authorization": "Bearer a"})).json()

    assert all(row.pop("at") > 0 for row in rows)
    assert rows == [
        {"namespace": "prod", "name": "web", "gate": space, "by": "ci"}
        for space in ("gate", "rollback")
    ]
    assert await crowd.ask("/gates", "GET", headers={"Authorization": "Bearer b"}) == (200, "[]")


async def test_too_many_calls_at_a_time_are_asked_to_come_back(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.loadtester.web.CALLS_MAX", 1)
    waiting = asyncio.create_task(crowd.task(type="bash", cmd="sleep 20"))
    async with asyncio.timeout(10):
        while not crowd.desk.crew.runs():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    answer = await crowd.raw("/", json=call(metadata={"cmd": "true"}))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert await crowd.ask("/healthz", "GET") == (200, "OK")
    waiting.cancel()


async def test_who_sends_no_body_is_not_waited_for(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.loadtester.web.BODY_S", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(20)

    assert (await crowd.ask("/", data=never()))[0] == 408


# --- the token ---


async def test_with_a_token_only_those_who_show_it_may_call(make: Make) -> None:
    crowd = await make(callers=Callers((Caller(token="s3cret", name="ci"),)))
    body = call(metadata={"type": "bash", "cmd": "true"})

    assert (await crowd.ask("/", json=body)) == (401, "Unauthorized")
    assert (await crowd.ask("/", json=body, headers={"Authorization": "Bearer no"}))[0] == 401
    assert (await crowd.ask("/tasks", "GET"))[0] == 401
    assert (await crowd.ask("/", json=body, headers={"Authorization": "Bearer s3cret"}))[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/metrics", 200), ("/gate/approve", 200), ("/gate/halt", 403)],
)
async def test_what_does_nothing_needs_no_token(make: Make, path: str, status: int) -> None:
    crowd = await make(callers=Callers(()))

    assert (await crowd.ask(path, "GET"))[0] == status


async def test_a_caller_sees_the_tasks_of_its_own_namespaces(make: Make) -> None:
    known = (Caller(token="all"), Caller(token="one", namespaces="stage"))
    crowd = await make(callers=Callers(known))
    await crowd.ask(
        "/", json=call(metadata={"cmd": "true"}), headers={"Authorization": "Bearer all"}
    )

    for token, many in (("all", 1), ("one", 0)):
        headers = {"Authorization": f"Bearer {token}"}
        assert len(await (await crowd.raw("/tasks", "GET", headers=headers)).json()) == many


# --- who may call, and for whom ---


async def test_without_callers_and_not_open_nobody_comes_in(make: Make) -> None:
    crowd = await make(callers=Callers(()))

    assert (await crowd.task(cmd="true"))[0] == 401
    assert (await crowd.ask("/gate/open", json=call()))[0] == 401
    assert (await crowd.ask("/healthz", "GET"))[0] == 200


async def test_a_namespace_in_the_body_is_believed_as_far_as_the_callers_own_reach(
    make: Make,
) -> None:
    known = Callers((Caller(token="t", name="ci", namespaces="prod|stage"),))
    crowd = await make(callers=known)
    headers = {"Authorization": "Bearer t"}

    for namespace, status in (("prod", 202), ("production", 403), ("", 403)):
        body = call(namespace=namespace)
        assert (await crowd.ask("/gate/open", json=body, headers=headers))[0] == status


async def test_a_gate_remembers_who_opened_it(make: Make) -> None:
    crowd = await make(callers=Callers((Caller(token="t", name="ci"),)))
    headers = {"Authorization": "Bearer t"}

    await crowd.ask("/gate/open", json=call(), headers=headers)
    await crowd.ask("/rollback/open", json=call(metadata={"by": "ana"}), headers=headers)

    assert [by for *_, by in crowd.turned] == ["ci", "ana via ci"]
    opened = await crowd.desk.gates.opened("gate.web.prod")
    assert opened is not None
    assert opened.by == "ci"


async def test_only_what_a_rule_allows_may_run(make: Make) -> None:
    crowd = await make(rules=(Rule(namespace="prod", command="echo [a-z' ]+"),))

    assert await crowd.task(type="bash", cmd="echo 'a  b'", returnCmdOutput="true") == (
        200,
        "a  b\n",
    )
    status, text = await crowd.task(type="bash", cmd="rm -rf x")
    assert (status, text) == (403, "no rule lets web.prod run this bash")


# --- results of tasks that nobody waited for ---


async def test_a_failed_task_fails_the_next_call_that_asks_for_it_and_then_runs_again(
    crowd: Crowd,
) -> None:
    """11.3 no. 26: a cmd that failed had been answered 202 and was never heard of again."""
    asked = {"cmd": "echo late >&2; exit 3", "failOnError": "true"}

    assert (await crowd.task(**asked))[0] == 202
    await crowd.desk.crew.runs()[0].over.wait()
    status, text = await crowd.task(**asked)

    assert (status, "late" in text, "exit status 3" in text) == (500, True, True)
    assert (await crowd.task(**asked))[0] == 202


async def test_without_asking_for_it_a_failed_task_fails_nothing(crowd: Crowd) -> None:
    assert (await crowd.task(cmd="exit 3"))[0] == 202
    await crowd.desk.crew.runs()[0].over.wait()

    assert (await crowd.task(cmd="exit 3"))[0] == 202
