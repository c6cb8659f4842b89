"""What load tools report, read from their output: hey, wrk and k6.

Names end in their unit: `requests_per_s`, `p99_s`. `status_<code>` and `errors` are counts of
responses and of requests that got none. A tool that is not recognised gives nothing.
"""

from __future__ import annotations

import itertools
import math
import re

NUMBERS_MAX = 64
"""A report has some twenty; what only looks like one may have any number."""

_UNIT_S = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "secs": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)")

# Output may be anything: white space is kept to one line and lengths are bounded, so that no text
# takes more than a moment.
_HEY = {
    "total_s": re.compile(r"^[ \t]*Total:[ \t]+(\S+) secs", re.M),
    "slowest_s": re.compile(r"^[ \t]*Slowest:[ \t]+(\S+) secs", re.M),
    "fastest_s": re.compile(r"^[ \t]*Fastest:[ \t]+(\S+) secs", re.M),
    "average_s": re.compile(r"^[ \t]*Average:[ \t]+(\S+) secs", re.M),
    "requests_per_s": re.compile(r"^[ \t]*Requests/sec:[ \t]+(\S+)", re.M),
}
_HEY_QUANTILE = re.compile(r"^[ \t]*(\d{1,3})%+ in (\S+) secs", re.M)
_HEY_STATUS = re.compile(r"^[ \t]*\[(\d{3})\][ \t]+(\d+) responses", re.M)
_HEY_ERRORS = re.compile(r"^[ \t]*\[(\d+)\][ \t]+(?!\d+ responses)\S", re.M)

_WRK = {
    "requests_per_s": re.compile(r"^Requests/sec:[ \t]+(\S+)", re.M),
    "requests": re.compile(r"^[ \t]*(\d+) requests in ", re.M),
    "not_ok": re.compile(r"Non-2xx or 3xx responses:[ \t]+(\d+)"),
}
_WRK_QUANTILE = re.compile(r"^[ \t]*(\d{1,3})%[ \t]+(\S+)$", re.M)
_WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")

# A metric with a threshold is ticked in the older of its two forms.
_K6_LINE = re.compile(
    r"^[ \t✓✗]*(http_reqs|http_req_failed|http_req_duration|checks|checks_failed)"
    r"\.*:[ \t]*(.{1,500})",
    re.M,
)
_K6_FAILED = re.compile(r"(?:✗\s*(\d+))|(?:(\d+) out of)")
_K6_RATE = re.compile(r"(\d+)\s+(\d+(?:\.\d+)?)/s")
_K6_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_K6_PART = re.compile(r"(avg|min|med|max|p\((\d{1,3}(?:\.\d{1,3})?)\))=(\S+)")
_K6_NAMES = {"avg": "average_s", "min": "fastest_s", "med": "p50_s", "max": "slowest_s"}


def numbers(output: str) -> dict[str, float]:
    """The numbers in a tool's output, by name; the last report where there are several."""
    if "Status code distribution:" in output and "Requests/sec:" in output:
        found = _hey(output[max(0, output.rfind("\nSummary:")) :])
    elif "Requests/sec:" in output and "requests in" in output:
        found = _wrk(output)
    elif "http_reqs" in output:
        found = _k6(output)
    else:
        found = {}
    finite = {name: value for name, value in found.items() if math.isfinite(value)}
    return dict(itertools.islice(finite.items(), NUMBERS_MAX))


def _hey(output: str) -> dict[str, float]:
    summary, _, rest = output.partition("Status code distribution:")
    statuses, _, errors = rest.partition("Error distribution:")
    found = _singles(_HEY, summary)
    for percent, seconds in _HEY_QUANTILE.findall(summary):
        found[f"p{percent}_s"] = _number(seconds)
    for code, count in _HEY_STATUS.findall(statuses):
        found[f"status_{code}"] = float(count)
    found["errors"] = sum(map(float, _HEY_ERRORS.findall(errors)))
    return found


def _wrk(output: str) -> dict[str, float]:
    found = _singles(_WRK, output)
    for percent, duration in _WRK_QUANTILE.findall(output):
        found[f"p{percent}_s"] = _seconds(duration)
    errors = _WRK_ERRORS.search(output)
    found["errors"] = sum(map(float, errors.groups())) if errors else 0.0
    return found


def _k6(output: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, rest in _K6_LINE.findall(output):
        if name == "http_reqs" and (rate := _K6_RATE.search(rest)):
            found["requests"] = float(rate[1])
            found["requests_per_s"] = float(rate[2])
        elif name == "http_req_failed" and (share := _K6_SHARE.search(rest)):
            found["failed_percent"] = float(share[1])
        elif name.startswith("checks") and (failed := _K6_FAILED.search(rest)):
            found["checks_failed"] = float(failed[1] or failed[2])
        elif name == "http_req_duration":
            for word, percent, duration in _K6_PART.findall(rest):
                found[_K6_NAMES.get(word, f"p{percent}_s")] = _seconds(duration)
    return found


def _singles(patterns: dict[str, re.Pattern[str]], output: str) -> dict[str, float]:
    found = {name: pattern.search(output) for name, pattern in patterns.items()}
    return {name: _number(match[1]) for name, match in found.items() if match}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str) -> float:
    """A duration such as `1.2ms`, `350µs` or `1m3.5s` in seconds; NaN where it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
