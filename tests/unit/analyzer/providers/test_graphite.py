"""Graphite's render API."""

from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.providers.recorded import RECORDED

from serinus.analyzer.providers.graphite import request
from serinus.analyzer.providers.source import Misconfigured

(ROW,) = [row for row in RECORDED if row.type == "graphite"]


def asked(query: str) -> list[tuple[str, str]]:
    sent = request(ROW.source(), msgspec.structs.replace(ROW.question(), query=query))
    assert sent.url.startswith("https://metrics.test/render?")
    return parse_qsl(urlsplit(sent.url).query, keep_blank_values=True)


def test_a_query_in_the_form_of_flaggers_examples_is_sent_as_it_is() -> None:
    assert asked("target=summarize(web.errors,'1min')&from=-1min&until=now") == [
        ("target", "summarize(web.errors,'1min')"),
        ("from", "-1min"),
        ("until", "now"),
        ("format", "json"),
    ]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1))
def test_a_target_survives_its_journey(target: str) -> None:
    given_ = dict(asked(f"target={quote(target)}"))

    assert given_["target"] == target
    assert (given_["from"], given_["until"]) == ("1699999940", "1700000000")


def test_an_expression_alone_is_a_target() -> None:
    assert ("target", "web.errors") in asked("web.errors")


def test_the_format_is_ours() -> None:
    assert [v for k, v in asked("target=a&format=png") if k == "format"] == ["json"]


def test_a_query_without_a_target_is_told() -> None:
    with pytest.raises(Misconfigured):
        asked("target=&from=-1min")
