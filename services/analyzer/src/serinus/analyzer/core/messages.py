"""The sentences people, dashboards and CI scripts read: identical to the reference's (2.14, 7.1).

`n` is `<canary>.<namespace>`, `t` is `<target>.<namespace>`; which of them a sentence uses is part
of the contract.
"""

from __future__ import annotations

from typing import Literal

from serinus.events.canary import STATEFUL_SET

PAUSED = "paused: no step is taken until it is resumed"
SUSPENDED = "skipping canary run as object is suspended"
PROVIDERS_AVAILABLE = "all the metrics providers are available!"
NO_AB_ON_KUBERNETES = "A/B testing is not supported when using the kubernetes provider"
NO_WEIGHTS_ON_KUBERNETES = "Progressive traffic is not supported when using the kubernetes provider"
KUBERNETES_ITERATIONS = 10
SETTING_ITERATIONS = f"Setting canaryAnalysis.iterations: {KUBERNETES_ITERATIONS}"
TO_PRIMARY = "Routing all traffic to primary"
TO_CANARY = "Routing all traffic to canary"
TO_CANARY_AFTER_MIRROR = "Stop traffic mirroring and route all traffic to canary"

PASSED = {
    "pre-rollout": "Pre-rollout check {} passed",
    "confirm-rollout": "Confirm-rollout check {} passed",
    "confirm-promotion": "Confirm-promotion check {} passed",
    "confirm-traffic-increase": "Confirm-traffic-increase check {} passed",
    "post-rollout": "Post-rollout check {} passed",
    "on-rollback": "On-rollback check {} passed",
}
AfterHook = Literal["post-rollout", "on-rollback"]
"""Hooks that are told of an end; they decide nothing."""

ALERT_INITIALIZED = "New {kind} detected, initialization completed."
ALERT_PROGRESSING = "New revision detected, progressing canary analysis."
ALERT_PROMOTED = "Canary analysis completed successfully, promotion finished."
ALERT_SKIPPED = "Canary analysis was skipped, promotion finished."
ALERT_WAITING = "Canary is waiting for approval."
ALERT_WAITING_PROMOTION = "Canary promotion is waiting for approval."
ALERT_WAITING_TRAFFIC = "Canary traffic increase is waiting for approval."
ALERT_WAITED_TOO_LONG = "Approval did not come in time"
ALERT_ABORTED = "Rolling back on request"
ALERT_UNDONE = "Going back to the previously promoted revision on request"
ALERT_UNDO_FAILED = "Going back failed, primary not ready"
ALERT_MANUAL_ROLLBACK = "Rolling back manual webhook invoked"


def dry(text: str) -> str:
    """What would be said, had it been done."""
    return f"Dry run: {text}" if text else ""


def initialized(n: str) -> str:
    return f"Initialization done! {n}"


def scaling_up(t: str) -> str:
    return f"New revision detected! Scaling up {t}"


def restarting(t: str) -> str:
    return f"New revision detected! Restarting analysis for {t}"


def starting(t: str) -> str:
    return f"Starting canary analysis for {t}"


def advance_canary(n: str, weight: int) -> str:
    return f"Advance {n} canary weight {weight}"


def advance_primary(n: str, weight: int) -> str:
    return f"Advance {n} primary weight {weight}"


def advance_iteration(n: str, iteration: int, of: int) -> str:
    return f"Advance {n} canary iteration {iteration}/{of}"


def copying(kind: str, target: str, namespace: str) -> str:
    if kind == STATEFUL_SET:
        return f"Updating all pods of {target}.{namespace}"
    return f"Copying {target}.{namespace} template spec to {target}-primary.{namespace}"


def promoted(t: str) -> str:
    return f"Promotion completed! Scaling down {t}"


def promoted_without_analysis(t: str) -> str:
    return f"Promotion completed! Canary analysis was skipped for {t}"


def low_score(n: str, score: float, wanted: float, why: str) -> str:
    return f"Halt {n} advancement score {score:g} < {wanted:g}: {why}"


