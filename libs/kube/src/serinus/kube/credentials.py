"""Secrets that manifests name for credentials: the one way to read them.

Whoever may write such a manifest says where the keys go. Where that shall not mean every Secret of
the namespace, only those are read whose owner has labelled them for it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

from serinus.kube.refs import Obj, Ref
from serinus.runtime.errors import Refuse

READABLE = "serinus.dev/readable"

Get = Callable[[Ref], Awaitable[Obj]]


async def credentials(
    get: Get, namespace: str, name: str, *, path: str, labelled_only: bool
) -> dict[str, bytes]:
    """The decoded keys of the Secret that a manifest names at `path`, without what is no base64.

    get            reads an object, perhaps from a memory; what it raises is raised
    labelled_only  raises Refuse, fit for people, unless the Secret is labelled READABLE: "true"
    """
    secret = await get(Ref("v1", "Secret", namespace, name))
    labels = secret["metadata"].get("labels") or {}
    if labelled_only and labels.get(READABLE) != "true":
        cure = f"kubectl --namespace {namespace} label secret {name} {READABLE}=true"
        raise Refuse(f"{path}: secret {name} is not labelled to be read for this: {cure}")
    found = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
    return found
