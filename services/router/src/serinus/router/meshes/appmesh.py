"""App Mesh: VirtualNodes for the Services, a router that splits between them (reference 4.6).

    v1beta1  VirtualNodes S, S-primary, S-canary; VirtualServices S.ns and S-canary.ns hold routes
    v1beta2  VirtualNodes S-primary, S-canary; VirtualRouters S and S-canary hold routes;
             VirtualServices S and S-canary name them

S goes to both nodes by weight; S-canary, for direct calls, to the canary alone. An A/B test has a
route for each alternative at priority 10 and following, and the primary's at 20. Lists of routes
are ours as a whole; names and references that App Mesh fills in stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serinus.events import Exposure, Routes
from serinus.events.canary import ServiceSpec, duration_s
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core.conditions import ANY_FORM, Condition, conditions
from serinus.router.core.objects import Gone, Live, NotYet, Refusal, apex_metadata, overlaid
from serinus.router.core.reported import not_taken
from serinus.router.core.routes import seen
from serinus.router.core.takeover import original_of, remembering

GROUP = "appmesh.k8s.aws"
NODE, ROUTER, SERVICE = "VirtualNode", "VirtualRouter", "VirtualService"
ACCESS_LOG = "appmesh.flagger.app/accesslog"
GATEWAY = "gateway.appmesh.k8s.aws"
MATCHED, REST = 10, 20
MAX_ALTERNATIVES = REST - MATCHED
RETRY_TIMEOUT_MS, RETRIES, RETRY_ON = 250, 1, "gateway-error"
# What App Mesh knows, and Envoy's words for the same.
_EVENTS = {
    **{event: event for event in ("server-error", "gateway-error", "client-error", "stream-error")},
    "5xx": "server-error",
    "retriable-4xx": "client-error",
    "reset": "stream-error",
    "refused-stream": "stream-error",
}


class V1Beta1:
    """The first API: everything is in one mesh that the manifest names."""

    api_version = f"{GROUP}/v1beta1"

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """Three nodes and two services."""
        name, primary, canary = exposure.name, exposure.primary, exposure.canary
        return (
            *(self._ref(exposure, NODE, node) for node in (name, primary, canary)),
            *(self._ref(exposure, SERVICE, _address(exposure, s)) for s in (name, canary)),
        )

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """Nodes before the services that send requests to them. Raises Refusal."""
        service = _service(exposure)
        if not service.mesh_name:
            raise Refusal("Unsupported", "mesh name cannot be empty: set spec.service.meshName")
        name, primary, canary = exposure.name, exposure.primary, exposure.canary
        nodes = [
            self._node(exposure, service, node, host)
            for node, host in ((name, primary), (primary, primary), (canary, canary))
        ]
        found = self._virtual_service(exposure, service, name, self._split(exposure, routes))
        if service.hosts:
            found["metadata"]["annotations"] = _gateway(service)
        direct = self._virtual_service(
            exposure,
            service,
            canary,
            [self._route(exposure, canary, Routes(primary=0, canary=100))],
        )
        return [_over(live, ours) for ours in (*nodes, found, direct)]

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """The weights of the first route of S.ns."""
        ref = self._ref(exposure, SERVICE, _address(exposure, exposure.name))
        return _observed(exposure, routes, live, ref, ("http", "virtualNodeName"))

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """What was the user's is as it was; ours goes."""
        return _released(self.needs(exposure), live)

    def _ref(self, exposure: Exposure, kind: str, name: str) -> Ref:
        return Ref(self.api_version, kind, exposure.namespace, name)

    def _node(self, exposure: Exposure, service: ServiceSpec, name: str, host: str) -> Obj:
        spec: Obj = {
            "meshName": service.mesh_name,
            "listeners": [_listener(service, service.port)],
            "serviceDiscovery": {"dns": {"hostName": _address(exposure, host)}},
        }
        if service.backends:
            spec["backends"] = [
                {"virtualService": {"virtualServiceName": backend}} for backend in service.backends
            ]
        return _object(self.api_version, NODE, exposure, name, _logged(exposure, spec))

    def _virtual_service(
        self, exposure: Exposure, service: ServiceSpec, name: str, routes: list[Obj]
    ) -> Obj:
        listeners = [_listener(service, service.port)]
        spec = {
            "meshName": service.mesh_name,
            "virtualRouter": {"name": name, "listeners": listeners},
            "routes": routes,
        }
        address = _address(exposure, name)
        return _object(self.api_version, SERVICE, exposure, address, spec, metadata={})

    def _split(self, exposure: Exposure, routes: Routes) -> list[Obj]:
        return _split(exposure, routes, self._route)

    def _route(
        self,
        exposure: Exposure,
        name: str,
        routes: Routes,
        headers: Sequence[Condition] = (),
        *,
        primary_only: bool = False,
    ) -> Obj:
        service = _service(exposure)
        targets = [
            {"virtualNodeName": node, "weight": weight}
            for node, weight in _shares(exposure, routes, primary_only=primary_only)
        ]
        http: Obj = {"match": _match(service, headers), "action": {"weightedTargets": targets}}
        if service.retries is not None:
            timeout_ms, retries, events = _retries(service)
            http["retryPolicy"] = {
                "perRetryTimeoutMillis": timeout_ms,
                "maxRetries": retries,
                "httpRetryEvents": events,
            }
        return {"name": name, "http": http}


