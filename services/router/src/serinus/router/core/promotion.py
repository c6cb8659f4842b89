"""How the primary comes to be, and to run exactly what was analysed (reference 3.1 to 3.4, 3.8).

The primary remembers what it was given: the revision and the checksums of the configs. That makes
promotion idempotent, and lets a rollout that changes no config read and copy none.
"""

from __future__ import annotations

import msgspec

from serinus.events.canary import placed_fields
from serinus.kube.configs import checksum, is_tracked, is_unchanged, references
from serinus.kube.refs import Obj, ref_of
from serinus.kube.revision import revised, same_template
from serinus.router import configs
from serinus.router.core import floors
from serinus.router.core.objects import AUTOSCALER, PROMOTED_REVISION, Refusal, annotations_of
from serinus.router.core.scene import Scene, canary_of, primary_of, scaler_ref
from serinus.router.core.steps import Read, Wait, Write
from serinus.router.scalers import catalog as scalers
from serinus.router.scalers.catalog import Scaler
from serinus.router.workloads import knative, service
from serinus.router.workloads import primary as workloads
from serinus.router.workloads.deployment import replicas
from serinus.router.workloads.primary import Making

# How long a missing config is waited for before another look.
LOOK_AGAIN_S = 10.0


def primary_exists(scene: Scene) -> Write | Read | Wait | None:
    """A missing primary is made from the target: its configs first, so that its pods can start."""
    if scene.primary is not None:
        return None
    if scene.target is None:
        return Wait(f"{scene.target_text} not found", error=True)
    if not scene.intent.workload.initialise:
        # What the target runs was not judged yet, or was found bad.
        return Wait(f"{scene.primary_text} not found", error=True)
    same_revision(scene)
    tracked = _all_configs(scene, scene.target)
    if not isinstance(tracked, dict):
        return tracked
    step = _next_copy(scene, tracked)
    if step is not None:
        return step
    whole = scene.kind.primary(scene.target, making(scene, tracked))
    return Write(verb="create", ref=scene.primary_ref, why="primary", whole=whole)


def primary_is_known(scene: Scene) -> Write | None:
    """A primary that somebody else promoted gets our note, and no rollout, where it runs what the
    target runs (reference 11.5)."""
    primary, target = scene.primary, scene.target
    if primary is None or target is None or scene.promoted_note(PROMOTED_REVISION):
        return None
    if not _runs_the_same(scene, target, primary):
        return None
    known = not references(revised(target))
    whole = workloads.adopted(primary, making(scene, {}), configs_known=known)
    return Write(
        verb="patch", ref=scene.primary_ref, why="primary adopted", whole=whole, live=primary
    )


def _runs_the_same(scene: Scene, target: Obj, primary: Obj) -> bool:
    if scene.is_own_primary:
        return knative.is_live(target)
    if not scene.has_pods:
        return service.same(target, primary)
    return same_template(
        target["spec"]["template"],
        primary["spec"]["template"],
        name=scene.target_ref.name,
        selector=scene.selector,
        selector_labels=scene.world.options.selector_labels,
        kind=scene.target_ref.kind,
        placed=placed_fields(scene.intent.workload.primary_pods),
    )


def autoscaler_exists(scene: Scene) -> Write | None:
    """The primary has an autoscaler of its own; it follows the target's at promotions only, and
    keeps the primary large enough for everybody while the canary runs."""
    reference, source = scene.intent.workload.autoscaler, scene.scaler
    ref = scaler_ref(scene.intent)
    if reference is None or source is None or ref is None or scene.primary is None:
        return None
    scaler = scalers.row_of(reference.kind).scaler
    live = scene.world.live.get(primary_of(ref))
    if live is None:
        noted = scene.promoted_note(AUTOSCALER)
        if noted != _named(scene):
            # Two must not scale one primary: the copy of another goes first (`unscaled`).
            return None if noted else _noted(scene, _named(scene), "autoscaler noted")
        whole = scaler.primary(source, reference, scene.canary)
        whole = floors.held(whole, _least_size(scene, whole, scaler), scaler)
        return Write(verb="create", ref=ref_of(whole), why="autoscaler", whole=whole)
    size = _least_size(scene, live, scaler)
    whole = live
    if scene.intent.workload.promote:
        whole = scaler.updated(floors.freed(live, scaler), source, reference)
    whole = floors.held(whole, size, scaler)
    if whole == live:
        return None
    return Write(verb="patch", ref=ref_of(whole), why="autoscaler", whole=whole, live=live)


