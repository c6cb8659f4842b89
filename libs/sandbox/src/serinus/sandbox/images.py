"""Which program an image is. A table, because nothing is pulled here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct


class Program(Struct, frozen=True):
    """What runs for an image.

    The arguments may hold {host}, {port} (the container's first port) and {tag}. The program must
    listen on HOST and PORT, which are in its environment too, and end soon after SIGTERM.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = {}


_DEMO = str(Path(__file__).with_name("demoapp.py"))

# As a file and without site packages: it needs none, and starts in a third of the time.
HELLO = Program((sys.executable, "-I", "-S", _DEMO), {"VERSION": "{tag}"})

PROGRAMS: Mapping[str, Program] = {"hello": HELLO}
"""The images that come with the sandbox: `hello:TAG`, where the tag says what is wrong with it."""


class UnknownImage(Exception):
    """No program is known for an image; the message lists those that are."""


def resolve(image: str, programs: Mapping[str, Program]) -> tuple[Program, str]:
    """The program of an image and its tag; the registry in front of the name does not matter."""
    name, _, tag = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")
    found = programs.get(image.partition(":")[0]) or programs.get(name)
    if found is None:
        known = ", ".join(sorted(programs))
        raise UnknownImage(
            f'Back-off pulling image "{image}": the sandbox runs programs of this machine and '
            f"knows these images: {known}"
        )
    return found, tag or "latest"


def command(
    program: Program, tag: str, host: str, port: int
) -> tuple[Sequence[str], dict[str, str]]:
    """Arguments and environment of a program in its place."""

    def fill(text: str) -> str:
        return text.replace("{host}", host).replace("{port}", str(port)).replace("{tag}", tag)

    return [fill(part) for part in program.argv], {k: fill(v) for k, v in program.env.items()}
