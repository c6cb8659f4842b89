"""The comparison itself: it accepts every recording as its own equal, and notices every change."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.peer import scenario as scenarios
from tests.peer import selection
from tests.peer.compare import Deliberate, compare, deliberate
from tests.peer.play import Late, follow, set_hooks
from tests.peer.record import Recording
from tests.peer.scenario import Hook, Hosts, Step, When, adapted, adapted_patch
from tests.peer.story import story
from tests.servers.stub import Reply, Script

Obj = dict[str, Any]
HOSTS = Hosts(prometheus="http://m/x", hooks="http://h", chat="http://c")
ROLLBACK = "provider-traefik-rollback"


def recorded(name: str) -> list[Obj]:
    return scenarios.trace(selection.folder() / name)


def test_every_recorded_run_can_be_read_and_equals_itself() -> None:
    """All of them, not only those that are replayed."""
    for one in selection.everything():
        lines = recorded(one.name)
        assert compare(one.name, story(lines), story(copy.deepcopy(lines))).differences == ()


def test_a_story_agrees_with_the_recorders_own_summary() -> None:
    """Phases and weights are what scenario.yaml says was observed."""
    import yaml

    for one in selection.selected():
        document = yaml.safe_load((selection.folder() / one.name / "scenario.yaml").read_text())
        summary = document["observed"]
        found = story(recorded(one.name))
        assert list(found.phases) == [phase for _, phase in summary["phases"]], one.name
        assert list(found.weights) == [weight for _, weight in summary["canaryWeights"]], one.name


def another_phase(lines: list[Obj]) -> None:
    last(lines, kind="Canary")["phase"] = "Succeeded"


def another_weight(lines: list[Obj]) -> None:
    next(line for line in lines if line.get("canaryWeight") == 20)["canaryWeight"] = 25


def one_failed_check_less(lines: list[Obj]) -> None:
    lines.remove(next(line for line in lines if line.get("failedChecks") == 1))


def another_text(lines: list[Obj]) -> None:
    last(lines, src="event")["message"] = "Canary failed!"


def another_type(lines: list[Obj]) -> None:
    last(lines, src="event")["type"] = "Normal"


def a_halt_told_once_only(lines: list[Obj]) -> None:
    lines.remove(last([one for one in lines if "Halt" in one.get("message", "")], src="event"))


def another_query(lines: list[Obj]) -> None:
    line = last(lines, src="prometheus")
    line["query"] = line["query"].replace("1m", "2m")


def a_query_more(lines: list[Obj]) -> None:
    lines.append(copy.deepcopy(last(lines, src="prometheus")))


def another_route(lines: list[Obj]) -> None:
    route = next(line for line in lines if line.get("kind") == "TraefikService")
    route["spec"]["weighted"]["services"][0]["weight"] = 99


def another_owner(lines: list[Obj]) -> None:
    next(line for line in lines if line.get("name") == "web-primary")["owners"] = ["Canary/x"]


def a_target_left_running(lines: list[Obj]) -> None:
    lines.remove(last(lines, src="kube", kind="Deployment", replicas=0))


@pytest.mark.parametrize(
    ("mutation", "aspect"),
    [
        (another_phase, "phases"),
        (another_weight, "weights"),
        (one_failed_check_less, "failed_checks"),
        (another_text, "events"),
        (another_type, "events"),
        (a_halt_told_once_only, "events"),
        (another_query, "queries"),
        (a_query_more, "queries"),
        (another_route, "objects"),
        (another_owner, "objects"),
        (a_target_left_running, "objects"),
    ],
)
def test_a_changed_run_is_caught(mutation: Callable[[list[Obj]], None], aspect: str) -> None:
    """Each in the aspect that it belongs to."""
    lines = recorded(ROLLBACK)
    mutated = copy.deepcopy(lines)

    mutation(mutated)

    found = compare(ROLLBACK, story(lines), story(mutated)).differences
    assert [text.partition(":")[0] for text in found] == [aspect]


def test_a_difference_names_itself_in_its_first_line() -> None:
    """It is all that the summary of a run of tests shows."""
    flagger = story(recorded(ROLLBACK))
    longer = msgspec.structs.replace(flagger, weights=(*flagger.weights, 70))
    other = msgspec.structs.replace(flagger, weights=(*flagger.weights[:-1], 70))

    (more,) = compare(ROLLBACK, flagger, longer).differences
    (another,) = compare(ROLLBACK, flagger, other).differences

    assert more.splitlines()[0] == "weights: 70 where Flagger has nothing"
    assert another.splitlines()[0] == f"weights: 70 where Flagger has {flagger.weights[-1]}"


def test_a_difference_far_back_in_a_document_is_shown() -> None:
    flagger = story(recorded(ROLLBACK))
    theirs, ours = (
        msgspec.structs.replace(flagger, objects={"Service/web": (f"{'x' * 500}{end}",)})
        for end in ("one", "two")
    )

    (found,) = compare(ROLLBACK, theirs, ours).differences

    first = found.splitlines()[0]
    assert first.startswith("objects: Service/web …xx")
    assert "xtwo…" in first
    assert first.endswith("xone…")


def test_a_hook_called_once_more_is_caught() -> None:
    """Gates are asked as often as Flagger asks them."""
    lines = recorded("confirm-rollout-traefik")
    mutated = [*lines, last(lines, src="webhook")]

    found = compare("confirm-rollout-traefik", story(lines), story(mutated)).differences

    assert [text.partition(":")[0] for text in found] == ["hooks"]


def test_the_order_of_measurements_within_a_tick_is_free() -> None:
    """They may be asked at the same time; the next tick's may not come first."""
    lines = recorded("provider-traefik-healthy")
    queries = [line for line in lines if line["src"] == "prometheus"]
    first, second = queries[0], queries[1]
    assert first["tick"] == second["tick"]
    others = [line for line in lines if line["src"] != "prometheus"]

    swapped = story([*others, second, first, *queries[2:]])
    delayed = story([*others, *queries[2:], first, second])

    assert compare("x", story(lines), swapped).differences == ()
    assert queries[2]["query"] == first["query"] or compare("x", story(lines), delayed).differences


