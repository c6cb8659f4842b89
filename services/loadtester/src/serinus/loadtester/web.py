"""The HTTP face, as Flagger's load tester has it: routes, codes and bodies (reference 6.5, 6.6).

Methods are not looked at, except that GET /tasks and GET /gates list. Differences: who comes in is
asked first, an unknown task type is answered 400 (there the connection drops), and a tester that is
full or closing answers 429 or 503 with Retry-After (there it takes everything).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from serinus.loadtester.core.callers import Caller, Callers, Rule, speaks_for
from serinus.loadtester.core.payload import Namespaces, Payload, payload
from serinus.loadtester.core.tasks import Refused, Task, failure, task
from serinus.loadtester.crew import RETRY_AFTER_S, Crew, Full, Run
from serinus.loadtester.gates import Gates, Space, gate_key
from serinus.loadtester.results import Results
from serinus.runtime.errors import Retry
from serinus.runtime.service import Gauge

MAX_BODY = 1 << 20
NAME_MAX = 253
BODY_S = 30.0
CALLS_MAX = 1000
"""Calls that are answered at one time, those that wait for a task's end among them."""

TASK = "Serinus-Task"
"""Header of an answer: the id of the run that it is about, for /tasks/<id>."""

STOPPING = "the load tester is stopping"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Desk:
    """What the routes work with.

    metrics    the text for /metrics
    changed    called when a gate was opened or closed
    callers    who may come in
    rules      what may run
    calls      how many are being answered
    """

    crew: Crew
    results: Results
    gates: Gates
    namespaces: Namespaces
    metrics: Callable[[], bytes]
    changed: Callable[[Space, Payload, bool, str], None]
    callers: Callers
    rules: tuple[Rule, ...]
    calls: Gauge


def app(desk: Desk) -> web.Application:
    """The application with all routes."""
    face = _Face(desk)
    found = web.Application(client_max_size=MAX_BODY, middlewares=[face.guard])
    found.router.add_get("/tasks", face.tasks)
    found.router.add_get("/tasks/{id}", face.task)
    found.router.add_get("/gates", face.gates)
    for path, handler in (
        ("/healthz", face.healthz),
        ("/metrics", face.metrics),
        ("/gate/approve", face.approve),
        ("/gate/halt", face.halt),
        ("/gate/check", face.check("gate")),
        ("/gate/open", face.turn("gate", True)),
        ("/gate/close", face.turn("gate", False)),
        ("/rollback/check", face.check("rollback")),
        ("/rollback/open", face.turn("rollback", True)),
        ("/rollback/close", face.turn("rollback", False)),
        ("/{other:.*}", face.dispatch),
    ):
        found.router.add_route("*", path, handler)
    return found


