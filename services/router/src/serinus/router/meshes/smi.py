"""SMI TrafficSplit S, for Linkerd's and OSM's SMI support and any other mesh (reference 4.5).

The split is of weights only. It carries none of the apex metadata, and the list of backends is ours
as a whole: a third one would take a share that nobody ordered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import Gone, Live, NotYet, overlaid
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

GROUP = "split.smi-spec.io"
KIND = "TrafficSplit"
# Istio's adapter makes a VirtualService of the split and asks here for its gateways.
GATEWAYS = "VirtualService.v1alpha3.networking.istio.io/spec.gateways"


class Smi:
    """One version of the API. v1alpha1 has quantities where later ones have numbers."""

    def __init__(self, version: str) -> None:
        self.api_version = f"{GROUP}/{version}"
        self._has_quantities = version == "v1alpha1"

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """The TrafficSplit S."""
        return (self._ref(exposure),)

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """The TrafficSplit of the apex service with explicit weights."""
        service = exposure.service
        hosts, gateways = (service.hosts, service.gateways) if service else ((), ())
        meta: Obj = {"name": exposure.name, "namespace": exposure.namespace}
        if exposure.mesh.endswith(":istio") and gateways:
            meta["annotations"] = {GATEWAYS: json.dumps(gateways, separators=(",", ":"))}
        shares = ((exposure.canary, routes.canary), (exposure.primary, routes.primary))
        ours: Obj = {
            "apiVersion": self.api_version,
            "kind": KIND,
            "metadata": meta,
            "spec": {
                "service": hosts[0] if hosts else exposure.name,
                "backends": [{"service": s, "weight": self._written(w)} for s, w in shares],
            },
        }
        found = live.get(self._ref(exposure))
        return (remembering(found, overlaid(found, ours)),)

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """The weights in the live object; NotYet where it does not exist or gives us none."""
        name = f"{KIND} {exposure.name}.{exposure.namespace}"
        found = live.get(self._ref(exposure))
        if found is None:
            return NotYet(f"{name} does not exist yet")
        backends = (found.get("spec") or {}).get("backends") or ()
        weights = {b.get("service"): _number(b.get("weight")) for b in backends}
        primary, canary = weights.get(exposure.primary, 0), weights.get(exposure.canary, 0)
        if primary == canary == 0:
            names = f"{exposure.primary} and {exposure.canary}"
            return NotYet(f"{name} does not contain backends for {names}")
        return seen(routes, primary=primary, canary=canary)

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """A split that was the user's is as it was; ours goes."""
        ref = self._ref(exposure)
        found = live.get(ref)
        return () if found is None else (original_of(found) or Gone(ref),)

    def _ref(self, exposure: Exposure) -> Ref:
        return Ref(self.api_version, KIND, exposure.namespace, exposure.name)

    def _written(self, weight: int) -> int | str:
        return str(weight) if self._has_quantities else weight


def _number(weight: object) -> int:
    """A weight in thousandths: quantities may be as small as that."""
    text = str(weight)
    try:
        if text.endswith("m"):
            return int(text[:-1])
        if text.endswith("k"):
            return int(text[:-1]) * 1_000_000
        return round(float(text) * 1000)
    except ValueError:
        return 0


V1ALPHA1 = Smi("v1alpha1")
V1ALPHA2 = Smi("v1alpha2")
V1ALPHA3 = Smi("v1alpha3")
