"""A release of an example on virtual time: the analyzer's own decisions in a perfect cluster."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from tests.gen.pages.page import Obj, canary_of
from tests.unit.analyzer.core.story import READY, Story

from serinus.analyzer.core.desired import routes
from serinus.analyzer.core.queries import SUCCESS_RATE
from serinus.analyzer.core.rollout import HookAnswer, HookAsk, MetricAsk, Policy, Value
from serinus.events import (
    CanaryRef,
    CanarySpec,
    Exposure,
    MetricTemplateSpec,
    Routes,
    Selector,
)
from serinus.events.canary import interval_s

NAMESPACE = "shop"
TICKS_MAX = 40


class Step(Struct, frozen=True):
    """What was so at one moment, and what was told of it."""

    at_s: float
    phase: str
    routes: Routes
    texts: tuple[str, ...]


class Asked(Struct, frozen=True):
    at_s: float
    phase: str
    weight: int


def story_of(objects: Sequence[Obj]) -> Story:
    """The canary of an example before its first look."""
    canary = canary_of(objects)
    spec = msgspec.convert(canary["spec"], CanarySpec)
    story = Story(spec)
    story.policy = Policy(mesh=spec.provider or "istio")
    templates = {
        f"{NAMESPACE}/{obj['metadata']['name']}": msgspec.convert(obj["spec"], MetricTemplateSpec)
        for obj in objects
        if obj["kind"] == "MetricTemplate"
    }
    story.see(canary=CanaryRef(NAMESPACE, "web", "uid-1"), templates=templates)
    story.see(annotations=canary["metadata"].get("annotations", {}))
    return story.see_target(selector=Selector("app", "web"), readiness=READY)


def exposure_of(objects: Sequence[Obj]) -> Exposure:
    return story_of(objects).initialised().intent.exposure


def _good(ask: MetricAsk) -> Value:
    is_rate = ask.metric == SUCCESS_RATE
    return Value(key=ask.key, value=100.0 if is_rate else 0.1, samples=1000)


def _bad(ask: MetricAsk) -> Value:
    return Value(key=ask.key, value=91.25, samples=1000)


def played(objects: Sequence[Obj], *, is_good: bool = True) -> list[Step]:
    """The release of the second version, until it ended."""
    story = story_of(objects)
    story.hook = lambda ask: HookAnswer(key=ask.key, passed=ask.hook.type != "rollback")
    story.metric = _good
    story.initialised()
    story.metric = _good if is_good else _bad
    begun, steps = story.now, [_now(story, 0.0, ())]
    told: set[str] = set()
    for move in (
        lambda: story.push("v2"),
        *[lambda: story.tick(interval_s(story.spec))] * TICKS_MAX,
    ):
        first = len(story.decisions)
        move()
        for decision in story.decisions[first:]:
            facts = (*decision.facts, *decision.after_facts)
            texts = tuple(f.text for f in facts if f.text and f.id not in told)
            told |= {fact.id for fact in facts}
            share = routes(story.spec, decision.status, story.policy.mesh)
            step = Step(story.now - begun, decision.status.phase, share, texts)
            last = steps[-1]
            if (step.phase, step.routes) == (last.phase, last.routes):
                steps[-1] = msgspec.structs.replace(last, texts=last.texts + texts)
            else:
                steps.append(step)
        if story.status.phase in ("Succeeded", "Failed"):
            break
    return steps


def _now(story: Story, at_s: float, texts: tuple[str, ...]) -> Step:
    share = routes(story.spec, story.status, story.policy.mesh)
    return Step(at_s, story.status.phase, share, texts)


def asked(objects: Sequence[Obj], kind: str, *, is_good: bool = True) -> list[Asked]:
    """When a hook of this type is asked in a release in which all hooks agree, and nobody wishes it
    back."""
    return _ask(objects, kind, agrees=kind != "rollback", is_good=is_good)[0]


def objected(objects: Sequence[Obj], kind: str) -> list[str]:
    """What people read from the moment on in which the hook stands in the way, until it was asked
    three times: it does not agree, or wishes the release back."""
    return _ask(objects, kind, agrees=kind == "rollback", times=3)[1]


def _ask(
    objects: Sequence[Obj],
    kind: str,
    *,
    agrees: bool,
    is_good: bool = True,
    times: int = TICKS_MAX,
) -> tuple[list[Asked], list[str]]:
    story = story_of(objects)
    found: list[Asked] = []
    begun, told = story.now, 0

    def hook(ask: HookAsk) -> HookAnswer:
        nonlocal told
        if ask.hook.type == kind:
            told = told if found else len(story.texts)
            found.append(Asked(story.now - begun, ask.phase, story.status.canary_weight))
        return HookAnswer(key=ask.key, passed=agrees)

    story.metric = _good
    story.initialised()
    story.hook, story.metric = hook, _good if is_good else _bad
    story.push("v2")
    for _ in range(TICKS_MAX):
        if story.status.phase in ("Succeeded", "Failed") or len(found) >= times:
            break
        story.tick(interval_s(story.spec))
    return found, story.texts[told:]
