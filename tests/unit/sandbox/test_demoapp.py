"""The service that is released."""

from __future__ import annotations

import pytest

from serinus.sandbox.demoapp import App, Behaviour, Histogram


@pytest.mark.parametrize(
    ("tag", "rate", "delay"),
    [
        ("1.0", 0.0, 0.0),
        ("2.0-errors10", 0.1, 0.0),
        ("2.0-slow200", 0.0, 0.2),
        ("2.0-errors5-slow20", 0.05, 0.02),
    ],
)
def test_the_tag_says_what_is_wrong(tag: str, rate: float, delay: float) -> None:
    found = Behaviour({"VERSION": tag})

    assert (found.version, found.error_rate, found.delay_s) == (tag.split("-")[0], rate, delay)


def test_the_environment_says_it_too() -> None:
    found = Behaviour({"VERSION": "1.0", "ERROR_RATE": "0.5", "DELAY_S": "0.01", "DRAIN_S": "3"})

    assert (found.error_rate, found.delay_s, found.drain_s) == (0.5, 0.01, 3.0)


def test_traits_without_numbers_are_switches() -> None:
    assert Behaviour({"VERSION": "1-crash"}).crash
    assert Behaviour({"VERSION": "1-neverready"}).never_ready
    assert not Behaviour({"VERSION": "1"}).crash
    assert Behaviour({"VERSION": "1-crash"}).crash_after_s == 0
    assert Behaviour({"VERSION": "1-crash6"}).crash_after_s == 6


def test_a_share_of_the_answers_fails() -> None:
    app = App(Behaviour({"VERSION": "2.0-errors10"}))

    failed = sum(app.answer("/")[0] == 500 for _ in range(5000))

    assert 350 < failed < 650


def test_health_tells_readiness_and_never_fails_otherwise() -> None:
    broken = App(Behaviour({"VERSION": "2.0-errors100"}))

    assert App(Behaviour({"VERSION": "1-neverready"})).answer("/healthz")[0] == 503
    assert {broken.answer("/healthz")[0] for _ in range(50)} == {200}


def test_an_answer_names_version_and_pod() -> None:
    body = App(Behaviour({"VERSION": "1.0", "POD_NAME": "web-1"})).answer("/")[1]

    assert body == b'{"message": "hello", "version": "1.0", "pod": "web-1"}'


def test_durations_are_counted_by_status_in_cumulative_buckets() -> None:
    durations = Histogram()
    for seconds in (0.001, 0.02, 9.0):
        durations.add("200", seconds)
    durations.add("500", 0.02)

    lines = durations.text().splitlines()

    labels = 'method="GET",path="root",status="200"'
    name = "http_request_duration_seconds"
    assert f'{name}_bucket{{{labels},le="0.005"}} 1' in lines
    assert f'{name}_bucket{{{labels},le="0.025"}} 2' in lines
    assert f'{name}_bucket{{{labels},le="5.0"}} 2' in lines
    assert f'{name}_bucket{{{labels},le="+Inf"}} 3' in lines
    assert f"{name}_count{{{labels}}} 3" in lines
    assert any('status="500"' in line for line in lines)
