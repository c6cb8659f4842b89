"""The Wave, as people write it and as its status is written: a resource of our own group."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

GROUP, VERSION = "serinus.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
WavePhase = Literal["", "Idle", "Running", "Waiting", "Frozen", "Paused", "Stopped", "Refused"]
MemberState = Literal["settled", "waiting", "granted", "running", "failed", "unready", "unknown"]

# What keeps a status far below the 1.5 MB that etcd takes, whatever the names.
MEMBERS_MAX = 2000
LISTED_MAX = 50


class _Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Member(_Part, frozen=True):
    """One canary by name, or all with these labels. An empty cluster or namespace is the Wave's."""

    cluster: str = ""
    namespace: str = ""
    name: str = ""
    selector: dict[str, str] = {}


class Step(_Part, frozen=True):
    """Canaries that may run side by side, once all steps before are done."""

    name: str
    canaries: tuple[Member, ...]
    at_once: int = 0
    soak: str = ""
    approval: bool = False


class Freeze(
    Struct,
    frozen=True,
    kw_only=True,
    rename={"from_": "from", "time_zone": "timeZone"},
    omit_defaults=True,
):
    """When nothing starts: from one time to another, or every week on these days.

    `from` and `to` are RFC 3339 times without `days`, and times of day (`18:00`) with them.
    """

    from_: str
    to: str
    days: tuple[Day, ...] = ()
    time_zone: str = "UTC"
    reason: str = ""


class WaveSpec(_Part, frozen=True):
    steps: tuple[Step, ...] = ()
    identity: Literal["images", "any"] = "images"
    at_once: int = 0
    on_failure: Literal["stop", "rollBack", "undo"] = "stop"
    when_cut_off: Literal["finish", "hold"] = "finish"
    freeze: tuple[Freeze, ...] = ()
    paused: bool = False


class Memory(_Part, frozen=True):
    """What is remembered of one canary.

    granted  the release that may start, or did, until it has ended
    live     what is live, before: what was live before that, run: in which run that changed
    """

    granted: str = ""
    live: str = ""
    before: str = ""
    run: int = 0


class Remembered(Memory, frozen=True):
    """Canaries of which the same is remembered, each as `<cluster>/<namespace>/<name>`."""

    canaries: tuple[str, ...] = ()


class MemberStatus(_Part, frozen=True):
    """One canary that is not at rest, or of which there is something to say."""

    cluster: str
    namespace: str
    name: str
    state: MemberState = "unknown"
    message: str = ""


class StepStatus(_Part, frozen=True):
    """One step.

    counts    how many of its canaries are in each state
    lives     names what is live in its canaries; the rest is about that
    done_at   when all of them were first seen done, in Unix seconds of the Wave's cluster; 0: not
    approved  the annotation that lets the next step begin
    """

    name: str
    counts: dict[str, int] = {}
    lives: str = ""
    done_at: float = 0.0
    approved: str = ""
    remembered: tuple[Remembered, ...] = ()


class WaveCondition(_Part, frozen=True, omit_defaults=False):
    type: str
    status: Literal["True", "False"]
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class WaveStatus(_Part, frozen=True):
    """What the coordinator remembers of a Wave; the only record of a run.

    step      the step that runs or is waited for
    message   what is waited for, and how to override it
    since     when that began (RFC 3339)
    run       number of the run: each begins with something new and ends when all is settled
    canaries  LISTED_MAX of those that are not at rest, failed ones first; unlisted: how many more
    used      annotations that have had their effect, by key: the same text counts once
    """

    observed_generation: int = 0
    phase: WavePhase = ""
    step: str = ""
    message: str = ""
    since: str = ""
    run: int = 0
    running: bool = False
    done: str = ""
    steps: tuple[StepStatus, ...] = ()
    canaries: tuple[MemberStatus, ...] = ()
    unlisted: int = 0
    used: dict[str, str] = {}
    conditions: tuple[WaveCondition, ...] = ()


class Wave(Struct, frozen=True, kw_only=True):
    """A Wave object. `cluster` is where it was declared: the home."""

    cluster: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    annotations: dict[str, str] = {}
    spec: WaveSpec
    status: WaveStatus = WaveStatus()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def essence(status: WaveStatus) -> WaveStatus:
    """What has to be written before anything is let go, and what people wait for.

    The rest shows how far it is: it may be written a moment later.
    """
    if status.phase == "Running":
        status = replace(status, message="", since="", conditions=())
    steps = tuple(replace(step, counts={}) for step in status.steps)
    return replace(status, steps=steps, canaries=(), unlisted=0, done="")
