"""Facts to notices: what a person reads in a chat, whichever chat it is (reference 7.1).

A notice of severity error about a rollback carries what Flagger's lacks: the checks that failed,
each with metric, value, bound and interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from serinus.events import (
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CheckFailed,
    Fact,
    Measurement,
    RollbackDecided,
    RolloutRestarted,
    RolloutStarted,
)
from serinus.events.canary import analysis_of, progress_deadline_s, strategy, threshold

Severity = Literal["info", "warn", "error"]
# After these facts nothing is wrong with a canary any more.
WELL = frozenset({"rollout.initialized", "rollout.promoted"})
# Severities of what waits for a person: told at once, with all there is to tell.
TROUBLE = frozenset({"warn", "error"})
ROLLBACK = "rollout.condemned"
# What a person can do about it; shown with the notice.
NEXT = {
    "rollout.condemned": "Traffic is back on the primary. Push a fixed revision to try again.",
    "rollout.failed": "The canary serves all traffic. Push a revision that the primary can start.",
    "rollout.awaited": "The release waits for its gate; open it to go on.",
    "rollout.refused": "Traffic stays as it is. Correct the manifest.",
}


class Field(Struct, frozen=True):
    """One line below a notice's message."""

    name: str
    value: str


class Notice(Struct, frozen=True, kw_only=True):
    """One thing to be told, before it is dressed for a channel.

    id        of the fact it is about
    kind      of the fact, e.g. `rollout.promoted`
    at        Unix seconds of the fact
    fields    what Flagger's messages have, and the checks that failed
    details   what else is worth knowing: images, who and what they come from, what to do next
    evidence  the measurements that failed; `fields` shows them to people, this to programs
    checks    all measurements of the last round, those that passed included
    hook      the hook that failed, "" where none did
    origin    where the revision comes from, by word: commit, author, cause ...
    metadata  labels of the canary and `origin`, for templates
    link      a dashboard's address, "" where none is set
    among     the canaries it is about, where it is about several
    body      what a webhook gets instead of our JSON, "" where nobody wrote one
    """

    id: str
    canary: CanaryRef
    severity: Severity
    message: str
    kind: str = ""
    fields: tuple[Field, ...] = ()
    details: tuple[Field, ...] = ()
    images: dict[str, str] = {}
    link: str = ""
    evidence: tuple[Measurement, ...] = ()
    checks: tuple[Measurement, ...] = ()
    hook: str = ""
    origin: dict[str, str] = {}
    metadata: dict[str, str] = {}
    among: tuple[CanaryRef, ...] = ()
    body: str = ""
    cluster: str = ""
    phase: str = ""
    checksum: str = ""
    revision: str = ""
    at: float = 0.0

    @property
    def resolves(self) -> bool:
        """Whether the canary is well again, so that an incident about it is over."""
        return self.kind in WELL

    @property
    def incident(self) -> str:
        """Names the trouble of one canary, from the first notice of it to its end."""
        return "/".join(filter(None, ("serinus", self.cluster, *self.canary.key.split("/"))))

    @property
    def thread(self) -> str:
        """Names one release of one canary, or this message about many."""
        return f"{self.canary.uid}.{self.revision}" if not self.among else self.id

    @property
    def subject(self) -> str:
        """Whom it is about."""
        return f"{len(self.among)} canaries" if self.among else str(self.canary)

    @property
    def shown(self) -> tuple[Field, ...]:
        """The fields of messages in Flagger's shapes: Flagger's own, and at a rollback, of which
        Flagger gives no reason, all that helps."""
        if self.kind != ROLLBACK:
            return self.fields
        dashboard = (Field("Dashboard", self.link),) if self.link else ()
        return (*self.fields, *self.details, *dashboard)

    @property
    def lines(self) -> tuple[str, ...]:
        """Fields and details as lines of plain text."""
        return tuple(f"{f.name}: {f.value}" for f in (*self.fields, *self.details))


def notice(
    fact: Fact,
    *,
    id: str,
    spec: CanarySpec | None,
    cluster: str = "",
    blame: CheckFailed | None = None,
    link: str = "",
    seen: CanaryObserved | None = None,
) -> Notice | None:
    """The notice that a fact calls for, or None where it carries no alert.

    spec   the canary's; None where it is not known (any more): the settings are left out
    blame  the last failed check of the canary, for facts that do not carry measurements themselves
    link   a dashboard's address with `{namespace}`, `{name}` and `{cluster}` in it, or ""
    seen   the canary's newest snapshot: what the revision is and where it comes from
    """
    if fact.alert is None:
        return None
    checks = fact.measurements if isinstance(fact, RollbackDecided) else ()
    hook = ""
    fields: list[Field] = []
    if cluster:
        fields.append(Field("Cluster", cluster))
    if fact.alert.metadata and spec is not None:
        fields.extend(settings_of(spec, fact.canary))
    if needs_blame(fact) and blame is not None:
        checks, hook = blame.measurements, blame.hook
        if hook:
            fields.append(Field("Failed hook", hook))
    evidence = failed(checks)
    fields.extend(Field(f"Failed check {m.metric}", said(m)) for m in evidence)
    images = fact.images if isinstance(fact, RolloutStarted | RolloutRestarted) else {}
    images = images or _images(fact.revision, seen)
    origin = _origin(fact.revision, seen)
    kind = kind_of(fact)
    return Notice(
        id=id,
        kind=kind,
        canary=fact.canary,
        severity=fact.alert.severity,
        message=fact.alert.message,
        fields=tuple(fields),
        details=(*images_of(images), *_come_from(origin), *_what_next(fact, kind)),
        images=images,
        link=linked(link, fact.canary, cluster),
        evidence=evidence,
        checks=checks,
        hook=hook,
        origin=origin,
        metadata={**(seen.labels if seen else {}), **origin},
        cluster=cluster,
        phase=fact.phase,
        checksum=fact.checksum,
        revision=fact.revision,
        at=fact.at,
    )


