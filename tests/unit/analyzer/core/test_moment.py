"""One moment: rounds, keys, facts with ids that repeat when they are told twice."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import (
    T0,
    a_canary_spec,
    a_hook,
    a_rollout,
    a_routes_observed,
    a_status,
    an_analysis,
)

from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.moment import Moment, checksum, once
from serinus.analyzer.core.rollout import Look, Policy
from serinus.events import RolloutNoted


def moment(after_s: float = 0.0, **fields: object) -> Moment:
    return Moment(a_rollout(**fields), Look(at=T0 + after_s))  # type: ignore[arg-type]  # any field, by name


@pytest.mark.parametrize(
    ("after_s", "round_"), [(0, 0), (9.9, 0), (9.96, 1), (10, 1), (25, 2), (-3600, 0)]
)
def test_rounds_are_counted_from_the_last_status(after_s: float, round_: int) -> None:
    assert moment(after_s).round == round_


def test_a_slow_answer_belongs_to_the_round_it_was_asked_in() -> None:
    late = Moment(a_rollout(), Look(at=T0 + 25, turn_at=T0 + 10))
    assert late.round == 1


@pytest.mark.parametrize(
    ("settled_after_s", "round_after_12_s"), [(0.5, 1), (-60.0, 1), (8.0, 0), (7200.0, 0)]
)
def test_a_share_that_came_late_gets_its_interval_all_the_same(
    settled_after_s: float, round_after_12_s: int
) -> None:
    """A status may be written long after its stamp, and routers' clocks may be ahead."""
    rollout = a_rollout(status=a_status(canary_weight=20))
    routes = a_routes_observed(desired(rollout).id, 20)
    rollout = msgspec.structs.replace(rollout, routes=routes)
    found = Moment(rollout, Look(at=T0 + 12, settled_at=T0 + settled_after_s))

    assert found.round == round_after_12_s
    assert found.next_round_at > T0 + 12


@given(st.floats(0, 10_000))
def test_the_next_round_is_in_the_future(after_s: float) -> None:
    found = moment(after_s)
    assert 0 < found.next_round_at - found.at <= found.interval_s + 0.05


def test_the_operators_shortest_interval_is_kept() -> None:
    spec = a_canary_spec(analysis=an_analysis(interval="1s"))
    assert moment(spec=spec).interval_s == 10.0
    assert moment(spec=spec, policy=Policy(min_interval_s=2.0)).interval_s == 2.0


def test_a_question_keeps_its_key_within_a_round_and_changes_it_with_the_status() -> None:
    assert moment(11).key("rollout", 0) == moment(12).key("rollout", 0)
    assert moment(11).key("rollout", 0) != moment(21).key("rollout", 0)
    assert moment(11).key("rollout", 0) != moment(11, status=a_status(canary_weight=20)).key(
        "rollout", 0
    )


def test_a_fact_told_twice_has_one_id_and_other_news_another() -> None:
    one, two = moment(1).tell(RolloutNoted, "a"), moment(5).tell(RolloutNoted, "a")
    assert one.id == two.id
    assert moment(1).tell(RolloutNoted, "b").id != one.id
    assert moment(1).tell(RolloutNoted, "a", once="1").id != one.id


def test_the_checksum_names_a_revision_with_its_configs() -> None:
    one = a_status(tracked_configs={"configmap/a": "1"})
    assert checksum(one) == checksum(a_status(tracked_configs={"configmap/a": "1"}, iterations=3))
    assert checksum(one) != checksum(a_status(tracked_configs={"configmap/a": "2"}))
    assert len(checksum(one)) == 10


def test_provider_kubernetes_is_blue_green_with_ten_iterations() -> None:
    found = moment(spec=a_canary_spec(provider="kubernetes"))
    assert (found.strategy, found.iterations) == ("blue-green", 10)


def test_hooks_are_asked_with_their_words_filled_in() -> None:
    hook = a_hook(metadata={"cmd": "load {{ canaryWeight }}"})
    ask = moment(status=a_status(canary_weight=20)).hook_ask(hook, 0)
    assert ask.hook.metadata == {"cmd": "load 20"}


def test_what_is_worked_out_once_is_not_worked_out_again() -> None:
    calls = []

    class Thing:
        @once
        def value(self) -> int:
            """Doc."""
            calls.append(1)
            return 7

    thing = Thing()
    assert (thing.value, thing.value, len(calls)) == (7, 7, 1)
    assert Thing.value.__doc__ == "Doc."
