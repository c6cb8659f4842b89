"""A log line is one JSON object."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from serinus.runtime import context, logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged while the test runs; the root logger is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure("INFO", stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_who_what_about_whom_and_why(lines: io.StringIO) -> None:
    token = context.service.set("router")
    try:
        with context.handling("shop/web", "id-1", f"00-{'a' * 32}-{'b' * 16}-01"):
            logging.getLogger("x").warning("did not", extra={"reason": "no", "attempt": 2})
    finally:
        context.service.reset(token)
    (line,) = read(lines)
    assert str(line.pop("ts")).endswith("Z")
    assert line == {
        "level": "WARNING",
        "service": "router",
        "msg": "did not",
        "canary": "shop/web",
        "trace_id": "a" * 32,
        "reason": "no",
        "logger": "x",
        "attempt": 2,
    }


def test_an_exception_stays_on_its_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = read(lines)
    assert "ValueError: one\ntwo" in str(line["exception"])


def test_what_json_does_not_know_is_shown_as_python_would(lines: io.StringIO) -> None:
    logging.getLogger("x").info("odd", extra={"thing": object})
    assert read(lines)[0]["thing"] == "<class 'object'>"


def test_below_the_level_nothing_is_said(lines: io.StringIO) -> None:
    logging.getLogger("x").debug("whisper")
    assert lines.getvalue() == ""


def test_an_unknown_level_is_refused(lines: io.StringIO) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure("loud", lines)
