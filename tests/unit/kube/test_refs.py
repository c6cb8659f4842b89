"""Names, labels and owners."""

from __future__ import annotations

import copy

import pytest

from serinus.events import CanaryRef, Selector
from serinus.kube.refs import (
    NoSelectorLabel,
    Obj,
    Ref,
    controller_of,
    copied,
    is_owned_by,
    owner_reference,
    prefixed,
    ref_of,
    rewrite_affinity,
    selector_of,
)

WEB = CanaryRef("shop", "web", "uid-1")


def a_workload(**match_labels: str) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": match_labels}},
    }


def test_a_reference_names_the_object_as_people_do() -> None:
    ref = ref_of(a_workload())

    assert ref == Ref("apps/v1", "Deployment", "shop", "web")
    assert str(ref) == "Deployment web.shop"


def test_the_first_known_label_of_the_selector_wins() -> None:
    """The order is that of the setting, not that of the manifest."""
    workload = a_workload(tier="front", name="second", app="first")

    assert selector_of(workload) == Selector("app", "first")
    assert selector_of(workload, ("tier", "app")) == Selector("tier", "front")


def test_a_selector_without_a_known_label_is_refused_in_flaggers_words() -> None:
    with pytest.raises(NoSelectorLabel) as refused:
        selector_of(a_workload(tier="front"))

    assert str(refused.value) == (
        "deployment web.shop spec.selector.matchLabels must contain one of "
        "[app name app.kubernetes.io/name]"
    )


def test_what_is_made_for_a_canary_is_controlled_by_it() -> None:
    """The owner reference that we write is the one that we recognise."""
    owned: Obj = {"metadata": {"name": "web-primary", "ownerReferences": [owner_reference(WEB)]}}

    assert is_owned_by(owned, WEB)
    assert controller_of(owned) == {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": "web",
        "uid": "uid-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_a_canary_of_the_same_name_but_another_uid_does_not_own() -> None:
    owned: Obj = {"metadata": {"name": "web-primary", "ownerReferences": [owner_reference(WEB)]}}

    assert not is_owned_by(owned, CanaryRef("shop", "web", "uid-2"))
    assert is_owned_by(owned, CanaryRef("shop", "web"))


def test_an_owner_that_does_not_control_is_no_controller() -> None:
    """A config that several canaries share has one controller; the others only hold it."""
    other = owner_reference(CanaryRef("shop", "other", "uid-3")) | {"controller": False}
    shared: Obj = {"metadata": {"ownerReferences": [other, owner_reference(WEB)]}}

    assert is_owned_by(shared, WEB)
    assert not is_owned_by(shared, CanaryRef("shop", "other", "uid-3"))
    assert controller_of({"metadata": {}}) is None


def test_labels_are_chosen_by_prefix() -> None:
    labels = {"app.kubernetes.io/name": "web", "team": "a", "team.example.com/x": "y"}

    assert prefixed(labels, ()) == {}
    assert prefixed(labels, ("",)) == {}
    assert prefixed(labels, ("app.kubernetes.io",)) == {"app.kubernetes.io/name": "web"}
    assert prefixed(labels, ("team",)) == {"team": "a", "team.example.com/x": "y"}
    assert prefixed(labels, ("*",)) == labels


def a_spread_pod_spec(*names: str) -> Obj:
    """A pod spec whose anti-affinity, topology and (untouched) affinity name these values."""

    def term() -> Obj:
        expressions = [{"key": "app", "operator": "In", "values": list(names)}]
        return {"labelSelector": {"matchExpressions": expressions}, "topologyKey": "host"}

    return {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": term()}
                ],
                "requiredDuringSchedulingIgnoredDuringExecution": [term()],
            },
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term()]},
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "labelSelector": {"matchLabels": {"app": names[0], "tier": names[0]}}}
        ],
    }


def values(term: Obj) -> list[str]:
    found: list[str] = term["labelSelector"]["matchExpressions"][0]["values"]
    return found


def test_pods_that_avoid_the_target_avoid_the_primary_instead() -> None:
    """Anti-affinity and topology follow; affinity to other pods does not."""
    spec = a_spread_pod_spec("web")
    before = copy.deepcopy(spec)

    rewritten = rewrite_affinity(spec, "web")

    anti = rewritten["affinity"]["podAntiAffinity"]
    preferred = anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    assert values(preferred) == ["web-primary"]
    assert values(anti["requiredDuringSchedulingIgnoredDuringExecution"][0]) == ["web-primary"]
    topology = rewritten["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    assert topology == {"app": "web-primary", "tier": "web"}
    assert rewritten["affinity"]["podAffinity"] == before["affinity"]["podAffinity"]
    assert spec == before


def test_only_the_first_occurrence_in_an_expression_is_rewritten() -> None:
    rewritten = rewrite_affinity(a_spread_pod_spec("web", "db", "web"), "web")

    anti = rewritten["affinity"]["podAntiAffinity"]
    term = anti["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert values(term) == ["web-primary", "db", "web"]


def test_a_pod_spec_that_spreads_nothing_stays_as_it_is() -> None:
    assert rewrite_affinity({"containers": []}, "web") == {"containers": []}


def test_a_copy_of_json_shares_nothing_that_can_change() -> None:
    original: Obj = {"a": [{"b": [1]}], "c": {"d": "e"}, "f": None}

    other = copied(original)
    other["a"][0]["b"].append(2)
    other["c"]["d"] = "x"

    assert original == {"a": [{"b": [1]}], "c": {"d": "e"}, "f": None}
