"""Manifests from a file: the Canary to try, and the MetricTemplates beside it.

What a cluster would refuse, the API server or the ring, is refused here in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct
from msgspec.inspect import DictType, Field, StructType, Type, UnionType, VarTupleType, type_info

from serinus.events import CanaryRef, CanarySpec, MetricTemplateSpec, Problem
from serinus.watcher.core.decode import decode_spec


class Unusable(ValueError):
    """What was given cannot be used; the text says why."""


class Manifest(Struct, frozen=True, kw_only=True):
    """path  where it was read, for messages about it"""

    path: str
    ref: CanaryRef
    spec: CanarySpec
    templates: dict[str, MetricTemplateSpec] = {}


def read(path: str) -> Manifest:
    """The one Canary of a YAML file. Raises Unusable."""
    try:
        documents = list(yaml.safe_load_all(Path(path).read_text("utf-8")))
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise Unusable(f"{path}: {error}") from None
    objects = [doc for doc in documents if isinstance(doc, dict)]
    canaries = [doc for doc in objects if doc.get("kind") == "Canary"]
    if len(canaries) != 1:
        raise Unusable(f"{path}: one Canary is wanted, there are {len(canaries)}")
    (canary,) = canaries
    meta = canary.get("metadata") or {}
    namespace = meta.get("namespace") or "default"
    spec, problems = decode_spec(canary.get("spec"))
    refuse(path, (*unknown(canary.get("spec"), type_info(CanarySpec), "spec"), *problems))
    templates = [doc for doc in objects if doc.get("kind") == "MetricTemplate"]
    ref = CanaryRef(namespace, str(meta.get("name") or "canary"), "rehearsal")
    found = {_key(doc, namespace): _template(path, doc) for doc in templates}
    return Manifest(path=path, ref=ref, spec=spec, templates=found)


def refuse(path: str, problems: Sequence[Problem]) -> None:
    """Raises Unusable where there are any."""
    if problems:
        raise Unusable("\n".join(f"{path}: {problem}" for problem in problems))


def unknown(raw: Any, wanted: Type, path: str) -> Iterator[Problem]:
    """Fields that a strict API server does not let through. What has the wrong type is passed over:
    it is told by who decodes it."""
    kinds = wanted.types if isinstance(wanted, UnionType) else (wanted,)
    for kind in kinds:
        match kind:
            case StructType() if isinstance(raw, dict):
                fields = {field.encode_name: field for field in kind.fields}
                for name, value in raw.items():
                    yield from _field(value, fields, str(name), path)
            case VarTupleType() if isinstance(raw, list):
                for index, item in enumerate(raw):
                    yield from unknown(item, kind.item_type, f"{path}[{index}]")
            case DictType() if isinstance(raw, dict):
                for name, value in raw.items():
                    yield from unknown(value, kind.value_type, f"{path}.{name}")


def _field(value: Any, fields: dict[str, Field], name: str, path: str) -> Iterator[Problem]:
    if name in fields:
        yield from unknown(value, fields[name].type, f"{path}.{name}")
        return
    alike = get_close_matches(name, fields, 1)
    cure = f"did you mean {alike[0]}?" if alike else "leave it out"
    yield Problem(f"{path}.{name}", "is no field", cure)


def _template(path: str, document: dict[str, Any]) -> MetricTemplateSpec:
    name = (document.get("metadata") or {}).get("name", "")
    try:
        return msgspec.convert(document.get("spec"), MetricTemplateSpec)
    except msgspec.ValidationError as error:
        raise Unusable(f"{path}: MetricTemplate {name}: {error}") from None


def _key(template: dict[str, dict[str, str]], namespace: str) -> str:
    meta = template.get("metadata") or {}
    return f"{meta.get('namespace') or namespace}/{meta.get('name', '')}"
