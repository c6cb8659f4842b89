"""The user's Ingress I that a canary refers to, and what a canary Ingress `I-canary` takes of it.

nginx and Skipper both leave I alone and lay a second Ingress over it (reference 4.7, 4.11).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import msgspec

from serinus.events import Exposure
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import LAST_APPLIED, Live, Refusal, annotations_of, labels_of

API_VERSION = "networking.k8s.io/v1"
KIND = "Ingress"


def source_ref(exposure: Exposure) -> Ref:
    """The user's Ingress. Raises Refusal where the manifest names none."""
    if exposure.ingress is None or not exposure.ingress.name:
        raise Refusal(
            "Route",
            f"{exposure.mesh} needs spec.ingressRef or spec.routeRef: name the Ingress",
        )
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.ingress.name)


def canary_ref(exposure: Exposure) -> Ref:
    """Ours."""
    source = source_ref(exposure)
    return msgspec.structs.replace(source, name=f"{source.name}-canary")


def canary_of(exposure: Exposure, live: Live) -> Obj | None:
    """The canary Ingress as it is; None where there is none, or the manifest names no Ingress."""
    return live.get(canary_ref(exposure)) if refs(exposure) else None


def refs(exposure: Exposure) -> tuple[Ref, ...]:
    """Both, or none where the manifest names none: rendering says so."""
    if exposure.ingress is None or not exposure.ingress.name:
        return ()
    return source_ref(exposure), canary_ref(exposure)


def source_of(exposure: Exposure, live: Live) -> Obj:
    """The user's Ingress, with a backend S. Raises Refusal; it passes when the Ingress changes."""
    ref = source_ref(exposure)
    found = live.get(ref)
    if found is None:
        raise Refusal(
            "Route",
            f"ingress {ref.name}.{ref.namespace} get query error: "
            f'ingresses.networking.k8s.io "{ref.name}" not found',
        )
    if not any(names(backend, exposure.name) for backend in backends(found.get("spec") or {})):
        raise Refusal("Route", f"backend {exposure.name} not found in ingress {ref.name}")
    return found


def copied(exposure: Exposure, source: Obj) -> Obj:
    """The beginning of `I-canary`: labels, annotations and spec of the source, to be changed."""
    ref = canary_ref(exposure)
    annotations = annotations_of(source)
    annotations.pop(LAST_APPLIED, None)
    whole: Obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "annotations": annotations},
        "spec": copy.deepcopy(source["spec"]),
    }
    if labels_of(source):
        whole["metadata"]["labels"] = labels_of(source)
    return whole


def paths(spec: Obj) -> Iterator[list[Obj]]:
    """The paths of every rule; a rule may have a host only."""
    for rule in spec.get("rules") or ():
        yield (rule.get("http") or {}).get("paths") or []


def backends(spec: Obj) -> Iterator[Obj]:
    """Every backend, the default one included."""
    if spec.get("defaultBackend"):
        yield spec["defaultBackend"]
    for several in paths(spec):
        yield from (path["backend"] for path in several if path.get("backend"))


def names(backend: Obj, service: str) -> bool:
    """Whether a backend is this Service; it may be a resource of another kind."""
    return bool((backend.get("service") or {}).get("name") == service)
