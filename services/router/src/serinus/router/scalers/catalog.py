"""One row per kind of autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from serinus.events import CanaryRef
from serinus.events.canary import AutoscalerRef
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import Refusal
from serinus.router.scalers import hpa, keda


class Scaler(Protocol):
    """Pure functions on plain objects."""

    def primary(self, source: Obj, reference: AutoscalerRef, canary: CanaryRef) -> Obj:
        """A new autoscaler for the primary."""
        ...

    def standin(self, source: Obj, canary: CanaryRef) -> Obj:
        """A new autoscaler for a stand-in: it does for that what the target's does for the
        target."""
        ...

    def updated(self, live: Obj, source: Obj, reference: AutoscalerRef) -> Obj:
        """The primary's autoscaler with what the target's says now."""
        ...

    def minimum(self, source: Obj) -> int:
        """How many replicas the autoscaler starts with."""
        ...

    def least(self, live: Obj) -> int:
        """The replicas below which it does not go."""
        ...

    def most(self, live: Obj) -> int:
        """The replicas above which it does not go."""
        ...

    def with_least(self, whole: Obj, number: int) -> Obj:
        """The same object, changed in place."""
        ...

    def paused(self, source: Obj) -> Obj:
        """The target's autoscaler as it must be while its target is parked."""
        ...

    def resumed(self, source: Obj) -> Obj:
        """The target's autoscaler as it must be while its target runs."""
        ...


class Row(Struct, frozen=True):
    """One kind; `api_version` is the one we read and write, whatever the manifest names."""

    kind: str
    api_version: str
    scaler: Scaler


SCALERS: Mapping[str, Row] = {
    row.kind: row
    for row in (
        Row("HorizontalPodAutoscaler", "autoscaling/v2", hpa),
        Row("ScaledObject", "keda.sh/v1alpha1", keda),
    )
}


def ref_of(kind: str, namespace: str, name: str) -> Ref | None:
    """An autoscaler as we read it; None where the kind is unknown."""
    row = SCALERS.get(kind)
    return Ref(row.api_version, row.kind, namespace, name) if row else None


def row_of(kind: str) -> Row:
    """The row of a kind. Raises Refusal with the known ones."""
    row = SCALERS.get(kind)
    if row is None:
        known = ", ".join(SCALERS)
        raise Refusal("Unsupported", f"autoscalerRef.kind {kind} is not supported; known: {known}")
    return row