def no_score(n: str, why: str) -> str:
    return f"Halt {n} advancement there is no score: {why}"


def threshold_reached(n: str, failed: int) -> str:
    return f"Rolling back {n} failed checks threshold reached {failed}"


def manual_rollback(n: str) -> str:
    return f"Rolling back {n} manual webhook invoked"


def set_back(n: str) -> str:
    return f"Rolling back {n} target was set back to the promoted revision"


def crashed(n: str, why: str) -> str:
    return f"Rolling back {n} canary pods crash: {why}"


def canary_failed(n: str) -> str:
    return f"Canary failed! Scaling down {n}"


def promotion_failed(t: str, why: str) -> str:
    return f"Promotion of {t} failed, primary not ready: {why}"


def not_ready(kind: str, t: str, text: str) -> str:
    """Readiness of the canary workload, as Flagger wraps it (2.12)."""
    return f"canary {kind.lower()} {t} not ready: {text}"


def primary_not_ready(kind: str, target: str, namespace: str, text: str) -> str:
    if kind == STATEFUL_SET:
        return f"statefulset {target}.{namespace} not ready: {text}"
    lead = "primary daemonset " if kind == "DaemonSet" else ""
    return f"{lead}{target}-primary.{namespace} not ready: {text}"


def awaiting(n: str, hook: str) -> str:
    return f"Halt {n} advancement waiting for approval {hook}"


def awaiting_traffic(n: str, hook: str) -> str:
    return f"Halt {n} advancement waiting for traffic increase approval {hook}"


def awaiting_promotion(n: str, hook: str) -> str:
    return f"Halt {n} advancement waiting for promotion approval {hook}"


def pre_rollout_failed(n: str, hook: str, why: str) -> str:
    return f"Halt {n} advancement pre-rollout check {hook} failed {why}"


def rollout_hook_failed(n: str, hook: str, why: str) -> str:
    return f"Halt {n} advancement external check {hook} failed {why}"


def after_hook_failed(kind: str, hook: str, why: str) -> str:
    return f"{kind.capitalize()} hook {hook} failed {why}"


def no_rollback(hook: str) -> str:
    return f"Rollback hook {hook} not signaling a rollback"


def rollback_passed(hook: str) -> str:
    return f"Rollback check {hook} passed"


def expired(n: str, hook: str, after: str) -> str:
    return f"Rolling back {n} approval {hook} did not come within {after}"


def aborted(n: str, who: str) -> str:
    return f"Rolling back {n} on request" + (f" of {who}" if who else "")


def undoing(n: str, revision: str, who: str) -> str:
    return f"Going back {n} to revision {revision} on request" + (f" of {who}" if who else "")


def went_back(n: str, revision: str) -> str:
    return f"Primary of {n} is back at revision {revision}"


def undo_failed(n: str, why: str) -> str:
    return f"Going back {n} failed, primary not ready: {why}"


def cannot_undo(n: str, why: str) -> str:
    return f"Cannot go back {n}: {why}"


def nothing_before(n: str) -> str:
    return f"Nothing to undo for {n}: no earlier revision that was live is on record"


def requested(verb: str, n: str, who: str) -> str:
    return f"{verb.capitalize()} of {n} requested" + (f" by {who}" if who else "")


def approved(gate: str, who: str) -> str:
    return f"{gate.capitalize()} approved" + (f" by {who}" if who else "")


def unused(verb: str, n: str) -> str:
    return f"Nothing to {verb} for {n}"


def warming_up(t: str, seconds: float) -> str:
    return f"Warming up {t} for {seconds:g}s"


def copied_after_all(t: str) -> str:
    return f"{t} was copied to its primary before the rollback; the primary keeps it"


def came_up_after_all(t: str) -> str:
    return f"the primary of {t} came up after all; what it runs counts as promoted"


def terminating(n: str) -> str:
    return f"Terminating canary {n}"


def terminated(n: str) -> str:
    return f"Terminated canary {n}"
