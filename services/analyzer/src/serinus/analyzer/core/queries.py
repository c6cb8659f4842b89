"""The two built-in checks as queries: provider -> observer -> PromQL text (reference 4.1, 5.4).

From the same rows (`observers.py`) comes the selection that a scrape of the series needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from serinus.analyzer.core.observers import OBSERVERS, Matcher, Row
from serinus.events import WorkloadSeen
from serinus.events.canary import (
    STATEFUL_SET,
    CanarySpec,
    ObjectRef,
    ingress_of,
    service_name,
)

SUCCESS_RATE: Final = "request-success-rate"
DURATION: Final = "request-duration"
SHARE: Final = "traffic-share"
Check = Literal["request-success-rate", "request-duration"]
Side = Literal["canary", "primary", "baseline"]
SIDES: tuple[Side, Side] = ("canary", "primary")
DEFAULT_INTERVAL = "1m"
QUANTILE = 0.99


class Names(Struct, frozen=True, kw_only=True):
    """What a query may be about: the names that metric queries and templates know.

    service   base name of the Services
    revision  latest revision of a Knative service, "" elsewhere
    side      whose numbers are asked for; `target` is the workload of that side
    others    what the workloads of other sides are named after, if not after the canary's
    ordinals  of the canary's pods in a StatefulSet
    """

    namespace: str
    name: str
    target: str
    kind: str = "Deployment"
    service: str
    ingress: str
    route: str
    revision: str = ""
    side: Side = "canary"
    ordinals: range = range(0)
    others: str = ""

    def of(self, side: Side) -> Names:
        """The canary's names as they are on another side."""
        if side == "canary":
            return self
        return replace(self, target=f"{self.others or self.target}-{side}", side=side)

    @property
    def pods(self) -> str:
        """An expression for the names of this side's pods.

        Pods of a Deployment are called target-hash-id, those of a DaemonSet target-id. With one
        expression for both, the checks of a DaemonSet measure its primary (whose pods are called
        target-primary-id) and never the canary: a known defect of Flagger, not repeated here.
        Pods of a StatefulSet are called target-ordinal, whatever they run.
        """
        if self.kind == STATEFUL_SET:
            return f"{self.target}-({'|'.join(map(str, self.ordinals))})"
        segment = "[0-9a-zA-Z]+"
        return f"{self.target}-{segment}" + ("" if self.kind == "DaemonSet" else f"(-{segment})")

    def words(self, interval: str) -> Mapping[str, str]:
        """The functions of the template language by name (reference 5.3), and `side`."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "target": self.target,
            "service": self.service,
            "ingress": self.ingress,
            "route": self.revision or self.route,
            "interval": interval,
            "side": self.side,
            "pods": self.pods,
        }


def names_of(
    namespace: str, name: str, spec: CanarySpec, seen: WorkloadSeen | None = None
) -> Names:
    """The names of one canary, with what is known of its target now."""
    target, seen = spec.target_ref.name, seen or WorkloadSeen()
    first = seen.ordinal or 0
    ingress = ingress_of(spec)
    return Names(
        namespace=namespace,
        name=name,
        target=seen.standin or target,
        others=target,
        kind=spec.target_ref.kind,
        service=service_name(spec),
        ingress=(ingress.name if ingress else "") or target,
        route=(spec.route_ref.name if spec.route_ref else "") or target,
        revision=seen.latest,
        ordinals=range(first, first + (seen.replicas or 0)),
    )


# Families that are told by the beginning of the provider's name (reference 4.1).
_PREFIXES = {"appmesh": "appmesh", "gloo": "gloo", "gatewayapi:v1": "http", "smi:": "istio"}
_SERVICE_SUFFIX = ":service"


def metrics_provider(own: str, default: str, target: ObjectRef) -> str:
    """Whose metrics are meant, as halt messages name it.

    own, default  the canary's provider and the operator's. A Linkerd installation measures with
    Linkerd whatever the canary says.
    """
    provider = own or default
    if "linkerd" in default:
        provider = "linkerd"
    is_service = target.kind == "Service" and not target.api_version.startswith("serving.knative")
    return provider + _SERVICE_SUFFIX if is_service else provider


def observer_of(provider: str) -> str:
    """The row for a provider as `metrics_provider` names it; unknown ones are measured as Istio."""
    for prefix, observer in _PREFIXES.items():
        if provider.startswith(prefix):
            return observer
    if provider == "kubernetes":
        return "http"
    return provider if provider in OBSERVERS else "istio"


def unit_of(check: str) -> str:
    """The unit in which a check is compared and told."""
    return {SUCCESS_RATE: "%", DURATION: "ms"}.get(check, "")


def factor(observer: str, check: str) -> int:
    """What an answer is multiplied with to be in `unit_of(check)`."""
    return OBSERVERS[observer].factor if check == DURATION else 1


def collapse(query: str) -> str:
    """The query as it is sent: every run of white space is one blank."""
    return " ".join(query.split())


def builtin_query(observer: str, check: Check, names: Names, interval: str = "") -> str:
    """The PromQL text of a built-in check. `interval` is a Go duration, 1m where it is empty."""
    row, words = OBSERVERS[observer], _words(names)
    window = f"[{interval or DEFAULT_INTERVAL}]"
    if check == SUCCESS_RATE:
        good = _selector(row, (*row.base, row.ok, *row.tail), words)
        every = _selector(row, (*row.base, *row.tail), words, comma=row.comma)
        return f"{_rate(row, good, window)} / {_rate(row, every, window)} * 100"
    timed = row.timed if row.timed is not None else (*row.base, *row.tail)
    labels = _labels(row, timed, words, comma=row.comma)
    scaled = f" * {row.scale}" if row.scale != 1 else ""
    if row.average:
        total = _rate(row, f"{row.latency}_sum{labels}", window)
        return f"{total} / {_rate(row, f'{row.latency}_count{labels}', window)}{scaled}"
    buckets = _rate(row, f"{row.latency}_bucket{labels}", window)
    return f"histogram_quantile( {QUANTILE}, {buckets} by (le) ){scaled}"


def samples_query(observer: str, names: Names, interval: str = "") -> str:
    """The PromQL text of how many requests the checks of this canary rest on."""
    row = OBSERVERS[observer]
    every = _selector(row, (*row.base, *row.tail), _words(names), comma=row.comma)
    return f"sum(increase({every}[{interval or DEFAULT_INTERVAL}]))"


def share_queries(
    observer: str, names: Names, window: str, *, has_baseline: bool = False
) -> tuple[str, str]:
    """The canary's percentage of the requests to both versions, and how many these are. For an
    observer that is COMPARABLE.

    has_baseline  pods of a baseline share the primary's requests
    """
    sides: tuple[Side, ...] = SIDES
    if has_baseline and observer in BY_WORKLOAD:
        sides = (*SIDES, "baseline")
    canary, *others = (_grown(selection(observer, names, side), window) for side in sides)
    every = " + ".join((canary, *others))
    return f"100 * {canary} / ({every})", every


def _grown(chosen: Selection, window: str) -> str:
    labels = ", ".join(str(matcher) for matcher in chosen.every)
    return f"(sum(increase({chosen.requests}{{{labels}}}[{window}])) or vector(0))"


def _rate(row: Row, selector: str, window: str) -> str:
    inner = f"{selector}{window}"
    return f"sum(rate({inner}))" if row.tight else f"sum( rate( {inner} ) )"


def _selector(
    row: Row, matchers: tuple[Matcher, ...], words: Mapping[str, str], *, comma: bool = False
) -> str:
    return row.requests + _labels(row, matchers, words, comma=comma)


def _labels(
    row: Row, matchers: tuple[Matcher, ...], words: Mapping[str, str], *, comma: bool
) -> str:
    texts = [str(m) for m in _filled(matchers, words)]
    if row.tight:
        return "{" + ",".join(texts) + "}"
    return "{ " + ", ".join(texts) + (", }" if comma else " }")


def _filled(matchers: tuple[Matcher, ...], words: Mapping[str, str]) -> tuple[Matcher, ...]:
    return tuple(Matcher(m.label.format(**words), m.op, m.value.format(**words)) for m in matchers)


def _words(names: Names) -> Mapping[str, str]:
    """What the rows' texts may name."""
    daemonset = names.kind == "DaemonSet"
    plain = {
        key: re.sub(r"\W", "_", value)
        for key, value in (("n", names.namespace), ("i", names.ingress), ("s", names.service))
    }
    skipper = f"kube(ew)?_{plain['n']}__{plain['i']}_canary__.*__{plain['s']}_canary(_[0-9]+)?"
    return {
        "namespace": names.namespace,
        "target": names.target,
        "service": names.service,
        "ingress": names.ingress,
        "route": names.route,
        "revision": names.revision,
        "kind": "DaemonSet" if daemonset else "Deployment",
        "workload": "daemonset" if daemonset else "deployment",
        "pods": names.pods,
        "skipper": skipper,
    }


