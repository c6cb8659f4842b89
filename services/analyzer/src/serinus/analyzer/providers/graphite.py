"""Graphite's render API (reference 5.5): the query is the text between `?` and `&format=json`.

    query: target=summarize(stats.{{ target }}.errors,'1min')&from=-{{ interval }}

Secret keys, optional: `username` and `password`, or `token` (Bearer); `ca.crt`, `tls.crt`,
`tls.key`. Render API: graphite.readthedocs.io, "The Render URL API".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.prometheus import authorization
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Misconfigured,
    Question,
    Source,
    address,
    document,
    get,
    number,
    online,
    reads,
)
from serinus.runtime.http import HttpRequest, HttpResponse


def request(source: Source, question: Question) -> HttpRequest:
    """The render request; a query that is only an expression is taken for a target.

    Characters that mean something in a URL are encoded, so that a query arrives as it was written.
    """
    query = question.query.strip()
    pairs = parse_qsl(query, keep_blank_values=True) if "target=" in query else [("target", query)]
    if not any(name == "target" and value for name, value in pairs):
        raise Misconfigured("the query names no target")
    names = {name for name, _ in pairs}
    if "from" not in names:
        pairs += [("from", str(int(question.at - question.window_s)))]
    if "until" not in names:
        pairs += [("until", str(int(question.at)))]
    pairs = [pair for pair in pairs if pair[0] != "format"] + [("format", "json")]
    return get(source, f"{address(source)}/render?{urlencode(pairs)}", authorization(source))


@reads
def reading(answer: HttpResponse) -> Reading:
    """The last point that is not null, of the one series that has any."""
    series = document(answer)
    last = [found for one in series if (found := _last(one["datapoints"])) is not None]
    if len(last) > 1:
        return Unreachable(key="", why=MULTIPLE)
    return number(last[0]) if last else NoData(key="", cause=NO_SERIES)


def _last(points: list[list[Any]]) -> Any:
    return next((point[0] for point in reversed(points) if point[0] is not None), None)


def probe(source: Source, at: float) -> HttpRequest:
    """Asks for a series that need not exist."""
    return request(source, Question(query="test", at=at, window_s=60.0))


GRAPHITE = Halves(request=request, reading=reading, probe=probe, probed=online)
