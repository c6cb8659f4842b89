"""Rolling from one set to the next: never too many, never too few, always to the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sandbox.world import a_deployment

from serinus.sandbox import defaults
from serinus.sandbox.rollout import (
    Scale,
    Set,
    Tally,
    bounds,
    complete,
    status,
    step,
    template_hash,
)


def a_spec(replicas: int = 4, surge: Any = "25%", missing: Any = "25%") -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": missing}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    spec: dict[str, Any] = a_deployment(replicas=replicas, strategy=strategy)["spec"]
    return spec


@pytest.mark.parametrize(
    ("replicas", "surge", "missing", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (1, "25%", "25%", (1, 0)),
        (3, "50%", "50%", (2, 1)),
        (4, 2, 0, (2, 0)),
        (4, 0, 0, (0, 1)),
        (2, "0%", "10%", (0, 1)),
    ],
)
def test_surge_rounds_up_and_absence_down_and_one_of_them_is_not_zero(
    replicas: int, surge: Any, missing: Any, expected: tuple[int, int]
) -> None:
    assert bounds(a_spec(replicas, surge, missing)) == expected


def test_the_new_set_grows_before_the_old_one_shrinks() -> None:
    assert step(a_spec(), Set("new", 0), [Set("old", 4, 4)]) == [Scale("new", 1)]
    assert step(a_spec(), Set("new", 1), [Set("old", 4, 4)]) == [Scale("old", 3)]
    assert step(a_spec(), Set("new", 2, 0), [Set("old", 3, 3)]) == []


def test_broken_pods_go_first_even_if_nothing_is_available() -> None:
    spec = a_spec(surge=1, missing=0)

    found = step(spec, Set("new", 1, 0), [Set("bad", 1, 0), Set("old", 4, 4)])

    assert found == [Scale("bad", 0)]


def test_recreating_waits_until_the_old_ones_are_gone() -> None:
    spec = {**a_spec(), "strategy": {"type": "Recreate"}}

    assert step(spec, Set("new", 0), [Set("old", 4, 4)]) == [Scale("old", 0)]
    assert step(spec, Set("new", 0), [Set("old", 0, 1)]) == []
    assert step(spec, Set("new", 0), [Set("old", 0, 0)]) == [Scale("new", 4)]


def test_a_lone_set_follows_the_number() -> None:
    assert step(a_spec(2), Set("new", 5, 5), []) == [Scale("new", 2)]
    assert step(a_spec(5), Set("new", 2, 2), []) == [Scale("new", 5)]
    assert step(a_spec(5), Set("new", 5, 0), []) == []


@given(
    st.integers(1, 12),
    st.integers(0, 4),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=3),
    st.lists(st.booleans(), max_size=20),
)
@settings(deadline=None, max_examples=60)
def test_every_rollout_ends_and_stays_within_its_bounds(
    replicas: int, surge: int, missing: int, old: list[tuple[int, bool]], luck: list[bool]
) -> None:
    """Whatever the order in which pods become available."""
    spec = a_spec(replicas, surge, missing)
    most, least = replicas + bounds(spec)[0], replicas - bounds(spec)[1]
    wanted = {"new": 0} | {f"old{i}": count for i, (count, _) in enumerate(old)}
    healthy = {"new": True} | {f"old{i}": fine for i, (_, fine) in enumerate(old)}
    available = {name: count if healthy[name] else 0 for name, count in wanted.items()}
    most = max(most, sum(wanted.values()))
    floor = min(least, sum(available.values()))
    for fortunate in [*luck, *[True] * 60]:
        sets = {name: Set(name, count, available[name]) for name, count in wanted.items()}
        for scale in step(spec, sets["new"], [s for n, s in sets.items() if n != "new"]):
            wanted[scale.name] = scale.replicas
            available[scale.name] = min(available[scale.name], scale.replicas)
        assert sum(wanted.values()) <= most
        assert sum(available.values()) >= floor
        if fortunate and available["new"] < wanted["new"]:
            available["new"] += 1
        floor = max(floor, min(least, sum(available.values())))
        if wanted["new"] == replicas == sum(wanted.values()) == available["new"]:
            return
    pytest.fail(f"did not end: {wanted} {available}")


def test_equal_templates_have_equal_names() -> None:
    one = a_deployment()["spec"]["template"]
    other = a_deployment(image="hello:2.0")["spec"]["template"]
    labels = {**one["metadata"]["labels"], "pod-template-hash": "abc"}
    labelled = {**one, "metadata": {"labels": labels}}

    assert template_hash(one) == template_hash(labelled)
    assert template_hash(one) != template_hash(other)
    assert len(template_hash(one)) == 10


def a_live_deployment(**live_status: Any) -> dict[str, Any]:
    obj = a_deployment()
    obj["metadata"]["generation"] = 3
    defaults.fill("deployments", obj)
    return {**obj, "status": live_status}


def conditions(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_a_finished_rollout_says_so() -> None:
    found = status(a_live_deployment(), Tally(2, 2, 2, 2, 2), "web-1", "now", late=False)

    assert conditions(found) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert found["observedGeneration"] == 3
    assert "unavailableReplicas" not in found
    assert complete(Tally(2, 2, 2, 2, 2), 2)


def test_a_rollout_without_news_keeps_its_time_until_it_is_late() -> None:
    tally = Tally(wanted=3, replicas=3, updated=1, ready=2, available=2)
    first = status(a_live_deployment(), tally, "web-2", "t0", late=False)
    quiet = status(a_live_deployment(**first), tally, "web-2", "t1", late=False)
    late = status(a_live_deployment(**quiet), tally, "web-2", "t2", late=True)

    assert quiet == first
    assert conditions(late)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert [c["lastUpdateTime"] for c in late["conditions"] if c["type"] == "Progressing"] == ["t2"]
    assert first["unavailableReplicas"] == 1


def test_news_move_the_deadline() -> None:
    before = status(a_live_deployment(), Tally(3, 3, 1, 2, 2), "web-2", "t0", late=False)
    after = status(a_live_deployment(**before), Tally(3, 3, 1, 3, 3), "web-2", "t1", late=True)

    assert conditions(after)["Progressing"] == ("True", "ReplicaSetUpdated")
    (progress,) = [c for c in after["conditions"] if c["type"] == "Progressing"]
    assert (progress["lastUpdateTime"], progress["lastTransitionTime"]) == ("t1", "t0")


def test_a_new_template_ends_an_old_failure() -> None:
    tally = Tally(3, 3, 1, 2, 2)
    held = status(a_live_deployment(), tally, "web-2", "t0", late=False)
    stuck = status(a_live_deployment(**held), tally, "web-2", "t1", late=True)

    again = status(a_live_deployment(**stuck), tally, "web-3", "t2", late=True)

    assert conditions(again)["Progressing"] == ("True", "ReplicaSetUpdated")


def test_too_few_available_pods_are_told() -> None:
    found = status(a_live_deployment(), Tally(2, 2, 2, 0, 0), "web-1", "now", late=False)

    assert conditions(found)["Available"] == ("False", "MinimumReplicasUnavailable")
