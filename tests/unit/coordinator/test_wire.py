"""How messages travel between clusters."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.coordinator.core.fleet import WORDS, Message
from serinus.coordinator.wire import LARGE, LARGEST, packed, subjects, unpacked


def test_every_message_has_its_subject() -> None:
    tags = {str(one.__struct_config__.tag) for one in get_args(Message)}
    assert set(WORDS) == {tag.removesuffix(".v1") for tag in tags}
    assert "serinus.fleet.eu.ask" in subjects("eu")


@pytest.mark.parametrize("size", [2, LARGE - 1, LARGE, LARGE * 50])
def test_a_body_is_the_same_after_its_journey(size: int) -> None:
    body = b"{" + b"x" * (size - 1)
    assert body == unpacked(packed(body))
    assert len(packed(body)) <= size


def test_a_large_one_travels_small() -> None:
    assert len(packed(b"{" + b'"key":"value",' * 10_000)) < LARGE


@given(st.binary().filter(lambda body: body[:1] != b"{"))
def test_what_is_no_body_is_an_error_and_no_crash(body: bytes) -> None:
    with suppress(ValueError):
        unpacked(body)


def test_a_small_body_that_would_fill_the_memory_is_refused() -> None:
    bomb = zlib.compress(b"\0" * (LARGEST + 1), 9)
    with pytest.raises(ValueError, match="more than"):
        unpacked(bomb)