class Selection(Struct, frozen=True, kw_only=True):
    """The series of the built-in checks, for a source that reads them itself.

    requests, ok   counter and its labels: all requests; `ok` holds for the good ones
    latency        name of the histogram's bucket series and its labels
    to_ms          factor from the histogram's unit to milliseconds
    """

    requests: str
    every: tuple[Matcher, ...]
    ok: Matcher
    latency: str
    timed: tuple[Matcher, ...]
    to_ms: int


# Observers that tell workloads or pods apart, and those that tell S-primary from S-canary. Pods of
# a baseline are behind S-primary, so only the first know them from the primary's. Of a StatefulSet
# the canary's pods are known, and nothing else of these.
BY_POD = frozenset({"appmesh", "http"})
BY_WORKLOAD = BY_POD | {"istio", "linkerd", "osm"}
COMPARABLE = BY_WORKLOAD | {"contour", "gloo", "kuma", "nginx", "traefik"}


def selection(observer: str, names: Names, side: Side = "canary") -> Selection:
    """Which series a built-in check of this observer reads, or those of another side.

    `baseline` is for observers in BY_WORKLOAD.
    """
    row = OBSERVERS[observer]
    every = (*row.base, *row.tail)
    timed = row.timed if row.timed is not None else every
    names = names.of(side)
    if side == "primary":
        every, timed = (tuple(map(_of_primary, matchers)) for matchers in (every, timed))
    words = _words(names)
    return Selection(
        requests=row.requests,
        every=_filled(every, words),
        ok=row.ok,
        latency=f"{row.latency}_bucket",
        timed=_filled(timed, words),
        to_ms=row.scale,
    )


def _of_primary(matcher: Matcher) -> Matcher:
    """The condition that holds for the primary where this one holds for the canary."""
    if matcher == Matcher("canary", "!=", ""):
        return Matcher("canary", "=", "")
    return replace(matcher, value=matcher.value.replace("canary", "primary"))
