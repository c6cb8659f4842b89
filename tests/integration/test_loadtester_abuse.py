"""The load tester under abuse: bounded memory, clear answers, and nothing is left behind."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.loadtester import BEARER, BOUND_S, LoadTester, load_tester
from tests.servers.waiting import eventually

GROWTH_MIB = 48.0
MARK = b"LOADTESTER_RUN="


def left_behind(one: LoadTester) -> list[str]:
    """Commands of processes that tasks of this load tester started and that still live."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        mark = next((word for word in environ if word.startswith(MARK)), b"")
        if mark.startswith(MARK + f"{one.process.pid}-".encode()) and state != "Z":
            found.append(command.replace("\0", " "))
    return found


async def nothing_is_left(one: LoadTester) -> None:
    async def is_clean() -> bool:
        return left_behind(one) == []

    try:
        await eventually(is_clean, "nothing is left behind", 10)
    except TimeoutError:
        raise AssertionError(left_behind(one)) from None


async def answer(one: LoadTester, **metadata: str) -> tuple[int, str]:
    body = {"name": "web", "namespace": "shop", "metadata": metadata}
    async with one.client.post(one.face, json=body) as response:
        return response.status, response.headers.get("Retry-After", "")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LoadTester]:
    """For what must not touch it."""
    async with load_tester(tmp_path_factory.mktemp("shared")) as made:
        yield made
        await nothing_is_left(made)


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[LoadTester]:
    async with load_tester(tmp_path, SERINUS_OUTPUT_BYTES="65536") as made:
        yield made
        await nothing_is_left(made)


async def test_of_200_hooks_at_once_as_many_run_as_may_and_the_others_come_back(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    cmd = f"until [ -e {gate} ]; do sleep 0.05; done; : {{}}"
    async with load_tester(tmp_path, SERINUS_MAX_TASKS="20") as one:
        calls = (answer(one, cmd=cmd.format(number)) for number in range(200))
        answers = Counter(await asyncio.gather(*calls))
        running = [row["state"] for row in await one.tasks()]
        gate.touch()
        await one.idle()
        again = await answer(one, cmd=cmd.format(199))
        await one.idle()
        memory = one.memory_mib("VmHWM")
        await nothing_is_left(one)

    assert answers == {(202, ""): 20, (429, "5"): 180}
    assert running == ["running"] * 20
    assert again == (202, "")
    assert memory < 150


async def test_200_hooks_that_ask_for_the_same_wait_for_one_run(
    one: LoadTester, tmp_path: Path
) -> None:
    gate, log = tmp_path / "gate", tmp_path / "log"
    cmd = f"echo run >> {log}; until [ -e {gate} ]; do sleep 0.05; done; echo done"
    calls = [
        asyncio.create_task(one.post("/", "shop", type="bash", cmd=cmd, returnCmdOutput="true"))
        for _ in range(200)
    ]

    async def all_wait() -> bool:
        async with one.client.get(f"{one.face}/metrics") as response:
            return bool(re.search(r"^serinus_load_calls\S* 200$", await response.text(), re.M))

    await eventually(all_wait, "200 calls wait", BOUND_S)
    gate.touch()

    assert set(await asyncio.gather(*calls)) == {(200, "done\n")}
    assert log.read_text() == "run\n"


# Every process makes two more and sleeps; the depth bounds it: 2^11 - 1 at most, and each of them
# ends by itself.
BOMB = (
    "b() {{ [ $1 -gt 0 ] && {{ {away} b $(($1 - 1)) & {away} b $(($1 - 1)) & }}; sleep 20; }}; b 10"
)


async def test_a_fork_bomb_is_killed_and_the_others_work_on(tmp_path: Path) -> None:
    async with load_tester(tmp_path, SERINUS_MAX_PROCESSES="100") as one:
        status, text = await one.post("/", "shop", type="bash", cmd=BOMB.format(away=""))
        assert (status, text.endswith("signal: killed (more than 100 processes)")) == (500, True)
        assert await one.post("/", "shop", type="bash", cmd="true") == (200, "")
        await nothing_is_left(one)


async def test_a_fork_bomb_whose_parts_leave_the_group_is_killed_too(tmp_path: Path) -> None:
    script = tmp_path / "bomb"
    script.write_text(
        f'[ "$1" -gt 0 ] && for i in 1 2; do setsid sh {script} $(($1 - 1)) & done; sleep 20\n'
    )
    async with load_tester(tmp_path, SERINUS_MAX_PROCESSES="100") as one:
        status, text = await one.post("/", "shop", type="bash", cmd=f"sh {script} 10")
        assert (status, text.endswith("(more than 100 processes)")) == (500, True)
        await nothing_is_left(one)


async def test_a_command_that_ignores_sigterm_is_gone_after_its_time(tmp_path: Path) -> None:
    deaf = "trap '' TERM INT HUP; echo up; while :; do sleep 0.1; done"
    async with load_tester(tmp_path, SERINUS_TIMEOUT_S="1") as one:
        status, text = await one.post("/", "shop", type="bash", cmd=deaf)
        await nothing_is_left(one)
    assert status == 500
    assert text == f"command {deaf} failed: up\n: signal: killed (after 1 s)"


async def test_a_command_that_ignores_sigterm_does_not_hold_up_the_end(tmp_path: Path) -> None:
    deaf = "trap '' TERM INT HUP; setsid sleep 60 & while :; do sleep 0.1; done"
    async with load_tester(tmp_path, SERINUS_DRAIN_S="2") as one:
        await one.post("/", "shop", cmd=deaf)
        async with asyncio.timeout(20):
            assert await one.stop() == 0
        await nothing_is_left(one)


async def test_a_gigabyte_of_output_takes_no_memory(one: LoadTester) -> None:
    before = one.memory_mib()

    assert await one.post(
        "/", "shop", type="bash", cmd="head -c 1000000000 /dev/zero; echo; echo end"
    ) == (200, "")

    [row] = await one.tasks()
    assert row["state"] == "succeeded"
    assert row["output"].endswith("\nend\n")
    assert len(row["output"]) == 2000
    assert one.memory_mib("VmHWM") - before < GROWTH_MIB


async def test_what_is_remembered_of_many_loud_tasks_is_bounded(one: LoadTester) -> None:
    before = one.memory_mib()
    for number in range(150):
        cmd = f": {number}; head -c 1000000 /dev/urandom"
        assert await one.post("/", "shop", type="bash", cmd=cmd) == (200, "")

    assert len(await one.tasks()) == 100
    assert one.memory_mib("VmHWM") - before < GROWTH_MIB


async def test_binary_output_is_text_afterwards(one: LoadTester) -> None:
    cmd = r"printf '\377\376\000\001\033[31mred'; head -c 100000 /dev/urandom; printf 'end\200'"

    status, text = await one.post("/", "shop", type="bash", cmd=cmd, returnCmdOutput="true")

    assert status == 200
    assert text.endswith("end�")
    [row] = await one.tasks()
    assert row["numbers"] == {}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, ""),
        (b"\xff\xfe\x00", 400, ""),
        (b"[" * 500_000, 400, ""),
        (b'{"metadata":' * 80_000, 400, ""),
        (b'{"x":' + b"[" * 500_000, 400, ""),
        (b'{"name": 1}', 400, ""),
        (b'{"metadata": {"cmd": ["x"]}}', 400, ""),
        (b'{"metadata": {"type": "fork", "cmd": "x"}}', 400, "unknown task type fork"),
        (b'{"metadata": {"type": "\\u0000", "cmd": "x"}}', 400, "unknown task type \0"),
        (b'{"name": "' + b"x" * 254 + b'"}', 400, "a name is longer than 253 characters"),
        (b'{"metadata": {"cmd": "' + b"x" * 100_001 + b'"}}', 400, "cmd is longer than 100000 "),
        (b'{"name": "' + b"x" * (1 << 20) + b'"}', 413, "more than 1048576 bytes"),
    ],
    ids=range(12),
)
async def test_bad_bodies_get_a_clear_4xx(
    shared: LoadTester, body: bytes, status: int, says: str
) -> None:
    async with shared.client.post(shared.face, data=io.BytesIO(body)) as response:
        text = await response.text()
    assert (response.status, text[: len(says) or None]) == (status, says)


