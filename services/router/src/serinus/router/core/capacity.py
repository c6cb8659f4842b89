"""Whether requests may be moved now: each answers with a reason to wait, or None."""

from __future__ import annotations

from serinus.router.core.routes import exposes, is_off
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Wait

# How long after pods are ready their addresses are in the EndpointSlices, on a busy cluster.
ANNOUNCED_S = 1.5


def unready_primary(scene: Scene) -> Wait | None:
    """A primary that is new is waited for. Pods of a StatefulSet that come and go one by one are
    not: others serve, and what is broken is only made anew once requests go where they should."""
    if scene.parts is not None and scene.primary_serves:
        return None
    ready = scene.primary_readiness
    if ready.state == "ready" or not scene.intent.workload.wait_ready:
        return None
    return Wait(f"{scene.primary_text} not ready: {ready.text}")


def unknown_primary(scene: Scene) -> Wait | None:
    """Proxies hear of ready pods by themselves, and later than we do: until they have, a route to
    the primary is one to nobody. Traefik for one looks again after two seconds."""
    left_s = scene.settle_s - scene.world.serving_s
    if left_s <= 0 or not scene.intent.workload.wait_ready:
        return None
    return Wait(f"{scene.primary_text} gets requests when proxies know its pods", after_s=left_s)


def _unknown_canary(scene: Scene) -> Wait | None:
    """The same of the canary's pods, before its first request.

    The route to them takes its time, too: it is enough that their addresses are on the way.
    """
    left_s = min(scene.settle_s, ANNOUNCED_S) - scene.world.canary_serving_s
    is_off_now = scene.seen is not None and is_off(scene.seen)
    if left_s <= 0 or not is_off_now or not exposes(scene.routes, scene.seen):
        return None
    return Wait(f"{scene.target_text} gets requests when proxies know its pods", after_s=left_s)


def no_capacity(scene: Scene, *, is_new: bool) -> Wait | None:
    """Why requests must not be moved now, or None.

    A new route waits for the primary that it sends requests to: there is nothing to lose yet. One
    that somebody deleted while the canary serves everybody does not.
    """
    if is_new and scene.routes.primary:
        blocked = unready_primary(scene)
        if blocked is not None:
            return blocked
    ready = scene.canary_readiness
    # A workload of no pods is ready, too: all none of them are available.
    if exposes(scene.routes, scene.seen) and not (ready.state == "ready" and scene.canary_serves):
        text = ready.text or "no pod is available"
        return Wait(f"canary {scene.target_text} not ready: {text}")
    seen = scene.seen
    if (blocked := _unknown_canary(scene)) is not None:
        return blocked
    leaves_canary = seen is not None and scene.routes.primary > seen.primary
    if leaves_canary and scene.canary_serves and not scene.primary_serves:
        return Wait(f"{scene.primary_text} has no available pod to take requests")
    return None
