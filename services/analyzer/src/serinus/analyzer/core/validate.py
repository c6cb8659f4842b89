"""Manifests that cannot work: where, why, and what to write instead (reference 1.9, and what it
leaves unsaid).

A problem stops the beginning of anything new and leaves traffic as it is. While a rollout runs, a
broken metric counts as a failed check, as with Flagger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from serinus.analyzer.core.judging import (
    Incomparable,
    builtin_source,
    compared,
    groups_of,
    is_scored,
    judged_query,
)
from serinus.analyzer.core.queries import (
    BY_POD,
    BY_WORKLOAD,
    DEFAULT_INTERVAL,
    metrics_provider,
    names_of,
    observer_of,
)
from serinus.analyzer.core.requests import skips_analysis
from serinus.analyzer.core.rollout import Rollout
from serinus.analyzer.core.template import TemplateError, render
from serinus.analyzer.judge.score import FULL
from serinus.events import Problem
from serinus.events.canary import (
    KNATIVE_SERVICE,
    RUNNING_PHASES,
    STATEFUL_SET,
    Analysis,
    CanarySpec,
    Metric,
    ThresholdRange,
    analysis_of,
    placements,
    workload_kind,
)

Pairs = tuple[tuple[str, str], ...]

BUILTIN_METRICS = ("request-success-rate", "request-duration")


def problems(rollout: Rollout) -> tuple[Problem, ...]:
    """Everything that keeps this canary from being worked on, first the most basic.

    The router refuses what follows from the others, too; it is heard when there are none.
    """
    found = (
        *rollout.seen.problems,
        *_target(rollout),
        *_service(rollout),
        *_analysis(rollout),
        *_references(rollout),
    )
    return found or tuple(_refused(rollout))


def blocking(phase: str, found: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems that a canary in this phase cannot go on with.

    A metric that cannot be asked stops what would begin; what runs counts it as a failed check.
    """
    if phase not in RUNNING_PHASES:
        return found
    return holding(phase, found)


