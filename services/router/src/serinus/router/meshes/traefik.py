"""Traefik: one TraefikService S that splits between S-primary and S-canary (reference 4.10).

The user's IngressRoute names it. The list of weighted services is ours as a whole: a third backend
in it would take a share that nobody ordered. Everything else in the object (sticky cookies,
labels, annotations) is the user's and stays. Beyond the reference:

    mirroring         a TraefikService S-mirror in the primary's place, from the first day on where
                      the manifest has `analysis.mirror`
    session affinity  Traefik's own cookie, with a name for each release: who met one side stays
    routeRef          an IngressRoute of the user's that leads to S, the Service or the
                      TraefikService, is left as it is. One of ours beside it has the same
                      entry points, rules and middlewares, and the priority that is next above.
                      Its options for S (scheme, serversTransport) are the split's. A route to
                      another port of S has the shares in itself. An Ingress is taken for the
                      IngressRoute that says the same
    A/B               needs it: its rules with the conditions lead to the split, the others to S
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from serinus.events import Cookies, Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core import ingresses
from serinus.router.core.borrowed import check_kind
from serinus.router.core.objects import (
    LAST_APPLIED,
    Gone,
    Live,
    NotYet,
    Refusal,
    annotations_of,
    apex_metadata,
    labels_of,
    overlaid,
)
from serinus.router.core.routes import agreed, seen
from serinus.router.core.takeover import original_of, remembering
from serinus.router.core.traefikingress import as_ingress_route
from serinus.router.core.traefikrules import narrowed, priority_of

API_VERSION = "traefik.io/v1alpha1"
KIND = "TraefikService"
ROUTE_KIND = "IngressRoute"
KINDS = (KIND, ROUTE_KIND)
# In the name of a cookie, before what tells one release from another: such a cookie is ours.
RELEASE = "~"


def needs(exposure: Exposure) -> Sequence[Ref]:
    """TraefikServices, and with routeRef the user's route and our IngressRoute."""
    services = [_mirror_ref(exposure)] if _mirrors(exposure) else []
    services.append(_ref(exposure))
    if not _refers(exposure):
        return services
    return [*services, _source_ref(exposure), _route_ref(exposure)]


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """Backends first, then what leads to them, with explicit weights. Raises Refusal."""
    check_kind(exposure, "traefik", (ROUTE_KIND, ingresses.KIND))
    is_ab = bool(routes.match or exposure.match)
    if is_ab and not _refers(exposure):
        raise Refusal(
            "Route",
            "traefik matches requests in IngressRoutes: name yours in spec.routeRef",
        )
    if routes.mirror and not _mirrors(exposure):
        raise Refusal("Unsupported", "mirroring was not announced in the exposure's needs")
    source = _source(exposure, live) if _refers(exposure) else None
    backends = _Backends(exposure, source)
    objects = [_mirror(exposure, routes, live, backends)] if _mirrors(exposure) else []
    objects.append(_split(exposure, Routes() if is_ab else routes, live, backends))
    if source is not None:
        objects.append(_route(exposure, routes, live, source, backends))
    return objects


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """The weights in the live object; NotYet where it does not exist or routes nothing of ours."""
    is_ab = bool(routes.match or exposure.match) and _refers(exposure)
    ref = _route_ref(exposure) if is_ab else _ref(exposure)
    found = live.get(ref)
    if found is None:
        return NotYet(f"{ref.kind} {ref.name}.{ref.namespace} does not exist yet")
    splits = [] if is_ab else [(found.get("spec") or {}).get("weighted") or {}]
    if _refers(exposure):
        ours = live.get(_route_ref(exposure)) or {}
        splits += (ours.get("spec") or {}).get("routes") or ()
    shares = list(filter(None, (_shares(exposure, routes, split) for split in splits)))
    if not shares:
        return NotYet(
            f"{ref.kind} {ref.name}.{ref.namespace} does not contain services for "
            f"{exposure.primary} and {exposure.canary}"
        )
    return agreed(shares, f"routes of {ref.kind} {ref.name} do not agree on the canary's share")


