"""Plays a recorded run's script to our ring and records what happens."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from tests.peer.record import Recorder, Recording
from tests.peer.scenario import Hook, Hosts, Scenario, Step, When, adapted, adapted_patch
from tests.peer.story import plain_text
from tests.servers.knative import knative
from tests.servers.kube import ApiError, Kube
from tests.servers.kubelet import Kubelet
from tests.servers.stub import Script, Stub

from serinus.router.workloads.catalog import WORKLOADS

Obj = dict[str, Any]

FLAGGERS_INTERVAL_S = 10.0
REFUSAL_WITHIN_S = 60.0
BETWEEN_MANIFESTS_S = 0.1
KNATIVES_DELAY_S = 0.3
ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")

BUILT_IN = ("apps/v1", "v1")


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What all scenarios share. Everything runs `scale` times faster than it was recorded."""

    kube: Kube
    kubelet: Kubelet
    stub: Stub
    recorder: Recorder
    scale: float


class Late(Exception):
    """The run had gone on before a stimulus in its middle came: it is another run than recorded."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its observations, the workloads at its end, and the step that never came about."""

    lines: list[Obj] = []
    final: list[Obj] = []
    stuck: str = ""


async def play(
    scenario: Scenario,
    stage: Stage,
    patience_s: float,
    waits: Mapping[int, When] | None = None,
    last_words: str = "",
) -> Played:
    """Runs one scenario in a namespace of its own.

    A step that waits for `patience_s` seconds in which nothing at all happens is given up.
    `waits` has other conditions for some steps (from 1): what comes about in our run.
    Raises Late when the machine was too slow for a stimulus.
    `last_words` is the text of the last event: events come behind what they tell, and on a busy
    machine far behind.
    """
    if "knative" not in scenario.features:
        return await _play(scenario, stage, patience_s, waits or {}, last_words)
    async with knative(stage.kube, scenario.name, KNATIVES_DELAY_S / stage.scale):
        return await _play(scenario, stage, patience_s, waits or {}, last_words)


async def _play(
    scenario: Scenario,
    stage: Stage,
    patience_s: float,
    waits: Mapping[int, When],
    last_words: str,
) -> Played:
    script = stage.stub.script(scenario.name)
    script.set_prometheus(scenario.prometheus)
    script.set_chat(scenario.chat_status)
    set_hooks(script, scenario.hooks)
    stage.kubelet.set_rules(scenario.name, scenario.environment.kubelet)
    recording = stage.recorder.start(scenario.name)
    await stage.kube.namespace(scenario.name)
    gateway = asyncio.create_task(accept_routes(scenario, stage, recording))
    try:
        stuck = await follow(scenario, stage, recording, patience_s, waits)
        with contextlib.suppress(TimeoutError):
            await recording.until(partial(_is_told, recording, last_words), patience_s)
        await recording.quiet(for_s=5 / stage.scale, at_most_s=20 / stage.scale)
        if not recording.canary():
            with contextlib.suppress(TimeoutError):
                await recording.until(recording.is_clean, patience_s)
        final = [
            one
            for row in WORKLOADS.values()
            if row.api_version in BUILT_IN  # of the others nothing is generated
            for one in await stage.kube.list(row.api_version, row.kind, scenario.name)
        ]
    finally:
        stage.recorder.stop(scenario.name)
        gateway.cancel()
        (outcome,) = await asyncio.gather(gateway, return_exceptions=True)
        await stage.kube.delete("v1", "Namespace", None, scenario.name)
        if isinstance(outcome, Exception):
            raise outcome
    return Played(lines=recording.lines, final=final, stuck=stuck)


def _is_told(recording: Recording, text: str) -> bool:
    told = (line["message"] for line in reversed(recording.lines) if line["src"] == "event")
    return not text or any(plain_text(message) == text for message in told)


async def follow(
    scenario: Scenario,
    stage: Stage,
    recording: Recording,
    patience_s: float,
    waits: Mapping[int, When],
) -> str:
    """Does all steps; the first one that waited in vain, or nothing."""
    start = 0
    for number, step in enumerate(scenario.steps, 1):
        when = waits.get(number, step.when)
        since = _Since(recording, start, FLAGGERS_INTERVAL_S / stage.scale)
        await asyncio.sleep(when.seconds / stage.scale)
        try:
            await recording.until(partial(since.holds, when), patience_s)
        except TimeoutError:
            wanted = {key: value for key, value in msgspec.to_builtins(when).items() if value}
            return f"step {number} waited for {wanted}: nothing happened for {patience_s:.0f} s"
        # From here, not from the stimulus: where Flagger waits for its next look, we are past it.
        start = len(recording.lines)
        before = _progress(recording)
        await asyncio.sleep(step.after / stage.scale)
        in_the_middle = when.weight is not None or when.iterations is not None
        if in_the_middle and _progress(recording) != before:
            raise Late(f"step {number} of {scenario.name}")
        await _stimulate(step, scenario, stage)
    return ""


def _progress(recording: Recording) -> tuple[object, ...]:
    """What changes from one look to the next."""
    fields = ("phase", "canaryWeight", "iterations", "failedChecks")
    asked = sum(line["src"] == "prometheus" for line in recording.lines)
    return (*(recording.canary().get(field) for field in fields), asked)


