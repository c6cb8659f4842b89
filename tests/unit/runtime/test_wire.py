"""Envelopes: subject, headers, body; and what is none of ours."""

from __future__ import annotations

import pytest
from tests.unit.runtime.helpers import WEB, fact, snapshot

from serinus.events import Parked, Undecodable, encode, message_id
from serinus.runtime import context, wire

NOW = 1_800_000_000.0
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def test_an_envelope_names_subject_id_and_time() -> None:
    envelope = wire.seal(snapshot(), NOW)
    assert envelope.subject == "serinus.snapshot.canary.shop.web"
    assert envelope.headers["Nats-Msg-Id"] == message_id(snapshot())
    assert envelope.headers["ce-time"] == "2027-01-15T08:00:00.000Z"
    assert wire.open_(envelope.subject, envelope.body) == snapshot()


def test_cause_and_trace_are_those_being_handled() -> None:
    with context.handling(WEB.key, "id-of-the-cause", TRACE):
        headers = wire.seal(fact(), NOW).headers
    assert headers["serinus-cause"] == "id-of-the-cause"
    assert headers["traceparent"] == TRACE


def test_what_nothing_caused_begins_a_trace() -> None:
    headers = wire.seal(fact(), NOW).headers
    assert "serinus-cause" not in headers
    assert context.extract(headers)


def test_a_message_on_anothers_subject_is_not_ours() -> None:
    with pytest.raises(Undecodable, match=r"a message for serinus\.snapshot\.canary\.shop\.web"):
        wire.open_("serinus.snapshot.canary.shop.api", encode(snapshot()))


def test_a_parked_message_keeps_as_much_of_its_body_as_people_need() -> None:
    note = wire.parked("router", "serinus.x", "because", b"\xff" + b"x" * 100_000, NOW)
    assert len(note.body) == wire.BODY_MAX
    assert note == Parked(
        service="router", subject="serinus.x", reason="because", body=note.body, at=NOW
    )


def test_the_same_message_parked_twice_has_the_same_id_whenever_that_is() -> None:
    first = wire.seal(wire.parked("router", "s", "why", b"x", NOW), NOW)
    second = wire.seal(wire.parked("router", "s", "why", b"x", NOW + 5), NOW + 5)
    other = wire.seal(wire.parked("router", "s", "why", b"y", NOW), NOW)
    assert first.subject == "serinus.dead.router"
    assert first.headers["Nats-Msg-Id"] == second.headers["Nats-Msg-Id"]
    assert first.headers["Nats-Msg-Id"] != other.headers["Nats-Msg-Id"]


async def test_what_needs_no_acknowledgement_can_be_acknowledged_all_the_same() -> None:
    arrived = wire.Arrived(fact(), "s", 1, {"ce-id": "x"})
    await arrived.ack()
    await arrived.nak(1.0)
    assert arrived.id == "x"