def _shares(exposure: Exposure, routes: Routes, split: Obj) -> Routes | None:
    """The shares in a list of services; None where it has none of ours."""
    weights = {s.get("name"): s.get("weight") for s in split.get("services") or ()}
    mirrored = _mirror_ref(exposure).name
    if not weights.keys() & {exposure.primary, exposure.canary, mirrored}:
        return None
    # Traefik gives an entry without a weight the weight 1.
    primary = _weight(weights, exposure.primary) + _weight(weights, mirrored)
    canary = _weight(weights, exposure.canary)
    return seen(routes, primary=primary, canary=canary, mirror=mirrored in weights)


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Objects that were the user's are as they were; ours go. The IngressRoute goes before the
    Canary does: the user's serves again by itself."""
    given: list[Obj | Gone] = []
    for ref in needs(exposure):
        found = live.get(ref)
        if found is None or (_refers(exposure) and ref == _source_ref(exposure)):
            continue
        shadows = ref.kind == ROUTE_KIND
        given.append(original_of(found) or Gone(ref, shadows=shadows))
    return given


def _ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, exposure.name)


def _mirror_ref(exposure: Exposure) -> Ref:
    return Ref(API_VERSION, KIND, exposure.namespace, f"{exposure.name}-mirror")


def _source_ref(exposure: Exposure) -> Ref:
    assert exposure.route is not None
    kind = exposure.route.kind
    api_version = ingresses.API_VERSION if kind == ingresses.KIND else API_VERSION
    return Ref(api_version, kind, exposure.namespace, exposure.route.name)


def _route_ref(exposure: Exposure) -> Ref:
    assert exposure.route is not None
    name = f"{exposure.route.name}-{exposure.canary}"
    return Ref(API_VERSION, ROUTE_KIND, exposure.namespace, name)


def _refers(exposure: Exposure) -> bool:
    route = exposure.route
    return route is not None and route.kind in (ROUTE_KIND, ingresses.KIND)


def _mirrors(exposure: Exposure) -> bool:
    return "mirror" in exposure.needs


def _document(ref: Ref, metadata: Obj, spec: Obj) -> Obj:
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, **metadata},
        "spec": spec,
    }


class _Backends:
    """S-primary and S-canary as entries of a list of services, with the options that the user's
    routes have for S. Traefik keeps one set of them for a Service and port, wherever it is named.
    """

    def __init__(self, exposure: Exposure, source: Obj | None) -> None:
        self._exposure = exposure
        self._options: dict[object, Obj] = {}
        for route in ((source or {}).get("spec") or {}).get("routes") or ():
            if not _leads_to(exposure, route) or route["services"][0].get("kind") == KIND:
                continue
            entry = route["services"][0]
            options = {k: v for k, v in entry.items() if k not in _NO_OPTIONS}
            if self._options.setdefault(self.port_of(entry), options) != options:
                raise Refusal(
                    "Route",
                    f"all routes to {exposure.name} must have the same options for it: Traefik "
                    "keeps one set",
                )

    def port_of(self, entry: Obj) -> object:
        """The port of a user's entry; by number where it is the manifest's."""
        service = self._exposure.service
        ours = service.port if service else 80
        name = (service.port_name if service else "") or "http"
        port = entry.get("port", ours)
        return ours if port in (ours, str(ours), name) else port

    def one(self, name: str, port: object = None) -> Obj:
        """One of them; None: at the port of the manifest."""
        port = self.port_of({}) if port is None else port
        known = {"name": name, "namespace": self._exposure.namespace, "port": port}
        return {**copy.deepcopy(self._options.get(port, {})), **known}

    def both(self, routes: Routes, port: object = None) -> list[Obj]:
        """With their shares; the canary is listed only when it gets one."""
        exposure = self._exposure
        found = [{**self.one(exposure.primary, port), "weight": routes.primary}]
        if routes.canary > 0:
            found.append({**self.one(exposure.canary, port), "weight": routes.canary})
        return found

    def split(self, routes: Routes) -> list[Obj]:
        """The same at the port of the manifest, the mirror in the primary's place."""
        found = self.both(routes)
        if routes.mirror:
            mirror = _mirror_ref(self._exposure)
            plain = {"name": mirror.name, "namespace": mirror.namespace, "kind": KIND}
            found[0] = {**plain, "weight": routes.primary}
        return found


_NO_OPTIONS = ("kind", "name", "namespace", "port", "weight")


def _split(exposure: Exposure, routes: Routes, live: Live, backends: _Backends) -> Obj:
    weighted: Obj = {"services": backends.split(routes)}
    sticky = _sticky(routes.cookies) if routes.cookies and routes.canary else None
    if sticky:
        weighted["sticky"] = sticky
    ours = _document(_ref(exposure), apex_metadata(exposure), {"weighted": weighted})
    found = live.get(_ref(exposure))
    whole = overlaid(found, ours)
    there = (whole["spec"]["weighted"].get("sticky") or {}).get("cookie") or {}
    if not sticky and RELEASE in there.get("name", ""):
        del whole["spec"]["weighted"]["sticky"]
    return remembering(found, whole)