def kind_of(fact: Fact) -> str:
    """`rollout.promoted` for `fact.rollout.promoted.v1`."""
    tag = str(type(fact).__struct_config__.tag)
    return tag.removeprefix("fact.").rpartition(".v")[0]


def images_of(images: Mapping[str, str]) -> tuple[Field, ...]:
    """What is being released, a line per container."""
    return tuple(Field(f"Image {name}", image) for name, image in images.items())


def _images(revision: str, seen: CanaryObserved | None) -> dict[str, str]:
    """The images of a revision: the target's while it runs it, else those of the record."""
    if seen is None or not revision:
        return {}
    if seen.target.revision == revision:
        return seen.target.images
    return next((run.images for run in seen.status.history if run.revision == revision), {})


def _origin(revision: str, seen: CanaryObserved | None) -> dict[str, str]:
    if seen is None or not revision or seen.target.revision != revision:
        return {}
    by = {"changed by": seen.target.changed_by} if seen.target.changed_by else {}
    return {**seen.target.origin, **by}


def _come_from(origin: Mapping[str, str]) -> tuple[Field, ...]:
    """Commit, author and the like, a line each."""
    return tuple(Field(word.capitalize(), origin[word]) for word in sorted(origin))


def _what_next(fact: Fact, kind: str) -> tuple[Field, ...]:
    advice = NEXT.get(kind)
    if advice is None:
        return ()
    show = f"kubectl -n {fact.canary.namespace} describe canary {fact.canary.name}"
    return (Field("What next", f"{advice} {show} tells the whole story."),)


def linked(link: str, canary: CanaryRef, cluster: str) -> str:
    """A dashboard's address for one canary."""
    for word, value in (
        ("{namespace}", canary.namespace),
        ("{name}", canary.name),
        ("{cluster}", cluster),
    ):
        link = link.replace(word, quote(value, safe=""))
    return link


def cut(text: str, most: int) -> str:
    """At most so many characters; what was longer ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def needs_blame(fact: Fact) -> bool:
    """Whether a fact tells of a rollback for failed checks without saying which ones failed."""
    return (
        isinstance(fact, RollbackDecided)
        and fact.alert is not None
        and fact.alert.severity == "error"
        and not failed(fact.measurements)
    )


def failed(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Those that did not pass, in their order."""
    return tuple(m for m in measurements if m.outcome != "passed")


def said(measurement: Measurement) -> str:
    """A measurement as people say it: `91.2 percent, must be >= 99, over 1m`."""
    unit = f" {measurement.unit}" if measurement.unit else ""
    if measurement.outcome == "failed" and measurement.value is not None:
        parts = [f"{measurement.value:.6g}{unit}"]
    elif measurement.outcome == "unreachable":
        parts = ["no answer from the metrics server"]
    else:
        parts = ["no data"]
    if measurement.bound:
        parts.append(f"must be {measurement.bound}")
    if measurement.interval:
        parts.append(f"over {measurement.interval}")
    if measurement.finding:
        parts.append(measurement.finding)
    elif measurement.samples is not None:
        parts.append(f"of {measurement.samples:.0f} samples")
    text = ", ".join(parts)
    return f"{text}: {measurement.cause}" if measurement.cause else text


class Limits(Struct, frozen=True, kw_only=True):
    """What a service takes: characters of the message, of each field's name and value and of all
    of it, and how many fields."""

    text: int
    fields: int
    value: int
    total: int
    name: int = 256


def limited(notice: Notice, limits: Limits) -> Notice:
    """The notice cut to what a service takes; what is left out of it says so."""
    message = cut(notice.message, limits.text)
    room = limits.total - len(message)
    kept: list[tuple[Field, ...]] = []
    for found in (notice.fields, notice.details):
        left = limits.fields - sum(map(len, kept))
        chosen = [Field(cut(f.name, limits.name), cut(f.value, limits.value)) for f in found[:left]]
        while chosen and sum(len(f.name) + len(f.value) for f in chosen) > room:
            chosen.pop()
        if chosen and len(chosen) < len(found):
            chosen[-1] = Field("And more", f"{len(found) - len(chosen) + 1} lines do not fit")
        room -= sum(len(f.name) + len(f.value) for f in chosen)
        kept.append(tuple(chosen))
    fields, details = kept
    return msgspec.structs.replace(notice, message=message, fields=fields, details=details)


def settings_of(spec: CanarySpec, canary: CanaryRef) -> tuple[Field, ...]:
    """The canary's settings in the reference's order and words."""
    target = spec.target_ref
    fields = [
        Field("Target", f"{target.kind}/{target.name}.{canary.namespace}"),
        Field("Failed checks threshold", str(threshold(spec))),
        Field("Progress deadline", f"{progress_deadline_s(spec)}s"),
    ]
    routing = traffic_routing(spec)
    if routing:
        fields.append(Field("Traffic routing", routing))
    return tuple(fields)


def traffic_routing(spec: CanarySpec) -> str:
    """How traffic moves; "" where nothing says so. The maximum is the raw one, 0 if unset."""
    analysis = analysis_of(spec)
    match strategy(spec):
        case "ab-testing":
            return "A/B Testing"
        case "blue-green":
            return "Blue/Green"
        case "canary" if analysis.step_weights:
            steps = ",".join(str(weight) for weight in analysis.step_weights)
            return f"Weight steps: {steps} max: {analysis.max_weight}"
        case "canary" if analysis.step_weight:
            return f"Weight step: {analysis.step_weight} max: {analysis.max_weight}"
        case _:
            return ""
