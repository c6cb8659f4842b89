"""What comes next for one canary: capacity before traffic, traffic before teardown.

A plan is never made whole. One rule after the other looks at the intent and the live objects, and
the first that is not content answers with one write, one read or a reason to wait; after it, all
is looked at again. So every prefix of a plan is safe, and being killed between two steps is no
event. The order of the rules is the safety argument:

    backends      S-primary and S-canary, so that routes have something to name
    canary_up     capacity for the canary before it gets a share, in the target or a stand-in
    baseline_up   pods like the primary's, when that is there to be copied
    primary       configs first, then the workload; adopted where somebody else made it
    autoscaler    and nothing of a promotion whose target has changed meanwhile
    apex          S selects the primary only when that is ready
    routes        the canary's share rises only to ready pods; requests move only where pods serve
                  that proxies have had time to learn of
    read back     what proxies have accepted, not what was written
    standins      the target rests, and what is tried changes only out of everybody's sight
    promotion     exactly the analysed revision, with the configs it was analysed with
    undone        or exactly one that was promoted before
    baseline_down its pods serve until proxies know that they are gone
    canary_down   when no request has reached it for as long as proxies take to follow
    pruned        configs and autoscalers that nobody uses any more, and the size that was kept
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec
from msgspec import Struct

from serinus.events import Intent
from serinus.kube.refs import Obj, Ref, is_owned_by, owner_reference, ref_of
from serinus.router import services
from serinus.router.core import inplace, promotion, releasing, standins
from serinus.router.core.backends import backends, opened, patched, service_write
from serinus.router.core.capacity import (
    no_capacity,
    unannounced,
    unknown_primary,
    unready_primary,
)
from serinus.router.core.objects import (
    PROMOTED_REVISION,
    NotYet,
    Refusal,
    annotations_of,
    in_the_way,
    is_leftover,
)
from serinus.router.core.routes import is_off
from serinus.router.core.scene import Scene
from serinus.router.core.steps import Next, Read, Settled, Wait, World, Write, after
from serinus.router.core.takeover import notes_of
from serinus.router.workloads import baseline, deployment

Rule = Callable[[Scene], Write | Read | Wait | None]
MAX_STEPS = 100


class Plan(Struct, frozen=True):
    """The writes that can be done one after the other from here, and what comes behind them."""

    steps: tuple[Write, ...]
    then: Read | Wait | Settled


class Report(Struct, frozen=True, kw_only=True):
    """What there is to tell about an intent: the fields of RoutesObserved."""

    settled: bool = False
    primary_weight: int | None = None
    canary_weight: int | None = None
    mirrored: bool = False
    primary_revision: str = ""
    waiting: str = ""
    error: str = ""
    refused: str = ""


def next_step(scene: Scene) -> Next:
    """The next thing to do. Raises Refusal where the intent cannot be carried out."""
    rules = _rules(scene)
    for rule in rules:
        found = rule(scene)
        if found is None:
            continue
        if scene.intent.hold and not isinstance(found, Wait):
            return Wait("on hold: nothing is changed", lacks=makes(found))
        return found
    return Settled(promotion.freed_in_s(scene))


def makes(found: Next) -> bool:
    """Whether there will be an object that its Canary owns, and that was not there."""
    if not isinstance(found, Write):
        return False
    return found.live is None and found.verb not in ("copy", "delete")


def _rules(scene: Scene) -> Sequence[Rule]:
    if scene.is_parted:
        return RELEASING_IN_PLACE if scene.intent.release else IN_PLACE
    return RELEASING if scene.intent.release else RULES


def plan(intent: Intent, world: World) -> Plan:
    """Every write that could follow now if nothing else happened. Raises Refusal."""
    steps: list[Write] = []
    while len(steps) < MAX_STEPS:
        found = next_step(Scene(intent, world))
        if not isinstance(found, Write):
            return Plan(tuple(steps), found)
        steps.append(found)
        world = after(world, found)
    raise AssertionError(f"a plan that does not end: {[s.why for s in steps[-4:]]}")


def report(scene: Scene, found: Next) -> Report:
    """What to tell when `found` comes next."""
    seen = scene.seen
    waiting = found.why if isinstance(found, Wait) else ""
    is_error = isinstance(found, Wait) and found.error
    return Report(
        settled=isinstance(found, Settled),
        primary_weight=seen.primary if seen else None,
        canary_weight=seen.canary if seen else None,
        mirrored=bool(seen and seen.mirror),
        primary_revision=scene.promoted_note(PROMOTED_REVISION),
        waiting=waiting,
        error=waiting if is_error else "",
    )


# --- the rules, in order --------------------------------------------------------------------------


def nothing_in_the_way(scene: Scene) -> Wait | None:
    """Objects of the wanted names belong to this Canary or to nobody."""
    row = scene.mesh
    routes = row.mesh.needs(scene.exposure)
    backends: Sequence[Ref] = ()
    if scene.exposure.service is not None:
        backends = [services.ref_for(scene.exposure, r) for r in ("apex", "primary", "canary")]
    written = (ref for ref in routes if not row.only_reads(scene.exposure, ref))
    beside = [scene.baseline_ref] if scene.intent.workload.baseline else []
    standin = standins.names(scene)
    for ref in (scene.primary_ref, *beside, *standin, *written, *backends):
        obj = scene.world.live.get(ref)
        if obj is None:
            continue
        if obj["metadata"].get("deletionTimestamp"):
            return Wait(f"{ref} is being deleted")
        if is_leftover(obj, scene.canary):
            return Wait(f"{ref} belongs to an earlier Canary of this name and is being deleted")
        owner = in_the_way(obj, scene.canary)
        # A Service of somebody else's operator is used as a user's own: ports and selector only.
        if owner and (ref not in backends or owner.startswith("Canary ")):
            raise Refusal("Foreign", f"{ref} belongs to {owner}: rename one of the two")
        if ref in standin and not is_owned_by(obj, scene.canary):
            raise Refusal("Foreign", f"{ref} is not ours: rename it, or leave out canaryPods")
    return None


def target_is_releasable(scene: Scene) -> Wait | None:
    """Some workloads would never roll out what they are given."""
    why = scene.kind.check(scene.target) if scene.target else ""
    return Wait(why, error=True) if why else None


def canary_up(scene: Scene) -> Write | None:
    """The canary has pods on the way before it gets any share.

    Its autoscaler first: one that is paused would take them away again.
    """
    if scene.intent.workload.canary != "running" or scene.target is None:
        return None
    if scene.stands_in:
        return standins.up(scene)
    awake = scene.scaler_awake
    if awake is not None and awake != scene.scaler:
        return patched(scene.scaler, awake, "autoscaler resumed")
    wanted = scene.kind.running(scene.target, scene.primary, scene.scaler_minimum)
    return patched(scene.target, wanted, "canary up")


def baseline_up(scene: Scene) -> Write | None:
    """While the canary is analysed, pods of the primary's revision are as young and as many."""
    primary, runner = scene.primary, scene.runner
    if not scene.intent.workload.baseline or primary is None or runner is None:
        return None
    whole = baseline.wanted(
        primary,
        scene.baseline,
        canary=scene.canary,
        selector=scene.selector,
        revision=scene.intent.revision,
        replicas=max(1, deployment.replicas(runner)),
        linger_s=scene.settle_s,
    )
    return patched(scene.baseline, whole, "baseline up")


