"""Whether an AlertProvider reaches anybody, as the condition Ready in its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from serinus.events import AlertProviderSpec
from serinus.events.canary import AlertProviderStatus, AlertProviderType, Condition
from serinus.kube.times import rfc3339
from serinus.notifier.core.audience import Needs, target_of
from serinus.notifier.core.wording import mistake

READY = "Ready"
MESSAGE_MAX = 500
WORDS_S = 60.0
Obj = Mapping[str, Any]


class Standing(Struct, frozen=True):
    """One answer. `reason`: Usable, Delivered, InvalidSpec, InvalidTemplate or Undeliverable."""

    status: Literal["True", "False"]
    reason: str
    message: str


USABLE = Standing("True", "Usable", "nothing was sent by it yet")
DELIVERED = Standing("True", "Delivered", "the last message was taken")


def undeliverable(why: str) -> Standing:
    """The last message was given up; the next one is tried again."""
    return Standing("False", "Undeliverable", f"the last message was given up: {why}")


def in_our_words(problem: str) -> Standing:
    """Messages arrive, but not in the words of the manifest."""
    return Standing("False", "InvalidTemplate", f"messages go out in our words: {problem}")


def of_manifest(provider: Obj, needs: Mapping[AlertProviderType, Needs]) -> Standing:
    """What can be said before anything is sent. What is in its Secret is not looked at."""
    try:
        spec = msgspec.convert(provider.get("spec") or {}, AlertProviderSpec)
    except msgspec.ValidationError as error:
        return Standing("False", "InvalidSpec", f"spec: {error}")
    if spec.secret_ref is None:
        target = target_of(spec, {}, needs[spec.type])
        if isinstance(target, str):
            return Standing("False", "InvalidSpec", target)
    problem = mistake(message=spec.message_template, body=spec.body_template)
    return in_our_words(problem) if problem else USABLE


def is_judged(provider: Obj) -> bool:
    """Whether the status speaks of this spec already."""
    status = _status(provider)
    return (
        status.observed_generation == provider["metadata"].get("generation", 0)
        and _ready(status) is not None
    )


def reported(provider: Obj, standing: Standing, at: float) -> dict[str, Any] | None:
    """The status to write, at Unix seconds `at`; None where it says so already.

    Other words for the same reason are news once a minute: a server that is away says it in many.
    """
    status = _status(provider)
    generation = provider["metadata"].get("generation", 0)
    before = _ready(status)
    now = rfc3339(at)
    condition = Condition(
        type=READY,
        status=standing.status,
        reason=standing.reason,
        message=standing.message[:MESSAGE_MAX],
        last_update_time=now,
        last_transition_time=now,
    )
    if before is not None and before.status == condition.status:
        condition = replace(condition, last_transition_time=before.last_transition_time)
        same = before.reason == condition.reason and (
            before.message == condition.message or before.last_update_time > rfc3339(at - WORDS_S)
        )
        if same and status.observed_generation == generation:
            return None
    others = tuple(one for one in status.conditions if one.type != READY)
    found: dict[str, Any] = msgspec.to_builtins(
        AlertProviderStatus(conditions=(*others, condition), observed_generation=generation)
    )
    return found


def _status(provider: Obj) -> AlertProviderStatus:
    """What others wrote there may be of any shape, and is then written anew."""
    try:
        return msgspec.convert(provider.get("status") or {}, AlertProviderStatus)
    except msgspec.ValidationError:
        return AlertProviderStatus()


def _ready(status: AlertProviderStatus) -> Condition | None:
    return next((one for one in status.conditions if one.type == READY), None)
