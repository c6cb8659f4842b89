"""docs/loadtester.md, followed to the letter: its commands give the output that it shows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import free_ports
from tests.tools import debian

PAGE = Path(__file__).resolve().parents[2] / "docs" / "loadtester.md"
END = "--- end of a command ---"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of the console blocks with the output that is shown for it."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = part.partition("\n")
            if "<<END" in command:
                body, _, shown = shown.partition("END\n")
                command += f"\n{body}END"
            yield command, shown.strip()


def alike(shown: str, seen: str) -> bool:
    """`...` stands for anything without a space, and space at the end of a line for nothing."""
    pattern = re.escape(" ".join(shown.split())).replace(r"\.\.\.", r"\S+")
    return re.fullmatch(pattern, " ".join(seen.split())) is not None


async def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    for program in ("curl", "jq", "hey"):
        debian.program(program)
    web, listen = free_ports(2)
    text = PAGE.read_text("utf-8").replace(":9090", f":{web}").replace(":8080", f":{listen}")
    here = str(Path(sys.executable).parent)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SERINUS_")}
    environ["PATH"] = f"{here}{os.pathsep}{environ['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        "bash", env=environ, cwd=tmp_path, start_new_session=True,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert shell.stdin is not None
    assert shell.stdout is not None
    # Aliases work as they do for people; the address is the test's own.
    url = f"http://127.0.0.1:{web}"
    shell.stdin.write(
        f"shopt -s expand_aliases\nserinus() {{ SERINUS_LOADTESTER_URL={url} command serinus "
        '"$@"; }\n'.encode()
    )
    different, many = [], 0
    try:
        async with asyncio.timeout(90):
            for command, shown in commands(text):
                shell.stdin.write(f"{command}\necho; echo {END}\n".encode())
                seen = (await shell.stdout.readuntil(f"{END}\n".encode())).decode()
                seen, many = seen.removesuffix(f"{END}\n"), many + 1
                if not alike(shown, seen):
                    different.append((command, shown, seen))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        await shell.wait()
    assert different == []
    assert many >= 15
