"""docs/phases.md: every change of phase that the rules make, found by trying them.

Moments are made in every phase from a handful of ways the world can be; what `decide` answers to
each is collected. Nothing here knows a transition.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from functools import cache

import msgspec
from msgspec.structs import replace
from tests.unit.analyzer.core.story import Story, a_spec, revision

from serinus.analyzer.core.rollout import HookAnswer, Value
from serinus.analyzer.core.rules import RULES
from serinus.analyzer.core.starts import QUIET_PHASES
from serinus.analyzer.core.status import reported
from serinus.events import CanarySpec, Readiness
from serinus.events.canary import FINALIZER, Phase, Undo

DOCUMENT = "docs/phases.md"
Edge = tuple[str, str, str]

READY = Readiness(state="ready")
LATE = Readiness(state="waiting", text="0 of 2 updated replicas are available")
STUCK = Readiness(state="stuck", text="exceeded its progress deadline")
CRASH = Readiness(state="waiting", text="1 of 2", crash="CrashLoopBackOff")
GATES = [
    {"name": kind, "type": kind, "url": "http://h", "expiry": "30s"}
    for kind in ("confirm-rollout", "confirm-promotion")
]
ROLLBACK = {"name": "back", "type": "rollback", "url": "http://h"}
SPECS: tuple[CanarySpec, ...] = (
    a_spec(step_weight=50, max_weight=50, threshold=1),
    a_spec(step_weight=50, max_weight=50, webhooks=GATES, metrics=[]),
    a_spec(step_weight=50, max_weight=50, webhooks=[*GATES, ROLLBACK]),
    a_spec(skip_analysis=True, step_weight=50),
)
VERBS = ("abort", "promote", "retry", "reset", "approve")
PHASES: tuple[Phase, ...] = (
    "",
    "Initializing",
    "Initialized",
    "Waiting",
    "Progressing",
    "WaitingPromotion",
    "Promoting",
    "Finalising",
    "Succeeded",
    "Failed",
)

# Reasons that are no rule's name: what is decided inside one.
MEANINGS = {
    "deleted": "deletion with revertOnDeletion",
    "diverged": "a newer template came before the copy, and the router refused",
    "left_dry_run": "spec.dryRun was taken back: the cluster says what is live",
    "refused": "the manifest cannot work",
    "revision_changed": "a newer revision or config, or flagger.app/reset",
    "abort_requested": "flagger.app/abort",
    "approval_expired": "a gate stayed shut for longer than its `expiry`",
    "canary_crashed": "the canary's pods crash while they serve",
    "canary_stuck": "the canary's pods missed their deadline",
    "confirm-promotion": "a confirm-promotion hook refuses",
    "confirm-rollout": "a confirm-rollout hook refuses",
    "initialising": "the primary serves, or will never",
    "new_revision": "a new revision or config, or flagger.app/retry or reset, and the gates agree",
    "promote": "checks and gates passed at the last step",
    "promoted": "the canary is out of traffic and may go",
    "promotion_failed": "the primary does not come up with the new revision",
    "promotion_requested": "flagger.app/promote",
    "rollback_requested": "a rollback hook answers yes",
    "routed": "the primary is ready and gets all traffic",
    "set_back": "the target went back to the promoted revision",
    "skipping_analysis": "spec.skipAnalysis or flagger.app/skip-analysis",
    "undoing": "flagger.app/undo: the primary has what was live before",
    "threshold_reached": "failed checks reached `threshold`",
}


def files() -> dict[str, str]:
    """The document by its path."""
    order = ("[*]", *PHASES, "Terminating")
    places = {phase: place for place, phase in enumerate(order)}
    found = sorted(edges(), key=lambda edge: (places[edge[0]], places[edge[1]], edge[2]))
    return {DOCUMENT: _document(found)}


@cache
def edges() -> frozenset[Edge]:
    """(from, to, reason) of every change of phase."""
    return frozenset(edge for story in _moments() if (edge := _change(story)) is not None)


def _moments() -> Iterator[Story]:
    worlds = itertools.product((READY, LATE, STUCK, CRASH), (READY, STUCK), (True, False))
    for target, primary, good in worlds:
        for spec, phase, new in itertools.product(SPECS, PHASES, (True, False)):
            yield _moment(spec, phase, target=target, primary=primary, good=good, new=new)
    for spec, phase, verb, good in itertools.product(SPECS[:3], PHASES, VERBS, (True, False)):
        yield _moment(spec, phase, good=good, new=False).annotate(**{verb: "true"})
    for phase in QUIET_PHASES:
        undoing = _moment(SPECS[0], phase).see_primary(promoted=revision("v1"))
        undoing.status = replace(undoing.status, undo=Undo(revision=revision("v1")))
        yield undoing.settle()
    for phase in PHASES:
        yield _moment(SPECS[0], phase).see(deleting=True, finalizers=(FINALIZER,))
        set_back = _moment(SPECS[0], phase, copied=False)
        yield set_back.see_target(revision=revision("v1"))
        yield (
            _moment(SPECS[0], phase).see_target(revision=revision("v3")).report(refused="Diverged")
        )
        yield _moment(SPECS[0], phase, copied=False).annotate(abort="true")
        yield _moment(SPECS[0], phase, primary=STUCK).report(settled=False)
        yield _moment(SPECS[2], phase, copied=False)
        if not phase:
            continue
        dry = _moment(SPECS[0], phase)
        dry.status = reported(dry.status, dry.now, "Deployment", (), dry_run=True)
        yield dry


@cache
def _initialised(spec: str) -> Story:
    return Story(msgspec.json.decode(spec, type=CanarySpec)).initialised()


def _moment(
    spec: CanarySpec,
    phase: Phase,
    *,
    target: Readiness = READY,
    primary: Readiness = READY,
    good: bool = True,
    new: bool = True,
    copied: bool = True,
) -> Story:
    """A canary in this phase, an interval later, with everything done that was wanted.

    new     the target runs v3, which nobody applied yet; else it runs what was applied, v2
    copied  the primary was given v2
    """
    story = copy.copy(_initialised(msgspec.json.encode(spec).decode()))
    running = phase in ("Progressing", "WaitingPromotion", "Promoting")
    story.decisions, story.facts, story.statuses, story.asked = [], [], [], []
    story.answers = {}
    story.status = replace(
        story.status,
        phase=phase,
        canary_weight=50 if running else 0,
        last_applied_spec=revision("v2"),
        last_promoted_spec=revision("v2" if phase in ("Initialized", "Succeeded") else "v1"),
        conditions=story.status.conditions if phase else (),
    )
    story.settle()
    story.see_target(
        revision=revision("v3" if new and phase != "Promoting" else "v2"),
        readiness=target,
        replicas=2,
    )
    story.see_primary(readiness=primary, promoted=revision("v2" if copied else "v1"))
    rolls_back = spec is SPECS[2]
    story.hook = lambda ask: HookAnswer(
        key=ask.key, passed=ask.hook.type == "rollback" if rolls_back else good
    )
    story.metric = lambda ask: Value(key=ask.key, value=100.0 if good else 0.0)
    story.now += 60.0
    story.obedient = False
    return story


def _change(story: Story) -> Edge | None:
    """The first change of phase that follows from this moment."""
    before = story.status.phase
    story.look()
    for decision in story.decisions:
        after = decision.status.phase
        if after != before:
            return before or "[*]", after, decision.reason
    return None


def _document(found: list[Edge]) -> str:
    meanings = {**_docstrings(), **MEANINGS}
    lines = [
        "# Phases",
        "",
        "Generated by `make gen` from the rules of the analyzer (`core/rules.py`): every change of"
        " phase they make.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *(
            f"    {before} --> {after}: {_short(found, before, after)}"
            for before, after in _pairs(found)
        ),
        "```",
        "",
        "| from | to | when | rule |",
        "|---|---|---|---|",
    ]
    for before, after, reason in found:
        start = "(new)" if before == "[*]" else before
        lines.append(f"| {start} | {after} | {meanings[reason]} | `{reason}` |")
    return "\n".join(lines) + "\n"


def _pairs(found: list[Edge]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((before, after) for before, after, _ in found))


def _short(found: list[Edge], before: str, after: str) -> str:
    reasons = [r for b, a, r in found if (b, a) == (before, after)]
    shown = ", ".join(r.replace("_", " ") for r in reasons[:2])
    return shown + (", ..." if len(reasons) > 2 else "")


def _docstrings() -> dict[str, str]:
    """The first sentence of each rule, by its name."""
    told = {}
    for rule in RULES:
        first = " ".join((rule.__doc__ or "").split("\n\n")[0].split())
        told[rule.__name__] = first.rstrip(".").replace("|", "\\|")
    return told
