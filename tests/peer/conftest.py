"""Plays all selected scenarios at once, before the first of their tests looks at its result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.peer import scenario as scenarios
from tests.peer import selection
from tests.peer.compare import Deliberate, Verdict, compare, deliberate
from tests.peer.play import Late, Played, Stage, play
from tests.peer.record import Recorder, kinds
from tests.peer.scenario import Hosts, Scenario, When
from tests.peer.story import blank_columns, story
from tests.servers import crds
from tests.servers.control_plane import ControlPlane, control_plane
from tests.servers.kube import UNREACHABLE, ApiError, Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import nats_server
from tests.servers.stub import EVENTS, Stub
from tests.servers.waiting import eventually

SCALE = float(os.environ.get("SERINUS_TIME_SCALE") or 4)
# So many at a time: more would make the machine slow, and the stimuli late.
AT_ONCE = 16
# Hooks lead to the stub, not to the load tester.
SERVICES = ("watcher", "analyzer", "router", "notifier")
# Eight intervals without any observation: nothing will come any more.
PATIENCE_S = 80 / SCALE
FLAGGERS_POD_DELAY_S = 1.0
# A stimulus in the middle of a run must not come late; on a busy machine it sometimes does.
TRIES = 3
ECHO_S = 5.0


class Result:
    """What became of one scenario."""

    def __init__(self, played: Played, verdict: Verdict, lines: Path) -> None:
        self.blank = blank_columns(played.lines)
        self.verdict = verdict
        self.lines = lines

    def report(self) -> str:
        words = [*self.verdict.differences, f"our observations: {self.lines}"]
        return "\n\n".join(word for word in words if word)


@pytest.fixture(scope="session")
def rows() -> Sequence[Deliberate]:
    return deliberate()


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rows: Sequence[Deliberate],
) -> dict[str, Result]:
    """By scenario; only those whose tests were asked for are played."""
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and {"results", "name"} <= set(item.fixturenames)
    }
    chosen = [one for one in selection.selected() if one.name in asked]
    folder = tmp_path_factory.mktemp("peer")
    played: dict[str, Played] = {}
    for number, (projects, runs) in enumerate(selection.by_crds(chosen)):
        definitions = [file for project in projects for file in crds.of_mesh(project)]
        with control_plane(folder / f"control-plane-{number}", crds=definitions) as plane:
            played |= asyncio.run(play_all(runs, plane, folder))
    return {name: judge(name, one, rows, folder) for name, one in played.items()}


async def play_all(
    chosen: Sequence[Scenario], plane: ControlPlane, folder: Path
) -> dict[str, Played]:
    """Plays the scenarios, AT_ONCE at a time, those of equal flags against one ring.

    The ring of those without flags looks at all namespaces, so it comes first and alone.
    """
    found: dict[str, Played] = {}
    recorded = (scenarios.trace(selection.folder() / one.name) for one in chosen)
    shown = kinds(line for lines in recorded for line in lines)
    async with (
        Stub() as stub,
        Kube(plane.kubeconfig()) as kube,
        Kube(plane.kubeconfig("kubelet")) as node,
        Kubelet(node, ready_after_s=FLAGGERS_POD_DELAY_S / SCALE) as kubelet,
        Recorder(kube, stub, shown) as recorder,
    ):
        stage = Stage(kube=kube, kubelet=kubelet, stub=stub, recorder=recorder, scale=SCALE)
        groups = selection.by_flags(chosen)
        alone = [group for group in groups if not group[0]]
        for together in (alone, groups[len(alone) :]):
            starting = asyncio.Lock()
            rings = (play_with(*group, stage, plane, folder, starting) for group in together)
            for played in await asyncio.gather(*rings):
                found |= played
    return found


async def play_with(
    flags: Sequence[str],
    chosen: Sequence[Scenario],
    stage: Stage,
    plane: ControlPlane,
    folder: Path,
    starting: asyncio.Lock,
) -> dict[str, Played]:
    """Plays scenarios against a ring with these flags of Flagger's."""
    from tests.ring import Ring

    gate = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: Scenario) -> tuple[str, Played]:
        async with gate:
            try:
                played = await play_in_time(scenario, stage)
            except (Late, ApiError, *UNREACHABLE) as error:
                played = Played(stuck=f"broke off: {error!r}")
        lines = [*played.lines, *({"src": "final"} | each for each in played.final)]
        lines_of(scenario.name, folder).write_text("".join(f"{json.dumps(x)}\n" for x in lines))
        return scenario.name, played

    hosts = Hosts(
        prometheus=stage.stub.url("prometheus", "builtin"),
        hooks=stage.stub.url("hook"),
        chat=stage.stub.url("chat"),
    )
    settings = ring_settings(hosts) | scenarios.settings(flags, hosts)
    if flags:
        (scenario,) = chosen
        settings["SERINUS_NAMESPACE"] = scenario.name
    nats = folder / f"nats-{chosen[0].name}"
    with nats_server(nats) as bus:
        ring = Ring(kubeconfig=plane.kubeconfig, nats=bus.url, settings=settings, services=SERVICES)
        async with contextlib.AsyncExitStack() as stack:
            # One after the other: every start wants a processor for itself.
            async with starting:
                await stack.enter_async_context(ring)
            return dict(await asyncio.gather(*map(one, chosen)))


