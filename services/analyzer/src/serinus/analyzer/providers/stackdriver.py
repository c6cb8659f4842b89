"""Google Cloud Monitoring: MQL, or PromQL by `api: promql` (reference 5.5).

Secret keys: `project`, and `serviceAccountKey` (JSON). Without a Secret the project and the
credentials are those of the pod (workload identity). google-auth finds and renews tokens through
our own connections; it is imported by the first canary that needs it.
APIs: cloud.google.com, "projects.timeSeries.query" and "Google Cloud's Prometheus API".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import msgspec
from msgspec import Struct

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers import prometheus
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Misconfigured,
    Question,
    Refused,
    Source,
    address,
    credential,
    document,
    get,
    number,
    numeric,
    post,
    reads,
    refusal,
    told,
)
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered

API = "https://monitoring.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/monitoring.read"
MQL = "timeSeries:query"
MAX_ACCOUNTS = 64
PATIENCE_S = 15.0


class _Account(Struct, frozen=True):
    """Who asks: google-auth's credentials, and the project they are for ("": not known)."""

    credentials: Any
    project: str


class Google:
    """What is remembered between questions: one account per key, with its token."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self._accounts: dict[str, _Account] = {}

    async def token(self, source: Source) -> tuple[str, str]:
        """(bearer token, project). Raises Misconfigured, Refused, Unanswered."""
        key = source.credentials.get("serviceAccountKey", b"")
        name = hashlib.sha256(key).hexdigest()
        # A key names by itself where its tokens come from, and is somebody else's.
        wire = _Wire(self.http, asyncio.get_running_loop(), is_own=not key)
        account = self._accounts.get(name)
        if account is None:
            account = await asyncio.to_thread(_account, key, wire)
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.clear()
            self._accounts[name] = account
        token = await asyncio.to_thread(_fresh, account.credentials, wire)
        project = account.project
        if source.credentials:
            (project,) = credential(source, "project")
        if not project:
            raise Misconfigured("no project: name a secret that holds one")
        return token, project


class Stackdriver:
    """The metrics of one project."""

    def __init__(self, source: Source, google: Google) -> None:
        self._source = source
        self._google = google

    async def value(self, question: Question) -> Reading:
        return await told(self._value(question))

    async def probe(self, at: float) -> Reading:
        return await told(self._probe())

    async def _value(self, question: Question) -> Reading:
        if self._source.provider.api == "promql":
            path = f"location/global/prometheus/api/v1/query?query={quote(question.query, safe='')}"
            return prometheus.reading(await self._send("v1", path))
        return reading(await self._send("v3", MQL, {"query": question.query}))

    async def _probe(self) -> Reading:
        """An empty query is refused as such by a server that knows us."""
        answer = await self._send("v3", MQL, {"query": ""})
        if answer.status == 400:
            return Value(key="", value=1.0)
        return refusal(answer) or Value(key="", value=1.0)

    async def _send(
        self, version: str, path: str, body: Mapping[str, str] | None = None
    ) -> HttpResponse:
        token, project = await self._google.token(self._source)
        base = address(self._source, API)
        url = f"{base}/{version}/projects/{quote(project, safe='')}/{path}"
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            return await self._google.http.send(get(self._source, url, headers))
        return await self._google.http.send(post(self._source, url, body, headers))


@reads
def reading(answer: HttpResponse) -> Reading:
    """The newest point of the one series. Flagger reads an integer as 0."""
    series = document(answer).get("timeSeriesData") or []
    if len(series) > 1:
        return Unreachable(key="", why=MULTIPLE)
    points = series[0].get("pointData") if series else None
    if not points:
        return NoData(key="", cause=NO_SERIES)
    values = points[0]["values"]
    if len(values) > 1:
        return Unreachable(key="", why=MULTIPLE)
    # 64 bits do not fit into a JSON number, so integers come as texts.
    if "int64Value" in values[0]:
        return numeric(values[0]["int64Value"])
    return number(values[0]["doubleValue"])


# --- google-auth --------------------------------------------------------------------------------


class _Wire:
    """What google-auth takes for its HTTP library; called in a thread of its own."""

    def __init__(self, http: Http, loop: asyncio.AbstractEventLoop, *, is_own: bool) -> None:
        self._http = http
        self._loop = loop
        self._is_own = is_own

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        from google.auth.exceptions import TransportError

        raw = body.encode() if isinstance(body, str) else body or b""
        request = HttpRequest(
            url=url,
            method=method,
            headers=headers or {},
            body=raw,
            timeout_s=min(timeout or 5, 5),
            for_own_credentials=self._is_own,
        )
        sending = asyncio.run_coroutine_threadsafe(self._http.send(request), self._loop)
        try:
            return _Answer(sending.result(PATIENCE_S))
        except (Unanswered, TimeoutError) as error:
            raise TransportError(str(error)) from None


class _Answer:
    """An answer as google-auth wants to read it."""

    def __init__(self, answer: HttpResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.data = answer.body


def _account(key: bytes, wire: _Wire) -> _Account:
    """Raises Misconfigured when there are no credentials, or they cannot be read."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import service_account

    if not key:
        try:
            found, project = google.auth.default(scopes=[SCOPE], request=cast(Any, wire))
        except GoogleAuthError as error:
            raise Misconfigured(f"no Google credentials: {error}") from None
        return _Account(found, project or "")
    try:
        info = msgspec.json.decode(key)
        made = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, TypeError, GoogleAuthError):
        raise Misconfigured(
            "the secret's serviceAccountKey is no key of a service account"
        ) from None
    return _Account(made, info.get("project_id", ""))


def _fresh(credentials: Any, wire: _Wire) -> str:
    """A token that is good for a while. Raises Refused, Unanswered."""
    from google.auth.exceptions import RefreshError, TransportError

    if not credentials.valid:
        try:
            credentials.refresh(wire)
        except TransportError as error:
            raise Unanswered(str(error)) from None
        except RefreshError as error:
            why = f"Google refuses the credentials: {error.args[0]}"
            raise Refused(Unreachable(key="", why=why, away=True)) from None
    return str(credentials.token)
