"""Keptn's objects: metrics that are read, analyses that are made and deleted again."""

import json
from typing import Any

import msgspec
import pytest
from tests.unit.analyzer.doubles import FakeHttp, WebCluster, in_turn, reply
from tests.unit.analyzer.providers.recorded import AT, RECORDED

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.keptn import Keptn, parsed
from serinus.analyzer.providers.source import Misconfigured, Question

pytestmark = pytest.mark.looptime

(ROW,) = [row for row in RECORDED if row.type == "keptn"]
ANALYSIS = Question(query="Analysis/shop/web/2m/env=prod;x=y\n", at=AT, window_s=60.0)


async def ask(http: FakeHttp, question: Question = ANALYSIS) -> Reading:
    cluster: Any = WebCluster(http)  # only read()
    return await Keptn(ROW.source(), cluster, http.clock).value(question)


async def test_a_metric_is_read_where_it_is() -> None:
    http = FakeHttp(in_turn(reply(200, ROW.value)))

    assert await ask(http, ROW.question()) == Value(key="", value=0.5)
    assert http.sent[0].url.endswith(
        "/apis/metrics.keptn.sh/v1beta1/namespaces/shop/keptnmetrics/errors"
    )


@pytest.mark.parametrize("passed", [True, False])
async def test_an_analysis_is_made_awaited_and_deleted(passed: bool) -> None:
    done = json.dumps({"status": {"state": "Completed", "pass": passed}})
    http = FakeHttp(in_turn(reply(201, "{}"), reply(200, "{}"), reply(200, done)))

    assert await ask(http) == Value(key="", value=float(passed))

    assert [r.method for r in http.sent] == ["POST", "GET", "GET", "DELETE"]
    made = json.loads(http.sent[0].body)
    assert made["spec"] == {
        "analysisDefinition": {"name": "web"},
        "timeframe": {"recent": "2m"},
        "args": {"env": "prod", "x": "y"},
    }


async def test_an_analysis_that_does_not_end_is_no_data_and_is_deleted() -> None:
    http = FakeHttp(in_turn(reply(200, "{}")))

    found = await ask(http)

    assert isinstance(found, NoData)
    assert http.sent[-1].method == "DELETE"
    assert http.times[-1] - http.times[0] == pytest.approx(10.0, abs=0.1)


async def test_an_object_that_is_missing_is_told() -> None:
    body = json.dumps({"kind": "Status", "message": "not found", "details": {"name": "errors"}})

    found = await ask(FakeHttp(in_turn(reply(404, body))), ROW.question())

    assert found == Unreachable(key="", why="error response: not found")


@pytest.mark.parametrize("query", ["", "keptnmetric", "keptnmetric/shop", "secret/a/b", "//"])
def test_a_query_in_another_form_is_told(query: str) -> None:
    with pytest.raises(Misconfigured):
        parsed(msgspec.structs.replace(ANALYSIS, query=query))
