"""Numbers and durations as Go prints them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.gotemplate.text import fixed, go_duration, go_float, milliseconds, printf, unquote


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (99.0, "99"),
        (99.5, "99.5"),
        (500.0, "500"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.5, "-2.5"),
        (1e22, "1e+22"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_a_float_prints_as_with_percent_v(value: float, text: str) -> None:
    assert go_float(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_float_reads_back_as_itself(value: float) -> None:
    assert float(go_float(value)) == value


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1_515_000_000, "1.515s"),
        (500_000_000, "500ms"),
        (1_500_000, "1.5ms"),
        (1_500, "1.5µs"),
        (15, "15ns"),
        (60_000_000_000, "1m0s"),
        (3_661_500_000_000, "1h1m1.5s"),
        (-2_000_000_000, "-2s"),
    ],
)
def test_a_duration_prints_as_gos(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text


def test_milliseconds_are_cut_not_rounded() -> None:
    assert milliseconds(500.9) == "500ms"
    assert milliseconds(float("inf")) == "+Inf"


def test_two_places_even_of_what_has_none() -> None:
    assert fixed(98.694) == "98.69"
    assert fixed(float("inf")) == "+Inf"


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("%s %v", ("a", 1), "a 1"),
        ("%d", ("a",), "%!d(string=a)"),
        ("%d %d", (1,), "1 %!d(MISSING)"),
        ("%s", ("a", "b"), "a%!(EXTRA string=b)"),
        ("%5.1f|%-3d|%03d|%x", (1.25, 7, 7, 255), "  1.2|7  |007|ff"),
        ("%t", (True,), "true"),
        ("%q", ('a"b',), '"a\\"b"'),
    ],
)
def test_printf_is_gos(form: str, values: tuple[object, ...], text: str) -> None:
    assert printf(form, *values) == text


def test_escapes_in_a_literal_are_read() -> None:
    assert unquote('"a\\tb\\u00e9\\x41\\\\"') == "a\tbé" + "A\\"
    assert unquote("`a\\tb`") == "a\\tb"
