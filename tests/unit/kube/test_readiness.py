"""The rollout rules of the reference (2.12), one by one and in order."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import a_stateful_set

from serinus.events import Readiness
from serinus.kube.readiness import (
    available_s,
    crash_of,
    current_pods,
    daemon_set_deadline_text,
    readiness,
)
from serinus.kube.refs import Obj

SINCE = "2027-01-15T08:00:00Z"
SINCE_S = 1_800_000_000.0
CURRENT = "web-5d9c"


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> Obj:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": SINCE,
    }


PROGRESSING = condition("Progressing", reason="ReplicaSetUpdated")
UNAVAILABLE = condition("Available", "False", "MinimumReplicasUnavailable")


def a_deployment(
    *conditions: Obj, wanted: int = 2, generation: int = 3, observed: int = 3, **status: int
) -> Obj:
    """Rolled out and available unless something else is said."""
    counts = {"replicas": wanted, "updatedReplicas": wanted, "availableReplicas": wanted}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": wanted},
        "status": {
            "observedGeneration": observed,
            **counts,
            **status,
            "conditions": list(conditions or (PROGRESSING,)),
        },
    }


def a_daemon_set(wanted: int, updated: int, available: int, observed: int = 1) -> Obj:
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "web", "generation": 1},
        "status": {
            "observedGeneration": observed,
            "desiredNumberScheduled": wanted,
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
        },
    }


def looked_at(workload: Obj, threshold: int = 100, **more: Any) -> Readiness:
    return readiness(workload, threshold=threshold, deadline_s=60, **more)


def test_a_rolled_out_deployment_is_ready() -> None:
    assert looked_at(a_deployment()) == Readiness("ready")


def test_a_parked_deployment_is_ready() -> None:
    assert looked_at(a_deployment(wanted=0)) == Readiness("ready")


def test_rule_1_a_change_that_is_not_observed_yet_waits() -> None:
    """Before everything else, and without a deadline: the status is of the past."""
    stuck = condition("Progressing", "False", "ProgressDeadlineExceeded")
    behind = a_deployment(stuck, UNAVAILABLE, observed=2)

    assert looked_at(behind) == Readiness(
        "waiting",
        "waiting for rollout to finish: observed deployment generation less than desired "
        "generation",
    )


def test_rule_2_a_deadline_runs_while_too_few_are_available() -> None:
    """From the condition's last update, for the Canary's progress deadline."""
    short = a_deployment(PROGRESSING, UNAVAILABLE, availableReplicas=0)

    assert looked_at(short).stuck_at == SINCE_S + 60
    assert looked_at(short).state == "waiting"


@pytest.mark.parametrize(
    "conditions",
    [
        (PROGRESSING,),
        (UNAVAILABLE,),
        (PROGRESSING, condition("Available", "True", "MinimumReplicasAvailable")),
        (PROGRESSING, condition("Available", "False", "SomethingElse")),
    ],
)
def test_rule_2_needs_both_conditions(conditions: tuple[Obj, ...]) -> None:
    short = a_deployment(*conditions, availableReplicas=1)

    assert looked_at(short).stuck_at is None


def test_rule_3_the_deployments_own_deadline_is_final() -> None:
    exceeded = condition("Progressing", "False", "ProgressDeadlineExceeded")
    late = a_deployment(exceeded, UNAVAILABLE, updatedReplicas=0, availableReplicas=0)

    assert looked_at(late) == Readiness("stuck", 'deployment "web" exceeded its progress deadline')


def test_rule_3_goes_before_being_complete() -> None:
    exceeded = condition("Progressing", "False", "ProgressDeadlineExceeded")

    assert looked_at(a_deployment(exceeded)).state == "stuck"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            {"updatedReplicas": 1, "replicas": 3, "availableReplicas": 0},
            "1 out of 4 new replicas have been updated",
        ),
        ({"replicas": 6, "availableReplicas": 0}, "2 old replicas are pending termination"),
        ({"availableReplicas": 3}, "3 of 4 (readyThreshold 100%) updated replicas are available"),
    ],
)
def test_rules_4_to_6_in_this_order(status: dict[str, int], text: str) -> None:
    """Not updated goes before not terminated goes before not available."""
    seen = looked_at(a_deployment(wanted=4, **status))

    assert seen == Readiness("waiting", f"waiting for rollout to finish: {text}")


@pytest.mark.parametrize(
    ("threshold", "available", "state"),
    [(50, 2, "ready"), (50, 1, "waiting"), (70, 2, "ready"), (0, 0, "ready"), (99, 3, "ready")],
)
def test_a_threshold_below_a_hundred_rounds_down(
    threshold: int, available: int, state: str
) -> None:
    """int(4 * 70 %) is 2: rounding down is in favour of the rollout."""
    seen = looked_at(a_deployment(wanted=4, availableReplicas=available), threshold)

    assert seen.state == state


def test_a_deployment_that_was_just_made_waits() -> None:
    """No status at all: the controller has not been there yet."""
    fresh: Obj = {"kind": "Deployment", "metadata": {"name": "web", "generation": 1}, "spec": {}}

    assert looked_at(fresh).text.endswith(
        "observed deployment generation less than desired generation"
    )


def test_a_daemon_set_is_ready_when_updated_and_available() -> None:
    assert looked_at(a_daemon_set(3, 3, 3)).state == "ready"
    assert looked_at(a_daemon_set(0, 0, 0)).state == "ready"
    assert looked_at(a_daemon_set(4, 4, 2), 50).state == "ready"


@pytest.mark.parametrize(
    ("workload", "text"),
    [
        (
            a_daemon_set(3, 3, 3, observed=0),
            "observed daemonset generation less than desired generation",
        ),
        (a_daemon_set(3, 1, 3), "1 out of 3 new pods have been scheduled"),
        (a_daemon_set(3, 3, 2), "2 of 3 (readyThreshold 100%) updated pods are available"),
    ],
)
def test_a_daemon_set_says_what_it_waits_for(workload: Obj, text: str) -> None:
    assert looked_at(workload) == Readiness("waiting", f"waiting for rollout to finish: {text}")


def test_a_daemon_sets_deadline_runs_from_the_canarys_last_transition() -> None:
    waiting = looked_at(a_daemon_set(3, 1, 1), since=SINCE_S)

    assert waiting.stuck_at == SINCE_S + 60
    assert looked_at(a_daemon_set(3, 1, 1)).stuck_at is None
    assert daemon_set_deadline_text(60) == "exceeded its progressDeadlineSeconds: 60"


@pytest.mark.parametrize(
    ("status", "readiness"),
    [
        (
            {"latestCreatedRevisionName": "web-2", "latestReadyRevisionName": "web-2"},
            Readiness("ready"),
        ),
        (
            {"latestCreatedRevisionName": "web-2", "latestReadyRevisionName": "web-1"},
            Readiness("waiting", "revision web-2 is not ready"),
        ),
        ({}, Readiness("waiting", "revision of it is not ready")),
    ],
)
def test_a_knative_service_is_as_ready_as_its_newest_revision(
    status: dict[str, str], readiness: Readiness
) -> None:
    """Of this generation; no deadline is applied."""
    service: Obj = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web", "generation": 2},
        "status": {**status, "observedGeneration": 2},
    }

    assert looked_at(service) == readiness
    service["metadata"]["generation"] = 3
    assert looked_at(service).state == "waiting"


def test_other_kinds_are_always_ready() -> None:
    assert looked_at({"kind": "Service", "metadata": {"name": "web"}}) == Readiness("ready")


def a_pod(name: str, owner: str = CURRENT, reason: str = "", **meta: Any) -> Obj:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    return {
        "metadata": {
            "name": name,
            "labels": {"pod-template-hash": owner.rpartition("-")[2]},
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": True}],
            **meta,
        },
        "status": {"containerStatuses": [{"name": "web", "state": state}]},
    }


def progressing_with(replica_set: str) -> Obj:
    message = f'ReplicaSet "{replica_set}" is progressing.'
    return a_deployment(condition("Progressing", message=message), availableReplicas=0)


def test_a_crash_is_told_with_container_pod_and_reason() -> None:
    pods = [a_pod("web-5d9c-b"), a_pod("web-5d9c-a", reason="CrashLoopBackOff")]

    seen = looked_at(progressing_with(CURRENT), pods=pods)

    assert seen.crash == "container web of pod web-5d9c-a is in CrashLoopBackOff"
    assert seen.state == "waiting"


def test_a_crash_of_an_older_revision_does_not_count() -> None:
    """The Deployment names its current ReplicaSet in the Progressing condition."""
    old = a_pod("web-0aaa-x", owner="web-0aaa", reason="CrashLoopBackOff")

    assert looked_at(progressing_with(CURRENT), pods=[old]).crash == ""
    assert looked_at(progressing_with("web-0aaa"), pods=[old]).crash != ""


def test_a_name_that_was_left_behind_does_not_hide_a_crash() -> None:
    """Pushed at no pods and scaled up at once, the controller may keep the name of before.

    Its own note of the new name loses against our change of the size, and it does not try again.
    """
    left = condition(
        "Progressing",
        reason="NewReplicaSetAvailable",
        message='ReplicaSet "web-0aaa" has successfully progressed.',
    )
    deployment = a_deployment(left, UNAVAILABLE, availableReplicas=0)

    assert looked_at(deployment, pods=[a_pod("web-5d9c-a", reason="CrashLoopBackOff")]).crash


def test_the_crash_of_a_change_that_is_not_observed_yet_is_unknown() -> None:
    behind = progressing_with(CURRENT)
    behind["metadata"]["generation"] = 4

    assert looked_at(behind, pods=[a_pod("web-5d9c-a", reason="CrashLoopBackOff")]).crash == ""


def test_without_a_named_replica_set_the_youngest_pods_are_current() -> None:
    old = a_pod("a", owner="web-0aaa", creationTimestamp="2027-01-01T00:00:00Z")
    new = [a_pod(n, creationTimestamp=f"2027-01-02T00:00:0{i}Z") for i, n in enumerate("bc")]

    assert current_pods(a_deployment(), [old, *new]) == new


def test_pods_that_are_going_away_are_not_current() -> None:
    going = a_pod("web-5d9c-a", reason="CrashLoopBackOff", deletionTimestamp=SINCE)

    assert looked_at(progressing_with(CURRENT), pods=[going]).crash == ""


def test_a_ready_workload_has_no_crash_to_tell() -> None:
    """Enough replicas are available, as the threshold wants it: a straggler is no reason."""
    pods = [a_pod("web-5d9c-a", reason="CrashLoopBackOff")]

    assert looked_at(a_deployment(), pods=pods).crash == ""


@pytest.mark.parametrize(
    ("reason", "crashes"),
    [
        ("CrashLoopBackOff", True),
        ("ImagePullBackOff", True),
        ("InvalidImageName", True),
        ("ErrImagePull", False),
        ("CreateContainerConfigError", False),
        ("ContainerCreating", False),
        ("PodInitializing", False),
    ],
)
def test_only_what_does_not_mend_itself_is_a_crash(reason: str, crashes: bool) -> None:
    assert bool(crash_of([a_pod("web-5d9c-a", reason=reason)])) is crashes


def test_init_containers_crash_too() -> None:
    pod = a_pod("web-5d9c-a")
    waiting = {"name": "init", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pod["status"]["initContainerStatuses"] = [waiting]

    assert crash_of([pod]) == "container init of pod web-5d9c-a is in CrashLoopBackOff"


# --- StatefulSets ---------------------------------------------------------------------------------


def parted(**fields: Any) -> tuple[Readiness, Readiness]:
    """(canary, primary) of a set of five pods."""
    found = a_stateful_set(**{"replicas": 5, **fields})
    canary, primary = (
        readiness(found, threshold=100, deadline_s=60, part=part) for part in ("canary", "primary")
    )
    return canary, primary


def test_each_part_of_a_stateful_set_is_ready_by_its_own_pods() -> None:
    canary, primary = parted(partition=3, newest=1)

    assert canary.text == "waiting for rollout to finish: 1 out of 2 new pods have been updated"
    assert primary.state == "ready"


def test_a_missing_pod_may_be_of_either_part() -> None:
    canary, primary = parted(partition=3, newest=2, available=4)

    assert canary.text.endswith("1 of 2 (readyThreshold 100%) updated pods are available")
    assert primary.text.endswith("2 of 3 (readyThreshold 100%) updated pods are available")


def test_a_promoted_set_is_ready_when_all_of_it_runs_one_revision() -> None:
    """Nothing is promoted yet while the controller still has the old revision for the current."""
    _, halfway = parted(partition=0, newest=2)
    _, last = parted(partition=0, newest=5, available=4)
    _, counting = parted(partition=0, newest=5, current="web-1")
    _, done = parted(partition=0)

    assert halfway.text.endswith("2 out of 5 new pods have been updated")
    assert last.text.endswith("4 of 5 (readyThreshold 100%) updated pods are available")
    assert counting.text.endswith("not every new pod is available")
    assert done.state == "ready"


def test_a_parked_canary_of_a_stateful_set_wants_nothing() -> None:
    canary, primary = parted(partition=5, newest=0)

    assert (canary.state, primary.state) == ("ready", "ready")


def test_a_stateful_set_that_was_not_looked_at_since_the_push_is_waited_for() -> None:
    canary, primary = parted(metadata={"generation": 2})

    assert "observed statefulset generation" in canary.text
    assert canary.text == primary.text


def revised(name: str, revision: str, **fields: Any) -> Obj:
    pod = a_pod(name, **fields)
    pod["metadata"]["labels"] = {"controller-revision-hash": revision}
    return pod


def test_a_crash_counts_where_its_revision_does() -> None:
    pods = [revised("web-0", "web-1", reason="CrashLoopBackOff"), revised("web-4", "web-2")]
    found = a_stateful_set(replicas=5, partition=4, newest=1, available=3)

    canary, primary = (
        readiness(found, threshold=100, deadline_s=60, pods=pods, part=part)
        for part in ("canary", "primary")
    )

    assert canary.crash == ""
    assert primary.crash == "container web of pod web-0 is in CrashLoopBackOff"


def test_each_pod_of_a_stateful_set_has_the_whole_deadline() -> None:
    """They come one after another: a large set may take long and is not stuck."""
    young = revised("web-3", "web-2")
    young["metadata"]["creationTimestamp"] = "2027-01-15T08:05:00Z"
    found = a_stateful_set(replicas=5, partition=3, newest=2, available=4)

    told = readiness(found, threshold=100, deadline_s=60, pods=[young], since=SINCE_S)

    assert told.stuck_at == SINCE_S + 300 + 60


@pytest.mark.parametrize(
    ("status", "at", "seconds"),
    [("True", "1970-01-01T00:01:00Z", 39.0), ("True", "1970-01-01T00:01:40Z", 0.0),
     ("False", "1970-01-01T00:01:00Z", 0.0), ("True", "", 0.0)],
)  # fmt: skip
def test_for_how_long_pods_have_been_there_at_least(status: str, at: str, seconds: float) -> None:
    said = {"type": "Available", "status": status, "lastTransitionTime": at}
    assert seconds == available_s({"status": {"conditions": [said]}}, 100.0)


def test_where_nothing_says_for_how_long_it_is_not_long() -> None:
    assert 0.0 == available_s({"status": {"numberAvailable": 2}}, 100.0)
