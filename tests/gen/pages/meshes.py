"""docs/meshes: the objects are those that the router makes of the page's own example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
from msgspec.structs import replace
from tests.gen.pages import page
from tests.gen.pages.play import NAMESPACE, exposure_of, played, story_of
from tests.gen.rbac import plural
from tests.planes.catalog import PLANES

from serinus.analyzer.core.queries import (
    DURATION,
    SUCCESS_RATE,
    builtin_query,
    factor,
    metrics_provider,
    names_of,
    observer_of,
    unit_of,
)
from serinus.events import Routes, WorkloadSeen
from serinus.events.canary import HttpMatch
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.conditions import Form
from serinus.router.core.objects import Live, Refusal
from serinus.router.meshes.catalog import MESHES, Ability, Row

FOLDER = "meshes"
FORMS: tuple[Form, ...] = get_args(Form)
# It makes nothing: the target is the route.
KNATIVE = "knative"
ABILITIES = {
    Ability.WEIGHT: ("shares by weight", "canary.md"),
    Ability.MATCH: ("A/B by match", "ab-testing.md"),
    Ability.MIRROR: ("mirroring", "mirroring.md"),
    Ability.STICKY: ("session affinity", "session-affinity.md"),
}


def files() -> Mapping[str, str]:
    found = page.words(FOLDER, tuple(MESHES))
    return {
        f"docs/{FOLDER}/{page.file_name(name)}.md": page.whole(_page(row, found[name]))
        for name, row in MESHES.items()
    }


def _page(row: Row, of: page.Words) -> Iterator[str]:
    objects = page.example(FOLDER, row.name)
    abilities = ("`spec.provider`", *(text for text, _ in ABILITIES.values()))
    yield from page.opening(FOLDER, row.name, of, [page.table(abilities, [_can(row)])])
    yield from _written(row, objects)
    yield from _conditions(row, objects)
    yield from _measured(row, objects)
    yield from page.release(FOLDER, row.name, of)
    yield from _looks(row, objects)
    yield from page.bullets("Limits", [*_cannot(row), *of.limits])
    yield from _asked(row)
    yield from page.more(of.more or [("Routes of your own", "../your-own-routes.md")])


def _can(row: Row) -> list[str]:
    return [
        f"`{row.name}`",
        *(
            f"[yes](../strategies/{to})" if a in row.can else "–"
            for a, (_, to) in ABILITIES.items()
        ),
    ]


_REFUSED = "No {}: a canary that asks for it is refused, with a text that names those that can."
_MADE = """\
The Deployment `web-primary` with a copy of the ConfigMaps and Secrets that it uses, the Services
`web-primary` and `web-canary`, and the Service `web`, which leads to the primary. The Deployment
`web` itself is scaled to 0 between releases.
"""
_KEPT = """\
Between releases it is the same with {none} for the canary. Pods of a canary that lost its traffic
stay for {settle_s:g} s, until every proxy has heard of it. What is written here {gone}.
"""


def _cannot(row: Row) -> Iterator[str]:
    for ability, (text, _) in ABILITIES.items():
        if ability not in row.can and ability is not Ability.WEIGHT:
            yield _REFUSED.format(text)


def rendered(
    row: Row, objects: list[Obj], routes: Routes, match: tuple[HttpMatch, ...] = ()
) -> list[Obj]:
    """The route objects of an example, as the router writes them. Raises Refusal."""
    there = [{**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}} for obj in objects]
    if row.name == KNATIVE:
        there = [_with_revisions(obj) for obj in there]
    live = Live({ref_of(obj): obj for obj in there})
    exposure = replace(exposure_of(objects), match=match)
    found = row.mesh.render(exposure, routes, live)
    return [{key: value for key, value in obj.items() if key != "status"} for obj in found]


def _with_revisions(obj: Obj) -> Obj:
    """A Knative Service whose first revision is live, and whose second was just made."""
    if obj["kind"] != "Service":
        return obj
    noted = {"flagger.app/primary-revision": "web-00001"}
    meta = {**obj["metadata"], "annotations": noted}
    return {**obj, "metadata": meta, "status": {"latestCreatedRevisionName": "web-00002"}}


def _written(row: Row, objects: list[Obj]) -> Iterator[str]:
    yield "## What is written\n"
    if row.name != KNATIVE:
        yield _MADE
    if not row.kinds:
        return
    share = next(step.routes for step in played(objects) if step.routes.canary)
    yield f"At the first step of this example, {share.canary} % for the canary:\n"
    yield f"```yaml\n{page.dumped(rendered(row, objects, share))}```\n"
    none, gone = "no share", "goes with the Canary, its owner"
    if row.deletes:
        gone = "is deleted with the Canary"
    if row.name == KNATIVE:
        none, gone = "0 percent", "is yours and stays, with its `spec.traffic`"
    yield _KEPT.format(none=none, settle_s=row.settle_s, gone=gone)


def _conditions(row: Row, objects: list[Obj]) -> Iterator[str]:
    """What of an A/B condition this mesh can say, found by asking for it."""
    if Ability.MATCH not in row.can:
        return

    def forms(field: str) -> list[str]:
        return [form for form in FORMS if says({field: {"x-canary": {form: "a"}}})]

    def says(*match: dict[str, Any]) -> bool:
        wanted = msgspec.convert(match, tuple[HttpMatch, ...])
        try:
            rendered(row, objects, Routes(primary=0, canary=100, match=wanted), wanted)
        except Refusal:
            return False
        return True

    one = {"headers": {"x-canary": {"exact": "a"}}}
    rows = [("a header", forms("headers")), ("a query parameter", forms("queryParams"))]
    lines = [f"- {what}: {', '.join(found)}" for what, found in rows if found]
    if not lines:
        return
    several = says(one, {"headers": {"x-team": {"exact": "b"}}})
    both = says({"headers": {"x-canary": {"exact": "a"}, "x-team": {"exact": "b"}}})
    lines.append(f"- several conditions at once: {'yes' if both else 'no'}")
    lines.append(f"- alternatives: {'yes' if several else 'no'}")
    yield "In [A/B conditions](../strategies/ab-testing.md) it understands:\n"
    yield "\n".join(lines) + "\n"


def _measured(row: Row, objects: list[Obj]) -> Iterator[str]:
    """The built-in checks of the example as they are sent."""
    story = story_of(objects)
    provider = metrics_provider(story.spec.provider, "", story.spec.target_ref)
    seen = WorkloadSeen(latest="web-00002") if row.name == KNATIVE else None
    names = names_of(NAMESPACE, "web", story.spec, seen)
    observer = observer_of(provider)
    yield "## How it is measured\n"
    yield "The built-in checks, on Prometheus:\n"
    yield "```promql"
    for check in (SUCCESS_RATE, DURATION):
        unit = unit_of(check) if factor(observer, check) == 1 else "s"
        yield f"# {check}, in {unit}"
        yield builtin_query(observer, check, names)
    yield "```\n"
    yield "Other [sources](../README.md#metrics-sources) take queries of yours.\n"


def _looks(row: Row, objects: list[Obj]) -> Iterator[str]:
    """How to see what was written."""
    if not row.kinds:
        return
    lines = []
    for obj in rendered(row, objects, Routes(primary=90, canary=10)):
        group = obj["apiVersion"].rpartition("/")[0]
        space = f" --namespace {NAMESPACE}" if "namespace" in obj["metadata"] else ""
        what = f"{plural(obj['kind'])}.{group}"
        lines.append(f"kubectl{space} get {what} {obj['metadata']['name']} --output yaml")
    yield from page.commands("See for yourself", lines)


def _asked(row: Row) -> Iterator[str]:
    planes = [plane for plane in PLANES if plane.mesh == row.name]
    if planes:
        yield "## Data planes that were asked\n"
        yield (
            "With real requests ([how](../support.md#data-planes-that-were-asked)): "
            + ", ".join(f"{p.title}{f' ({p.note})' if p.note else ''}" for p in planes)
            + ".\n"
        )
