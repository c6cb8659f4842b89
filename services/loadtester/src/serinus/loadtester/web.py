"""The HTTP face, as Flagger's load tester has it: routes, codes and bodies (reference 6.5, 6.6).

Methods are not looked at, except that GET /tasks and GET /gates list. Differences: who comes in is
asked first, an unknown task type is answered 400 (there the connection drops), and a tester that is
full or closing answers 429 or 503 with Retry-After (there it takes everything).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from serinus.loadtester.core.callers import Caller, Callers, Rule, speaks_for
from serinus.loadtester.core.payload import Namespaces, Payload, payload
from serinus.loadtester.core.tasks import Refused, Task, failure, task
from serinus.loadtester.crew import RETRY_AFTER_S, Crew, Full, Run
from serinus.loadtester.gates import Gates, Space, gate_key
from serinus.runtime.errors import Retry

MAX_BODY = 1 << 20
TAIL = 2000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Desk:
    """What the routes work with.

    metrics    the text for /metrics
    changed    called when a gate was opened or closed
    callers    who may come in
    rules      what may run
    """

    crew: Crew
    gates: Gates
    namespaces: Namespaces
    metrics: Callable[[], bytes]
    changed: Callable[[Space, Payload, bool, str], None]
    callers: Callers
    rules: tuple[Rule, ...]


def app(desk: Desk) -> web.Application:
    """The application with all routes."""
    face = _Face(desk)
    found = web.Application(client_max_size=MAX_BODY, middlewares=[face.guard])
    found.router.add_get("/tasks", face.tasks)
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

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Asks who it is; says 503 when a store cannot be reached."""
        if request.path not in _OPEN_TO_ALL:
            shown = request.headers.get("Authorization", "")
            caller = self._desk.callers.of(shown, _certificate_names(request))
            if caller is None:
                return web.Response(
                    status=401, text="Unauthorized", headers={"WWW-Authenticate": "Bearer"}
                )
            request[_CALLER] = caller
        try:
            return await handler(request)
        except Retry as error:
            return _later(503, error.reason)

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
            failed = self._desk.crew.last_failure(wanted)
            if failed is not None:
                return _result(wanted, failed)
        run = self._desk.crew.start(wanted)
        if isinstance(run, Full):
            if run.closing:
                return _later(503, "the load tester is stopping")
            return _later(429, "too many tasks are running")
        if not wanted.waits:
            return web.Response(status=202)
        await run.over.wait()
        return _result(wanted, run)

    async def tasks(self, request: web.Request) -> web.Response:
        """What runs and what ran in the caller's namespaces, newest first, as JSON."""
        caller = request[_CALLER]
        rows = [_row(r) for r in self._desk.crew.runs() if speaks_for(caller, r.task.namespace)]
        return web.Response(body=msgspec.json.encode(rows), content_type="application/json")

    async def gates(self, request: web.Request) -> web.Response:
        """The open gates of the caller's namespaces, with who opened them and when, as JSON."""
        caller = request[_CALLER]
        rows = [g for g in await self._desk.gates.all() if speaks_for(caller, g.namespace)]
        return web.Response(body=msgspec.json.encode(rows), content_type="application/json")

    async def _call(self, request: web.Request) -> Payload | web.Response:
        """The payload of a request that may come here, or the answer to one that may not."""
        try:
            call = payload(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text=f"more than {MAX_BODY} bytes")
        if call is None:
            return web.Response(status=400)
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
    return f"{said} via {known}" if said else known


def _key(space: Space, call: Payload) -> str:
    return gate_key(space, call.name or "", call.namespace or "")


def _later(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why, headers={"Retry-After": str(RETRY_AFTER_S)})


def _result(wanted: Task, run: Run) -> web.Response:
    """The answer to a caller who waited."""
    assert run.ended is not None
    if run.ended.status != 0 or run.ended.error:
        text = failure(wanted, run.ended.output, run.ended.error)
        return web.Response(status=500, text=text)
    return web.Response(text=run.ended.output if wanted.shows else "")


def _row(run: Run) -> dict[str, object]:
    ended = run.ended
    return {
        "id": run.task.id,
        "canary": run.task.canary,
        "type": run.task.kind,
        "command": run.task.command,
        "state": run.state,
        "startedAt": run.started_at,
        "seconds": run.seconds,
        "exit": ended.status if ended else None,
        "error": ended.error if ended else "",
        "output": (ended.output if ended else run.work.output.text())[-TAIL:],
        "numbers": run.numbers,
    }