def test_waiting_for_pods_is_told_once_or_often() -> None:
    """How often a look finds an unfinished rollout depends on how often somebody looks."""
    lines = recorded("canary-late-ready-traefik")
    waiting = [one for one in lines if "updated replicas" in one.get("message", "")]
    fewer = [line for line in lines if line is not waiting[-1]]
    none = [line for line in lines if not any(line is one for one in waiting)]

    assert compare("x", story(lines), story(fewer)).differences == ()
    assert compare("x", story(lines), story(none)).differences != ()


def test_a_declared_difference_is_accepted_and_counted_as_used() -> None:
    """A rewritten line, a line left out, another course; in the named scenarios only."""
    lines = recorded(ROLLBACK)
    mutated = copy.deepcopy(lines)
    another_text(mutated)
    flagger, serinus = story(lines), story(mutated)
    rewritten = a_row(flagger="Canary failed! Scaling down .*", serinus="Canary failed!")
    left_out = a_row(flagger="Canary failed!")

    assert compare(ROLLBACK, flagger, serinus, [rewritten]).differences == ()
    assert compare(ROLLBACK, flagger, serinus, [left_out]).used == {0}
    assert compare(ROLLBACK, flagger, serinus, [another_course(apart=("events",))]).used == {0}
    assert compare("another", flagger, serinus, [left_out]).differences != ()


def test_a_row_that_explains_nothing_is_not_used() -> None:
    """So that the table can be kept true."""
    found = story(recorded(ROLLBACK))

    assert compare(ROLLBACK, found, found, [a_row("Canary failed!")]).used == frozenset()


