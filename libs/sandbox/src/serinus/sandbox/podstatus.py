"""What a pod's status says about its containers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from serinus.sandbox.errors import Obj


class State(Struct, frozen=True):
    """A container at one moment.

    `waiting` holds (reason, message), `started` the time of the running program, `last` the
    terminated state of the one before.
    """

    name: str
    image: str
    waiting: tuple[str, str] = ("ContainerCreating", "")
    started: str = ""
    ready: bool = False
    restarts: int = 0
    last: Obj | None = None
    exit: Obj | None = None


def terminated(code: int, started: str, finished: str) -> Obj:
    """A terminated state; a negative code is a signal, as exit status 128 + number."""
    return {
        "exitCode": code if code >= 0 else 128 - code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": started,
        "finishedAt": finished,
    }


def container_status(state: State) -> Obj:
    """One entry of containerStatuses."""
    now: Obj
    if state.exit is not None:
        now = {"terminated": state.exit}
    elif state.started:
        now = {"running": {"startedAt": state.started}}
    else:
        reason, message = state.waiting
        now = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    return {
        "name": state.name,
        "image": state.image,
        "imageID": state.image,
        "ready": state.ready,
        "started": bool(state.started) and state.exit is None,
        "restartCount": state.restarts,
        "state": now,
        "lastState": {"terminated": state.last} if state.last else {},
    }


def pod_status(
    old: Obj, states: Sequence[State], host: str, annotated_at: str, restart_policy: str = "Always"
) -> Obj:
    """The whole status of a pod that runs at `host`; `annotated_at` is now."""
    ready = bool(states) and all(state.ready for state in states)
    held = {c["type"]: c for c in old.get("conditions") or []}
    unready = [state.name for state in states if not state.ready]
    why = {"reason": "ContainersNotReady", "message": f"containers with unready status: {unready}"}

    def condition(kind: str, true: bool, more: dict[str, Any]) -> Obj:
        before = held.get(kind)
        status = "True" if true else "False"
        since = before["lastTransitionTime"] if before and before["status"] == status else None
        return {
            "type": kind,
            "status": status,
            "lastProbeTime": None,
            "lastTransitionTime": since or annotated_at,
            **({} if true else more),
        }

    return {
        "phase": _phase(states, restart_policy),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": host,
        "podIPs": [{"ip": host}],
        "qosClass": "BestEffort",
        "startTime": old.get("startTime") or annotated_at,
        "conditions": [
            condition("PodScheduled", True, {}),
            condition("Initialized", True, {}),
            condition("ContainersReady", ready, why),
            condition("Ready", ready, why),
        ],
        "containerStatuses": [container_status(state) for state in states],
    }


def _phase(states: Sequence[State], restart_policy: str) -> str:
    over = [state.exit for state in states if state.exit is not None]
    if restart_policy != "Always" and len(over) == len(states) and over:
        return "Failed" if any(end["exitCode"] for end in over) else "Succeeded"
    if any(state.started or state.restarts for state in states):
        return "Running"
    return "Pending"
