"""The Services behind the routes."""

from __future__ import annotations

from tests.builders import a_service
from tests.unit.router.core.scenes import APEX, at_work, wish, world
from tests.unit.router.core.statefulsets import at_rest
from tests.unit.router.core.statefulsets import wish as wish_of_a_set

from serinus.router.core.backends import backends, opened, patched, service_write
from serinus.router.core.objects import Live
from serinus.router.core.scene import Scene
from serinus.router.core.steps import World


def test_what_differs_is_written_and_what_does_not_is_left() -> None:
    live = a_service()
    whole = a_service(port=81)

    made, changed = patched(None, whole, "why"), patched(live, whole, "why")

    assert (made and made.verb, changed and (changed.verb, changed.live)) == (
        "create",
        ("patch", live),
    )
    assert patched(live, a_service(), "why") is None


def test_both_backends_are_there_before_routes_name_them() -> None:
    found = world()
    names = []
    while step := backends(Scene(wish(), found)):
        names.append(step.ref.name)
        found = World(live=found.live.with_(step.ref, step.whole))

    assert names == ["web-canary", "web-primary"]
    assert backends(Scene(wish(), at_work())) is None


def test_services_of_ours_are_opened_to_every_pod_of_a_set_that_is_released() -> None:
    """Those of the user's are given back by themselves."""
    stage = at_rest()
    intent = wish_of_a_set(stage, canary="as-is", release=True)
    step = opened(Scene(intent, World(live=Live(stage.objects))))

    assert step is not None
    assert step.whole["spec"]["selector"] == {"app": "web", "tier": "data"}
    stage.objects[APEX]["metadata"].pop("ownerReferences")
    stage.work(intent)
    assert "apex service back" in stage.writes


def test_a_service_in_its_place_costs_nothing() -> None:
    assert service_write(Scene(wish(), at_work()), "apex") is None
