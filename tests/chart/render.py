"""The chart rendered with each set of values; `python -m tests.chart.render` writes the goldens.

Goldens leave out what is generated elsewhere (definitions of custom resources, rights, dashboards,
users of NATS, the release test's program) and what is random.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.tools.helm import CHART, helm

HERE = Path(__file__).parent
VALUES = sorted((HERE / "values").glob("*.yaml"))
SETS = [file.stem for file in VALUES]
GOLDENS = HERE / "goldens"
NAMESPACE = "serinus"
BASE, ALONE = "defaults", "loadtester"
LEFT_OUT = "as generated"
RANDOM = "random"

Obj = dict[str, Any]


def charts() -> dict[str, Path]:
    """The chart of each set of values."""
    return {name: CHART / "charts" / ALONE if name == ALONE else CHART for name in SETS}


@cache
def rendered(name: str) -> tuple[Obj, ...]:
    """Every object of one set of values, hooks included. Raises ServerError."""
    release = "flagger-loadtester" if name == ALONE else "serinus"
    values = str(HERE / "values" / f"{name}.yaml")
    words = ("--namespace", NAMESPACE, "--values", values)
    text = helm("template", release, str(charts()[name]), *words)
    return tuple(obj for obj in yaml.safe_load_all(text) if obj)


def pods(objs: tuple[Obj, ...]) -> dict[str, Obj]:
    """The pods that they ask for by name: `metadata` and `spec`."""
    found = {}
    for obj in objs:
        if obj["kind"] in ("Deployment", "StatefulSet"):
            found[obj["metadata"]["name"]] = obj["spec"]["template"]
        elif obj["kind"] == "Pod":
            found[obj["metadata"]["name"]] = obj
    return found


def golden(name: str) -> str:
    """What a reviewer reads of one set of values: all of it, or how it differs from BASE."""
    head = f"# Rendered with values/{name}.yaml; written by: python -m tests.chart.render\n"
    if name in (BASE, ALONE):
        return head + _whole(name)
    lines = difflib.unified_diff(
        _whole(BASE).splitlines(), _whole(name).splitlines(), BASE, name, lineterm=""
    )
    # Without line numbers: what is changed above would change them all.
    return head + "\n".join("@@" if line.startswith("@@") else line for line in lines) + "\n"


def path(name: str) -> Path:
    return GOLDENS / f"{name}.{'yaml' if name in (BASE, ALONE) else 'diff'}"


def _whole(name: str) -> str:
    objs = sorted(
        (_brief(o) for o in rendered(name) if o["kind"] != "CustomResourceDefinition"),
        key=lambda obj: (obj["kind"], obj["metadata"]["name"]),
    )
    return yaml.safe_dump_all(objs, sort_keys=False, width=120)


def _brief(obj: Obj) -> Obj:
    kind = obj["kind"]
    if kind in ("ClusterRole", "Role") and not obj["metadata"]["name"].endswith("-test"):
        return {**obj, "rules": LEFT_OUT}
    if kind == "Secret" and "data" in obj:
        return {**obj, "data": dict.fromkeys(obj["data"], RANDOM)}
    if kind == "ConfigMap":
        return {**obj, "data": {key: _text(key, text) for key, text in obj["data"].items()}}
    return _without_checksums(obj)


def _text(key: str, text: str) -> str:
    return (
        LEFT_OUT if key.endswith((".json", ".py")) else text.partition("authorization {\n  us")[0]
    )


def _without_checksums(value: Any) -> Any:
    """A checksum of what is shown anyway, or is left out on purpose."""
    if isinstance(value, Mapping):
        return {
            key: RANDOM if key.startswith("checksum/") else _without_checksums(one)
            for key, one in value.items()
        }
    return [_without_checksums(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    for name in SETS:
        path(name).write_text(golden(name), "utf-8")