async def is_gone(namespace: str, kube: Kube) -> bool:
    return await kube.find("v1", "Namespace", None, namespace) is None


async def play_in_time(scenario: Scenario, stage: Stage) -> Played:
    """Plays again what was too slow for its own script. Raises Late when it is every time."""
    told = last_words(scenario)
    for _ in range(TRIES - 1):
        with contextlib.suppress(Late):
            return await play(scenario, stage, PATIENCE_S, waits(scenario), told)
        await eventually(partial(is_gone, scenario.name, stage.kube), "the namespace is gone", 60)
        # The ring may still speak about the run before.
        await asyncio.sleep(ECHO_S)
    return await play(scenario, stage, PATIENCE_S, waits(scenario), told)


def waits(scenario: Scenario) -> dict[int, When]:
    """What the script's steps wait for where our run is meant to take another course."""
    concerned = (row for row in deliberate() if row.concerns(scenario.name))
    return {step: when for row in concerned for step, when in row.waits.items()}


def last_words(scenario: Scenario) -> str:
    """The text of the last event of the run, "" where it depends on the moment of its end."""
    concerned = [row for row in deliberate() if row.concerns(scenario.name)]
    if any("events" in row.apart for row in concerned):
        return ""
    here = [row.here["events"] for row in concerned if "events" in row.here]
    if here:
        return str(here[0][-1]).partition(" ")[2]
    told = story(scenarios.trace(selection.folder() / scenario.name)).events
    return told[-1].message if told else ""


def ring_settings(hosts: Hosts) -> dict[str, str]:
    """What Flagger's flags were when the runs were recorded, in our words."""
    return {
        "SERINUS_METRICS_SERVER": hosts.prometheus,
        "SERINUS_EVENT_WEBHOOK": f"{hosts.hooks}/{EVENTS}",
        "SERINUS_MIN_INTERVAL_S": "0.1",
        "SERINUS_SETTLE_S": "0",
    }


def lines_of(name: str, folder: Path) -> Path:
    """Our observations of one run, and the workloads at its end."""
    return folder / f"{name}.jsonl"


def judge(name: str, played: Played, rows: Sequence[Deliberate], folder: Path) -> Result:
    recorded = selection.folder() / name
    theirs = story(scenarios.trace(recorded), scenarios.final(recorded))
    ours = story(played.lines, played.final)
    return Result(played, compare(name, theirs, ours, rows, played.stuck), lines_of(name, folder))
