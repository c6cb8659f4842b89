"""kill -9 of each part once in every phase: nothing is done twice, left out, early or late."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio
from tests.faults.lanes import INTERVAL_S, LANES, Lane
from tests.faults.stage import Run, Stage, Story, Told
from tests.ring import Ring
from tests.servers.control_plane import control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import nats_server
from tests.servers.stub import Stub
from tests.servers.waiting import eventually

from serinus.events.subjects import SERVICES

# The first test waits for the servers and for the run with nobody killed, too.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EARLY = 0.8
LATE_S = 3.0
# Longer than a publisher waits by itself.
AWAY_S = 6.0
RED_WITHIN_S = 40.0
# Told whatever happens; the rest of what an analyzer was about to say may die with it.
OUTCOME = re.compile("Initialization done|Advance|Promotion completed|Canary failed|Post-rollout")
SETTINGS = {"SERINUS_MIN_INTERVAL_S": "0.1", "SERINUS_SETTLE_S": "1.5"}
# Said of what takes longer than an interval, which depends on the machine.
PATIENCE = re.compile(
    "not ready|waiting for|kept until|not answered|no answer|did not take|not found|create the"
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Real servers, five processes, and nodes that stand still; for all runs the same."""
    folder = tmp_path_factory.mktemp("faults")
    with control_plane(folder / "control-plane") as plane, nats_server(folder / "nats") as server:
        async with (
            Stub() as stub,
            Kube(plane.kubeconfig()) as kube,
            Kube(plane.kubeconfig("kubelet")) as node,
            Kubelet(node, ready_after_s=0.1) as kubelet,
            Ring(
                kubeconfig=plane.kubeconfig,
                nats=server.url,
                settings=SETTINGS,
                folder=folder / "ring",
            ) as ring,
        ):
            made = Stage(kube=kube, kubelet=kubelet, stub=stub, ring=ring, nats=server, plane=plane)
            async with made.watching():
                yield made


def disturbance(stage: Stage, victim: str) -> Callable[[], Awaitable[None]]:
    """What is done to the victim; it returns when all are ready again."""
    ring = stage.ring

    async def all_ready() -> None:
        await asyncio.gather(*(ring.ready(name) for name in SERVICES))

    async def all_red(names: Sequence[str]) -> None:
        async def red() -> bool:
            return not any([(await ring.is_ready(name))[0] for name in names])

        await eventually(red, "everybody says so", RED_WITHIN_S)

    async def nobody() -> None:
        return

    async def nats() -> None:
        stage.nats.kill()
        stage.nats.start()
        await all_ready()

    async def nats_for_a_while() -> None:
        stage.nats.kill()
        await all_red(SERVICES)
        await asyncio.sleep(AWAY_S)
        stage.nats.start()
        await all_ready()

    async def api_server() -> None:
        child = stage.plane.child("kube-apiserver")
        child.pause()
        await all_red([name for name in SERVICES if name != "loadtester"])
        child.resume()
        await all_ready()

    async def service() -> None:
        ring.kill(victim)
        await ring.start(victim)

    named = {"nobody": nobody, "nats": nats, "nats for a while": nats_for_a_while}
    return {**named, "api-server": api_server}.get(victim, service)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def undisturbed(stage: Stage) -> Run:
    """The same with nobody killed: what is to be said."""
    return await stage.run("nobody", disturbance(stage, "nobody"))


async def test_undisturbed_every_lane_goes_its_way(undisturbed: Run) -> None:
    assert [] == complaints(undisturbed)


@pytest.mark.parametrize("victim", [*SERVICES, "nats"])
async def test_a_kill_in_every_phase_changes_nothing(
    stage: Stage, undisturbed: Run, victim: str
) -> None:
    await unharmed(stage, undisturbed, victim)


@pytest.mark.parametrize("victim", ["nats for a while", "api-server"])
async def test_a_server_that_is_away_is_red_and_then_made_up_for(
    stage: Stage, undisturbed: Run, victim: str
) -> None:
    await unharmed(stage, undisturbed, victim)


async def test_nothing_of_canaries_that_are_gone_stays_in_metrics(stage: Stage) -> None:
    left: list[str] = []

    async def forgotten() -> bool:
        texts = [await stage.ring.metrics(name) for name in SERVICES]
        lines = [line for text in texts for line in text.splitlines()]
        left[:] = [line for line in lines if any(f'-{lane}"' in line for lane in LANES)]
        return not left

    try:
        await eventually(forgotten, "series of canaries are gone")
    except TimeoutError:
        raise AssertionError(left[:20]) from None


async def unharmed(stage: Stage, undisturbed: Run, victim: str) -> None:
    """Plays all lanes with this victim. Raises AssertionError with all that came otherwise."""
    before = {name: process.pid for name, process in stage.ring.processes.items()}
    run = await stage.run(victim.replace(" ", "-"), disturbance(stage, victim))

    said = [
        f"{name}: {complaint}"
        for name, lane in LANES.items()
        for complaint in words(
            undisturbed.told[name], run.told[name], patient=lane.moving and victim == "analyzer"
        )
    ]
    ended = [
        f"{name} ended by itself"
        for name, process in stage.ring.processes.items()
        if process.poll() is not None or (name != victim and process.pid != before[name])
    ]
    found = "\n".join([*complaints(run), *said, *ended])
    assert not found, f"{found}\n{victim} was back after {run.back_at - run.killed_at:.1f} s"


def complaints(run: Run) -> list[str]:
    """Which statuses and shares did not come in their order or at their time."""
    return [
        f"{name}: {complaint}"
        for name, lane in LANES.items()
        for complaint in (*order(lane, run.stories[name]), *pace(run.stories[name], run))
    ]


def order(lane: Lane, story: Story) -> list[str]:
    found = []
    statuses = tuple(status for _, status in story.statuses)
    if statuses != lane.statuses:
        found.append(f"statuses {statuses}, not {lane.statuses}")
    shares = tuple(share for _, share in story.shares)
    if shares != lane.shares:
        found.append(f"shares {shares}, not {lane.shares}")
    if story.failed_checks:
        found.append(f"{story.failed_checks} checks failed")
    return found


def pace(story: Story, run: Run) -> list[str]:
    """Steps of the analysis keep their distance; after the kill none waits longer than it must."""
    found = []
    for (before, old), (at, new) in zip(story.statuses, story.statuses[1:], strict=False):
        gap_s = at - before
        is_step = old[0] == "Progressing" and old[1] > 0 and new[0] != "Failed"
        if is_step and gap_s < EARLY * INTERVAL_S:
            found.append(f"{old} to {new} after {gap_s:.2f} s")
        due = max(before, run.freed_at if not is_step else before) + INTERVAL_S
        late_s = at - max(due, run.back_at)
        if at > run.killed_at and late_s > LATE_S:
            found.append(f"{new} came {late_s:.1f} s late")
    return found


def words(wanted: Told, told: Told, *, patient: bool) -> list[str]:
    """What was not told once (as a fact, as an Event), and hooks that were left out.

    patient  prose may be missing, but for the outcome: its last sentence
    """
    found = []
    for kind, expected, seen in (
        ("fact", wanted.facts, told.facts),
        ("event", wanted.events, told.events),
    ):
        for text in sorted(expected.keys() | seen.keys()):
            if PATIENCE.search(text):
                continue
            missing = expected[text] - seen[text]
            if missing < 0 or (missing > 0 and not (patient and not OUTCOME.search(text))):
                found.append(f"{kind} {text!r} {seen[text]} times, not {expected[text]}")
    found += [f"hook {path} was not asked" for path in wanted.hooks.keys() - told.hooks.keys()]
    return found
