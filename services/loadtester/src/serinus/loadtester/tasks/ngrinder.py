"""nGrinder: clones a performance test, starts it and waits for its end (reference 6.6)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import signal
from collections.abc import Mapping

import msgspec

from serinus.loadtester.process import Ended, Output
from serinus.loadtester.work import Failed, asked
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http, HttpRequest

POLL_S = 1.0
ENDED_WELL = "FINISHED"
ENDED_BADLY = frozenset({"STOP_BY_ERROR", "CANCELED", "UNKNOWN"})


class NGrinder:
    """One test on an nGrinder controller. `metadata` has what the task type needs."""

    def __init__(
        self,
        metadata: Mapping[str, str],
        *,
        poll_s: float,
        timeout_s: float,
        http: Http,
        clock: Clock,
    ) -> None:
        self.output = Output(4096)
        self._base = f"{metadata['server'].rstrip('/')}/perftest/api"
        self._clone = metadata["clone"]
        self._headers = {"Authorization": _basic(metadata["username"], metadata["passwd"])}
        self._poll_s, self._timeout_s = poll_s, timeout_s
        self._http, self._clock = http, clock
        self._stopped = asyncio.Event()
        self._test = ""

    async def run(self) -> Ended:
        try:
            return await self._run()
        except Failed as error:
            return Ended(1, self.output.text(), str(error))

    def end(self, number: signal.Signals) -> None:
        self._stopped.set()

    async def _run(self) -> Ended:
        started = await self._ask("POST", f"{self._clone}/clone_and_start", b"{}")
        if not isinstance(started, dict) or "id" not in started:
            raise Failed("nGrinder names no test that it started")
        self._test = str(started["id"])
        until = self._clock.monotonic() + self._timeout_s
        while True:
            status = _status(await self._ask("GET", f"{self._test}/status"))
            self.output.add(f"{status}\n".encode())
            if status == ENDED_WELL:
                return Ended(0, self.output.text())
            if status in ENDED_BADLY:
                raise Failed(f"test {self._test} ended as {status}")
            if self._stopped.is_set() or self._clock.monotonic() >= until:
                await self._ask("PUT", f"{self._test}?action=stop")
                raise Failed(f"test {self._test} was stopped after {self._timeout_s:g} s at most")
            await self._clock.sleep(self._poll_s)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> object:
        headers = {**self._headers, "Content-Type": "application/json"}
        url = f"{self._base}/{path}"
        answer = await asked(
            self._http, HttpRequest(url=url, method=method, headers=headers, body=body)
        )
        try:
            return msgspec.json.decode(answer.body) if answer.body else None
        except msgspec.MsgspecError:
            raise Failed("nGrinder's answer is no JSON") from None


def _status(answer: object) -> str:
    """The state in an answer: a word, or an object that names it."""
    found = answer.get("status") if isinstance(answer, dict) else None
    if isinstance(found, dict):
        found = found.get("name") or found.get("id")
    return str(found or "UNKNOWN")


def _basic(user: str, password: str) -> str:
    """`passwd` is base64 in the metadata; one that is not is taken as it is."""
    try:
        plain = base64.b64decode(password, validate=True)
    except (binascii.Error, ValueError):
        plain = password.encode()
    return "Basic " + base64.b64encode(user.encode() + b":" + plain).decode()
