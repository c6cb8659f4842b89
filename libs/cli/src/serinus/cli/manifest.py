"""Manifests from a file: the Canary to try, and the MetricTemplates beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml
from msgspec import Struct

from serinus.events import CanaryRef, CanarySpec, MetricTemplateSpec


class Unusable(ValueError):
    """What was given cannot be used; the text says why."""


class Manifest(Struct, frozen=True, kw_only=True):
    ref: CanaryRef
    spec: CanarySpec
    templates: dict[str, MetricTemplateSpec] = {}


def read(path: str) -> Manifest:
    """The one Canary of a YAML file. Raises Unusable."""
    try:
        documents = list(yaml.safe_load_all(Path(path).read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Unusable(f"{path}: {error}") from None
    objects = [doc for doc in documents if isinstance(doc, dict)]
    canaries = [doc for doc in objects if doc.get("kind") == "Canary"]
    if len(canaries) != 1:
        raise Unusable(f"{path}: one Canary is wanted, there are {len(canaries)}")
    (canary,) = canaries
    meta = canary.get("metadata") or {}
    namespace = meta.get("namespace") or "default"
    try:
        spec = msgspec.convert(canary.get("spec"), CanarySpec)
        templates = {
            _key(doc, namespace): msgspec.convert(doc.get("spec"), MetricTemplateSpec)
            for doc in objects
            if doc.get("kind") == "MetricTemplate"
        }
    except msgspec.ValidationError as error:
        raise Unusable(f"{path}: {error}") from None
    ref = CanaryRef(namespace, str(meta.get("name") or "canary"), "rehearsal")
    return Manifest(ref=ref, spec=spec, templates=templates)


def _key(template: dict[str, dict[str, str]], namespace: str) -> str:
    meta = template.get("metadata") or {}
    return f"{meta.get('namespace') or namespace}/{meta.get('name', '')}"
