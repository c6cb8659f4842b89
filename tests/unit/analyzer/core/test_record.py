"""The record: bounded, newest first, closed once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.builders import T0, a_status, a_workload_seen, an_observed

from serinus.analyzer.core import record
from serinus.events import CanaryObserved, CanaryStatus, Measurement
from serinus.events.canary import Release, ReleaseOutcome, Undo

FAILED = a_status("Failed")
GOOD = Measurement(metric="rate", outcome="passed", value=99.5, unit="%", bound=">= 99")
NOTHING = Measurement(metric="rate", outcome="no-data", cause="no requests")


def seen(revision: str, images: dict[str, str] | None = None, **fields: Any) -> CanaryObserved:
    target = a_workload_seen(revision=revision, images=images or {})
    return an_observed(target=target, **fields)


def after(status: CanaryStatus, changes: record.Changes) -> CanaryStatus:
    return msgspec.structs.replace(status, **changes)


def test_a_release_is_opened_and_closed_with_its_times() -> None:
    status = after(a_status(), record.opened(FAILED, T0, seen("s1-new", {"web": "web:2"})))
    status = after(status, record.closed(status, T0 + 60, "promoted"))
    (release,) = status.history
    assert (release.revision, release.images) == ("s1-new", {"web": "web:2"})
    assert (release.started_at, release.ended_at) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:01:00.000Z",
    )
    assert release.outcome == "promoted"


def test_a_newer_revision_closes_the_run_it_replaces() -> None:
    status = after(a_status(), record.opened(FAILED, T0, seen("s1-a")))
    status = after(status, record.opened(status, T0 + 5, seen("s1-b")))
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
    status = after(a_status(), record.opened(FAILED, T0, seen("s1-a")))
    run = msgspec.structs.replace(status.history[0], by="bob", reason="promoted on request")
    status = msgspec.structs.replace(status, history=(run,))
    status = after(status, record.closed(status, T0, "promoted"))
    assert (status.history[0].by, status.history[0].reason) == ("bob", "promoted on request")


def test_the_history_and_the_checks_are_bounded() -> None:
    status = a_status()
    for round_ in range(100):
        status = after(status, record.opened(status, T0 + round_, seen(f"s1-{round_}")))
        for _ in range(3):
            status = after(status, record.checked(status, T0, [GOOD] * 5, passed=True))
        status = after(status, record.closed(status, T0, "rolled-back", "x" * 10_000))
    assert len(status.history) == record.RELEASES_MAX
    assert status.canary_analysis is not None
    assert len(status.canary_analysis.checks) == 15
    assert len(msgspec.json.encode(status)) < 10_000


def test_what_was_live_before_us_is_on_record_with_the_first_run() -> None:
    status = a_status("Initialized", tracked_configs={"configmap/a": "1"})
    found = record.opened(status, T0, seen("s1-new", configs={"configmap/a": "2"}))["history"]

    assert [(r.revision, r.configs, r.outcome) for r in found] == [
        ("s1-new", {"configmap/a": "2"}, ""),
        (status.last_promoted_spec, {"configmap/a": "1"}, "promoted"),
    ]


def test_what_another_controller_promoted_is_not_taken_for_known() -> None:
    status = a_status("Succeeded", last_promoted_spec="5b485f88df")
    assert [r.revision for r in record.opened(status, T0, seen("s1-new"))["history"]] == ["s1-new"]


def test_what_is_live_and_what_was_before_it_outlast_any_number_of_failures() -> None:
    status = a_status(history=(live("s1-c"), live("s1-b"), live("s1-a")))
    for round_ in range(30):
        status = after(status, record.opened(status, T0 + round_, seen(f"s1-{round_}")))
        status = after(status, record.closed(status, T0, "rolled-back"))

    assert [r.revision for r in status.history[-2:]] == ["s1-c", "s1-b"]
    assert len(status.history) == record.RELEASES_MAX


def live(revision: str, configs: dict[str, str] | None = None, **fields: Any) -> Release:
    return Release(revision=revision, configs=configs, outcome="promoted", **fields)


def failed(revision: str, outcome: ReleaseOutcome = "rolled-back") -> Release:
    return Release(revision=revision, outcome=outcome)


@pytest.mark.parametrize(
    ("history", "earlier"),
    [
        ((live("c"), live("b"), live("a")), "b"),
        ((failed("d"), live("c"), failed("b"), live("a")), "a"),
        ((live("c"), failed("c"), live("a")), "a"),
        ((live("c"), live("c"), live("a")), "a"),
        ((failed("c", "promotion-failed"), live("b")), "b"),
        ((live("c"), failed("b", "undone"), live("a")), "a"),
        ((live("c"), failed("b", "superseded")), None),
        ((live("b"), live("a")), None),
        ((), None),
    ],
)
def test_what_was_live_before_is_found_by_what_the_primary_has(
    history: tuple[Release, ...], earlier: str | None
) -> None:
    found = record.before(a_status(history=history), "c")
    assert (found.revision if found else None) == earlier


def test_the_same_template_with_other_configs_was_another_release() -> None:
    history = (live("c", {"configmap/a": "2"}), live("c", {"configmap/a": "1"}))
    found = record.before(a_status(history=history), "c")
    assert found is not None
    assert found.configs == {"configmap/a": "1"}


def test_all_that_was_live_since_is_undone() -> None:
    history = (failed("d"), live("c", by="bob"), live("b"), live("a"))
    undo = Undo(revision="a", by="alice")
    status = after(
        a_status(history=history), record.undone(a_status(history=history), T0, undo, "why")
    )
    assert [(r.revision, r.outcome, r.by) for r in status.history] == [
        ("d", "rolled-back", ""),
        ("c", "undone", "alice"),
        ("b", "undone", "alice"),
        ("a", "promoted", ""),
    ]


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
