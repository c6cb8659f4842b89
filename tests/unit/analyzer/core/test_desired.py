"""What shall be, in every phase: weights explicit, capacity before traffic, of status alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import (
    a_canary_spec,
    a_rollout,
    a_status,
    an_analysis,
)

from serinus.analyzer.core.desired import desired, failed_promotion, mesh_of, routes
from serinus.analyzer.core.rollout import Policy
from serinus.events import Intent, ObjectRef, Problem
from serinus.events.canary import HttpMatch, Placement, SessionAffinity, StringMatch

MATCH = (HttpMatch(headers={"x-canary": StringMatch(exact="insider")}),)
PHASES = (
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
)


def intent(phase: str, *, analysis: dict[str, object] | None = None, **status: object) -> Intent:
    spec = a_canary_spec(analysis=an_analysis(**(analysis or {})))
    return desired(a_rollout(spec=spec, status=a_status(phase, **status)))


@pytest.mark.parametrize("phase", PHASES)
@given(weight=st.integers(0, 100), iterations=st.integers(-1, 12), data=st.data())
def test_weights_are_always_explicit_and_add_up(
    phase: str, weight: int, iterations: int, data: st.DataObject
) -> None:
    analysis = data.draw(
        st.sampled_from(
            [
                {"step_weight": 10},
                {"iterations": 10},
                {"iterations": 10, "match": MATCH},
                {"step_weight": 10, "mirror": True},
                {"iterations": 5, "mirror": True, "mirror_weight": 10, "max_mirror_weight": 50},
            ]
        )
    )
    found = intent(phase, analysis=analysis, canary_weight=weight, iterations=iterations).routes
    assert found.primary + found.canary == 100
    assert not (found.mirror and found.canary)


@pytest.mark.parametrize(
    ("phase", "weight", "canary"),
    [
        ("Initialized", 0, "parked"),
        ("Waiting", 0, "parked"),
        ("Progressing", 20, "running"),
        ("WaitingPromotion", 20, "running"),
        ("Promoting", 20, "running"),
        ("Finalising", 0, "running"),
        ("Succeeded", 0, "parked"),
        ("Failed", 0, "parked"),
        ("Failed", 100, "running"),
        ("", 0, "as-is"),
        ("Terminating", 0, "as-is"),
    ],
)
def test_the_canary_runs_as_long_as_it_may_get_a_request(
    phase: str, weight: int, canary: str
) -> None:
    assert intent(phase, canary_weight=weight).workload.canary == canary


@pytest.mark.parametrize("phase", PHASES)
def test_only_promoting_gives_the_revision_to_the_primary(phase: str) -> None:
    assert intent(phase).workload.promote == (phase == "Promoting")


def test_a_failed_promotion_leaves_everybody_on_the_canary() -> None:
    status = a_status("Failed", canary_weight=100)
    assert failed_promotion(status)
    found = routes(a_canary_spec(), status, "traefik")
    assert (found.primary, found.canary) == (0, 100)


def test_ab_conditions_are_there_before_anybody_matches() -> None:
    analysis = {"iterations": 2, "match": MATCH}
    before = intent("Progressing", analysis=analysis, iterations=0).routes
    after = intent("Progressing", analysis=analysis, iterations=1).routes
    assert (before.primary, before.canary, before.match) == (100, 0, MATCH)
    assert (after.primary, after.canary, after.match) == (0, 100, MATCH)


def test_blue_green_mirrors_between_the_first_iteration_and_the_switch() -> None:
    analysis = {"iterations": 2, "mirror": True, "mirror_weight": 30}
    seen = [
        (r.mirror, r.mirror_weight, r.canary)
        for n in range(4)
        if (r := intent("Progressing", analysis=analysis, iterations=n).routes)
    ]
    assert seen == [(False, 0, 0), (True, 30, 0), (True, 30, 0), (False, 0, 100)]


def test_a_rollback_of_blue_green_takes_the_mirror_away() -> None:
    analysis = {"iterations": 2, "mirror": True}
    assert not intent("Failed", analysis=analysis, iterations=0).routes.mirror


def test_provider_kubernetes_has_no_weights_to_give() -> None:
    spec = a_canary_spec(provider="kubernetes", analysis=an_analysis(iterations=2))
    found = desired(a_rollout(spec=spec, status=a_status("Progressing", iterations=3)))
    assert (found.routes.primary, found.routes.canary) == (100, 0)
    assert found.exposure.needs == ()


def test_the_first_intent_names_every_ability_the_manifest_will_need() -> None:
    analysis = an_analysis(
        iterations=3,
        match=MATCH,
        mirror=True,
        session_affinity=SessionAffinity(cookie_name="c"),
    )
    found = desired(a_rollout("Initializing", spec=a_canary_spec(analysis=analysis)))
    assert found.exposure.needs == ("weight", "match", "mirror", "sticky")


def test_the_operators_mesh_is_used_where_the_canary_names_none() -> None:
    spec = a_canary_spec(provider="")
    assert mesh_of(a_rollout(spec=spec, policy=Policy(mesh="istio"))) == "istio"


@pytest.mark.parametrize(
    ("phase", "path", "holds"),
    [
        ("Initializing", "spec.analysis.metrics[0]", True),
        ("Progressing", "spec.analysis.metrics[0]", False),
        ("Failed", "spec.analysis.metrics[0]", False),
        ("Progressing", "spec.service.port", True),
    ],
)
def test_a_problem_holds_the_cluster_as_it_is_but_a_metric_only_a_beginning(
    phase: str, path: str, holds: bool
) -> None:
    found = desired(a_rollout(phase), (Problem(path, "is wrong"),))
    assert found.hold == holds


def test_a_suspended_canary_is_held() -> None:
    assert desired(a_rollout(spec=a_canary_spec(suspend=True))).hold


def test_a_suspended_canary_that_is_deleted_is_released_all_the_same() -> None:
    """Otherwise its finalizer would keep it for ever."""
    suspended = a_canary_spec(suspend=True, revert_on_deletion=True)
    wanted = desired(a_rollout(spec=suspended, status=a_status("Terminating")))
    assert (wanted.hold, wanted.release) == (False, True)


def test_our_annotations_do_not_change_what_is_wanted() -> None:
    """Else a request by hand would have the router settle everything anew."""
    plain = desired(a_rollout())
    asked = desired(a_rollout(seen={"annotations": {"flagger.app/abort": "me"}}))
    other = desired(a_rollout(seen={"annotations": {"kuma.io/mesh": "east"}}))
    assert plain.id == asked.id
    assert plain.id != other.id


def test_the_same_wish_has_the_same_id_whatever_the_checks_said() -> None:
    one = intent("Progressing", canary_weight=20, failed_checks=0)
    two = intent("Progressing", canary_weight=20, failed_checks=3)
    assert one.id == two.id


def test_a_knative_target_is_the_route_itself() -> None:
    target = ObjectRef(api_version="serving.knative.dev/v1", kind="Service", name="web")
    spec = a_canary_spec(provider="knative", target_ref=target, service=None)

    exposure = desired(a_rollout(spec=spec)).exposure

    assert (target, "web", None) == (exposure.route, exposure.name, exposure.service)


@pytest.mark.parametrize("phase", PHASES)
def test_a_baseline_runs_while_the_canary_is_analysed_and_only_where_it_is_asked_for(
    phase: str,
) -> None:
    analysed = phase in ("Progressing", "WaitingPromotion")

    assert intent(phase, analysis={"baseline": True}).workload.baseline is analysed
    assert not intent(phase).workload.baseline


def test_there_is_no_baseline_of_what_is_no_deployment_or_is_not_analysed() -> None:
    wanted = an_analysis(baseline=True)
    daemons = ObjectRef(api_version="apps/v1", kind="DaemonSet", name="web")
    for fields in ({"target_ref": daemons}, {"skip_analysis": True}):
        spec = a_canary_spec(analysis=wanted, **fields)
        rollout = a_rollout(spec=spec, status=a_status("Progressing"))
        assert not desired(rollout).workload.baseline


def test_where_the_canary_runs_is_the_routers_to_know() -> None:
    placement = Placement(node_selector={"node-type": "spot"})
    spec = a_canary_spec(canary_analysis=an_analysis(template_variables=placement))

    assert desired(a_rollout(spec=spec)).workload.canary_pods == placement
    assert desired(a_rollout()).workload.canary_pods is None
