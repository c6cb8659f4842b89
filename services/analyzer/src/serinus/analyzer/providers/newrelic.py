"""New Relic: NRQL over NerdGraph, or over the older Insights API (reference 5.5).

Secret keys: `newrelic_account_id`, and `newrelic_api_key` (a user key: NerdGraph) or
`newrelic_query_key` (an Insights query key). The window is added as `SINCE n seconds ago`.
NerdGraph: docs.newrelic.com, "Query NRQL through NerdGraph".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Halves,
    Misconfigured,
    Misread,
    Question,
    Source,
    address,
    credential,
    document,
    get,
    number,
    online,
    post,
    reads,
)
from serinus.runtime.http import HttpRequest, HttpResponse

INSIGHTS = "https://insights-api.newrelic.com"
NERDGRAPH = "https://api.newrelic.com/graphql"
_RESULTS = (
    "query ($account: Int!, $nrql: Nrql!) "
    "{ actor { account(id: $account) { nrql(query: $nrql) { results } } } }"
)


def request(source: Source, question: Question) -> HttpRequest:
    """The NRQL query over the window, by whichever key the Secret holds."""
    nrql = f"{question.query.strip()} SINCE {question.window_s:.0f} seconds ago"
    if "newrelic_api_key" in source.credentials:
        return _graph(source, {"account": _account(source), "nrql": nrql})
    account = _account(source)
    (key,) = credential(source, "newrelic_query_key")
    url = f"{address(source, INSIGHTS)}/v1/accounts/{account}/query?nrql={quote(nrql, safe='')}"
    return get(source, url, {"X-Query-Key": key})


def _graph(source: Source, variables: dict[str, Any]) -> HttpRequest:
    (key,) = credential(source, "newrelic_api_key")
    body = {"query": _RESULTS, "variables": variables}
    return post(source, address(source, NERDGRAPH), body, {"API-Key": key})


def _account(source: Source) -> int:
    (account,) = credential(source, "newrelic_account_id")
    if not account.isdigit():
        raise Misconfigured("the secret's newrelic_account_id is no number")
    return int(account)


@reads
def reading(answer: HttpResponse) -> Reading:
    """The one number of the one result, in the shape of either API."""
    found = document(answer)
    if "data" in found or "errors" in found:
        if found.get("errors"):
            return Unreachable(key="", why=f"error response: {found['errors'][0]['message']}")
        return _result(found["data"]["actor"]["account"]["nrql"]["results"])
    return _result(found["results"])


def _result(results: list[dict[str, Any]]) -> Reading:
    if not results:
        return NoData(key="", cause=NO_SERIES)
    if len(results) > 1:
        return Unreachable(key="", why=MULTIPLE)
    row = results[0]
    if "result" in row:
        return number(row["result"])
    # NerdGraph names the column after the function; percentile() nests one level deeper.
    found = [value for key, value in row.items() if not key.endswith("TimeSeconds")]
    if len(found) == 1 and isinstance(found[0], dict):
        found = list(found[0].values())
    if len(found) > 1:
        return Unreachable(key="", why=MULTIPLE)
    if not found:
        raise Misread("the result holds no number")
    return number(found[0])


def probe(source: Source, at: float) -> HttpRequest:
    """Asks for something that every account has."""
    return request(source, Question(query="SELECT count(*) FROM Metric", at=at, window_s=60.0))


NEWRELIC = Halves(request=request, reading=reading, probe=probe, probed=online)
