"""What `kubectl get` prints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serinus.sandbox.resources import Kinds
from serinus.sandbox.table import age, table

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CANARIES = Kinds().at("flagger.app", "v1beta1", "canaries")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3700, "61m"),
        (7200, "2h"),
        (172800, "2d"),
    ],
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text


def test_a_canary_shows_its_phase_and_weight() -> None:
    meta = {"name": "web", "creationTimestamp": "2026-01-02T03:03:55Z"}
    canary = {"metadata": meta, "status": {"phase": "Progressing", "canaryWeight": 20}}

    shown = table(CANARIES, [canary], {"resourceVersion": "7"}, NOW, whole=False)

    names = [column["name"] for column in shown["columnDefinitions"]]
    row = dict(zip(names, shown["rows"][0]["cells"], strict=True))
    assert (row["Name"], row["Status"], row["Weight"], row["Age"]) == (
        "web",
        "Progressing",
        "20",
        "10s",
    )
    assert shown["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert shown["metadata"] == {"resourceVersion": "7"}


def test_whole_objects_are_sent_when_asked_for() -> None:
    canary = {"metadata": {"name": "web"}, "spec": {"x": 1}}

    shown = table(CANARIES, [canary], {}, NOW, whole=True)

    assert shown["rows"][0]["object"] is canary
