"""What a pod's program is told, and how long it pauses. Processes are for integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.sandbox.world import World, a_config

from serinus.sandbox.addresses import Addresses
from serinus.sandbox.images import PROGRAMS
from serinus.sandbox.kubelet import Kubelet, Node, PodWorker
from serinus.sandbox.leash import Leash


def a_node(world: World, folder: Path) -> Node:
    return Node(world.registry, Leash(), Addresses(single=True), PROGRAMS, folder)


def a_worker(world: World, folder: Path, **container: object) -> PodWorker:
    spec = {"containers": [{"name": "web", "image": "hello:1.0", **container}]}
    world.create("pods", {"metadata": {"name": "p"}, "spec": spec})
    return PodWorker(a_node(world, folder), world.at("pods", "p"), world.get("pods", "p"))


def test_a_program_learns_who_it_is_and_what_its_manifest_says(
    world: World, tmp_path: Path
) -> None:
    world.create("configmaps", a_config("c", COLOUR="yellow"))
    worker = a_worker(world, tmp_path, envFrom=[{"configMapRef": {"name": "c"}}])
    (container,) = world.get("pods", "p")["spec"]["containers"]

    _, env = worker.command(container)

    assert (env["POD_NAME"], env["POD_NAMESPACE"], env["VERSION"]) == ("p", "test", "1.0")
    assert env["COLOUR"] == "yellow"


def test_output_goes_to_a_file_per_container(world: World, tmp_path: Path) -> None:
    worker = a_worker(world, tmp_path)

    assert worker.log_path("") == tmp_path / "test_p_web.log"
    assert worker.log_path("side") == tmp_path / "test_p_side.log"


async def test_a_kubelet_registers_its_node(world: World, tmp_path: Path) -> None:
    kubelet = Kubelet(a_node(world, tmp_path))

    kubelet.start()
    await kubelet.stop()

    (condition,) = world.get("nodes", "sandbox")["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("Ready", "True")


@pytest.mark.parametrize(("crashes", "pause"), [(1, 0), (2, 10), (3, 20), (4, 40), (20, 300)])
def test_the_pause_between_crashes_doubles(
    world: World, tmp_path: Path, crashes: int, pause: float
) -> None:
    assert a_node(world, tmp_path).pause_s(crashes) == pause
