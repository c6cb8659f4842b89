"""Refusals as clients read them."""

from __future__ import annotations

from serinus.sandbox import errors as e


def test_a_refusal_is_a_status() -> None:
    assert e.not_found("canaries", "flagger.app", "web").status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'canaries.flagger.app "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "kind": "canaries", "group": "flagger.app"},
        "code": 404,
    }


def test_core_kinds_have_no_group_in_their_name() -> None:
    assert e.already_exists("pods", "", "p").message == 'pods "p" already exists'
    assert "group" not in e.already_exists("pods", "", "p").details


def test_what_is_empty_is_left_out() -> None:
    assert "reason" not in e.ApiError(500, "", "broken").status()


def test_causes_are_told_in_the_message_and_apart() -> None:
    one = e.invalid("Canary", "flagger.app", "web", [("spec.a", "R", "wrong")])
    two = e.invalid("Pod", "", "p", [("a", "R", "x"), ("b", "R", "y")])

    assert one.message == 'Canary.flagger.app "web" is invalid: spec.a: wrong'
    assert one.details["causes"] == [{"reason": "R", "message": "wrong", "field": "spec.a"}]
    assert two.message == 'Pod "p" is invalid: [a: x, b: y]'


def test_who_asks_too_early_is_told_when_to_come_back() -> None:
    assert e.too_large(9, 5).details["retryAfterSeconds"] == 1
    assert (e.gone(1, 5).code, e.gone(1, 5).reason) == (410, "Expired")
