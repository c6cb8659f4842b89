"""One row per mesh. Dispatch, RBAC, the support matrix, the ability check and the laws read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Protocol

from msgspec import Struct

from serinus.events import Exposure, ObjectRef, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core import ingresses
from serinus.router.core.objects import Gone, Live, NotYet, Refusal
from serinus.router.meshes import (
    apisix,
    appmesh,
    contour,
    gatewayapi,
    gloo,
    istio,
    knative,
    kubernetes,
    kuma,
    nginx,
    skipper,
    smi,
    traefik,
)


class Ability(StrEnum):
    """What a mesh can do with requests; the words of `Exposure.needs`."""

    WEIGHT = "weight"
    MATCH = "match"
    MIRROR = "mirror"
    STICKY = "sticky"


WEIGHT, MATCH, MIRROR, STICKY = Ability


class Mesh(Protocol):
    """Four pure functions on plain objects. Render and release raise Refusal."""

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """What must be read."""
        ...

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """What shall be: whole objects, the live ones with our fields put over them."""
        ...

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """What is: `routes` with the live weights and mirroring in place of its own."""
        ...

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """Everything as it was before."""
        ...


class Row(Struct, frozen=True):
    """One mesh.

    api_version, kinds  what is watched and written; no kinds: there is nothing to split
    more                further kinds by their API versions
    reads               the field of the Exposure that names an object which is only read
    deletes             objects of ours go before their Canary does, which takes the right to it
    can                 abilities; an intent that needs another one is refused
    settle_s            seconds that proxies take to follow a change: a workload that lost its
                        traffic is kept running that long
    by_slices           whether they know pods by the EndpointSlices of Services
    """

    name: str
    mesh: Mesh
    api_version: str
    kinds: tuple[str, ...]
    can: frozenset[Ability]
    settle_s: float
    more: tuple[tuple[str, str], ...] = ()
    reads: Literal["", "ingress", "route", "upstream"] = ""
    deletes: bool = False
    by_slices: bool = True

    @property
    def objects(self) -> tuple[tuple[str, str], ...]:
        """Everything that is watched and written: (apiVersion, kind)."""
        return (*((self.api_version, kind) for kind in self.kinds), *self.more)

    def only_reads(self, exposure: Exposure, ref: Ref) -> bool:
        """Whether this object of the user's is looked at and never written."""
        source: ObjectRef | None = getattr(exposure, self.reads) if self.reads else None
        return source is not None and (source.kind, source.name) == (ref.kind, ref.name)


# Names of which the beginning is enough; in this order, as one is the beginning of another.
BEGINNINGS = ("appmesh:v1beta2", "gatewayapi:v1beta1", "gatewayapi:v1", "gloo")


def rows(*found: Row) -> Mapping[str, Row]:
    """Rows by name. Raises ValueError where two have one name."""
    by_name = {row.name: row for row in found}
    if len(by_name) < len(found):
        raise ValueError("two rows have one name")
    return by_name


ALL = frozenset(Ability)
WEIGHTS = frozenset({WEIGHT})
SPLIT_AND_MATCH = frozenset({WEIGHT, MATCH})
SPLIT_MATCH_AND_MIRROR = SPLIT_AND_MATCH | {MIRROR}

