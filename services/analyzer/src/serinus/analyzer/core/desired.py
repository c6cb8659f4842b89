"""What the cluster shall look like: a function of spec and status, not of the step that led there.

That is what makes restarts boring: whoever wakes up derives the same intent again.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.analyzer.core.requests import PREFIX, is_dry_run, skips_analysis
from serinus.analyzer.core.rollout import Rollout
from serinus.analyzer.core.times import unix_s
from serinus.analyzer.core.validate import holding, problems
from serinus.analyzer.core.weights import mirror_weight, reached_weight
from serinus.events import (
    CanarySpec,
    CanaryStatus,
    Cookies,
    Exposure,
    Intent,
    Problem,
    Routes,
    Workload,
)
from serinus.events.canary import (
    KNATIVE_SERVICE,
    RUNNING_PHASES,
    Analysis,
    Undo,
    analysis_of,
    canary_placement,
    canary_ready_threshold,
    ingress_of,
    interval_s,
    primary_ready_threshold,
    progress_deadline_s,
    service_name,
    workload_kind,
)

KUBERNETES = "kubernetes"

# Where the applied revision is the promoted one, or has earned it: a primary that is missing may be
# made from the target. In all other phases the target runs what nobody judged yet, or what failed.
MAY_INITIALISE = frozenset(
    {"", "Initializing", "Initialized", "Promoting", "Finalising", "Succeeded"}
)
UNDER_ANALYSIS = frozenset({"Progressing", "WaitingPromotion"})


def mesh_of(rollout: Rollout) -> str:
    """The provider in force: the canary's own, else the operator's default."""
    return rollout.spec.provider or rollout.policy.mesh


def desired(rollout: Rollout, found: Sequence[Problem] | None = None) -> Intent:
    """The whole desired state of one canary.

    found  the manifest's problems where the caller knows them already
    """
    found = problems(rollout) if found is None else found
    spec, status, seen = rollout.spec, rollout.status, rollout.seen
    return Intent(
        canary=seen.canary,
        revision=status.last_applied_spec,
        configs=status.tracked_configs,
        phase=status.phase,
        workload=_workload(rollout),
        exposure=_exposure(rollout),
        routes=routes(spec, status, mesh_of(rollout)),
        hold=_holds(rollout, found),
        release=status.phase == "Terminating",
        version=seen.resource_version,
        stamp=unix_s(status.last_transition_time),
    )


def _holds(rollout: Rollout, found: Sequence[Problem]) -> bool:
    """Whether nothing is to be changed, whatever is wanted."""
    releasing = rollout.status.phase == "Terminating"
    left_alone = (rollout.spec.suspend or rollout.seen.deleting) and not releasing
    wrong = holding(rollout.status.phase, found)
    return left_alone or bool(wrong) or is_dry_run(rollout)


def failed_promotion(status: CanaryStatus) -> bool:
    """The primary did not come up with the new revision: the canary serves (reference 2.9)."""
    return status.phase == "Failed" and status.canary_weight > 0


def routes(spec: CanarySpec, status: CanaryStatus, mesh: str) -> Routes:
    """Who gets what share in this status; 100/0 in every phase that is not a rollout."""
    if mesh == KUBERNETES:
        return Routes()
    analysis = analysis_of(spec)
    cookies = _cookies(spec, status, analysis)
    if failed_promotion(status):
        weight = status.canary_weight
        return Routes(primary=100 - weight, canary=weight, cookies=cookies)
    if status.phase not in RUNNING_PHASES or status.phase == "Finalising":
        return Routes(cookies=cookies)
    if analysis.iterations > 0:
        return _iterated(status, analysis, cookies)
    weight = status.canary_weight
    if status.phase == "WaitingPromotion" and weight == 0 and status.iterations < 0:
        weight = reached_weight(
            spec
        )  # as Flagger leaves it: weight 0, iterations -1, traffic at max
    mirror = analysis.mirror and weight == 0 and status.iterations > 0
    return Routes(
        primary=100 - weight,
        canary=weight,
        mirror=mirror,
        mirror_weight=mirror_weight(analysis, status.iterations) if mirror else 0,
        cookies=cookies,
    )


def _iterated(status: CanaryStatus, analysis: Analysis, cookies: Cookies | None) -> Routes:
    done = status.iterations
    if status.canary_weight == 100:
        # The fix of a failed promotion: everybody is on the canary, whoever matches.
        return Routes(primary=0, canary=100, cookies=cookies)
    if analysis.match:
        if done == 0:
            return Routes(match=analysis.match, cookies=cookies)
        return Routes(primary=0, canary=100, match=analysis.match, cookies=cookies)
    if done > analysis.iterations:
        return Routes(primary=0, canary=100, cookies=cookies)
    mirror = analysis.mirror and done > 0
    return Routes(
        mirror=mirror,
        mirror_weight=mirror_weight(analysis, done) if mirror else 0,
        cookies=cookies,
    )


def _cookies(spec: CanarySpec, status: CanaryStatus, analysis: Analysis) -> Cookies | None:
    if analysis.session_affinity is None:
        return None
    return Cookies(
        settings=analysis.session_affinity,
        canary=status.session_affinity_cookie,
        primary=status.primary_session_affinity_cookie,
        previous=status.previous_session_affinity_cookie,
        primary_max_age_s=int(interval_s(spec, 0.0)),
    )


def _workload(rollout: Rollout) -> Workload:
    spec, status, seen = rollout.spec, rollout.status, rollout.seen
    parked = status.phase in ("Initializing", "Initialized", "Succeeded", "Waiting", "Failed")
    if failed_promotion(status):
        parked = False
    running = status.phase in RUNNING_PHASES or failed_promotion(status)
    return Workload(
        target=spec.target_ref,
        selector=seen.target.selector,
        autoscaler=spec.autoscaler_ref,
        primary_pods=spec.primary_pods,
        canary_pods=canary_placement(spec),
        initialise=status.phase in MAY_INITIALISE,
        promote=status.phase == "Promoting",
        undo=_undo(status),
        canary="running" if running else "parked" if parked else "as-is",
        baseline=analysis_of(spec).baseline
        and workload_kind(spec.target_ref) == "Deployment"
        and status.phase in UNDER_ANALYSIS
        and not skips_analysis(rollout),
        wait_ready=not skips_analysis(rollout),
        primary_ready_threshold=primary_ready_threshold(spec),
        canary_ready_threshold=canary_ready_threshold(spec),
        progress_deadline_s=progress_deadline_s(spec),
    )


def _undo(status: CanaryStatus) -> Undo | None:
    """What the primary is to be given back; who asked for it is nobody's business there."""
    return Undo(revision=status.undo.revision, configs=status.undo.configs) if status.undo else None


def _exposure(rollout: Rollout) -> Exposure:
    spec, seen = rollout.spec, rollout.seen
    analysis = analysis_of(spec)
    mesh = mesh_of(rollout)
    # The target is the route.
    is_knative = workload_kind(spec.target_ref) == KNATIVE_SERVICE
    needs = ["weight"] if mesh != KUBERNETES else []
    if mesh != KUBERNETES and analysis.match:
        needs.append("match")
    if mesh != KUBERNETES and analysis.mirror:
        needs.append("mirror")
    if analysis.session_affinity is not None:
        needs.append("sticky")
    return Exposure(
        mesh=mesh,
        namespace=seen.canary.namespace,
        name=service_name(spec),
        service=spec.service,
        selector=seen.target.selector,
        ports=seen.target.ports,
        ingress=ingress_of(spec),
        route=spec.target_ref if is_knative else spec.route_ref,
        upstream=spec.upstream_ref,
        match=analysis.match,
        needs=tuple(needs),
        ingress_prefix=rollout.policy.ingress_prefix,
        ingress_class=rollout.policy.ingress_class,
        annotations={k: v for k, v in seen.annotations.items() if not k.startswith(PREFIX)},
    )
