"""A StatefulSet as two parts: pods of the promoted revision, and pods of a newer one. Pure.

The controller keeps pods from ordinal `partition` on at the newest template and those below it at
the revision that was last complete: `status.currentRevision`. A release is a movement of that
border. How many pods of which revision are available is not told; what is missing is therefore
taken off both parts, so that neither is believed to have more than it has.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from serinus.kube.refs import Obj

REVISION_LABEL = "controller-revision-hash"
# Above every ordinal there can be: whatever the template says, it reaches no pod.
PARKED = 2**31 - 1

Part = Literal["canary", "primary"]


class Parts(Struct, frozen=True, kw_only=True):
    """Both parts as the controller last told of them.

    size         pods that are wanted, whatever they run
    partition    the first ordinal of the newest revision
    is_observed  whether the controller has seen the newest spec: else `newest` is an older one
    current, newest            names of ControllerRevisions: what pods carry as a label
    current_pods, newest_pods  pods that exist; the same pods where both are one revision
    missing      pods, of whatever revision, that are not available
    """

    size: int
    partition: int
    is_observed: bool
    current: str
    newest: str
    current_pods: int
    newest_pods: int
    missing: int

    @property
    def canary_wanted(self) -> int:
        """How many pods run, or will run, the newest revision because of the partition."""
        return max(0, self.size - self.partition)

    @property
    def primary_wanted(self) -> int:
        """How many pods shall be of the current revision; all where the border is at 0."""
        return min(self.size, self.partition) if self.partition else self.size

    @property
    def canary_available(self) -> int:
        return max(0, self.newest_pods - self.missing)

    @property
    def primary_available(self) -> int:
        return max(0, self.current_pods - self.missing)

    @property
    def is_one(self) -> bool:
        """Whether every pod is of the current revision."""
        return self.current_pods >= self.size

    @property
    def is_rolled_out(self) -> bool:
        """Whether every pod is of the newest revision, and that is the current one."""
        return self.is_observed and self.current == self.newest and self.newest_pods >= self.size


def parts(workload: Obj) -> Parts:
    """The parts of a StatefulSet."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    size = spec.get("replicas")
    size = 1 if size is None else int(size)
    generation = workload["metadata"].get("generation", 0)
    current = str(status.get("currentRevision") or "")
    return Parts(
        size=size,
        partition=int(rolling.get("partition") or 0),
        is_observed=generation <= status.get("observedGeneration", 0),
        current=current,
        newest=str(status.get("updateRevision") or current),
        current_pods=int(status.get("currentReplicas") or 0),
        newest_pods=int(status.get("updatedReplicas") or 0),
        missing=max(0, size - int(status.get("availableReplicas") or 0)),
    )


def with_partition(workload: Obj, partition: int) -> Obj:
    """The StatefulSet with its border elsewhere."""
    spec = workload["spec"]
    strategy = spec.get("updateStrategy") or {}
    rolling = {**(strategy.get("rollingUpdate") or {}), "partition": partition}
    moved = {"type": "RollingUpdate", **strategy, "rollingUpdate": rolling}
    return {**workload, "spec": {**spec, "updateStrategy": moved}}


def selects_all(workload: Obj) -> dict[str, str]:
    """What selects every pod of a workload."""
    return dict((workload["spec"].get("selector") or {}).get("matchLabels") or {})


def selects_revision(workload: Obj, revision: str) -> dict[str, str]:
    """What selects the pods of one revision."""
    return {**selects_all(workload), REVISION_LABEL: revision}
