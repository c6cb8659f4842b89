"""The built-in checks of every mesh ask the metrics server what Flagger asked, to the letter."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from tests.peer import selection
from tests.peer.scenario import Scenario, trace

from serinus.analyzer.core.queries import (
    Check,
    builtin_query,
    collapse,
    metrics_provider,
    names_of,
    observer_of,
)
from serinus.events import WorkloadSeen
from serinus.events.canary import CanarySpec, Provider, analysis_of

CHECKS: tuple[Check, ...] = get_args(Check)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        runs = [one for one in selection.everything() if one.name.endswith("-healthy")]
        metafunc.parametrize("scenario", runs, ids=lambda one: one.name)


def test_what_is_asked_is_what_flagger_asked(scenario: Scenario) -> None:
    lines = trace(selection.folder() / scenario.name)
    asked = {line["query"] for line in lines if line["src"] == "prometheus"}
    manifest = next(o for s in scenario.steps for o in s.apply if o["kind"] == "Canary")
    spec = msgspec.convert(manifest["spec"], CanarySpec)
    revisions = {line["name"] for line in lines if line.get("kind") == "Revision"}

    ours = set()
    for metric in analysis_of(spec).metrics:
        for revision in revisions or {""}:
            names = names_of(
                scenario.name, manifest["metadata"]["name"], spec, WorkloadSeen(latest=revision)
            )
            observer = observer_of(metrics_provider(spec.provider, "", spec.target_ref))
            check = next(check for check in CHECKS if check == metric.name)
            ours.add(collapse(builtin_query(observer, check, names, metric.interval)))

    assert asked
    assert asked <= ours


def test_every_provider_has_a_run() -> None:
    recorded = {one.provider for one in selection.everything() if one.name.endswith("-healthy")}

    assert set(get_args(Provider)) <= recorded
