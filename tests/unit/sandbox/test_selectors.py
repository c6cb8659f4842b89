"""Selectors accept what Kubernetes accepts."""

from __future__ import annotations

import pytest

from serinus.sandbox.errors import ApiError
from serinus.sandbox.selectors import matches, parse_fields, parse_labels


@pytest.mark.parametrize(
    ("selector", "accepted"),
    [
        ("", True),
        ("tier=web", True),
        ("tier==web", True),
        ("tier!=web", False),
        ("tier=web,zone=eu", True),
        ("tier=web,zone=us", False),
        ("tier in (web, db)", True),
        ("tier notin (web, db)", False),
        ("tier", True),
        ("!tier", False),
        ("!colour", True),
        ("colour!=red", True),
        ("colour notin (red)", True),
        ("colour in (red)", False),
        ("example.org/part-of=a_b.c", False),
    ],
)
def test_a_label_selector_accepts(selector: str, accepted: bool) -> None:
    assert parse_labels(selector)({"tier": "web", "zone": "eu"}) is accepted


@pytest.mark.parametrize("text", ["a in b", "a=b=c", "(a)"])
def test_nonsense_is_a_bad_request(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_labels(text)
    assert refused.value.code == 400


def test_a_selector_object_needs_all_its_parts() -> None:
    selector = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["2", "3"]},
            {"key": "c", "operator": "DoesNotExist"},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "NotIn", "values": ["9"]},
        ],
    }
    fits = {"a": "1", "b": "3", "d": ""}

    assert matches(selector, fits)
    for broken in ({"a": "2"}, {"b": "4"}, {"c": "x"}, {"e": "9"}):
        assert not matches(selector, fits | broken)
    assert not matches(selector, {"a": "1", "b": "3"})


def test_no_selector_accepts_nothing_and_an_empty_one_everything() -> None:
    assert not matches(None, {"a": "1"})
    assert matches({}, {"a": "1"})


def test_fields_are_compared_as_text() -> None:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "here"}}

    assert parse_fields("metadata.name=p,spec.nodeName=here", "pods")(pod)
    assert parse_fields("status.phase!=Running", "pods")(pod)
    assert not parse_fields("metadata.namespace=other", "pods")(pod)


def test_fields_that_nobody_indexes_cannot_be_selected_by() -> None:
    with pytest.raises(ApiError) as refused:
        parse_fields("spec.replicas=1", "deployments")
    assert refused.value.message == 'field label not supported: "spec.replicas"'
