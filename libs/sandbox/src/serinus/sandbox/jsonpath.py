"""The part of JSONPath that printer columns use. Pure."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\]\\])+)
      | \[(?P<index>\d+|\*)\]
      | \['(?P<quoted>[^']*)'\]
      | \[\?\(@\.(?P<field>[\w.]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]""",
    re.VERBOSE,
)


def find(obj: Any, path: str) -> list[Any]:
    """All values at `path`, which starts with a dot; none where the path leads nowhere."""
    here = [obj]
    for step in _STEP.finditer(path):
        here = [found for value in here for found in _step(value, step)]
    return here


def _step(value: Any, step: re.Match[str]) -> list[Any]:
    name = step["name"] or step["quoted"]
    if name is not None:
        name = name.replace("\\.", ".")
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    if step["field"]:
        return [item for item in value if find(item, "." + step["field"]) == [step["value"]]]
    if step["index"] == "*":
        return value
    return value[int(step["index"]) :][:1]
