"""The wire within one version: old readers and new writers understand each other."""

from __future__ import annotations

import functools
import json
import subprocess
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from tests import builders
from tests.gen import schemas
from tests.gen.evolution import breaks
from tests.gen.tree import ROOT

from serinus.events import TABLE, encode

TAGS = sorted(schemas.all_schemas())


@functools.cache
def release() -> str:
    """The newest release tag that this commit descends from; "" before the first release."""
    argv = ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def promised(tag: str) -> dict[str, Any]:
    """The schema of the newest release; before the first one, and for new messages, today's."""
    if release():
        argv = ["git", "-C", str(ROOT), "show", f"{release()}:{schemas.path_of(tag)}"]
        shown = subprocess.run(argv, capture_output=True, text=True, check=False)
        if shown.returncode == 0:
            found: dict[str, Any] = json.loads(shown.stdout)
            return found
    return committed(tag)


def committed(tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / schemas.path_of(tag)).read_text("utf-8"))
    return found


@pytest.mark.parametrize("tag", TAGS)
def test_a_message_still_has_everything_that_its_version_promised(tag: str) -> None:
    assert breaks(promised(tag), schemas.all_schemas()[tag]) == []


@pytest.mark.parametrize("tag", TAGS)
def test_a_schema_is_a_schema(tag: str) -> None:
    Draft202012Validator.check_schema(committed(tag))


def test_every_message_has_its_own_tag_and_version() -> None:
    tags = [row.tag for row in TABLE]
    assert len(tags) == len(set(tags))
    assert [tag for tag in tags if not tag.endswith(".v1")] == []


@pytest.mark.parametrize(
    "message",
    [
        builders.an_observed(),
        builders.an_intent(canary_weight=20),
        builders.a_routes_observed("id", 20),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_sent_obeys_its_schema(message: Any) -> None:
    validator = Draft202012Validator(committed(str(message.__struct_config__.tag)))
    assert [error.message for error in validator.iter_errors(json.loads(encode(message)))] == []


class Before(msgspec.Struct, tag="x.v1"):
    name: str
    weight: int = 0
    words: tuple[str, ...] = ()
    limit: int | None = None


class _Changes:
    """What may and may not become of `Before`."""

    class Removed(msgspec.Struct, tag="x.v1"):
        name: str
        words: tuple[str, ...] = ()
        limit: int | None = None

    class Retyped(msgspec.Struct, tag="x.v1"):
        name: str
        weight: str = ""
        words: tuple[int, ...] = ()
        limit: int | None = None

    class Required(msgspec.Struct, tag="x.v1"):
        name: str
        weight: int
        extra: str
        words: tuple[str, ...] = ()
        limit: int | None = None

    class Narrowed(msgspec.Struct, tag="x.v1"):
        name: str
        weight: int = 0
        words: tuple[str, ...] = ()
        limit: int = 0

    class Grown(msgspec.Struct, tag="x.v1"):
        name: str
        weight: int = 0
        words: tuple[str, ...] = ()
        limit: int | str | None = None
        extra: dict[str, int] = {}


@pytest.mark.parametrize(
    ("after", "reasons"),
    [
        (_Changes.Removed, ["message.weight was removed"]),
        (
            _Changes.Retyped,
            [
                "message.weight changed from integer to string",
                "message.words[] changed from string to integer",
            ],
        ),
        (
            _Changes.Required,
            ["message.extra became required", "message.weight became required"],
        ),
        (_Changes.Narrowed, ["message.limit no longer takes null"]),
        (_Changes.Grown, []),
    ],
)
def test_a_change_is_judged_by_what_it_does_to_readers(after: Any, reasons: list[str]) -> None:
    assert breaks(schemas.schema(Before), schemas.schema(after)) == reasons
