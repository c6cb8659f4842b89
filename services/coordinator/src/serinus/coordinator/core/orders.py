"""What a wave is planned from, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from serinus.coordinator.core.standing import Key, Standing
from serinus.coordinator.core.waves import WaveStatus

APPROVE = "serinus.dev/approve-"
THAW = "serinus.dev/override-freeze"
RESUME = "serinus.dev/override-failure"
SKIP = "serinus.dev/override-silence"

UNASKED = "began without asking; its manifest needs a confirm-rollout hook"
NEVER_ASKS = "its manifest has no confirm-rollout hook, so nothing can hold it"

Action = Literal["wait", "go", "hold", "abort", "undo"]


class Order(Struct, frozen=True, kw_only=True):
    """What one canary may do, for one release of it.

    wait   not begin          go     begin, and go on
    hold   take no further step
    abort  go back now        undo   give the primary back what was live before
    why    for people; with `wait` what is waited for
    """

    key: Key
    wave: str
    action: Action
    release: str
    why: str = ""
    cut_off: Literal["finish", "hold"] = "finish"


class View(Struct, frozen=True):
    """How all canaries stand, as far as is known here.

    whole    clusters all of whose canaries are known here
    started  when this view began to be made, in Unix seconds: whoever is not in `whole` has not
             been heard of since then
    silent   clusters that have not been heard of lately, with since when in Unix seconds
    """

    standings: Mapping[Key, Standing]
    whole: frozenset[str]
    started: float
    silent: Mapping[str, float] = {}


class Plan(Struct, frozen=True, kw_only=True):
    """due_at: when time alone may change it (Unix seconds)."""

    status: WaveStatus
    orders: tuple[Order, ...] = ()
    due_at: float | None = None
