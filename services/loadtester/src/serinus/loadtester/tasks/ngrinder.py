"""nGrinder: clones a performance test, starts it and waits for its end (reference 6.6)."""

from __future__ import annotations

import base64
import binascii

import msgspec

from serinus.loadtester.process import Ended
from serinus.loadtester.work import Failed, Job, asked
from serinus.runtime.http import HttpRequest

ENDED_WELL = "FINISHED"
ENDED_BADLY = frozenset({"STOP_BY_ERROR", "CANCELED", "UNKNOWN"})


class NGrinder(Job):
    """One test on an nGrinder controller. `metadata` has what the task type needs."""

    async def _run(self) -> Ended:
        clone = self._metadata["clone"]
        started = await self._ask("POST", f"{clone}/clone_and_start", b"{}")
        if not isinstance(started, dict) or "id" not in started:
            raise Failed("nGrinder names no test that it started")
        test = str(started["id"])
        until = self._clock.monotonic() + self._timeout_s
        while True:
            status = _status(await self._ask("GET", f"{test}/status"))
            self.output.add(f"{status}\n".encode())
            if status == ENDED_WELL:
                return Ended(0, self.output.text())
            if status in ENDED_BADLY:
                raise Failed(f"test {test} ended as {status}")
            if self._stopped.is_set() or self._clock.monotonic() >= until:
                await self._ask("PUT", f"{test}?action=stop")
                raise Failed(f"test {test} was stopped after {self._timeout_s:g} s at most")
            await self._clock.sleep(self._poll_s)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> object:
        user, password = self._metadata["username"], self._metadata["passwd"]
        headers = {"Authorization": _basic(user, password), "Content-Type": "application/json"}
        url = f"{self._base}/perftest/api/{path}"
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
