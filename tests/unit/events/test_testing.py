"""The contract kit that subscribers test with."""

from __future__ import annotations

import msgspec
import pytest

from serinus.events import TABLE, CanaryObserved, Promoted, decode, permissions
from serinus.events.subjects import SERVICES
from serinus.events.testing import AT, Sample, filled, samples

ALL = list(samples())


def test_there_is_a_sample_of_every_kind() -> None:
    assert [row.message for row in TABLE] == [type(sample.message) for sample in ALL]


@pytest.mark.parametrize("sample", ALL, ids=lambda s: type(s.message).__name__)
def test_a_sample_is_what_the_wire_would_bring(sample: Sample) -> None:
    assert sample.message == decode(sample.body)
    assert sample.subject.startswith("serinus.")
    assert "1.0" == sample.headers["ce-specversion"]


def test_every_field_of_a_fact_is_filled() -> None:
    found = msgspec.structs.asdict(filled(Promoted))

    assert not [name for name, value in found.items() if value in ("", None, 0, ())]
    assert AT == found["at"]


def test_a_snapshot_has_a_spec_to_read() -> None:
    found = filled(CanaryObserved)

    assert ("shop", "web") == (found.canary.namespace, found.canary.name)
    assert found.spec.analysis.metrics


def test_a_subscriber_may_follow_and_say_nothing() -> None:
    allowed = permissions("dora")["publish"]["allow"]

    ours = {pattern for service in SERVICES for pattern in permissions(service)["publish"]["allow"]}
    told = [pattern for pattern in allowed if pattern.startswith("serinus.")]
    assert ["serinus.dead.dora"] == told
    assert not [p for p in allowed if p in ours and ".UPDATE." in p]
    assert ["_INBOX.dora.>"] == permissions("dora")["subscribe"]["allow"]