def unscaled(scene: Scene) -> Write | None:
    """What scaled the primary because of an `autoscalerRef` that is another or none now goes when
    nobody is on the canary any more; the primary keeps the size that it has."""
    noted = scene.promoted_note(AUTOSCALER)
    if scene.intent.workload.canary != "parked" or noted in ("", _named(scene)):
        return None
    kind, _, name = noted.partition("/")
    ref = scalers.ref_of(kind, scene.canary.namespace, name)
    stale = (primary_of(ref), canary_of(ref)) if ref else ()
    found = _noted(scene, "", "stale autoscaler")
    return msgspec.structs.replace(found, verb="prune", stale=stale)


def _noted(scene: Scene, note: str, why: str) -> Write:
    """The primary with this note of what its autoscaler was made from."""
    primary = scene.primary
    assert primary is not None
    annotations = {k: v for k, v in annotations_of(primary).items() if k != AUTOSCALER}
    annotations |= {AUTOSCALER: note} if note else {}
    whole = {**primary, "metadata": {**primary["metadata"], "annotations": annotations}}
    return Write(verb="patch", ref=scene.primary_ref, why=why, whole=whole, live=primary)


def _named(scene: Scene) -> str:
    """The target's autoscaler as the note has it, "" where there is none."""
    reference = scene.intent.workload.autoscaler
    return f"{reference.kind}/{reference.name}" if reference else ""


def _least_size(scene: Scene, live: Obj, scaler: Scaler) -> int:
    """What the primary must not fall below; 0: nothing is known against it."""
    kept = floors.floor(live, scaler)
    # Before S leads to a new primary it has nothing to do, and gets everybody at once.
    is_new = not scene.apex_is_on_primary
    if scene.primary is None or not (is_new or scene.intent.workload.canary == "running"):
        return kept
    size = replicas(scene.primary)
    # It has served everybody until now, or will: later it will have fewer, and they are no measure.
    kept = kept or size
    if not scene.intent.workload.promote or scene.target is None or is_promoted(scene):
        return kept
    share = scene.seen.canary if scene.seen else 0
    return max(
        kept, floors.for_everybody(size, replicas(scene.target_as_run or scene.target), share)
    )


def autoscaler_freed(scene: Scene) -> Write | None:
    """The primary's autoscaler is its own again, when what it measures is everybody's load."""
    found = _held_scaler(scene)
    if found is None or scene.world.unchanged_s < floors.KEPT_S:
        return None
    live, scaler = found
    whole = floors.freed(live, scaler)
    return Write(verb="patch", ref=ref_of(live), why="autoscaler freed", whole=whole, live=live)


def freed_in_s(scene: Scene) -> float | None:
    """In how many seconds that will be; None: there is nothing to wait for."""
    if _held_scaler(scene) is None:
        return None
    return max(0.0, floors.KEPT_S - scene.world.unchanged_s)


def _held_scaler(scene: Scene) -> tuple[Obj, Scaler] | None:
    """The primary's autoscaler and its kind, where it is held and no canary needs that."""
    reference, ref = scene.intent.workload.autoscaler, scaler_ref(scene.intent)
    if reference is None or ref is None or scene.intent.workload.canary != "parked":
        return None
    live, scaler = scene.world.live.get(primary_of(ref)), scalers.row_of(reference.kind).scaler
    return (live, scaler) if live is not None and floors.floor(live, scaler) else None


def undiverged(scene: Scene) -> None:
    """What will not be promoted is told before anything is waited for: pods of a template that was
    pushed meanwhile may never become ready. Raises Refusal."""
    if scene.intent.workload.promote and scene.target is not None and not is_promoted(scene):
        same_revision(scene)


