"""The custom resources of `flagger.app/v1beta1` as Structs, with Flagger's defaults as functions.

Here live the shapes users write (Canary, MetricTemplate, AlertProvider) and the numbers that follow
from them (effective interval, threshold, maximum weight, strategy). Nothing here reads a clock or a
cluster. Defaults are those of the reference, sections 1.2 to 1.10; fields that Flagger does not
have are always optional.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

GROUP = "flagger.app"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = "finalizer.flagger.app"

KNATIVE_GROUP = "serving.knative.dev"
KNATIVE_SERVICE = "KnativeService"
STATEFUL_SET = "StatefulSet"
IN_PLACE = frozenset({KNATIVE_SERVICE, STATEFUL_SET})
"""Kinds whose promoted version is kept in the target itself: there is no `-primary` copy."""

RUNNING_PHASES = frozenset({"Progressing", "WaitingPromotion", "Promoting", "Finalising"})
"""In which the canary has pods."""

REVISION_PREFIX = "s1-"
"""Opens every revision hash of ours; a hash without it was written by another controller."""

Duration = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(ms|h|m|s)", description="A Go duration: 30s, 1m, 1h30m")
]
Percent = Annotated[int, Meta(ge=0, le=100)]

Provider = Literal[
    "apisix",
    "appmesh",
    "appmesh:v1beta2",
    "contour",
    "gatewayapi:v1",
    "gatewayapi:v1beta1",
    "gloo",
    "istio",
    "knative",
    "kubernetes",
    "kuma",
    "linkerd",
    "nginx",
    "osm",
    "skipper",
    "smi:v1alpha1",
    "smi:v1alpha2",
    "smi:v1alpha3",
    "traefik",
]
Phase = Literal[
    "",
    "Initializing",
    "Initialized",
    "Waiting",
    "Progressing",
    "WaitingPromotion",
    "Promoting",
    "Finalising",
    "Succeeded",
    "Failed",
    "Terminating",
    "Terminated",
]
HookType = Literal[
    "",
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "post-rollout",
    "event",
    "rollback",
    "on-rollback",
]
HookMethod = Literal["", "GET", "POST", "PUT", "PATCH", "DELETE"]
CheckVerdict = Literal["passed", "failed", "no-data", "unreachable"]
ReleaseOutcome = Literal[
    "",
    "promoted",
    "skipped",
    "rolled-back",
    "aborted",
    "promotion-failed",
    "superseded",
    "undone",
]
Severity = Literal["", "info", "warn", "error"]
Lacking = Literal["count", "hold", "extend", "fail"]
"""What a check without evidence amounts to: a failed check, waiting without end, waiting for
`threshold` intervals before it counts, or the end of the rollout."""
MetricMode = Literal["", "warn", "dry-run"]
Strategy = Literal["canary", "ab-testing", "blue-green"]
MetricProviderType = Literal[
    "prometheus",
    "influxdb",
    "datadog",
    "externalmetrics",
    "stackdriver",
    "cloudwatch",
    "newrelic",
    "graphite",
    "dynatrace",
    "keptn",
    "splunk",
    "scrape",
    "http",
]
AlertProviderType = Literal[
    "slack",
    "msteams",
    "discord",
    "rocket",
    "gchat",
    "pagerduty",
    "opsgenie",
    "email",
    "grafana",
    "cdevents",
    "apprise",
    "webhook",
]


class _Part(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A piece of a manifest: camelCase on the wire, defaults left out."""


