"""Who belongs to a wave, and what is remembered of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.coordinator.fleets import NEW, OLD, a_key, a_standing, a_step, a_wave

from serinus.coordinator.core.members import (
    Seen,
    alike,
    listed,
    memories,
    remembered,
    resolve,
    state,
)
from serinus.coordinator.core.standing import State
from serinus.coordinator.core.waves import (
    LISTED_MAX,
    Member,
    Memory,
    Step,
    StepStatus,
    WaveStatus,
)

EAST, WEST = a_key("east"), a_key("west")
ALL = frozenset({"home", "east", "west"})


def test_a_name_is_a_member_whether_it_is_known_or_not() -> None:
    assert [(0, EAST), (1, WEST)] == resolve(a_wave(a_step("a", EAST), a_step("b", WEST)), {}, ALL)


def test_what_is_left_out_is_the_wave_s_own() -> None:
    step = Step(name="a", canaries=(Member(name="web"),))
    assert [(0, a_key("home"))] == resolve(a_wave(step), {}, ALL)


def test_labels_select_in_one_cluster_and_namespace() -> None:
    standings = {
        key: a_standing(key, labels=labels)
        for key, labels in (
            (a_key("east", "b"), {"tier": "web", "x": "y"}),
            (a_key("east", "a"), {"tier": "web"}),
            (a_key("east", "c"), {"tier": "db"}),
            (a_key("east", "d", "staging"), {"tier": "web"}),
            (a_key("west", "e"), {"tier": "web"}),
        )
    }
    step = Step(name="all", canaries=(Member(cluster="east", selector={"tier": "web"}),))
    found = [key.name for _, key in resolve(a_wave(step), standings, ALL)]
    assert ["a", "b"] == found


def test_who_is_named_twice_belongs_to_the_first_step() -> None:
    assert [(0, EAST)] == resolve(a_wave(a_step("a", EAST), a_step("b", EAST)), {}, ALL)


def test_what_was_live_before_is_remembered_with_its_run() -> None:
    first = remembered(Seen(0, EAST, a_standing(EAST), Memory()), 1)
    assert (OLD, "", 1) == (first.known.live, first.known.before, first.known.run)

    later = remembered(Seen(0, EAST, a_standing(EAST, "settled", NEW), first.known), 2)
    assert (NEW, OLD, 2) == (later.known.live, later.known.before, later.known.run)
    assert later == remembered(later, 3)


@pytest.mark.parametrize(("granted", "said"), [(NEW, "granted"), (OLD, "waiting"), ("", "waiting")])
def test_a_grant_is_for_one_release(granted: str, said: str) -> None:
    seen = Seen(0, EAST, a_standing(EAST, "waiting", NEW), Memory()).let_go(granted)
    assert said == state(seen)


def test_who_is_not_known_is_unknown() -> None:
    assert "unknown" == state(Seen(0, EAST, None, Memory()))


def test_whom_labels_selected_before_stays_until_its_cluster_is_known_again() -> None:
    step = Step(name="all", canaries=(Member(cluster="east", selector={"tier": "web"}),))
    wave = a_wave(step)
    known = Memory(granted=NEW, live=OLD)
    (remembers,) = alike([Seen(0, EAST, None, known)])
    status = WaveStatus(steps=(StepStatus(name="all", remembered=(remembers,)),))
    wave = replace(wave, status=status)

    assert [(0, EAST)] == resolve(wave, {}, ALL - {"east"})
    assert [] == resolve(wave, {}, ALL)


def test_what_is_remembered_of_many_that_are_alike_is_written_once() -> None:
    members = [
        Seen(0, a_key("east", f"web-{n}"), None, Memory(live=NEW if n == 3 else OLD))
        for n in range(500)
    ]
    found = alike(members)

    assert 2 == len(found)
    status = WaveStatus(steps=(StepStatus(name="all", remembered=found),))
    assert {m.key: m.known for m in members} == memories(status)


def test_only_those_are_listed_that_people_ask_about_failed_ones_first() -> None:
    keys = [a_key("east", f"web-{n:03}") for n in range(500)]
    states: list[State] = [
        "failed" if n == 499 else "settled" if n % 2 else "waiting" for n in range(500)
    ]
    seen = [
        Seen(0, key, a_standing(key, state, NEW), Memory())
        for key, state in zip(keys, states, strict=True)
    ]
    shown, unlisted = listed((member, "") for member in seen)

    assert "web-499" == shown[0].name
    assert (LISTED_MAX, 251 - LISTED_MAX) == (len(shown), unlisted)
    assert "settled" not in {one.state for one in shown}
