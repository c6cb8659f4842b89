"""One process's worth of the outside world: a metrics server, webhook receivers, chat services.

Everything is scripted per *space* (a test's or a scenario's name): the first element of the path.
Everything that is asked is recorded in the order of arrival.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

Value = float | str | None | Mapping[str, Any]
Series = Sequence[tuple[Mapping[str, str], float]]  # labels and value of each
EVENTS = "events"  # the space of the webhook that hears of every canary


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What queries that `match` get: each takes the next value, the last one repeats.

    A number or a text is a sample's value, None an empty result, `{"status": 500, "body": "oops"}`
    an error.
    """

    match: str
    values: tuple[Any, ...]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One scripted answer of a webhook; `delay` is seconds before it."""

    status: int = 200
    body: str = "OK"
    delay: float = 0.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that arrived. `role` is prometheus, hook or chat."""

    role: str
    space: str
    path: str
    query: str = ""
    body: Any = None
    authorization: str = ""
    status: int = 200
    value: str | None = None  # the sample that a metrics query got


class Script:
    """The answers of one space, and how far each sequence has got."""

    def __init__(self) -> None:
        self._answers: list[tuple[Answers, list[int]]] = []
        self._replies: dict[str, tuple[Sequence[Reply], list[int]]] = {}
        self._chat: Mapping[str, int] = {}
        self._series: Callable[[str], Series | None] = lambda query: None

    def set_prometheus(self, rules: Sequence[Answers]) -> None:
        self._answers = [(rule, [0]) for rule in rules]

    def set_series(self, series: Callable[[str], Series | None]) -> None:
        """What queries for several series get; those for which it is None go by their rules."""
        self._series = series

    def series(self, query: str) -> Series | None:
        return self._series(query)

    def set_hooks(self, replies: Mapping[str, Sequence[Reply]]) -> None:
        """By path; a path that is not named answers 200 OK. Paths set before keep theirs."""
        self._replies |= {path: (tuple(row), [0]) for path, row in replies.items()}

    def set_chat(self, status: Mapping[str, int]) -> None:
        self._chat = dict(status)

    def value(self, query: str) -> Value:
        """The next answer to a query; a query that no rule matches gets an empty result."""
        if query == "vector(1)":  # how a client asks whether the server is there
            return 1
        for rule, used in self._answers:
            if re.search(rule.match, query):
                taken = rule.values[min(used[0], len(rule.values) - 1)]
                used[0] += 1
                found: Value = taken
                return found
        return None

    def reply(self, path: str) -> Reply:
        replies, used = self._replies.get(path, ((Reply(),), [0]))
        taken = replies[min(used[0], len(replies) - 1)]
        used[0] += 1
        return taken

    def chat_status(self, path: str) -> int:
        return self._chat.get(path, 200)


class Stub:
    """Listens on three loopback ports while its context is open: prometheus, hook, chat.

    `url(role, space)` is the address to put into manifests and settings. `calls` is everything
    that arrived, in order; `changed` is notified and the `listeners` are called after each.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.changed = asyncio.Condition()
        self.listeners: list[Callable[[Call], None]] = []
        self._scripts: dict[str, Script] = {}
        self._ports: dict[str, int] = {}
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Self:
        for role, handler in (
            ("prometheus", self._prometheus),
            ("hook", self._hook),
            ("chat", self._chat),
        ):
            app = web.Application(client_max_size=2**22)
            app.router.add_route("*", "/{space}{path:.*}", handler)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            self._runners.append(runner)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._ports[role] = runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def url(self, role: str, space: str = "") -> str:
        """The base address of one role (and one space of it), without a slash at the end."""
        return f"http://127.0.0.1:{self._ports[role]}" + (f"/{space}" if space else "")

    def script(self, space: str) -> Script:
        return self._scripts.setdefault(space, Script())

    def of(self, space: str, role: str | None = None) -> list[Call]:
        """The calls of one space so far, in order."""
        return [one for one in self.calls if one.space == space and role in (None, one.role)]

    async def until(
        self, condition: Callable[[Sequence[Call]], bool], timeout_s: float = 30.0
    ) -> None:
        """Waits until the calls satisfy `condition`. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: condition(self.calls))

    async def _record(self, call: Call) -> None:
        async with self.changed:
            self.calls.append(call)
            for listener in self.listeners:
                listener(call)
            self.changed.notify_all()

    async def _prometheus(self, request: web.Request) -> web.Response:
        space, path = request.match_info["space"], request.match_info["path"]
        query = request.query.get("query") or str((await request.post()).get("query", ""))
        query = " ".join(query.split())
        if not path.endswith("/api/v1/query"):
            # It can tell no more than that; who wants to know causes learns nothing here.
            return web.Response(status=404)
        series = self.script(space).series(query)
        value = None if series is not None else self.script(space).value(query)
        status, sample = 200, None
        if isinstance(value, Mapping):
            status = value["status"]
        elif value is not None:
            sample = str(value)
        await self._record(
            Call(
                role="prometheus",
                space=space,
                path=path,
                query=query,
                authorization=request.headers.get("Authorization", ""),
                status=status,
                value=sample,
            )
        )
        if isinstance(value, Mapping):
            return web.Response(status=status, text=value.get("body", ""))
        found = series or (() if sample is None else (({}, sample),))
        result = [{"metric": labels, "value": [0, str(number)]} for labels, number in found]
        data = {"resultType": "vector", "result": result}
        return web.json_response({"status": "success", "data": data})

    async def _hook(self, request: web.Request) -> web.Response:
        space, path = request.match_info["space"], request.match_info["path"]
        reply = self.script(space).reply(path)
        await self._record(await _call("hook", request, reply.status))
        if reply.delay:
            await asyncio.sleep(reply.delay)
        return web.Response(status=reply.status, text=reply.body)

    async def _chat(self, request: web.Request) -> web.Response:
        space, path = request.match_info["space"], request.match_info["path"]
        status = self.script(space).chat_status(path)
        await self._record(await _call("chat", request, status))
        return web.Response(status=status, text="ok")


async def _call(role: str, request: web.Request, status: int) -> Call:
    text = await request.text()
    try:
        body = json.loads(text) if text else None
    except json.JSONDecodeError:
        body = text
    return Call(
        role=role,
        space=request.match_info["space"],
        path=request.match_info["path"],
        body=body,
        authorization=request.headers.get("Authorization", ""),
        status=status,
    )
