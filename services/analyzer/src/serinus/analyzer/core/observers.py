"""One row per observer: whose metrics tell how the canary does (reference 4.1 and 5.4).

An observer is a mesh's own metrics, or `http` for meshes that have none. A row says which series
count requests and durations and which labels tell the canary's from others'. A mesh that ships its
own metrics gets a row here, nothing else; `queries.py` makes texts of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct


class Matcher(Struct, frozen=True):
    """One label condition; `value` and `label` may hold `{words}` of `queries._words`."""

    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str

    def __str__(self) -> str:
        return f'{self.label}{self.op}"{self.value}"'

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is selected; expressions are anchored."""
        have = labels.get(self.label, "")
        if self.op in ("=", "!="):
            return (have == self.value) == (self.op == "=")
        return (re.fullmatch(self.value, have) is not None) == (self.op == "=~")


class Row(Struct, frozen=True, kw_only=True):
    """One observer.

    requests   counter of requests; `base` and `tail` select the canary's, `ok` the good ones
    latency    histogram (series `_bucket`), or with `average` the base of `_sum` and `_count`
    timed      labels for `latency` where they differ from base + tail
    scale      factor inside the query text that turns its result into milliseconds
    factor     factor for the answer, where the query's result is in seconds
    comma      a comma stays where `ok` is left out; kept because rules match on query texts
    tight      written without spaces
    """

    requests: str
    latency: str
    base: tuple[Matcher, ...]
    ok: Matcher
    tail: tuple[Matcher, ...] = ()
    timed: tuple[Matcher, ...] | None = None
    average: bool = False
    scale: int = 1
    factor: int = 1
    comma: bool = False
    tight: bool = False


_ENVOY_OK = Matcher("envoy_response_code", "!~", "5.*")
_INF = Matcher("le", "=", "+Inf")


def _envoy(*base: Matcher, comma: bool = True) -> Row:
    return Row(
        requests="envoy_cluster_upstream_rq",
        latency="envoy_cluster_upstream_rq_time",
        base=base,
        ok=_ENVOY_OK,
        comma=comma,
    )


_PODS = (
    Matcher("kubernetes_namespace", "=", "{namespace}"),
    Matcher("kubernetes_pod_name", "=~", "{pods}"),
)
_TRAEFIK = Matcher("service", "=~", "{namespace}-{service}-canary-[0-9a-zA-Z-]+@kubernetescrd")
_SKIPPER = Matcher("route", "=~", "{skipper}")
_APISIX = Matcher("route", "=~", "{namespace}_{route}-{service}-canary_.+")

OBSERVERS: Mapping[str, Row] = {
    "istio": Row(
        requests="istio_requests_total",
        latency="istio_request_duration_milliseconds",
        base=(
            Matcher("reporter", "=", "destination"),
            Matcher("destination_workload_namespace", "=", "{namespace}"),
            Matcher("destination_workload", "=~", "{target}"),
        ),
        ok=Matcher("response_code", "!~", "5.*"),
    ),
    "appmesh": _envoy(*_PODS, comma=False),
    "contour": _envoy(
        Matcher("envoy_cluster_name", "=~", "{namespace}_{service}-canary_[0-9a-zA-Z-]+")
    ),
    "gloo": _envoy(
        Matcher(
            "envoy_cluster_name",
            "=~",
            "{namespace}-{service}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+",
        )
    ),
    "kuma": _envoy(Matcher("service", "=~", "{service}-canary_{namespace}_svc_[0-9a-zA-Z-]+")),
    "knative": _envoy(Matcher("envoy_cluster_name", "=~", "{namespace}/{revision}")),
    "linkerd": Row(
        requests="response_total",
        latency="response_latency_ms",
        base=(Matcher("namespace", "=", "{namespace}"), Matcher("{workload}", "=~", "{target}")),
        ok=Matcher("classification", "!=", "failure"),
        tail=(Matcher("direction", "=", "inbound"),),
    ),
    "osm": Row(
        requests="osm_request_total",
        latency="osm_request_duration_ms",
        base=(
            Matcher("destination_namespace", "=", "{namespace}"),
            Matcher("destination_kind", "=", "{kind}"),
            Matcher("destination_name", "=", "{target}"),
        ),
        ok=Matcher("response_code", "!~", "5.*"),
    ),
    "nginx": Row(
        requests="nginx_ingress_controller_requests",
        latency="nginx_ingress_controller_response_duration_seconds",
        base=(
            Matcher("namespace", "=", "{namespace}"),
            Matcher("ingress", "=", "{ingress}"),
            Matcher("canary", "!=", ""),
        ),
        ok=Matcher("status", "!~", "5.*"),
        average=True,
        scale=1000,
    ),
    "traefik": Row(
        requests="traefik_service_request_duration_seconds_bucket",
        latency="traefik_service_request_duration_seconds",
        base=(_TRAEFIK,),
        ok=Matcher("code", "!~", "5.."),
        tail=(_INF,),
        timed=(_TRAEFIK,),
        scale=1000,
    ),
    "skipper": Row(
        requests="skipper_response_duration_seconds_bucket",
        latency="skipper_serve_route_duration_seconds",
        base=(_SKIPPER,),
        ok=Matcher("code", "!~", "5.."),
        tail=(_INF,),
        timed=(_SKIPPER,),
        average=True,
        scale=1000,
        tight=True,
    ),
    "apisix": Row(
        requests="apisix_http_status",
        latency="apisix_http_latency",
        base=(_APISIX,),
        ok=Matcher("code", "!~", "5.."),
        timed=(Matcher("type", "=~", "request"), _APISIX),
    ),
    "http": Row(
        requests="http_request_duration_seconds_count",
        latency="http_request_duration_seconds",
        base=_PODS,
        ok=Matcher("status", "!~", "5.*"),
        factor=1000,
    ),
}
