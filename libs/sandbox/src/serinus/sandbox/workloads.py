"""Deployments make ReplicaSets, ReplicaSets and DaemonSets make pods."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import datetime, timedelta

from serinus.sandbox import rollout
from serinus.sandbox.controllers import Controller
from serinus.sandbox.errors import Obj
from serinus.sandbox.objects import (
    condition,
    is_active,
    is_ready,
    owned_by,
    owner,
    seconds_until_available,
)
from serinus.sandbox.rollout import HASH_LABEL, Set, Tally
from serinus.sandbox.store import Change, Key

DEPLOYMENTS = ("apps", "deployments")
REPLICA_SETS = ("apps", "replicasets")
DAEMON_SETS = ("apps", "daemonsets")
PODS = ("", "pods")
REVISION = "deployment.kubernetes.io/revision"


def _key(resource: tuple[str, str], obj: Obj) -> Key:
    return Key(resource, obj["metadata"]["namespace"], obj["metadata"]["name"])


class _Workload(Controller):
    def owner_of(self, change: Change, kind: str) -> Iterable[Key]:
        """The owner of a changed object, when it is of this kind and still there."""
        uid = owner(change.obj, kind)
        found = self.registry.store.find(uid) if uid else None
        return [found] if found else []

    def owned(self, resource: tuple[str, str], by: Obj) -> list[Obj]:
        """The objects that `by` controls, by name."""
        found = [
            obj
            for obj in self.registry.store.all(resource, by["metadata"]["namespace"])
            if owner(obj, by["kind"]) == by["metadata"]["uid"]
        ]
        return found

    def set_status(self, key: Key, obj: Obj, status: Obj) -> None:
        """Writes the status where it differs; counts that fell to zero disappear."""
        old = obj.get("status") or {}
        if old != status:
            gone = {name: None for name in old if name not in status}
            self.patch(key, {"status": {**status, **gone}}, "status")


class DeploymentController(_Workload):
    """Keeps one ReplicaSet per template and moves pods from the old ones to the current one."""

    name = "deployment"

    def concerns(self, change: Change) -> Iterable[Key]:
        """Deployments themselves, and the owners of ReplicaSets."""
        if change.key.resource == DEPLOYMENTS:
            return [change.key]
        if change.key.resource == REPLICA_SETS:
            return self.owner_of(change, "Deployment")
        return []

    def reconcile(self, key: Key) -> float | None:
        """One step of the rollout, and the status."""
        deployment = self.at(key)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return None
        sets = sorted(
            self.owned(REPLICA_SETS, deployment),
            key=lambda s: int(s["metadata"]["annotations"].get(REVISION, 0)),
        )
        digest = rollout.template_hash(deployment["spec"]["template"])
        new = next((s for s in sets if s["metadata"]["labels"].get(HASH_LABEL) == digest), None)
        new = self._current(deployment, new, sets, digest)
        old = [s for s in sets if s["metadata"]["uid"] != new["metadata"]["uid"]]
        if not deployment["spec"].get("paused"):
            steps = rollout.step(deployment["spec"], _numbers(new), [_numbers(s) for s in old])
            for scale in steps:
                at = Key(REPLICA_SETS, key.namespace, scale.name)
                self.patch(at, {"spec": {"replicas": scale.replicas}})
        self._forget(deployment, old)
        return self._report(key, new, old)

    def _current(self, deployment: Obj, new: Obj | None, sets: list[Obj], digest: str) -> Obj:
        """The set of the current template, made or brought to the front."""
        revisions = [int(s["metadata"]["annotations"].get(REVISION, 0)) for s in sets]
        latest = max(revisions, default=0)
        meta = deployment["metadata"]
        if new is None:
            new = self._create(deployment, digest, latest + 1)
        elif int(new["metadata"]["annotations"].get(REVISION, 0)) < latest:
            at = _key(REPLICA_SETS, new)
            new = self.patch(at, {"metadata": {"annotations": {REVISION: str(latest + 1)}}})
        revision = new["metadata"]["annotations"][REVISION]
        if (meta.get("annotations") or {}).get(REVISION) != revision:
            at = _key(DEPLOYMENTS, deployment)
            self.patch(at, {"metadata": {"annotations": {REVISION: revision}}})
        return new

    def _create(self, deployment: Obj, digest: str, revision: int) -> Obj:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = copy.deepcopy(spec["template"])
        template["metadata"].setdefault("labels", {})[HASH_LABEL] = digest
        selector = copy.deepcopy(spec["selector"])
        selector.setdefault("matchLabels", {})[HASH_LABEL] = digest
        annotations = {
            k: v
            for k, v in (meta.get("annotations") or {}).items()
            if k != "kubectl.kubernetes.io/last-applied-configuration"
        }
        replica_set = {
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "labels": dict(template["metadata"]["labels"]),
                "annotations": annotations | {REVISION: str(revision)},
                "ownerReferences": owned_by(deployment),
            },
            "spec": {
                "replicas": 0,
                "selector": selector,
                "template": template,
                "minReadySeconds": spec.get("minReadySeconds", 0),
            },
        }
        resource = self.resource(REPLICA_SETS)
        return self.registry.create(resource, meta["namespace"], replica_set, self.write)

    def _forget(self, deployment: Obj, old: list[Obj]) -> None:
        """Deletes empty sets beyond the history limit, oldest first."""
        empty = [
            s
            for s in old
            if not s["spec"].get("replicas") and not (s.get("status") or {}).get("replicas")
        ]
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        for replica_set in empty[: max(len(empty) - limit, 0)]:
            self.delete(_key(REPLICA_SETS, replica_set))

    def _report(self, key: Key, new: Obj, old: list[Obj]) -> float | None:
        deployment = self.at(key)
        assert deployment is not None
        keys = [_key(REPLICA_SETS, s) for s in (new, *old)]
        statuses = [s.get("status") or {} for s in (new, *old)]
        tally = Tally(
            wanted=sum(at["spec"]["replicas"] for at in map(self.at, keys) if at),
            replicas=sum(s.get("replicas", 0) for s in statuses),
            updated=statuses[0].get("replicas", 0),
            ready=sum(s.get("readyReplicas", 0) for s in statuses),
            available=sum(s.get("availableReplicas", 0) for s in statuses),
        )
        left = self._deadline(deployment)
        late = left is not None and left <= 0
        name = new["metadata"]["name"]
        status = rollout.status(deployment, tally, name, self.registry.now(), late)
        self.set_status(key, deployment, status)
        fresh = self.at(key)
        assert fresh is not None
        found = condition(fresh, "Progressing")
        if not found or found["reason"] != "ReplicaSetUpdated":
            return None
        return self._deadline(fresh)

    def _deadline(self, deployment: Obj) -> float | None:
        """Seconds until the rollout counts as stuck."""
        found = condition(deployment, "Progressing")
        if not found:
            return None
        allowed = timedelta(seconds=deployment["spec"].get("progressDeadlineSeconds", 600))
        ends = datetime.fromisoformat(found["lastUpdateTime"]) + allowed
        return (ends - self.moment()).total_seconds()


def _numbers(replica_set: Obj) -> Set:
    return Set(
        replica_set["metadata"]["name"],
        replica_set["spec"].get("replicas", 0),
        (replica_set.get("status") or {}).get("availableReplicas", 0),
    )


class ReplicaSetController(_Workload):
    """Keeps as many pods as a ReplicaSet wants."""

    name = "replicaset"

    def concerns(self, change: Change) -> Iterable[Key]:
        """ReplicaSets themselves, and the owners of pods."""
        if change.key.resource == REPLICA_SETS:
            return [change.key]
        if change.key.resource == PODS:
            return self.owner_of(change, "ReplicaSet")
        return []

    def reconcile(self, key: Key) -> float | None:
        """Creates or deletes pods, and counts them."""
        replica_set = self.at(key)
        if replica_set is None or replica_set["metadata"].get("deletionTimestamp"):
            return None
        pods = [pod for pod in self.owned(PODS, replica_set) if is_active(pod)]
        wanted = replica_set["spec"].get("replicas", 1)
        name = replica_set["metadata"]["name"]
        pods += [create_pod(self, replica_set, name) for _ in range(wanted - len(pods))]
        for pod in sorted(pods, key=_worth)[: max(len(pods) - wanted, 0)]:
            self.delete(_key(PODS, pod))
            pods.remove(pod)
        min_ready = replica_set["spec"].get("minReadySeconds", 0)
        waits = [seconds_until_available(pod, min_ready, self.moment()) for pod in pods]
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": sum(is_ready(pod) for pod in pods),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        status = {k: v for k, v in status.items() if v or k == "replicas"}
        self.set_status(key, replica_set, status)
        return min((wait for wait in waits if wait), default=None)


def _worth(pod: Obj) -> tuple[bool, bool, float]:
    """The order in which pods are given up: unplaced, not ready, then the youngest."""
    born = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
    return bool(pod["spec"].get("nodeName")), is_ready(pod), -born


def create_pod(controller: Controller, parent: Obj, prefix: str) -> Obj:
    """A pod from its owner's template."""
    template = parent["spec"]["template"]
    meta = {
        "generateName": prefix + "-",
        "labels": dict((template["metadata"].get("labels")) or {}),
        "annotations": dict((template["metadata"].get("annotations")) or {}),
        "ownerReferences": owned_by(parent),
    }
    pod = {"metadata": meta, "spec": copy.deepcopy(template["spec"])}
    resource = controller.resource(PODS)
    namespace = parent["metadata"]["namespace"]
    return controller.registry.create(resource, namespace, pod, controller.write)


