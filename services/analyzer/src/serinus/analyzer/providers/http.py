"""Any JSON API that knows a number about the business: orders, log-ins, a score.

    provider:
      type: http
      address: https://shop.example.com
      http: {method: POST, body: '{"service": "{{ target }}"}', value: $.rate, samples: $.orders}
    query: /v1/orders?minutes=5

The query is the path behind the address. Secret keys, optional: `token`, else `username` and
`password`; `ca.crt`, `tls.crt`, `tls.key`. JSONPath is RFC 9535, but for what might never end
(`paths`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.prometheus import authorization
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Misread,
    OverHttp,
    Question,
    Source,
    address,
    document,
    get,
    number,
    reads,
    refusal,
)
from serinus.events.canary import HttpSource
from serinus.runtime.http import Http, HttpRequest, HttpResponse

# What may stand in a URL as it is; the rest, blanks first, is encoded.
_SAFE = "/?#[]@!$&'()*+,;=:%~"


def request(source: Source, question: Question) -> HttpRequest:
    """The described request; what a URL cannot hold is encoded, nothing is encoded twice."""
    wanted = source.provider.http or HttpSource()
    path = quote(question.query.strip(), safe=_SAFE)
    joint = "" if not path or path.startswith(("/", "?")) else "/"
    made = get(source, f"{address(source)}{joint}{path}", authorization(source))
    if wanted.method == "GET":
        return made
    headers = {"Content-Type": "application/json", **made.headers}
    return msgspec.structs.replace(
        made, method=wanted.method, headers=headers, body=question.body.encode()
    )


def halves(source: Source) -> Halves:
    """The two halves for the paths that the source names."""
    wanted = source.provider.http or HttpSource()

    @reads
    def reading(answer: HttpResponse) -> Reading:
        found = document(answer)
        values = _at(wanted.value, found)
        if len(values) > 1:
            return Unreachable(key="", why=MULTIPLE)
        if not values:
            return NoData(key="", cause=f"nothing at {wanted.value} in the answer")
        return number(values[0], _samples(wanted.samples, found))

    return Halves(request=request, reading=reading, probe=_probe, probed=_probed)


def _samples(path: str, found: Any) -> float | None:
    if not path:
        return None
    counts = _at(path, found)
    if len(counts) != 1 or isinstance(counts[0], bool) or not isinstance(counts[0], int | float):
        raise Misread(f"no number of samples at {path} in the answer")
    return float(counts[0])


def _at(path: str, found: Any) -> list[Any]:
    # Imported by the first canary that needs it.
    from serinus.analyzer.providers import paths

    if not path.strip():
        raise Misread("the JSONPath is empty; $ is the whole answer")
    try:
        return paths.at(path, found)
    except paths.Unbounded as error:
        raise Misread(f"{path} is not followed: {error}") from None
    except paths.JSONPathError as error:
        raise Misread(f"{path} is no JSONPath: {error}") from None


def _probe(source: Source, at: float) -> HttpRequest:
    """Asks for the address alone."""
    return get(source, address(source), authorization(source))


def _probed(answer: HttpResponse) -> Reading:
    """Whatever the address alone is answered with: what counts is that somebody is there."""
    refused = refusal(answer)
    if refused is not None and refused.away:
        return refused
    return Value(key="", value=1.0)


def over_http(source: Source, http: Http) -> OverHttp:
    return OverHttp(halves(source), source, http)
