"""The sentences of the reference, word for word (2.14): people search for them."""

from __future__ import annotations

import pytest

from serinus.analyzer.core import messages as say

N, T = "shop.prod", "web.prod"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (say.initialized(N), "Initialization done! shop.prod"),
        (say.scaling_up(T), "New revision detected! Scaling up web.prod"),
        (say.restarting(T), "New revision detected! Restarting analysis for web.prod"),
        (say.starting(T), "Starting canary analysis for web.prod"),
        (say.advance_canary(N, 20), "Advance shop.prod canary weight 20"),
        (say.advance_primary(N, 80), "Advance shop.prod primary weight 80"),
        (say.advance_iteration(N, 2, 10), "Advance shop.prod canary iteration 2/10"),
        (
            say.copying("Deployment", "web", "prod"),
            "Copying web.prod template spec to web-primary.prod",
        ),
        (say.promoted(T), "Promotion completed! Scaling down web.prod"),
        (
            say.promoted_without_analysis(T),
            "Promotion completed! Canary analysis was skipped for web.prod",
        ),
        (say.threshold_reached(N, 5), "Rolling back shop.prod failed checks threshold reached 5"),
        (say.manual_rollback(N), "Rolling back shop.prod manual webhook invoked"),
        (say.canary_failed(N), "Canary failed! Scaling down shop.prod"),
        (
            say.promotion_failed(T, "E"),
            "Promotion of web.prod failed, primary not ready: E",
        ),
        (say.awaiting(N, "x"), "Halt shop.prod advancement waiting for approval x"),
        (
            say.awaiting_traffic(N, "x"),
            "Halt shop.prod advancement waiting for traffic increase approval x",
        ),
        (
            say.awaiting_promotion(N, "x"),
            "Halt shop.prod advancement waiting for promotion approval x",
        ),
        (
            say.pre_rollout_failed(N, "x", "E"),
            "Halt shop.prod advancement pre-rollout check x failed E",
        ),
        (
            say.rollout_hook_failed(N, "x", ""),
            "Halt shop.prod advancement external check x failed ",
        ),
        (say.after_hook_failed("post-rollout", "x", "E"), "Post-rollout hook x failed E"),
        (say.after_hook_failed("on-rollback", "x", "E"), "On-rollback hook x failed E"),
        (say.no_rollback("x"), "Rollback hook x not signaling a rollback"),
        (say.rollback_passed("x"), "Rollback check x passed"),
        (say.terminating(N), "Terminating canary shop.prod"),
        (say.terminated(N), "Terminated canary shop.prod"),
    ],
)
def test_it_is_said_in_the_references_words(said: str, expected: str) -> None:
    assert said == expected


def test_the_readiness_of_a_workload_is_wrapped_by_its_kind() -> None:
    assert say.not_ready("Deployment", T, "E") == "canary deployment web.prod not ready: E"
    assert say.primary_not_ready("Deployment", "web", "prod", "E") == (
        "web-primary.prod not ready: E"
    )
    assert say.primary_not_ready("DaemonSet", "web", "prod", "E") == (
        "primary daemonset web-primary.prod not ready: E"
    )


def test_silence_stays_silent_in_a_dry_run() -> None:
    assert say.dry("") == ""
    assert say.dry("Advance") == "Dry run: Advance"


@pytest.mark.parametrize("who", ["", "alice"])
def test_who_asked_is_named_where_it_is_known(who: str) -> None:
    assert say.requested("abort", N, who).endswith("by alice" if who else "requested")
    assert say.aborted(N, who).endswith("of alice" if who else "request")
