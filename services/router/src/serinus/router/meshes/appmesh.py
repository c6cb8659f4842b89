"""App Mesh: VirtualNodes for the Services, a router that splits between them (reference 4.6).

    v1beta1  VirtualNodes S, S-primary, S-canary; VirtualServices S.ns and S-canary.ns hold routes
    v1beta2  VirtualNodes S-primary, S-canary; VirtualRouters S and S-canary hold routes;
             VirtualServices S and S-canary name them

S goes to both nodes by weight; S-canary, for direct calls, to the canary alone. An A/B test has a
route for each alternative at priority 10 and following, and the primary's at 20. Lists of routes
are ours as a whole; names and references that App Mesh fills in stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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


class _Generation(ABC):
    """What both APIs have in common. They differ in where routes are kept, and in words.

    protocol  the field of a route that holds what is HTTP's
    """

    api_version: str
    protocol: str

    @abstractmethod
    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """Everything that is written, in this order."""

    def observe(self, exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
        """The weights of the first route of S; NotYet while App Mesh has not taken it."""
        ref = self._routed(exposure)
        found = live.get(ref)
        if found is None:
            return NotYet(f"{ref} does not exist yet")
        first: Obj = next(iter((found.get("spec") or {}).get("routes") or ()), {})
        action = (first.get(self.protocol) or {}).get("action") or {}
        targets = action.get("weightedTargets") or ()
        weights = {self._node_of(target): target.get("weight", 0) for target in targets}
        if not weights.keys() >= {exposure.primary, exposure.canary}:
            names = f"{exposure.primary} and {exposure.canary}"
            return NotYet(f"{ref} does not contain routes for {names}")
        now = seen(routes, primary=weights[exposure.primary], canary=weights[exposure.canary])
        why = not_taken(found, types=("VirtualRouterActive", "VirtualServiceActive"))
        return NotYet(why, now) if why else now

    def release(self, exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
        """What was the user's is as it was; ours goes."""
        objects = [(ref, live.get(ref)) for ref in self.needs(exposure)]
        return [original_of(found) or Gone(ref) for ref, found in objects if found is not None]

    @abstractmethod
    def _routed(self, exposure: Exposure) -> Ref:
        """The object that holds the routes of S."""

    @abstractmethod
    def _target(self, node: str) -> Obj:
        """Whom a share goes to; `_node_of` reads it."""

    @abstractmethod
    def _node_of(self, target: Obj) -> str:
        """The name of that node."""

    @abstractmethod
    def _limits(self, service: ServiceSpec) -> Obj:
        """Timeout and retries of a route."""

    def _ref(self, exposure: Exposure, kind: str, name: str) -> Ref:
        return Ref(self.api_version, kind, exposure.namespace, name)

    def _object(self, ref: Ref, spec: Obj, metadata: Obj | None = None) -> Obj:
        meta = {"name": ref.name, "namespace": ref.namespace, **(metadata or {})}
        return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta, "spec": spec}

    def _node(self, exposure: Exposure, name: str, spec: Obj) -> Obj:
        """Nodes have the apex metadata, routers and services have none (reference 4.2)."""
        if exposure.annotations.get(ACCESS_LOG) == "enabled":
            spec["logging"] = {"accessLog": {"file": {"path": "/dev/stdout"}}}
        return self._object(self._ref(exposure, NODE, name), spec, apex_metadata(exposure))

    def _split(self, exposure: Exposure, routes: Routes) -> list[Obj]:
        """The routes of S."""
        shares = ((exposure.canary, routes.canary), (exposure.primary, routes.primary))
        alternatives = conditions(routes.match or exposure.match, "App Mesh", headers=ANY_FORM)
        if not alternatives:
            return [self._route(exposure, exposure.name, shares)]
        if len(alternatives) > MAX_ALTERNATIVES:
            raise Refusal("Unsupported", f"App Mesh: at most {MAX_ALTERNATIVES} entries of match")
        found = []
        for index, headers in enumerate(alternatives):
            name = f"{exposure.name}-a{index + 1 if index else ''}"
            matched = self._route(exposure, name, shares, headers)
            found.append({**matched, "priority": MATCHED + index})
        rest = self._route(exposure, f"{exposure.name}-b", ((exposure.primary, 100),))
        return [*found, {**rest, "priority": REST}]

    def _direct(self, exposure: Exposure) -> list[Obj]:
        """The route of S-canary."""
        shares = ((exposure.canary, 100), (exposure.primary, 0))
        return [self._route(exposure, exposure.canary, shares)]

    def _route(
        self,
        exposure: Exposure,
        name: str,
        shares: Sequence[tuple[str, int]],
        headers: Sequence[Condition] = (),
    ) -> Obj:
        service = _service(exposure)
        targets = [{**self._target(node), "weight": weight} for node, weight in shares]
        http: Obj = {"match": _match(service, headers), "action": {"weightedTargets": targets}}
        return {"name": name, self.protocol: http | self._limits(service)}