def baseline_down(scene: Scene) -> Write | None:
    """It helps the primary until that is what it shall be; a Deployment of the user's stays."""
    live = scene.baseline
    if scene.intent.workload.baseline or live is None or not is_owned_by(live, scene.canary):
        return None
    if live["metadata"].get("deletionTimestamp"):
        return None
    return Write(verb="delete", ref=scene.baseline_ref, why="baseline down", whole=live)


def apex(scene: Scene) -> Write | Wait | None:
    """S selects the primary, from the moment on that the primary can serve and, where S is in use,
    that proxies know its pods."""
    if not scene.makes_services:
        return None
    found = service_write(scene, "apex")
    if found is None or scene.apex_is_on_primary:
        return found
    is_new = found.live is None
    if scene.parts is not None and not is_new:
        return found  # the pods are those that it had
    return unready_primary(scene) or (None if is_new else unknown_primary(scene)) or found


def routes(scene: Scene) -> Write | Read | Wait | None:
    """The route objects say what the intent says, where there is capacity for it."""
    live = scene.world.live
    rendered = scene.mesh.mesh.render(scene.exposure, scene.routes, live)
    for whole in rendered:
        found = live.get(ref_of(whole))
        if found == whole:
            continue
        blocked = no_capacity(scene, is_new=found is None)
        if blocked is None and found is not None and scene.seen is None:
            blocked = unknown_primary(scene)  # somebody else's requests come this way
        if blocked is not None:
            return blocked
        step = _route(scene, found, whole, written=[ref_of(obj) for obj in rendered])
        return msgspec.structs.replace(step, risk=unannounced(scene))
    return None


