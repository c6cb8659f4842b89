"""A network of the run's own, in which the addresses of pods are this machine's.

An EndpointSlice may not hold a loopback address, and proxies send requests to what it holds. In a
network namespace that has nothing but a loopback device every address of a pod leads back to that
device: what a test listens on there is what real proxies reach, and nothing leaves the namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

from tests.servers.kubelet import POD_ADDRESSES
from tests.servers.process import ServerError
from tests.tools import debian

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def own_network(addresses: str = POD_ADDRESSES) -> Iterator[None]:
    """What this thread and its children open meanwhile is in a new network namespace.

    addresses  those of pods, as a network; each of them is this machine

    Raises ServerError where that is not allowed (it takes root).
    """
    ip = debian.program("ip")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _call("unshare", _LIBC.unshare(_NEW_NETWORK))
        try:
            for words in ("link set lo up", f"route add local {addresses} dev lo"):
                subprocess.run([ip, *words.split()], check=True)
            yield
        finally:
            _call("setns", _LIBC.setns(before, _NEW_NETWORK))
    finally:
        os.close(before)


def _call(name: str, result: int) -> None:
    if result:
        why = os.strerror(ctypes.get_errno())
        raise ServerError(f"a network of our own: {name}: {why} (it takes root)")
