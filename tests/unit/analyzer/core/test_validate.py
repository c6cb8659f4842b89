"""Manifests that cannot work: where, why, and what to write instead."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import (
    a_canary_spec,
    a_hook,
    a_metric,
    a_primary_seen,
    a_rollout,
    a_routes_observed,
    a_workload_seen,
    an_analysis,
)
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.rollout import Policy, Rollout
from serinus.analyzer.core.validate import blocking, holding, problems
from serinus.events import CanarySpec, MetricTemplateSpec, Problem
from serinus.events.canary import (
    AlertRef,
    AutoscalerRef,
    MetricProvider,
    MoreAnalysis,
    ObjectRef,
    Placement,
    ProviderRef,
    SessionAffinity,
    TemplateRef,
    ThresholdRange,
)

BACKWARDS = ThresholdRange(min=99, max=10)
STRICT = Policy(no_cross_namespace=True)
METRIC = Problem("spec.analysis.metrics[0]", "x has neither query nor templateRef")
PORT = Problem("spec.service.port", "0 is no port")


def paths(rollout: Rollout) -> list[str]:
    return [p.path for p in problems(rollout)]


def spec_with(**analysis: object) -> CanarySpec:
    return a_canary_spec(analysis=an_analysis(**analysis))


def test_an_ordinary_manifest_has_none() -> None:
    assert problems(a_rollout()) == ()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (a_canary_spec(target_ref=ObjectRef()), "spec.targetRef"),
        (a_canary_spec(service=None), "spec.service.port"),
        (msgspec.structs.replace(a_canary_spec(), analysis=None), "spec.analysis"),
        (spec_with(step_weight=0, max_weight=0), "spec.analysis"),
        (
            spec_with(session_affinity=SessionAffinity(cookie_name="a", primary_cookie_name="a")),
            "spec.analysis.sessionAffinity.primaryCookieName",
        ),
        (spec_with(metrics=(a_metric("mine"),)), "spec.analysis.metrics[0]"),
        (
            spec_with(metrics=(a_metric("request-duration", threshold_range=BACKWARDS),)),
            "spec.analysis.metrics[0].thresholdRange",
        ),
        (spec_with(step_mirror_weight=10), "spec.analysis.maxMirrorWeight"),
        (spec_with(mirror_weight=50, max_mirror_weight=20), "spec.analysis.maxMirrorWeight"),
        (spec_with(webhooks=(a_hook(expiry="1h"),)), "spec.analysis.webhooks[0].expiry"),
        (
            spec_with(webhooks=(a_hook(method="GET", body="x"),)),
            "spec.analysis.webhooks[0].body",
        ),
    ],
)
def test_it_says_where(spec: CanarySpec, path: str) -> None:
    assert path in paths(a_rollout(spec=spec))


@pytest.mark.parametrize("text", ["up{app={{ nobody }}}", "{{ target", "{{ variables.a.b }}"])
def test_a_query_that_does_not_render_is_a_problem_wherever_it_stands(text: str) -> None:
    inline = spec_with(metrics=(a_metric("a"), a_metric("mine", query=text)))
    assert "spec.analysis.metrics[1].query" in paths(a_rollout(spec=inline))

    named = spec_with(metrics=(a_metric("mine", template_ref=TemplateRef(name="t")),))
    templates = {"shop/t": MetricTemplateSpec(provider=MetricProvider(type="x"), query=text)}
    (found,) = problems(a_rollout(spec=named, seen={"templates": templates}))
    assert found.path == "spec.analysis.metrics[0].templateRef"
    assert found.message.startswith("MetricTemplate shop/t: template ")


def test_a_query_that_renders_is_none() -> None:
    query = "up{app='{{ target }}', x='{{ variables.x }}'}[{{ interval }}]"
    metric = a_metric("mine", query=query, template_variables={"x": "1"})
    assert problems(a_rollout(spec=spec_with(metrics=(metric,)))) == ()


KNATIVE = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            a_canary_spec(target_ref=KNATIVE, service=None),
            "can't use traefik provider with Knative Service as target",
        ),
        (
            a_canary_spec(provider="knative"),
            "can't use apps/v1/Deployment as target if provider is set to knative",
        ),
        (
            a_canary_spec(
                provider="knative",
                target_ref=KNATIVE,
                service=None,
                autoscaler_ref=AutoscalerRef(kind="ScaledObject", name="web"),
            ),
            "can't use autoscaler with Knative Service",
        ),
    ],
)
def test_knative_is_for_knative_services_only(spec: CanarySpec, why: str) -> None:
    """The reference's texts (1.9)."""
    assert [why] == [problem.message for problem in problems(a_rollout(spec=spec))]


