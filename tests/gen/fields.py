"""Flagger's schema as a list of facts: one line per field, with what it accepts there.

The list is committed, so that the superset is proven on machines that have no copy of Flagger's
definitions; where there is one, the list itself is checked against it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

LIST = "tests/contract/flagger_fields.txt"
_CONSTRAINTS = (
    "type",
    "enum",
    "default",
    "format",
    "pattern",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
)
_HEAD = """\
# What Flagger's CustomResourceDefinitions accept, field by field: path, then constraints as JSON.
# `[]` is an item of a list, `{}` a value of a map. Written by `make gen` where Flagger's own file
# is at hand (SERINUS_MESH_CRDS, see tests/contract/README.md); compared with ours by test_crds.py.
"""


def flagger_file() -> Path:
    """Where Flagger's definitions are looked for; nobody promises that they are there."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "crds"
    return Path(os.environ.get("SERINUS_MESH_CRDS") or beside) / "flagger" / "crd.yaml"


def files() -> dict[str, str]:
    """The list, made anew; nothing where Flagger's file is not at hand."""
    source = flagger_file()
    if not source.exists():
        return {}
    documents = yaml.safe_load_all(source.read_text(encoding="utf-8"))
    lines = [
        f"{path} {json.dumps(constraints)}"
        for document in documents
        for path, constraints in constraints_of(document).items()
    ]
    return {LIST: _HEAD + "\n".join(lines) + "\n"}


def parse(text: str) -> dict[str, dict[str, Any]]:
    """The list, read back: path to constraints."""
    rows = (line.split(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {path: json.loads(constraints) for path, constraints in rows}


def constraints_of(definition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every field of a definition's newest version with what it accepts."""
    plural = definition["spec"]["names"]["plural"]
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {path: _constraints(node) for path, node in nodes(schema, plural)}


def nodes(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema node below and including this one, by its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(values := schema.get("additionalProperties"), Mapping):
        yield from nodes(values, f"{path}{{}}")


def _constraints(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: node[key] for key in _CONSTRAINTS if key in node}
