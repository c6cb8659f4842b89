"""Numbers from what load tools print; the texts are real ones or of their form."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.loadtester.core.numbers import NUMBERS_MAX, numbers

HEY = """
Summary:
  Total:\t2.0051 secs
  Slowest:\t0.0187 secs
  Fastest:\t0.0001 secs
  Average:\t0.0012 secs
  Requests/sec:\t199.4871

  Total data:\t2400 bytes
  Size/request:\t6 bytes

Response time histogram:
  0.000 [1]\t|
  0.002 [350]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■

Latency distribution:
  10% in 0.0003 secs
  50% in 0.0008 secs
  95% in 0.0031 secs
  99% in 0.0092 secs

Details (average, fastest, slowest):
  DNS+dialup:\t0.0001 secs, 0.0001 secs, 0.0187 secs

Status code distribution:
  [200]\t380 responses
  [500]\t20 responses

Error distribution:
  [3]\tGet "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused
  [2]\tGet "http://127.0.0.1:1/": context deadline exceeded
"""
NOBODY = """
Summary:
  Total:\t0.0065 secs
  Slowest:\t0.0000 secs
  Fastest:\t0.0000 secs
  Average:\t NaN secs
  Requests/sec:\t7707.2039


Latency distribution:

Status code distribution:

Error distribution:
  [50]\tGet "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused
"""
WRK = """Running 2s test @ http://127.0.0.1:8080/
  2 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   635.91us    0.89ms  12.92ms   93.69%
    Req/Sec    56.20k     8.07k   62.00k    86.54%
  Latency Distribution
     50%  350.00us
     75%    0.91ms
     90%    1.20s
     99%    1.50m
  22464657 requests in 2.00s, 17.76GB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 12
Requests/sec: 748868.53
Transfer/sec:    606.33MB
"""
K6 = """
     data_received..................: 1.2 MB 40 kB/s
     http_req_duration..............: avg=117.55ms min=100.12ms med=350µs max=1m3.5s p(95)=130.5ms
       { expected_response:true }...: avg=1ms min=1ms med=1ms max=1ms p(90)=1ms p(95)=1ms
     http_req_failed................: 2.50%  ✓ 5    ✗ 195
     http_reqs......................: 200    6.66/s
"""
K6_TICKED = """
     checks.........................: 75.00% ✓ 150  ✗ 50
   ✓ http_req_duration..............: avg=2ms min=1ms med=2ms max=9ms p(99.9)=8ms
   ✗ http_req_failed................: 25.00% ✓ 50   ✗ 150
     http_reqs......................: 200    20.5/s
"""
K6_V1 = """
  █ THRESHOLDS

    http_req_duration
    ✓ 'p(95)<100' p(95)=8ms

  █ TOTAL RESULTS

    checks_total.......................: 200    20.5/s
    checks_succeeded...................: 75.00% 150 out of 200
    checks_failed......................: 25.00% 50 out of 200

    HTTP
    http_req_duration..................: avg=2ms min=1ms med=2ms max=9ms p(99.9)=8ms
      { expected_response:true }.......: avg=1ms min=1ms med=1ms max=1ms p(99.9)=1ms
    http_req_failed....................: 25.00% 50 out of 200
    http_reqs..........................: 200    20.5/s
"""


def test_hey_reports_rate_latencies_and_responses() -> None:
    assert numbers(HEY) == {
        "total_s": 2.0051,
        "slowest_s": 0.0187,
        "fastest_s": 0.0001,
        "average_s": 0.0012,
        "requests_per_s": 199.4871,
        "p10_s": 0.0003,
        "p50_s": 0.0008,
        "p95_s": 0.0031,
        "p99_s": 0.0092,
        "status_200": 380.0,
        "status_500": 20.0,
        "errors": 5.0,
    }


def test_a_service_that_nobody_answers_for_is_all_errors() -> None:
    """What hey writes as NaN is left out: it is no number, and no JSON."""
    assert numbers(NOBODY) == {
        "total_s": 0.0065,
        "slowest_s": 0.0,
        "fastest_s": 0.0,
        "requests_per_s": 7707.2039,
        "errors": 50.0,
    }


def test_of_several_reports_the_last_one_counts() -> None:
    assert numbers(NOBODY + HEY)["requests_per_s"] == 199.4871


def test_wrk_reports_in_units_of_its_own() -> None:
    assert numbers(WRK) == pytest.approx(
        {
            "requests_per_s": 748868.53,
            "requests": 22464657.0,
            "not_ok": 12.0,
            "p50_s": 0.00035,
            "p75_s": 0.00091,
            "p90_s": 1.2,
            "p99_s": 90.0,
            "errors": 7.0,
        }
    )


def test_k6_reports_its_summary() -> None:
    assert numbers(K6) == pytest.approx(
        {
            "requests": 200.0,
            "requests_per_s": 6.66,
            "failed_percent": 2.5,
            "average_s": 0.11755,
            "fastest_s": 0.10012,
            "p50_s": 0.00035,
            "slowest_s": 63.5,
            "p95_s": 0.1305,
        }
    )


@pytest.mark.parametrize("output", [K6_TICKED, K6_V1])
def test_k6_reports_the_same_in_both_of_its_forms(output: str) -> None:
    assert numbers(output) == pytest.approx(
        {
            "requests": 200.0,
            "requests_per_s": 20.5,
            "failed_percent": 25.0,
            "checks_failed": 50.0,
            "average_s": 0.002,
            "fastest_s": 0.001,
            "p50_s": 0.002,
            "slowest_s": 0.009,
            "p99.9_s": 0.008,
        }
    )


@pytest.mark.parametrize("filler", ["\n", " ", "1", "\n ", "http_reqs: 1", "50% ", "[200] ", "✓ "])
@pytest.mark.parametrize(
    "head",
    [
        "Summary:\nStatus code distribution:\nRequests/sec: 1\n",
        "Requests/sec: 1\n2 requests in\n",
        "http_reqs: ",
    ],
)
def test_no_output_takes_for_ever(head: str, filler: str) -> None:
    """With patterns that try again at each letter this would take hours."""
    assert len(numbers(head + filler * 200_000)) < 5


PIECES = st.sampled_from(
    [
        *("Summary:", "Status code distribution:", "Error distribution:", "Requests/sec:"),
        *("  [200]", " responses", "  50% in ", " secs", "99%", " requests in ", "Total:", "\n"),
        *(
            "Socket errors: connect 1, read 2, write 0, timeout ",
            "http_reqs...: ",
            "checks: ",
            "✗ ",
        ),
        *(
            "http_req_duration: avg=",
            "p(95)=",
            "ms",
            "/s",
            " out of ",
            "1",
            "9" * 5000,
            "1e999",
            ".",
        ),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_whatever_looks_like_a_report_gives_finite_numbers(output: str) -> None:
    assert all(math.isfinite(value) for value in numbers(output).values())


def test_a_report_without_end_has_an_end() -> None:
    endless = "Requests/sec: 1\n2 requests in\n" + "".join(f"{n}% 1ms\n" for n in range(1000))

    assert len(numbers(endless)) == NUMBERS_MAX


@pytest.mark.parametrize(
    "output", ["", "hello", "Requests/sec: many", "http_reqs: none", "50% in x"]
)
def test_other_output_has_no_numbers(output: str) -> None:
    assert numbers(output) == {}