_APPROVED = "Approved"
_FORBIDDEN = "Forbidden"
_CALLER = web.RequestKey("caller", Caller)
# They answer everybody the same, and do nothing.
_OPEN_TO_ALL = frozenset({"/healthz", "/metrics", "/gate/approve", "/gate/halt"})


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._calls = 0

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Asks who it is; says 503 when there is no room, or a store cannot be reached."""
        if request.path in _OPEN_TO_ALL:
            return await handler(request)
        shown = request.headers.get("Authorization", "")
        caller = self._desk.callers.of(shown, _certificate_names(request))
        if caller is None:
            return web.Response(
                status=401, text="Unauthorized", headers={"WWW-Authenticate": "Bearer"}
            )
        request[_CALLER] = caller
        if self._calls >= CALLS_MAX:
            return _later(503, "too many calls are waiting")
        with self._counted():
            try:
                return await handler(request)
            except Retry as error:
                return _later(503, error.reason)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._calls += 1
        self._desk.calls.set(self._calls)
        try:
            yield
        finally:
            self._calls -= 1
            self._desk.calls.set(self._calls)

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._desk.metrics(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def approve(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def halt(self, request: web.Request) -> web.Response:
        return web.Response(status=403, text=_FORBIDDEN)

    def check(self, space: Space) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._call(request)
            if isinstance(call, web.Response):
                return call
            if await self._desk.gates.is_open(_key(space, call)):
                return web.Response(text=_APPROVED)
            return web.Response(status=403, text=_FORBIDDEN)

        return handle

    def turn(self, space: Space, is_open: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._call(request)
            if isinstance(call, web.Response):
                return call
            who = _who(request[_CALLER], call.word("by"))
            await self._desk.gates.set(_key(space, call), is_open, who)
            self._desk.changed(space, call, is_open, who)
            return web.Response(status=202)

        return handle

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        call = await self._call(request)
        if isinstance(call, web.Response):
            return call
        wanted = task(call, self._desk.rules)
        if isinstance(wanted, Refused):
            return web.Response(status=403 if wanted.forbidden else 400, text=wanted.why)
        if wanted.fails and not wanted.waits:
            failed = await self._desk.results.untold_failure(wanted)
            if failed is not None:
                text = failure(wanted, failed.output, failed.error)
                return web.Response(status=500, text=text, headers={TASK: failed.id})
        run = self._desk.crew.start(wanted)
        if isinstance(run, Full):
            if run.closing:
                return _later(503, STOPPING)
            return _later(429, "too many tasks are running")
        if wanted.waits:
            await run.over.wait()
            answer = _answer(wanted, run)
        else:
            answer = web.Response(status=202)
        answer.headers[TASK] = run.id
        return answer

    async def tasks(self, request: web.Request) -> web.Response:
        """What runs and what ran in the caller's namespaces, newest first, as JSON."""
        caller = request[_CALLER]
        return _json([r for r in await self._desk.results.all() if speaks_for(caller, r.namespace)])

    async def task(self, request: web.Request) -> web.Response:
        """One of them, by the id of the run or of its task, with all of its output."""
        found = await self._desk.results.one(request.match_info["id"])
        if found is None or not speaks_for(request[_CALLER], found.namespace):
            return web.Response(status=404, text="no such task")
        return _json(found)

    async def gates(self, request: web.Request) -> web.Response:
        """The open gates of the caller's namespaces, with who opened them and when, as JSON."""
        caller = request[_CALLER]
        rows = [g for g in await self._desk.gates.all() if speaks_for(caller, g.namespace)]
        return _json(rows)

    async def _call(self, request: web.Request) -> Payload | web.Response:
        """The payload of a request that may come here, or the answer to one that may not."""
        try:
            async with asyncio.timeout(BODY_S):
                call = payload(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text=f"more than {MAX_BODY} bytes")
        except TimeoutError:
            return web.Response(status=408, text=f"no body within {BODY_S:g} s")
        if call is None:
            return web.Response(status=400)
        if max(len(call.name or ""), len(call.namespace or "")) > NAME_MAX:
            return web.Response(status=400, text=f"a name is longer than {NAME_MAX} characters")
        namespace = call.namespace or ""
        if not self._desk.namespaces.allow(call) or not speaks_for(request[_CALLER], namespace):
            return web.Response(status=403, text=_FORBIDDEN)
        return call


def _certificate_names(request: web.Request) -> list[str]:
    """The names in the certificate that the client has shown: alternative ones, then the common."""
    shown: dict[str, Any] | None = request.get_extra_info("peercert")
    if not shown:
        return []
    alternative = [name for _, name in shown.get("subjectAltName", ())]
    subject = (pair for part in shown.get("subject", ()) for pair in part)
    return [*alternative, *(value for key, value in subject if key == "commonName")]


def _who(caller: Caller, said: str) -> str:
    """Who it is as far as we know, and who it says it is for."""
    known = caller.name or caller.certificate or "a token"
    return f"{said[:NAME_MAX]} via {known}" if said else known


def _key(space: Space, call: Payload) -> str:
    return gate_key(space, call.name or "", call.namespace or "")


def _later(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why, headers={"Retry-After": str(RETRY_AFTER_S)})


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _answer(wanted: Task, run: Run) -> web.Response:
    """The answer to a caller who waited."""
    assert run.ended is not None
    if run.state == "stopped":
        return _later(503, STOPPING)
    if run.state == "failed":
        text = failure(wanted, run.ended.output, run.ended.error)
        return web.Response(status=500, text=text)
    return web.Response(text=run.ended.output if wanted.shows else "")
