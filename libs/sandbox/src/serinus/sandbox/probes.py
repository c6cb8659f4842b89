"""Asking a program whether it is ready or alive."""

from __future__ import annotations

import asyncio
import contextlib

from serinus.sandbox.addresses import Place
from serinus.sandbox.errors import Obj
from serinus.sandbox.objects import port_number


class Verdict:
    """What many answers say together: it turns after enough of the same kind in a row."""

    def __init__(self, probe: Obj) -> None:
        """Not ready at first; `probe` has successThreshold and failureThreshold."""
        self.ready = False
        self._needed = {
            True: probe.get("successThreshold", 1),
            False: probe.get("failureThreshold", 3),
        }
        self._streak = 0

    def turns(self, fine: bool) -> bool:
        """Takes one more answer; whether `ready` has changed by it."""
        self._streak = self._streak + 1 if fine != self.ready else 0
        if self._streak < self._needed[fine] or fine == self.ready:
            return False
        self.ready, self._streak = fine, 0
        return True


async def ask(probe: Obj, pod_spec: Obj, place: Place) -> bool:
    """One httpGet or tcpSocket probe; True when it succeeds within its timeout.

    Exec and gRPC probes are not run and count as successful.
    """
    kind = "httpGet" if "httpGet" in probe else "tcpSocket"
    if kind not in probe:
        return True
    declared = port_number(pod_spec, probe[kind]["port"])
    if declared is None:
        return False
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            if kind == "tcpSocket":
                return await _connects(place.host, place.port(declared))
            path = probe[kind].get("path", "/")
            return await _answers(place.host, place.port(declared), path)
    except (OSError, TimeoutError):
        return False


async def _connects(host: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _answers(host: str, port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kube-probe/1.37\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n")
        await writer.drain()
        words = (await reader.readline()).split()
        return len(words) > 1 and 200 <= int(words[1]) < 400
    except ValueError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
