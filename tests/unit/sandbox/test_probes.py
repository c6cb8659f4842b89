"""What many answers say together."""

from __future__ import annotations

import pytest

from serinus.sandbox.probes import Verdict


@pytest.mark.parametrize(
    ("probe", "answers", "ready"),
    [
        ({}, "+", [True]),
        ({}, "+--+--", [True] * 6),
        ({}, "+---", [True, True, True, False]),
        ({"failureThreshold": 1}, "+-+", [True, False, True]),
        ({"successThreshold": 2}, "+-++", [False, False, False, True]),
    ],
)
def test_it_turns_after_enough_answers_of_one_kind(
    probe: dict[str, int], answers: str, ready: list[bool]
) -> None:
    verdict = Verdict(probe)
    seen, turns = [], 0

    for answer in answers:
        turns += verdict.turns(answer == "+")
        seen.append(verdict.ready)

    assert seen == ready
    assert turns == sum(a != b for a, b in zip([False, *ready], ready, strict=False))
