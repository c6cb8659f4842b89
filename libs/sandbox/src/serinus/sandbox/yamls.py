"""YAML by the fast parser where PyYAML has it; ten times the speed on a CRD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str | bytes) -> Iterator[Any]:
    """The documents of a text, empty ones left out; raises yaml.YAMLError."""
    for document in yaml.load_all(text, Loader=_LOADER):
        if document is not None:
            yield document
