"""The arithmetic of the verdict; needs no cluster."""

from __future__ import annotations

import pytest
from tests.e2e.judge import (
    SWITCH_S,
    History,
    Moment,
    Request,
    Step,
    allowed_failures,
    at_stake,
    differences,
    failures,
    gaps_s,
    path,
    statuses,
    steps,
    when,
)

MOMENTS = [
    Moment(100.0, "Progressing", 0),
    Moment(110.0, "Progressing", 20),
    Moment(115.0, "Progressing", 20),
    Moment(120.0, "Failed", 0),
]


def request(at: float, version: str = "1.0", status: int = 200) -> Request:
    return Request(at, status, version, 1.0, "")


def test_a_share_counts_from_when_proxies_have_followed_to_the_next_weight() -> None:
    early = [request(110 + SWITCH_S / 2, "2.0")]
    stood = [request(116.0), request(117.0), request(118.0), request(119.0, "2.0")]
    late = [request(120.5, "2.0")]
    assert steps(MOMENTS, early + stood + late, "2.0") == [Step(20, 25.0, 4)]


def test_the_path_of_an_analysis_has_every_change_of_its_weight_once() -> None:
    back = [Moment(116.0, "Progressing", 0), Moment(118.0, "Progressing", 20)]
    assert path(MOMENTS) == [0, 20]
    assert path([*MOMENTS[:3], *back, MOMENTS[3]]) == [0, 20, 0, 20]


def test_a_weight_is_at_stake_until_proxies_have_left_it() -> None:
    def stake(at: float) -> float:
        return at_stake(MOMENTS, [request(at)])

    assert [stake(at) for at in (105, 112, 119, 120 + SWITCH_S / 2, 121 + SWITCH_S)] == [
        0.0,
        0.2,
        0.2,
        0.2,
        0.0,
    ]


def test_what_may_fail_by_chance_is_the_mean_and_four_deviations() -> None:
    assert allowed_failures(0, 0.1) == 0
    assert allowed_failures(1000, 0.1) == pytest.approx(100 + 4 * 90**0.5)


def test_everything_but_success_is_a_failure_an_answer_that_never_came_too() -> None:
    sent = [request(1), request(2, status=404), request(3, "2.0", 500), request(4, "", 0)]
    assert failures(sent) == {(404, "1.0", ""): 1, (500, "2.0", ""): 1, (0, "", ""): 1}


def test_failures_are_told_where_they_fall_in_the_story() -> None:
    sent = [request(105.2), request(112.1, "", 503), request(112.9, "", 503)]
    assert when(MOMENTS[:2], sent) == [
        "100 s: Progressing 0",
        "110 s: Progressing 20",
        "112 s: 2 x (503, '', '')",
    ]


STEPPED = (("Progressing", 20), ("Progressing", 40), ("Succeeded", 0))
ADVANCE, PROSE = ("Synced", "Advance web.shop canary weight 20"), ("Synced", "Starting analysis")
WANTED = History(STEPPED, {ADVANCE: 1, PROSE: 1})


def test_a_history_has_each_status_once_however_often_it_was_seen() -> None:
    seen = [Moment(99.0, "", 0), *MOMENTS, *MOMENTS[-1:]]
    assert statuses(seen) == (("Progressing", 0), ("Progressing", 20), ("Failed", 0))
    assert gaps_s(seen) == [10.0]


def test_histories_are_the_same_after_another_and_several_times_in_a_row() -> None:
    twice = WANTED.times(2)
    assert twice.statuses == STEPPED * 2
    assert differences(WANTED, twice.after(WANTED)) == []


def test_a_step_that_is_doubled_or_left_out_is_told() -> None:
    for other in (STEPPED[1:], (STEPPED[0], *STEPPED)):
        assert len(differences(WANTED, History(other, WANTED.told))) == 1


def test_what_is_told_twice_is_told_and_what_is_not_told_unless_it_was_prose() -> None:
    def told(advance: int, prose: int, *, patient: bool) -> int:
        seen = History(STEPPED, {ADVANCE: advance, PROSE: prose})
        return len(differences(WANTED, seen, patient=patient))

    assert told(2, 2, patient=True) == told(0, 0, patient=False) == 2
    assert told(0, 1, patient=True) == 1
    assert told(1, 0, patient=True) == 0


def test_what_is_said_of_slow_machines_counts_for_nothing() -> None:
    seen = History(STEPPED, {**WANTED.told, ("Synced", "pod web not ready"): 3})
    assert differences(WANTED, seen) == []