class V1Beta2:
    """The second API: App Mesh finds the mesh by the namespace's label."""

    api_version = f"{GROUP}/v1beta2"

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """Two nodes, two routers, two services."""
        name, primary, canary = exposure.name, exposure.primary, exposure.canary
        return (
            *(self._ref(exposure, NODE, node) for node in (primary, canary)),
            *(self._ref(exposure, ROUTER, router) for router in (name, canary)),
            *(self._ref(exposure, SERVICE, service) for service in (name, canary)),
        )

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """Nodes, then routers that name them, then services that name those. Raises Refusal."""
        service = _service(exposure)
        name, primary, canary = exposure.name, exposure.primary, exposure.canary
        direct = [self._route(exposure, canary, Routes(primary=0, canary=100))]
        nodes = [self._node(exposure, service, node) for node in (primary, canary)]
        routers = [
            self._router(exposure, service, name, _split(exposure, routes, self._route)),
            self._router(exposure, service, canary, direct),
        ]
        services = [
            _object(
                self.api_version,
                SERVICE,
                exposure,
                router,
                {"provider": {"virtualRouter": {"virtualRouterRef": {"name": router}}}},
                metadata={},
            )
            for router in (name, canary)
        ]
        if service.hosts:
            services[0]["metadata"]["annotations"] = _gateway(service)
        return [_over(live, ours) for ours in (*nodes, *routers, *services)]

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """The weights of the first route of the router S."""
        ref = self._ref(exposure, ROUTER, exposure.name)
        return _observed(exposure, routes, live, ref, ("httpRoute", "virtualNodeRef"))

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """What was the user's is as it was; ours goes."""
        return _released(self.needs(exposure), live)

    def _ref(self, exposure: Exposure, kind: str, name: str) -> Ref:
        return Ref(self.api_version, kind, exposure.namespace, name)

    def _node(self, exposure: Exposure, service: ServiceSpec, name: str) -> Obj:
        listener = _listener(service, _target_port(service))
        timeout_ms = _timeout_ms(service)
        if timeout_ms:
            listener["timeout"] = {"http": {"perRequest": {"unit": "ms", "value": timeout_ms}}}
        host = f"{name}.{exposure.namespace}.svc.cluster.local."
        spec: Obj = {
            "listeners": [listener],
            "serviceDiscovery": {"dns": {"hostname": host}},
        }
        if exposure.selector is not None:
            key, value = exposure.selector.key, exposure.selector.value
            suffix = "-primary" if name == exposure.primary else ""
            spec["podSelector"] = {"matchLabels": {key: f"{value}{suffix}"}}
        if service.backends:
            spec["backends"] = [{"virtualService": _backend(name)} for name in service.backends]
        return _object(self.api_version, NODE, exposure, name, _logged(exposure, spec))

    def _router(
        self, exposure: Exposure, service: ServiceSpec, name: str, routes: list[Obj]
    ) -> Obj:
        spec = {"listeners": [_listener(service, _target_port(service))], "routes": routes}
        return _object(self.api_version, ROUTER, exposure, name, spec, metadata={})

    def _route(
        self,
        exposure: Exposure,
        name: str,
        routes: Routes,
        headers: Sequence[Condition] = (),
        *,
        primary_only: bool = False,
    ) -> Obj:
        service = _service(exposure)
        targets = [
            {"virtualNodeRef": {"name": node}, "weight": weight}
            for node, weight in _shares(exposure, routes, primary_only=primary_only)
        ]
        http: Obj = {"match": _match(service, headers), "action": {"weightedTargets": targets}}
        timeout_ms = _timeout_ms(service)
        if timeout_ms:
            http["timeout"] = {"perRequest": {"unit": "ms", "value": timeout_ms}}
        if service.retries is not None:
            retry_ms, retries, events = _retries(service)
            http["retryPolicy"] = {
                "perRetryTimeout": {"unit": "ms", "value": retry_ms},
                "maxRetries": retries,
                "httpRetryEvents": events,
            }
        return {"name": name, "httpRoute": http}


def _service(exposure: Exposure) -> ServiceSpec:
    if exposure.service is None:
        raise Refusal("Unsupported", "App Mesh needs spec.service")
    return exposure.service


def _object(
    api_version: str,
    kind: str,
    exposure: Exposure,
    name: str,
    spec: Obj,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Obj:
    """Nodes have the apex metadata, routers and services have none (reference 4.2)."""
    extra = apex_metadata(exposure) if metadata is None else metadata
    meta = {"name": name, "namespace": exposure.namespace, **extra}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}


def _over(live: Live, ours: Obj) -> Obj:
    found = live.get(ref_of(ours))
    return remembering(found, overlaid(found, ours))


def _released(refs: Sequence[Ref], live: Live) -> list[Obj | Gone]:
    objects = [(ref, live.get(ref)) for ref in refs]
    return [original_of(found) or Gone(ref) for ref, found in objects if found is not None]


