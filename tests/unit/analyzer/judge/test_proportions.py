"""The sequential test on counts: what it promises at every look, and what it says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.judge.proportions import Batch, Dispersion, compare, log_evidence

GOOD = [Batch(50, 1, 950, 19)] * 30
BAD = [Batch(50, 5, 950, 19)] * 30

counts = st.floats(0, 1e6)
batches = st.lists(st.builds(Batch, counts, counts, counts, counts), max_size=20)


def test_a_canary_that_fails_alike_gathers_no_evidence() -> None:
    found = compare(GOOD, alpha=0.01)

    assert found.ratio == pytest.approx(1.0)
    assert found.evidence < 1
    assert found.at_least < 1
    assert found.error_probability == 1.0


def test_a_canary_that_fails_five_times_as_often_is_refuted_and_the_effect_is_told() -> None:
    found = compare(BAD, alpha=0.01)

    assert found.ratio == pytest.approx(5.0)
    assert 2.0 < found.at_least < 5.0
    assert found.error_probability < 1e-6
    assert (found.canary, found.canary_bad) == (1500, 150)


def test_a_canary_that_is_better_is_no_evidence_against_it() -> None:
    assert compare([Batch(500, 0, 500, 20)] * 10, alpha=0.01).evidence < 0.01


def test_what_is_tolerated_is_not_held_against_it() -> None:
    twice = [Batch(500, 20, 500, 10)] * 20

    assert compare(twice, alpha=0.01).evidence > 100
    assert compare(twice, alpha=0.01, tolerated=2.0).evidence < 100


def test_no_requests_on_a_side_say_nothing() -> None:
    assert log_evidence([], 1.0) == pytest.approx(0.0)
    found = compare([Batch(0, 0, 900, 10), Batch(10, 5, 0, 0)], alpha=0.01)
    assert (found.canary, found.evidence) == (0, pytest.approx(1.0))


def test_a_primary_without_a_bad_request_is_no_division_by_zero() -> None:
    assert compare([Batch(100, 9, 900, 0)], alpha=0.01).ratio == math.inf


def test_requests_that_fail_together_count_for_less() -> None:
    """The primary's own bursts set the stakes: twenty failures at once are not twenty proofs."""
    even = [Batch(50, 3, 950, 20)] * 20
    bursts = [Batch(50, 3, 950, 0 if i % 4 else 80) for i in range(20)]

    assert log_evidence(bursts, 1.0) < log_evidence(even, 1.0) / 3
    seen = Dispersion()
    for batch in bursts:
        seen.add(batch)
    assert seen.value > 3


def test_errors_too_few_for_a_rate_say_nothing_of_the_scatter() -> None:
    seen = Dispersion()
    for _ in range(3):
        seen.add(Batch(1, 0, 1, 5e-324))
    assert seen.value == 1.0


def test_no_burst_sets_its_own_stakes() -> None:
    """What is known of the scatter is what was known before: else the promise would not hold."""
    even = [Batch(50, 1, 950, 19)] * 5
    gain = log_evidence([*even, Batch(50, 9, 950, 180)], 1.0) - log_evidence(even, 1.0)
    seen = Dispersion()
    for batch in even:
        seen.add(batch)
    assert seen.value == 1.0
    assert gain < 0.1


@given(batches, st.floats(0.001, 0.5), st.floats(0.1, 10))
def test_any_counts_have_a_finding(seen: list[Batch], alpha: float, tolerated: float) -> None:
    found = compare(seen, alpha=alpha, tolerated=tolerated)

    assert found.evidence >= 0
    assert not math.isnan(found.ratio)
    assert 0 <= found.error_probability <= 1


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=4, max_size=4))
def test_what_is_no_count_counts_for_nothing(fields: list[float]) -> None:
    assert not math.isnan(compare([Batch(*fields)], alpha=0.01).evidence)