class ObjectRef(_Part, frozen=True, kw_only=True):
    """A reference to an object in the canary's own namespace."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class ScalerReplicas(_Part, frozen=True, kw_only=True):
    min_replicas: Annotated[int, Meta(ge=1)] | None = None
    max_replicas: Annotated[int, Meta(ge=1)] | None = None


class AutoscalerRef(_Part, frozen=True, kw_only=True):
    api_version: str = ""
    kind: Literal["HorizontalPodAutoscaler", "ScaledObject"]
    name: str
    primary_scaler_queries: dict[str, str] = {}
    primary_scaler_replicas: ScalerReplicas | None = None


class Toleration(_Part, frozen=True, kw_only=True):
    """A pod's toleration, in Kubernetes' words."""

    key: str = ""
    operator: Literal["", "Exists", "Equal"] = ""
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None


class Placement(_Part, frozen=True, kw_only=True):
    """Where pods run; what is given stands instead of the manifest's, what is not stays."""

    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None


class StringMatch(_Part, frozen=True, kw_only=True):
    """Exactly one of the forms; which of them a mesh can do is the mesh's answer."""

    exact: str | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    suffix: str | UnsetType = UNSET
    regex: str | UnsetType = UNSET


class HttpMatch(_Part, frozen=True, kw_only=True):
    """One condition on a request, in Istio's words."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    without_headers: dict[str, StringMatch] = {}
    query_params: dict[str, StringMatch] = {}
    port: int | None = None
    source_labels: dict[str, str] = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    ignore_uri_case: bool = False


class Rewrite(_Part, frozen=True, kw_only=True):
    uri: str = ""
    authority: str = ""
    type: str = ""


class Retries(_Part, frozen=True, kw_only=True):
    attempts: int = 0
    per_try_timeout: str = ""
    retry_on: str = ""


class HeaderOperations(_Part, frozen=True, kw_only=True):
    add: dict[str, str] = {}
    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Headers(_Part, frozen=True, kw_only=True):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class CorsPolicy(_Part, frozen=True, kw_only=True):
    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str = ""
    allow_credentials: bool = False


class GatewayRef(_Part, frozen=True, kw_only=True):
    """A parentRef of the Gateway API, and to which port of the Services it leads."""

    group: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    name: str
    section_name: str | UnsetType = UNSET
    port: Annotated[int, Meta(ge=1, le=65535)] | UnsetType = UNSET
    backend_port: Annotated[int, Meta(ge=1, le=65535)] | UnsetType = UNSET


class MirrorBackendRef(_Part, frozen=True, kw_only=True):
    group: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    name: str
    namespace: str | UnsetType = UNSET
    port: int | UnsetType = UNSET


class StaticMirror(_Part, frozen=True, kw_only=True):
    backend_ref: MirrorBackendRef


class ExtraMetadata(_Part, frozen=True, kw_only=True):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class UnmanagedMetadata(_Part, frozen=True, kw_only=True):
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()


class ServiceSpec(_Part, frozen=True, kw_only=True):
    """How the service is exposed (reference 1.3)."""

    name: str = ""
    port: int
    port_name: str = ""
    app_protocol: str = ""
    traffic_distribution: Literal["", "PreferClose", "PreferSameZone", "PreferSameNode"] = ""
    target_port: int | str | None = None
    port_discovery: bool = False
    headless: bool = False
    timeout: str = ""
    backend_timeout: str = ""
    mesh_name: str = ""
    backends: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    delegation: bool = False
    gateways: tuple[str, ...] = ()
    gateway_refs: Annotated[tuple[GatewayRef, ...], Meta(max_length=32)] = ()
    route_kind: Literal["", "HTTPRoute", "GRPCRoute", "TCPRoute"] = ""
    match: tuple[HttpMatch, ...] = ()
    rewrite: Rewrite | None = None
    retries: Retries | None = None
    headers: Headers | None = None
    mirror: tuple[StaticMirror, ...] = ()
    cors_policy: CorsPolicy | None = None
    traffic_policy: dict[str, Any] | None = None
    apex: ExtraMetadata | None = None
    primary: ExtraMetadata | None = None
    canary: ExtraMetadata | None = None
    unmanaged_metadata: UnmanagedMetadata | None = None


class ThresholdRange(_Part, frozen=True, kw_only=True):
    min: float | None = None
    max: float | None = None


class TemplateRef(_Part, frozen=True, kw_only=True):
    name: str
    namespace: str = ""


class EffectSize(_Part, frozen=True, kw_only=True):
    """How large a shift must be, in Kayenta's words; None: Kayenta's default for the measure."""

    measure: Literal["meanRatio", "cles"] = "meanRatio"
    allowed_increase: Annotated[float, Meta(ge=0)] | None = None
    allowed_decrease: Annotated[float, Meta(ge=0)] | None = None
    critical_increase: Annotated[float, Meta(ge=0)] | None = None
    critical_decrease: Annotated[float, Meta(ge=0)] | None = None


class Outliers(_Part, frozen=True, kw_only=True):
    strategy: Literal["keep", "remove"] = "keep"
    outlier_factor: Annotated[float, Meta(gt=0)] = 3.0


class MetricJudge(_Part, frozen=True, kw_only=True):
    """The canary is compared with the primary, or its baseline, instead of with a bound.

    Everything from `tolerance` on is of `mann-whitney`, and named as in Kayenta.
    """

    kind: Literal["sequential", "mann-whitney"] = "sequential"
    error_probability: Annotated[float, Meta(gt=0, le=1)] = 0.01
    tolerated: Annotated[float, Meta(gt=0)] = 1.0
    tolerance: Annotated[float, Meta(ge=0)] = 0.25
    confidence: Annotated[float, Meta(gt=0, le=1)] = 0.98
    direction: Literal["", "increase", "decrease", "either"] = ""
    nan_strategy: Literal["remove", "replace"] = "remove"
    outliers: Outliers | None = None
    effect_size: EffectSize | None = None
    groups: tuple[str, ...] = ()
    critical: bool = False
    must_have_data: bool = False


class Score(_Part, frozen=True, kw_only=True):
    """Metrics with a `mann-whitney` judge decide together, as in Kayenta."""

    passing: Annotated[float, Meta(ge=0, le=100)] = field(default=95.0, name="pass")
    marginal: Annotated[float, Meta(ge=0, le=100)] = 75.0
    group_weights: dict[str, Annotated[float, Meta(ge=0, le=100)]] = {}


class Metric(_Part, frozen=True, kw_only=True):
    """One check (reference 5.1): built in by name, inline by query, or by template."""

    name: str
    interval: Duration | Literal[""] = ""
    threshold: float | None = None
    threshold_range: ThresholdRange | None = None
    query: str = ""
    template_ref: TemplateRef | None = None
    template_variables: dict[str, str] = {}
    mode: MetricMode = ""
    weight: Annotated[int, Meta(ge=1)] = 1
    failure_limit: Annotated[int, Meta(ge=0)] = 0
    min_samples: Annotated[int, Meta(ge=0)] = 0
    samples_query: str = ""
    judge: MetricJudge | None = None


class SecretRef(_Part, frozen=True, kw_only=True):
    name: str = ""


class Webhook(_Part, frozen=True, kw_only=True):
    """A hook: asked by POST at a moment of the rollout that its type names (reference 6).

    Everything from `method` on goes beyond Flagger. In `metadata`, `headers` and `body` the words
    of `serinus.analyzer.core.hooktext` are filled in: `{{ canaryWeight }}`.
    """

    name: str
    url: str
    type: HookType = ""
    timeout: Duration | Literal[""] = ""
    retries: Annotated[int, Meta(ge=0)] = 0
    disable_tls: bool = field(default=False, name="disableTLS")
    mute_alert: bool = False
    metadata: dict[str, str] | None = None
    method: HookMethod = ""
    headers: dict[str, str] = {}
    body: str = ""
    secret_ref: SecretRef | None = None
    expiry: Duration | Literal[""] = ""


class ProviderRef(_Part, frozen=True, kw_only=True):
    name: str
    namespace: str = ""


class AlertRef(_Part, frozen=True, kw_only=True):
    name: str
    provider_ref: ProviderRef
    severity: Severity = ""


class SessionAffinity(_Part, frozen=True, kw_only=True):
    cookie_name: str
    primary_cookie_name: str = ""
    domain: str = ""
    http_only: bool = False
    max_age: int = 86400
    partitioned: bool = False
    path: str = ""
    same_site: Literal["", "Strict", "Lax", "None"] = ""
    secure: bool = False


class VerifyTraffic(_Part, frozen=True, kw_only=True):
    """A step counts only when requests reach both versions in about the share it ordered."""

    tolerance: Annotated[int, Meta(ge=0, le=50)] = 5
    min_requests: Annotated[int, Meta(ge=1)] = 200


class MoreAnalysis(_Part, frozen=True, kw_only=True):
    """The guide's block inside an analysis; `stepWeightPromotion` is there the mirror's step."""

    iterations: Annotated[int, Meta(ge=0)] = 0
    step_weight_promotion: Percent = 0
    max_mirror_weight: Percent = 0
    template_variables: Placement | None = None


class Analysis(_Part, frozen=True, kw_only=True):
    """What is checked, how often, and how far each step goes (reference 1.4)."""

    interval: Duration | Literal[""] = ""
    iterations: Annotated[int, Meta(ge=0)] = 0
    threshold: int = 0
    max_weight: Percent = 0
    step_weight: Percent = 0
    step_weights: tuple[int, ...] = ()
    step_weight_promotion: Percent = 0
    mirror: bool = False
    mirror_weight: Percent = 0
    step_mirror_weight: Percent = 0
    max_mirror_weight: Percent = 0
    delay: Duration | Literal[""] = ""
    primary_ready_threshold: Percent | None = None
    canary_ready_threshold: Percent | None = None
    match: tuple[HttpMatch, ...] = ()
    metrics: tuple[Metric, ...] = ()
    baseline: bool = False
    score: Score | None = None
    on_no_data: Lacking = "count"
    on_unreachable: Lacking = "hold"
    counting: Literal["cumulative", "consecutive"] = "cumulative"
    alerts: tuple[AlertRef, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    session_affinity: SessionAffinity | None = None
    verify_traffic: VerifyTraffic | None = None
    canary_analysis: MoreAnalysis | None = None
    template_variables: Placement | None = None


class CanarySpec(_Part, frozen=True, kw_only=True):
    """The user's wish (reference 1.2). `canaryAnalysis` is the old spelling of `analysis`."""

    provider: Provider | Literal[""] = ""
    metrics_server: str = ""
    progress_deadline_seconds: int = 0
    target_ref: ObjectRef
    autoscaler_ref: AutoscalerRef | None = None
    ingress_ref: ObjectRef | None = None
    route_ref: ObjectRef | None = None
    upstream_ref: ObjectRef | None = None
    service: ServiceSpec | None = None
    primary_pods: Placement | None = None
    canary_pods: Placement | None = None
    skip_analysis: bool = False
    revert_on_deletion: bool = False
    suspend: bool = False
    paused: bool = False
    dry_run: bool = False
    analysis: Analysis | None = None
    canary_analysis: Analysis | None = None


