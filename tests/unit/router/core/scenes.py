"""Live states of one canary for plan tests: a beginning with good defaults, changed by name."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.builders import APP, NAMESPACE, REF, a_deployment, an_exposure, an_intent, laid_over

from serinus.events import Exposure, Intent, Routes
from serinus.events.canary import GatewayRef, ServiceSpec
from serinus.kube.refs import Obj, Ref, owner_reference, ref_of
from serinus.kube.revision import template_hash
from serinus.router import services
from serinus.router.core.objects import Live
from serinus.router.core.plan import Plan, plan
from serinus.router.core.steps import Options, World
from serinus.router.meshes.catalog import MESHES
from serinus.router.workloads import deployment
from serinus.router.workloads.primary import Making

OLD_IMAGE, NEW_IMAGE = "example.test/web:1", "example.test/web:2"
TARGET = Ref("apps/v1", "Deployment", NAMESPACE, "web")
PRIMARY = Ref("apps/v1", "Deployment", NAMESPACE, "web-primary")
APEX = Ref("v1", "Service", NAMESPACE, "web")
ROUTE = Ref("traefik.io/v1alpha1", "TraefikService", NAMESPACE, "web")
NEW = template_hash(a_deployment(image=NEW_IMAGE)["spec"]["template"])
OLD = template_hash(a_deployment(image=OLD_IMAGE)["spec"]["template"])


def exposed(mesh: str = "traefik") -> Exposure:
    gateway = GatewayRef(name="gateway")
    return an_exposure(mesh, service=ServiceSpec(port=80, gateway_refs=(gateway,)))


def wish(weight: int = 0, *, mesh: str = "traefik", **fields: Any) -> Intent:
    """An intent about the new revision; fields of the Workload may be given beside its own."""
    names = set(an_intent().workload.__struct_fields__)
    workload = {k: fields.pop(k) for k in list(fields) if k in names}
    defaults = {"revision": NEW, "exposure": exposed(mesh), "configs": {}}
    return an_intent(workload=workload, canary_weight=weight, **{**defaults, **fields})


def a_target(**fields: Any) -> Obj:
    return a_deployment(**{"image": NEW_IMAGE, **fields})


def a_primary(*, ready: int = 2, replicas: int = 2, **fields: Any) -> Obj:
    """The primary as we made it from the old version."""
    making = Making(canary=REF, selector=APP, revision=OLD)
    made = deployment.primary(a_deployment(image=OLD_IMAGE, replicas=replicas), making)
    status = a_deployment(ready=ready, replicas=replicas)["status"]
    made["metadata"] |= {"uid": "uid-of-web-primary", "resourceVersion": "9", "generation": 1}
    return laid_over(made | {"status": status}, fields)


def a_baseline(intent: Intent, **fields: Any) -> Obj:
    """The baseline as we made it for this intent."""
    (made,) = [s.whole for s in plan(intent, at_work()).steps if s.why == "baseline up"]
    made["metadata"] |= {"uid": "uid-of-web-baseline", "resourceVersion": "9"}
    return laid_over(made, fields)


def a_route(weight: int = 0, *, mesh: str = "traefik") -> Obj:
    """The route object as we made it."""
    routes = Routes(primary=100 - weight, canary=weight)
    (made,) = MESHES[mesh].mesh.render(exposed(mesh), routes, Live())
    return owned(made)


def owned(obj: Obj) -> Obj:
    obj["metadata"] |= {"ownerReferences": [owner_reference(REF)], "resourceVersion": "9"}
    return obj


def the_services(apex: str = "primary") -> list[Obj]:
    """All three, the apex on the primary or (as the user's own) on the target."""
    made = [
        owned(services.wanted(None, exposed(), role, APP, REF))
        for role in ("canary", "primary", "apex")
    ]
    if apex == "target":
        made[2]["spec"]["selector"] = {"app": "web"}
        del made[2]["metadata"]["ownerReferences"]
    return made


def world(*objects: Obj, unchanged_s: float = 60.0, **fields: Any) -> World:
    """These objects and nothing else; traffic has gone where it goes for a minute."""
    live = Live({ref_of(obj): obj for obj in objects})
    return World(live=live, unchanged_s=unchanged_s, **fields)


def at_work(weight: int = 0, **fields: Any) -> World:
    """In mid-release: both workloads ready, `weight` percent for the canary."""
    return world(a_target(), a_primary(), a_route(weight), *the_services(), **fields)


def at_rest(**fields: Any) -> World:
    """Between releases: the target parked."""
    parked = a_target(replicas=0, ready=0, image=OLD_IMAGE)
    return world(parked, a_primary(), a_route(), *the_services(), **fields)


def planned(intent: Intent, found: World) -> Plan:
    return plan(intent, found)


def whys(intent: Intent, found: World) -> list[str]:
    """What the plan would write, in order."""
    return [step.why for step in plan(intent, found).steps]


def without_settling(found: World) -> World:
    return msgspec.structs.replace(found, options=Options(settle_s=0.0))
