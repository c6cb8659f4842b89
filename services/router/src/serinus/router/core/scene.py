"""One canary's objects by the part they play, read off an intent and the live objects."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

import msgspec

from serinus.events import Exposure, Intent, Readiness, Routes, Selector
from serinus.events.canary import Undo, placed_fields, workload_kind
from serinus.kube.partition import Part, Parts, parts, selects_all
from serinus.kube.readiness import readiness
from serinus.kube.refs import NoSelectorLabel, Obj, Ref, selector_of
from serinus.kube.revision import revised, template_hash
from serinus.kube.standin import KINDS as STANDS_IN
from serinus.kube.standin import ROLE, in_place
from serinus.kube.standin import runs as standin_runs
from serinus.router import services
from serinus.router.core.objects import NotYet, Refusal, annotations_of
from serinus.router.core.parted import (
    canary_selects,
    eased,
    is_ready,
    pods_by_ordinal,
    pods_key,
    primary_selects,
    runs,
)
from serinus.router.core.routes import checked, is_off
from serinus.router.core.steps import World
from serinus.router.meshes import catalog as meshes
from serinus.router.scalers import catalog as scalers
from serinus.router.workloads import baseline, deployment, earlier
from serinus.router.workloads import catalog as workloads


def target_ref(intent: Intent) -> Ref:
    """The user's workload. The API version is ours to choose: apps/v1 for its kinds."""
    target = intent.workload.target
    row = workloads.WORKLOADS.get(workload_kind(target))
    api_version = row.api_version if row else target.api_version
    return Ref(api_version, target.kind, intent.canary.namespace, target.name)


def primary_of(ref: Ref) -> Ref:
    return msgspec.structs.replace(ref, name=f"{ref.name}-primary")


def baseline_of(ref: Ref) -> Ref:
    return msgspec.structs.replace(ref, name=f"{ref.name}{baseline.SUFFIX}")


def canary_of(ref: Ref) -> Ref:
    return msgspec.structs.replace(ref, name=f"{ref.name}-canary")


def scaler_ref(intent: Intent) -> Ref | None:
    """The target's autoscaler; None where there is none or its kind is unknown."""
    scaler = intent.workload.autoscaler
    return scalers.ref_of(scaler.kind, intent.canary.namespace, scaler.name) if scaler else None


def needs(intent: Intent) -> tuple[Ref, ...]:
    """Every object that a plan for this intent may look at, in no particular order."""
    target = target_ref(intent)
    found = [target, primary_of(target)]
    scaler = scaler_ref(intent)
    if scaler is not None:
        found += [scaler, primary_of(scaler), canary_of(scaler)]
    if target.kind == "Deployment":
        found += [baseline_of(target)]
    if target.kind in STANDS_IN or workload_kind(intent.workload.target) == "Service":
        found += [canary_of(target)]
    if intent.exposure.service is not None:
        found += [services.ref_for(intent.exposure, r) for r in ("apex", "primary", "canary")]
    row = meshes.find(intent.exposure.mesh)
    if row is not None:
        found += row.mesh.needs(intent.exposure)
    return tuple(found)


