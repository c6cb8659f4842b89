"""The Event object that `kubectl describe canary` shows."""

from __future__ import annotations

from tests.unit.notifier.helpers import T0, WEB, a_fact

from serinus.events import CanaryRef
from serinus.kube.refs import Ref
from serinus.notifier.senders.kubeevent import (
    WINDOW_S,
    Written,
    key_of,
    new_event,
    once_more,
    repeats,
)

HALT = "Halt web.prod advancement success rate 98.69% < 99%"
WRITTEN = Written(Ref("v1", "Event", "prod", "web.1"), 3, T0, T0 + 30, "f-3")


def test_an_event_is_the_references_event_on_the_canary() -> None:
    event = new_event(a_fact(text=HALT, severity="Warning"), "fact-1", "uid-1", T0 + 0.7)

    name = event["metadata"].pop("name")
    assert name.startswith("web.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "prod"},
        "involvedObject": {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "namespace": "prod",
            "name": "web",
            "uid": "uid-1",
        },
        "reason": "Synced",
        "message": HALT,
        "type": "Warning",
        "source": {"component": "flagger"},
        "reportingComponent": "flagger",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }


def test_the_same_fact_makes_the_same_name_and_another_fact_another() -> None:
    names = [
        new_event(a_fact(text=HALT), id, "u", T0)["metadata"]["name"] for id in ("a", "a", "b")
    ]

    assert names[0] == names[1] != names[2]


def test_a_name_fits_however_long_the_canarys_is() -> None:
    long = CanaryRef("prod", "a" * 253, "u")

    event = new_event(a_fact(text=HALT, canary=long), "f", "u", T0)

    assert len(event["metadata"]["name"]) == 253
    assert event["involvedObject"]["name"] == "a" * 253


def test_a_message_beyond_the_limit_is_cut_and_says_so() -> None:
    event = new_event(a_fact(text="x" * 5000), "f", "u", T0)

    assert len(event["message"]) == 1024
    assert event["message"].endswith("x...")


def test_counting_up_touches_count_and_last_time_only() -> None:
    patch, after = once_more(WRITTEN, "f-4", T0 + 90)

    assert patch == {"count": 4, "lastTimestamp": "2026-01-01T00:01:30Z"}
    assert after == Written(WRITTEN.ref, 4, T0, T0 + 90, "f-4")


def test_a_late_repeat_does_not_turn_the_clock_back() -> None:
    patch, after = once_more(WRITTEN, "f-4", T0)

    assert patch["lastTimestamp"] == "2026-01-01T00:00:30Z"
    assert after.last_at == T0 + 30


def test_a_text_repeats_for_ten_minutes_after_its_last_time() -> None:
    assert repeats(WRITTEN, WRITTEN.last_at + WINDOW_S)
    assert not repeats(WRITTEN, WRITTEN.last_at + WINDOW_S + 1)
    assert not repeats(None, T0)


def test_texts_of_different_types_or_canaries_are_different() -> None:
    keys = {
        key_of(a_fact(text=HALT)),
        key_of(a_fact(text=HALT, severity="Warning")),
        key_of(a_fact(text=HALT, canary=CanaryRef("prod", "web", "uid-2"))),
        key_of(a_fact(text=HALT, canary=CanaryRef("test", "web", WEB.uid))),
        key_of(a_fact(text="other")),
    }

    assert len(keys) == 5
