"""What the data plane's own controller says about a route object in its status."""

from __future__ import annotations

from collections.abc import Collection

from serinus.kube.refs import Obj


def not_taken(obj: Obj, *, types: Collection[str]) -> str:
    """Why this generation of the object does not count yet, "" where it does.

    types  of the conditions that say so; one that is not there is not waited for, since not every
           version of a controller reports. The generation is the condition's, else the whole
           status's, else it is taken for the newest
    """
    meta, said = obj["metadata"], obj.get("status") or {}
    generation = meta.get("generation", 0)
    default = said.get("observedGeneration", generation)
    for condition in said.get("conditions") or ():
        if condition.get("type") not in types:
            continue
        status = condition.get("status")
        # Istio's are texts.
        observed = int(condition.get("observedGeneration", default))
        if status == "True" and observed >= generation:
            continue
        message = f": {condition['message']}" if condition.get("message") else ""
        return (
            f"{obj['kind']} {meta['name']}.{meta.get('namespace', '')} is not ready "
            f"({condition['type']}: {status}, observed generation: {observed}, "
            f"current generation: {generation}){message}"
        )
    return ""