class Scene:
    """What a rule looks at. Everything is read once and never changed.

    Raises Refusal where the mesh or a kind is unknown, or the mesh cannot do what is needed.
    """

    def __init__(self, intent: Intent, world: World) -> None:
        self.intent = intent
        self.world = world
        self.canary = intent.canary
        self.mesh = meshes.row_of(intent.exposure.mesh)
        row = workloads.row_of(workload_kind(intent.workload.target))
        self.kind, self.has_pods = row.workload, row.has_pods
        self.earlier_kind = row.earlier
        self.is_own_primary = row.is_own_primary
        self.asked = checked(intent.routes)
        if not intent.release:
            meshes.check_abilities(self.mesh, (*intent.exposure.needs, *_asked(intent.routes)))
            if intent.workload.autoscaler is not None:
                scalers.row_of(intent.workload.autoscaler.kind)
        self.target_ref = target_ref(intent)
        name = self.target_ref.name
        if not self.has_pods and intent.exposure.name != name:
            why = f"spec.service.name must be {name}, the name of the Service that is the target"
            raise Refusal("Unsupported", why)
        own = self.target_ref if self.is_own_primary else None
        self.primary_ref = own or primary_of(self.target_ref)
        self.target = world.live.get(self.target_ref)
        self.primary = world.live.get(self.primary_ref)
        self.baseline_ref = baseline_of(self.target_ref)
        self.baseline = world.live.get(self.baseline_ref)
        self.standin_ref = canary_of(self.target_ref)
        live = world.live.get(self.standin_ref)
        self.standin = in_place(live, intent.canary) if self._may_stand_in else None
        self.is_parted = row.is_parted
        self.parts: Parts | None = parts(self.target) if row.is_parted and self.target else None

    @property
    def _may_stand_in(self) -> bool:
        return self.target_ref.kind in STANDS_IN

    @property
    def stands_in(self) -> bool:
        """Whether a stand-in runs the canary's pods: one that is there does until it goes."""
        workload = self.intent.workload
        is_wanted = workload.canary == "running" and workload.canary_pods is not None
        return self.standin is not None or (is_wanted and self._may_stand_in)

    @property
    def runner(self) -> Obj | None:
        """The workload that runs the canary's pods; None where it is not there."""
        return self.standin if self.stands_in else self.target

    @property
    def target_rests(self) -> bool:
        """Whether the target is to run nothing now."""
        running = self.intent.workload.canary == "running"
        return self.intent.workload.canary == "parked" or (running and self.stands_in)

    @property
    def standin_is_selected(self) -> bool:
        """Whether S-canary leads to the pods of the stand-in and to no others."""
        found = self.service("canary") if self.makes_services else None
        return found is not None and (found["spec"].get("selector") or {}).items() >= ROLE.items()

    @cached_property
    def routes(self) -> Routes:
        """What the routes shall say now: what is asked for, where pods are there for it."""
        if self.parts is None:
            return self.asked
        if self.intent.revision not in ("", self.target_revision):
            # The controller replaces the canary's pods at once: nobody is sent to the new ones.
            return msgspec.structs.replace(self.asked, primary=100, canary=0, mirror=False)
        return eased(self.asked, self.parts, self.seen)

    @cached_property
    def known_selector(self) -> Selector | None:
        known = self.intent.workload.selector or self.intent.exposure.selector
        if known is not None or self.target is None or not self.has_pods:
            return known
        try:
            return selector_of(self.target, self.world.options.selector_labels)
        except NoSelectorLabel:
            return None

    @cached_property
    def selector(self) -> Selector:
        """The label that tells primary pods from canary pods. Raises Refusal without one."""
        if self.known_selector is not None:
            return self.known_selector
        if self.target is None:
            raise Refusal("", f"{self.target_text} not found")
        labels = " ".join(self.world.options.selector_labels)
        raise Refusal(
            "Unsupported",
            f"{self.target_text} spec.selector.matchLabels must contain one of [{labels}]",
        )

    @cached_property
    def exposure(self) -> Exposure:
        """The intent's, with the selector and the ports that pods really have."""
        exposure = self.intent.exposure
        ports = exposure.ports
        service = exposure.service
        if service and service.port_discovery and not ports and self.target and self.has_pods:
            ports = services.discovered_ports(self.target)
        return msgspec.structs.replace(exposure, selector=self.known_selector, ports=ports)

    @cached_property
    def observed(self) -> Routes | NotYet:
        return self.mesh.mesh.observe(self.exposure, self.asked, self.world.live)

    @property
    def seen(self) -> Routes | None:
        """The live weights, accepted by the proxies or not; None where there are none yet."""
        return self.observed.routes if isinstance(self.observed, NotYet) else self.observed

    @property
    def makes_services(self) -> bool:
        """Whether S, S-primary and S-canary are made from the selector; else they are routes'."""
        return self.exposure.service is not None and self.has_pods

    def service(self, role: services.Role) -> Obj | None:
        return self.world.live.get(services.ref_for(self.exposure, role))

    @cached_property
    def apex_is_on_primary(self) -> bool:
        """Whether plain requests to S reach the primary only; true where S is not ours to point."""
        if not self.makes_services:
            return True
        apex, selector = self.service("apex"), self.known_selector
        if apex is None or selector is None:
            return False
        return (apex["spec"].get("selector") or {}) == self.selects("apex")

    def selects(self, role: services.Role) -> dict[str, str]:
        """What the Service that plays this role shall select. Raises Refusal without a label."""
        if self.parts is None or self.target is None:
            found = services.selects(role, self.selector)
            return {**found, **ROLE} if role == "canary" and self._is_alone else found
        live = self.service(role)
        held = (live["spec"].get("selector") or {}) if live else {}
        if role == "canary":
            return dict(canary_selects(self.target, self.parts, held, self.seen))
        if self.intent.release:
            return selects_all(self.target)
        promote = self.intent.workload.promote
        return dict(primary_selects(self.target, self.parts, held, promote=promote))

    @property
    def _is_alone(self) -> bool:
        """Whether requests for the canary may go to a stand-in alone, or do so already."""
        if self.standin is None:
            return False
        is_ready = self.canary_readiness.state == "ready"
        return self.standin_is_selected or is_ready or is_off(self.seen or self.asked)

    @property
    def signature(self) -> Hashable:
        """Where requests go now: two equal signatures in a row mean that nothing was moved."""
        seen = self.seen
        weights = (seen.primary, seen.canary, seen.mirror) if seen else None
        on_standin = self.standin_is_selected
        return self.apex_is_on_primary, isinstance(self.observed, NotYet), weights, on_standin

    @property
    def settle_s(self) -> float:
        override = self.world.options.settle_s
        return self.mesh.settle_s if override is None else override

    @cached_property
    def primary_readiness(self) -> Readiness:
        threshold = self.intent.workload.primary_ready_threshold
        return self._readiness(self.primary, threshold, "primary")

    @cached_property
    def target_readiness(self) -> Readiness:
        threshold = self.intent.workload.canary_ready_threshold
        return self._readiness(self.target, threshold, "canary")

    @cached_property
    def canary_readiness(self) -> Readiness:
        """That of the workload that runs the canary's pods."""
        if not self.stands_in:
            return self.target_readiness
        if self.standin is not None and standin_runs(self.standin) != self.intent.revision:
            return Readiness("waiting", "it runs another revision")
        return self._readiness(self.standin, self.intent.workload.canary_ready_threshold, "canary")

    def _readiness(self, workload: Obj | None, threshold: int, part: Part) -> Readiness:
        if workload is None:
            return Readiness("waiting", "it does not exist")
        deadline_s = self.intent.workload.progress_deadline_s
        return readiness(workload, threshold=threshold, deadline_s=deadline_s, part=part)

    @cached_property
    def pods(self) -> dict[int, Obj] | None:
        """A StatefulSet's pods by ordinal; None where they were not looked at."""
        listed = self.world.contents.get(pods_key(self.target)) if self.target else None
        return pods_by_ordinal(self.target, listed) if self.target and listed else None

    @property
    def is_parked(self) -> bool:
        return self.target is not None and self.kind.is_parked(self.target)

    @property
    def primary_serves(self) -> bool:
        """Whether a single primary pod could take a request."""
        if self.parts is not None and self.makes_services:
            service = self.service("primary")
            held = (service["spec"].get("selector") or {}) if service else {}
            if held != selects_all(self.target or {}):
                current = self.parts.current
                exact = [p for p in (self.pods or {}).values() if runs(p, current) and is_ready(p)]
                return self.parts.primary_available > 0 or bool(exact)
        return self.primary is not None and self.kind.available(self.primary) > 0

    @property
    def canary_serves(self) -> bool:
        """Whether a single pod of the canary's could take a request."""
        return self.canary_available > 0

    @property
    def canary_available(self) -> int:
        """How many pods of the canary's serve."""
        if self.parts is not None:
            return self.parts.canary_available
        return self.kind.available(self.runner) if self.runner is not None else 0

    @property
    def target_as_run(self) -> Obj | None:
        """The target with the size that its canary has."""
        if self.standin is None or self.target is None or self.target_ref.kind != "Deployment":
            return self.target
        return deployment.with_replicas(self.target, deployment.replicas(self.standin))

    @cached_property
    def target_revision(self) -> str:
        """The hash of what the target runs, "" where there is no target."""
        if self.target is None:
            return ""
        return template_hash(revised(self.target), kind=self.target_ref.kind)

    def earlier_target(self, undo: Undo) -> Obj | None:
        """The target as it was when the primary was given this revision; None: nobody knows."""
        assert self.target is not None
        labels = self.world.options.selector_labels
        placed = placed_fields(self.intent.workload.primary_pods)
        for kept in self.world.earlier or ():
            whole = earlier.target(
                self.target, kept, self.selector, undo.configs or {}, labels, placed
            )
            if template_hash(revised(whole), kind=self.target_ref.kind) == undo.revision:
                return whole
        return None

    @property
    def scaler(self) -> Obj | None:
        ref = scaler_ref(self.intent)
        return self.world.live.get(ref) if ref else None

    @property
    def scaler_minimum(self) -> int | None:
        """The least that the target's autoscaler wants; None where there is none."""
        reference = self.intent.workload.autoscaler
        if reference is None:
            return None
        row = scalers.SCALERS.get(reference.kind)
        return row.scaler.minimum(self.scaler) if row and self.scaler else 1

    @property
    def scaler_awake(self) -> Obj | None:
        """The target's autoscaler as it is while the canary runs; None where there is none."""
        return self._scaler_kind.resumed(self.scaler) if self._scaler_kind and self.scaler else None

    @property
    def scaler_asleep(self) -> Obj | None:
        """The target's autoscaler as it is while the canary is parked; None: there is none."""
        return self._scaler_kind.paused(self.scaler) if self._scaler_kind and self.scaler else None

    @property
    def _scaler_kind(self) -> scalers.Scaler | None:
        reference = self.intent.workload.autoscaler
        row = scalers.SCALERS.get(reference.kind) if reference else None
        return row.scaler if row else None

    def promoted_note(self, name: str) -> str:
        """An annotation of the primary, "" where it or the primary is missing."""
        return annotations_of(self.primary).get(name, "") if self.primary else ""

    @property
    def target_text(self) -> str:
        return f"{self.target_ref.kind.lower()} {self.target_ref.name}.{self.canary.namespace}"

    @property
    def primary_text(self) -> str:
        if self.parts is not None:
            return self.target_text
        name = f"{self.primary_ref.name}.{self.canary.namespace}"
        if self.primary_ref.kind == "DaemonSet":
            return f"primary daemonset {name}"
        return name


def _asked(routes: Routes) -> list[str]:
    """The abilities that these routes need, whatever the intent announced."""
    asked = {"match": bool(routes.match), "mirror": routes.mirror, "sticky": bool(routes.cookies)}
    return [ability for ability, is_needed in asked.items() if is_needed]
