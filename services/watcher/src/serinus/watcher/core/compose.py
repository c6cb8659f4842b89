"""Cached objects in, one CanaryObserved out. Pure.

A snapshot is the whole truth about one canary as far as the cluster tells it; nothing in it depends
on what was seen before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from serinus.events import (
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
    MetricTemplateSpec,
    Problem,
    Readiness,
    WorkloadSeen,
)
from serinus.events.canary import (
    IN_PLACE,
    RUNNING_PHASES,
    STATEFUL_SET,
    analysis_of,
    canary_placement,
    canary_ready_threshold,
    placed_fields,
    primary_ready_threshold,
    service_name,
    workload_kind,
)
from serinus.kube import standin
from serinus.kube.configs import KINDS as CONFIG_KINDS
from serinus.kube.configs import ConfigSeen, Tracking, references, track
from serinus.kube.partition import Part
from serinus.kube.refs import Obj, Ref, controller_of
from serinus.kube.revision import same_template
from serinus.kube.times import unix
from serinus.watcher.core.decode import decode_spec, decode_status
from serinus.watcher.core.index import (
    canary_topic,
    config_topic,
    provider_topic,
    template_topic,
    workload_topic,
)
from serinus.watcher.core.trim import ANNOTATED_BY
from serinus.watcher.core.workloads import (
    WITH_COPIES,
    Policy,
    governs,
    template_of,
    timing,
    unreleasable,
    workload_seen,
)

_CONFIG_KINDS: dict[str, str] = {word: kind for kind, word in CONFIG_KINDS.items()}
# Phases of a Canary that is at nothing yet.
_BEFORE = frozenset({"", None, "Initializing"})
HEARD = ("flagger.app/", "appmesh.flagger.app/", "kuma.io/mesh")


class View(Protocol):
    """What is known of the cluster now. Trimmed objects; see `core.trim`."""

    def workload(self, namespace: str, kind: str, name: str) -> Obj | None: ...

    def pods(self, namespace: str, kind: str, name: str) -> Sequence[Obj]: ...

    def config(self, namespace: str, key: str) -> Obj | None: ...

    def config_seen(self, namespace: str, key: str) -> ConfigSeen | None: ...

    def template(self, namespace: str, name: str) -> Obj | None: ...

    def has_provider(self, namespace: str, name: str) -> bool: ...

    def canaries_of(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        """The Canaries whose target this workload is."""
        ...


class Composed(Struct, frozen=True):
    """A snapshot, and the topics a change of which makes another one necessary."""

    snapshot: CanaryObserved
    topics: frozenset[str]


class _Templates(Struct, frozen=True):
    """MetricTemplates by `<namespace>/<name>`, without secrets."""

    specs: dict[str, MetricTemplateSpec]
    private: tuple[str, ...]
    problems: tuple[Problem, ...]


def compose(canary: Obj, view: View, policy: Policy, at: float) -> Composed:
    """Everything that is known about this canary; `at` is now, in Unix seconds."""
    meta = canary["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    spec, spec_problems = decode_spec(canary.get("spec"))
    status, status_problems = decode_status(canary.get("status"))
    ref = CanaryRef(namespace, name, meta.get("uid", ""))
    target, primary = _workloads(ref, spec, status, view, policy)
    kind = workload_kind(spec.target_ref)
    target_obj = view.workload(namespace, kind, target.name)
    primary_obj = view.workload(namespace, kind, primary.name)
    standin_obj = view.workload(namespace, kind, target.standin) if target.standin else None
    tracking = _tracking(namespace, spec, target_obj, view, policy)
    templates = _templates(namespace, spec, view)
    topics = _topics(namespace, name, spec, target_obj, target.standin)
    snapshot = CanaryObserved(
        canary=ref,
        resource_version=meta.get("resourceVersion", ""),
        generation=meta.get("generation", 0),
        created=meta.get("creationTimestamp") or "",
        deleting=bool(meta.get("deletionTimestamp")),
        finalizers=tuple(meta.get("finalizers") or ()),
        annotations=_heard(meta.get("annotations") or {}),
        annotated_by=dict(meta.get(ANNOTATED_BY) or {}),
        labels=dict(meta.get("labels") or {}),
        spec=spec,
        status=status,
        target=target,
        primary=primary,
        same_template=_same(target_obj, primary_obj, target, spec, policy),
        configs=None if tracking is None else tracking.checksums,
        missing_configs=() if tracking is None else tracking.missing,
        templates=templates.specs,
        template_private=templates.private,
        missing_providers=tuple(
            f"{where}/{name}"
            for where, name in _provider_refs(namespace, spec)
            if not view.has_provider(where, name)
        ),
        rivals=_rivals(canary, spec, view, primary_obj),
        problems=(*spec_problems, *status_problems, *templates.problems),
        versions=_versions([canary, target_obj, primary_obj, standin_obj, *_used(topics, view)]),
        at=at,
    )
    return Composed(snapshot, topics)


def _heard(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations that mean something to us (reference 3.10); others' are nobody's business."""
    return {key: value for key, value in annotations.items() if key.startswith(HEARD)}


