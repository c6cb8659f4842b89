"""Bytes, headers and ids of messages."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import REF, T0, a_routes_observed, a_status, an_intent, an_observed

from serinus.events import (
    TABLE,
    CanaryGone,
    CanaryRef,
    Fact,
    Intent,
    LoadFinished,
    Parked,
    Promoted,
    Undecodable,
    codec,
    decode,
    encode,
    headers,
    message_id,
    subject_of,
)

AT = "2027-01-15T08:00:00.000Z"


def an_example(message: type[Any]) -> Any:
    """A message of that type with what it cannot do without."""
    needed: dict[str, Any] = {
        "CanaryObserved": an_observed(),
        "RoutesObserved": a_routes_observed("id", 20),
        "Intent": an_intent(canary_weight=20),
        "CanaryGone": CanaryGone(canary=REF, at=T0),
    }
    return needed.get(message.__name__) or message(canary=REF, id="id", at=T0)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.tag)
def test_a_message_comes_back_as_it_went(row: Any) -> None:
    message = an_example(row.message)
    assert decode(encode(message)) == message


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)


@given(names, st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False)))
def test_texts_and_numbers_survive(output: str, numbers: dict[str, float]) -> None:
    message = LoadFinished(canary=REF, output=output, numbers=numbers)
    assert decode(encode(message)) == message


def test_a_body_is_json_that_names_its_type() -> None:
    body = json.loads(encode(Promoted(canary=REF, text="Promotion completed!")))
    assert body["type"] == "fact.rollout.promoted.v1"
    assert body["text"] == "Promotion completed!"


def test_fields_of_a_newer_publisher_are_skipped() -> None:
    body = json.loads(encode(an_intent())) | {"something_new": {"a": 1}}
    assert decode(json.dumps(body).encode()) == an_intent()


def test_fields_that_an_older_publisher_left_out_get_their_defaults() -> None:
    body = json.loads(encode(a_routes_observed("id", 20)))
    del body["refused"], body["waiting"]
    assert decode(json.dumps(body).encode()) == a_routes_observed("id", 20)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a message"),
        (b"hello", "not a message"),
        (b"\xff\x00", "not a message"),
        (b"[1, 2]", "not a message"),
        (b'{"type": 7}', "not a message"),
        (b"{}", "unknown message type ''"),
        (b'{"type": "intent.cluster.v9"}', "unknown message type 'intent.cluster.v9'"),
        (b'{"type": "intent.cluster.v1"}', "intent.cluster.v1: Object missing required field"),
        (b'{"type": "snapshot.routes.v1", "canary": 1}', "snapshot.routes.v1: Expected `object`"),
    ],
)
def test_foreign_bytes_are_undecodable_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=f"^{reason}"):
        decode(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(data)


def test_equal_news_has_one_id_whenever_it_was_composed() -> None:
    later = msgspec.structs.replace(an_observed(), at=T0 + 60)
    assert message_id(an_observed()) == message_id(later)


def test_the_order_of_keys_is_no_news() -> None:
    one = an_observed(configs={"configmap/a": "1", "secret/b": "2"})
    other = an_observed(configs={"secret/b": "2", "configmap/a": "1"})
    assert message_id(one) == message_id(other)


@pytest.mark.parametrize(
    "changed",
    [
        an_observed(resource_version="1001"),
        an_observed(versions="v2"),
        an_observed(status=a_status("Failed")),
        an_observed(canary=CanaryRef("shop", "other")),
    ],
)
def test_a_snapshot_of_another_state_has_another_id(changed: Any) -> None:
    assert message_id(changed) != message_id(an_observed())


def test_an_intent_from_another_status_is_news_though_the_wish_is_the_same() -> None:
    again = msgspec.structs.replace(an_intent(), version="1001")
    assert again.id == an_intent().id
    assert message_id(again) != message_id(an_intent())


def test_a_fact_carries_its_own_id() -> None:
    assert message_id(Promoted(canary=REF, id="uid:7:promoted")) == "uid:7:promoted"


def test_messages_of_different_kinds_never_share_an_id() -> None:
    bare = [row.message(canary=REF) for row in TABLE if issubclass(row.message, Fact)]
    assert len({message_id(message) for message in bare}) == len(bare)


def test_headers_hold_the_cloudevents_attributes() -> None:
    intent = an_intent()
    found = headers(intent, at=AT, cause="why", trace={"traceparent": "00-1-2-01"})
    assert found == {
        "Nats-Msg-Id": message_id(intent),
        "ce-specversion": "1.0",
        "ce-id": message_id(intent),
        "ce-type": "dev.serinus.intent.cluster.v1",
        "ce-time": AT,
        "ce-source": "/serinus/analyzer",
        "ce-subject": subject_of(intent),
        "ce-dataschema": "https://serinus.dev/schema/intent.cluster.v1.json",
        "Content-Type": "application/json",
        "serinus-cause": "why",
        "traceparent": "00-1-2-01",
    }


def test_a_parked_message_names_the_service_that_parked_it() -> None:
    found = headers(Parked(service="router", subject="x", reason="why"), at=AT)
    assert found["ce-source"] == "/serinus/router"
    assert "serinus-cause" not in found


def test_facts_are_kept_and_the_rest_is_replaced() -> None:
    last_value = {row.message for row in TABLE if codec.is_last_value(an_example(row.message))}
    assert Intent in last_value
    assert not any(issubclass(message, Fact) for message in last_value)
    assert not codec.is_last_value(Parked(service="router", subject="x", reason="why"))
