"""Event webhooks say every sentence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.unit.notifier.helpers import T0, a_fact, a_spec, recorded_events

from serinus.events import CanaryRef, Webhook
from serinus.notifier.senders.eventhook import event_hooks, render

SPEC, POSTS = recorded_events()


@pytest.mark.parametrize(
    "post", POSTS, ids=lambda p: p["path"] + p["body"]["metadata"]["eventMessage"][:30]
)
def test_the_body_is_the_recorded_one(post: dict[str, Any]) -> None:
    """A hook's metadata is added, and never hides message, type or time."""
    body = post["body"]
    hook = next(h for h in event_hooks(SPEC, "") if h.url.endswith(post["path"]))
    fact = a_fact(
        text=body["metadata"]["eventMessage"],
        canary=CanaryRef(body["namespace"], body["name"], "u"),
        phase=body["phase"],
        checksum=body["checksum"],
        severity=body["metadata"]["eventType"],
    )

    made = json.loads(render(fact, hook).body)

    body["metadata"]["timestamp"] = "1767225600000"
    assert made == body


def test_hooks_of_the_canary_replace_the_global_one() -> None:
    assert [h.name for h in event_hooks(SPEC, "http://all.test/")] == ["ev1", "ev2"]


def test_without_hooks_of_its_own_the_global_one_hears() -> None:
    spec = a_spec(webhooks=[{"name": "smoke", "url": "http://t/", "type": "pre-rollout"}])

    [hook] = event_hooks(spec, "http://all.test/")

    assert (hook.name, hook.url, hook.metadata) == ("events", "http://all.test/", None)


def test_a_canary_that_is_not_known_has_the_global_hook() -> None:
    assert [h.url for h in event_hooks(None, "http://all.test/")] == ["http://all.test/"]


def test_without_any_hook_nobody_hears() -> None:
    assert event_hooks(a_spec(), "") == ()


@pytest.mark.parametrize(("timeout", "seconds"), [("", 10.0), ("3s", 3.0), ("1m30s", 90.0)])
def test_the_hooks_own_timeout_counts(timeout: str, seconds: float) -> None:
    hook = Webhook(name="h", url="http://h/", timeout=timeout)

    assert render(a_fact(text="x"), hook).timeout_s == seconds


def test_certificates_are_checked_unless_the_hook_says_no() -> None:
    hook = Webhook(name="h", url="https://h/")

    assert render(a_fact(text="x"), hook).verify_tls
    assert not render(a_fact(text="x"), msgspec.structs.replace(hook, disable_tls=True)).verify_tls


def test_the_time_is_milliseconds_in_a_string() -> None:
    fact = msgspec.structs.replace(a_fact(text="x"), at=T0 + 0.0415)

    body = json.loads(render(fact, Webhook(name="h", url="http://h/")).body)

    assert body["metadata"]["timestamp"] == "1767225600042"


def test_a_repeat_carries_the_same_key() -> None:
    hook = Webhook(name="e", url="http://h.test/", type="event")
    found = {render(a_fact("fact-3", "x"), hook).headers["Idempotency-Key"] for _ in range(2)}

    assert {"fact-3"} == found
