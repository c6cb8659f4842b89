"""A/B conditions in Traefik's language of rules."""

from __future__ import annotations

import pytest

from serinus.events.canary import HttpMatch, StringMatch
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal
from serinus.router.core.traefikrules import narrowed, priority_of

ROUTE: Obj = {"match": "Host(`a.test`) || Host(`b.test`)"}
V2: Obj = {**ROUTE, "syntax": "v2"}


@pytest.mark.parametrize(
    ("form", "header", "query"),
    [
        (StringMatch(exact="1"), "Header(`x`, `1`)", "Query(`x`, `1`)"),
        (StringMatch(regex="a|b"), "HeaderRegexp(`x`, `a|b`)", "QueryRegexp(`x`, `a|b`)"),
        (StringMatch(prefix="1.2"), "HeaderRegexp(`x`, `^1\\.2`)", "QueryRegexp(`x`, `^1\\.2`)"),
        (StringMatch(suffix="z"), "HeaderRegexp(`x`, `z$`)", "QueryRegexp(`x`, `z$`)"),
    ],
)
def test_every_form_can_be_said(form: StringMatch, header: str, query: str) -> None:
    around = "(Host(`a.test`) || Host(`b.test`)) && (({}))"
    assert around.format(header) == narrowed(ROUTE, [HttpMatch(headers={"x": form})])
    assert around.format(query) == narrowed(ROUTE, [HttpMatch(query_params={"x": form})])


def test_entries_are_alternatives_and_conditions_of_one_hold_together() -> None:
    one = HttpMatch(headers={"b": StringMatch(exact="2"), "a": StringMatch(exact="1")})
    other = HttpMatch(headers={"c": StringMatch(exact="3")})

    found = narrowed({"match": "m"}, [one, other])

    assert "(m) && ((Header(`a`, `1`) && Header(`b`, `2`)) || (Header(`c`, `3`)))" == found


def test_the_older_syntax_has_other_words() -> None:
    headers = HttpMatch(headers={"x": StringMatch(exact="1"), "y": StringMatch(regex="2")})
    query = HttpMatch(query_params={"x": StringMatch(exact="1")})

    assert "((Headers(`x`, `1`) && HeadersRegexp(`y`, `2`)))" in narrowed(V2, [headers])
    assert "((Query(`x=1`)))" in narrowed(V2, [query])
    with pytest.raises(Refusal, match="syntax v2 tests query parameters exactly only"):
        narrowed(V2, [HttpMatch(query_params={"x": StringMatch(regex="1")})])


@pytest.mark.parametrize(
    "match",
    [
        HttpMatch(headers={"x": StringMatch(exact="`")}),
        HttpMatch(headers={"`": StringMatch(exact="x")}),
        HttpMatch(uri=StringMatch(prefix="/")),
        HttpMatch(headers={"x": StringMatch()}),
    ],
)
def test_what_cannot_be_said_is_refused(match: HttpMatch) -> None:
    with pytest.raises(Refusal):
        narrowed(ROUTE, [match])


def test_a_route_without_a_priority_has_the_length_of_its_rule() -> None:
    assert 7 == priority_of({"match": "Host(x)"})
    assert 3 == priority_of({"match": "Host(x)", "priority": 3})
    assert 7 == priority_of({"match": "Host(x)", "priority": 0})