def _route(scene: Scene, found: Obj | None, whole: Obj, written: Collection[Ref]) -> Write:
    """How a route object is written: applied, as the mesh would render it if there were none yet.

    Of a route that the Canary only refers to a few entries of lists are ours. An apply would claim
    the lists, so they are patched, and only in the version that was looked at.
    """
    ref, shares = ref_of(whole), f"routes {scene.routes.primary}/{scene.routes.canary}"
    if found is not None and scene.exposure.is_route(ref.kind, ref.name):
        return Write(verb="patch", ref=ref, why=shares, whole=whole, live=found)
    # The user's own route is read, not made: what is rendered beside it needs it.
    made = [one for one in written if not scene.exposure.is_route(one.kind, one.name)]
    plain = scene.world.live.without(made)
    fresh = scene.mesh.mesh.render(scene.exposure, scene.routes, plain)
    (ours,) = (obj for obj in fresh if ref_of(obj) == ref)
    # An object without a namespace cannot be owned by one that has one.
    if ref.namespace and (found is None or is_owned_by(found, scene.canary)):
        # Applying without it would give up the owner reference that the last apply set.
        ours["metadata"]["ownerReferences"] = [owner_reference(scene.canary)]
    if found is None:
        whole = ours
    elif notes := notes_of(whole):
        # What an object was is noted in the very write that changes it, and only of that version.
        ours["metadata"]["annotations"] = {**annotations_of(ours), **notes}
        if notes != notes_of(found):
            ours["metadata"]["resourceVersion"] = found["metadata"].get("resourceVersion", "")
    return Write(verb="apply", ref=ref, why=shares, whole=whole, ours=ours, live=found)


def routes_are_true(scene: Scene) -> Wait | None:
    """Written is not enough: the proxies' controllers must have taken it."""
    if isinstance(scene.observed, NotYet):
        return Wait(scene.observed.why)
    wanted, found = scene.routes, scene.observed
    if (wanted.primary, wanted.canary, wanted.mirror) != (
        found.primary,
        found.canary,
        found.mirror,
    ):
        return Wait(f"routes are {found.primary}/{found.canary}")
    return None


def canary_down(scene: Scene) -> Write | Wait | None:
    """Teardown comes last: no share, proxies have followed, and the primary serves."""
    if scene.intent.workload.canary != "parked" or not scene.has_pods:
        return None
    of_ours = standins.down(scene)
    found = of_ours or (None if scene.world.was_parked else standins.rest(scene))
    if found is None:
        return None
    if of_ours is None and scene.intent.revision not in ("", scene.target_revision):
        return Wait("the target changed; it is left alone until that is decided on")
    if not is_off(scene.seen or scene.routes) or not scene.apex_is_on_primary:
        return Wait("requests still reach the canary")
    if not scene.primary_serves and scene.canary_serves:
        return Wait(f"{scene.primary_text} has no available pod; the canary is kept")
    return standins.kept(scene) or found


def standin_away(scene: Scene) -> Write | Read | Wait | None:
    """S leads to all pods with the target's labels again: those of a stand-in have ended by then.
    Where the primary cannot take their requests they go with the Canary."""
    found = standins.down(scene)
    if found is None or scene.primary_readiness.state != "ready":
        return None
    if not is_off(scene.seen or scene.routes):
        return routes(scene) or routes_are_true(scene)
    return standins.kept(scene) or found


def everything_was_there(scene: Scene) -> Wait | None:
    """What is missing did not keep traffic from going where it should, but it is missing."""
    if scene.target is None:
        return Wait(f"{scene.target_text} not found", error=True)
    reference = scene.intent.workload.autoscaler
    if reference is not None and scene.scaler is None:
        return Wait(f"{reference.kind} {reference.name}.{scene.canary.namespace} not found")
    return None


RULES: tuple[Rule, ...] = (
    nothing_in_the_way,
    target_is_releasable,
    backends,
    canary_up,
    standins.scaler_up,
    promotion.primary_exists,
    promotion.primary_is_known,
    promotion.autoscaler_exists,
    baseline_up,
    promotion.undiverged,
    apex,
    routes,
    routes_are_true,
    standins.aside,
    standins.renewed,
    promotion.promoted,
    promotion.undone,
    promotion.rolled_out,
    baseline_down,
    canary_down,
    promotion.pruned,
    promotion.unscaled,
    promotion.autoscaler_freed,
    everything_was_there,
)


RELEASING: tuple[Rule, ...] = (
    releasing.scaler_back,
    releasing.target_up,
    releasing.target_ready,
    standin_away,
    releasing.apex_back,
    releasing.routes_back,
    releasing.proxies_follow,
)


# Nothing is copied: one workload, and a border that moves (`core/inplace.py`).
IN_PLACE: tuple[Rule, ...] = (
    nothing_in_the_way,
    target_is_releasable,
    inplace.stopped,
    backends,
    inplace.known,
    apex,
    inplace.canary_up,
    inplace.who_serves,
    routes,
    routes_are_true,
    inplace.promoted,
    promotion.undone,
    inplace.canary_down,
    inplace.made_one,
    inplace.canary_grows,
    inplace.share_is_reached,
    everything_was_there,
)


RELEASING_IN_PLACE: tuple[Rule, ...] = (
    opened,
    releasing.apex_back,
    releasing.routes_back,
    releasing.proxies_follow,
    releasing.target_up,
)


def walk(intent: Intent, world: World) -> Iterator[tuple[World, Write]]:
    """Each write of the plan with the world that it finds, for whoever checks every prefix."""
    for step in plan(intent, world).steps:
        yield world, step
        world = after(world, step)
