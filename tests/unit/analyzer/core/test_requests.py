"""What people ask for by annotation: which requests stand, which were done, and who asked."""

from __future__ import annotations

import pytest
from tests.builders import a_rollout, a_status, an_observed

from serinus.analyzer.core import requests
from serinus.analyzer.core.rollout import Policy
from serinus.events import CanaryObserved, CanaryStatus


def seen(**annotations: str) -> CanaryObserved:
    named = {f"flagger.app/{key.replace('_', '-')}": v for key, v in annotations.items()}
    return an_observed(annotations=named)


def status(**fields: object) -> CanaryStatus:
    return a_status(observed_generation=1, **fields)


def test_a_request_stands_until_the_status_remembers_its_value() -> None:
    asked = seen(abort="alice")
    assert requests.pending(asked, status()) == {"abort": "alice"}
    assert requests.pending(asked, status(requests={"abort": "alice"})) == {}


def test_another_value_asks_again() -> None:
    assert requests.pending(seen(retry="2"), status(requests={"retry": "1"})) == {"retry": "2"}


@pytest.mark.parametrize("value", ["", "false", "no", "0"])
def test_a_no_is_no_request(value: str) -> None:
    assert requests.pending(seen(promote=value), status()) == {}


def test_nothing_is_asked_where_the_status_could_not_remember_it() -> None:
    assert requests.pending(seen(retry="now"), a_status(observed_generation=0)) == {}


def test_annotations_of_others_are_no_requests() -> None:
    other = an_observed(annotations={"example.test/abort": "x", "flagger.app/later": "x"})
    assert requests.pending(other, status()) == {}


def test_what_was_done_is_remembered_as_long_as_the_annotation_is_there() -> None:
    done = requests.done(seen(abort="a"), status(requests={"retry": "x"}), {"abort": "a"})
    assert done == {"abort": "a"}
    assert requests.done(seen(), status(requests={"retry": "x"}), {}) is None


def test_who_asked_is_the_value_and_the_writer_of_the_annotation() -> None:
    def by(value: str, writer: str = "") -> str:
        written = {"flagger.app/abort": writer} if writer else {}
        named = {"flagger.app/abort": value}
        return requests.requester(an_observed(annotations=named, annotated_by=written), "abort")

    assert by("alice") == "alice"
    assert by("true") == ""
    assert by("true", "kubectl-annotate at 2027-01-15T08:00:00Z") == (
        "kubectl-annotate at 2027-01-15T08:00:00Z"
    )
    assert by("alice", "flux at noon") == "alice (flux at noon)"
    assert len(by("x" * 1000)) == requests.BY_MAX


def test_skip_analysis_is_the_field_or_its_annotation() -> None:
    def skips(value: str) -> bool:
        named = {"flagger.app/skip-analysis": value}
        return requests.skips_analysis(a_rollout(seen={"annotations": named}))

    assert skips("true")
    assert not skips("false")


def test_pause_is_any_value_but_a_no() -> None:
    def is_paused(value: str) -> bool:
        named = {"flagger.app/pause": value}
        return requests.is_paused(a_rollout(seen={"annotations": named}))

    assert is_paused("true")
    assert is_paused("bob: looking at the dashboards")
    assert not is_paused("false")


def test_a_dry_run_is_the_operators_or_the_canarys_wish() -> None:
    assert requests.is_dry_run(a_rollout(policy=Policy(dry_run=True)))
    assert not requests.is_dry_run(a_rollout())
