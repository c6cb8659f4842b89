"""The Services behind the routes, and writes that change what differs."""

from __future__ import annotations

from serinus.kube.refs import Obj, is_owned_by, ref_of
from serinus.router import services
from serinus.router.core.routes import is_off
from serinus.router.core.scene import Scene, canary_of
from serinus.router.core.steps import Write
from serinus.router.workloads import service as target_service


def backends(scene: Scene) -> Write | None:
    """S-primary and S-canary; naming pods harms nobody."""
    if scene.is_own_primary and not scene.has_pods:
        return None
    if not scene.has_pods:
        return _copied_target(scene)
    if not scene.makes_services:
        return None
    roles: tuple[services.Role, ...] = ("canary", "primary")
    return next(filter(None, (service_write(scene, role) for role in roles)), None)


def opened(scene: Scene) -> Write | None:
    """Before the border goes: our Services select every pod, whatever it will run."""
    for role in ("primary", "apex"):
        live = scene.service(role) if scene.makes_services else None
        if live is not None and is_owned_by(live, scene.canary):
            found = service_write(scene, role)
            if found is not None:
                return found
    return None


def service_write(scene: Scene, role: services.Role) -> Write | None:
    """What makes the Service that plays this role what it shall be."""
    ref = services.ref_for(scene.exposure, role)
    live = scene.world.live.get(ref)
    selecting = scene.selects(role)
    whole = services.wanted(live, scene.exposure, role, scene.selector, scene.canary, selecting)
    return patched(live, whole, f"{role} service")


def _copied_target(scene: Scene) -> Write | None:
    """The canary's copy of a target without pods; what was not judged gets no share by it."""
    if scene.target is None:
        return None
    ref = canary_of(scene.target_ref)
    live = scene.world.live.get(ref)
    whole = target_service.canary(scene.target, live, scene.canary)
    serves = scene.seen is not None and not is_off(scene.seen)
    is_judged = scene.routes.canary > 0 and scene.intent.revision == scene.target_revision
    if live is not None and whole != live and serves and not is_judged:
        return None  # the share goes first
    return patched(live, whole, "canary service")


def patched(live: Obj | None, whole: Obj, why: str) -> Write | None:
    """What makes an object `whole`; None where it is."""
    if live is None:
        return Write(verb="create", ref=ref_of(whole), why=why, whole=whole)
    if live == whole:
        return None
    return Write(verb="patch", ref=ref_of(whole), why=why, whole=whole, live=live)
