"""Whether requests may be moved now: a reason to wait, something to find out first, or None."""

from __future__ import annotations

from serinus.router.core.routes import exposes, is_off
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Read, Wait

# How long after pods are ready their addresses are announced, on a busy cluster: where nobody says.
ANNOUNCED_S = 1.5
# And how long after that proxies have them. They follow the API server by watches as we do, which
# bring a change within some ten milliseconds; this is ten times as long.
FOLLOWED_S = 0.2
# Addresses that are not there yet are asked for again, each time after twice as long,
ASKED_AGAIN_S = 0.2
# and no more once pods have been ready for so long: nobody may be at work who would announce them.
LONGEST_S = 5.0


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
    if not scene.intent.workload.wait_ready:
        return None
    return _until_known(scene.primary_text, scene.settle_s - scene.world.serving_s)


def unknown_canary(scene: Scene) -> Read | Wait | None:
    """The same of the canary's pods, before its first request.

    The route to them takes its time, too: it is enough that their addresses are on the way. That
    they are the EndpointSlices of its Service say. Where they cannot (`announcing`), time must do.
    """
    serving_s, settle_s = scene.world.canary_serving_s, scene.settle_s
    if not _is_first_share(scene) or settle_s <= 0 or serving_s >= LONGEST_S:
        return None
    service, heard = announcing(scene), scene.world.addresses
    if service and heard is None:
        return Read(service=service)
    if heard is None or heard.ready is None:
        return _until_known(scene.target_text, min(settle_s, ANNOUNCED_S) - serving_s)
    if heard.ready >= scene.canary_available:
        left_s = min(settle_s, FOLLOWED_S) - heard.ago_s
        if heard.times == 1:
            # They may have been there long, and who asked before may be gone.
            left_s = min(left_s, ANNOUNCED_S - serving_s)
        return _until_known(scene.target_text, left_s)
    left_s = ASKED_AGAIN_S * 2.0 ** (heard.times - 1) - heard.ago_s
    found = _until_known(scene.target_text, min(left_s, LONGEST_S - serving_s))
    return found or Read(service=service)


def unannounced(scene: Scene) -> str:
    """What to warn of when the canary gets its first share all the same; "" where all is well."""
    heard, pods = scene.world.addresses, scene.canary_available
    if not _is_first_share(scene) or heard is None or heard.ready is None or heard.ready >= pods:
        return ""
    return f"Service {announcing(scene)} announces {heard.ready} of {pods} ready pods"


def announcing(scene: Scene) -> str:
    """The Service that requests for the canary go to, where proxies take addresses from its
    EndpointSlices; "" where nothing tells what they know."""
    return scene.exposure.canary if scene.makes_services and scene.mesh.by_slices else ""


def _is_first_share(scene: Scene) -> bool:
    is_off_now = scene.seen is not None and is_off(scene.seen)
    return is_off_now and exposes(scene.routes, scene.seen)


def _until_known(who: str, left_s: float) -> Wait | None:
    return Wait(f"{who} gets requests when proxies know its pods", left_s) if left_s > 0 else None


def no_capacity(scene: Scene, *, is_new: bool) -> Read | Wait | None:
    """Why requests must not be moved now, what must be known before, or None.

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
    if (unknown := unknown_canary(scene)) is not None:
        return unknown
    leaves_canary = seen is not None and scene.routes.primary > seen.primary
    if leaves_canary and scene.canary_serves and not scene.primary_serves:
        return Wait(f"{scene.primary_text} has no available pod to take requests")
    return None
