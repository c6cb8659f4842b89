"""Two texts of metrics: what grew, and its quantiles."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.providers.exposition import increases, labels_of, quantile, samples

TEXT = """\
# HELP x_total Things.
# TYPE x_total counter
x_total{code="200",path="a\\"b\\\\c\\nd"} 12
x_total 3 1700000000000
x_total_more{code="200"} 9
y_total{code="500"} 1e3
x_total{code="bad"} many
"""


def test_lines_of_the_wanted_series_are_read() -> None:
    found = list(samples(TEXT, ("x_total",)))

    assert [(name, value) for _, name, value in found] == [("x_total", 12.0), ("x_total", 3.0)]


def test_escaped_labels_are_read() -> None:
    (series, _, _) = next(iter(samples(TEXT, ("x_total",))))

    assert labels_of(series) == {"code": "200", "path": 'a"b\\c\nd'}


def test_growth_is_counted_from_the_first_scrape_to_the_last() -> None:
    assert increases([{"a": 10.0}, {"a": 15.0}, {"a": 15.5}]) == {"a": 5.5}


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    """10 -> 14, restart, -> 3 -> 5: nine more in all."""
    assert increases([{"a": 10.0}, {"a": 14.0}, {"a": 3.0}, {"a": 5.0}]) == {"a": 9.0}


def test_a_series_that_appears_counts_from_zero() -> None:
    assert increases([{}, {"a": 7.0}]) == {"a": 7.0}
    assert increases([{"a": 7.0}]) == {}


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ([(0.1, 0), (0.3, 0), (1.2, 100), (math.inf, 100)], 0.3 + 0.9 * 0.99),
        ([(0.1, 100), (0.3, 100), (math.inf, 100)], 0.099),
        ([(0.1, 50), (math.inf, 100)], 0.1),
        ([(0.1, 10), (0.1, 10), (0.2, 10), (0.2, 10), (math.inf, 20), (math.inf, 0)], 0.099),
    ],
)
def test_quantiles_are_those_of_promql(buckets: list[tuple[float, float]], expected: float) -> None:
    assert quantile(0.99, buckets) == pytest.approx(expected)


@pytest.mark.parametrize(
    "buckets", [[], [(math.inf, 5.0)], [(0.1, 5.0), (0.2, 5.0)], [(0.1, 0.0), (math.inf, 0.0)]]
)
def test_a_histogram_that_says_nothing_has_no_quantile(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(quantile(0.99, buckets))


@given(
    st.lists(st.floats(0.001, 1000), min_size=1, max_size=8, unique=True),
    st.data(),
)
def test_a_quantile_lies_within_the_buckets_even_when_they_lag(
    bounds: list[float], data: st.DataObject
) -> None:
    counts = [data.draw(st.integers(0, 1000)) for _ in bounds]
    found = quantile(0.99, [*zip(bounds, map(float, counts), strict=True), (math.inf, 1000.0)])

    assert 0 <= found <= max(bounds)
