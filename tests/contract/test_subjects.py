"""The subject table, the streams and the rights: one picture, no contradiction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.gen import schemas
from tests.gen.tree import ROOT

from serinus.events import BUCKETS, STREAMS, TABLE, permissions
from serinus.events.facts import Fact
from serinus.events.subjects import SERVICES, ServiceName, published_by

ASYNCAPI: dict[str, Any] = json.loads((ROOT / schemas.ASYNCAPI).read_text("utf-8"))


def takes(pattern: str, subject: str) -> bool:
    """Whether a NATS pattern takes this subject; `>` ends a pattern, `*` is one token."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(
        w in ("*", g) for w, g in zip(wanted, given, strict=True)
    )


def test_every_publisher_is_a_service() -> None:
    assert {row.publisher for row in TABLE} == set(SERVICES)


def test_no_subject_has_two_publishers() -> None:
    publishers: dict[str, set[str]] = {}
    for row in TABLE:
        publishers.setdefault(row.prefix, set()).add(row.publisher)
    assert {prefix: who for prefix, who in publishers.items() if len(who) > 1} == {}


def test_a_service_may_publish_what_is_its_own_and_nothing_of_others() -> None:
    for service in SERVICES:
        allowed = permissions(service)["publish"]["allow"]
        for row in TABLE:
            subject = f"{row.prefix}.shop.web"
            may = any(takes(pattern, subject) for pattern in allowed)
            assert may == (row.publisher == service), f"{service} and {subject}"


def test_nobody_may_subscribe_to_subjects_directly() -> None:
    """Reading goes through JetStream consumers, whose answers come to an inbox."""
    for service in SERVICES:
        for pattern in permissions(service)["subscribe"]["allow"]:
            assert pattern.startswith(("_INBOX.", "$KV.")), f"{service}: {pattern}"


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_cannot_handle_it_may_park(service: ServiceName) -> None:
    assert f"serinus.dead.{service}" in published_by(service)
    others = {f"serinus.dead.{other}" for other in SERVICES if other != service}
    assert not others & set(published_by(service))


def test_every_subject_is_kept_by_exactly_one_stream_and_it_is_the_tables() -> None:
    for row in TABLE:
        keeping = [
            stream.name
            for stream in STREAMS
            for pattern in stream.subjects
            if takes(pattern, f"{row.prefix}.shop.web")
        ]
        assert keeping == [row.stream], row.prefix


def test_facts_are_history_and_the_rest_is_last_value() -> None:
    last_value = {s.name for s in STREAMS if s.max_msgs_per_subject == 1}
    for row in TABLE:
        assert issubclass(row.message, Fact) == (row.stream not in last_value), row.tag


def test_every_stream_that_keeps_history_has_an_end() -> None:
    for stream in STREAMS:
        bounded = stream.max_msgs_per_subject == 1 or (
            stream.max_age_s and stream.max_msgs and stream.max_bytes
        )
        assert bounded, stream.name


def test_the_tag_and_the_subject_of_a_message_tell_the_same() -> None:
    """`fact.rollout.promoted.v1` travels on `serinus.fact.rollout.promoted`."""
    for row in TABLE:
        words = row.tag.removesuffix(".v1")
        gone = words.removesuffix(".gone")  # takes the place of the snapshot it ends
        assert row.prefix in (f"serinus.{words}", f"serinus.{gone}")


def test_buckets_belong_to_services() -> None:
    assert {owner for owner, _ in BUCKETS.values()} <= set(SERVICES)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    for reference in references(ASYNCAPI):
        if reference.startswith("./"):
            assert (ROOT / schemas.FOLDER / reference).exists(), reference
            continue
        node: Any = ASYNCAPI
        for step in reference.removeprefix("#/").split("/"):
            assert step in node, reference
            node = node[step]


def test_the_asyncapi_document_knows_every_message_and_who_sends_it() -> None:
    sent = {(name.split(".")[0], name.split(".")[1]) for name in ASYNCAPI["operations"]}
    assert {(row.publisher, row.message.__name__) for row in TABLE} <= sent
