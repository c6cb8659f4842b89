"""Pods of every part of the suite die one after the other, every five seconds, while many releases
run; the history of each is as if nothing had been. Two replicas of everything, as shipped, but NATS
and the load tester, and NATS has a volume that outlives its pod.

SERINUS_TEST_SOAK=long: ten minutes and fifty releases; short, as without it: about one, and four.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.e2e import judge
from tests.e2e.cluster import Cluster
from tests.e2e.disasters import PARTS, Reaper, volumes
from tests.e2e.hello import Hello, hello_in
from tests.e2e.judge import History
from tests.e2e.load import RATE, Traffic
from tests.e2e.stage import PREFIX, Stage
from tests.e2e.suite import Suite
from tests.servers.kube import Kube
from tests.servers.waiting import eventually

EVERY = 5 * RATE
AFTERMATH = 8 * RATE
# Checks that Prometheus had no scrape for are asked again; no kill of ours fails one.
PATIENT = 30
LATEST_S = 600
TOLD_WITHIN_S = 90


@dataclass(frozen=True)
class Form:
    """`lanes` canaries side by side with `releases` each, and more until `least` requests."""

    lanes: int
    releases: int
    least: int


FORMS = {"short": Form(4, 1, 45 * RATE), "long": Form(6, 9, 600 * RATE)}


class Lane:
    """One canary that is released again and again; the first time in peace."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.disturbed = 0

    async def begin(self, *, measured: bool) -> None:
        """Its first day, and a release with nobody killed: what the others are held against."""
        await self.hello.deploy(replicas=1)
        await self.hello.canary(threshold=PATIENT, measured=measured)
        await self.hello.until("Initialized", within_s=LATEST_S)
        self._before = await self._once("Initialization done")
        await self._release()
        self._undisturbed = (await self._once("Promotion completed")).after(self._before)

    async def release(self) -> None:
        """One more, while pods die."""
        self.disturbed += 1
        await self._release()

    async def _release(self) -> None:
        await self.hello.push(f"{self.disturbed + 2}.0")
        await self.hello.until("Progressing", within_s=LATEST_S)
        await self.hello.until("Succeeded", within_s=LATEST_S)

    async def _once(self, told: str) -> History:
        async def is_told() -> bool:
            return any(told in text for text in await self.hello.events())

        await eventually(is_told, f"{self.hello.namespace}: {told}")
        return await self.hello.history()

    async def complaints(self) -> list[str]:
        """What of all its releases came otherwise than in the first."""
        seen = (await self.hello.history()).after(self._before)
        wanted = self._undisturbed.times(1 + self.disturbed)
        found = judge.differences(wanted, seen, patient=True)
        return [f"{self.hello.namespace}: {text}" for text in found]


@contextlib.asynccontextmanager
async def lasting(kube: Kube, suite: Suite) -> AsyncIterator[None]:
    """While the block runs the suite's NATS keeps its volume when its pod dies: what it had not
    told yet is lost with it otherwise, as `test_disasters.py` has it."""
    await suite.uninstall()
    try:
        async with volumes(kube):
            await suite.install("--set", "nats.persistence.enabled=true")
            try:
                yield
            finally:
                await suite.uninstall()
    finally:
        await suite.install()


async def test_pods_die_every_five_seconds_and_releases_go_their_way(
    installed: Stage, suite: Suite, node: Cluster, figures: list[str]
) -> None:
    """The load tester among them, but no hook is asked: what runs in it ends with it."""
    form = FORMS[os.environ.get("SERINUS_TEST_SOAK", "short")]
    async with (
        Kube(node.kubeconfig) as kube,
        lasting(kube, suite),
        contextlib.AsyncExitStack() as stack,
    ):
        lanes = []
        for number in range(form.lanes):
            namespace = f"{PREFIX}soak-{number}"
            hello = await stack.enter_async_context(hello_in(kube, installed, namespace))
            lanes.append(Lane(hello))
        first = lanes[0].hello
        await first.deploy(replicas=1)
        await first.own_route()
        await first.serving()
        async with first.traffic() as traffic:
            await asyncio.gather(*(lane.begin(measured=lane is lanes[0]) for lane in lanes))
            reaper = Reaper(kube)
            enough = len(traffic.requests) + form.least

            async def play(lane: Lane) -> None:
                while lane.disturbed < form.releases or len(traffic.requests) < enough:
                    await lane.release()

            async with asyncio.TaskGroup() as group:
                killing = group.create_task(_kill(reaper, traffic))
                await asyncio.wait([group.create_task(play(lane)) for lane in lanes])
                killing.cancel()
            await traffic.enough(AFTERMATH)
        found: list[str] = []

        async def same() -> bool:
            found[:] = [text for lane in lanes for text in await lane.complaints()]
            return not found

        with contextlib.suppress(TimeoutError):
            await eventually(same, "the same histories", TOLD_WITHIN_S)
        figures.append(
            f"soak: {sum(lane.disturbed for lane in lanes)} releases of {len(lanes)} canaries, "
            f"{reaper.killed.total()} pods killed ({dict(reaper.killed)}), "
            f"{len(traffic.requests)} requests, {judge.failures(traffic.requests).total()} failed"
        )
    assert not judge.failures(traffic.requests), judge.when(first.moments, traffic.requests)
    assert not found, "\n".join(found)
    assert reaper.killed.keys() == set(PARTS)


async def _kill(reaper: Reaper, traffic: Traffic) -> None:
    while True:
        await reaper.strike()
        await traffic.enough(EVERY)
