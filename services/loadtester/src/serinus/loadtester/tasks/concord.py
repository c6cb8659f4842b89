"""Concord: starts a process and waits for its end (reference 6.6)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from serinus.loadtester.process import Ended
from serinus.loadtester.work import Failed, Job, asked
from serinus.runtime.http import HttpRequest

ARGUMENT = "arguments."
ENDED_BADLY = frozenset({"FAILED", "CANCELLED", "TIMED_OUT"})


class Concord(Job):
    """One process on a Concord server. `metadata` has what the task type needs."""

    POLL_S, TIMEOUT_S = 5.0, 30.0

    async def _run(self) -> Ended:
        key = await asyncio.to_thread(Path(self._metadata["apiKeyPath"]).read_text)
        headers = {"Authorization": key.strip()}
        body, content_type = multipart(fields(self._metadata))
        started = await self._ask(
            "POST", "/api/v1/process", {**headers, "Content-Type": content_type}, body
        )
        process = str(started.get("instanceId") or "")
        if not process:
            raise Failed("Concord names no process that it started")
        until = self._clock.monotonic() + self._timeout_s
        while True:
            status = str(
                (await self._ask("GET", f"/api/v1/process/{process}", headers)).get("status")
            )
            self.output.add(f"{process} {status}\n".encode())
            if status == "FINISHED":
                return Ended(0, self.output.text())
            if status in ENDED_BADLY:
                raise Failed(f"process {process} ended as {status}")
            if self._stopped.is_set() or self._clock.monotonic() >= until:
                raise Failed(f"process {process} did not end within {self._timeout_s:g} s")
            await self._clock.sleep(self._poll_s)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> dict[str, object]:
        request = HttpRequest(url=self._base + path, method=method, headers=headers, body=body)
        answer = await asked(self._http, request)
        try:
            return msgspec.json.decode(answer.body, type=dict[str, object])
        except msgspec.MsgspecError:
            raise Failed("Concord's answer is no JSON object") from None


def fields(metadata: Mapping[str, str]) -> dict[str, str]:
    """The parts of the form: where the process is, and its arguments but the endpoint's own."""
    form = {key: metadata[key] for key in ("org", "project", "repo")}
    form["entryPoint"] = metadata["entrypoint"]
    form[f"{ARGUMENT}endpoint"] = metadata["endpoint"]
    arguments = {k: v for k, v in metadata.items() if k.startswith(ARGUMENT)}
    return {**arguments, **form}


def multipart(form: Mapping[str, str]) -> tuple[bytes, str]:
    """A form as multipart/form-data (RFC 7578), and its content type.

    The boundary is derived from the form, so that equal forms are equal bytes.
    """
    boundary = uuid.uuid5(uuid.NAMESPACE_URL, repr(sorted(form.items()))).hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in sorted(form.items())
    ]
    body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
    return body, f"multipart/form-data; boundary={boundary}"
