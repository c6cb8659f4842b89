"""How a stand-in comes, is kept and goes, and the target rests meanwhile (ADR 21).

The safety of a plan is the same with it: it has pods before it gets a share, S-canary selects its
pods alone before the target's are taken away, and it goes when no request reaches it. What it runs
is replaced by another revision only while no request does, so that nobody meets that before it is
decided on; a target of the user's has never been able to promise as much.
"""

from __future__ import annotations

from serinus.kube import standin as shared
from serinus.kube.refs import Obj, Ref, prefixed
from serinus.router.core.backends import patched
from serinus.router.core.objects import labels_of
from serinus.router.core.routes import is_off
from serinus.router.core.scene import Scene, canary_of, scaler_ref
from serinus.router.core.steps import Wait, Write
from serinus.router.scalers import catalog as scalers
from serinus.router.workloads import standin
from serinus.router.workloads.deployment import replicas, with_replicas


def names(scene: Scene) -> tuple[Ref, ...]:
    """The names that are its own, where one is wanted or there."""
    if not scene.stands_in:
        return ()
    scaler = scaler_ref(scene.intent)
    return (scene.standin_ref, *([canary_of(scaler)] if scaler else []))


def up(scene: Scene) -> Write | None:
    """It is made from the revision that was decided on, of the size that the target would have.

    Where the canary has to serve on, the next revision takes its place pod by pod.
    """
    target, live = scene.target, scene.standin
    assert target is not None
    if live is not None and _is_outdated(scene) and not is_off(scene.routes):
        return _renewed(scene)
    if live is not None:
        return patched(live, _sized(scene, live, target), "canary up")
    if scene.intent.revision != scene.target_revision:
        return None  # what was decided on is there no more
    whole = standin.created(
        scene.kind.running(target, scene.primary, scene.scaler_minimum),
        canary=scene.canary,
        placement=scene.intent.workload.canary_pods,
        revision=scene.target_revision,
        labels=prefixed(labels_of(target), scene.world.options.label_prefixes),
    )
    return patched(None, whole, "canary up")


def _sized(scene: Scene, live: Obj, target: Obj) -> Obj:
    """Whoever scales the target in the middle of a run means the canary."""
    is_scaled = target["kind"] != "Deployment" or scene.intent.workload.autoscaler is not None
    if not is_scaled and replicas(target) not in (0, replicas(live)):
        return with_replicas(live, replicas(target))
    return scene.kind.running(live, scene.primary, scene.scaler_minimum)


def scaler_up(scene: Scene) -> Write | None:
    """It has an autoscaler as the target has one, which sleeps with the target."""
    reference, source, ref = (
        scene.intent.workload.autoscaler,
        scene.scaler,
        scaler_ref(scene.intent),
    )
    if reference is None or source is None or ref is None or scene.standin is None:
        return None
    if scene.intent.workload.canary != "running":
        return None
    whole = scalers.row_of(reference.kind).scaler.standin(source, scene.canary)
    live = scene.world.live.get(canary_of(ref))
    return patched(live, whole if live is None else {**live, "spec": whole["spec"]}, "autoscaler")


def renewed(scene: Scene) -> Write | Wait | None:
    """Another revision takes the place of the one that was tried, out of everybody's sight."""
    if scene.intent.workload.canary != "running" or not _is_outdated(scene):
        return None
    return kept(scene) or _renewed(scene)


def _is_outdated(scene: Scene) -> bool:
    """Whether the stand-in runs another revision than the one that was decided on."""
    live, revision = scene.standin, scene.intent.revision
    return live is not None and shared.runs(live) != revision == scene.target_revision


def _renewed(scene: Scene) -> Write | None:
    target, live = scene.target, scene.standin
    assert target is not None
    assert live is not None
    whole = standin.renewed(
        live,
        scene.kind.running(target, scene.primary, scene.scaler_minimum),
        placement=scene.intent.workload.canary_pods,
        revision=scene.target_revision,
    )
    return patched(live, whole, "canary renewed")


def aside(scene: Scene) -> Write | Wait | None:
    """The target rests while another runs the canary's pods; whoever wakes it again is let, as no
    request is for its pods any more."""
    if scene.intent.workload.canary != "running" or scene.standin is None:
        return None
    found = None if scene.world.was_parked else rest(scene)
    is_idle = is_off(scene.seen or scene.routes) or scene.standin_is_selected
    if found is None or not is_idle or not scene.apex_is_on_primary:
        return None
    return kept(scene) or found


def kept(scene: Scene) -> Wait | None:
    """Whoever had requests is kept until proxies know that nobody sends them any more."""
    left_s = scene.settle_s - scene.world.unchanged_s
    if left_s <= 0:
        return None
    return Wait("the canary is kept until proxies have followed the routes", after_s=left_s)


def rest(scene: Scene) -> Write | None:
    """What is left to do for the target to run nothing: its autoscaler first."""
    if scene.target is None:
        return None
    asleep = scene.scaler_asleep
    if asleep is not None and asleep != scene.scaler:
        return patched(scene.scaler, asleep, "autoscaler paused")
    if scene.is_parked:
        return None
    return patched(scene.target, scene.kind.parked(scene.target), "canary down")


def down(scene: Scene) -> Write | None:
    """What is left to delete of it: its autoscaler first."""
    found: list[tuple[Ref, Obj | None]] = [(scene.standin_ref, scene.standin)]
    ref = scaler_ref(scene.intent)
    if ref is not None:
        twin = shared.in_place(scene.world.live.get(canary_of(ref)), scene.canary)
        found.insert(0, (canary_of(ref), twin))
    for ref, live in found:
        if live is not None:
            return Write(verb="delete", ref=ref, why="canary down", whole=live)
    return None