def test_another_course_is_asserted_line_by_line() -> None:
    """What is different on purpose is still held to what it is meant to be."""
    lines = recorded(ROLLBACK)
    mutated = copy.deepcopy(lines)
    another_weight(mutated)
    flagger, serinus = story(lines), story(mutated)
    meant = another_course(here={"weights": (0, 25, 40, 0)})
    not_meant = another_course(here={"weights": (0, 20, 45, 0)})

    assert compare(ROLLBACK, flagger, serinus, [meant]).differences == ()
    assert compare(ROLLBACK, flagger, serinus, [meant]).used == {0}
    assert compare(ROLLBACK, flagger, serinus, [not_meant]).differences != ()


@pytest.mark.parametrize(
    "row",
    [{}, {"aspect": "events"}, {"flagger": "Halt"}, {"apart": ("no-such",)}],
    ids=str,
)
def test_a_row_that_says_nothing_is_refused(row: dict[str, Any]) -> None:
    """A pattern needs its aspect, and aspects must be known."""
    with pytest.raises(ValueError, match="aspect"):
        Deliberate(scenarios=("x",), reason="because", **row)


def another_course(**fields: Any) -> Deliberate:
    return Deliberate(scenarios=("provider-traefik-*",), reason="because", **fields)


def a_row(
    flagger: str, serinus: str = "", once: bool = False, aspect: str = "events"
) -> Deliberate:
    return Deliberate(
        scenarios=("provider-traefik-*",),
        aspect=aspect,
        reason="because",
        flagger=flagger,
        serinus=serinus,
        once=once,
    )


def test_what_is_said_once_is_equal_to_what_is_said_at_each_look() -> None:
    """Only where a row says so, and only if it was said at all."""
    lines = recorded(ROLLBACK)
    fewer, none = copy.deepcopy(lines), copy.deepcopy(lines)
    a_halt_told_once_only(fewer)
    a_halt_told_once_only(none)
    a_halt_told_once_only(none)
    row = a_row(flagger="Warning Halt", once=True)

    assert compare(ROLLBACK, story(lines), story(fewer)).differences != ()
    assert compare(ROLLBACK, story(lines), story(fewer), [row]).differences == ()
    assert compare(ROLLBACK, story(lines), story(none), [row]).differences != ()


def test_a_value_that_is_left_out_joins_its_neighbours() -> None:
    """0, 1, 2, 0 without 1 and 2 is a single 0."""
    lines = recorded(ROLLBACK)
    mutated = [line for line in lines if line.get("failedChecks", 0) == 0]
    row = a_row(flagger="^[12]$", aspect="failed_checks")

    assert compare(ROLLBACK, story(lines), story(mutated), [row]).differences == ()


def test_a_step_that_never_comes_about_is_a_difference() -> None:
    """A run that stopped half-way is not a run that went well."""
    found = story(recorded(ROLLBACK))

    assert compare(ROLLBACK, found, found, stuck="step 3").differences != ()


def test_receivers_of_alerts_are_compared_one_by_one() -> None:
    """Which of them is told first is free; the order of what one of them gets is not."""
    lines = recorded("alerts-skip-gateway")
    others = [line for line in lines if line["src"] != "alert"]
    alerts = [line for line in lines if line["src"] == "alert"]
    by_path = sorted(alerts, key=lambda line: str(line["path"]), reverse=True)

    assert compare("x", story(lines), story([*others, *by_path])).differences == ()
    assert compare("x", story(lines), story([*others, *reversed(alerts)])).differences != ()


def test_the_table_of_differences_can_be_read() -> None:
    """Every row names a scenario that there is, and says why."""
    names = [one.name for one in selection.everything()]

    for row in deliberate():
        assert row.reason
        assert any(row.concerns(name) for name in names), row