MESHES: Mapping[str, Row] = rows(
    Row(
        "apisix",
        apisix,
        apisix.API_VERSION,
        (apisix.KIND,),
        SPLIT_MATCH_AND_MIRROR,
        3.0,
        reads="route",
        deletes=True,
    ),
    Row(
        "appmesh",
        appmesh.V1BETA1,
        appmesh.V1BETA1.api_version,
        (appmesh.NODE, appmesh.SERVICE),
        SPLIT_AND_MATCH,
        10.0,
    ),
    Row(
        "appmesh:v1beta2",
        appmesh.V1BETA2,
        appmesh.V1BETA2.api_version,
        (appmesh.NODE, appmesh.ROUTER, appmesh.SERVICE),
        SPLIT_AND_MATCH,
        10.0,
    ),
    Row(
        "contour",
        contour,
        contour.API_VERSION,
        (contour.KIND,),
        SPLIT_MATCH_AND_MIRROR,
        3.0,
    ),
    Row("gatewayapi:v1", gatewayapi.V1, gatewayapi.V1.api_version, gatewayapi.V1.kinds, ALL, 3.0),
    Row(
        "gatewayapi:v1beta1",
        gatewayapi.V1BETA1,
        gatewayapi.V1BETA1.api_version,
        gatewayapi.V1BETA1.kinds,
        ALL,
        3.0,
    ),
    Row(
        "gloo",
        gloo,
        gloo.API_VERSION,
        (gloo.KIND,),
        SPLIT_MATCH_AND_MIRROR,
        3.0,
        more=((gloo.UPSTREAM_API_VERSION, gloo.UPSTREAM),),
        reads="upstream",
    ),
    Row("istio", istio, istio.API_VERSION, istio.KINDS, ALL, 5.0),
    Row("knative", knative, knative.API_VERSION, (knative.KIND,), WEIGHTS, 3.0),
    Row("kubernetes", kubernetes, "v1", (), frozenset(), 2.0),
    Row(
        "kuma",
        kuma,
        kuma.API_VERSION,
        (kuma.KIND,),
        SPLIT_AND_MATCH,
        3.0,
        deletes=True,
        # Its control plane makes Dataplanes of pods.
        by_slices=False,
    ),
    Row("linkerd", smi.V1ALPHA1, smi.V1ALPHA1.api_version, (smi.KIND,), WEIGHTS, 3.0),
    Row(
        "nginx",
        nginx,
        ingresses.API_VERSION,
        (ingresses.KIND,),
        SPLIT_AND_MATCH,
        5.0,
        reads="ingress",
        deletes=True,
    ),
    Row("osm", smi.V1ALPHA2, smi.V1ALPHA2.api_version, (smi.KIND,), WEIGHTS, 3.0),
    Row(
        "skipper",
        skipper,
        ingresses.API_VERSION,
        (ingresses.KIND,),
        SPLIT_AND_MATCH,
        5.0,
        reads="ingress",
        deletes=True,
    ),
    Row("smi:v1alpha1", smi.V1ALPHA1, smi.V1ALPHA1.api_version, (smi.KIND,), WEIGHTS, 3.0),
    Row("smi:v1alpha2", smi.V1ALPHA2, smi.V1ALPHA2.api_version, (smi.KIND,), WEIGHTS, 3.0),
    Row("smi:v1alpha3", smi.V1ALPHA3, smi.V1ALPHA3.api_version, (smi.KIND,), WEIGHTS, 3.0),
    Row(
        "traefik",
        traefik,
        traefik.API_VERSION,
        traefik.KINDS,
        ALL,
        3.0,
        reads="route",
        deletes=True,
    ),
)


def find(mesh: str) -> Row | None:
    """The row of a mesh; None where there is none. `smi:v1alpha1:istio` names who reads splits.

    Of some names the beginning is enough (reference 4.1).
    """
    is_smi = mesh.startswith("smi:")
    name = next((known for known in BEGINNINGS if mesh.startswith(known)), mesh)
    return MESHES.get(":".join(mesh.split(":")[:2]) if is_smi else name)


def row_of(mesh: str) -> Row:
    """The row of a mesh. Raises Refusal with the known names: guessing is not kindness."""
    row = find(mesh)
    if row is None:
        raise Refusal("UnknownMesh", f"unknown mesh {mesh!r}; known: {', '.join(MESHES)}")
    return row


def check_abilities(row: Row, needed: Iterable[str]) -> None:
    """Raises Refusal for what the mesh cannot do, naming those that can.

    Weights are never refused where there is nothing to split: with `kubernetes` the analyzer turns
    steps into iterations, as the reference does.
    """
    can: frozenset[str] = row.can if row.kinds else row.can | {WEIGHT}
    for ability in needed:
        if ability in can:
            continue
        able = [other.name for other in MESHES.values() if ability in other.can]
        raise Refusal(
            "Unsupported",
            f"{ability} is not supported by {row.name}; supported by: {', '.join(able) or 'none'}",
        )
