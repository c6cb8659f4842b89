"""Waves and standings in few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from serinus.coordinator.core.orders import Order, Plan, View
from serinus.coordinator.core.rules import plan
from serinus.coordinator.core.standing import Key, Standing, State, release_of
from serinus.coordinator.core.waves import Member, Step, Wave, WaveSpec

T0 = 1_800_000_000.0
OLD, NEW, NEWER = (release_of({"web": f"example.test/web:{n}"}) for n in (1, 2, 3))

PHASES = {
    "settled": "Succeeded",
    "waiting": "Waiting",
    "running": "Progressing",
    "failed": "Failed",
    "unready": "",
}


def a_key(cluster: str, name: str = "web", namespace: str = "shop") -> Key:
    return Key(cluster, namespace, name)


def key_parts(key: Key) -> tuple[str, str, str]:
    return key.cluster, key.namespace, key.name


def a_standing(key: Key, state: State = "settled", release: str = OLD, **fields: Any) -> Standing:
    """At rest what is wanted is live; otherwise the old release is."""
    live = release if state == "settled" else OLD
    return Standing(
        **{
            "key": key,
            "state": state,
            "phase": PHASES[state],
            "release": release,
            "live": live,
            **fields,
        }
    )


def a_step(name: str, *keys: Key, **fields: Any) -> Step:
    members = tuple(Member(cluster=k.cluster, namespace=k.namespace, name=k.name) for k in keys)
    return Step(name=name, canaries=members, **fields)


def a_wave(*steps: Step, annotations: Mapping[str, str] | None = None, **spec: Any) -> Wave:
    return Wave(
        cluster="home",
        namespace="shop",
        name="web",
        uid="u",
        resource_version="1",
        generation=1,
        annotations=dict(annotations or {}),
        spec=WaveSpec(steps=steps, **spec),
    )


class Story:
    """A wave over time: `stand` says how canaries stand, `look` plans and remembers."""

    def __init__(self, wave: Wave) -> None:
        self.wave = wave
        self.standings: dict[Key, Standing] = {}
        self.silent: dict[str, float] = {}
        self.unheard: set[str] = set()
        self.now = T0
        self.last: Plan | None = None

    def stand(self, *standings: Standing) -> Story:
        self.standings |= {standing.key: standing for standing in standings}
        return self

    def look(self, after_s: float = 0.0) -> Story:
        self.now += after_s
        named = {m.cluster or "home" for step in self.wave.spec.steps for m in step.canaries}
        whole = frozenset(named - self.unheard)
        self.last = plan(self.wave, View(self.standings, whole, T0, self.silent), self.now)
        self.wave = replace(self.wave, status=self.last.status)
        return self

    def annotate(self, **annotations: str) -> Story:
        """Keys in Python's spelling: `approve_first` is `serinus.dev/approve-first`."""
        spelled = {f"serinus.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
        self.wave = replace(self.wave, annotations={**self.wave.annotations, **spelled})
        return self

    def edit(self, **spec: Any) -> Story:
        self.wave = replace(self.wave, spec=replace(self.wave.spec, **spec))
        return self

    def order(self, key: Key) -> Order | None:
        assert self.last is not None
        return next((order for order in self.last.orders if order.key == key), None)

    def action(self, key: Key) -> str:
        order = self.order(key)
        return order.action if order else ""

    def why(self, key: Key) -> str:
        order = self.order(key)
        return order.why if order else ""

    def said_of(self, key: Key) -> str:
        """What the status says of one canary; "" if it is not listed."""
        listed = self.wave.status.canaries
        found = [m for m in listed if (m.cluster, m.namespace, m.name) == key_parts(key)]
        return found[0].message if found else ""

    @property
    def due_at(self) -> float | None:
        assert self.last is not None
        return self.last.due_at

    @property
    def says(self) -> tuple[str, str, str]:
        status = self.wave.status
        return status.phase, status.step, status.message