def test_manifests_are_adapted_to_hosts_and_pace() -> None:
    """Nothing but hosts, the canary's interval, its metrics server and short deadlines changes."""
    hook = {"url": "http://hooks.test/x/gate"}
    metric = {"name": "request-success-rate", "interval": "1m"}
    analysis = {"interval": "10s", "webhooks": [hook], "metrics": [metric]}
    canary: Obj = {
        "kind": "Canary",
        "spec": {"analysis": analysis, "progressDeadlineSeconds": 25},
    }

    found = adapted(canary, HOSTS, scale=5)["spec"]

    assert found["analysis"]["interval"] == "2000ms"
    assert found["analysis"]["webhooks"] == [{"url": "http://h/x/gate"}]
    assert found["analysis"]["metrics"] == [metric]
    assert (found["metricsServer"], found["progressDeadlineSeconds"]) == ("http://m/x", 5)
    assert canary["spec"]["analysis"]["interval"] == "10s"


def test_patches_are_adapted_too() -> None:
    """A new interval is as much faster as the old one."""
    patch: list[Obj] = [{"op": "replace", "path": "/spec/analysis/interval", "value": "15s"}]

    assert adapted_patch(patch, HOSTS, scale=5) == [patch[0] | {"value": "3000ms"}]
    merged: Obj = {"spec": {"analysis": {"interval": "15s"}}}
    assert adapted_patch(merged, HOSTS, scale=5)["spec"]["analysis"]["interval"] == "3000ms"


def test_new_answers_of_a_hook_replace_the_old_ones() -> None:
    """A step's rules start over with their first answer."""
    script = Script()
    set_hooks(script, [Hook(path="/gate", answers=(Reply(status=403), Reply(status=404)))])
    script.reply("/gate")

    set_hooks(script, [Hook(path="/gate", answers=(Reply(status=200),))])

    assert script.reply("/gate").status == 200


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_stimulus_that_comes_late_makes_it_another_run(goes_on: bool) -> None:
    """It was meant for weight 20; a run that has gone on to 40 proves nothing."""
    recording = Recording("web")
    recording.see("ADDED", a_canary(20))
    steps = [Step(when=When(weight=20), after=0.5)]
    scenario: Any = SimpleNamespace(name="web", steps=steps)
    stub = SimpleNamespace(url=lambda *_: "", script=lambda _: Script())
    stage: Any = SimpleNamespace(scale=1.0, stub=stub)
    following = asyncio.create_task(follow(scenario, stage, recording, 1.0, {}))
    await asyncio.sleep(0.1)
    if goes_on:
        recording.see("MODIFIED", a_canary(40))
        with pytest.raises(Late):
            await following
    else:
        assert await following == ""


def a_canary(weight: int) -> Obj:
    status = {"phase": "Progressing", "canaryWeight": weight}
    where = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}
    return where | {"metadata": {"name": "web"}, "status": status}


def test_every_recorded_run_is_played() -> None:
    """Once each, on a server with the CRDs that it had."""
    played = [one.name for _, runs in selection.by_crds(selection.selected()) for one in runs]

    assert sorted(played) == [one.name for one in selection.everything()]


def test_flags_are_settings_of_the_same_names() -> None:
    """A switch without a value is on; addresses lead to this run's hosts."""
    flags = ("-cluster-name=east-1", "-no-cross-namespace-refs", "-slack-url=http://chat.test/x")

    assert scenarios.settings(flags, HOSTS) == {
        "SERINUS_CLUSTER_NAME": "east-1",
        "SERINUS_NO_CROSS_NAMESPACE_REFS": "true",
        "SERINUS_SLACK_URL": "http://c/x",
    }


def test_missing_recordings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an empty, green run."""
    monkeypatch.setenv("SERINUS_TRACES", str(tmp_path))

    with pytest.raises(Exception, match=r"missing: recorded runs .* set SERINUS_TRACES"):
        selection.folder()


def last(lines: list[Obj], **fields: object) -> Obj:
    matching = [
        line for line in lines if all(line.get(key) == value for key, value in fields.items())
    ]
    assert matching, json.dumps(fields)
    return matching[-1]