def promoted(scene: Scene) -> Write | Read | Wait | None:
    """The primary gets the analysed revision with the analysed configs, or nothing at all."""
    primary, target = scene.primary, scene.target
    if not scene.intent.workload.promote or primary is None:
        return None
    if not scene.intent.revision:
        raise Refusal("Diverged", "asked to promote, but no revision was decided on")
    if is_promoted(scene):
        return None
    if target is None:
        return Wait(f"{scene.target_text} not found", error=True)
    same_revision(scene)
    tracked = _analysed_configs(scene, target, scene.intent.configs, "Diverged")
    if not isinstance(tracked, dict):
        return tracked
    step = _next_copy(scene, tracked)
    if step is not None:
        return step
    whole = scene.kind.promoted(primary, scene.target_as_run or target, making(scene, tracked))
    return Write(verb="patch", ref=scene.primary_ref, why="promotion", whole=whole, live=primary)


def undone(scene: Scene) -> Write | Read | Wait | None:
    """The primary gets back what it was given once before, as its own controller has kept it.

    Nobody's note is trusted: a template is the one that is looked for when it has its hash.
    """
    undo, primary, target = scene.intent.workload.undo, scene.primary, scene.target
    if undo is None or primary is None or _was_given(scene, undo.revision, undo.configs):
        return None
    if target is None:
        return Wait(f"{scene.target_text} not found", error=True)
    if not scene.earlier_kind:
        raise Refusal("Lost", f"nothing is kept of what {scene.primary_text} ran before")
    if scene.world.earlier is None:
        return Read(earlier=True)
    earlier = scene.earlier_target(undo)
    if earlier is None:
        raise Refusal("Lost", f"{scene.primary_text} keeps no template of {undo.revision} any more")
    tracked = _analysed_configs(scene, earlier, undo.configs, "Lost")
    if not isinstance(tracked, dict):
        return tracked
    step = _next_copy(scene, tracked)
    if step is not None:
        return step
    made = msgspec.structs.replace(making(scene, tracked), revision=undo.revision)
    whole = scene.kind.promoted(primary, earlier, made)
    return Write(verb="patch", ref=scene.primary_ref, why="undo", whole=whole, live=primary)


def rolled_out(scene: Scene) -> Wait | None:
    """A promotion is done when the primary's pods run it, and so is its undoing."""
    workload = scene.intent.workload
    if not (workload.promote or workload.undo):
        return None
    least = _kept_at(scene)
    if scene.primary is not None and replicas(scene.primary) < least:
        return Wait(f"{scene.primary_text} is scaled up to {least} for everybody")
    if scene.primary_readiness.state == "ready":
        return None
    return Wait(f"{scene.primary_text} not ready: {scene.primary_readiness.text}")


def _kept_at(scene: Scene) -> int:
    """What the primary's autoscaler keeps it at because of us, 0 where it does not."""
    reference, ref = scene.intent.workload.autoscaler, scaler_ref(scene.intent)
    live = scene.world.live.get(primary_of(ref)) if ref else None
    if reference is None or live is None:
        return 0
    return floors.floor(live, scalers.row_of(reference.kind).scaler)


def pruned(scene: Scene) -> Write | None:
    """Copies that the primary uses no more go, once the release is over (11.3 no. 15)."""
    primary = scene.primary
    if primary is None or scene.intent.workload.canary != "parked":
        return None
    stale = workloads.stale_configs(primary)
    if not stale or scene.primary_readiness.state != "ready":
        return None
    return Write(
        verb="prune",
        ref=scene.primary_ref,
        why="stale copies",
        whole=workloads.pruned(primary),
        live=primary,
        stale=tuple(configs.copy_ref(key, scene.canary.namespace) for key in stale),
    )


def is_promoted(scene: Scene) -> bool:
    """Whether the primary was given the intent's revision and configs already."""
    return _was_given(scene, scene.intent.revision, scene.intent.configs)


def _was_given(scene: Scene, revision: str, wanted: dict[str, str] | None) -> bool:
    if scene.promoted_note(PROMOTED_REVISION) != revision:
        return False
    if wanted is None or not scene.world.options.config_tracking:
        return True
    had = workloads.promoted_configs(scene.primary) if scene.primary else None
    return had is not None and _is_same(had, wanted)


