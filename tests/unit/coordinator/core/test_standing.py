"""How a canary stands, read from the watcher's snapshot."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.builders import (
    NEW,
    OLD,
    a_canary_spec,
    a_hook,
    a_primary_seen,
    a_status,
    a_workload_seen,
    an_analysis,
    an_observed,
)

from serinus.coordinator.core.standing import Key, release_of, standing

IMAGES = {"web": "example.test/web:2"}


def seen(phase: str, target: str = NEW, **status: Any) -> Any:
    return an_observed(status=a_status(phase, **status), target=a_workload_seen(target))


@pytest.mark.parametrize(
    ("observed", "state"),
    [
        (seen("", OLD), "unready"),
        (seen("Initializing", OLD), "unready"),
        (seen("Initialized", OLD), "settled"),
        (seen("Initialized", NEW), "waiting"),
        (seen("Succeeded", NEW), "settled"),
        (seen("Succeeded", OLD), "waiting"),
        (seen("Progressing"), "waiting"),
        (seen("Waiting"), "waiting"),
        (seen("Progressing", canary_weight=20), "running"),
        (seen("Progressing", iterations=1), "running"),
        (seen("WaitingPromotion", canary_weight=60), "running"),
        (seen("Promoting", canary_weight=60), "running"),
        (seen("Finalising"), "running"),
        (seen("Failed", NEW), "failed"),
        (seen("Failed", "s1-third"), "waiting"),
        (seen("Terminating"), "unready"),
    ],
)
def test_a_phase_and_what_is_live_make_a_state(observed: Any, state: str) -> None:
    assert state == standing(observed, "east").state


def test_a_config_that_changed_is_something_new() -> None:
    tracked = a_status("Succeeded", tracked_configs={"configmap/a": "1"})
    observed = an_observed(status=tracked, target=a_workload_seen(NEW))
    same = replace(observed, configs={"configmap/a": "1"})
    other = replace(observed, configs={"configmap/a": "2"})

    assert ["settled", "waiting"] == [standing(one, "east").state for one in (same, other)]


@pytest.mark.parametrize(
    ("same", "state"), [(True, "settled"), (None, "settled"), (False, "waiting")]
)
def test_where_the_hash_is_not_ours_the_templates_are_compared(
    same: bool | None, state: str
) -> None:
    status = a_status("Succeeded", last_promoted_spec="6d8f7c", last_applied_spec="6d8f7c")
    observed = replace(an_observed(status=status), same_template=same)

    assert state == standing(observed, "east").state


def test_a_release_has_one_name_in_every_cluster() -> None:
    observed = an_observed(
        target=a_workload_seen(NEW, images=IMAGES), primary=a_primary_seen(OLD, images={"web": "x"})
    )
    here, there = standing(observed, "here"), standing(observed, "there")

    assert release_of(IMAGES) == here.release == there.release != here.live
    assert Key("there", "shop", "web") == there.key
    assert release_of({"a": "1", "b": "2"}) == release_of({"b": "2", "a": "1"})
    assert "" == release_of({})


def test_only_a_gate_before_the_start_can_be_held() -> None:
    hook = a_hook(type="confirm-rollout")
    asking = an_observed(spec=a_canary_spec(analysis=an_analysis(webhooks=(hook,))))
    assert [True, False] == [standing(one, "east").asks for one in (asking, an_observed())]
