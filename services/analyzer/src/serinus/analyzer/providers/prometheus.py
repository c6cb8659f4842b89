"""Prometheus and whatever speaks its HTTP API: one instant query (reference 5.5).

Secret keys, all optional: `token`, else `username` and `password`; `ca.crt`, and `tls.crt` with
`tls.key`. Thanos, Mimir, VictoriaMetrics and others are the same; a tenant goes into `headers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.causes import explained
from serinus.analyzer.providers.groups import Groups
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Misconfigured,
    Misread,
    OverHttp,
    Question,
    Source,
    address,
    basic,
    credential,
    get,
    is_builtin,
    numeric,
    reads,
    refusal,
    told,
)
from serinus.analyzer.providers.tables import table
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered

PROBE = "vector(1)"


class _Data(Struct, frozen=True, rename={"kind": "resultType"}):
    kind: str = ""
    result: Any = None


class _Answer(Struct, frozen=True, rename={"error_type": "errorType"}):
    status: str = ""
    data: _Data = _Data()
    error: str = ""
    error_type: str = ""


class _Series(Struct, frozen=True):
    value: tuple[float, str]


_answer = msgspec.json.Decoder(_Answer)


def request(source: Source, question: Question) -> HttpRequest:
    """The instant query for `question`, now by the server's clock, as Flagger asks it."""
    url = f"{address(source)}/api/v1/query?query={quote(question.query, safe='')}"
    return get(source, url, authorization(source))


def authorization(source: Source) -> Mapping[str, str]:
    """The header that the Secret asks for. Raises Misconfigured when it is half there."""
    held = {key for key, value in source.credentials.items() if value.strip()}
    if "token" in held:
        return {"Authorization": f"Bearer {credential(source, 'token')[0]}"}
    if {"username", "password"} & held:
        return {"Authorization": basic(source)}
    if source.credentials and not {"ca.crt", "tls.crt", "tls.key"} & held:
        # A Secret was named: a request without credentials is not what is meant.
        raise Misconfigured("the secret holds neither token nor username and password")
    return {}


@reads
def reading(answer: HttpResponse) -> Reading:
    """The one number in the answer.

    Several series are no answer to a yes-or-no question: Flagger silently takes the last one.
    """
    if (refused := refusal(answer)) is not None:
        return refused
    try:
        decoded = _answer.decode(answer.body)
    except msgspec.MsgspecError:
        raise Misread("the answer is not that of a Prometheus API") from None
    if decoded.status != "success":
        return Unreachable(key="", why=f"error response: {decoded.error_type}: {decoded.error}")
    match decoded.data.kind:
        case "vector":
            return _vector(decoded.data.result)
        case "scalar":
            return _number({"value": decoded.data.result})
        case "matrix":
            return Unreachable(key="", why=MULTIPLE)
        case kind:
            raise Misread(f"the answer is a {kind or 'nothing'}, not a number")


def _vector(result: Any) -> Reading:
    if not result:
        return NoData(key="", cause=NO_SERIES)
    if not isinstance(result, list) or len(result) > 1:
        return Unreachable(key="", why=MULTIPLE)
    return _number(result[0])


def _number(series: Any) -> Reading:
    try:
        return numeric(msgspec.convert(series, _Series).value[1])
    except msgspec.ValidationError:
        raise Misread("the answer holds no number") from None


def probe(source: Source, at: float) -> HttpRequest:
    """Asks for the number one."""
    return request(source, Question(query=PROBE, at=at, window_s=0.0))


def probed(answer: HttpResponse) -> Reading:
    """Online means that one is 1."""
    found = reading(answer)
    if isinstance(found, Value) and found.value != 1.0:
        return Unreachable(key="", why=f"{PROBE} is {found.value:g} there")
    if isinstance(found, NoData):
        return Unreachable(key="", why=f"{PROBE} has no value there")
    return found


PROMETHEUS = Halves(request=request, reading=reading, probe=probe, probed=probed)


class Prometheus(OverHttp):
    """A Prometheus, which can also say why a built-in check finds nothing."""

    def __init__(self, source: Source, http: Http, groups: Groups) -> None:
        super().__init__(PROMETHEUS, source, http)
        self._groups = groups

    async def value(self, question: Question) -> Reading:
        if question.columns:
            return await told(table(self._get, question))
        if not is_builtin(question):
            return await super().value(question)
        return await self._groups.value(self._source, question, lambda: self._alone(question))

    async def _alone(self, question: Question) -> Reading:
        found = await super().value(question)
        if not isinstance(found, NoData):
            return found
        try:
            return await explained(self._get, question, found)
        except Unanswered:
            return found

    async def _get(self, path: str) -> HttpResponse:
        source = self._source
        return await self._http.send(get(source, address(source) + path, authorization(source)))
