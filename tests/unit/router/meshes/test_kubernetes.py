"""No mesh: nothing is written, nothing is in the way."""

from __future__ import annotations

from tests.builders import an_exposure

from serinus.events import Routes
from serinus.router.core.objects import Live
from serinus.router.meshes import kubernetes

EXPOSURE = an_exposure("kubernetes")


def test_there_is_no_object_at_all() -> None:
    assert () == tuple(kubernetes.needs(EXPOSURE))
    assert () == tuple(kubernetes.render(EXPOSURE, Routes(primary=0, canary=100), Live()))
    assert () == tuple(kubernetes.release(EXPOSURE, Live()))


def test_every_weight_counts_as_true() -> None:
    """The primary is upgraded in place, so nobody could ever say otherwise."""
    routes = Routes(primary=0, canary=100)

    assert routes == kubernetes.observe(EXPOSURE, routes, Live())
