"""What is remembered of pods that serve: since when, and whether proxies can know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from serinus.kube.readiness import available_s
from serinus.kube.refs import Obj
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Addresses, World


@dataclass
class Serving:
    """Of one canary; times are monotonic seconds.

    since       since when primary and canary have been seen to serve, for those that do. A canary
                serves with all the pods that it waits for
    addresses   what was last heard of the canary's, while it serves
    heard_at    and when
    """

    since: dict[str, float] = field(default_factory=dict)
    addresses: Addresses | None = None
    heard_at: float = 0.0

    def see(self, scene: Scene, now: float, *, first_at: float | None = None) -> None:
        """Notes who serves.

        first_at  Unix seconds at a process's first look: what was before, only the cluster knows
        """
        is_whole = scene.canary_serves and scene.canary_readiness.state == "ready"
        serve = {"primary": scene.primary_serves, "canary": is_whole}
        if first_at is not None and is_whole and scene.runner is not None:
            self.since["canary"] = now - available_s(scene.runner, first_at)
        self.since = {who: self.since.get(who, now) for who in serve if serve[who]}
        if not is_whole:
            self.addresses = None

    def hear(self, ready: int | None, now: float) -> None:
        """So many addresses are announced for the canary's pods; None: nobody can tell."""
        times = self.addresses.times + 1 if self.addresses else 1
        self.addresses, self.heard_at = Addresses(ready, times), now

    def told(self, world: World, now: float) -> World:
        """The world with what is remembered."""
        known = self.addresses
        if known is not None:
            known = msgspec.structs.replace(known, ago_s=now - self.heard_at)
        return msgspec.structs.replace(
            world,
            serving_s=now - self.since.get("primary", now),
            canary_serving_s=now - self.since.get("canary", now),
            addresses=known,
        )


def ready_pods(slices: Iterable[Obj]) -> int | None:
    """How many pods these EndpointSlices of one Service announce as ready.

    None where there is no slice at all: their controller makes one for every Service that selects
    pods, be it empty. A pod may be in several, one for each family of addresses.
    """
    found = list(slices)
    pods: set[str] = set()
    for endpoint in (one for each in found for one in each.get("endpoints") or ()):
        # Not to be told whether it is ready means that it is.
        if (endpoint.get("conditions") or {}).get("ready") in (True, None):
            pods.add((endpoint.get("targetRef") or {}).get("uid") or endpoint["addresses"][0])
    return len(pods) if found else None
