"""Hashes of pod templates, and the test whether target and primary run the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.events import Selector
from serinus.kube.configs import rename
from serinus.kube.refs import Obj, rewrite_affinity
from serinus.kube.revision import copied_annotations, is_foreign, same_template, template_hash

APP = Selector("app", "web")


def a_template(image: str = "web:1", **pod_spec: Any) -> Obj:
    """A pod template as the API server gives it, defaults filled in."""
    container = {
        "name": "web",
        "image": image,
        "resources": {},
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "terminationMessagePath": "/dev/termination-log",
    }
    anti = {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "host"}
        ]
    }
    return {
        "metadata": {
            "creationTimestamp": None,
            "labels": {"app": "web", "tier": "front"},
            "annotations": {"note": "n", "kustomize.toolkit.fluxcd.io/x": "y"},
        },
        "spec": {
            "containers": [container],
            "securityContext": {},
            "affinity": {"podAntiAffinity": anti},
            **pod_spec,
        },
    }


def primary_of(template: Obj) -> Obj:
    """What a primary made from this template looks like."""
    made = rename(template, {"configmap/settings"})
    made["metadata"]["labels"]["app"] = "web-primary"
    made["metadata"]["annotations"] = {"note": "n", "flagger-id": "8c1e"}
    made["spec"] = rewrite_affinity(made["spec"], "web")
    return made


def is_same(target: Obj, primary: Obj, **more: Any) -> bool:
    return same_template(target, primary, name="web", selector=APP, **more)


def test_a_changed_image_is_a_new_revision() -> None:
    assert template_hash(a_template("web:1")) != template_hash(a_template("web:2"))


def test_a_changed_annotation_is_a_new_revision() -> None:
    """How people retry a failed release, and what `kubectl rollout restart` does."""
    restarted = a_template()
    restarted["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"

    assert template_hash(restarted) != template_hash(a_template())


def test_absent_null_and_empty_are_the_same_revision() -> None:
    terse = a_template()
    del terse["metadata"]["creationTimestamp"], terse["spec"]["securityContext"]
    del terse["spec"]["containers"][0]["resources"]

    assert template_hash(terse) == template_hash(a_template())


def test_an_empty_selector_is_not_an_absent_one() -> None:
    """An empty label selector selects every pod, an absent one none."""
    term = {"topologyKey": "zone", "maxSkew": 1}
    without = a_template(topologySpreadConstraints=[term])
    everything = a_template(topologySpreadConstraints=[{**term, "labelSelector": {}}])

    assert template_hash(without) != template_hash(everything)


def test_an_empty_label_value_counts() -> None:
    labelled = a_template()
    labelled["metadata"]["labels"]["blank"] = ""

    assert template_hash(labelled) != template_hash(a_template())


def test_revisions_are_stable_across_releases_of_ours() -> None:
    """Another number here would start a rollout of every canary that is upgraded."""
    assert template_hash({"metadata": {"labels": {"app": "web"}}}) == "s1-ec4591235d"


def test_a_parked_daemon_set_has_its_own_revision_again() -> None:
    """The node selector that parks it is ours, not the user's."""
    parked = a_template(nodeSelector={"flagger.app/scale-to-zero": "true"})
    moved = a_template(nodeSelector={"disk": "ssd"})

    assert template_hash(parked, kind="DaemonSet") == template_hash(a_template(), kind="DaemonSet")
    assert template_hash(moved, kind="DaemonSet") != template_hash(a_template(), kind="DaemonSet")
    assert template_hash(parked) != template_hash(a_template())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def shuffled(value: Any) -> Any:
    """The same value with every mapping's keys in the opposite order."""
    if isinstance(value, dict):
        return {k: shuffled(v) for k, v in reversed(value.items())}
    return [shuffled(v) for v in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_is_no_news(value: Any) -> None:
    template = {"metadata": {}, "spec": {"x": value}}

    assert template_hash(shuffled(template)) == template_hash(template)


@pytest.mark.parametrize(
    ("revision", "foreign"),
    [("5d7f7dfc86", True), ("758df7c9fc", True), ("", False), (template_hash({}), False)],
)
def test_flaggers_hashes_are_known_at_sight(revision: str, foreign: bool) -> None:
    assert is_foreign(revision) is foreign


def test_a_primary_runs_the_same_once_our_changes_are_undone() -> None:
    """Suffixes, the selector label, flagger-id, Flux annotations, anti-affinity."""
    target = a_template()
    before = copy.deepcopy(target)

    assert is_same(target, primary_of(target))
    assert target == before


def test_a_primary_whose_configs_were_not_tracked_runs_the_same_too() -> None:
    """Flagger may have run without config tracking: the names are then the target's own."""
    target = a_template()
    primary = primary_of(target)
    primary["spec"]["containers"][0]["envFrom"] = target["spec"]["containers"][0]["envFrom"]

    assert is_same(target, primary)


def test_where_the_primary_runs_may_be_its_own() -> None:
    """spec.primaryPods: neither side of what it names counts, everything else does."""
    target, primary = a_template(), primary_of(a_template())
    target["spec"]["nodeSelector"] = {"node-type": "spot"}
    primary["spec"]["tolerations"] = [{"key": "a"}]

    assert not is_same(target, primary)
    assert is_same(target, primary, placed={"nodeSelector", "tolerations"})
    assert not is_same(target, primary, placed={"nodeSelector"})


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["spec"]["containers"][0].update(image="web:0"),
        lambda p: p["spec"]["containers"][0].update(envFrom=[]),
        lambda p: p["metadata"]["annotations"].update(note="old"),
        lambda p: p["metadata"]["labels"].update(tier="back"),
        lambda p: p["metadata"]["labels"].update(app="web"),
        lambda p: p["spec"].pop("affinity"),
        lambda p: p["spec"].update(hostNetwork=True),
    ],
)
def test_every_other_difference_is_one(change: Any) -> None:
    primary = primary_of(a_template())

    change(primary)

    assert not is_same(a_template(), primary)


def test_a_parked_daemon_set_runs_the_same_as_its_primary() -> None:
    """Anti-affinity of DaemonSets is not rewritten (reference 3.2)."""
    target = a_template(nodeSelector={"flagger.app/scale-to-zero": "true", "disk": "ssd"})
    primary = primary_of(target)
    primary["spec"]["nodeSelector"] = {"disk": "ssd"}
    primary["spec"]["affinity"] = target["spec"]["affinity"]

    assert is_same(target, primary, kind="DaemonSet")


def test_flux_annotations_do_not_travel() -> None:
    annotations = {"note": "n", "helm.toolkit.fluxcd.io/driftDetection": "disabled", "drop": "1"}

    assert copied_annotations(annotations, drop=("drop",)) == {"note": "n"}
