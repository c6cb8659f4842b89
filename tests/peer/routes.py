"""Each route object of a recorded run, and what our mesh renders in its place. Pure; no servers.

The manifest is the Canary's as it was when the object was written. Weights, mirroring and cookies
are read off the recorded object (they are random or depend on the moment); everything else must
come out of the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.builders import a_rollout, a_status, a_workload_seen
from tests.peer.scenario import Scenario

from serinus.analyzer.core.desired import desired
from serinus.events import CanaryRef, CanarySpec, Cookies, Exposure, Routes, Selector
from serinus.events.canary import analysis_of
from serinus.kube.refs import Ref, owner_reference
from serinus.router.core.objects import Live, NotYet, Refusal
from serinus.router.meshes.catalog import MESHES, Row

Obj = dict[str, Any]
SELECTOR_LABELS = ("app", "name", "app.kubernetes.io/name", "k8s-app", "tier")
_SET_COOKIE = re.compile(r'"((?P<name>[\w-]+)=<[^>"]+>); Max-Age=(?P<age>-?\d+)')


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One state of one object as Flagger wrote it and as we do."""

    moment: str
    kind: str
    name: str
    flagger: Obj
    serinus: Obj

    def lines(self, who: str) -> list[str]:
        """The aspects that are compared, in the form of `story.py`."""
        obj: Obj = getattr(self, who)
        meta = {key: obj.get(key) or {} for key in ("labels", "annotations")}
        return [
            f"{self.kind}/{self.name} {aspect} {json.dumps(value, sort_keys=True)}"
            for aspect, value in (("metadata", meta), ("spec", obj.get("spec")))
        ]


def written(scenario: Scenario, trace: Sequence[Obj], folder: Path) -> Iterator[Written]:
    """Every route object that Flagger wrote in a run of one of our meshes."""
    row = MESHES.get(scenario.provider or "")
    if row is None:
        return
    target = _target(scenario)
    known: dict[tuple[str, str], Obj] = {}
    theirs: set[tuple[str, str]] = set()
    for number, line in enumerate(trace, 1):
        if line["src"] == "stimulus" and "kind" in line:
            theirs.add((line["kind"], line["name"]))
        if line["src"] != "kube" or line["op"] not in ("ADDED", "MODIFIED"):
            continue
        key = line["kind"], line["name"]
        is_users = key in theirs
        if line["kind"] in {kind for _, kind in row.objects} and not is_users:
            found = _closest(scenario, row, line, known, _specs(scenario, folder), target)
            if found is not None:
                yield msgspec.structs.replace(found, moment=f"line {number}, tick {line['tick']}")
        theirs.discard(key)
        known[key] = line | {"by_user": is_users or known.get(key, {}).get("by_user", False)}


def _closest(
    scenario: Scenario,
    row: Row,
    line: Obj,
    known: dict[tuple[str, str], Obj],
    specs: Sequence[CanarySpec],
    target: Obj | None,
) -> Written | None:
    """What we make of the line with the manifest that fits best; None: not a route of ours."""
    found = None
    for spec in specs:
        exposure = _exposure(scenario.name, spec, target)
        recorded = _live(row, exposure, known | {(line["kind"], line["name"]): line})
        before = {k: v for k, v in known.items() if k[1] != line["name"] or v.get("by_user")}
        live = _live(row, exposure, before)
        routes = _routes(row, exposure, spec, recorded, line)
        try:
            rendered = row.mesh.render(exposure, routes, live)
        except Refusal as refusal:
            refused = {"refused": refusal.text}
            rendered = [{"kind": line["kind"], "metadata": {"name": line["name"]}, "spec": refused}]
        ours = [o for o in rendered if (o["kind"], o["metadata"]["name"]) == _key(line)]
        if not ours:
            continue
        shown = {**ours[0]["metadata"], "spec": ours[0].get("spec")}
        one = Written(moment="", kind=line["kind"], name=line["name"], flagger=line, serinus=shown)
        if found is None or one.lines("serinus") == one.lines("flagger"):
            found = one
    return found


