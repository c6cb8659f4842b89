"""One table: which message travels on which subject, in which stream, published by whom.

Subjects read `serinus.<word>.<noun>[.<verb>].<namespace>.<name>`. Dots in Kubernetes names become
`_`, which no Kubernetes name can hold, so the mapping can be undone. NATS permissions, the AsyncAPI
document and the table in the docs are generated from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from serinus.events import facts as f
from serinus.events.intents import Intent
from serinus.events.snapshots import CanaryGone, CanaryObserved, CanaryRef, RoutesObserved

ROOT = "serinus"
StreamName = Literal["SNAPSHOTS", "INTENTS", "FACTS"]
ServiceName = Literal["watcher", "analyzer", "router", "notifier", "loadtester"]
SERVICES: tuple[ServiceName, ...] = ("watcher", "analyzer", "router", "notifier", "loadtester")


class Row(Struct, frozen=True):
    """One kind of message: `prefix` is its subject without namespace and name."""

    message: type[Any]
    prefix: str
    stream: StreamName
    publisher: ServiceName

    @property
    def tag(self) -> str:
        return str(self.message.__struct_config__.tag)

    @property
    def filter(self) -> str:
        """The subject pattern that selects this kind for every canary."""
        return f"{self.prefix}.*.*"


def _fact(message: type[f.Fact], publisher: ServiceName) -> Row:
    noun_verb = str(message.__struct_config__.tag).removesuffix(".v1")
    return Row(message, f"{ROOT}.{noun_verb}", "FACTS", publisher)


_ANALYZER_FACTS: tuple[type[f.Fact], ...] = (
    f.RolloutInitialized,
    f.RolloutStarted,
    f.RolloutRestarted,
    f.AnalysisBegun,
    f.WeightAdvanced,
    f.IterationAdvanced,
    f.ApprovalAwaited,
    f.TrafficRouted,
    f.TemplateCopied,
    f.Promoted,
    f.RollbackDecided,
    f.RolledBack,
    f.PromotionFailed,
    f.RolloutAborted,
    f.ManifestRefused,
    f.RolloutWarned,
    f.RolloutNoted,
    f.RequestTaken,
    f.RolloutTerminating,
    f.RolloutTerminated,
    f.CheckPassed,
    f.CheckFailed,
    f.HookAnswered,
)

TABLE: tuple[Row, ...] = (
    Row(CanaryObserved, f"{ROOT}.snapshot.canary", "SNAPSHOTS", "watcher"),
    Row(CanaryGone, f"{ROOT}.snapshot.canary", "SNAPSHOTS", "watcher"),
    Row(RoutesObserved, f"{ROOT}.snapshot.routes", "SNAPSHOTS", "router"),
    Row(Intent, f"{ROOT}.intent.cluster", "INTENTS", "analyzer"),
    *(_fact(message, "analyzer") for message in _ANALYZER_FACTS),
    _fact(f.IntentRefused, "router"),
    _fact(f.AlertSent, "notifier"),
    _fact(f.AlertFailed, "notifier"),
    _fact(f.LoadStarted, "loadtester"),
    _fact(f.LoadFinished, "loadtester"),
    _fact(f.GateChanged, "loadtester"),
)

BY_TYPE: dict[type[Any], Row] = {row.message: row for row in TABLE}
FACTS: tuple[type[f.Fact], ...] = tuple(r.message for r in TABLE if r.stream == "FACTS")


def escape(name: str) -> str:
    """A Kubernetes name as one subject token."""
    return name.replace(".", "_")


def unescape(token: str) -> str:
    return token.replace("_", ".")


def subject_of(message: Any) -> str:
    """Where this message goes. Raises KeyError for a type that is not in the table."""
    row = BY_TYPE[type(message)]
    return f"{row.prefix}.{escape(message.canary.namespace)}.{escape(message.canary.name)}"


def canary_of(subject: str) -> CanaryRef:
    """The canary a subject speaks of (its uid is not in the subject)."""
    namespace, name = subject.split(".")[-2:]
    return CanaryRef(unescape(namespace), unescape(name))


def dead_subject(service: str) -> str:
    """Where a service parks what it cannot handle."""
    return f"{ROOT}.dead.{service}"


def filters(messages: Iterable[type[Any]]) -> tuple[str, ...]:
    """The subject patterns that select these kinds, each once, in the table's order."""
    wanted = set(messages)
    return tuple(dict.fromkeys(row.filter for row in TABLE if row.message in wanted))


def published_by(service: str) -> tuple[str, ...]:
    """The subject patterns a service may publish on; NATS refuses it all others.

    A service that is none of ours may only park what it cannot handle.
    """
    own = (row.filter for row in TABLE if row.publisher == service)
    return (*dict.fromkeys(own), dead_subject(service))
