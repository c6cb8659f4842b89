"""Kayenta's judge: ranks, intervals and labels."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.judge.mannwhitney import Direction, Sizes, classify


def series(mean: float, seed: int, count: int = 60) -> list[float]:
    dice = random.Random(seed)
    return [dice.gauss(mean, 1.0) for _ in range(count)]


def test_series_of_one_kind_pass() -> None:
    assert classify(series(10, 1), series(10, 2)).label == "pass"


def test_a_shift_is_high_or_low_and_its_size_is_told() -> None:
    high = classify(series(13, 1), series(10, 2))
    low = classify(series(7, 1), series(10, 2))

    assert (high.label, low.label) == ("high", "low")
    assert high.estimate == pytest.approx(3.0, abs=0.5)
    assert high.low < high.estimate < high.high
    assert high.p < 0.001


def test_a_known_example_has_its_known_numbers() -> None:
    """Hollander, Wolfe, Chicken, example 4.1: R's wilcox.test gives an estimate of -0.305."""
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    found = classify(term, early, confidence=0.95)

    assert found.estimate == pytest.approx(0.305)
    assert found.label == "pass"


def test_equal_series_pass_and_too_few_values_are_no_data() -> None:
    assert classify([1.0] * 10, [1.0] * 10).label == "pass"
    assert classify([1.0, 2.0], series(1, 1)).label == "no-data"
    assert classify([], []).label == "no-data"


def test_what_is_no_number_does_not_count() -> None:
    found = classify([math.nan, *series(10, 1)], [*series(10, 2), math.inf])

    assert (found.canary, found.primary) == (60, 60)


def test_a_wide_tolerance_passes_what_a_narrow_one_does_not() -> None:
    canary, primary = series(11, 3), series(10, 4)

    assert classify(canary, primary, tolerance=0.0).label == "high"
    assert classify(canary, primary, tolerance=0.9).label == "pass"


@given(st.lists(st.floats(-1e9, 1e9), max_size=12), st.lists(st.floats(-1e9, 1e9), max_size=12))
def test_any_series_have_a_label(canary: list[float], primary: list[float]) -> None:
    found = classify(canary, primary)

    assert found.label in ("pass", "high", "low", "no-data")
    assert found.low <= found.high
    assert 0 <= found.p <= 1


@pytest.mark.parametrize(
    ("direction", "high", "low"),
    [("increase", "high", "pass"), ("decrease", "pass", "low"), ("either", "high", "low")],
)
def test_only_a_shift_in_the_wrong_direction_counts(
    direction: Direction, high: str, low: str
) -> None:
    up, down, base = series(14, 1), series(6, 1), series(10, 2)

    assert classify(up, base, direction=direction).label == high
    assert classify(down, base, direction=direction).label == low


def test_an_effect_that_is_too_small_passes() -> None:
    canary, primary = series(13, 1), series(10, 2)

    assert classify(canary, primary, sizes=Sizes(allowed_increase=1.2)).label == "high"
    found = classify(canary, primary, sizes=Sizes(allowed_increase=1.5))
    assert (found.label, round(found.effect, 1)) == ("pass", 1.4)


def test_critical_sizes_are_told_apart() -> None:
    canary, primary = series(13, 1), series(10, 2)

    assert classify(canary, primary).extreme
    assert not classify(canary, primary, sizes=Sizes(critical_increase=2)).extreme
    assert not classify(primary, canary, sizes=Sizes(critical_decrease=0.5)).extreme
    assert not classify(series(10, 1), primary).extreme


def test_the_share_of_pairs_is_a_measure_too() -> None:
    found = classify([4.0, 5.0, 6.0], [1.0, 2.0, 5.0], sizes=Sizes(measure="cles"))

    # 4 > 1, 2; 5 > 1, 2 and equals 5; 6 > 1, 2, 5: 7.5 of 9 pairs.
    assert found.effect == pytest.approx(7.5 / 9)


def test_an_effect_without_a_number_is_never_too_small() -> None:
    """No errors before: there is no ratio, and Kayenta ignores the size then."""
    found = classify([5.0] * 20, [0.0] * 20, sizes=Sizes(allowed_increase=3))

    assert (found.label, math.isnan(found.effect)) == ("high", True)


def test_missing_values_may_be_replaced() -> None:
    lost = [None, *([5.0] * 20), math.nan]

    assert classify(lost, series(1, 1)).canary == 20
    assert classify(lost, series(1, 1), replace_missing=True).canary == 22
    assert classify([None] * 9, [None] * 9, replace_missing=True).label == "pass"


def test_outliers_count_unless_they_are_to_be_removed() -> None:
    spoilt = [*series(10, 1, 200), 1e6]

    assert classify(spoilt, series(10, 2)).canary == 201
    assert classify(spoilt, series(10, 2), outlier_factor=3.0).canary == 200
