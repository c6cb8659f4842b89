"""The baseline of a canary: what it is made of, and when it is made anew."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import APP, REF
from tests.unit.router.core.scenes import a_primary

from serinus.kube.refs import Obj, is_owned_by
from serinus.router.workloads.baseline import RUNS, wanted


def made(primary: Obj | None = None, live: Obj | None = None, **fields: Any) -> Obj:
    given: dict[str, Any] = {"revision": "s1-new", "replicas": 3, "linger_s": 2.5, **fields}
    return wanted(primary or a_primary(), live, canary=REF, selector=APP, **given)


def pods(workload: Obj) -> Obj:
    return dict(workload["spec"]["template"]["spec"])


def test_it_runs_what_the_primary_runs_behind_the_primarys_service() -> None:
    primary, found = a_primary(), made()

    image = primary["spec"]["template"]["spec"]["containers"][0]["image"]
    assert pods(found)["containers"][0]["image"] == image
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert labels["app"] == "web-primary"
    selector = found["spec"]["selector"]["matchLabels"]
    assert selector.items() <= labels.items()
    assert selector != primary["spec"]["selector"]["matchLabels"]
    assert found["metadata"]["name"] == "web-baseline"
    assert found["spec"]["replicas"] == 3
    assert is_owned_by(found, REF)


def test_its_pods_serve_until_proxies_know_that_they_go() -> None:
    found = pods(made())

    assert found["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 3}}}
    assert found["terminationGracePeriodSeconds"] == 33
    assert "lifecycle" not in pods(made(linger_s=0.0))["containers"][0]


def test_a_container_that_knows_how_to_end_keeps_its_way() -> None:
    own = {"exec": {"command": ["drain"]}}
    primary = a_primary()
    container = primary["spec"]["template"]["spec"]["containers"][0]
    container["lifecycle"] = {"preStop": own, "postStart": own}
    primary["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 100

    found = pods(made(primary))

    assert found["containers"][0]["lifecycle"] == {"preStop": own, "postStart": own}
    assert found["terminationGracePeriodSeconds"] == 103


def test_what_is_there_stays_and_only_its_size_follows() -> None:
    live = made()

    assert made(live=live) == live
    grown = made(live=live, replicas=5)
    assert grown["spec"].pop("replicas") == 5
    live["spec"].pop("replicas")
    assert grown == live


def test_defaults_and_sidecars_that_others_put_into_it_stay() -> None:
    live = made()
    pods(live)["containers"].append({"name": "sidecar", "image": "example.test/proxy:1"})

    assert made(live=live) == live


@pytest.mark.parametrize("change", ["canary", "primary"])
def test_for_another_canary_or_primary_its_pods_are_young_again(change: str) -> None:
    live, primary = made(), a_primary()
    if change == "primary":
        primary["spec"]["template"]["spec"]["containers"][0]["image"] = "example.test/web:0"

    found = made(primary, live, revision="s1-newer" if change == "canary" else "s1-new")

    old, new = (
        (w["metadata"]["annotations"][RUNS], w["spec"]["template"]["metadata"]["annotations"][RUNS])
        for w in (live, found)
    )
    assert old[0] == old[1] != new[0] == new[1]
    assert found["spec"]["selector"] == live["spec"]["selector"]


def test_the_primary_is_left_as_it_is() -> None:
    primary = a_primary()
    made(primary)

    assert primary == a_primary()