async def test_what_cannot_be_a_command_fails_alone(one: LoadTester) -> None:
    for cmd in ("a\0b", "\ud800", "x" * 100_000):
        body = json.dumps({"name": "w", "namespace": "s", "metadata": {"type": "bash", "cmd": cmd}})
        async with one.client.post(one.face, data=body) as response:
            assert response.status in (400, 500), await response.text()
    assert await one.post("/", "shop", type="bash", cmd="true") == (200, "")


WORDS = st.text(max_size=8) | st.sampled_from(["type", "cmd", "bash", "true", "name", "server"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.one_of(
    st.binary(max_size=100),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "name": WORDS,
            "namespace": WORDS,
            "metadata": st.dictionaries(WORDS, WORDS | VALUES, max_size=4),
        },
    ).map(lambda value: json.dumps(value).encode()),
)
PATHS = st.sampled_from(
    ["/", "/gate/check", "/gate/open", "/gate/close", "/rollback/open", "/rollback/check", "/x/y"]
)


def test_no_body_brings_it_down(tmp_path: Path) -> None:
    """Nothing but the answers of the reference, whatever is sent; nothing of it is run."""
    loop = asyncio.new_event_loop()
    context = load_tester(tmp_path, SERINUS_RULES='[{"command": "true"}]')
    one = loop.run_until_complete(context.__aenter__())

    async def ask(path: str, body: bytes) -> tuple[int, int]:
        url = f"{one.face}{path}"
        async with one.client.post(url, data=body, headers=BEARER) as response:
            return response.status, len(await response.read())

    @settings(max_examples=400)
    @given(PATHS, BODIES)
    def fuzz(path: str, body: bytes) -> None:
        status, size = loop.run_until_complete(ask(path, body))
        assert status in (200, 202, 400, 403), body
        assert size < 1000

    try:
        before = one.memory_mib()
        fuzz()
        assert one.memory_mib() - before < GROWTH_MIB
        assert "Traceback" not in one.log.read_text()
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()


async def test_what_is_no_http_is_refused_and_closed(one: LoadTester) -> None:
    host, port = one.face.removeprefix("http://").split(":")
    for raw in (b"\x16\x03\x01\x00\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\0" * 9000):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw + b"\r\n\r\n")
        async with asyncio.timeout(10):
            said = await reader.read()
        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"")), said
        writer.close()
    assert await one.post("/", "shop", type="bash", cmd="true") == (200, "")


async def test_calls_that_went_away_leave_nothing_that_grows(one: LoadTester) -> None:
    """A hook's time-out does not end its task (reference 6.6); the task ends by itself."""
    body: dict[str, Any] = {"name": "w", "namespace": "s"}
    impatient = aiohttp.ClientTimeout(total=0.3)
    body["metadata"] = {"type": "bash", "cmd": "sleep 1; echo end"}
    with pytest.raises(TimeoutError):
        await one.client.post(one.face, json=body, timeout=impatient)
    await one.idle()

    [row] = await one.tasks()
    assert (row["state"], row["output"]) == ("succeeded", "end\n")