class Condition(_Part, frozen=True, kw_only=True, omit_defaults=False):
    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: str = ""
    last_transition_time: str = ""


class Check(_Part, frozen=True, kw_only=True):
    """What one metric or hook said, and what came of it.

    value    in the metric's own unit; left out where there was none
    bound    the rule it was held against, e.g. `>= 99`
    verdict  passed, failed, no-data, unreachable
    cause    why there is no value, or what a comparison found
    weight   the canary's share at that time, in percent
    """

    metric: str = ""
    hook: str = ""
    value: float | None = None
    unit: str = ""
    bound: str = ""
    verdict: CheckVerdict = "passed"
    cause: str = ""
    weight: int = 0
    time: str = ""


class Checks(_Part, frozen=True, kw_only=True):
    """The evidence of the run that is under way, or was last: newest checks first.

    passed, failed  rounds, not metrics
    begins_at       when the canary has warmed up (`analysis.delay`)
    """

    passed: int = 0
    failed: int = 0
    begins_at: str = ""
    checks: tuple[Check, ...] = ()


class Undo(_Part, frozen=True, kw_only=True):
    """What was live before and shall be again: a revision, with the configs that it ran with."""

    revision: str
    configs: dict[str, str] | None = None
    by: str = ""


class Release(_Part, frozen=True, kw_only=True):
    """One revision's run; without `outcome` it is under way."""

    revision: str
    configs: dict[str, str] | None = None
    images: dict[str, str] = {}
    started_at: str = ""
    ended_at: str = ""
    outcome: ReleaseOutcome = ""
    reason: str = ""
    by: str = ""


