"""Words in hooks: ours are filled in, everything else is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_hook, a_status, an_observed

from serinus.analyzer.core.hooktext import filled
from serinus.events.canary import Check, Checks

RATE = Check(metric="request-success-rate", value=99.5)
STATUS = a_status(
    canary_weight=20,
    iterations=3,
    failed_checks=1,
    canary_analysis=Checks(checks=(RATE, Check(metric="request-success-rate", value=10.0))),
)


def fill(text: str) -> str:
    hook = a_hook(metadata={"cmd": text}, body=text, headers={"X": text})
    done = filled(hook, an_observed(status=STATUS), STATUS, "Progressing")
    assert done.metadata is not None
    assert done.metadata["cmd"] == done.body == done.headers["X"]
    return done.body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ canaryWeight }}", "20"),
        ("{{canaryWeight}}/{{ primaryWeight }}", "20/80"),
        ("hey -q {{- iteration -}} x", "hey -q 3 x"),
        ("{{ phase }} {{ revision }}", "Progressing s1-2222222222"),
        ("{{ failedChecks }}", "1"),
        ("{{ name }}.{{ namespace }}: {{ target }}, {{ service }}", "web.shop: web, web"),
        ("{{ metrics.request-success-rate }}", "99.5"),
    ],
)
def test_a_word_is_filled_in(text: str, expected: str) -> None:
    assert fill(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "kubectl get pod -o go-template='{{.status.phase}}'",
        "{{ range .items }}{{ end }}",
        "{{ metrics.unknown }}",
        "{{ canaryweight }}",
        '{"a": {"b": {}}}',
        "{{",
    ],
)
def test_templates_of_other_tools_are_left_alone(text: str) -> None:
    assert fill(text) == text


@given(st.text())
def test_a_text_without_our_words_is_sent_byte_for_byte(text: str) -> None:
    known = ("canaryWeight", "primaryWeight", "iteration", "phase", "revision", "metrics")
    if not any(word in text for word in known):
        assert fill(text) == text or "{{" in text


def test_a_hook_without_words_is_the_very_same() -> None:
    hook = a_hook(metadata={"type": "cmd"})
    assert filled(hook, an_observed(), STATUS, "Progressing") is hook
