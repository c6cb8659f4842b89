"""Gateway API: one HTTPRoute S in the canary's namespace (reference 4.4).

`service.routeKind` may ask for a GRPCRoute instead; connections (`appProtocol: tcp`) get a
TCPRoute. Where parents lead to several ports of the Services (`core.parents`) each further port has
a route `S-<port>`. With `routeRef` it is a route of the user's whose rules that lead to S are
shared (`borrowed`). Rules of ours, in the order in which they are written:

    plain             one rule, both backends
    A/B               analysis matches x service matches with both backends; service matches,
                      primary only
    session affinity  while the canary has a share: its cookie, the primary's cookie, then the
                      weighted rule that hands out cookies; afterwards: the old cookie is taken back

Lists are written whole and with the API's own defaults, in one fixed order: what was rendered once
equals what is read back, so nothing is ever rewritten for its order.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from msgspec.structs import replace

from serinus.events import Exposure, Routes
from serinus.events.canary import ServiceSpec
from serinus.kube.refs import Obj, Ref
from serinus.router.core import borrowed, grpcroute, parents
from serinus.router.core.gatewayrules import GatewayRules
from serinus.router.core.httproute import (
    check_rewrites,
    filters_of,
    matches_of,
    overriding,
    set_cookie,
)
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, apex_metadata, overlaid
from serinus.router.core.routes import agreed, seen
from serinus.router.core.takeover import original_of, remembering

HTTP, GRPC, TCP = KINDS = ("HTTPRoute", "GRPCRoute", "TCPRoute")


class GatewayApi:
    """One version of the API.

    is_v1  timeouts, CORS, the primary's cookie, and waiting for the gateway to accept (4.4);
           mirroring of a percentage, routes for gRPC and TCP
    """

    def __init__(self, version: str, *, is_v1: bool) -> None:
        self.api_version = f"{parents.GROUP}/{version}"
        self.kinds = KINDS if is_v1 else (HTTP,)
        self._is_v1 = is_v1

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """The route S, or those of the ports that parents lead to; and of all other known ports,
        which may have had one."""
        parts = [ref for ref, _ in self._parts(exposure)]
        if exposure.route is not None:
            return tuple(parts)
        known = (self._ref(exposure, port) for port in exposure.ports.values())
        return tuple(dict.fromkeys((*parts, *known)))

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """The route with explicit weights. Raises Refusal for what the API cannot express."""
        service, ref = exposure.service, self._ref(exposure)
        if exposure.route is not None:
            borrowed.check_kind(exposure, "the Gateway API", self.kinds)
            rules = GatewayRules(ref.kind, has_percent=self._is_v1)
            return (borrowed.render(exposure, routes, live, ref, rules),)
        if service is None or not service.gateway_refs:
            raise Refusal(
                "Unsupported",
                "GatewayRefs must be specified when using Gateway API as a provider.",
            )
        parents.check_ports(service, exposure)
        return [
            self._route(exposure, part, routes, live, ref)
            for ref, part in self._parts(exposure)
            if part is not None
        ]

    def _route(
        self, exposure: Exposure, service: ServiceSpec, routes: Routes, live: Live, ref: Ref
    ) -> Obj:
        rules = self._rules(exposure, service, routes)
        check_rewrites(rules)
        spec: Obj = {
            "parentRefs": [parents.written(ref) for ref in service.gateway_refs],
            "rules": rules,
        }
        if service.hosts:
            spec["hostnames"] = list(service.hosts)
        ours: Obj = {
            "apiVersion": self.api_version,
            "kind": ref.kind,
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                **apex_metadata(exposure),
            },
            "spec": spec,
        }
        found = live.get(ref)
        whole = overlaid(found, ours)
        if not service.hosts:
            whole["spec"].pop("hostnames", None)
        return remembering(found, whole)

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """The weights of the last rule with both backends, in all routes.

        NotYet until every parent that reports on the route has accepted this generation of it;
        parents that report nothing are not waited for.
        """
        parts = [ref for ref, _ in self._parts(exposure)]
        for ref in self.needs(exposure):
            left = _observed(exposure, routes, live.get(ref), "") if ref not in parts else None
            if isinstance(left, Routes) and left.canary:
                # Nobody writes it any more, and the canary's pods are about to go.
                return NotYet(f"{ref} is not asked for any more and leads to the canary: delete it")
        found = [self._seen(exposure, routes, live, ref) for ref in parts]
        return agreed(found, f"routes of {exposure.name} do not agree on the canary's share")

    def _seen(self, exposure: Exposure, routes: Routes, live: Live, ref: Ref) -> Routes | NotYet:
        found = live.get(ref)
        if exposure.route is None:
            now = _observed(exposure, routes, found, f"{ref.kind} {ref.name}.{ref.namespace}")
        else:
            rules = GatewayRules(ref.kind, has_percent=self._is_v1)
            now = borrowed.observe(exposure, routes, live, ref, rules)
        if isinstance(now, NotYet) or found is None or not self._is_v1:
            return now
        why = parents.not_accepted(found, exposure.namespace)
        if not why and exposure.route is None:
            # Of a route of the user's other backends may be away, and that is not about us.
            why = parents.unresolved(found, exposure.namespace)
        return NotYet(why, now) if why else now

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """A route that was the user's gets its rules back; ours go."""
        if exposure.route is None:
            objects = [(ref, live.get(ref)) for ref in self.needs(exposure)]
            return [original_of(obj) or Gone(ref) for ref, obj in objects if obj is not None]
        ref = self._ref(exposure)
        rules = GatewayRules(ref.kind, has_percent=self._is_v1)
        given = borrowed.released(exposure, live, ref, rules)
        return () if given is None else (given,)

    def _parts(self, exposure: Exposure) -> list[tuple[Ref, ServiceSpec | None]]:
        """The routes, each with what is said of its port."""
        service = exposure.service
        if exposure.route is not None or service is None or not service.gateway_refs:
            return [(self._ref(exposure), service)]
        return [
            (self._ref(exposure, port), replace(service, port=port, gateway_refs=refs))
            for port, refs in parents.by_port(service, exposure.name)
        ]

    def _ref(self, exposure: Exposure, port: int | None = None) -> Ref:
        route = exposure.route
        if route is not None and route.kind in self.kinds:
            return Ref(self.api_version, route.kind, exposure.namespace, route.name)
        service = exposure.service
        kind = _kind(service) if self._is_v1 else HTTP
        is_first = port is None or service is None or port == service.port
        name = exposure.name if is_first else f"{exposure.name}-{port}"
        return Ref(self.api_version, kind, exposure.namespace, name)

    def _rules(self, exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
        kind = _kind(service)
        if kind != HTTP and not self._is_v1:
            raise Refusal("Unsupported", f"{kind} needs provider gatewayapi:v1")
        if kind == TCP:
            return [_tcp_rule(exposure, service, routes)]
        if kind == GRPC:
            return self._grpc_rules(exposure, service, routes)
        matches = matches_of(service.match)
        weighted = self._rule(exposure, service, matches, routes)
        if routes.mirror:
            weighted.setdefault("filters", []).append(self._mirror(exposure, service, routes))
        conditions = routes.match or exposure.match
        if conditions:
            weighted["matches"] = overriding(matches, conditions)
            return [weighted, self._only_primary(exposure, service, matches)]
        if routes.cookies is not None:
            return self._sticky(exposure, service, matches, routes, weighted)
        return [weighted]

    def _mirror(self, exposure: Exposure, service: ServiceSpec, routes: Routes) -> Obj:
        mirror: Obj = {"backendRef": _backend(service, exposure.canary)}
        if self._is_v1 and routes.mirror_weight:
            mirror["percent"] = routes.mirror_weight
        return {"type": "RequestMirror", "requestMirror": mirror}

    def _grpc_rules(self, exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
        if routes.cookies is not None:
            raise Refusal("Unsupported", "a GRPCRoute has no session affinity")
        matches = grpcroute.matches_of(service.match)
        filters = grpcroute.filters_of(service)
        rest: Obj = {"backendRefs": _weighted(exposure, service, Routes())[:1]}
        rest |= {"matches": matches} if matches else {}
        rest |= {"filters": filters} if filters else {}
        weighted = rest | {"backendRefs": _weighted(exposure, service, routes)}
        if routes.mirror:
            weighted["filters"] = [*filters, self._mirror(exposure, service, routes)]
        conditions = routes.match or exposure.match
        if not conditions:
            return [weighted]
        return [weighted | {"matches": grpcroute.overriding(matches, conditions)}, rest]

    def _rule(
        self, exposure: Exposure, service: ServiceSpec, matches: list[Obj], routes: Routes
    ) -> Obj:
        """One rule with both backends and everything that service.* asks for."""
        rule: Obj = {
            "matches": copy.deepcopy(matches),
            "backendRefs": _weighted(exposure, service, routes),
        }
        filters = filters_of(service, with_cors=self._is_v1)
        if filters:
            rule["filters"] = filters
        if self._is_v1:
            timeouts = {"request": service.timeout, "backendRequest": service.backend_timeout}
            timeouts = {k: v for k, v in timeouts.items() if v}
            if timeouts:
                rule["timeouts"] = timeouts
        return rule

    def _only_primary(self, exposure: Exposure, service: ServiceSpec, matches: list[Obj]) -> Obj:
        rule = self._rule(exposure, service, matches, Routes(primary=100, canary=0))
        rule["backendRefs"] = rule["backendRefs"][:1]
        return rule

    def _sticky(
        self,
        exposure: Exposure,
        service: ServiceSpec,
        matches: list[Obj],
        routes: Routes,
        weighted: Obj,
    ) -> list[Obj]:
        cookies = routes.cookies
        assert cookies is not None
        settings = cookies.settings
        if routes.canary == 0:
            if not cookies.previous:
                return [weighted]
            old = self._rule(exposure, service, _with_cookie(matches, cookies.previous), routes)
            _add_cookie(old, f"{cookies.previous}; Max-Age=-1")
            return [old, weighted]
        rules = []
        if cookies.canary:
            held = _with_cookie(matches, cookies.canary)
            rules.append(self._rule(exposure, service, held, Routes(primary=0, canary=100)))
            weighted["backendRefs"][1]["filters"] = [_sets(set_cookie(cookies.canary, settings))]
        if self._is_v1 and settings.primary_cookie_name and cookies.primary:
            held = _with_cookie(matches, cookies.primary)
            rules.append(self._rule(exposure, service, held, Routes(primary=100, canary=0)))
            value = f"{cookies.primary}; Max-Age={cookies.primary_max_age_s}"
            weighted["backendRefs"][0]["filters"] = [_sets(value)]
        return [*rules, weighted]


def _observed(exposure: Exposure, routes: Routes, found: Obj | None, name: str) -> Routes | NotYet:
    """What a route of ours says, whoever has accepted it."""
    if found is None:
        return NotYet(f"{name} does not exist yet")
    weighted = None
    for rule in (found.get("spec") or {}).get("rules") or ():
        if _names(rule) == [exposure.primary, exposure.canary]:
            weighted = rule
    if weighted is None:
        names = f"{exposure.primary} and {exposure.canary}"
        return NotYet(f"{name} does not contain routes for {names}")
    primary, canary = (b.get("weight", 1) for b in weighted["backendRefs"])
    mirror = any(
        (f.get("requestMirror") or {}).get("backendRef", {}).get("name") == exposure.canary
        for f in weighted.get("filters") or ()
    )
    return seen(routes, primary=primary, canary=canary, mirror=mirror)


def _kind(service: ServiceSpec | None) -> str:
    if service is None:
        return HTTP
    return service.route_kind or (TCP if service.app_protocol.lower() == "tcp" else HTTP)


def _tcp_rule(exposure: Exposure, service: ServiceSpec, routes: Routes) -> Obj:
    grpcroute.check_tcp(service)
    if exposure.match or routes.match or routes.mirror or routes.cookies:
        raise Refusal(
            "Unsupported",
            "connections are split by weight only: no analysis.match, mirror, sessionAffinity",
        )
    return {"backendRefs": _weighted(exposure, service, routes)}


def _weighted(exposure: Exposure, service: ServiceSpec, routes: Routes) -> list[Obj]:
    return [
        {**_backend(service, exposure.primary), "weight": routes.primary},
        {**_backend(service, exposure.canary), "weight": routes.canary},
    ]


def _names(rule: Obj) -> list[str]:
    return [b.get("name", "") for b in rule.get("backendRefs") or ()]


def _backend(service: ServiceSpec, name: str) -> Obj:
    return {"group": "", "kind": "Service", "name": name, "port": service.port}


def _add_cookie(rule: Obj, cookie: str) -> None:
    """Puts a cookie on a rule's responses. A rule may have one modifier of response headers."""
    filters = rule.setdefault("filters", [])
    ours = _sets(cookie)
    for one in filters:
        if one["type"] == ours["type"]:
            modifier = one["responseHeaderModifier"]
            modifier["add"] = [*modifier.get("add", ()), *ours["responseHeaderModifier"]["add"]]
            return
    filters.append(ours)


def _sets(cookie: str) -> Obj:
    return {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": cookie}]},
    }


def _with_cookie(matches: list[Obj], cookie: str) -> list[Obj]:
    """The same matches, for requests that bring this `name=value`."""
    name, _, value = cookie.partition("=")
    condition = {"name": "Cookie", "type": "RegularExpression", "value": f".*{name}.*{value}.*"}
    sticky = copy.deepcopy(matches)
    for match in sticky:
        match["headers"] = [condition, *match.get("headers", [])]
    return sticky


V1 = GatewayApi("v1", is_v1=True)
V1BETA1 = GatewayApi("v1beta1", is_v1=False)
