"""Putting everything back when a Canary with revertOnDeletion is deleted (reference 2.17).

The same order as ever: the target has capacity, then it gets the traffic, then proxies follow; only
then may the Canary go, and with it the primary.
"""

from __future__ import annotations

from msgspec.structs import replace

from serinus.events import Intent
from serinus.kube.refs import Obj, ref_of
from serinus.router import services
from serinus.router.core.objects import Gone, Live, in_the_way
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Wait, World, Write
from serinus.router.meshes import catalog as meshes


def scaler_back(scene: Scene) -> Write | None:
    """The target's autoscaler minds the target again."""
    live, awake = scene.scaler, scene.scaler_awake
    if live is None or awake is None or awake == live:
        return None
    return Write(verb="patch", ref=ref_of(live), why="autoscaler resumed", whole=awake, live=live)


def target_up(scene: Scene) -> Write | None:
    """The target runs at the primary's size."""
    if scene.target is None:
        return None
    wanted = scene.kind.released(scene.target, scene.primary, scene.scaler_minimum)
    if wanted == scene.target:
        return None
    return Write(
        verb="patch", ref=ref_of(wanted), why="target back", whole=wanted, live=scene.target
    )


def target_ready(scene: Scene) -> Wait | None:
    """Nothing is taken from the primary before the target can serve. No target: nothing to save."""
    ready = scene.target_readiness
    if scene.target is None or ready.state == "ready":
        return None
    text = f"canary {scene.target_text} not ready: {ready.text}"
    return Wait(f"canary not ready during finalizing: {text}")


def apex_back(scene: Scene) -> Write | None:
    """A Service of the user's selects again what it did; ours goes with the Canary."""
    live = scene.service("apex") if scene.makes_services else None
    if live is None or scene.known_selector is None:
        return None
    wanted = services.released(live, scene.known_selector, scene.canary)
    if wanted == live:
        return None
    return Write(verb="patch", ref=ref_of(live), why="apex service back", whole=wanted, live=live)


def routes_back(scene: Scene) -> Write | None:
    """Route objects of the user's are as they were. Of ours those that lie over them go; others
    are left to garbage collection: they must route until the very end."""
    for found in scene.mesh.mesh.release(scene.exposure, scene.world.live):
        if isinstance(found, Gone):
            live = scene.world.live.get(found.ref)
            if found.shadows and live is not None and not in_the_way(live, scene.canary):
                return Write(verb="delete", ref=found.ref, why="canary route away", whole=live)
            continue
        live = scene.world.live.get(ref_of(found))
        if live is None or found == live or in_the_way(live, scene.canary):
            continue
        return Write(verb="patch", ref=ref_of(found), why="routes back", whole=found, live=live)
    return None


def orphans(intent: Intent, live: Live) -> list[Obj]:
    """Route objects of ours that outlive a Canary that is gone: those of no namespace, which it
    could not own."""
    row = meshes.row_of(intent.exposure.mesh)
    released = row.mesh.release(intent.exposure, live)
    gone = [live.get(one.ref) for one in released if isinstance(one, Gone)]
    return [obj for obj in gone if obj is not None and not obj["metadata"].get("namespace")]


def proxies_follow(scene: Scene) -> Wait | None:
    """The primary is deleted with the Canary, so the last request must have left it."""
    left_s = scene.settle_s - scene.world.unchanged_s
    if scene.primary is None or left_s <= 0:
        return None
    return Wait("the primary is kept until proxies have followed", after_s=left_s)


def left_behind(intent: Intent, world: World) -> Write | None:
    """What comes next for a Canary that is gone without having given anything back.

    Its primary is being collected, so nothing is gained by waiting: the target gets its pods, the
    user's Service and routes lead to them (11.3 no. 16).
    """
    scene = Scene(replace(intent, release=True, hold=False), world)
    if scene.is_own_primary:
        return None  # nothing of it is collected
    rules = (scaler_back, target_up, apex_back, routes_back)
    return next(filter(None, (rule(scene) for rule in rules)), None)