class CanaryStatus(_Part, frozen=True, kw_only=True, omit_defaults=False):
    """What is remembered about a canary; the only record of a rollout (reference 1.5).

    `last_transition_time` is written with every status, to the millisecond: it is when the last
    step or check was decided, and the next one is due one interval later. Everything behind
    `conditions` goes beyond Flagger; `requests` are annotations that were acted upon, with the
    value they had; `undo` is what the primary is being given back.
    """

    phase: Phase = ""
    failed_checks: int = 0
    canary_weight: int = 0
    iterations: int = 0
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    tracked_configs: dict[str, str] | None = None
    session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    last_transition_time: str = ""
    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    canary_analysis: Checks | None = None
    history: tuple[Release, ...] = ()
    requests: dict[str, str] | None = None
    undo: Undo | None = None


class HttpSource(_Part, frozen=True, kw_only=True):
    """How any JSON API is asked for one number; `value` and `samples` are JSONPaths."""

    method: Literal["GET", "POST", "PUT"] = "GET"
    body: str = ""
    value: str = "$"
    samples: str = ""


class MetricProvider(_Part, frozen=True, kw_only=True):
    type: MetricProviderType
    api: str = ""
    address: str = ""
    headers: dict[str, tuple[str, ...]] = {}
    secret_ref: SecretRef | None = None
    region: str = ""
    role_arn: str = ""
    insecure_skip_verify: bool = False
    http: HttpSource | None = None


