"""How far each step goes: the reference's own examples, and what must be true of all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_canary_spec, an_analysis

from serinus.analyzer.core.weights import (
    mirror_is_complete,
    mirror_weight,
    next_weight,
    promotion_weight,
    reached_weight,
    step_width,
)
from serinus.events import CanarySpec
from serinus.events.canary import max_weight


def spec(**analysis: object) -> CanarySpec:
    return a_canary_spec(analysis=an_analysis(**analysis))


def climb(**analysis: object) -> list[int]:
    """Weights up to the one that earns promotion."""
    manifest, weights = spec(**analysis), [0]
    while weights[-1] < max_weight(manifest):
        weights.append(next_weight(manifest, weights[-1]))
    return weights[1:]


@pytest.mark.parametrize(
    ("analysis", "weights"),
    [
        ({"step_weight": 10, "max_weight": 50}, [10, 20, 30, 40, 50]),
        ({"step_weight": 20, "max_weight": 50}, [20, 40, 60]),
        ({"step_weight": 50}, [50, 100]),
        ({"step_weights": (1, 2, 10, 80)}, [1, 2, 10, 80]),
        ({"step_weights": (1, 2, 10, 200)}, [1, 2, 10, 100]),
        ({"step_weights": (10, 20), "max_weight": 5}, [10, 20]),
        ({"step_weight": 30, "step_weights": (10, 20)}, [30]),
    ],
)
def test_the_references_examples(analysis: dict[str, object], weights: list[int]) -> None:
    assert climb(**analysis) == weights


def test_from_a_weight_that_is_no_step_the_way_goes_to_the_end() -> None:
    assert next_weight(spec(step_weights=(10, 20, 50)), 15) == 100


def test_at_the_top_a_step_is_one_wide_as_in_the_reference() -> None:
    assert step_width(spec(step_weights=(10, 100)), 100) == 1


@given(st.integers(1, 100), st.integers(0, 100))
def test_a_step_goes_forward_and_never_over_a_hundred(step: int, current: int) -> None:
    following = next_weight(spec(step_weight=step), current)
    assert current <= following <= 100
    assert following > current or current == 100


@given(st.integers(1, 100), st.integers(0, 100))
def test_the_weight_that_waits_for_promotion_is_the_last_of_the_climb(
    step: int, maximum: int
) -> None:
    assert (
        reached_weight(spec(step_weight=step, max_weight=maximum))
        == (climb(step_weight=step, max_weight=maximum)[-1])
    )


@given(st.integers(0, 100), st.integers(0, 100))
def test_traffic_comes_back_in_steps_that_end(width: int, current: int) -> None:
    following = promotion_weight(spec(step_weight=10, step_weight_promotion=width), current)
    assert following == (max(0, current - width) if width else 0)


@pytest.mark.parametrize(
    ("fields", "grown"),
    [
        ({"mirror_weight": 30}, [30, 30, 30, 30]),
        ({"mirror_weight": 0}, [0, 0, 0, 0]),
        (
            {"mirror_weight": 10, "step_mirror_weight": 40, "max_mirror_weight": 80},
            [10, 50, 80, 80],
        ),
        ({"step_mirror_weight": 25, "max_mirror_weight": 100}, [25, 50, 75, 100]),
        ({"max_mirror_weight": 60}, [60, 60, 60, 60]),
    ],
)
def test_mirroring_grows_to_its_maximum(fields: dict[str, int], grown: list[int]) -> None:
    analysis = an_analysis(mirror=True, **fields)
    assert [mirror_weight(analysis, n) for n in (1, 2, 3, 4)] == grown


def test_mirroring_is_complete_after_one_round_unless_it_grows() -> None:
    constant = an_analysis(mirror=True, mirror_weight=30)
    growing = an_analysis(mirror_weight=10, step_mirror_weight=45, max_mirror_weight=100)
    assert [mirror_is_complete(constant, n) for n in (0, 1)] == [False, True]
    assert [mirror_is_complete(growing, n) for n in (1, 2, 3)] == [False, False, True]
