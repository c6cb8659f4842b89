"""Series of many canaries as Istio exposes them, counting at an even pace: canary n fails n % of
its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from serinus.analyzer.core.queries import Check, Names, builtin_query, names_of
from serinus.analyzer.providers.source import Question
from serinus.events import CanarySpec, ObjectRef

BOUNDS = ("10", "50", "100", "500", "1000", "+Inf")
PER_S = 100


def names(index: int) -> Names:
    target = ObjectRef(kind="Deployment", name=f"web{index}")
    return names_of("shop", target.name, CanarySpec(target_ref=target))


def question(index: int, check: Check, at: float, window_s: float) -> Question:
    """A built-in check of canary `index`, as the analyzer asks it."""
    return Question(
        query=builtin_query("istio", check, names(index), f"{window_s:g}s"),
        at=at,
        window_s=window_s,
        check=check,
        observer="istio",
        names=names(index),
    )


class Crowd:
    """The page with the series of `count` canaries and their primaries."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._begun = asyncio.get_running_loop().time()

    async def metrics(self, request: web.Request) -> web.Response:
        seconds = asyncio.get_running_loop().time() - self._begun
        lines = []
        for index in range(self.count):
            for workload in (f"web{index}", f"web{index}-primary"):
                bad = index % 100 / 100 if workload == f"web{index}" else 0.5
                labels = (
                    'reporter="destination",destination_workload_namespace="shop",'
                    f'destination_workload="{workload}"'
                )
                for code, share in (("200", 1 - bad), ("503", bad)):
                    count = seconds * PER_S * share
                    lines.append(f'istio_requests_total{{{labels},response_code="{code}"}} {count}')
                for place, bound in enumerate(BOUNDS, 1):
                    count = seconds * PER_S * place / len(BOUNDS)
                    lines.append(
                        f"istio_request_duration_milliseconds_bucket"
                        f'{{{labels},response_code="200",le="{bound}"}} {count}'
                    )
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")


@asynccontextmanager
async def exposed(count: int) -> AsyncIterator[str]:
    """host:port of the page."""
    app = web.Application()
    app.router.add_get("/metrics", Crowd(count).metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()