def missing(snapshot: CanaryObserved) -> frozenset[Ref]:
    """The objects that a snapshot says do not exist, and the canary cannot do without."""
    namespace, target = snapshot.canary.namespace, snapshot.target
    found = {
        Ref("v1", _CONFIG_KINDS[word], namespace, name)
        for word, _, name in (config.partition("/") for config in snapshot.missing_configs)
    }
    if target.name and not target.found and not target.error:
        kind = snapshot.spec.target_ref.kind
        found.add(Ref(target.api_version, kind, namespace, target.name))
    return frozenset(found)


def content(snapshot: CanaryObserved) -> bytes:
    """A digest of what a snapshot says, apart from when and from which versions it was made.

    The Canary's own resourceVersion counts: status is written with it as precondition.
    """
    replace = msgspec.structs.replace
    said = replace(
        snapshot,
        at=0.0,
        versions="",
        target=replace(snapshot.target, resource_version=""),
        primary=replace(snapshot.primary, resource_version=""),
    )
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).digest()


def _workloads(
    canary: CanaryRef, spec: CanarySpec, status: CanaryStatus, view: View, policy: Policy
) -> tuple[WorkloadSeen, WorkloadSeen]:
    namespace, kind, name = canary.namespace, workload_kind(spec.target_ref), spec.target_ref.name
    refusal = unreleasable(spec.target_ref)
    since = _unix_s(status.last_transition_time)
    primary_name = _primary_of(kind, name) if name else ""

    def seen(which: str, threshold: int, part: Part) -> WorkloadSeen:
        found = None if refusal or not which else view.workload(namespace, kind, which)
        error = "" if part == "primary" else refusal or governs(found, service_name(spec))
        return workload_seen(
            which,
            kind,
            found,
            pods=view.pods(namespace, kind, which) if found else (),
            timing=timing(spec, threshold, since),
            policy=policy,
            part=part,
            error=error,
        )

    target = seen(name, canary_ready_threshold(spec), "canary")
    if kind in standin.KINDS and name:
        live = view.workload(namespace, kind, name + standin.SUFFIX)
        found = standin.in_place(live, canary)
        is_due = canary_placement(spec) is not None and status.phase in RUNNING_PHASES
        if found is not None or is_due:
            target = _stood_in_for(
                target, found, seen(name + standin.SUFFIX, canary_ready_threshold(spec), "canary")
            )
    return target, seen(primary_name, primary_ready_threshold(spec), "primary")


def _stood_in_for(target: WorkloadSeen, found: Obj | None, seen: WorkloadSeen) -> WorkloadSeen:
    """The target, as its stand-in runs the canary: one of another revision does not run this one.

    found  the stand-in; None: it is not there yet
    seen   the same
    """
    is_there = found is not None and standin.runs(found) == target.revision
    return msgspec.structs.replace(
        target,
        standin=seen.name,
        replicas=seen.replicas if is_there else 0,
        readiness=seen.readiness if is_there else Readiness("waiting"),
    )


def _primary_of(kind: str, target: str) -> str:
    """Where it is no workload of its own, the primary is a revision of the target."""
    return target if kind in IN_PLACE else f"{target}-primary"


def _tracking(
    namespace: str, spec: CanarySpec, target: Obj | None, view: View, policy: Policy
) -> Tracking | None:
    if not policy.config_tracking or spec.target_ref.kind not in WITH_COPIES:
        return None
    return track(template_of(target), lambda key: view.config_seen(namespace, key))


def _same(
    target_obj: Obj | None,
    primary_obj: Obj | None,
    target: WorkloadSeen,
    spec: CanarySpec,
    policy: Policy,
) -> bool | None:
    if target_obj is None or primary_obj is None or target.selector is None:
        return None
    if target.kind == STATEFUL_SET:
        return None
    return same_template(
        template_of(target_obj),
        template_of(primary_obj),
        name=target.name,
        selector=target.selector,
        selector_labels=policy.selector_labels,
        kind=target.kind,
        placed=placed_fields(spec.primary_pods),
    )


