"""What clusters tell each other, and what becomes of it when messages get lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.coordinator.fleets import NEW, OLD, a_key, a_standing

from serinus.coordinator.core.fleet import (
    ASK_S,
    SILENT_S,
    Ask,
    Changed,
    Fleet,
    Message,
    Pulse,
    Report,
    decoder,
    encode,
)
from serinus.coordinator.core.orders import Order

EAST, WEST = a_key("east"), a_key("west")
GO = Order(key=WEST, wave="shop/web@east", action="go", release=NEW)


def meet(one: Fleet, other: Fleet, now: float = 0.0) -> None:
    """Lets both say a pulse and answer until nothing is left to be said."""
    said: list[tuple[Fleet, Message]] = [(other, one.pulse()), (one, other.pulse())]
    for _ in range(20):
        if not said:
            return
        to, message = said.pop(0)
        heard = decoder.decode(encode(message))
        said += [(one if to is other else other, answer) for answer in to.hear(heard, now)]
    pytest.fail("they never stop talking")


def test_a_newcomer_learns_everything_from_one_pulse() -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    east.stand(a_standing(EAST))
    east.order("shop/web", [GO])

    meet(east, west)

    assert {EAST: a_standing(EAST)} == west.standings
    assert [("east", GO)] == west.orders_for(WEST)
    assert ("east",) == west.others


def test_a_change_is_enough_once_they_know_each_other() -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    meet(east, west)

    (changed,) = east.stand(a_standing(EAST, "running", NEW))
    assert [] == west.hear(changed, 1.0)
    assert "running" == west.standings[EAST].state

    (gone,) = east.forget(EAST)
    west.hear(gone, 1.0)
    assert {} == west.standings


def test_the_same_again_is_not_said() -> None:
    east = Fleet("east", 1)
    assert 1 == len(east.stand(a_standing(EAST)))
    assert [] == east.stand(a_standing(EAST))
    assert [] == east.forget(WEST)
    assert 1 == len(east.order("shop/web", [GO]))
    assert [] == east.order("shop/web", [GO])
    assert 1 == len(east.order("shop/web", []))
    assert [] == east.order("shop/web", [])


def test_a_lost_change_is_asked_for_and_not_papered_over() -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    meet(east, west)
    east.stand(a_standing(EAST, "running", NEW))  # lost
    (later,) = east.order("shop/web", [GO])

    assert [Ask("west", "east")] == west.hear(later, 1.0)
    assert [] == west.orders_for(WEST)

    (report,) = east.hear(Ask("west", "east"), 1.0)
    west.hear(report, 1.0)
    assert "running" == west.standings[EAST].state
    assert [("east", GO)] == west.orders_for(WEST)


def test_questions_and_answers_are_bounded() -> None:
    """Many who ask at once get one answer, and nobody asks twice in a second."""
    east, west = Fleet("east", 1), Fleet("west", 1)
    east.stand(a_standing(EAST))
    assert [Ask("west", "east")] == west.hear(east.pulse(), 0.0)
    assert [] == west.hear(east.pulse(), ASK_S / 2)
    assert [Ask("west", "east")] == west.hear(east.pulse(), ASK_S)

    assert 1 == len(east.hear(Ask("west", "east"), 0.0))
    assert [] == east.hear(Ask("north", "east"), 0.1)
    assert [] == east.hear(Ask("west", "south"), 10.0)


def test_after_a_restart_the_old_voice_is_not_believed() -> None:
    west = Fleet("west", 1)
    before, after = Fleet("east", 1), Fleet("east", 2)
    (old,) = before.stand(a_standing(EAST, "running", NEW))
    after.stand(a_standing(EAST, "settled", NEW))
    meet(after, west)

    west.hear(old, 1.0)
    west.hear(Report(cluster="east", boot=1, number=99), 1.0)

    assert "settled" == west.standings[EAST].state


def test_what_a_restarted_cluster_said_before_stands_until_it_says_more() -> None:
    """Its orders do not vanish for the moment in which it starts."""
    east, west = Fleet("east", 1), Fleet("west", 1)
    east.order("shop/web", [GO])
    meet(east, west)

    west.hear(Pulse("east", 2, 0), 1.0)
    assert [("east", GO)] == west.orders_for(WEST)

    meet(Fleet("east", 2), west, 10.0)
    assert [] == west.orders_for(WEST)


def test_one_that_starts_with_a_clock_behind_is_believed_when_the_old_voice_is_gone() -> None:
    old, new, west = Fleet("east", 20), Fleet("east", 10), Fleet("west", 1)
    new.stand(a_standing(EAST, "running", NEW))
    meet(old, west, 0.0)

    meet(new, west, SILENT_S)
    assert {} == west.standings

    meet(new, west, 2 * SILENT_S)
    assert {EAST: a_standing(EAST, "running", NEW)} == west.standings


def test_a_cluster_is_whole_when_it_has_said_everything_once() -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    west.hear(east.pulse(), 0.0)
    assert frozenset() == west.whole

    meet(east, west, 10.0)
    assert {"east"} == west.whole

    west.hear(Pulse("east", 2, 0), 20.0)
    assert {"east"} == west.whole


def test_who_is_not_heard_of_is_silent_since_then() -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    meet(east, west, 100.0)
    assert {} == west.silent(100.0 + SILENT_S)
    assert {"east": 100.0} == west.silent(100.1 + SILENT_S)
    west.hear(east.pulse(), 120.0)
    assert {} == west.silent(121.0)


def test_its_own_echo_is_nothing_to_a_cluster() -> None:
    east = Fleet("east", 1)
    (changed,) = east.stand(a_standing(EAST))
    assert [] == east.hear(changed, 0.0)
    assert () == east.others


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["settled", "running", "gone", "order"]), st.integers(0, 3)),
        max_size=25,
    ),
    fates=st.lists(st.sampled_from(["lost", "once", "twice", "late"]), min_size=1),
)
def test_views_are_equal_after_one_pulse_whatever_happened(
    steps: list[tuple[str, int]], fates: list[str]
) -> None:
    east, west = Fleet("east", 1), Fleet("west", 1)
    fate, late = itertools.cycle(fates), []
    for number, (what, which) in enumerate(steps):
        key = a_key("east", f"web-{which}")
        if what == "gone":
            said = east.forget(key)
        elif what == "order":
            said = east.order(f"shop/{which}", [GO] if number % 3 else [])
        else:
            release = NEW if number % 2 else OLD
            said = east.stand(a_standing(key, what, release))  # type: ignore[arg-type]
        for message in said:
            match next(fate):
                case "late":
                    late.append(message)
                case "lost":
                    pass
                case times:
                    for _ in range(1 + (times == "twice")):
                        west.hear(message, float(number))
    meet(east, west, 1000.0)
    for message in late:
        west.hear(message, 1000.5)
    meet(east, west, 1002.0)

    assert dict(east.mine) == west.standings
    assert len(east.orders_for(WEST)) == len(west.orders_for(WEST))


def test_messages_are_what_they_were_after_a_journey() -> None:
    east = Fleet("east", 1)
    (changed,) = east.stand(a_standing(EAST, "running", NEW, images={"web": "example.test/web:2"}))
    assert isinstance(changed, Changed)
    assert changed == decoder.decode(encode(changed))
