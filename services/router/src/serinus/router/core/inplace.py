"""StatefulSets: both versions are pods of one workload, and the border between them moves.

A copy would be a second database with volumes of its own, so nothing is copied. Pods from ordinal
`partition` on run what is analysed, those below it what is promoted (`kube/partition.py`). The
Services tell them apart by the label that the controller gives every pod. The order is the same
as ever, with one workload on both sides:

    at rest       the partition is above every ordinal: a new template reaches no pod
    canary up     one pod; another one each time that the share has followed, up to what the share
                  needs, so that neither side ever bears more than it would with one pod less
    promotion     S and S-primary select every pod, all of them analysed; then the partition is 0,
                  and the controller replaces pods one by one; then S selects the new revision
    rollback      the share goes at once; then the partition, and pods of the other revision are
                  deleted one at a time: the controller makes them anew as they were

`status.currentRevision` is what S selects: whatever somebody else does to the set, S follows pods
that there are.
"""

from __future__ import annotations

from serinus.kube.partition import PARKED, Parts, with_partition
from serinus.kube.refs import Obj, ref_of
from serinus.router.core.backends import patched
from serinus.router.core.objects import PROMOTED_REVISION, annotations_of
from serinus.router.core.parted import is_ready, pods_key, runs
from serinus.router.core.promotion import same_revision
from serinus.router.core.routes import is_off
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Read, Wait, Write
from serinus.router.workloads import statefulset


def stopped(scene: Scene) -> Write | None:
    """A border at 0 lets every template through: it stands there only for the one analysed."""
    target, parts = scene.target, scene.parts
    if target is None or parts is None or parts.partition or not _is_known(target):
        return None
    workload = scene.intent.workload
    is_decided = scene.intent.revision == scene.target_revision
    if workload.canary == "as-is" or (workload.promote and is_decided):
        return None
    return _moved(target, PARKED, "held back")


def known(scene: Scene) -> Write | Wait | None:
    """A set whose pods are all of one revision is noted to run it, and held there."""
    target, parts = scene.target, scene.parts
    if target is None or parts is None:
        return None
    if not parts.is_rolled_out:
        if _is_known(target):
            return None
        return Wait(f"{scene.target_text} runs two revisions: let its own rollout end first")
    if annotations_of(target).get(PROMOTED_REVISION) == scene.target_revision:
        return None
    if scene.primary_readiness.state != "ready":
        return Wait(f"{scene.target_text} not ready: {scene.primary_readiness.text}")
    noted = statefulset.noted(target, scene.target_revision)
    return patched(target, with_partition(noted, PARKED), "primary")


def canary_up(scene: Scene) -> Write | Wait | None:
    """The first pod of the canary, before it gets any share; or back to as many as it needs."""
    target, parts = scene.target, scene.parts
    if scene.intent.workload.canary != "running" or scene.intent.workload.promote:
        return None
    if target is None or parts is None or scene.intent.revision != scene.target_revision:
        return None
    if parts.size < 2 or _is_live(scene, target):
        return None
    if not parts.canary_wanted:
        if not parts.is_one:
            return None  # pods of the last canary first
        return _moved(target, parts.size - 1, "canary up")
    if parts.canary_wanted > _needed(scene, parts):
        return _moved(target, parts.size - _needed(scene, parts), "fewer canary pods")
    return None


def canary_grows(scene: Scene) -> Write | Wait | None:
    """One more pod, when the share has followed to those that there are."""
    target, parts = scene.target, scene.parts
    if scene.intent.workload.canary != "running" or scene.intent.workload.promote:
        return None
    if target is None or parts is None or parts.size < 2 or _is_live(scene, target):
        return None
    if scene.intent.revision != scene.target_revision:
        return Wait("the target changed; that is decided on first")
    if scene.target_readiness.state != "ready":
        return Wait(f"canary {scene.target_text} not ready: {scene.target_readiness.text}")
    if parts.current_pods < parts.primary_wanted:
        return Wait(f"{scene.target_text} misses pods of the promoted revision")
    if parts.canary_wanted < _needed(scene, parts):
        return _moved(target, parts.size - parts.canary_wanted - 1, "canary grows")
    return None


