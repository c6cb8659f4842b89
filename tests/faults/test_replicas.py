"""Two replicas of everything: one dies, or both are replaced in turn, in every phase."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from tests.faults.lanes import LANES
from tests.faults.stage import Kill, Run, Stage
from tests.faults.test_kill import SETTINGS, complaints, words
from tests.ring import Ring
from tests.servers.control_plane import control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import nats_server
from tests.servers.stub import Stub
from tests.servers.waiting import eventually

from serinus.kube.share import MISSED_MAX, RENEW_S

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

# The load tester answers hooks; its replicas share nothing but the gates.
SHARING = ("watcher", "analyzer", "router", "notifier")
NOTICED_S = RENEW_S * (MISSED_MAX + 2) + 10.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def replicas(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Stage, dict[str, Ring]]]:
    """Real servers, and two rings that know of each other."""
    folder = tmp_path_factory.mktemp("replicas")
    with control_plane(folder / "control-plane") as plane, nats_server(folder / "nats") as server:

        def ring(name: str, *more: str, hooks: Mapping[str, str] | None = None) -> Ring:
            return Ring(
                kubeconfig=plane.kubeconfig,
                nats=server.url,
                settings={**SETTINGS, "SERINUS_REPLICA": name, **(hooks or {})},
                services=(*SHARING, *more),
                folder=folder / name,
            )

        async with (
            Stub() as stub,
            Kube(plane.kubeconfig()) as kube,
            Kube(plane.kubeconfig("kubelet")) as node,
            Kubelet(node, ready_after_s=0.1) as kubelet,
            ring("one", "loadtester") as one,
            ring("two", hooks=one.hooks) as two,
        ):
            made = Stage(kube=kube, kubelet=kubelet, stub=stub, ring=one, nats=server, plane=plane)
            async with made.watching():
                await living([one, two], 2)
                yield made, {"one": one, "two": two}


async def living(rings: list[Ring], number: int) -> None:
    """Waits until every replica in these rings sees so many living ones of its kind."""

    async def agreed() -> bool:
        texts = [await ring.metrics(name) for ring in rings for name in SHARING]
        found = [re.search(r"^serinus_replicas(?:{})? (\d+)", text, re.M) for text in texts]
        return all(one is not None and int(one[1]) == number for one in found)

    await eventually(agreed, f"{number} replicas live", NOTICED_S)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def undisturbed(replicas: tuple[Stage, dict[str, Ring]]) -> Run:
    stage, _ = replicas

    async def nobody() -> None:
        return

    return await stage.run("nobody", nobody)


async def test_two_replicas_do_nothing_twice(undisturbed: Run) -> None:
    assert [] == complaints(undisturbed)


async def test_both_share_the_work(replicas: tuple[Stage, dict[str, Ring]]) -> None:
    """Seven canaries in namespaces of their own: neither has them all."""
    _, rings = replicas
    for ring in rings.values():
        assert '"remembered"' in ring.log("analyzer").read_text()
        assert '"wrote"' in ring.log("router").read_text()


async def test_a_replica_that_dies_is_made_up_for(
    replicas: tuple[Stage, dict[str, Ring]], undisturbed: Run
) -> None:
    stage, rings = replicas

    async def kill() -> None:
        rings["two"].kill(*SHARING)
        await living([rings["one"]], 1)

    await unharmed(stage, undisturbed, "two", kill)
    await rings["two"].start(*SHARING)
    await living([*rings.values()], 2)


async def test_replacing_every_replica_delays_nothing(
    replicas: tuple[Stage, dict[str, Ring]], undisturbed: Run
) -> None:
    """As in a rolling upgrade: each says farewell, and its successor comes after it."""
    stage, rings = replicas

    async def replace() -> None:
        for ring in (rings["two"], rings["one"]):
            old = [ring.processes[name] for name in SHARING]
            for process in old:
                process.send_signal(signal.SIGTERM)
            await asyncio.gather(*(asyncio.to_thread(process.wait, 20) for process in old))
            await ring.start(*SHARING)
        await living([*rings.values()], 2)

    await unharmed(stage, undisturbed, "upgrade", replace)


async def unharmed(stage: Stage, undisturbed: Run, what: str, disturb: Kill) -> None:
    run = await stage.run(what, disturb)
    said = [
        f"{name}: {complaint}"
        for name, lane in LANES.items()
        for complaint in words(undisturbed.told[name], run.told[name], patient=lane.moving)
    ]
    found = "\n".join([*complaints(run), *said])
    assert not found, f"{found}\nall was well again after {run.back_at - run.killed_at:.1f} s"
