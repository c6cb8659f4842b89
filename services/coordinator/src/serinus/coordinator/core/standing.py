"""How one canary stands, as others need to know it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from serinus.events import CanaryObserved
from serinus.events.canary import REVISION_PREFIX, hooks

State = Literal["settled", "waiting", "running", "failed", "unready"]


class Key(Struct, frozen=True, order=True):
    """One canary of the fleet."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} in {self.cluster}"

    @property
    def path(self) -> str:
        return f"{self.cluster}/{self.namespace}/{self.name}"

    @classmethod
    def of(cls, path: str) -> Key:
        """The key with that path."""
        cluster, namespace, name = path.split("/")
        return cls(cluster, namespace, name)


class Standing(Struct, frozen=True, kw_only=True):
    """One canary, in its cluster's own words.

    state    settled: what its target says is live; waiting: something new has not begun;
             running; failed: what its target says was rolled back; unready: not initialized yet
    release  names the images of its target, live those of its primary: the same in every cluster
    images   the target's images by container, for people
    asks     its manifest asks somebody before it begins; without that no wave can hold it
    """

    key: Key
    state: State
    phase: str = ""
    weight: int = 0
    release: str = ""
    live: str = ""
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    asks: bool = True


def release_of(images: Mapping[str, str]) -> str:
    """Names a set of images, whatever cluster they run in; "" where there are none."""
    if not images:
        return ""
    text = "\n".join(f"{container}={image}" for container, image in sorted(images.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def standing(seen: CanaryObserved, cluster: str) -> Standing:
    """How a canary of this cluster stands."""
    status = seen.status
    return Standing(
        key=Key(cluster, seen.canary.namespace, seen.canary.name),
        state=_state(seen),
        phase=status.phase,
        weight=status.canary_weight,
        release=release_of(seen.target.images),
        live=release_of(seen.primary.images),
        images=seen.target.images,
        labels=seen.labels,
        asks=bool(hooks(seen.spec, "confirm-rollout")),
    )


def _state(seen: CanaryObserved) -> State:
    status = seen.status
    match status.phase:
        case "Initialized" | "Succeeded":
            return "settled" if _is_live(seen) else "waiting"
        case "Failed":
            return "failed" if seen.target.revision == status.last_applied_spec else "waiting"
        case "Waiting":
            return "waiting"
        case "Progressing" if not (status.canary_weight or status.iterations):
            return "waiting"  # its pods start; nobody is served by them yet
        case "Progressing" | "WaitingPromotion" | "Promoting" | "Finalising":
            return "running"
        case _:
            return "unready"


def _is_live(seen: CanaryObserved) -> bool:
    """The target runs what the primary was last given; Flagger's own hashes say less."""
    promoted = seen.status.last_promoted_spec or seen.status.last_applied_spec
    if not promoted.startswith(REVISION_PREFIX):
        return seen.same_template is not False
    configs = seen.configs is None or seen.configs == (seen.status.tracked_configs or {})
    return seen.target.revision == promoted and configs