def _mirror(exposure: Exposure, routes: Routes, live: Live, backends: _Backends) -> Obj:
    """The primary with a copy of its requests to the canary; in use only while it is asked for."""
    ref = _mirror_ref(exposure)
    mirrors = [{**backends.one(exposure.canary), "percent": routes.mirror_weight or 100}]
    spec = {"mirroring": {**backends.one(exposure.primary), "mirrors": mirrors}}
    found = live.get(ref)
    return remembering(found, overlaid(found, _document(ref, {}, spec)))


def _sticky(cookies: Cookies) -> Obj | None:
    """Traefik's own cookie. Its name holds the release's value: who stayed with the primary in
    the last release is asked again in the next."""
    _, _, value = cookies.canary.partition("=")
    if not value:
        return None
    settings = cookies.settings
    if settings.partitioned:
        raise Refusal("Unsupported", "traefik's cookies cannot be partitioned")
    cookie: Obj = {
        "name": f"{settings.cookie_name}{RELEASE}{value}",
        "maxAge": settings.max_age or 86400,
        "httpOnly": settings.http_only,
        "secure": settings.secure,
    }
    optional = {
        "path": settings.path,
        "domain": settings.domain,
        "sameSite": settings.same_site.lower(),
    }
    return {"cookie": cookie | {k: v for k, v in optional.items() if v}}


def _source(exposure: Exposure, live: Live) -> Obj:
    """The user's route as an IngressRoute."""
    ref = _source_ref(exposure)
    found = live.get(ref)
    if found is None:
        raise Refusal("Route", f"{ref.kind} {ref.name}.{ref.namespace} not found")
    return as_ingress_route(found) if ref.kind == ingresses.KIND else found


def _route(exposure: Exposure, routes: Routes, live: Live, source: Obj, backends: _Backends) -> Obj:
    """Our IngressRoute before the user's: what leads to S there leads to the split here."""
    match = routes.match or exposure.match
    found_routes = []
    for route in (source.get("spec") or {}).get("routes") or ():
        if not _leads_to(exposure, route):
            continue
        services = _led(exposure, routes, route["services"][0], backends, is_ab=bool(match))
        ours = {**copy.deepcopy(route), "priority": priority_of(route) + 1, "services": services}
        if match:
            ours["match"] = narrowed(route, match)
        found_routes.append(ours)
    if not found_routes:
        theirs = _source_ref(exposure)
        why = f"backend {exposure.name} not found in {theirs.kind} {theirs.name}"
        raise Refusal("Route", why)
    annotations = {k: v for k, v in annotations_of(source).items() if k != LAST_APPLIED}
    copied = {"labels": labels_of(source), "annotations": annotations}
    spec = {**copy.deepcopy(source["spec"]), "routes": copy.deepcopy(found_routes)}
    ref = _route_ref(exposure)
    ours = _document(ref, {k: v for k, v in copied.items() if v}, spec)
    found = live.get(ref)
    whole = overlaid(found, ours)
    for field in _COPIED - spec.keys():
        whole["spec"].pop(field, None)
    return remembering(found, whole)


_COPIED = frozenset({"entryPoints", "ingressClassName", "parentRefs", "tls"})


def _led(
    exposure: Exposure, routes: Routes, entry: Obj, backends: _Backends, *, is_ab: bool
) -> list[Obj]:
    """Whom a route of ours leads to in place of the user's entry for S."""
    port = backends.port_of(entry)
    if entry.get("kind") != KIND and port != backends.port_of({}):
        if routes.mirror or routes.cookies is not None:
            raise Refusal(
                "Route",
                "mirroring and session affinity take a TraefikService, which is for port "
                f"{backends.port_of({})} of {exposure.name}, not for {port}",
            )
        return backends.both(routes, port)
    if is_ab:
        return backends.split(routes)
    return [{"name": exposure.name, "namespace": exposure.namespace, "kind": KIND}]


def _leads_to(exposure: Exposure, route: Obj) -> bool:
    """Whether a route leads to S. Raises Refusal where it leads elsewhere, too."""
    services = route.get("services") or [] if "match" in route else []
    here = [
        s.get("name") == exposure.name
        and s.get("namespace", exposure.namespace) == exposure.namespace
        for s in services
    ]
    if any(here) and len(here) > 1:
        raise Refusal(
            "Route",
            f"the route {route['match']} must have {exposure.name} as its only service",
        )
    return any(here)


def _weight(weights: dict[str, int | None], name: str) -> int:
    if name not in weights:
        return 0
    weight = weights[name]
    return 1 if weight is None else weight
