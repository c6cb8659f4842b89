"""Our CustomResourceDefinitions: Flagger's names and columns, and everything its own accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract import manifests
from tests.gen import fields
from tests.gen.tree import ROOT

from serinus.sandbox.schema import mistakes, prune, with_defaults

PLURALS = {
    "Canary": "canaries",
    "MetricTemplate": "metrictemplates",
    "AlertProvider": "alertproviders",
}
OURS: dict[str, dict[str, Any]] = {
    plural: yaml.safe_load((ROOT / f"deploy/chart/files/crds/{plural}.yaml").read_text("utf-8"))
    for plural in PLURALS.values()
}
THEIR_FIELDS = fields.parse((ROOT / fields.LIST).read_text("utf-8"))
OUR_NODES: dict[str, Mapping[str, Any]] = {
    path: node
    for plural, definition in OURS.items()
    for path, node in fields.nodes(
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], plural
    )
}


def schema_of(kind: str) -> Mapping[str, Any]:
    return OUR_NODES[PLURALS[kind]]


def name_of(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def free(path: str) -> bool:
    """Whether some node above this path keeps whatever is put into it."""
    above = path
    while "." in above:
        above = above.rpartition(".")[0]
        if OUR_NODES.get(above, {}).get("x-kubernetes-preserve-unknown-fields"):
            return True
    return False


NAMED = sorted(path for path in THEIR_FIELDS if not free(path))
KEPT = [path for path in NAMED if path in OUR_NODES]


@pytest.mark.parametrize("kind", PLURALS)
def test_the_names_are_flaggers(kind: str) -> None:
    definition = OURS[PLURALS[kind]]
    assert definition["metadata"] == {
        "name": f"{PLURALS[kind]}.flagger.app",
        "annotations": {"helm.sh/resource-policy": "keep"},
    }
    assert definition["spec"]["group"] == "flagger.app"
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": PLURALS[kind],
        "singular": kind.lower(),
        "categories": ["all"],
    }
    (version,) = definition["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
    assert version["subresources"] == {"status": {}}


def test_the_columns_are_flaggers() -> None:
    def columns(plural: str) -> list[tuple[Any, ...]]:
        (version,) = OURS[plural]["spec"]["versions"]
        return [
            (c["name"], c["type"], c["jsonPath"], c.get("priority", 0))
            for c in version["additionalPrinterColumns"]
        ]

    assert columns("canaries") == [
        ("Status", "string", ".status.phase", 0),
        ("Weight", "string", ".status.canaryWeight", 0),
        ("Suspended", "boolean", ".spec.suspend", 1),
        ("FailedChecks", "string", ".status.failedChecks", 1),
        ("Interval", "string", ".spec.analysis.interval", 1),
        ("Mirror", "boolean", ".spec.analysis.mirror", 1),
        ("StepWeight", "string", ".spec.analysis.stepWeight", 1),
        ("StepWeights", "string", ".spec.analysis.stepWeights", 1),
        ("MaxWeight", "string", ".spec.analysis.maxWeight", 1),
        ("LastTransitionTime", "string", ".status.lastTransitionTime", 0),
    ]
    assert columns("metrictemplates") == [("Provider", "string", ".spec.provider.type", 0)]
    assert columns("alertproviders") == [("Type", "string", ".spec.type", 0)]


def test_every_node_is_structural() -> None:
    def is_typed(node: Mapping[str, Any]) -> bool:
        return (
            isinstance(node.get("type"), str)
            or node.get("x-kubernetes-int-or-string") is True
            or node.get("x-kubernetes-preserve-unknown-fields") is True
        )

    assert [path for path, node in OUR_NODES.items() if not is_typed(node)] == []
    assert [p for p, n in OUR_NODES.items() if {"$ref", "nullable", "$defs"} & set(n)] == []


def test_every_field_says_what_it_is() -> None:
    silent = [
        path
        for path, node in OUR_NODES.items()
        if (".spec." in path or ".status." in path)
        and not path.endswith(("[]", "{}"))
        and not node.get("description")
    ]
    assert silent == []


def test_every_field_of_flaggers_is_kept_with_its_type_and_default() -> None:
    def is_kept(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
        wider = {"integer": {"integer", "number"}}
        same = ("default", "x-kubernetes-int-or-string")
        return ours.get("type") in wider.get(theirs.get("type", ""), {theirs.get("type")}) and all(
            ours.get(key) == theirs.get(key) for key in same
        )

    assert [p for p in NAMED if not is_kept(THEIR_FIELDS[p], OUR_NODES.get(p, {}))] == []


@pytest.mark.parametrize("low", ["minimum", "minLength", "minItems", "minProperties"])
def test_no_lower_bound_is_higher_than_flaggers(low: str) -> None:
    bounds = {p: (THEIR_FIELDS[p].get(low), OUR_NODES[p][low]) for p in KEPT if low in OUR_NODES[p]}
    assert {p: b for p, b in bounds.items() if b[0] is None or b[1] > b[0]} == {}


@pytest.mark.parametrize("high", ["maximum", "maxLength", "maxItems"])
def test_no_upper_bound_is_lower_than_flaggers(high: str) -> None:
    bounds = {
        p: (THEIR_FIELDS[p].get(high), OUR_NODES[p][high]) for p in KEPT if high in OUR_NODES[p]
    }
    assert {p: b for p, b in bounds.items() if b[0] is None or b[1] < b[0]} == {}


def test_only_what_flagger_has_as_one_of_is_limited_to_one_property() -> None:
    limited = {p.rpartition(".")[2] for p in KEPT if OUR_NODES[p].get("maxProperties") == 1}
    assert limited == {
        "uri",
        "scheme",
        "method",
        "authority",
        "allowOrigins[]",
        *(f"{conditions}{{}}" for conditions in ("headers", "withoutHeaders", "queryParams")),
    }


def test_every_word_that_flagger_knows_is_known() -> None:
    words = {p: set(OUR_NODES[p]["enum"]) for p in KEPT if "enum" in OUR_NODES[p]}
    assert {
        p for p, known in words.items() if not {*THEIR_FIELDS[p].get("enum", [p])} <= known
    } == set()


def test_nothing_is_required_that_flagger_does_not_require() -> None:
    more = {
        p: set(OUR_NODES[p].get("required", ()))
        - set(THEIR_FIELDS[p].get("required", ()))
        - one_of(p)
        for p in KEPT
    }
    assert {p: names for p, names in more.items() if names} == {}


def test_no_format_is_demanded_that_flagger_does_not_demand() -> None:
    formats = {p: (THEIR_FIELDS[p].get("format"), OUR_NODES[p].get("format")) for p in KEPT}
    assert {p: f for p, f in formats.items() if f[1] not in (None, f[0])} == {}


def one_of(path: str) -> set[str]:
    """What Flagger requires through a `oneOf` whose every branch names it."""
    return {"type"} if path == "alertproviders.spec" else set()


PATTERNS = sorted(
    {
        (THEIR_FIELDS[p].get("pattern", ""), OUR_NODES[p]["pattern"])
        for p in KEPT
        if "pattern" in OUR_NODES[p]
    }
)


@pytest.mark.parametrize(("theirs", "ours"), PATTERNS)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_text_that_flaggers_pattern_accepts_ours_accepts(
    theirs: str, ours: str, data: st.DataObject
) -> None:
    assert theirs, "a pattern where Flagger takes any text"
    schema = {"type": "string", "pattern": ours}
    assert list(mistakes(data.draw(st.from_regex(theirs)), schema)) == []


@pytest.mark.parametrize("manifest", manifests.of_flagger(), ids=name_of)
def test_a_manifest_for_flagger_is_accepted_whole(manifest: dict[str, Any]) -> None:
    assert_accepted_whole(manifest)


@pytest.mark.parametrize("manifest", manifests.of_the_guide(), ids=name_of)
def test_a_manifest_of_the_guide_is_accepted_whole(manifest: dict[str, Any]) -> None:
    assert_accepted_whole(manifest)


@pytest.mark.parametrize("manifest", manifests.of_the_examples(), ids=name_of)
def test_a_worked_example_of_the_guide_is_accepted_whole(manifest: dict[str, Any]) -> None:
    assert_accepted_whole(manifest)


def test_the_recorded_manifests_are_accepted_whole() -> None:
    for manifest in manifests.recorded():
        assert_accepted_whole(manifest)


def assert_accepted_whole(manifest: dict[str, Any]) -> None:
    schema = schema_of(manifest["kind"])
    kept, unknown = prune(manifest, schema)
    assert unknown == []
    assert list(mistakes(with_defaults(kept, schema), schema)) == []


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"analysis": {}}, "spec.targetRef"),
        ({"provider": "istoi"}, "spec.provider"),
        ({"service": {"targetPort": 80}}, "spec.service.port"),
        ({"analysis": {"interval": "soon"}}, "spec.analysis.interval"),
        ({"analysis": {"metrics": [{"interval": "1m"}]}}, "spec.analysis.metrics[0].name"),
    ],
)
def test_a_manifest_that_nobody_could_mean_is_refused_with_its_path(
    spec: dict[str, Any], where: str
) -> None:
    target = {} if where == "spec.targetRef" else {"targetRef": {"apiVersion": "apps/v1"}}
    whole = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"}}
    found = [
        path for path, _, _ in mistakes({**whole, "spec": {**target, **spec}}, schema_of("Canary"))
    ]
    assert [path for path in found if where in path]


def test_an_alert_provider_without_any_address_is_refused() -> None:
    manifest = {"kind": "AlertProvider", "metadata": {"name": "x"}, "spec": {"type": "slack"}}
    assert list(mistakes(manifest, schema_of("AlertProvider")))
