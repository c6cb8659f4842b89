"""What hooks call. Nothing here changes anything: whoever may ask may only wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from msgspec import Struct

from serinus.coordinator.core.answers import Answer
from serinus.coordinator.core.standing import Key
from serinus.coordinator.desk import Desk

MAX_BODY = 1 << 18


class Call(Struct, frozen=True):
    """The body of a hook (reference 6.2)."""

    name: str = ""
    namespace: str = ""
    metadata: dict[str, str] = {}


def app(desk: Desk, *, wait_s: float, check_wait_s: float) -> web.Application:
    """The application with all routes.

    wait_s, check_wait_s  for how long a hook that must wait is kept, by what it asks
    """
    face = _Face(desk, wait_s, check_wait_s)
    found = web.Application(client_max_size=MAX_BODY)
    found.router.add_get("/healthz", face.healthz)
    found.router.add_get("/waves", face.waves)
    found.router.add_post("/confirm", face.confirm)
    found.router.add_post("/check-status", face.check("region"))
    found.router.add_post("/check-primary-status", face.check("primary-cluster"))
    found.router.add_post("/trigger-deployment", face.trigger)
    return found


class _Face:
    def __init__(self, desk: Desk, wait_s: float, check_wait_s: float) -> None:
        self._desk = desk
        self._wait_s, self._check_wait_s = wait_s, check_wait_s

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def waves(self, request: web.Request) -> web.Response:
        """All waves of this cluster with their status, as JSON."""
        body = msgspec.json.encode(self._desk.overview())
        return web.Response(body=body, content_type="application/json")

    async def confirm(self, request: web.Request) -> web.Response:
        """May this canary begin, or go on? For hooks that are asked again until they agree."""
        call = await _call(request)
        return await self._answer(
            lambda: self._desk.confirm(call.namespace, call.name), self._wait_s
        )

    def check(self, word: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Is the canary done that `metadata` names, in the cluster that it gives under `word`?"""

        async def handle(request: web.Request) -> web.Response:
            call = await _call(request)
            name = call.metadata.get("canary", "")
            if not name:
                return web.Response(
                    status=400, text="metadata.canary: missing; name the canary to wait for"
                )
            cluster, namespace = call.metadata.get(word, ""), call.metadata.get("namespace", "")
            asking = Key(self._desk.name, call.namespace, call.name)
            return await self._answer(
                lambda: self._desk.done(asking, cluster, name, namespace), self._check_wait_s
            )

        return handle

    async def trigger(self, request: web.Request) -> web.Response:
        """News by hook: what they say is known from the fleet already, or comes through it."""
        await _call(request)
        return web.Response(status=202)

    async def _answer(self, ask: Callable[[], Answer], within_s: float) -> web.Response:
        answer = await self._desk.settled(ask, within_s)
        return web.Response(status=answer.status, text=answer.text)


async def _call(request: web.Request) -> Call:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=Call)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise web.HTTPBadRequest(text=f"the body is no hook's: {error}") from None