def test_a_knative_service_needs_nothing_else() -> None:
    spec = a_canary_spec(provider="knative", target_ref=KNATIVE, service=None)

    assert problems(a_rollout(spec=spec)) == ()


def test_every_problem_says_what_to_do() -> None:
    spec = a_canary_spec(service=None, analysis=an_analysis(metrics=(a_metric("mine"),)))
    assert all(p.cure for p in problems(a_rollout(spec=spec)))


@pytest.mark.parametrize("namespace", ["", "shop", "other"])
def test_references_across_namespaces_can_be_forbidden(namespace: str) -> None:
    metric = a_metric("errors", template_ref=TemplateRef(name="t", namespace=namespace))
    alert = AlertRef(name="a", provider_ref=ProviderRef(name="p", namespace=namespace))
    spec = spec_with(metrics=(metric,), alerts=(alert,))
    found = [p.message for p in problems(a_rollout(spec=spec, policy=STRICT))]
    expected = [
        "can't access metric template t.other, cross-namespace references are blocked",
        "can't access alert provider p.other, cross-namespace references are blocked",
    ]
    assert found == (expected if namespace == "other" else [])
    assert problems(a_rollout(spec=spec)) == ()


def test_an_edit_in_mid_run_does_not_get_around_it() -> None:
    """Flagger looks at it only when it first sees the canary (1.9)."""
    story = Story(step_weight=20)
    story.policy = STRICT
    story.initialised().push("v2")
    metric = a_metric("errors", template_ref=TemplateRef(name="t", namespace="other"))
    analysis = msgspec.structs.replace(story.spec.analysis, metrics=(metric,))
    story.edit(analysis=analysis).settle().run()
    assert (story.status.phase, story.status.last_promoted_spec) == ("Failed", "s1-v1")
    story.push("v3").tick()
    assert story.status.phase == "Failed"


@pytest.mark.parametrize(
    ("ability", "error"),
    [
        ("match", "match is not supported by traefik; supported by: gatewayapi:v1, istio"),
        ("mirror", "mirror is not supported by traefik; supported by: istio"),
    ],
)
def test_a_mesh_that_cannot_refuses_before_the_rollout_and_names_those_that_can(
    ability: str, error: str
) -> None:
    analysis = {"match": [{}], "iterations": 2} if ability == "match" else {"mirror": True}
    story = Story(**{"step_weight": 20, **analysis})
    story.obedient = False
    story.look()
    assert ability in story.intent.exposure.needs, "the first intent asks for it"
    story.report(refused="Unsupported", error=error).look()
    assert story.status.phase == "Initializing"
    assert any(error in text for text in story.texts)
    assert kinds_of(story) == {"Ready": "False", "Stalled": "True"}
    story.push("v2")
    assert story.status.phase == "Initializing"


def kinds_of(story: Story) -> dict[str, str]:
    return {c.type: c.status for c in story.status.conditions if c.type != "Promoted"}


def test_a_broken_metric_stops_a_beginning_and_only_that() -> None:
    both = (METRIC, PORT)
    assert blocking("Initialized", both) == both
    assert blocking("Progressing", both) == (PORT,)
    assert holding("Initializing", both) == both
    assert holding("Failed", both) == (PORT,)


def test_provider_kubernetes_needs_no_steps() -> None:
    spec = a_canary_spec(provider="kubernetes", analysis=an_analysis(step_weight=0))
    assert problems(a_rollout(spec=spec)) == ()


def test_an_unknown_mesh_is_refused_in_the_routers_words() -> None:
    routes = a_routes_observed(refused="UnknownMesh", error="unknown mesh 'x'; known: traefik")
    (found,) = problems(a_rollout(routes=routes))
    assert (found.path, found.message) == ("spec.provider", "unknown mesh 'x'; known: traefik")


def test_a_refusal_that_follows_from_a_worse_problem_is_not_one_of_its_own() -> None:
    """It would send people to a field that has nothing to do with it."""
    spec = a_canary_spec(target_ref=ObjectRef(api_version="apps/v1", kind="", name=""))
    routes = a_routes_observed(refused="Unsupported", error="no selector label")

    assert paths(a_rollout(spec=spec, routes=routes)) == ["spec.targetRef"]