class V1Beta1(_Generation):
    """The first API: everything is in one mesh that the manifest names."""

    api_version = f"{GROUP}/v1beta1"
    protocol = "http"

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
        hosts = {name: primary, primary: primary, canary: canary}
        nodes = [self._pods(exposure, service, node, host) for node, host in hosts.items()]
        found = self._virtual_service(exposure, service, name, self._split(exposure, routes))
        if service.hosts:
            found["metadata"]["annotations"] = _gateway(service)
        direct = self._virtual_service(exposure, service, canary, self._direct(exposure))
        return [_over(live, ours) for ours in (*nodes, found, direct)]

    def _routed(self, exposure: Exposure) -> Ref:
        return self._ref(exposure, SERVICE, _address(exposure, exposure.name))

    def _target(self, node: str) -> Obj:
        return {"virtualNodeName": node}

    def _node_of(self, target: Obj) -> str:
        return str(target.get("virtualNodeName", ""))

    def _limits(self, service: ServiceSpec) -> Obj:
        if service.retries is None:
            return {}
        timeout_ms, retries, events = _retries(service)
        policy = {"perRetryTimeoutMillis": timeout_ms, "maxRetries": retries}
        return {"retryPolicy": {**policy, "httpRetryEvents": events}}

    def _pods(self, exposure: Exposure, service: ServiceSpec, name: str, host: str) -> Obj:
        spec: Obj = {
            "meshName": service.mesh_name,
            "listeners": [_listener(service, service.port)],
            "serviceDiscovery": {"dns": {"hostName": _address(exposure, host)}},
        }
        if service.backends:
            spec["backends"] = [
                {"virtualService": {"virtualServiceName": backend}} for backend in service.backends
            ]
        return self._node(exposure, name, spec)

    def _virtual_service(
        self, exposure: Exposure, service: ServiceSpec, name: str, routes: list[Obj]
    ) -> Obj:
        listeners = [_listener(service, service.port)]
        spec = {
            "meshName": service.mesh_name,
            "virtualRouter": {"name": name, "listeners": listeners},
            "routes": routes,
        }
        return self._object(self._ref(exposure, SERVICE, _address(exposure, name)), spec)