class MetricTemplateSpec(_Part, frozen=True, kw_only=True):
    provider: MetricProvider
    query: str


class AlertProviderSpec(_Part, frozen=True, kw_only=True):
    type: AlertProviderType
    channel: str = ""
    username: str = ""
    address: str = ""
    proxy: str = ""
    headers: dict[str, str] = {}
    secret_ref: SecretRef | None = None
    message_template: str = ""
    body_template: str = ""


class AlertProviderStatus(_Part, frozen=True, kw_only=True):
    """Whether people can be reached by it; written by the notifier, when that changes."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@lru_cache(maxsize=1024)
def duration_s(text: str) -> float | None:
    """Seconds in a Go duration such as `90s`, `1m30s` or `1.5h`; None where it is not one."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if not text or not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        return None
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(text))
    return seconds if math.isfinite(seconds) else None


_NO_ANALYSIS = Analysis()


def analysis_of(spec: CanarySpec) -> Analysis:
    """The analysis that counts: `analysis`, else its old spelling, else an empty one.

    What the guide writes into `analysis.canaryAnalysis` is taken where the field itself is missing.
    """
    found = spec.analysis or spec.canary_analysis or _NO_ANALYSIS
    more = found.canary_analysis
    if more is None:
        return found
    mirrors = more.max_mirror_weight > 0
    return msgspec.structs.replace(
        found,
        iterations=found.iterations or more.iterations,
        max_mirror_weight=found.max_mirror_weight or more.max_mirror_weight,
        step_mirror_weight=found.step_mirror_weight
        or (more.step_weight_promotion if mirrors else 0),
        step_weight_promotion=found.step_weight_promotion
        or (0 if mirrors else more.step_weight_promotion),
        canary_analysis=None,
    )


