"""What keeps a Wave from working."""

from __future__ import annotations

import re

from serinus.coordinator.core import calendar
from serinus.coordinator.core.waves import Wave
from serinus.events.canary import duration_s


def problems(wave: Wave) -> list[str]:
    """What keeps the manifest from working: path, what is wrong, what to write instead."""
    spec, found = wave.spec, []
    if not spec.steps:
        found.append("spec.steps: there are none; name at least one step with canaries")
    names: set[str] = set()
    for index, step in enumerate(spec.steps):
        where = f"spec.steps[{index}]"
        if not step.name or step.name in names:
            found.append(f"{where}.name: {step.name!r} is empty or taken; give each its own")
        names.add(step.name)
        if not step.canaries:
            found.append(f"{where}.canaries: there are none; name one, or a selector")
        for number, member in enumerate(step.canaries):
            if bool(member.name) == bool(member.selector):
                found.append(f"{where}.canaries[{number}]: write either name or selector")
        if step.soak and duration_s(step.soak) is None:
            found.append(f"{where}.soak: {step.soak!r} is no duration; write one like 5m")
    for index, window in enumerate(spec.freeze):
        if text := calendar.check(window):
            found.append(f"spec.freeze[{index}]: {text}")
    return found


def unreadable(part: str, error: str) -> str:
    """The same for what cannot be decoded: `error` is msgspec's, `part` is spec or status."""
    wrong, _, path = error.rpartition(" - at `$")
    where = part + path.rstrip("`") if wrong else part
    field = re.sub(r"\[.*?\]", "", where)
    return f"{where}: {(wrong or error)}; see `kubectl explain wave.{field}`"
