"""Recorded news in, decisions out."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.builders import (
    NEW,
    OLD,
    T0,
    a_canary_spec,
    a_metric,
    a_primary_seen,
    a_routes_observed,
    a_status,
    a_workload_seen,
    an_analysis,
    an_observed,
)

from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import Policy, Rollout
from serinus.analyzer.replay import Unreadable, main, read, replay
from serinus.events import CanaryObserved, WeightAdvanced, encode

SPEC = a_canary_spec(analysis=an_analysis(metrics=(a_metric(threshold=99),)))


def line(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def routed(seen: CanaryObserved) -> bytes:
    """The router's report on what is wanted for this snapshot."""
    rollout = Rollout(spec=seen.spec, status=seen.status, seen=seen)
    wanted = desired(rollout)
    return encode(a_routes_observed(wanted.id, wanted.routes.canary))


def replayed(*lines: bytes) -> list[Any]:
    return list(replay(read(lines), Policy()))


def test_a_new_revision_is_followed_from_its_snapshot() -> None:
    seen = an_observed(
        spec=SPEC,
        status=a_status("Initialized"),
        target=a_workload_seen(NEW),
        primary=a_primary_seen(OLD),
    )

    decisions = replayed(encode(seen))

    assert (decisions[0].reason, decisions[0].phase) == ("new_revision", "Progressing")
    assert decisions[0].facts == ("New revision detected! Scaling up web.shop",)
    assert decisions[0].routes == "100/0"


def test_answers_are_given_to_what_is_asked() -> None:
    seen = an_observed(spec=SPEC, status=a_status(canary_weight=20))
    lines = (
        encode(seen),
        routed(seen),
        line(type="value", key="*", value=98.0),
        line(type="tick", at=T0 + 10),
    )

    decisions = replayed(*lines)

    assert [d.reason for d in decisions if d.asks] == ["metric"]
    assert decisions[-1].failed_checks == 1
    assert "success rate 98.00% < 99%" in decisions[-1].facts[-1]


def test_without_an_answer_a_question_stays_open() -> None:
    seen = an_observed(spec=SPEC, status=a_status(canary_weight=20))

    decisions = replayed(encode(seen), routed(seen), line(type="tick", at=T0 + 10))
    (asked,) = [d for d in decisions if d.asks]
    (key,) = asked.asks
    answered = replayed(
        encode(seen),
        routed(seen),
        line(type="tick", at=T0 + 10),
        line(type="value", key=key, value=100.0, at=T0 + 10.5),
    )

    assert decisions[-1].weight == 20
    assert answered[-1].weight == 40


def test_what_was_told_in_the_recording_is_skipped() -> None:
    seen = an_observed(spec=SPEC, status=a_status("Succeeded"), primary=a_primary_seen(NEW))
    told = WeightAdvanced(canary=seen.canary, id="x", at=T0)

    assert replayed(encode(seen), encode(told), b"\n") == []


@pytest.mark.parametrize("bad", [b"{", b'{"type":"value"}', b'{"type":"snapshot.canary.v1"}'])
def test_a_line_that_cannot_be_read_is_named(bad: bytes) -> None:
    with pytest.raises(Unreadable, match="line 2"):
        list(read([line(type="tick", at=1.0), bad]))


def test_the_command_prints_a_decision_a_line(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "trace.jsonl"
    seen = an_observed(spec=SPEC, status=a_status("Initialized"), primary=a_primary_seen(OLD))
    file.write_bytes(encode(seen) + b"\n")

    assert main([str(file)], {}) == 0
    printed = [msgspec.json.decode(text) for text in capfdbinary.readouterr().out.splitlines()]
    assert printed[0]["reason"] == "new_revision"

    assert main([str(tmp_path / "absent")], {}) == 1
    assert main([], {}) == 2
    assert main([str(file)], {"SERINUS_MESH_PROVIDR": "x"}) == 1
    assert b"did you mean SERINUS_MESH_PROVIDER" in capfdbinary.readouterr().err
