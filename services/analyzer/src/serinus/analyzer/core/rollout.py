"""The nouns of a decision: what may be looked at, what can be asked, what comes out.

A *look* is one moment at which the shell asks "what now?". Whatever a decision still needs to know
it returns as asks; the shell finds the answers and looks again with them. An ask's key names the
moment it belongs to (status and round), so an answer can never count for another moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from serinus.events import (
    CanaryObserved,
    CanarySpec,
    CanaryStatus,
    Fact,
    MetricTemplateSpec,
    RoutesObserved,
    Webhook,
)


class Policy(Struct, frozen=True, kw_only=True):
    """The operator's settings that decisions depend on.

    mesh                    provider of canaries that name none
    metrics_server          Prometheus of built-in and inline metrics; `scrape` means none is needed
    min_interval_s          shortest analysis interval
    no_cross_namespace      templates and alert providers must live in the canary's namespace
    labelled_secrets_only   sources and hooks get no Secret that is not labelled for it
    ingress_prefix          what the annotations of ingress-nginx begin with
    ingress_class           class of the HTTPProxies that are made for Contour
    dry_run                 decide and tell, change nothing
    """

    mesh: str = "istio"
    metrics_server: str = "http://prometheus:9090"
    min_interval_s: float = 10.0
    no_cross_namespace: bool = False
    labelled_secrets_only: bool = False
    ingress_prefix: str = "nginx.ingress.kubernetes.io"
    ingress_class: str = ""
    dry_run: bool = False


class Rollout(Struct, frozen=True, kw_only=True):
    """Everything a decision may look at. Nothing else exists.

    status   what we remember: newer than `seen.status` when our own write was not observed yet
    seen     what the watcher last saw
    routes   what the router last reported, or None
    """

    spec: CanarySpec
    status: CanaryStatus
    seen: CanaryObserved
    routes: RoutesObserved | None = None
    policy: Policy = Policy()


# --- asks and answers ---------------------------------------------------------------------------


class HookAsk(Struct, frozen=True, kw_only=True, tag="hook"):
    """Ask a hook, by the reference's payload (6.2) unless it has a body of its own.

    Passed means a status from 200 to 299.
    """

    key: str
    hook: Webhook
    phase: str
    checksum: str


class MetricAsk(Struct, frozen=True, kw_only=True, tag="metric"):
    """One question to one metrics source.

    source     the MetricTemplate's spec; for built-in and inline metrics a prometheus source with
               the canary's metrics server and no secret
    template   `namespace/name` of the MetricTemplate, "" for built-in and inline ones
    query      rendered, whitespace collapsed; for `scrape` the built-in's name
    body       rendered body of an `http` source's request
    samples_query  asks for the number of samples, where the check wants to know; "": it does not
    columns    instead of one value a table is asked for: by name, one query over time each; "*" at
               the end of a name stands for the bound of a histogram
    since      Unix seconds where the table begins
    window_s   the metric's interval in seconds
    """

    key: str
    metric: str
    source: MetricTemplateSpec
    template: str = ""
    query: str = ""
    body: str = ""
    samples_query: str = ""
    columns: Mapping[str, str] = {}
    since: float = 0.0
    window_s: float = 60.0


class ProbeAsk(Struct, frozen=True, kw_only=True, tag="probe"):
    """Is this metrics source reachable at all?"""

    key: str
    source: MetricTemplateSpec
    template: str = ""


Ask = HookAsk | MetricAsk | ProbeAsk


class HookAnswer(Struct, frozen=True, kw_only=True, tag="hook"):
    """What a hook said; `text` is the reference's failure text (6.1), "" when it passed."""

    key: str
    passed: bool
    text: str = ""


class Value(Struct, frozen=True, kw_only=True, tag="value"):
    """A number, in the raw unit of the source."""

    key: str
    value: float
    samples: float | None = None


class NoData(Struct, frozen=True, kw_only=True, tag="no-data"):
    """The source answered and had nothing; `cause` says why, as far as it can be known."""

    key: str
    cause: str = ""


class Unreachable(Struct, frozen=True, kw_only=True, tag="unreachable"):
    """No usable answer; `why` is fit for people and holds no secret.

    away  it is the source that cannot be asked now, whatever it is asked: down, overloaded, or not
          open to these credentials. False: this question is at fault, and time will not help.
    """

    key: str
    why: str
    away: bool = False


class Table(Struct, frozen=True, kw_only=True, tag="table"):
    """Series side by side: one value per window, oldest first; None where there was none."""

    key: str
    columns: dict[str, tuple[float | None, ...]]


Single = Value | NoData | Unreachable
Reading = Single | Table
Answer = HookAnswer | Reading


class Look(Struct, frozen=True, kw_only=True):
    """One moment.

    at        Unix seconds
    settled_at  when the routes at hand were first known to be as ordered, else None
    turn_at   when the first ask still being answered was put, else None: rounds are counted from
              it, so that a slow answer is not taken for a new round
    answers   to asks of this moment, by key; answers to other moments do no harm
    entropy   random text for what must be unguessable (cookies), chosen by the shell
    """

    at: float
    turn_at: float | None = None
    settled_at: float | None = None
    answers: Mapping[str, Answer] = {}
    entropy: str = ""


class Sample(Struct, frozen=True, kw_only=True):
    """One sample for the analyzer's own Prometheus metrics."""

    kind: Literal["analysis", "success", "failure", "duration"]
    labels: dict[str, str] = {}
    value: float = 1.0


class Decision(Struct, frozen=True, kw_only=True):
    """What to remember, find out and tell.

    reason      which rule decided, for logs and replays
    status      remember this, stamped; equal to the old one: nothing to remember
    asks        find these out, side by side, and look again with every answer
    facts       tell these once the status is remembered; each has an id that makes repeats harmless
    after       hooks to ask once all that is done; they decide nothing any more
    after_facts tell these when they have been asked, behind what they answered
    due_at      look again at this time even if nothing happens; None: only when something does
    finalizer   True: must be on the object; False: must go; None: leave it
    samples     for the exported metrics
    takes       requests (`core.requests`) that this answers
    lacks       the evidence that the analysis waits for; stands in the conditions until the next
                step
    """

    reason: str
    status: CanaryStatus
    asks: tuple[Ask, ...] = ()
    facts: tuple[Fact, ...] = ()
    after: tuple[HookAsk, ...] = ()
    after_facts: tuple[Fact, ...] = ()
    due_at: float | None = None
    finalizer: bool | None = None
    samples: tuple[Sample, ...] = ()
    takes: tuple[str, ...] = ()
    lacks: str = ""
