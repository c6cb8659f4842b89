"""Plays all selected scenarios at once, before the first of their tests looks at its result."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.peer import scenario as scenarios
from tests.peer import selection
from tests.peer.compare import Deliberate, Verdict, compare, deliberate
from tests.peer.play import Played, Stage, play
from tests.peer.record import Recording
from tests.peer.scenario import Scenario
from tests.peer.story import blank_columns, story
from tests.servers.control_plane import ControlPlane, control_plane
from tests.servers.kube import UNREACHABLE, ApiError, Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import nats_server
from tests.servers.stub import EVENTS, Stub

SCALE = float(os.environ.get("SERINUS_TIME_SCALE") or 4)
# So many at a time: more would make the machine slow, and the stimuli late.
AT_ONCE = 8
# Eight intervals without any observation: nothing will come any more.
PATIENCE_S = 80 / SCALE
FLAGGERS_POD_DELAY_S = 1.0


class Result:
    """What became of one scenario."""

    def __init__(self, played: Played, verdict: Verdict, lines: Path) -> None:
        self.blank = blank_columns(played.recording.lines)
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
    with control_plane(folder / "control-plane") as plane, nats_server(folder / "nats") as nats:
        played = asyncio.run(play_all(chosen, plane, nats.url))
    return {name: judge(name, one, rows, folder) for name, one in played.items()}


async def play_all(
    chosen: Sequence[Scenario], plane: ControlPlane, nats_url: str
) -> dict[str, Played]:
    """Plays the scenarios against one ring, AT_ONCE at a time."""
    from tests.ring import Ring

    gate = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: Scenario, stage: Stage) -> tuple[str, Played]:
        async with gate:
            try:
                return scenario.name, await play(scenario, stage, PATIENCE_S)
            except (ApiError, *UNREACHABLE) as error:
                broken = Recording(scenario.name)
                return scenario.name, Played(recording=broken, stuck=f"broke off: {error!r}")

    async with (
        Stub() as stub,
        Kube(plane.kubeconfig()) as kube,
        Kube(plane.kubeconfig("kubelet")) as node,
        Kubelet(node, ready_after_s=FLAGGERS_POD_DELAY_S / SCALE) as kubelet,
        Ring(kubeconfig=plane.kubeconfig, nats=nats_url, settings=ring_settings(stub)),
    ):
        stage = Stage(kube=kube, kubelet=kubelet, stub=stub, scale=SCALE)
        return dict(await asyncio.gather(*(one(scenario, stage) for scenario in chosen)))


def ring_settings(stub: Stub) -> dict[str, str]:
    """What Flagger's flags were when the runs were recorded, in our words."""
    return {
        "SERINUS_METRICS_SERVER": stub.url("prometheus", "builtin"),
        "SERINUS_EVENT_WEBHOOK": stub.url("hook", EVENTS),
        "SERINUS_MESH_PROVIDER": "traefik",
        "SERINUS_MIN_INTERVAL_S": "0.1",
        "SERINUS_SETTLE_S": "0",
    }


def judge(name: str, played: Played, rows: Sequence[Deliberate], folder: Path) -> Result:
    lines = folder / f"{name}.jsonl"
    played.recording.write(lines)
    ours = story(played.recording.lines)
    theirs = story(scenarios.trace(selection.folder() / name))
    return Result(played, compare(name, theirs, ours, rows, played.stuck), lines)
