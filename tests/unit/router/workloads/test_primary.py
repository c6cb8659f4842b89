"""What every primary has in common."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment

from serinus.events.canary import Placement, Toleration
from serinus.kube.revision import template_hash
from serinus.router.core.objects import PROMOTED_CONFIGS, PROMOTED_REVISION
from serinus.router.workloads import primary
from serinus.router.workloads.primary import Making


def making(**fields: Any) -> Making:
    return Making(**{"canary": REF, "selector": APP, "revision": "r1", **fields})


def a_target(**metadata: Any) -> Any:
    return a_deployment(metadata=metadata)


def test_all_pod_labels_are_copied_and_the_selector_label_is_renamed() -> None:
    target = a_deployment(spec={"template": {"metadata": {"labels": {"app": "web", "tier": "a"}}}})

    found = primary.template(target, making(label_prefixes=()))

    assert {"app": "web-primary", "tier": "a"} == found["metadata"]["labels"]


def test_annotations_of_flux_stay_with_the_target() -> None:
    notes = {"kustomize.toolkit.fluxcd.io/checksum": "x", "mine": "1"}
    target = a_deployment(spec={"template": {"metadata": {"annotations": notes}}})

    found = primary.template(target, making())["metadata"]["annotations"]

    assert {"mine", "flagger-id"} == set(found)


def test_the_primary_runs_where_it_is_told_to_and_the_canary_where_the_manifest_says() -> None:
    """What is given stands instead of the manifest's, not beside it."""
    pods = {"nodeSelector": {"node-type": "spot", "zone": "a"}, "tolerations": [{"key": "spot"}]}
    target = a_deployment(spec={"template": {"spec": pods}})
    on_demand = Placement(node_selector={"node-type": "on-demand"})
    nowhere_else = Placement(node_selector={}, tolerations=())
    tolerant = Placement(tolerations=(Toleration(key="a", operator="Exists"),))

    def placed(placement: Placement) -> Any:
        spec = primary.template(target, making(placement=placement))["spec"]
        return spec["nodeSelector"], spec["tolerations"]

    assert placed(on_demand) == ({"node-type": "on-demand"}, [{"key": "spot"}])
    assert placed(nowhere_else) == ({}, [])
    assert placed(tolerant)[1] == [{"key": "a", "operator": "Exists"}]
    assert target["spec"]["template"]["spec"]["nodeSelector"] == pods["nodeSelector"]


def test_references_to_copied_configs_are_renamed() -> None:
    sources = [{"configMapRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}]
    container = {"name": "web", "image": "web:1", "envFrom": sources}
    target = a_deployment(spec={"template": {"spec": {"containers": [container]}}})

    found = primary.template(target, making(configs={"configmap/a": "1"}))

    used = found["spec"]["containers"][0]["envFrom"]
    assert ["a-primary", "b"] == [source["configMapRef"]["name"] for source in used]


def test_the_template_is_the_targets_but_for_what_we_change() -> None:
    target = a_deployment()
    found = primary.template(target, making())
    found["metadata"]["labels"] = {"app": "web"}
    del found["metadata"]["annotations"]

    assert template_hash(target["spec"]["template"]) == template_hash(found)


def test_the_id_is_a_uuid_that_changes_with_what_is_promoted_and_only_then() -> None:
    """A config-only promotion must restart pods; promoting twice must not."""
    same = [primary.flagger_id(making(configs={"configmap/a": "1"})) for _ in range(2)]
    other = primary.flagger_id(making(configs={"configmap/a": "2"}))

    assert same[0] == same[1] == str(uuid.UUID(same[0]))
    assert other not in same


def test_a_new_primary_belongs_to_the_canary_and_has_the_targets_annotations() -> None:
    target = a_target(annotations={"note": "n"}, labels={"app": "web", "team": "x"})

    meta = primary.created(target, making(), {})["metadata"]

    assert REF.uid == meta["ownerReferences"][0]["uid"]
    assert meta["ownerReferences"][0]["controller"] is True
    assert "n" == meta["annotations"]["note"]
    assert {"app": "web-primary"} == meta["labels"]


@pytest.mark.parametrize(
    ("prefixes", "kept"),
    [((), set()), (("app.kubernetes.io",), {"app.kubernetes.io/part-of"}), (("*",), None)],
)
def test_labels_are_copied_by_prefix(prefixes: tuple[str, ...], kept: set[str] | None) -> None:
    labels = {"app": "web", "app.kubernetes.io/part-of": "shop", "team": "x"}
    target = a_target(labels=labels)

    found = primary.created(target, making(label_prefixes=prefixes), {})["metadata"]["labels"]

    assert (set(labels) if kept is None else kept | {"app"}) == set(found)
    assert "web-primary" == found["app"]


def test_promotion_drops_what_came_from_the_target_and_keeps_what_others_put_there() -> None:
    target = a_target(annotations={"note": "n"})
    old = primary.created(target, making(), {})
    old["metadata"]["annotations"] |= {"deployment.kubernetes.io/revision": "4", "keel": "yes"}

    found = primary.promoted(old, target, making(revision="r2"), {})["metadata"]["annotations"]

    assert {
        "deployment.kubernetes.io/revision": "4",
        "keel": "yes",
        PROMOTED_REVISION: "r2",
        PROMOTED_CONFIGS: "{}",
    } == found


def test_a_field_that_the_target_does_not_have_goes_from_the_primary() -> None:
    old = a_deployment(spec={"minReadySeconds": 30})

    found = primary.promoted(old, a_deployment(), making(), {"minReadySeconds": None})

    assert "minReadySeconds" not in found["spec"]
    assert 30 == old["spec"]["minReadySeconds"], "live objects are never changed in place"


def test_the_primary_remembers_the_configs_it_was_given() -> None:
    given = {"configmap/a": "1", "secret/b": "2"}
    found = primary.created(a_target(), making(configs=given), {})

    assert given == primary.promoted_configs(found)


@pytest.mark.parametrize("note", [None, "no json", "[1]"])
def test_a_note_that_cannot_be_read_is_no_note(note: str | None) -> None:
    annotations = {} if note is None else {PROMOTED_CONFIGS: note}

    assert primary.promoted_configs(a_target(annotations=annotations)) is None


@pytest.mark.parametrize("known", [True, False])
def test_adopting_changes_nothing_but_the_note(known: bool) -> None:
    theirs = a_deployment("web-primary")

    found = primary.adopted(theirs, making(), configs_known=known)

    assert theirs["spec"] == found["spec"]
    notes = found["metadata"]["annotations"]
    assert "r1" == notes[PROMOTED_REVISION]
    assert known == (PROMOTED_CONFIGS in notes)
