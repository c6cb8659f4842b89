"""Streams, buckets and rights as data."""

from __future__ import annotations

import pytest

from serinus.events import BUCKETS, STREAMS, permissions, users
from serinus.events.subjects import SERVICES


def test_snapshots_and_intents_keep_one_message_per_subject_and_facts_a_week() -> None:
    snapshots, intents, facts = STREAMS
    assert (snapshots.max_msgs_per_subject, intents.max_msgs_per_subject) == (1, 1)
    assert facts.max_age_s == 7 * 24 * 3600
    assert facts.max_msgs_per_subject == 0


def test_a_bucket_is_its_owners_alone() -> None:
    for bucket, (owner, _) in BUCKETS.items():
        for service in SERVICES:
            rights = permissions(service)
            allowed = [*rights["publish"]["allow"], *rights["subscribe"]["allow"]]
            assert (f"$KV.{bucket}.>" in allowed) == (service == owner)


def test_only_who_says_what_traffic_does_may_change_a_stream() -> None:
    """A changed stream can publish what it gets under any subject."""
    for service in (*SERVICES, "dora"):
        allowed = permissions(service)["publish"]["allow"]
        changes = [subject for subject in allowed if ".STREAM.UPDATE." in subject]
        assert bool(changes) == (service == "analyzer")


def test_who_follows_nothing_may_make_no_consumer() -> None:
    for service in SERVICES:
        allowed = permissions(service)["publish"]["allow"]
        makes = any(".CONSUMER." in subject or "$JS.ACK." in subject for subject in allowed)
        assert makes == (service != "loadtester")


def test_whose_place_is_kept_hears_what_it_asked_for() -> None:
    """To create a consumer that is there is to change what it hears."""
    for service in (*SERVICES, "coordinator", "dora"):
        denied = permissions(service)["publish"].get("deny", [])
        for other in ("notifier", "coordinator"):
            theirs = {
                f"$JS.API.CONSUMER.CREATE.*.{other}",
                f"$JS.API.CONSUMER.CREATE.*.{other}.>",
                f"$JS.API.CONSUMER.MSG.NEXT.*.{other}",
            }
            assert (theirs & {*denied} == theirs) == (other != service and service != "loadtester")


def test_no_service_may_publish_everything() -> None:
    for service in SERVICES:
        allowed = permissions(service)["publish"]["allow"]
        assert not {">", "serinus.>", "$JS.>", "$JS.API.>", "$KV.>"} & set(allowed)


def test_there_is_one_user_per_service_with_the_password_that_was_given() -> None:
    made = users({service: f"secret-of-{service}" for service in SERVICES})
    assert [(user["user"], user["password"]) for user in made] == [
        (service, f"secret-of-{service}") for service in SERVICES
    ]
    assert all(user["permissions"] == permissions(user["user"]) for user in made)


def test_a_service_without_a_password_stops_the_start() -> None:
    with pytest.raises(KeyError, match="analyzer"):
        users({"watcher": "x"})