def making(scene: Scene, tracked: dict[str, str]) -> Making:
    """What the primary is made of, with copies of these configs."""
    assert scene.target is not None
    options = scene.world.options
    return Making(
        canary=scene.canary,
        selector=scene.selector if scene.has_pods else None,
        revision=scene.target_revision,
        configs=tracked,
        label_prefixes=options.label_prefixes,
        selector_labels=options.selector_labels,
        autoscaler=scene.promoted_note(AUTOSCALER) or _named(scene),
        least=_kept_at(scene),
        placement=scene.intent.workload.primary_pods,
    )


def same_revision(scene: Scene) -> None:
    """Raises Refusal when the target runs something else than was decided about."""
    runs = scene.target_revision
    if scene.intent.revision and runs != scene.intent.revision:
        raise Refusal(
            "Diverged",
            f"{scene.target_text} runs revision {runs}, but {scene.intent.revision} was decided on",
        )


def _all_configs(scene: Scene, target: Obj) -> dict[str, str] | Read | Wait:
    """Checksums of every config that a new primary gets a copy of, or what must be read first."""
    if not scene.world.options.config_tracking or not scene.has_pods:
        return {}
    contents = scene.world.contents
    used = references(target["spec"]["template"])
    unread = tuple(key for key in used if key not in contents)
    if unread:
        return Read(unread)
    known: dict[str, str] = {}
    for key, required in used.items():
        found = contents[key]
        if found is not None and is_tracked(found):
            known[key] = checksum(found)
        elif found is None and required:
            return _missing(scene, key)
    return known


def _analysed_configs(
    scene: Scene, target: Obj, analysed: dict[str, str] | None, otherwise: str
) -> dict[str, str] | Read | Wait:
    """Checksums of the configs that the primary is to be given: those that were analysed.

    What its copies hold already needs no look. Raises Refusal, `otherwise` its reason, where what
    is there now is not what was analysed.
    """
    if analysed is None:
        return _all_configs(scene, target)
    had = _copies_hold(scene)
    contents = scene.world.contents
    known = {k: had[k] for k, v in analysed.items() if k in had and is_unchanged(v, had[k])}
    unread = tuple(key for key in analysed if key not in known and key not in contents)
    if unread:
        return Read(unread)
    for key in analysed.keys() - known.keys():
        found = contents[key]
        known[key] = checksum(found) if found is not None else ""
        if found is None or not is_unchanged(analysed[key], known[key]):
            what = "is not the one that was analysed" if found else "was analysed and is gone"
            raise Refusal(otherwise, f"{_config_text(scene, key)} {what}")
    return known


def _missing(scene: Scene, key: str) -> Wait:
    """The reference's text. Contents are not watched, so only time can bring another look."""
    kind, _, name = key.partition("/")
    text = f"{_config_text(scene, key)} get query error"
    failed = f"createPrimary{scene.target_ref.kind} failed: GetTargetConfigs failed"
    why = f'{failed}: {text}: {text}: {kind}s "{name}" not found'
    return Wait(why, after_s=LOOK_AGAIN_S, error=True)


def _copies_hold(scene: Scene) -> dict[str, str]:
    return (workloads.promoted_configs(scene.primary) if scene.primary else None) or {}


def _next_copy(scene: Scene, tracked: dict[str, str]) -> Write | None:
    """The first copy that does not hold what it should."""
    had = _copies_hold(scene)
    for key, wanted in sorted(tracked.items()):
        if wanted in (had.get(key), scene.world.copied.get(key)):
            continue
        source = scene.world.contents[key]
        assert source is not None
        whole = configs.copy_of(source, scene.canary, scene.world.options.label_prefixes)
        return Write(
            verb="copy", ref=ref_of(whole), why=f"copy of {key}", whole=whole, checksum=wanted
        )
    return None


def _is_same(had: dict[str, str], wanted: dict[str, str]) -> bool:
    return had.keys() == wanted.keys() and all(is_unchanged(wanted[k], had[k]) for k in wanted)


def _config_text(scene: Scene, key: str) -> str:
    kind, _, name = key.partition("/")
    return f"{kind} {name}.{scene.canary.namespace}"