def _templates(namespace: str, spec: CanarySpec, view: View) -> _Templates:
    specs: dict[str, MetricTemplateSpec] = {}
    private: list[str] = []
    problems: list[Problem] = []
    for index, where, name in _template_refs(namespace, spec):
        found = view.template(where, name)
        key = f"{where}/{name}"
        if found is None or key in specs:
            continue  # The analyzer says what is missing, when it comes to that metric.
        try:
            whole = msgspec.convert(found.get("spec") or {}, MetricTemplateSpec)
        except msgspec.ValidationError as error:
            path = f"spec.analysis.metrics[{index}].templateRef"
            problems.append(Problem(path, f"MetricTemplate {key}: {error}", "correct the template"))
            continue
        specs[key], is_private = _public(whole)
        private += [key] if is_private else []
    return _Templates(specs, tuple(sorted(private)), tuple(problems))


def _template_refs(namespace: str, spec: CanarySpec) -> Iterator[tuple[int, str, str]]:
    """(index of the metric, namespace, name) of every MetricTemplate that is named."""
    for index, metric in enumerate(analysis_of(spec).metrics):
        if metric.template_ref is not None:
            yield index, metric.template_ref.namespace or namespace, metric.template_ref.name


def _provider_refs(namespace: str, spec: CanarySpec) -> Sequence[tuple[str, str]]:
    """(namespace, name) of every AlertProvider that is named, once."""
    refs = (alert.provider_ref for alert in analysis_of(spec).alerts)
    return tuple(dict.fromkeys((ref.namespace or namespace, ref.name) for ref in refs))


def _public(spec: MetricTemplateSpec) -> tuple[MetricTemplateSpec, bool]:
    """The template without headers and user information, and whether it had any."""
    provider = spec.provider
    address = _without_user(provider.address)
    if not provider.headers and address == provider.address:
        return spec, False
    public = msgspec.structs.replace(provider, headers={}, address=address)
    return msgspec.structs.replace(spec, provider=public), True


def _without_user(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        # Not an address; what it is cannot be told, so it does not travel.
        return "" if "@" in address else address
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _rivals(canary: Obj, spec: CanarySpec, view: View, primary: Obj | None) -> tuple[str, ...]:
    """The names of older Canaries with the same target: they go on, this one waits."""
    target = spec.target_ref
    namespace = canary["metadata"]["namespace"]
    found = view.canaries_of(namespace, workload_kind(target), target.name)
    owner = str((controller_of(primary or {"metadata": {}}) or {}).get("uid", ""))
    ranks = (_rank(one, owner) for one in found)
    own = _rank(canary, owner)
    return tuple(rank[-1] for rank in sorted(ranks) if rank < own)


def _rank(canary: Obj, owner: str) -> tuple[str, bool, bool, str]:
    """Sorts Canaries by age; of those made in one second the owner of the primary comes first, then
    what is initialised, then the name.

    Kubernetes writes whole seconds, and a newcomer must not push aside what is at work.
    """
    meta = canary["metadata"]
    status = canary.get("status")
    phase = status.get("phase") if isinstance(status, dict) else ""
    created, is_initialised = str(meta.get("creationTimestamp", "")), phase not in _BEFORE
    return created, meta.get("uid", "") != owner, not is_initialised, meta["name"]


def _topics(
    namespace: str, name: str, spec: CanarySpec, target: Obj | None, standin: str
) -> frozenset[str]:
    kind, workload = workload_kind(spec.target_ref), spec.target_ref.name
    return frozenset(
        {
            canary_topic(namespace, name),
            workload_topic(namespace, kind, workload),
            workload_topic(namespace, kind, _primary_of(kind, workload)),
            *([workload_topic(namespace, kind, standin)] if standin else ()),
            *(config_topic(namespace, key) for key in references(template_of(target))),
            *(template_topic(where, name) for _, where, name in _template_refs(namespace, spec)),
            *(provider_topic(where, name) for where, name in _provider_refs(namespace, spec)),
        }
    )


def _used(topics: frozenset[str], view: View) -> Iterator[Obj | None]:
    """The other objects behind these topics."""
    for topic in sorted(topics):
        what, namespace, name = topic.split("/", 2)
        if what == "template":
            yield view.template(namespace, name)
        elif what in ("configmap", "secret"):
            yield view.config(namespace, f"{what}/{name}")


def _versions(objects: Sequence[Obj | None]) -> str:
    """A digest of the resourceVersions that a snapshot was made from."""
    versions = [obj["metadata"].get("resourceVersion", "") if obj else "-" for obj in objects]
    return hashlib.sha256("/".join(versions).encode()).hexdigest()[:16]


def _unix_s(text: str) -> float | None:
    try:
        return unix(text)
    except ValueError:
        return None
