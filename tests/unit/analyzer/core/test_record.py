"""The record: bounded, newest first, closed once."""

from __future__ import annotations

import msgspec
from tests.builders import T0, a_status

from serinus.analyzer.core import record
from serinus.events import CanaryStatus, Measurement

GOOD = Measurement(metric="rate", outcome="passed", value=99.5, unit="%", bound=">= 99")
NOTHING = Measurement(metric="rate", outcome="no-data", cause="no requests")


def after(status: CanaryStatus, changes: record.Changes) -> CanaryStatus:
    return msgspec.structs.replace(status, **changes)


def test_a_release_is_opened_and_closed_with_its_times() -> None:
    status = after(a_status(), record.opened(a_status(), T0, "s1-new", {"web": "web:2"}))
    status = after(status, record.closed(status, T0 + 60, "promoted"))
    (release,) = status.history
    assert (release.revision, release.images) == ("s1-new", {"web": "web:2"})
    assert (release.started_at, release.ended_at) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:01:00.000Z",
    )
    assert release.outcome == "promoted"


def test_a_newer_revision_closes_the_run_it_replaces() -> None:
    status = after(a_status(), record.opened(a_status(), T0, "s1-a", {}))
    status = after(status, record.opened(status, T0 + 5, "s1-b", {}))
    assert [(r.revision, r.outcome) for r in status.history] == [
        ("s1-b", ""),
        ("s1-a", "superseded"),
    ]


def test_a_run_that_began_under_another_controller_is_recorded_when_it_ends() -> None:
    status = after(a_status(), record.closed(a_status(), T0, "rolled-back", "because"))
    assert [(r.revision, r.started_at, r.reason) for r in status.history] == [
        (a_status().last_applied_spec, "", "because")
    ]


def test_who_asked_stays_when_the_end_comes_without_asking() -> None:
    status = after(a_status(), record.opened(a_status(), T0, "s1-a", {}))
    run = msgspec.structs.replace(status.history[0], by="bob", reason="promoted on request")
    status = msgspec.structs.replace(status, history=(run,))
    status = after(status, record.closed(status, T0, "promoted"))
    assert (status.history[0].by, status.history[0].reason) == ("bob", "promoted on request")


def test_the_history_and_the_checks_are_bounded() -> None:
    status = a_status()
    for round_ in range(100):
        status = after(status, record.opened(status, T0 + round_, f"s1-{round_}", {}))
        for _ in range(3):
            status = after(status, record.checked(status, T0, [GOOD] * 5, passed=True))
        status = after(status, record.closed(status, T0, "rolled-back", "x" * 10_000))
    assert len(status.history) == record.RELEASES_MAX
    assert status.canary_analysis is not None
    assert len(status.canary_analysis.checks) == 15
    assert len(msgspec.json.encode(status)) < 10_000


def test_checks_are_newest_first_with_value_bound_verdict_and_time() -> None:
    status = a_status(canary_weight=20)
    status = after(status, record.checked(status, T0, [GOOD], passed=True))
    status = after(status, record.checked(status, T0 + 10, [NOTHING], passed=False))
    evidence = status.canary_analysis
    assert evidence is not None
    assert (evidence.passed, evidence.failed) == (1, 1)
    newest, older = evidence.checks
    assert (newest.verdict, newest.cause, newest.value) == ("no-data", "no requests", None)
    assert (older.metric, older.value, older.bound, older.weight) == ("rate", 99.5, ">= 99", 20)
    assert older.time == "2027-01-15T08:00:00.000Z"


def test_a_hook_that_failed_stands_for_its_round() -> None:
    status = after(a_status(), record.checked(a_status(), T0, (), passed=False, hook="smoke"))
    assert status.canary_analysis is not None
    assert [(c.hook, c.verdict) for c in status.canary_analysis.checks] == [("smoke", "failed")]


def test_warming_up_is_remembered_by_its_end() -> None:
    status = after(a_status(), record.warming(a_status(), T0 + 30))
    assert status.canary_analysis is not None
    assert status.canary_analysis.begins_at == "2027-01-15T08:00:30.000Z"
