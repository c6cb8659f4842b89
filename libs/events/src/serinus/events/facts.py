"""Facts: something happened. Past tense, never changed, kept as history.

Every fact carries the sentence that Kubernetes Events and event webhooks show (`text`, in the
reference's words, 2.14) and, where people are to be alerted, the alert (reference 7.1).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from serinus.events.snapshots import CanaryRef, Problem


class Alert(Struct, frozen=True):
    """What people are told; `metadata` asks for the canary's settings as fields."""

    severity: Literal["info", "warn", "error"]
    message: str
    metadata: bool = False


class Measurement(Struct, frozen=True, kw_only=True):
    """One metric of one check.

    value     in the metric's own unit: percent, milliseconds, or the query's; None: no value
    bound     the rule it was held against, e.g. `>= 99`; "" where there is none
    outcome   passed, failed, no-data (with cause), unreachable (with cause)
    samples   how many requests or values it rests on; None where nobody counted
    query     the query text as sent
    finding   what a comparison with the primary came to: effect, interval, samples, probability
    interval  the window it covers, as a Go duration
    """

    metric: str
    outcome: Literal["passed", "failed", "no-data", "unreachable"]
    value: float | None = None
    unit: str = ""
    bound: str = ""
    cause: str = ""
    query: str = ""
    interval: str = ""
    source: str = ""
    finding: str = ""
    samples: float | None = None


