"""Waves as the API server has them, and what is written about them: pure."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec.structs import replace

from serinus.coordinator.core.validate import unreadable
from serinus.coordinator.core.waves import API_VERSION, Wave, WaveSpec, WaveStatus
from serinus.kube.refs import Obj
from serinus.kube.times import rfc3339


class Unreadable(Exception):
    """A Wave that cannot be decoded: what is known of it all the same, and why not more."""

    def __init__(self, wave: Wave, why: str) -> None:
        super().__init__(why)
        self.wave = wave
        self.why = why


def wave_of(obj: Obj, cluster: str) -> Wave:
    """A Wave as the API server has it. Raises Unreadable."""
    meta = obj["metadata"]
    wave = Wave(
        cluster=cluster,
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        generation=meta.get("generation", 0),
        annotations=meta.get("annotations") or {},
        spec=WaveSpec(),
    )
    part = "status"
    try:
        status = msgspec.convert(obj.get("status") or {}, WaveStatus)
        wave = replace(wave, status=status)
        part = "spec"
        spec = msgspec.convert(obj.get("spec") or {}, WaveSpec)
        return replace(wave, spec=spec)
    except msgspec.ValidationError as error:
        raise Unreadable(wave, unreadable(part, str(error))) from None


def key_of(obj: Obj) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def told(status: WaveStatus) -> tuple[str, str, str]:
    """What people are told by an Event when it changes."""
    return status.phase, status.step, "" if status.phase == "Running" else status.message


def status_patch(before: WaveStatus, after: WaveStatus) -> Obj:
    """The status as a merge patch: what is left out of it now is taken away."""
    new: Obj = msgspec.to_builtins(after)
    gone = msgspec.to_builtins(before).keys() - new.keys()
    used = {key: None for key in before.used.keys() - after.used.keys()}
    found: Obj = {**new, **dict.fromkeys(gone)}
    if used:
        found["used"] = {**(new.get("used") or {}), **used}
    return found


def event(wave: Wave, status: WaveStatus, now: float) -> Obj:
    """A Kubernetes Event about it."""
    text = status.message or f"{status.phase}, {status.done} done"
    where = f"step {status.step}: " if status.step else ""
    digest = hashlib.sha256(f"{wave.uid}{status.since}{text}".encode()).hexdigest()[:12]
    at = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{wave.name}.{digest}", "namespace": wave.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "Wave",
            "name": wave.name,
            "namespace": wave.namespace,
            "uid": wave.uid,
        },
        "reason": status.phase,
        "message": f"{where}{text}",
        "type": "Warning" if status.phase in ("Stopped", "Refused") else "Normal",
        "source": {"component": "serinus-coordinator"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
