"""A recorded run's script: what was applied when, and what the outside world answered. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.servers.kubelet import Rule
from tests.servers.stub import Answers, Reply

Obj = dict[str, Any]


class When(msgspec.Struct, frozen=True, kw_only=True):
    """All of these must hold, counted from the step before."""

    phase: str | None = None
    weight: int | None = None
    iterations: int | None = None
    failed_checks: int | None = msgspec.field(name="failedChecks", default=None)
    event: str | None = None
    hook: str | None = None
    times: int = 1
    seconds: float = 0.0
    absent: str | None = None
    present: str | None = None


class Patch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    api_version: str
    kind: str
    name: str
    patch: list[Obj] | Obj


class Deletion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    api_version: str
    kind: str
    name: str


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    answers: tuple[Reply, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Waits for `when`, then `after` seconds, then does the rest."""

    when: When = When()
    after: float = 0.0
    apply: tuple[Obj, ...] = ()
    patch: tuple[Patch, ...] = ()
    delete: tuple[Deletion, ...] = ()
    hooks: tuple[Hook, ...] | None = None
    prometheus: tuple[Answers, ...] | None = None
    kubelet: tuple[Rule, ...] | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    kubelet: tuple[Rule, ...] = ()
    http_route_status: str | Obj = "none"


class Controller(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    flags: tuple[str, ...] = ()


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded run. Its name is the namespace that it runs in."""

    name: str
    title: str
    features: tuple[str, ...]
    provider: str | None
    controller: Controller
    prometheus: tuple[Answers, ...]
    steps: tuple[Step, ...]
    hooks: tuple[Hook, ...] = ()
    chat_status: dict[str, int] = msgspec.field(name="chatStatus", default_factory=dict)
    environment: Environment = Environment()
    crds: str = ""

    def manifests(self, kind: str) -> list[Obj]:
        """What is applied of one kind, in all steps."""
        return [one for step in self.steps for one in step.apply if one["kind"] == kind]


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """Where the recorded names lead in this run."""

    prometheus: str
    hooks: str
    chat: str


def read(folder: Path) -> Scenario:
    """The scenario in a folder of recorded runs. Raises msgspec.ValidationError."""
    document = yaml.safe_load((folder / "scenario.yaml").read_text())
    return msgspec.convert(document, Scenario)


def trace(folder: Path) -> list[Obj]:
    """The recorded observations, in order."""
    with (folder / "trace.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


def final(folder: Path) -> list[Obj]:
    """The objects that were there at the end of the run."""
    last = sorted((folder / "final").glob("*.yaml"))[-1:]
    return [one for file in last for one in yaml.safe_load_all(file.read_text()) if one]


def settings(flags: Sequence[str], hosts: Hosts) -> dict[str, str]:
    """The controller's flags as our settings, which have the same names."""
    found = {}
    for flag in flags:
        name, _, value = flag.lstrip("-").partition("=")
        found["SERINUS_" + name.upper().replace("-", "_")] = _rehosted(value or "true", hosts)
    return found


def adapted(manifest: Obj, hosts: Hosts, scale: float) -> Obj:
    """The same manifest for this run: our hosts, and everything `scale` times faster.

    A Canary's own `metricsServer` keeps the scenarios' queries apart. Progress deadlines are
    shortened only where a run waits for them: the usual 60 s stand in texts that are compared.
    """
    found: Obj = _rehosted(manifest, hosts)
    spec = found.get("spec") or {}
    if "progressDeadlineSeconds" in spec and spec["progressDeadlineSeconds"] < 60:
        spec["progressDeadlineSeconds"] = max(1, round(spec["progressDeadlineSeconds"] / scale))
    if found["kind"] == "Canary":
        spec.setdefault("metricsServer", hosts.prometheus)
        analysis = spec.get("analysis") or spec.get("canaryAnalysis") or {}
        if "interval" in analysis:
            analysis["interval"] = faster(analysis["interval"], scale)
    return found


def adapted_patch(patch: list[Obj] | Obj, hosts: Hosts, scale: float) -> list[Obj] | Obj:
    """The same patch for this run; see `adapted`."""
    found: list[Obj] | Obj = _rehosted(patch, hosts)
    if isinstance(found, list):
        for operation in found:
            if operation["path"] == "/spec/analysis/interval":
                operation["value"] = faster(operation["value"], scale)
        return found
    analysis = (found.get("spec") or {}).get("analysis") or {}
    if "interval" in analysis:
        analysis["interval"] = faster(analysis["interval"], scale)
    return found


def faster(interval: str, scale: float) -> str:
    """A duration of whole seconds, `scale` times shorter."""
    return f"{float(interval.removesuffix('s')) / scale * 1000:.0f}ms"


def _rehosted(value: Any, hosts: Hosts) -> Any:
    match value:
        case str():
            named: Mapping[str, str] = {
                "http://prometheus.test": hosts.prometheus,
                "http://hooks.test": hosts.hooks,
                "http://chat.test": hosts.chat,
            }
            for name, address in named.items():
                value = value.replace(name, address)
            return value
        case dict():
            return {key: _rehosted(item, hosts) for key, item in value.items()}
        case list():
            return [_rehosted(item, hosts) for item in value]
        case _:
            return value
