"""Stage and recorder against a real API server: a run acted out as recorded is found equal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.peer import scenario as scenarios
from tests.peer import selection
from tests.peer.compare import compare
from tests.peer.play import Played, Stage, play
from tests.peer.puppet import Puppet
from tests.peer.record import Recorder, kinds
from tests.peer.story import story
from tests.servers.control_plane import ControlPlane, control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.stub import Stub

Obj = dict[str, Any]
FASTER = 50.0


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


async def acted_out(
    name: str, plane: ControlPlane, lines: Sequence[Obj], patience_s: float = 20.0
) -> Played:
    """Plays the scenario with a puppet in the ring's place that follows `lines`."""
    scenario = scenarios.read(selection.folder() / name)
    async with (
        Stub() as stub,
        Kube(plane.kubeconfig()) as kube,
        Kube(plane.kubeconfig("kubelet")) as node,
        Kubelet(node, ready_after_s=1 / FASTER) as kubelet,
        Recorder(kube, stub, kinds(lines)) as recorder,
    ):
        stage = Stage(kube=kube, kubelet=kubelet, stub=stub, recorder=recorder, scale=FASTER)
        puppet = asyncio.create_task(Puppet(scenario, lines, kube, stub).act())
        try:
            return await play(scenario, stage, patience_s)
        finally:
            puppet.cancel()
            await asyncio.gather(puppet, return_exceptions=True)


@pytest.mark.parametrize(
    "name",
    ["provider-traefik-rollback", "provider-gatewayapi-v1-healthy", "confirm-rollout-traefik"],
)
async def test_a_faithful_actor_is_found_equal(name: str, plane: ControlPlane) -> None:
    """Objects through the API server and back, texts, hooks and queries through the stub."""
    lines = scenarios.trace(selection.folder() / name)

    played = await acted_out(name, plane, lines)

    verdict = compare(name, story(lines), story(played.lines))
    assert played.stuck == ""
    assert verdict.differences == (), "\n".join(verdict.differences)


async def test_an_actor_that_skips_a_step_is_found_out(plane: ControlPlane) -> None:
    """A weight that was never ordered is missing from weights and routes."""
    name = "overshoot-20-50"
    lines = scenarios.trace(selection.folder() / name)

    def at_40(line: Obj) -> bool:
        weights = [one["weight"] for one in _split(line)]
        return line.get("canaryWeight") == 40 or weights == [60, 40]

    played = await acted_out(name, plane, without(lines, at_40))

    found = compare(name, story(lines), story(played.lines)).differences
    assert [text.partition(":")[0] for text in found] == ["weights", "objects"]


async def test_a_ring_that_stops_is_reported_with_what_was_awaited(plane: ControlPlane) -> None:
    """Not a mere timeout: the step and its condition are named."""
    name = "step-weight-promotion-traefik"
    lines = scenarios.trace(selection.folder() / name)
    half = [line for line in lines if line["tick"] < 4]

    played = await acted_out(name, plane, half, patience_s=2.0)

    assert played.stuck.startswith("step 3 waited for {'phase': 'Succeeded'")


def without(lines: Sequence[Obj], left_out: Callable[[Obj], bool]) -> list[Obj]:
    return [line for line in lines if line["src"] != "kube" or not left_out(line)]


def _split(line: Obj) -> list[Obj]:
    found: list[Obj] = ((line.get("spec") or {}).get("weighted") or {}).get("services", [])
    return found
