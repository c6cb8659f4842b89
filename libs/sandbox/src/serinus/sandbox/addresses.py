"""Loopback addresses for pods and services.

Where the whole of 127/8 answers, as on Linux, every pod has an address of its own and keeps its
port. Elsewhere all pods share 127.0.0.1 and get free ports instead.
"""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Iterable, Iterator

from msgspec import Struct


class Place(Struct, frozen=True):
    """Where a pod listens: `ports` maps declared ports to those really used, where they differ."""

    host: str
    ports: dict[int, int]

    def port(self, declared: int) -> int:
        """The real port of a declared one."""
        return self.ports.get(declared, declared)


def many_addresses() -> bool:
    """Whether this machine answers on any address of 127/8."""
    return _free("127.86.7.5", 0)


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


class Addresses:
    """Hands out places; a random block of 127/8 keeps sandboxes on one machine apart."""

    def __init__(self, single: bool | None = None) -> None:
        """`single` forces the way with one address; by default the machine decides."""
        self._single = not many_addresses() if single is None else single
        block = 16 + secrets.randbelow(224)
        self._pods = (
            f"127.{block}.{high}.{low}"
            for high in itertools.cycle(range(128))
            for low in range(1, 255)
        )
        self._services = (
            f"127.{block}.{high}.{low}" for high in range(128, 256) for low in range(1, 255)
        )

    @property
    def service_addresses(self) -> Iterator[str]:
        """Addresses for Services."""
        return self._services

    def place(self, ports: Iterable[int]) -> Place:
        """A place where all these ports are free now."""
        if self._single:
            return Place("127.0.0.1", {port: _some_port() for port in ports})
        wanted = tuple(ports)
        for host in itertools.islice(self._pods, 1000):
            if all(_free(host, port) for port in wanted):
                return Place(host, {})
        raise OSError(f"no loopback address has the ports {wanted} free")


def _some_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
