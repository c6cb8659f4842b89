"""One row per kind of workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from serinus.events.canary import KNATIVE_GROUP, KNATIVE_SERVICE, STATEFUL_SET
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal
from serinus.router.workloads import daemonset, deployment, knative, service, statefulset
from serinus.router.workloads.primary import Making


class WorkloadKind(Protocol):
    """Pure functions on plain objects; each returns whole objects and changes none."""

    def check(self, target: Obj) -> str:
        """Why the target cannot be released, "" if it can."""
        ...

    def primary(self, target: Obj, making: Making) -> Obj:
        """A new primary."""
        ...

    def promoted(self, primary_now: Obj, target: Obj, making: Making) -> Obj:
        """The primary with the target's template, exactly."""
        ...

    def is_parked(self, target: Obj) -> bool:
        """Whether the target runs nothing because it was told to."""
        ...

    def parked(self, target: Obj) -> Obj:
        """The target running nothing."""
        ...

    def running(self, target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
        """The target running something, if it was parked."""
        ...

    def released(self, target: Obj, primary_now: Obj | None, scaler_minimum: int | None) -> Obj:
        """The target as it must be to do without a primary."""
        ...

    def available(self, workload: Obj) -> int:
        """Pods that serve."""
        ...


class Row(Struct, frozen=True):
    """One kind. `workload` holds its functions.

    has_pods  False: there is nothing to start, to select or to wait for, and no Services are made
    is_own_primary  the live version is kept in the target itself
    earlier         the kind in which its controller keeps what it ran; "": nobody does
    is_parted  and it has pods of both versions, told apart by ordinals
    """

    kind: str
    api_version: str
    workload: WorkloadKind
    has_pods: bool = True
    is_own_primary: bool = False
    is_parted: bool = False
    earlier: str = ""


WORKLOADS: Mapping[str, Row] = {
    "Deployment": Row("Deployment", "apps/v1", deployment, earlier="ReplicaSet"),
    "DaemonSet": Row("DaemonSet", "apps/v1", daemonset, earlier="ControllerRevision"),
    STATEFUL_SET: Row(STATEFUL_SET, "apps/v1", statefulset, is_own_primary=True, is_parted=True),
    "Service": Row("Service", "v1", service, has_pods=False),
    KNATIVE_SERVICE: Row(
        "Service", f"{KNATIVE_GROUP}/v1", knative, has_pods=False, is_own_primary=True
    ),
}


def row_of(kind: str) -> Row:
    """The row of a kind. Raises Refusal with the known ones."""
    row = WORKLOADS.get(kind)
    if row is None:
        known = ", ".join(WORKLOADS)
        raise Refusal("Unsupported", f"targetRef.kind {kind} is not supported; known: {known}")
    return row
