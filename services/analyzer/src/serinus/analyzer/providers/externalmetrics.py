"""The external metrics API of Kubernetes, as autoscalers read it (reference 5.5).

    query: [namespace/]metric[?labelSelector=<url encoded>]

It is asked with the analyzer's own account, which needs `list` on external.metrics.k8s.io; with an
`address`, at that server with the Secret's `token`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.keptn import of_cluster
from serinus.analyzer.providers.source import (
    MULTIPLE,
    Misconfigured,
    Misread,
    Question,
    Source,
    address,
    credential,
    document,
    first_line,
    get,
    number,
    told,
)
from serinus.kube.cluster import Cluster
from serinus.runtime.http import Http

API = "/apis/external.metrics.k8s.io/v1beta1"
_QUANTITY = re.compile(r"([+-]?[0-9.]+)([numkKMGTPE]i?|[eE][+-]?[0-9]+)?")
_SUFFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SUFFIXES |= {"P": 1e15, "E": 1e18}
_SUFFIXES |= {f"{s}i": 1024.0**n for n, s in enumerate(("K", "M", "G", "T", "P", "E"), 1)}


class ExternalMetrics:
    """The external metrics of one cluster."""

    def __init__(self, source: Source, http: Http, cluster: Cluster) -> None:
        self._source = source
        self._http = http
        self._cluster = cluster

    async def value(self, question: Question) -> Reading:
        return await told(of_cluster(self._value(question)))

    async def probe(self, at: float) -> Reading:
        """The API lists what it has, without values."""
        return await told(of_cluster(self._probe()))

    async def _value(self, question: Question) -> Reading:
        namespace, metric, words = parsed(question.query)
        if not self._source.provider.address:
            self._source.check(namespace, f"external metric {metric}")
        path = f"{API}/namespaces/{quote(namespace, safe='')}/{quote(metric, safe='')}"
        return reading(await self._read(path, words))

    async def _probe(self) -> Reading:
        await self._read(API, {})
        return Value(key="", value=1.0)

    async def _read(self, path: str, query: Mapping[str, str]) -> Any:
        if not self._source.provider.address:
            return await self._cluster.read(path, query)
        headers = {}
        if self._source.credentials:
            headers["Authorization"] = f"Bearer {credential(self._source, 'token')[0]}"
        url = f"{address(self._source)}{path}" + (f"?{urlencode(query)}" if query else "")
        return document(await self._http.send(get(self._source, url, headers)))


def parsed(text: str) -> tuple[str, str, dict[str, str]]:
    """Namespace, metric and parameters of a query. Raises Misconfigured."""
    name, _, words = text.strip().partition("?")
    namespace, slash, metric = name.partition("/")
    if not slash:
        namespace, metric = "default", name
    if not metric or not namespace or "/" in metric:
        raise Misconfigured("the query is no [namespace/]metric[?labelSelector=...]")
    chosen = parse_qs(words).get("labelSelector", [""])[0]
    return namespace, metric, {"labelSelector": chosen} if chosen else {}


def reading(found: Any) -> Reading:
    """The value of the one item."""
    items = found["items"]
    if len(items) > 1:
        return Unreachable(key="", why=MULTIPLE)
    return quantity(items[0]["value"]) if items else NoData(key="", cause=NO_SERIES)


def quantity(text: Any) -> Reading:
    """A quantity of Kubernetes, such as 1500m or 2Ki."""
    parts = _QUANTITY.fullmatch(str(text))
    if parts is None:
        raise Misread(f"the answer holds no quantity: {first_line(str(text))}")
    number_text, suffix = parts[1], parts[2] or ""
    if suffix in _SUFFIXES:
        return number(float(number_text) * _SUFFIXES[suffix])
    return number(float(number_text + suffix))
