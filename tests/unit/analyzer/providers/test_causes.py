"""Why a built-in check has no data, in the words of somebody who looked."""

import json
from typing import Any

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, Reply, reply, toolbox
from tests.unit.analyzer.providers.recorded import AT, prometheus

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.queries import builtin_query, names_of
from serinus.analyzer.core.rollout import NoData
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.source import Question, Source
from serinus.events import CanarySpec, ObjectRef
from serinus.events.canary import MetricProvider
from serinus.runtime.http import HttpRequest, Unanswered

NAMES = names_of("shop", "web", CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web")))
SOURCE = Source(provider=MetricProvider(type="prometheus", address="http://prom"))
ASKED = Question(
    query=builtin_query("istio", "request-success-rate", NAMES),
    at=AT,
    window_s=60.0,
    check="request-success-rate",
    observer="istio",
    names=NAMES,
)


def document(data: Any) -> str:
    return json.dumps({"status": "success", "data": data})


def server(*, series: bool, named: bool, samples: int | None) -> Any:
    """A Prometheus that knows the canary's series or not, others of that name or not."""

    def script(request: HttpRequest) -> Reply:
        if "/api/v1/query?" in request.url:
            return reply(200, prometheus())
        if "/api/v1/series?" in request.url:
            known = series if "destination_workload" in request.url else named
            return reply(200, document([{"__name__": "x"}] if known else []))
        assert "count_over_time" in request.url
        result = [] if samples is None else [{"values": [[AT, str(samples)]]}]
        return reply(200, document({"resultType": "matrix", "result": result}))

    return script


async def cause(script: Any, asked: Question = ASKED) -> str:
    found = await provider_of(SOURCE, toolbox(FakeHttp(script))).value(asked)
    assert isinstance(found, NoData)
    return found.cause


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (
            server(series=False, named=False, samples=None),
            "nothing scraped yet: the server knows no series istio_requests_total",
        ),
        (
            server(series=False, named=True, samples=None),
            "no series of istio_requests_total with these labels: {reporter=",
        ),
        (server(series=True, named=True, samples=1), "fewer than two samples in the last 60s"),
        (server(series=True, named=True, samples=None), "fewer than two samples in the last 60s"),
        (server(series=True, named=True, samples=4), "no requests to the canary in the last 60s"),
    ],
)
async def test_the_cause_is_found_and_said(server: Any, told: str) -> None:
    assert (await cause(server)).startswith(told)


@pytest.mark.parametrize("answer", [reply(404), reply(200, "<html>"), reply(200, "[]")])
async def test_a_server_that_cannot_say_leaves_the_text_as_it_was(answer: Reply) -> None:
    def script(request: HttpRequest) -> Reply:
        return reply(200, prometheus()) if "/query?" in request.url else answer

    assert await cause(script) == NO_SERIES


async def test_a_server_that_goes_away_in_between_leaves_the_text_as_it_was() -> None:
    def script(request: HttpRequest) -> Reply:
        if "/query?" in request.url:
            return reply(200, prometheus())
        return Unanswered("gone")

    assert await cause(script) == NO_SERIES


async def test_a_query_of_the_users_is_not_explained_by_series_it_may_not_be_about() -> None:
    http = FakeHttp(server(series=True, named=True, samples=4))
    asked = msgspec.structs.replace(ASKED, query="up")

    await provider_of(SOURCE, toolbox(http)).value(asked)

    assert len(http.sent) == 1
