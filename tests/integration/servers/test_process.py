"""No server outlives the tests that started it, and a server that fails says why."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from tests.servers import process
from tests.servers.process import Child, ServerError, free_ports
from tests.servers.waiting import eventually

PARENT = """
import sys, time
from pathlib import Path
from tests.servers.process import Child
child = Child("idle", [sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
async def test_killing_the_tests_ends_their_servers(tmp_path: Path) -> None:
    """Kill -9 of the parent is enough: no fixture gets a chance to clean up."""
    argv = ["-c", PARENT, str(tmp_path / "log")]
    parent = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)

    parent.kill()
    await parent.wait()

    async def gone() -> bool:
        return not is_alive(pid)

    await eventually(gone, "the child died with its parent")


def test_a_server_that_ends_early_is_quoted(tmp_path: Path) -> None:
    """The error has the program's name, its exit status and its last words."""
    argv = [sys.executable, "-c", "import sys; sys.exit('no such port')"]
    child = Child("etcd", argv, tmp_path / "log")

    with pytest.raises(ServerError, match=r"etcd ended with 1\nno such port"):
        child.wait_until(lambda: False, "it listens")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """Not a traceback of the operating system's."""
    with pytest.raises(ServerError, match="etcd: cannot start /no/such/etcd"):
        Child("etcd", ["/no/such/etcd"], tmp_path / "log")


def test_a_server_that_is_late_is_an_error_with_its_words(tmp_path: Path) -> None:
    """Waiting has a bound."""
    child = Child("etcd", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    try:
        with pytest.raises(ServerError, match=r"etcd: it listens not within 0.2 s"):
            child.wait_until(lambda: False, "it listens", timeout_s=0.2)
    finally:
        child.kill()


def test_no_port_is_handed_out_twice() -> None:
    """Whoever got it before may not listen yet; a connection never gets it."""
    found = [*free_ports(50), *free_ports(50)]

    assert 100 == len(set(found))
    assert all(process.FIRST_PORT <= port < process.LAST_PORT for port in found)


def test_a_port_that_is_taken_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first, taken, last = free_ports(3)
    monkeypatch.setattr(process, "_PORTS", iter((first, taken, last)))
    with socket.create_server(("127.0.0.1", taken)):
        assert [first, last] == free_ports(2)


def test_workers_share_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    found: list[set[int]] = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        monkeypatch.setattr(process, "_PORTS", process._own_ports())
        found.append(set(free_ports(2000)))

    assert not found[0] & found[1]