@pytest.mark.parametrize(
    ("refused", "fields", "path"),
    [
        ("Route", {"ingress_ref": ObjectRef(kind="Ingress", name="i")}, "spec.ingressRef"),
        ("Route", {"route_ref": ObjectRef(kind="Ingress", name="i")}, "spec.routeRef"),
        ("Route", {"upstream_ref": ObjectRef(kind="Upstream", name="u")}, "spec.upstreamRef"),
        ("Route", {}, "spec.routeRef"),
        ("Foreign", {}, "spec.service.name"),
        ("Unsupported", {}, "spec.provider"),
    ],
)
def test_what_the_router_refuses_names_the_field_that_is_to_blame(
    refused: str, fields: dict[str, ObjectRef], path: str
) -> None:
    routes = a_routes_observed(refused=refused, error="why")
    (found,) = problems(a_rollout(spec=a_canary_spec(**fields), routes=routes))

    assert (path, "why") == (found.path, found.message)
    assert found.cure


# --- StatefulSets ---------------------------------------------------------------------------------

SET = ObjectRef(api_version="apps/v1", kind="StatefulSet", name="web")


def of_a_set(*, size: int = 3, phase: str = "Initialized", error: str = "", **spec: Any) -> Rollout:
    target = a_workload_seen(kind="StatefulSet", replicas=0, error=error)
    primary = a_primary_seen(kind="StatefulSet", name="web", replicas=size)
    made = a_canary_spec(target_ref=SET, **spec)
    return a_rollout(phase, spec=made, seen={"target": target, "primary": primary})


def test_a_stateful_set_is_an_ordinary_target() -> None:
    assert problems(of_a_set(analysis=an_analysis(metrics=(a_metric(),)))) == ()


def test_a_stateful_set_needs_two_pods_to_have_two_versions() -> None:
    (found,) = problems(of_a_set(size=1))

    assert str(found).startswith(
        "spec.targetRef: statefulset web.shop must have 2 replicas at least but has 1; scale it up"
    )


def test_one_that_shrinks_in_mid_run_is_not_left_alone_with_its_share() -> None:
    assert problems(of_a_set(size=1, phase="Progressing")) == ()


def test_why_a_stateful_set_cannot_be_released_is_not_about_labels() -> None:
    (found,) = problems(of_a_set(error="names its pods by service web"))

    assert found.message == "names its pods by service web"
    assert "spec.service.name" in found.cure


def test_a_stateful_set_has_no_second_one_to_scale() -> None:
    scaler = AutoscalerRef(kind="HorizontalPodAutoscaler", name="web")

    assert paths(of_a_set(autoscaler_ref=scaler)) == ["spec.autoscalerRef"]


@pytest.mark.parametrize(
    ("provider", "query", "is_told"),
    [
        ("istio", "", True),
        ("linkerd", "", True),
        ("istio", "sum(up)", False),
        ("traefik", "", False),
        ("appmesh", "", False),
    ],
)
def test_checks_by_workload_cannot_tell_the_versions_of_one_workload_apart(
    provider: Any, query: str, is_told: bool
) -> None:
    analysis = an_analysis(metrics=(a_metric(query=query),))

    found = paths(of_a_set(provider=provider, analysis=analysis))

    assert found == (["spec.analysis.metrics[0]"] if is_told else [])


@pytest.mark.parametrize(
    ("kind", "is_told"), [("Deployment", False), ("DaemonSet", False), ("StatefulSet", True)]
)
def test_only_a_primary_with_pods_of_its_own_can_run_elsewhere(kind: str, is_told: bool) -> None:
    target = ObjectRef(api_version="apps/v1", kind=kind, name="web")
    spec = a_canary_spec(target_ref=target, primary_pods=Placement(node_selector={}))
    seen = {"primary": a_primary_seen(replicas=3)}

    assert paths(a_rollout(spec=spec, seen=seen)) == (["spec.primaryPods"] if is_told else [])


@pytest.mark.parametrize(
    ("kind", "is_told"), [("Deployment", False), ("DaemonSet", False), ("StatefulSet", True)]
)
@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("spec.canaryPods", {"canary_pods": Placement(node_selector={})}),
        (
            "spec.analysis.canaryAnalysis.templateVariables",
            {
                "analysis": an_analysis(
                    canary_analysis=MoreAnalysis(template_variables=Placement(tolerations=()))
                )
            },
        ),
        (
            "spec.canaryAnalysis.templateVariables",
            {"canary_analysis": an_analysis(template_variables=Placement(tolerations=()))},
        ),
    ],
)
def test_only_a_canary_with_a_workload_of_its_own_can_run_elsewhere(
    path: str, spec: dict[str, Any], kind: str, is_told: bool
) -> None:
    target = ObjectRef(api_version="apps/v1", kind=kind, name="web")
    found = paths(
        a_rollout(
            spec=a_canary_spec(target_ref=target, **spec),
            seen={"primary": a_primary_seen(replicas=3)},
        )
    )

    assert found == ([path] if is_told else [])