def _key(line: Obj) -> tuple[str, str]:
    return line["kind"], line["name"]


def _specs(scenario: Scenario, folder: Path) -> list[CanarySpec]:
    """The manifests that the Canary had in this run."""
    texts: dict[str, Obj] = {}
    applied = (o for step in scenario.steps for o in step.apply)
    stored = (
        o for f in sorted(folder.glob("final/*.yaml")) for o in yaml.safe_load_all(f.read_text())
    )
    for manifest in (*applied, *stored):
        if manifest["kind"] == "Canary":
            texts.setdefault(json.dumps(manifest["spec"], sort_keys=True), manifest["spec"])
    return [msgspec.convert(spec, CanarySpec) for spec in texts.values()]


def _target(scenario: Scenario) -> Obj | None:
    applied = (o for step in scenario.steps for o in step.apply)
    return next((o for o in applied if o["kind"] in ("Deployment", "DaemonSet")), None)


def _exposure(namespace: str, spec: CanarySpec, target: Obj | None) -> Exposure:
    seen: dict[str, Any] = {"canary": CanaryRef(namespace, "web", "uid")}
    if target is not None:
        labels = target["spec"]["selector"]["matchLabels"]
        key = next(k for k in SELECTOR_LABELS if k in labels)
        seen["target"] = a_workload_seen(selector=Selector(key, labels[key]))
    return desired(a_rollout(spec=spec, status=a_status("Initialized"), seen=seen)).exposure


def _live(row: Row, exposure: Exposure, known: dict[tuple[str, str], Obj]) -> Live:
    found: dict[Ref, Obj] = {}
    for ref in row.mesh.needs(exposure):
        line = known.get((ref.kind, ref.name))
        if line is not None:
            meta = {k: line[k] for k in ("labels", "annotations") if k in line}
            meta |= {"name": ref.name, "namespace": ref.namespace}
            if line.get("owners"):
                meta["ownerReferences"] = [owner_reference(CanaryRef(ref.namespace, "web", "uid"))]
            found[ref] = {
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "metadata": meta,
                "spec": _with_zeroes(line.get("spec"), ref.kind),
            }
    return Live(found)


def _with_zeroes(spec: Any, kind: str) -> Any:
    """Flagger leaves out a weight of zero in these kinds, whatever it means to the proxy."""
    if kind not in ("TraefikService", "HTTPProxy", "RouteTable"):
        return spec
    if isinstance(spec, list):
        return [_with_zeroes(one, kind) for one in spec]
    if isinstance(spec, dict):
        whole = {key: _with_zeroes(one, kind) for key, one in spec.items()}
        is_share = "destination" in whole or {"name", "port"} <= whole.keys()
        return {"weight": 0, **whole} if is_share else whole
    return spec


def _routes(row: Row, exposure: Exposure, spec: CanarySpec, recorded: Live, line: Obj) -> Routes:
    """The weights, the mirror and the cookies that a recorded object holds."""
    analysis = analysis_of(spec)
    text = json.dumps(line["spec"])
    wanted = Routes(match=analysis.match if analysis.iterations > 0 else ())
    if analysis.session_affinity is not None:
        values = {"canary": "", "primary": "", "previous": ""}
        for match in _SET_COOKIE.finditer(text):
            is_primary = match["name"] == analysis.session_affinity.primary_cookie_name
            role = "previous" if match["age"] == "-1" else "primary" if is_primary else "canary"
            values[role] = match[1]
        cookies = Cookies(settings=analysis.session_affinity, primary_max_age_s=10, **values)
        wanted = msgspec.structs.replace(wanted, cookies=cookies)
    seen = row.mesh.observe(exposure, wanted, recorded)
    now = seen.routes if isinstance(seen, NotYet) else seen
    now = now or wanted
    weight = analysis.mirror_weight if now.mirror else 0
    match = analysis.match if now.canary else ()
    return msgspec.structs.replace(now, mirror_weight=weight, match=match)
