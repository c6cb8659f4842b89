"""Images are names of programs."""

from __future__ import annotations

import pytest

from serinus.sandbox.images import PROGRAMS, Program, UnknownImage, command, resolve

MINE = {**PROGRAMS, "corp/app": Program(("app", "--listen={host}:{port}", "{tag}"), {"V": "{tag}"})}


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("hello:1.0", "1.0"),
        ("hello", "latest"),
        ("registry.example:5000/team/hello:2.0", "2.0"),
        ("hello:1.0@sha256:abc", "1.0"),
        ("corp/app:3", "3"),
    ],
)
def test_an_image_is_known_by_its_name(image: str, tag: str) -> None:
    assert resolve(image, MINE)[1] == tag


def test_an_unknown_image_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownImage, match=r'"nginx:1".*corp/app, hello'):
        resolve("nginx:1", MINE)


def test_a_program_learns_its_place() -> None:
    argv, env = command(MINE["corp/app"], "3", "127.1.0.1", 80)

    assert argv == ["app", "--listen=127.1.0.1:80", "3"]
    assert env == {"V": "3"}
