"""Which ConfigMaps and Secrets a pod template uses, their checksums, and their copies. Pure.

Keys are Flagger's: `configmap/<name>` and `secret/<name>` (reference 3.8). Contents never leave
this module: what is kept of an object is a checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from serinus.kube.refs import Obj, copied

ConfigKind = Literal["configmap", "secret"]
KINDS: Mapping[str, ConfigKind] = {"ConfigMap": "configmap", "Secret": "secret"}
OPT_OUT = "flagger.app/config-tracking"
SUFFIX = "-primary"
TRACKED_SECRETS = frozenset(
    {
        "",
        "Opaque",
        "kubernetes.io/basic-auth",
        "kubernetes.io/ssh-auth",
        "kubernetes.io/tls",
    }
)


class ConfigSeen(Struct, frozen=True):
    """What is kept of a ConfigMap or Secret."""

    checksum: str
    tracked: bool = True


class Tracking(Struct, frozen=True):
    """The configs of a template as they are: checksums of the tracked, required but absent ones."""

    checksums: dict[str, str]
    missing: tuple[str, ...] = ()


# One place in a pod spec that names a config: (what it is, the mapping, the key of the name).
_Place = tuple[ConfigKind, Obj, str]


def references(template: Obj) -> dict[str, bool]:
    """`configmap/<name>` -> whether it must exist, for every ConfigMap and Secret of a template.

    Volumes, projected volumes, env and envFrom of containers and init containers. Required once
    is required: the kubelet will not start the pod without it.
    """
    found: dict[str, bool] = {}
    for kind, place, key in _places(template.get("spec") or {}):
        name = place.get(key)
        if name:
            found[f"{kind}/{name}"] = found.get(f"{kind}/{name}", False) or not place.get(
                "optional", False
            )
    return found


def track(template: Obj, lookup: Callable[[str], ConfigSeen | None]) -> Tracking:
    """The checksums of what a template uses; `lookup` answers by `configmap/<name>`."""
    checksums: dict[str, str] = {}
    missing: list[str] = []
    for key, required in sorted(references(template).items()):
        seen = lookup(key)
        if seen is None:
            missing += [key] if required else []
        elif seen.tracked:
            checksums[key] = seen.checksum
    return Tracking(checksums, tuple(missing))


def seen(obj: Obj) -> ConfigSeen:
    """What is to be kept of a live ConfigMap or Secret."""
    return ConfigSeen(checksum(obj), is_tracked(obj))


def is_tracked(obj: Obj) -> bool:
    """Whether the primary gets a copy: not opted out, and a Secret of a type users fill."""
    annotations = obj["metadata"].get("annotations") or {}
    if str(annotations.get(OPT_OUT, "")).startswith("disable"):
        return False
    return obj.get("kind") != "Secret" or obj.get("type", "") in TRACKED_SECRETS


def checksum(obj: Obj) -> str:
    """Flagger's 16 hex digits of `data`, so that its records stay true.

    Flagger overlooks `binaryData`; where there is some, `+` and 8 digits of it are added.
    """
    digest = _digest(obj.get("data"))[:16]
    binary = obj.get("binaryData")
    return f"{digest}+{_digest(binary)[:8]}" if binary else digest


def is_unchanged(recorded: str, current: str) -> bool:
    """Whether a recorded checksum, Flagger's without `binaryData` too, speaks of what is there."""
    return recorded == current or ("+" not in recorded and recorded == current.partition("+")[0])


def rename(template: Obj, names: Collection[str]) -> Obj:
    """The template with every reference to these configs (`configmap/<name>`) at its copy."""
    return _renamed(template, {key: key.partition("/")[2] + SUFFIX for key in names})


def undo_rename(template: Obj, names: Collection[str]) -> Obj:
    """The template of a primary with references to copies of these configs at the originals."""
    return _renamed(template, {key + SUFFIX: key.partition("/")[2] for key in names})


def _renamed(template: Obj, new_names: Mapping[str, str]) -> Obj:
    renamed: Obj = copied(template)
    for kind, place, key in _places(renamed.get("spec") or {}):
        new_name = new_names.get(f"{kind}/{place.get(key)}")
        if new_name is not None:
            place[key] = new_name
    return renamed


def _places(spec: Obj) -> Iterator[_Place]:
    for volume in spec.get("volumes") or ():
        yield from _sources(volume, secret_key="secretName")  # noqa: S106
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _sources(source, secret_key="name")  # noqa: S106
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            yield from _container(container)


def _sources(holder: Obj, secret_key: str) -> Iterator[_Place]:
    if holder.get("configMap"):
        yield "configmap", holder["configMap"], "name"
    if holder.get("secret"):
        yield "secret", holder["secret"], secret_key


def _container(container: Obj) -> Iterator[_Place]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if source.get("configMapKeyRef"):
            yield "configmap", source["configMapKeyRef"], "name"
        if source.get("secretKeyRef"):
            yield "secret", source["secretKeyRef"], "name"
    for source in container.get("envFrom") or ():
        if source.get("configMapRef"):
            yield "configmap", source["configMapRef"], "name"
        if source.get("secretRef"):
            yield "secret", source["secretRef"], "name"


def _digest(data: Mapping[str, Any] | None) -> str:
    return hashlib.sha256(go_json(data or None).encode()).hexdigest()


_HTML = re.compile("[<>&\u2028\u2029]")


def go_json(data: Mapping[str, Any] | None) -> str:
    """JSON as Go's encoding/json writes it: sorted, compact, `<`, `>`, `&` and the two line
    separators of Unicode escaped, other non-ASCII text as it is."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _HTML.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
