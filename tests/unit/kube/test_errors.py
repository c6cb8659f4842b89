"""Answers of the API server by meaning."""

from __future__ import annotations

import msgspec
import pytest

from serinus.kube.errors import (
    Conflict,
    Denied,
    Gone,
    Invalid,
    NoKind,
    NotFound,
    Unreachable,
    error_of,
    error_of_event,
)
from serinus.runtime.errors import Refuse, Retry, Stale


def a_status(message: str, **details: str) -> bytes:
    return msgspec.json.encode({"kind": "Status", "message": message, "details": details})


@pytest.mark.parametrize(
    ("status", "error", "meaning"),
    [
        (400, Invalid, Refuse),
        (401, Denied, Refuse),
        (403, Denied, Refuse),
        (409, Conflict, Stale),
        (410, Gone, Stale),
        (415, Invalid, Refuse),
        (422, Invalid, Refuse),
        (429, Unreachable, Retry),
        (500, Unreachable, Retry),
        (503, Unreachable, Retry),
        (504, Unreachable, Retry),
    ],
)
def test_every_status_has_a_meaning(
    status: int, error: type[Exception], meaning: type[Exception]
) -> None:
    """And the words are the API server's own."""
    found = error_of(status, a_status("because"))

    assert type(found) is error
    assert isinstance(found, meaning)
    assert str(found) == "because"


def test_an_unknown_kind_is_told_apart_from_a_missing_object() -> None:
    object_is_missing = error_of(404, a_status('pods "web" not found', name="web", kind="pods"))
    kind_is_missing = error_of(404, a_status("the server could not find the requested resource"))
    group_is_missing = error_of(404, b"404 page not found\n")

    assert type(object_is_missing) is NotFound
    assert type(kind_is_missing) is NoKind
    assert type(group_is_missing) is NoKind


def test_the_server_says_how_long_to_stay_away() -> None:
    """Within bounds: a server may not send us away for an hour."""
    waits = [error_of(429, b"", after) for after in ("3", "3600", "0", None, "soon")]

    assert [w.after_s for w in waits if isinstance(w, Unreachable)] == [3.0, 30.0, 1.0, 1.0, 1.0]


def test_an_answer_that_is_no_status_is_quoted_in_part() -> None:
    """A proxy's error page may be long; the beginning is enough."""
    page = error_of(502, b"<html>" + b"x" * 1000)

    assert str(page).startswith("HTTP 502: <html>xxx")
    assert len(str(page)) < 250
    assert str(error_of(503, b"")) == "HTTP 503"
    assert str(error_of(500, b"[1]")) == "HTTP 500: [1]"


def test_a_watch_may_end_with_an_error() -> None:
    gone = error_of_event({"code": 410, "message": "too old resource version: 1 (9)"})
    odd = error_of_event({})

    assert type(gone) is Gone
    assert str(gone) == "too old resource version: 1 (9)"
    assert type(odd) is Unreachable
