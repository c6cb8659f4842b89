"""Dynatrace's metrics API v2 (reference 5.5): the query is a metric selector.

Secret key: `dynatrace_token` with the scope metrics.read. The address is that of the environment.
API: docs.dynatrace.com, "Metrics API v2 - GET metric data points".
"""

from __future__ import annotations

from urllib.parse import urlencode

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Question,
    Source,
    address,
    credential,
    document,
    get,
    number,
    online,
    reads,
)
from serinus.runtime.http import HttpRequest, HttpResponse


def request(source: Source, question: Question) -> HttpRequest:
    """One value for the whole window: `resolution=Inf`."""
    words = {
        "metricSelector": question.query.strip(),
        "resolution": "Inf",
        "from": f"{question.begin * 1000:.0f}",
        "to": f"{question.at * 1000:.0f}",
    }
    return _get(source, f"metrics/query?{urlencode(words)}")


def _get(source: Source, path: str) -> HttpRequest:
    (token,) = credential(source, "dynatrace_token")
    headers = {"Authorization": f"Api-Token {token}"}
    return get(source, f"{address(source)}/api/v2/{path}", headers)


@reads
def reading(answer: HttpResponse) -> Reading:
    """The one value of the one series."""
    results = document(answer)["result"]
    series = [one for result in results for one in result["data"]]
    if len(series) > 1:
        return Unreachable(key="", why=MULTIPLE)
    values = [value for one in series for value in one["values"] if value is not None]
    if not values:
        warnings = [text for result in results for text in result.get("warnings") or ()]
        return NoData(key="", cause=warnings[0][:200] if warnings else NO_SERIES)
    return number(values[-1])


def probe(source: Source, at: float) -> HttpRequest:
    """Asks for the name of one metric."""
    return _get(source, "metrics?pageSize=1")


DYNATRACE = Halves(request=request, reading=reading, probe=probe, probed=online)
