"""Intents: the whole desired state of one canary. A new one replaces the old one.

The analyzer derives an Intent from (spec, status) alone, so losing, repeating or delaying one
changes nothing. Weights are always explicit, 100/0 included.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from serinus.events.canary import (
    AutoscalerRef,
    HttpMatch,
    ObjectRef,
    Placement,
    ServiceSpec,
    SessionAffinity,
    Undo,
)
from serinus.events.snapshots import CanaryRef, Selector


class Cookies(Struct, frozen=True, kw_only=True):
    """Session affinity as chosen by the analyzer: `name=value` texts, "" where there is none."""

    settings: SessionAffinity
    canary: str = ""
    primary: str = ""
    previous: str = ""
    primary_max_age_s: int = 60


class Routes(Struct, frozen=True, kw_only=True):
    """Who gets what share of the requests, in percent; primary + canary is 100.

    mirror         copy the primary's requests to the canary
    mirror_weight  percent of them; 0 means the mesh's own default (all)
    match          A/B conditions: the weights hold for matching requests, the rest stays on primary
    """

    primary: int = 100
    canary: int = 0
    mirror: bool = False
    mirror_weight: int = 0
    match: tuple[HttpMatch, ...] = ()
    cookies: Cookies | None = None


class Workload(Struct, frozen=True, kw_only=True):
    """What shall run.

    target     the user's workload; its primary is `<name>-primary`
    promote    the primary shall run `Intent.revision` with `Intent.configs`
    undo       the primary shall run this revision again, which it was given once before
    canary     running: at the primary's size at least; parked: scaled to zero;
               as-is: left alone
    primary_pods, canary_pods  where their pods run, if not where the manifest says
    initialise the primary is to be created from the target where it is missing
    baseline   `<name>-baseline` runs what the primary runs, as many pods as the canary; else it is
               not there
    wait_ready traffic moves only to a ready primary (False: skipAnalysis at initialisation)
    """

    target: ObjectRef
    selector: Selector | None = None
    autoscaler: AutoscalerRef | None = None
    primary_pods: Placement | None = None
    canary_pods: Placement | None = None
    initialise: bool = True
    promote: bool = False
    undo: Undo | None = None
    canary: Literal["running", "parked", "as-is"] = "as-is"
    baseline: bool = False
    wait_ready: bool = True
    primary_ready_threshold: int = 100
    canary_ready_threshold: int = 100
    progress_deadline_s: int = 600


class Exposure(Struct, frozen=True, kw_only=True):
    """Where the service is reachable: mesh, names, ports, hosts.

    mesh       catalog name, e.g. `traefik`, `gatewayapi:v1`, `kubernetes`
    name       base name S: Services S, S-primary, S-canary and the route object
    needs      abilities the Canary will use at some time: weight, match, mirror, sticky
    ingress_prefix, ingress_class
               the installation's: what nginx annotations begin with; the class of HTTPProxies
    """

    mesh: str
    namespace: str
    name: str
    service: ServiceSpec | None = None
    selector: Selector | None = None
    ports: dict[str, int] = {}
    ingress: ObjectRef | None = None
    route: ObjectRef | None = None
    upstream: ObjectRef | None = None
    match: tuple[HttpMatch, ...] = ()
    needs: tuple[str, ...] = ("weight",)
    annotations: dict[str, str] = {}
    ingress_prefix: str = "nginx.ingress.kubernetes.io"
    ingress_class: str = ""

    @property
    def primary(self) -> str:
        return f"{self.name}-primary"

    @property
    def canary(self) -> str:
        return f"{self.name}-canary"

    def is_route(self, kind: str, name: str) -> bool:
        """Whether this is the user's own route that the canary refers to."""
        return self.route is not None and (self.route.kind, self.route.name) == (kind, name)


class Intent(Struct, frozen=True, kw_only=True, tag_field="type", tag="intent.cluster.v1"):
    """What the cluster shall look like for one canary.

    revision   hash of the template this was decided for
    configs    checksums of the ConfigMaps and Secrets it was analysed with; None: not tracked
    phase      the phase it was derived in; information for people, the router does not branch on it
    version    resourceVersion of the Canary whose status it was derived from
    stamp      when that status was decided, in Unix seconds: never replace an intent by one with
               an older stamp, it was derived from an outdated view
    hold       change nothing (suspended, invalid or dry run): observe only
    release    the Canary is being deleted: put everything back as it was
    """

    canary: CanaryRef
    revision: str = ""
    configs: dict[str, str] | None = None
    phase: str = ""
    workload: Workload
    exposure: Exposure
    routes: Routes = Routes()
    hold: bool = False
    release: bool = False
    version: str = ""
    stamp: float = 0.0

    @property
    def id(self) -> str:
        """Names what is asked for: equal wishes have equal ids, whatever their status was."""
        return _wish_id(self)


def _wish_id(intent: Intent) -> str:
    wish = msgspec.structs.replace(intent, version="", phase="", stamp=0.0)
    return hashlib.sha256(msgspec.json.encode(wish, order="sorted")).hexdigest()[:16]