class Fact(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all facts share.

    at        Unix seconds
    id        unique and derived from content (uid, version, kind, position): repeats are harmless
    phase     the canary's phase as event webhooks report it
    checksum  of the revision and configs in question (reference 6.2)
    severity  Normal or Warning, as in Kubernetes Events
    text      the sentence; "" for facts that are no news to people
    """

    canary: CanaryRef
    id: str = ""
    at: float = 0.0
    phase: str = ""
    checksum: str = ""
    revision: str = ""
    severity: Literal["Normal", "Warning"] = "Normal"
    text: str = ""
    alert: Alert | None = None


class RolloutInitialized(Fact, frozen=True, tag="fact.rollout.initialized.v1"):
    """The primary serves, the canary is parked; releases can begin."""


class RolloutStarted(Fact, frozen=True, tag="fact.rollout.started.v1"):
    """A new revision was found and is being scaled up."""

    images: dict[str, str] = {}


class RolloutRestarted(Fact, frozen=True, tag="fact.rollout.restarted.v1"):
    """A newer revision replaced the one under analysis."""

    images: dict[str, str] = {}


class AnalysisBegun(Fact, frozen=True, tag="fact.rollout.begun.v1"):
    """The canary is ready and its analysis begins."""


class WeightAdvanced(Fact, frozen=True, tag="fact.rollout.advanced.v1"):
    """Traffic was moved: to the canary during analysis, to the primary during promotion."""

    canary_weight: int = 0


class IterationAdvanced(Fact, frozen=True, tag="fact.rollout.iterated.v1"):
    """One more iteration of an A/B or blue/green analysis is under way."""

    iteration: int = 0
    iterations: int = 0


class ApprovalAwaited(Fact, frozen=True, tag="fact.rollout.awaited.v1"):
    """A confirm hook has not agreed yet."""

    hook: str = ""


class TrafficRouted(Fact, frozen=True, tag="fact.rollout.routed.v1"):
    """All traffic was sent to one side."""

    to: Literal["primary", "canary"] = "primary"


class TemplateCopied(Fact, frozen=True, tag="fact.rollout.copied.v1"):
    """The analysed revision is being given to the primary."""


class Promoted(Fact, frozen=True, tag="fact.rollout.promoted.v1"):
    """The new revision is live for everybody."""

    skipped_analysis: bool = False


class RollbackDecided(Fact, frozen=True, tag="fact.rollout.condemned.v1"):
    """Why the canary is being rolled back."""

    reason: str = ""
    measurements: tuple[Measurement, ...] = ()


class RolledBack(Fact, frozen=True, tag="fact.rollout.rolledback.v1"):
    """Traffic is back on the primary, the canary is being scaled down."""

    reason: str = ""


class PromotionFailed(Fact, frozen=True, tag="fact.rollout.failed.v1"):
    """The primary did not become ready with the new revision; the canary serves."""


class RolloutAborted(Fact, frozen=True, tag="fact.rollout.aborted.v1"):
    """The target went back to the promoted revision in mid-run; nothing is released."""


class ManifestRefused(Fact, frozen=True, tag="fact.rollout.refused.v1"):
    """The manifest cannot work; traffic stays as it is."""

    problems: tuple[Problem, ...] = ()


class RolloutWarned(Fact, frozen=True, tag="fact.rollout.warned.v1"):
    """Something keeps the rollout from moving; it will be tried again."""


class RolloutNoted(Fact, frozen=True, tag="fact.rollout.noted.v1"):
    """Worth knowing, nothing to do."""


class RequestTaken(Fact, frozen=True, tag="fact.rollout.requested.v1"):
    """Somebody asked for something by hand, and it is being done.

    verb  approve, promote, abort, retry, reset, undo
    by    who asked, and when, as far as it can be known
    """

    verb: str = ""
    by: str = ""


class RolloutTerminating(Fact, frozen=True, tag="fact.rollout.terminating.v1"):
    """The Canary is being deleted and its work undone."""


class RolloutTerminated(Fact, frozen=True, tag="fact.rollout.terminated.v1"):
    """Everything was handed back."""


class CheckPassed(Fact, frozen=True, tag="fact.check.passed.v1"):
    """One round of checks found nothing wrong."""

    measurements: tuple[Measurement, ...] = ()


class CheckFailed(Fact, frozen=True, tag="fact.check.failed.v1"):
    """A hook or a metric failed; `failed_checks` counts it in where it counts."""

    measurements: tuple[Measurement, ...] = ()
    hook: str = ""
    failed_checks: int = 0


class HookAnswered(Fact, frozen=True, tag="fact.check.answered.v1"):
    """A hook was asked and answered."""

    hook: str = ""
    hook_type: str = ""
    passed: bool = True
    answer: str = ""


class IntentRefused(Fact, frozen=True, tag="fact.intent.refused.v1"):
    """The router will not do what was asked.

    reason  Diverged: the target no longer runs the analysed revision; Unsupported: the mesh cannot;
            UnknownMesh; Route: the object of the user's that the canary refers to does not fit;
            Foreign: an object in the way belongs to somebody else; Lost: what the primary ran
            before, or a config of it, is not there any more
    why     in words; no text, because the analyzer is the one to tell people, and tells them once
    """

    intent: str = ""
    reason: str = ""
    why: str = ""


class AlertSent(Fact, frozen=True, tag="fact.alert.sent.v1"):
    """A person's channel took the alert."""

    provider: str = ""
    about: str = ""


class AlertFailed(Fact, frozen=True, tag="fact.alert.failed.v1"):
    """A channel could not be reached after every retry."""

    provider: str = ""
    about: str = ""
    reason: str = ""


class LoadStarted(Fact, frozen=True, tag="fact.load.started.v1"):
    """The load tester began a task."""

    task: str = ""
    kind: str = ""


class LoadFinished(Fact, frozen=True, tag="fact.load.finished.v1"):
    """A task of the load tester ended. `numbers` are what its tool reported, by name and unit."""

    task: str = ""
    kind: str = ""
    exit_status: int = 0
    seconds: float = 0.0
    numbers: dict[str, float] = {}
    output: str = ""


class GateChanged(Fact, frozen=True, tag="fact.load.gated.v1"):
    """A manual gate was opened or closed. `by` is who said it was them."""

    gate: str = ""
    open: bool = False
    by: str = ""


class Parked(Struct, frozen=True, kw_only=True, tag_field="type", tag="dead.v1"):
    """A message that could not be handled, set aside with the reason; nobody waits for it."""

    service: str
    subject: str
    reason: str
    body: str = ""
    at: float = 0.0
