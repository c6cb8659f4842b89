"""The ring stays safe and finishes, whatever is lost, late, repeated, stale or killed."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.sim.deployments import RingMachine
from tests.sim.mutants import MUTANTS, SET_MUTANTS, mutated
from tests.sim.sets import SetMachine

# So many random stories (`make hunt`); without it the same ones on every machine, so that a change
# is only ever blamed for what it did. What a hunt finds is kept in test_stories.py.
HUNTED = int(os.environ.get("SERINUS_SIM_EXAMPLES") or 0)
CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

FIXED = settings(
    max_examples=300,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    # No shrinking: the story that is found is short enough to read, and shrinking takes minutes.
    phases=[Phase.generate],
    suppress_health_check=CHECKS,
    print_blob=True,
)
HUNT = settings(FIXED, max_examples=HUNTED, derandomize=False) if HUNTED else FIXED
# A mutant must be caught by the same search.
CATCH = settings(FIXED, max_examples=3000, report_multiple_bugs=False)


@pytest.mark.timeout(3600)  # as long as SERINUS_SIM_EXAMPLES asks for
@pytest.mark.parametrize("machine", [RingMachine, SetMachine])
def test_the_ring_stays_safe_and_every_run_ends(machine):
    run_state_machine_as_test(machine, settings=HUNT)


@pytest.mark.timeout(900)  # the same examples on every machine, in different times
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_a_mutant_is_caught(mutant):
    with mutated(mutant), pytest.raises(AssertionError):
        run_state_machine_as_test(RingMachine, settings=CATCH)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", SET_MUTANTS, ids=lambda m: m.__name__)
def test_a_mutant_of_stateful_sets_is_caught(mutant):
    with mutated(mutant), pytest.raises(AssertionError):
        run_state_machine_as_test(SetMachine, settings=CATCH)
