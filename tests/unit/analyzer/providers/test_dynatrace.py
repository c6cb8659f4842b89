"""Dynatrace: one value for the whole window."""

import json
from urllib.parse import parse_qs, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import reply
from tests.unit.analyzer.providers.recorded import RECORDED

from serinus.analyzer.core.rollout import NoData
from serinus.analyzer.providers.dynatrace import probe, reading, request

(ROW,) = [row for row in RECORDED if row.type == "dynatrace"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1))
def test_a_selector_survives_its_journey(query: str) -> None:
    sent = request(ROW.source(), msgspec.structs.replace(ROW.question(), query=query))

    assert parse_qs(urlsplit(sent.url).query)["metricSelector"] == [query]
    assert parse_qs(urlsplit(sent.url).query)["resolution"] == ["Inf"]


def test_the_token_is_shown_in_dynatraces_own_way() -> None:
    sent = probe(ROW.source(), 1.0)

    assert sent.url == "https://metrics.test/api/v2/metrics?pageSize=1"
    assert sent.headers == {"Authorization": "Api-Token s3cret-dt"}


def test_a_warning_of_the_server_is_the_cause() -> None:
    body = {"result": [{"metricId": "m", "data": [], "warnings": ["The metric key is unknown"]}]}

    assert reading(reply(200, json.dumps(body))) == NoData(
        key="", cause="The metric key is unknown"
    )