class DaemonSetController(_Workload):
    """One pod of each DaemonSet: the sandbox is one node, and it fits no node selector."""

    name = "daemonset"
    _hash = "controller-revision-hash"

    def concerns(self, change: Change) -> Iterable[Key]:
        """DaemonSets themselves, and the owners of pods."""
        if change.key.resource == DAEMON_SETS:
            return [change.key]
        if change.key.resource == PODS:
            return self.owner_of(change, "DaemonSet")
        return []

    def reconcile(self, key: Key) -> float | None:
        """Replaces a pod of an older template, keeps one, and counts."""
        daemon_set = self.at(key)
        if daemon_set is None or daemon_set["metadata"].get("deletionTimestamp"):
            return None
        spec = daemon_set["spec"]
        wanted = 0 if spec["template"]["spec"].get("nodeSelector") else 1
        digest = rollout.template_hash(spec["template"])
        pods = [pod for pod in self.owned(PODS, daemon_set) if is_active(pod)]
        current = [p for p in pods if p["metadata"]["labels"].get(self._hash) == digest]
        rolling = spec["updateStrategy"].get("type") != "OnDelete"
        doomed = [p for p in pods if p not in current] if rolling else []
        for pod in [*doomed, *current[wanted:]] if wanted else pods:
            self.delete(_key(PODS, pod))
        kept = current[:wanted] if rolling or not wanted else pods[:1]
        if wanted and not kept:
            labelled = copy.deepcopy(daemon_set)
            labels = labelled["spec"]["template"]["metadata"].setdefault("labels", {})
            labels[self._hash] = digest
            kept = [create_pod(self, labelled, key.name)]
        waits = [
            seconds_until_available(p, spec.get("minReadySeconds", 0), self.moment()) for p in kept
        ]
        ready, available = sum(map(is_ready, kept)), sum(wait == 0 for wait in waits)
        status = {
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": len(kept),
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": sum(
                p["metadata"]["labels"].get(self._hash) == digest for p in kept
            ),
            "numberAvailable": available,
            "numberUnavailable": wanted - available,
            "observedGeneration": daemon_set["metadata"]["generation"],
        }
        self.set_status(key, daemon_set, status)
        return min((wait for wait in waits if wait), default=None)