def holding(phase: str, found: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems that leave the cluster untouched: metrics are not among them, once it works."""
    if phase in ("", "Initializing"):
        return tuple(found)
    return tuple(p for p in found if not p.path.startswith("spec.analysis.metrics"))


def _target(rollout: Rollout) -> Iterator[Problem]:
    seen, spec = rollout.seen, rollout.spec
    name, namespace = spec.target_ref.name, seen.canary.namespace
    kind = spec.target_ref.kind
    if not name or not kind:
        yield Problem("spec.targetRef", "kind and name are needed", "name the workload to release")
    elif seen.target.error and seen.target.selector and kind == STATEFUL_SET:
        cure = "change the StatefulSet, or spec.service.name where that is named"
        yield Problem("spec.targetRef", seen.target.error, cure)
    elif seen.target.error and seen.target.found:
        label = "add one of these labels to its selector and pod template"
        yield Problem("spec.targetRef", f"getSelectorLabel failed: {seen.target.error}", label)
    elif seen.target.error:
        yield Problem("spec.targetRef", seen.target.error, "choose a kind that can be released")
    elif not seen.target.found:
        plural = f"{kind.lower()}s"
        why = f'{kind.lower()} {name}.{namespace} get query error: {plural}.apps "{name}" not found'
        yield Problem("spec.targetRef", why, f"create the {kind} or correct the name")
    yield from _knative(rollout)
    yield from _stateful_set(rollout)
    yield from _placement(rollout)
    if seen.rivals:
        others = ", ".join(seen.rivals)
        why = f"{kind} {name}.{namespace} is released by canary {others} already"
        yield Problem("spec.targetRef", why, "delete one of the canaries")
    for missing in seen.missing_configs:
        what, _, config = missing.partition("/")
        why = (
            f"createPrimaryDeployment failed: GetTargetConfigs failed: {what} {config}.{namespace} "
            f"get query error: {what} {config}.{namespace} get query error: "
            f'{what}s "{config}" not found'
        )
        if rollout.status.phase in ("", "Initializing"):
            yield Problem("spec.targetRef", why, f"create {what} {config}, or mark it optional")


def _placement(rollout: Rollout) -> Iterator[Problem]:
    kind = workload_kind(rollout.spec.target_ref)
    if kind in ("Deployment", "DaemonSet"):
        return
    if rollout.spec.primary_pods is not None:
        why = f"a {rollout.spec.target_ref.kind} has no primary with pods of its own"
        yield Problem("spec.primaryPods", why, "leave it out")
    for path, _ in placements(rollout.spec):
        why = f"the canary of a {rollout.spec.target_ref.kind} has no pods that could run elsewhere"
        yield Problem(path, why, "leave it out")


def _knative(rollout: Rollout) -> Iterator[Problem]:
    """The reference's texts (1.9)."""
    spec = rollout.spec
    is_knative = workload_kind(spec.target_ref) == KNATIVE_SERVICE
    mesh = spec.provider or rollout.policy.mesh
    if is_knative and mesh != "knative":
        why = f"can't use {mesh} provider with Knative Service as target"
        yield Problem("spec.provider", why, "use knative")
    elif mesh == "knative" and not is_knative:
        what = f"{spec.target_ref.api_version}/{spec.target_ref.kind}"
        why = f"can't use {what} as target if provider is set to knative"
        yield Problem("spec.targetRef", why, "name a Service of serving.knative.dev/v1")
    if is_knative and spec.autoscaler_ref is not None:
        why = "can't use autoscaler with Knative Service"
        yield Problem("spec.autoscalerRef", why, "leave it out: Knative scales by itself")


def _stateful_set(rollout: Rollout) -> Iterator[Problem]:
    """Both versions are in one workload: what tells them apart by workload cannot."""
    spec = rollout.spec
    if spec.target_ref.kind != STATEFUL_SET:
        return
    if spec.autoscaler_ref is not None:
        why = "can't use autoscaler with StatefulSet: there is no second one to scale"
        yield Problem("spec.autoscalerRef", why, "leave it out: the autoscaler goes on as it is")
    parts = (rollout.seen.target.replicas, rollout.seen.primary.replicas)
    size = sum(part or 0 for part in parts)
    # One that shrinks in the middle of a rollout is not left alone with its share.
    if rollout.seen.target.found and size < 2 and rollout.status.phase not in RUNNING_PHASES:
        name, namespace = spec.target_ref.name, rollout.seen.canary.namespace
        why = f"statefulset {name}.{namespace} must have 2 replicas at least but has {size}"
        cure = "scale it up: some pods keep the promoted revision while others show the new one"
        yield Problem("spec.targetRef", why, cure)
    observer = observer_of(metrics_provider(spec.provider, rollout.policy.mesh, spec.target_ref))
    for index, metric in enumerate(analysis_of(spec).metrics):
        if observer in BY_WORKLOAD - BY_POD and metric.name in BUILTIN_METRICS and not metric.query:
            why = (
                f"{metric.name} of {observer} is about whole workloads, not about some pods of one"
            )
            cure = "use a templateRef that selects pods by {{ pods }}, with a name of its own"
            yield Problem(f"spec.analysis.metrics[{index}]", why, cure)


def _service(rollout: Rollout) -> Iterator[Problem]:
    spec = rollout.spec
    if spec.service is None and spec.target_ref.kind in ("Deployment", "DaemonSet", STATEFUL_SET):
        yield Problem("spec.service.port", "is missing", "name the port the service listens on")
    elif spec.service is not None and not 1 <= spec.service.port <= 65535:
        yield Problem("spec.service.port", f"{spec.service.port} is no port", "use 1 to 65535")


def _analysis(rollout: Rollout) -> Iterator[Problem]:
    spec = rollout.spec
    analysis = analysis_of(spec)
    mesh = spec.provider or rollout.policy.mesh
    if spec.analysis is None and spec.canary_analysis is None:
        yield Problem("spec.analysis", "is missing", "set interval, threshold and stepWeight")
        return
    steps = analysis.iterations or analysis.step_weight or analysis.step_weights
    if not steps and not skips_analysis(rollout) and mesh != "kubernetes":
        cure = "set stepWeight or stepWeights (canary), or iterations (blue/green, A/B)"
        yield Problem("spec.analysis", "has no steps", cure)
    affinity = analysis.session_affinity
    if affinity is not None and affinity.cookie_name == affinity.primary_cookie_name:
        yield Problem(
            "spec.analysis.sessionAffinity.primaryCookieName",
            "must differ from cookieName",
            "choose another name",
        )
    yield from _beyond_flagger(analysis)
    for index, metric in enumerate(analysis.metrics):
        if not measurable(metric):
            yield Problem(
                f"spec.analysis.metrics[{index}]",
                f"{metric.name} has neither query nor templateRef",
                f"add a templateRef, or use {' or '.join(BUILTIN_METRICS)}",
            )
        found = metric.threshold_range or ThresholdRange()
        if found.min is not None and found.max is not None and found.min > found.max:
            why = f"min {found.min:g} is above max {found.max:g}, so no value passes"
            yield Problem(f"spec.analysis.metrics[{index}].thresholdRange", why, "exchange the two")
    yield from _texts(rollout)
    yield from _judges(rollout)
    yield from _baseline(spec)
    yield from _score(analysis)


def _judges(rollout: Rollout) -> Iterator[Problem]:
    """Metrics that cannot be compared. Texts that do not render are told already."""
    namespace, spec = rollout.seen.canary.namespace, rollout.spec
    names = names_of(namespace, rollout.seen.canary.name, spec)
    analysis = analysis_of(spec)
    for index, metric in enumerate(analysis.metrics):
        if metric.judge is None:
            continue
        ref = metric.template_ref
        key = f"{ref.namespace or namespace}/{ref.name}" if ref is not None else ""
        template = rollout.seen.templates.get(key)
        try:
            if metric.name in BUILTIN_METRICS:
                compared(rollout, names, metric)
            if metric.query:
                source = builtin_source(spec, rollout.policy)
                judged_query(metric, metric.query, names, source, analysis)
            if template is not None:
                judged_query(metric, template.query, names, template, analysis)
        except Incomparable as error:
            yield Problem(f"spec.analysis.metrics[{index}].judge", str(error))
        except TemplateError:
            continue


def _baseline(spec: CanarySpec) -> Iterator[Problem]:
    if analysis_of(spec).baseline and workload_kind(spec.target_ref) != "Deployment":
        why = f"a {spec.target_ref.kind} has none"
        yield Problem("spec.analysis.baseline", why, "leave it out, or release a Deployment")


def _score(analysis: Analysis) -> Iterator[Problem]:
    score = analysis.score
    if score is None:
        return
    path = "spec.analysis.score"
    judged = [m for m in analysis.metrics if is_scored(analysis, m)]
    if not judged:
        yield Problem(path, "no metric has a mann-whitney judge", "add judge: {kind: mann-whitney}")
        return
    if score.passing < score.marginal:
        yield Problem(f"{path}.marginal", "is above pass", "exchange the two")
    path = f"{path}.groupWeights"
    groups = {name for metric in judged for name in groups_of(metric)}
    if unknown := sorted(score.group_weights.keys() - groups):
        cure = "correct the name, or add it to a metric's judge.groups"
        yield Problem(path, f"no metric is in group {unknown[0]}", cure)
    weight = sum(score.group_weights.values())
    if weight > FULL or (weight < FULL and not groups - score.group_weights.keys()):
        yield Problem(path, f"the weights are {weight:g} in all", "make them 100")


def _texts(rollout: Rollout) -> Iterator[Problem]:
    """Queries that can never be asked: they do not parse, or name what there is not."""
    namespace, spec = rollout.seen.canary.namespace, rollout.spec
    words = names_of(namespace, rollout.seen.canary.name, spec).words(DEFAULT_INTERVAL)
    for index, metric in enumerate(analysis_of(spec).metrics):
        path = f"spec.analysis.metrics[{index}]"
        texts = [("query", "", metric.query), ("samplesQuery", "", metric.samples_query)]
        ref = metric.template_ref
        key = f"{ref.namespace or namespace}/{ref.name}" if ref is not None else ""
        template = rollout.seen.templates.get(key)
        if template is not None:
            body = template.provider.http.body if template.provider.http else ""
            whose = f"MetricTemplate {key}: "
            texts += [("templateRef", whose, template.query), ("templateRef", whose, body)]
        for field, whose, text in texts:
            why = _fault(text, words, metric.template_variables) if "{{" in text else ""
            if why:
                cure = "correct the query: {{ target }} stands for the target's name"
                yield Problem(f"{path}.{field}", whose + why, cure)


def _fault(text: str, words: Mapping[str, str], variables: Mapping[str, str]) -> str:
    return _known_fault(text, tuple(sorted(words.items())), tuple(sorted(variables.items())))


@lru_cache(maxsize=1024)
def _known_fault(text: str, words: Pairs, variables: Pairs) -> str:
    """Why a text does not render, "" where it does. Texts are looked at more often than written."""
    try:
        render(text, dict(words), dict(variables))
    except TemplateError as error:
        return str(error)
    return ""


def _beyond_flagger(analysis: Analysis) -> Iterator[Problem]:
    """What the rules in our resource definition refuse; another's lets it through."""
    most = analysis.max_mirror_weight
    path = "spec.analysis.maxMirrorWeight"
    if analysis.step_mirror_weight and not most:
        yield Problem(path, "is missing beside stepMirrorWeight", "say where mirroring is complete")
    if most and most < analysis.mirror_weight:
        yield Problem(path, "is less than mirrorWeight", "exchange the two")
    for index, hook in enumerate(analysis.webhooks):
        path = f"spec.analysis.webhooks[{index}]"
        if hook.expiry and not hook.type.startswith("confirm-"):
            cure = "use it with confirm-rollout, confirm-traffic-increase or confirm-promotion"
            yield Problem(f"{path}.expiry", "is for hooks that wait for approval", cure)
        if hook.method == "GET" and hook.body:
            yield Problem(f"{path}.body", "a GET has no body", "use POST, or put it into the url")


def measurable(metric: Metric) -> bool:
    """Whether a metric says what to ask."""
    return bool(metric.name in BUILTIN_METRICS or metric.query or metric.template_ref)


def _references(rollout: Rollout) -> Iterator[Problem]:
    if not rollout.policy.no_cross_namespace:
        return
    own = rollout.seen.canary.namespace
    analysis = analysis_of(rollout.spec)
    blocked = "cross-namespace references are blocked"
    for index, metric in enumerate(analysis.metrics):
        ref = metric.template_ref
        if ref is not None and ref.namespace not in ("", own):
            yield Problem(
                f"spec.analysis.metrics[{index}].templateRef.namespace",
                f"can't access metric template {ref.name}.{ref.namespace}, {blocked}",
                f"copy the template to {own}",
            )
    for index, alert in enumerate(analysis.alerts):
        provider = alert.provider_ref
        if provider.namespace not in ("", own):
            yield Problem(
                f"spec.analysis.alerts[{index}].providerRef.namespace",
                f"can't access alert provider {provider.name}.{provider.namespace}, {blocked}",
                f"copy the provider to {own}",
            )


def _refused(rollout: Rollout) -> Iterator[Problem]:
    routes = rollout.routes
    if routes is None:
        return
    match routes.refused:
        case "UnknownMesh" | "Unsupported":
            yield Problem("spec.provider", routes.error, "choose a provider that can")
        case "Route":
            yield Problem(_reference(rollout), routes.error, "correct it, or name another")
        case "Foreign":
            yield Problem("spec.service.name", routes.error, "choose a name that is free")


def _reference(rollout: Rollout) -> str:
    """The field that names the object of the user's that routes start from."""
    spec = rollout.spec
    named = {
        "spec.upstreamRef": spec.upstream_ref,
        "spec.ingressRef": spec.ingress_ref if spec.route_ref is None else None,
    }
    return next((path for path, ref in named.items() if ref is not None), "spec.routeRef")
