"""How a canary and a problem are written for people."""

from __future__ import annotations

from serinus.events import CanaryRef, Problem


def test_a_canary_is_written_as_in_flaggers_texts_and_keyed_as_in_kubernetes() -> None:
    canary = CanaryRef("shop", "web", "uid")
    assert (str(canary), canary.key) == ("web.shop", "shop/web")


def test_a_recreated_canary_is_another_one() -> None:
    assert CanaryRef("shop", "web", "1") != CanaryRef("shop", "web", "2")


def test_a_problem_says_where_what_and_the_cure() -> None:
    assert str(Problem("spec.service.port", "is missing", "set it")) == (
        "spec.service.port: is missing; set it"
    )
    assert str(Problem("", "two canaries on one target")) == "two canaries on one target"