class _Since:
    """The observations after a step; `interval_s` is the time between two of Flagger's looks."""

    def __init__(self, recording: Recording, start: int, interval_s: float) -> None:
        self._recording = recording
        self._start = start
        self._interval_s = interval_s

    def holds(self, when: When) -> bool:
        canary = self._recording.canary()
        return all(
            (
                when.phase is None or self._entered(when.phase),
                when.weight is None or canary.get("canaryWeight", 0) >= when.weight,
                when.iterations is None or canary.get("iterations", 0) >= when.iterations,
                when.failed_checks is None or canary.get("failedChecks", 0) >= when.failed_checks,
                when.event is None or self._told(when.event, when.times),
                when.hook is None or self._called(when.hook) >= when.times,
                when.absent is None or self._is_gone(when.absent),
                when.present is None or self._is_there(when.present),
            )
        )

    def _entered(self, phase: str) -> bool:
        """The phase was entered since: a phase that merely lasted does not count."""
        before = ""
        for number, line in enumerate(self._recording.lines):
            if line["src"] != "kube" or line["kind"] != "Canary":
                continue
            now = line.get("phase", "")
            if number >= self._start and now == phase != before:
                return True
            before = now
        return False

    def _told(self, pattern: str, times: int) -> bool:
        """So many times, or once and then so many looks ago.

        What lasts is repeated by Flagger at each look; we say it once.
        """
        told = [
            line["t"]
            for line in self._recording.lines[self._start :]
            if line["src"] == "event" and re.search(pattern, line["message"])
        ]
        if not told:
            return False
        lasted_s = asyncio.get_running_loop().time() - told[0]
        return len(told) >= times or lasted_s >= (times - 1) * self._interval_s

    def _called(self, path: str) -> int:
        return sum(
            line["src"] == "webhook" and line["path"] == path
            for line in self._recording.lines[self._start :]
        )

    def _is_there(self, what: str) -> bool:
        return self._recording.current(*what.split("/")) is not None

    def _is_gone(self, what: str) -> bool:
        kind, name = what.split("/")
        return any(
            line["src"] == "kube" and line["op"] == "DELETED"
            and (line["kind"], line["name"]) == (kind, name)
            for line in self._recording.lines
        )  # fmt: skip


async def _stimulate(step: Step, scenario: Scenario, stage: Stage) -> None:
    hosts = Hosts(
        prometheus=stage.stub.url("prometheus", scenario.name),
        hooks=stage.stub.url("hook"),
        chat=stage.stub.url("chat"),
    )
    script = stage.stub.script(scenario.name)
    if step.prometheus is not None:
        script.set_prometheus(step.prometheus)
    if step.hooks is not None:
        set_hooks(script, step.hooks)
    if step.kubelet is not None:
        stage.kubelet.set_rules(scenario.name, step.kubelet)
    for manifest in step.apply:
        # As far apart as they were when recorded: nobody has to see all of them at the same time.
        await asyncio.sleep(BETWEEN_MANIFESTS_S)
        await stage.kube.apply(adapted(manifest, hosts, stage.scale), scenario.name)
    for one in step.patch:
        patch = adapted_patch(one.patch, hosts, stage.scale)
        await stage.kube.patch(one.api_version, one.kind, scenario.name, one.name, patch)
    for gone in step.delete:
        await stage.kube.delete(gone.api_version, gone.kind, scenario.name, gone.name)


def set_hooks(script: Script, hooks: Sequence[Hook]) -> None:
    script.set_hooks({hook.path: hook.answers for hook in hooks})


async def accept_routes(scenario: Scenario, stage: Stage, recording: Recording) -> None:
    """Plays the gateway: after each change of an HTTPRoute says whether its parents took it.

    A refusal comes after the initialisation, as it did when it was recorded.
    """
    wanted = scenario.environment.http_route_status
    if wanted == "none":
        return
    accepted = wanted["accepted"] if isinstance(wanted, dict) else "True"
    async for change, route in stage.kube.watch(*ROUTE, scenario.name):
        meta = route["metadata"]
        if change == "DELETED" or _observed(route) == meta["generation"]:
            continue
        await asyncio.sleep(0.2 / stage.scale)
        if accepted != "True":
            await recording.until(partial(_is_initialised, recording), REFUSAL_WITHIN_S)
        status = {"status": {"parents": _parents(route, accepted)}}
        try:
            await stage.kube.patch(*ROUTE, scenario.name, meta["name"], status, "/status")
        except ApiError as error:
            if error.status not in (404, 409):
                raise


def _is_initialised(recording: Recording) -> bool:
    return recording.canary().get("phase") not in (None, "", "Initializing")


def _observed(route: Obj) -> int:
    parents = (route.get("status") or {}).get("parents") or []
    seen = [one.get("observedGeneration", 0) for p in parents for one in p["conditions"]]
    return min(seen, default=0)


def _parents(route: Obj, accepted: str) -> list[Obj]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Accepted",
        "status": accepted,
        "reason": "Accepted" if accepted == "True" else "NotAllowedByListeners",
        "message": "",
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": now,
    }
    refs = route["spec"].get("parentRefs") or []
    return [
        {"parentRef": ref, "controllerName": "example.test/gateway", "conditions": [condition]}
        for ref in refs
    ]