def placed_fields(placement: Placement | None) -> frozenset[str]:
    """The fields of a pod's spec that a placement replaces."""
    if placement is None:
        return frozenset()
    given = {"nodeSelector": placement.node_selector, "tolerations": placement.tolerations}
    return frozenset(field for field, value in given.items() if value is not None)


def placements(spec: CanarySpec) -> Iterator[tuple[str, Placement]]:
    """Every field that says where the canary's pods run, with its path; the first one counts.

    `spec.canaryPods` is its home; the others are where the guide writes it.
    """
    yield from _given("spec.canaryPods", spec.canary_pods)
    for name, found in (("analysis", spec.analysis), ("canaryAnalysis", spec.canary_analysis)):
        if found is not None:
            more = found.canary_analysis.template_variables if found.canary_analysis else None
            yield from _given(f"spec.{name}.canaryAnalysis.templateVariables", more)
            yield from _given(f"spec.{name}.templateVariables", found.template_variables)


def _given(path: str, placement: Placement | None) -> Iterator[tuple[str, Placement]]:
    if placement is not None and placed_fields(placement):
        yield path, placement


def canary_placement(spec: CanarySpec) -> Placement | None:
    """Where the canary's pods run, if not where the manifest says."""
    return next((placement for _, placement in placements(spec)), None)


def workload_kind(target: ObjectRef) -> str:
    """The kind of a target; a Knative Service has a word of its own, as Services are another."""
    is_knative = target.api_version.startswith(f"{KNATIVE_GROUP}/")
    return KNATIVE_SERVICE if target.kind == "Service" and is_knative else target.kind


def interval_s(spec: CanarySpec, minimum_s: float = 10.0) -> float:
    """Seconds between checks: 60 where missing or unreadable, never below `minimum_s`."""
    seconds = duration_s(analysis_of(spec).interval)
    return max(60.0 if seconds is None else seconds, minimum_s)


def threshold(spec: CanarySpec) -> int:
    """Failed checks that end a rollout; at least 1."""
    return max(1, analysis_of(spec).threshold)


def max_weight(spec: CanarySpec) -> int:
    """The weight that earns promotion: the last of stepWeights, else maxWeight, else 100."""
    analysis = analysis_of(spec)
    if analysis.step_weights:
        return min(100, analysis.step_weights[-1])
    return analysis.max_weight or 100


def strategy(spec: CanarySpec) -> Strategy:
    """How the new revision gets traffic; the words are metric labels too."""
    analysis = analysis_of(spec)
    if analysis.iterations > 0:
        return "ab-testing" if analysis.match else "blue-green"
    return "canary"


def delay_s(spec: CanarySpec) -> float:
    """Seconds that a ready canary warms up before its first step; 0 unless `delay` says so."""
    return duration_s(analysis_of(spec).delay) or 0.0


def progress_deadline_s(spec: CanarySpec) -> int:
    return spec.progress_deadline_seconds or 600


def canary_ready_threshold(spec: CanarySpec) -> int:
    percent = analysis_of(spec).canary_ready_threshold
    return 100 if percent is None else percent


def primary_ready_threshold(spec: CanarySpec) -> int:
    percent = analysis_of(spec).primary_ready_threshold
    return 100 if percent is None else percent


def ingress_of(spec: CanarySpec) -> ObjectRef | None:
    """The user's Ingress: `routeRef` may name it as well as `ingressRef`."""
    route = spec.route_ref
    return route if route is not None and route.kind == "Ingress" else spec.ingress_ref


def service_name(spec: CanarySpec) -> str:
    """The base name of the three Services and of the route objects."""
    return (spec.service.name if spec.service else "") or spec.target_ref.name


def hooks(spec: CanarySpec, *types: HookType) -> tuple[Webhook, ...]:
    """The hooks of these types, in the order of the manifest; an omitted type means `rollout`."""
    return tuple(h for h in analysis_of(spec).webhooks if (h.type or "rollout") in types)
