"""Whatever text a manifest holds, reading it has a typed outcome: never a crash, never a hang."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serinus.analyzer.core.template import TemplateError, render
from serinus.analyzer.providers.cloudwatch import _queries as cloudwatch_queries
from serinus.analyzer.providers.externalmetrics import parsed as external
from serinus.analyzer.providers.graphite import request as graphite
from serinus.analyzer.providers.http import _at
from serinus.analyzer.providers.keptn import parsed as keptn
from serinus.analyzer.providers.source import Misconfigured, Misread, Question, Source
from serinus.events.canary import MetricProvider, duration_s
from serinus.gotemplate.text import fixed, go_float, milliseconds, printf

WORDS = {"name": "web", "namespace": "shop", "interval": "1m"}
PIECES = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    "name",
    "variables.a",
    "if",
    "else",
    "end",
    "range",
    "with",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    '"a"',
    "`b`",
    "1",
    "-1.5",
    "'c'",
    "printf",
    "eq",
    "index",
    "/*",
    "*/",
    ".",
    ",",
    "and",
    "or",
    "not",
    "len",
    "true",
    "nil",
    "%s",
    "define",
    "template",
    "x",
]
pieces = st.sampled_from([*PIECES, " ", "\n"])
templates = st.one_of(st.text(max_size=60), st.lists(pieces, max_size=14).map("".join))
SOURCE = Source(provider=MetricProvider(type="graphite", address="http://g"))


@settings(max_examples=400, deadline=2000)
@given(templates)
@example('{{ printf "%999d" 1 }}')
def test_a_template_renders_or_says_why_not(text: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(render(text, WORDS, {"a": "b"}), str)


@given(st.text(max_size=40))
@example("1e400s")
@example("9" * 400 + "h")
@example(".")
@example("-1m")
def test_a_duration_is_seconds_or_none(text: str) -> None:
    seconds = duration_s(text)

    assert seconds is None or 0 <= seconds < math.inf


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_told(value: float) -> None:
    assert go_float(value)
    assert fixed(value)
    assert milliseconds(value)


@given(st.text(max_size=30), st.lists(st.one_of(st.text(), st.integers(), st.floats()), max_size=3))
def test_any_form_is_printed(form: str, values: list[object]) -> None:
    assert isinstance(printf(form, *values), str)


@settings(deadline=2000)
@example(" ", 0)
@given(st.text(max_size=40), st.recursive(st.integers(), lambda x: st.lists(x, max_size=3)))
def test_any_path_leads_somewhere_or_is_told(path: str, document: object) -> None:
    try:
        assert isinstance(_at(path, document), list)
    except Misread:
        return


@pytest.mark.parametrize("read", ["keptn", "external", "graphite", "cloudwatch"])
@given(text=st.text(max_size=60))
def test_any_query_is_asked_or_told(read: str, text: str) -> None:
    question = Question(query=text, at=1.0, window_s=60.0)
    try:
        match read:
            case "keptn":
                keptn(question)
            case "external":
                external(text)
            case "graphite":
                graphite(SOURCE, question)
            case _:
                cloudwatch_queries(text)
    except Misconfigured:
        return
