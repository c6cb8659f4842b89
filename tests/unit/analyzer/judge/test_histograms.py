"""The sequential test on histograms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.judge.histograms import Histogram, compare_histograms, quantile

BOUNDS = (0.1, 0.3, 1.0, math.inf)
FAST = Histogram((80, 95, 99, 100), (800, 950, 990, 1000))
SLOW = Histogram((60, 80, 95, 100), (800, 950, 990, 1000))


def test_a_canary_that_is_as_fast_is_not_slower() -> None:
    found = compare_histograms(BOUNDS, [FAST] * 30, alpha=0.01)

    assert found is not None
    assert found.evidence < 1


def test_a_canary_that_is_slower_is_and_the_bound_is_named() -> None:
    found = compare_histograms(BOUNDS, [SLOW] * 30, alpha=0.01)

    assert found is not None
    assert found.evidence > 100
    assert found.bound == 0.3
    assert found.finding.ratio == pytest.approx(4.0)


def test_a_faster_canary_is_not_slower() -> None:
    faster = Histogram((95, 99, 100, 100), (800, 950, 990, 1000))
    found = compare_histograms(BOUNDS, [faster] * 30, alpha=0.01)

    assert found is not None
    assert found.evidence < 1


def test_a_histogram_without_bounds_says_nothing() -> None:
    assert compare_histograms((math.inf,), [Histogram((1,), (1,))], alpha=0.01) is None
    assert compare_histograms((), [], alpha=0.01) is None


def test_intervals_in_another_shape_are_left_out() -> None:
    odd = Histogram((1.0,), (1.0, 2.0))
    found = compare_histograms(BOUNDS, [FAST, odd], alpha=0.01)

    assert found is not None
    assert found.finding.canary == 100


def test_a_quantile_is_prometheus_own() -> None:
    assert quantile(0.5, BOUNDS, (50, 90, 100, 100)) == pytest.approx(0.1)
    assert quantile(0.7, BOUNDS, (50, 90, 100, 100)) == pytest.approx(0.2)
    assert quantile(0.99, BOUNDS, (50, 90, 90, 100)) == pytest.approx(1.0)
    assert math.isnan(quantile(0.5, BOUNDS, (0, 0, 0, 0)))
    assert math.isnan(quantile(0.5, (), ()))


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=3, max_size=3))
def test_any_counts_have_an_answer(rows: list[tuple[float, float]]) -> None:
    interval = Histogram(tuple(r[0] for r in rows), tuple(r[1] for r in rows))

    found = compare_histograms((0.1, 1.0, math.inf), [interval] * 3, alpha=0.01)

    assert found is not None
    assert found.evidence >= 0