def who_serves(scene: Scene) -> Read | None:
    """Before requests go to the primary while pods are missing: whose pods those are."""
    parts, seen = scene.parts, scene.seen
    if scene.target is None or parts is None or scene.pods is not None:
        return None
    leaves = seen is None or seen.canary > scene.routes.canary
    is_known = parts.primary_available > 0 or parts.missing >= parts.size
    return Read((pods_key(scene.target),)) if leaves and not is_known else None


def promoted(scene: Scene) -> Write | Wait | None:
    """Every pod gets the analysed revision; S has selected all of them before."""
    target, parts = scene.target, scene.parts
    if not scene.intent.workload.promote or target is None or parts is None:
        return None
    same_revision(scene)
    if _is_live(scene, target):
        return None
    if parts.partition:
        return _moved(target, 0, "promotion")
    return Wait(f"{scene.target_text} not ready: {scene.primary_readiness.text}")


def canary_down(scene: Scene) -> Write | Wait | None:
    """The border goes up when no request has reached the canary for as long as proxies take."""
    target, parts = scene.target, scene.parts
    if scene.intent.workload.canary != "parked" or target is None or parts is None:
        return None
    if parts.partition >= PARKED and parts.is_one:
        return None
    if not is_off(scene.seen or scene.routes) or not scene.apex_is_on_primary:
        return Wait("requests still reach the canary")
    left_s = scene.settle_s - scene.world.unchanged_s
    if left_s > 0:
        return Wait("the canary is kept until proxies have followed the routes", after_s=left_s)
    return _moved(target, PARKED, "canary down") if parts.partition < PARKED else None


def made_one(scene: Scene) -> Write | Read | Wait | None:
    """Pods on the promoted side that run something else are made anew, one at a time.

    The lowest first, as the controller makes them; broken ones before others, for they hold it up:
    it makes no pod above one that is not ready.
    """
    target, parts = scene.target, scene.parts
    if target is None or parts is None or scene.intent.workload.promote or not parts.partition:
        return None
    if not parts.is_observed:
        return Wait(f"{scene.target_text} was not looked at by its controller yet")
    if parts.current_pods >= parts.primary_wanted:
        return None
    left_s = scene.settle_s - scene.world.unchanged_s
    if left_s > 0:
        return Wait("pods are kept until proxies have followed the routes", after_s=left_s)
    pods = scene.pods
    if pods is None:
        return Read((pods_key(target),))
    border = statefulset.start(target) + parts.primary_wanted
    strays = [n for n in sorted(pods) if n < border and not runs(pods[n], parts.current)]
    if not strays:
        return None
    first, size = statefulset.start(target), parts.size
    away = [n for n in range(first, first + size) if n not in pods or not is_ready(pods[n])]
    if away and away[0] not in strays:
        return Wait(f"{scene.target_text} goes back one pod at a time")
    pod = pods[(away or strays)[0]]
    return Write(verb="delete", ref=ref_of(pod), why="pod back", whole=pod, live=pod)


def share_is_reached(scene: Scene) -> Wait | None:
    """The share grows with the pods that are there."""
    if scene.routes == scene.asked:
        return None
    share, wanted = scene.routes.canary, scene.asked.canary
    return Wait(f"canary {scene.target_text} has pods for {share} of {wanted} percent")


def _needed(scene: Scene, parts: Parts) -> int:
    """Pods that bear the share, with one pod less in all; an A/B audience gets one."""
    shares = [scene.asked.canary, scene.seen.canary if scene.seen else 0]
    most = 0 if scene.asked.match else max(shares)
    return max(1, -(-most * (parts.size - 1) // 100))


def _is_live(scene: Scene, target: Obj) -> bool:
    """Whether every pod runs what is wanted: nothing is to be started or stopped for it."""
    return annotations_of(target).get(PROMOTED_REVISION) == scene.intent.revision


def _is_known(target: Obj) -> bool:
    return PROMOTED_REVISION in annotations_of(target)


def _moved(target: Obj, partition: int, why: str) -> Write | None:
    return patched(target, with_partition(target, partition), why)
