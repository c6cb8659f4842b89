"""What the status of an AlertProvider says."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.notifier.helpers import T0

from serinus.kube.refs import Obj
from serinus.notifier.core.standing import (
    DELIVERED,
    MESSAGE_MAX,
    USABLE,
    WORDS_S,
    is_judged,
    of_manifest,
    reported,
    undeliverable,
)
from serinus.notifier.standings import NEEDS


def a_provider(status: Obj | None = None, generation: int = 1, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "chat", "namespace": "prod", "generation": generation},
        "spec": {"type": "slack", "secretRef": {"name": "chat"}, **spec},
        **({"status": status} if status else {}),
    }


def told(provider: Obj, *args: Any) -> Obj:
    """The provider with what is written about it."""
    status = reported(provider, *args)
    assert status is not None
    return {**provider, "status": status}


def test_a_manifest_that_can_be_used_says_so_before_there_is_an_alert() -> None:
    provider = told(a_provider(), of_manifest(a_provider(), NEEDS), T0)

    [condition] = provider["status"]["conditions"]
    assert ("Ready", "True", "Usable") == tuple(condition[k] for k in ("type", "status", "reason"))
    assert 1 == provider["status"]["observedGeneration"]
    assert is_judged(provider)


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"messageTemplate": "{{ .Nmae }}"}, "InvalidTemplate", "spec.messageTemplate: template"),
        ({"messageTemplate": "{{ if }}"}, "InvalidTemplate", "docs/alerts.md"),
        ({"type": "webhook", "bodyTemplate": "{{ .Name }}"}, "InvalidTemplate", "is not JSON"),
        ({"secretRef": None, "address": "hooks.test"}, "InvalidSpec", "must start with http"),
        ({"type": "pigeon"}, "InvalidSpec", "pigeon"),
    ],
)
def test_one_that_cannot_names_the_field_and_the_cure(
    spec: dict[str, Any], reason: str, words: str
) -> None:
    found = of_manifest(a_provider(**spec), NEEDS)

    assert ("False", reason) == (found.status, found.reason)
    assert words in found.message


def test_what_the_status_says_already_is_not_written_again() -> None:
    provider = told(a_provider(), DELIVERED, T0)

    assert reported(provider, DELIVERED, T0 + 3600) is None


def test_a_failure_is_a_transition_and_so_is_its_end() -> None:
    provider = told(a_provider(), DELIVERED, T0)
    failing = told(provider, undeliverable("status 404: no_team"), T0 + 60)
    back = told(failing, DELIVERED, T0 + 120)

    [condition] = failing["status"]["conditions"]
    assert ("False", "Undeliverable") == (condition["status"], condition["reason"])
    assert "status 404: no_team" in condition["message"]
    assert "2026-01-01T00:01:00Z" == condition["lastTransitionTime"]
    assert "2026-01-01T00:02:00Z" == back["status"]["conditions"][0]["lastTransitionTime"]


def test_other_words_for_the_same_failure_are_news_once_a_minute() -> None:
    failing = told(a_provider(), undeliverable("reset"), T0)

    assert reported(failing, undeliverable("timed out"), T0 + WORDS_S - 1) is None
    later = told(failing, undeliverable("timed out"), T0 + WORDS_S)
    assert "2026-01-01T00:00:00Z" == later["status"]["conditions"][0]["lastTransitionTime"]
    assert "timed out" in later["status"]["conditions"][0]["message"]


def test_a_corrected_manifest_is_looked_at_anew() -> None:
    failing = told(a_provider(), undeliverable("reset"), T0)
    corrected = {**failing, "metadata": {**failing["metadata"], "generation": 2}}

    assert not is_judged(corrected)
    assert "Usable" == told(corrected, USABLE, T0)["status"]["conditions"][0]["reason"]


def test_other_conditions_stay_and_strange_ones_do_not_matter() -> None:
    other = {"type": "Paused", "status": "True", "reason": "Friday"}
    kept = told(a_provider({"conditions": [other]}), USABLE, T0)["status"]["conditions"]

    assert ["Paused", "Ready"] == [one["type"] for one in kept]
    assert (
        "Usable"
        == told(a_provider({"conditions": "?"}), USABLE, T0)["status"]["conditions"][0]["reason"]
    )


def test_a_long_reason_is_bounded() -> None:
    provider = told(a_provider(), undeliverable("x" * 5000), T0)

    assert MESSAGE_MAX == len(provider["status"]["conditions"][0]["message"])