def _address(exposure: Exposure, name: str) -> str:
    return f"{name}.{exposure.namespace}"


def _listener(service: ServiceSpec, port: int) -> Obj:
    protocol = "grpc" if "grpc" in service.port_name else "http"
    return {"portMapping": {"port": port, "protocol": protocol}}


def _target_port(service: ServiceSpec) -> int:
    """The port of the pods where it is a number, else the Service's."""
    target = service.target_port
    return int(target) if target is not None and str(target).isdigit() else service.port


def _timeout_ms(service: ServiceSpec) -> int:
    return round((duration_s(service.timeout) or 0) * 1000)


def _backend(name: str) -> Obj:
    if name.startswith("arn:aws"):
        return {"virtualServiceARN": name}
    return {"virtualServiceRef": {"name": name}}


def _logged(exposure: Exposure, spec: Obj) -> Obj:
    if exposure.annotations.get(ACCESS_LOG) == "enabled":
        spec["logging"] = {"accessLog": {"file": {"path": "/dev/stdout"}}}
    return spec


def _gateway(service: ServiceSpec) -> dict[str, str]:
    """What App Mesh's gateway reads off the service S."""
    found = {f"{GATEWAY}/expose": "true", f"{GATEWAY}/domain": f"{','.join(service.hosts)},"}
    if service.timeout:
        found[f"{GATEWAY}/timeout"] = service.timeout
    if service.retries is not None and service.retries.attempts > 0:
        found[f"{GATEWAY}/retries"] = str(service.retries.attempts)
    return found


def _split(exposure: Exposure, routes: Routes, route: Any) -> list[Obj]:
    """The routes of S."""
    alternatives = conditions(routes.match or exposure.match, "App Mesh", headers=ANY_FORM)
    if not alternatives:
        return [route(exposure, exposure.name, routes)]
    if len(alternatives) > MAX_ALTERNATIVES:
        raise Refusal("Unsupported", f"App Mesh: at most {MAX_ALTERNATIVES} entries of match")
    found = []
    for index, headers in enumerate(alternatives):
        name = f"{exposure.name}-a{index + 1 if index else ''}"
        matched = route(exposure, name, routes, headers)
        found.append({**matched, "priority": MATCHED + index})
    rest = route(exposure, f"{exposure.name}-b", Routes(), primary_only=True)
    return [*found, {**rest, "priority": REST}]


def _shares(exposure: Exposure, routes: Routes, *, primary_only: bool) -> list[tuple[str, int]]:
    if primary_only:
        return [(exposure.primary, 100)]
    return [(exposure.canary, routes.canary), (exposure.primary, routes.primary)]


def _match(service: ServiceSpec, headers: Sequence[Condition]) -> Obj:
    """The first match's prefix, as the reference has it, and the headers of an A/B test."""
    uri = service.match[0].uri if service.match else None
    match: Obj = {"prefix": uri.prefix if uri and isinstance(uri.prefix, str) else "/"}
    if headers:
        match["headers"] = [{"name": c.name, "match": {c.form: c.value}} for c in headers]
    return match


def _retries(service: ServiceSpec) -> tuple[int, int, list[str]]:
    """Milliseconds for a try, how many, and after what."""
    retries = service.retries
    assert retries is not None
    timeout_s = duration_s(retries.per_try_timeout)
    timeout_ms = RETRY_TIMEOUT_MS if timeout_s is None else round(timeout_s * 1000)
    events = [event.strip() for event in (retries.retry_on or RETRY_ON).split(",")]
    unknown = [event for event in events if event not in _EVENTS]
    if unknown:
        text = f"App Mesh cannot retry on {', '.join(unknown)}; use {', '.join(_EVENTS)}"
        raise Refusal("Unsupported", text)
    known = list(dict.fromkeys(_EVENTS[event] for event in events))
    return timeout_ms, retries.attempts or RETRIES, known


def _observed(
    exposure: Exposure, routes: Routes, live: Live, ref: Ref, names: tuple[str, str]
) -> Routes | NotYet:
    """The weights of the first route of an object; NotYet while App Mesh has not taken it."""
    found = live.get(ref)
    if found is None:
        return NotYet(f"{ref} does not exist yet")
    protocol, node = names
    first: Obj = next(iter((found.get("spec") or {}).get("routes") or ()), {})
    action = (first.get(protocol) or {}).get("action") or {}
    weights = {
        one[node]["name"] if isinstance(one.get(node), dict) else one.get(node): one.get(
            "weight", 0
        )
        for one in action.get("weightedTargets") or ()
    }
    if not weights.keys() >= {exposure.primary, exposure.canary}:
        return NotYet(f"{ref} does not contain routes for {exposure.primary} and {exposure.canary}")
    now = seen(routes, primary=weights[exposure.primary], canary=weights[exposure.canary])
    why = not_taken(found, types=("VirtualRouterActive", "VirtualServiceActive"))
    return NotYet(why, now) if why else now


V1BETA1 = V1Beta1()
V1BETA2 = V1Beta2()