class V1Beta2(_Generation):
    """The second API: App Mesh finds the mesh by the namespace's label."""

    api_version = f"{GROUP}/v1beta2"
    protocol = "httpRoute"

    def needs(self, exposure: Exposure) -> Sequence[Ref]:
        """Two nodes, two routers, two services."""
        name, primary, canary = exposure.name, exposure.primary, exposure.canary
        kinds = ((NODE, (primary, canary)), (ROUTER, (name, canary)), (SERVICE, (name, canary)))
        return tuple(self._ref(exposure, kind, one) for kind, names in kinds for one in names)

    def render(self, exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
        """Nodes, then routers that name them, then services that name those. Raises Refusal."""
        service = _service(exposure)
        listener = _listener(service, _target_port(service))
        nodes = [
            self._pods(exposure, service, node) for node in (exposure.primary, exposure.canary)
        ]
        split, direct = self._split(exposure, routes), self._direct(exposure)
        routers, services = [], []
        for name, kept in ((exposure.name, split), (exposure.canary, direct)):
            router = self._ref(exposure, ROUTER, name)
            routers.append(self._object(router, {"listeners": [listener], "routes": kept}))
            provider = {"virtualRouter": {"virtualRouterRef": {"name": name}}}
            ref = self._ref(exposure, SERVICE, name)
            services.append(self._object(ref, {"provider": provider}))
        if service.hosts:
            services[0]["metadata"]["annotations"] = _gateway(service)
        return [_over(live, ours) for ours in (*nodes, *routers, *services)]

    def _routed(self, exposure: Exposure) -> Ref:
        return self._ref(exposure, ROUTER, exposure.name)

    def _target(self, node: str) -> Obj:
        return {"virtualNodeRef": {"name": node}}

    def _node_of(self, target: Obj) -> str:
        return str((target.get("virtualNodeRef") or {}).get("name", ""))

    def _limits(self, service: ServiceSpec) -> Obj:
        found = _timeout(service)
        if service.retries is not None:
            retry_ms, retries, events = _retries(service)
            policy = {"perRetryTimeout": _ms(retry_ms), "maxRetries": retries}
            found["retryPolicy"] = {**policy, "httpRetryEvents": events}
        return found

    def _pods(self, exposure: Exposure, service: ServiceSpec, name: str) -> Obj:
        listener = _listener(service, _target_port(service))
        timeout = _timeout(service)
        if timeout:
            listener["timeout"] = {"http": timeout["timeout"]}
        host = f"{name}.{exposure.namespace}.svc.cluster.local."
        spec: Obj = {"listeners": [listener], "serviceDiscovery": {"dns": {"hostname": host}}}
        if exposure.selector is not None:
            key, value = exposure.selector.key, exposure.selector.value
            suffix = "-primary" if name == exposure.primary else ""
            spec["podSelector"] = {"matchLabels": {key: f"{value}{suffix}"}}
        if service.backends:
            spec["backends"] = [{"virtualService": _backend(name)} for name in service.backends]
        return self._node(exposure, name, spec)


def _service(exposure: Exposure) -> ServiceSpec:
    if exposure.service is None:
        raise Refusal("Unsupported", "App Mesh needs spec.service")
    return exposure.service


def _over(live: Live, ours: Obj) -> Obj:
    found = live.get(ref_of(ours))
    return remembering(found, overlaid(found, ours))


def _address(exposure: Exposure, name: str) -> str:
    return f"{name}.{exposure.namespace}"


def _listener(service: ServiceSpec, port: int) -> Obj:
    protocol = "grpc" if "grpc" in service.port_name else "http"
    return {"portMapping": {"port": port, "protocol": protocol}}


def _target_port(service: ServiceSpec) -> int:
    """The port of the pods where it is a number, else the Service's."""
    target = service.target_port
    return int(target) if target is not None and str(target).isdigit() else service.port


def _timeout(service: ServiceSpec) -> Obj:
    timeout_ms = round((duration_s(service.timeout) or 0) * 1000)
    return {"timeout": {"perRequest": _ms(timeout_ms)}} if timeout_ms else {}


def _ms(value: int) -> Obj:
    return {"unit": "ms", "value": value}


def _backend(name: str) -> Obj:
    if name.startswith("arn:aws"):
        return {"virtualServiceARN": name}
    return {"virtualServiceRef": {"name": name}}


def _gateway(service: ServiceSpec) -> dict[str, str]:
    """What App Mesh's gateway reads off the service S."""
    found = {f"{GATEWAY}/expose": "true", f"{GATEWAY}/domain": f"{','.join(service.hosts)},"}
    if service.timeout:
        found[f"{GATEWAY}/timeout"] = service.timeout
    if service.retries is not None and service.retries.attempts > 0:
        found[f"{GATEWAY}/retries"] = str(service.retries.attempts)
    return found


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


V1BETA1 = V1Beta1()
V1BETA2 = V1Beta2()
