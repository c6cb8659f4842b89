"""What a primary ran before is found by its hash alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.builders import APP, REF, a_deployment
from tests.unit.router.workloads.test_daemonset import a_daemon_set

from serinus.events.canary import Placement
from serinus.kube.refs import DEFAULT_SELECTOR_LABELS, Obj
from serinus.kube.revision import template_hash
from serinus.router.workloads import daemonset, deployment, earlier
from serinus.router.workloads.primary import Making

CONFIGS = {"configmap/app": "1", "secret/key": "2"}
TEMPLATE: Obj = {
    "metadata": {"labels": {"app": "web", "tier": "x"}, "annotations": {"restartedAt": "today"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "example.test/web:1",
                "envFrom": [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "key"}}],
            },
        ],
        "volumes": [{"name": "other", "configMap": {"name": "untracked"}}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
                ]
            }
        },
    },
}


def kept_by_a_deployment(template: Obj) -> Obj:
    """As its controller keeps it: the template with a label more."""
    kept = copy.deepcopy(template)
    kept["metadata"]["labels"]["pod-template-hash"] = "5f6d"
    return {"kind": "ReplicaSet", "metadata": {"name": "rs"}, "spec": {"template": kept}}


def kept_by_a_daemon_set(template: Obj) -> Obj:
    """As its controller keeps it: a patch that replaces the template."""
    patch = {"spec": {"template": {**copy.deepcopy(template), "$patch": "replace"}}}
    return {"kind": "ControllerRevision", "metadata": {"name": "cr"}, "data": patch}


@pytest.mark.parametrize(
    ("kind", "make", "keep", "now"),
    [
        ("Deployment", deployment, kept_by_a_deployment, a_deployment(replicas=5)),
        ("DaemonSet", daemonset, kept_by_a_daemon_set, a_daemon_set()),
    ],
)
def test_what_made_it_a_primarys_is_undone_to_the_last_field(
    kind: str, make: Any, keep: Any, now: Obj
) -> None:
    then = copy.deepcopy(now)
    then["spec"]["template"] = copy.deepcopy(TEMPLATE)
    wanted = template_hash(TEMPLATE, kind=kind)
    making = Making(canary=REF, selector=APP, revision=wanted, configs=CONFIGS)
    kept = keep(make.primary(then, making)["spec"]["template"])
    before = copy.deepcopy(kept)

    found = earlier.target(now, kept, APP, CONFIGS, DEFAULT_SELECTOR_LABELS)

    assert wanted == template_hash(found["spec"]["template"], kind=kind)
    assert before == kept, "nothing that was handed in is changed"


def test_it_has_nothing_to_say_about_the_size_of_the_primary() -> None:
    kept = kept_by_a_deployment(TEMPLATE)

    found = earlier.target(a_deployment(replicas=1), kept, APP, {}, DEFAULT_SELECTOR_LABELS)

    making = Making(canary=REF, selector=APP, revision="x")
    primary = deployment.primary(a_deployment(replicas=9), making)
    assert 9 == deployment.promoted(primary, found, making)["spec"]["replicas"]


@pytest.mark.parametrize("field", ["image", "label", "annotation", "config"])
def test_what_somebody_changed_by_hand_is_another_revision(field: str) -> None:
    """kubectl edit deployment/web-primary leaves our marks on what nobody judged."""
    making = Making(canary=REF, selector=APP, revision="x", configs=CONFIGS)
    then = a_deployment()
    then["spec"]["template"] = copy.deepcopy(TEMPLATE)
    template = deployment.primary(then, making)["spec"]["template"]
    match field:
        case "image":
            template["spec"]["containers"][0]["image"] = "example.test/web:hotfix"
        case "label":
            template["metadata"]["labels"]["tier"] = "y"
        case "annotation":
            template["metadata"]["annotations"]["restartedAt"] = "tomorrow"
        case "config":
            template["spec"]["volumes"][0]["configMap"]["name"] = "app-primary"

    kept = kept_by_a_deployment(template)
    found = earlier.target(a_deployment(), kept, APP, CONFIGS, DEFAULT_SELECTOR_LABELS)

    assert template_hash(TEMPLATE) != template_hash(found["spec"]["template"])


@pytest.mark.parametrize("selector", [None, {"node-type": "spot"}])
def test_where_the_primary_ran_is_not_what_the_target_said(selector: Any) -> None:
    """Of what spec.primaryPods names the target's is not kept: it is taken for what it is now."""
    now = a_deployment()
    if selector:
        now["spec"]["template"]["spec"]["nodeSelector"] = selector
    wanted = template_hash(now["spec"]["template"])
    placement = Placement(node_selector={"node-type": "on-demand"})
    making = Making(canary=REF, selector=APP, revision=wanted, placement=placement)
    kept = kept_by_a_deployment(deployment.primary(now, making)["spec"]["template"])

    found = earlier.target(now, kept, APP, (), DEFAULT_SELECTOR_LABELS, {"nodeSelector"})

    assert template_hash(found["spec"]["template"]) == wanted
