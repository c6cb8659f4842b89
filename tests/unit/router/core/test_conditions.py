"""A/B conditions on headers and query parameters."""

from __future__ import annotations

import pytest

from serinus.events.canary import HttpMatch, StringMatch
from serinus.router.core.conditions import ANY_FORM, EXACT_OR_REGEX, Condition, conditions
from serinus.router.core.objects import Refusal


def test_all_of_one_entry_must_hold_and_entries_are_alternatives() -> None:
    both = HttpMatch(headers={"b": StringMatch(exact="1"), "a": StringMatch(suffix="2")})
    other = HttpMatch(name="insiders", headers={"c": StringMatch(regex="3")})

    found = conditions([both, other], "x", headers=ANY_FORM)

    first = [Condition("a", "suffix", "2"), Condition("b", "exact", "1")]
    assert [first, [Condition("c", "regex", "3")]] == found


def test_query_parameters_are_tested_where_the_mesh_can() -> None:
    match = HttpMatch(query_params={"a": StringMatch(exact="")})

    found = conditions([match], "x", headers=EXACT_OR_REGEX, query=EXACT_OR_REGEX)

    assert [[Condition("a", "exact", "", is_query=True)]] == found
    with pytest.raises(Refusal, match="x can match by headers only: "):
        conditions([match], "x", headers=EXACT_OR_REGEX)


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (HttpMatch(), "x can match by headers only: {}"),
        (HttpMatch(uri=StringMatch(exact="/")), "x can match by headers only: "),
        (
            HttpMatch(headers={"a": StringMatch(exact="1")}, source_labels={"app": "b"}),
            "x can match by headers only: ",
        ),
        (
            HttpMatch(headers={"a": StringMatch(prefix="1")}),
            'x cannot test header a by {"prefix":"1"}; use exact or regex',
        ),
        (
            HttpMatch(headers={"a": StringMatch()}),
            "x cannot test header a by {}; use exact or regex",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(match: HttpMatch, said: str) -> None:
    """Left out, it would send everybody to the canary."""
    with pytest.raises(Refusal) as refused:
        conditions([match], "x", headers=EXACT_OR_REGEX)

    assert "Unsupported" == refused.value.reason
    assert refused.value.text.startswith(said)
