"""What happens, collected: the Canary's status from the API, facts and their numbers from NATS."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import nats
from nats.aio.msg import Msg

from serinus.cli.demo.manifests import NAME, NAMESPACE
from serinus.cli.demo.verdict import Moment
from serinus.events import API_VERSION, CheckFailed, CheckPassed, Fact, Undecodable, decode
from serinus.kube.client import KubeClient
from serinus.kube.errors import Gone, NotFound, Unreachable

FACTS = "serinus.fact.>"


class Told:
    """One sentence, as people hear it."""

    def __init__(self, at: float, warning: bool, text: str) -> None:
        self.at, self.warning, self.text = at, warning, text


class Watching:
    """Everything seen so far; `changed` wakes whoever waits for more."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.told: list[Told] = []
        self.success_rate: float | None = None
        self.p99_ms: float | None = None
        self.changed = asyncio.Event()

    @property
    def now(self) -> Moment:
        return self.moments[-1] if self.moments else Moment(0.0, "", 0)

    async def until(self, wanted: Callable[[], bool], seconds: float) -> bool:
        """Waits for a condition, looking whenever something was seen; whether it came in time."""
        deadline = time.monotonic() + seconds
        while not wanted():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 1.0))
            self.changed.clear()
        return True

    async def follow_canary(self, client: KubeClient) -> None:
        """Follows the Canary's status for ever."""
        while True:
            try:
                listing = await client.list(API_VERSION, "Canary", NAMESPACE)
                for item in listing.items:
                    self._see(item)
                changes = client.watch(API_VERSION, "Canary", listing.resource_version, NAMESPACE)
                async for change in changes:
                    if change.type in ("ADDED", "MODIFIED"):
                        self._see(change.object)
            except (Gone, NotFound, Unreachable):
                await asyncio.sleep(0.2)

    def _see(self, canary: dict[str, dict[str, object]]) -> None:
        if canary["metadata"].get("name") != NAME:
            return
        status = canary.get("status") or {}
        moment = Moment(
            time.time(),
            str(status.get("phase") or ""),
            int(str(status.get("canaryWeight") or 0)),
            int(str(status.get("failedChecks") or 0)),
        )
        last = self.now
        same = (last.phase, last.weight, last.failed_checks)
        if (moment.phase, moment.weight, moment.failed_checks) != same:
            self.moments.append(moment)
            self.changed.set()

    async def follow_facts(self, url: str, user: str, password: str) -> None:
        """Listens to the facts as any subscriber can, for ever."""
        connection = await nats.connect(url, user=user, password=password)
        await connection.subscribe(FACTS, cb=self._hear)
        try:
            await asyncio.Event().wait()
        finally:
            await connection.close()

    async def _hear(self, message: Msg) -> None:
        try:
            fact = decode(message.data)
        except Undecodable:
            return
        if isinstance(fact, CheckPassed | CheckFailed):
            for measurement in fact.measurements:
                if measurement.metric == "request-success-rate":
                    self.success_rate = measurement.value
                if measurement.metric == "request-duration":
                    self.p99_ms = measurement.value
        if isinstance(fact, Fact) and fact.text:
            self.told.append(Told(time.time(), fact.severity == "Warning", fact.text))
        self.changed.set()
