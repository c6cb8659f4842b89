"""What a control plane does without being asked: collecting garbage, emptying namespaces,
and telling which pods are behind a Service."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator

from serinus.sandbox.controllers import Controller
from serinus.sandbox.errors import Obj
from serinus.sandbox.objects import is_ready, owned_by, port_number
from serinus.sandbox.registry import Registry, Write
from serinus.sandbox.store import Change, Key

SERVICES = ("", "services")
PODS = ("", "pods")
SLICES = ("discovery.k8s.io", "endpointslices")
NAMESPACES = ("", "namespaces")
SERVICE_LABEL = "kubernetes.io/service-name"
PORTS = "sandbox.serinus.dev/ports"
"""Pod annotation for machines with one loopback address: containerPort=port pairs, by comma."""


class GarbageCollector(Controller):
    """Deletes what has no owner left, and ends foreground and orphan deletions."""

    name = "garbage"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._dependents: dict[str, set[Key]] = {}

    def concerns(self, change: Change) -> Iterable[Key]:
        """The object, its owners when it is gone, its dependents when it goes."""
        refs = change.obj["metadata"].get("ownerReferences") or []
        for ref in refs:
            held = self._dependents.setdefault(ref.get("uid", ""), set())
            (held.discard if change.verb == "DELETED" else held.add)(change.key)
        meta = change.obj["metadata"]
        found = [change.key] if refs or meta.get("deletionTimestamp") else []
        if change.verb == "DELETED":
            found += self._dependents.pop(meta["uid"], ())
            owners = (self.registry.store.find(ref.get("uid", "")) for ref in refs)
            found += [key for key in owners if key]
        return found

    def reconcile(self, key: Key) -> float | None:
        """Looks at one object as a dependent and as an owner that is going."""
        obj = self.at(key)
        if obj is None:
            return None
        meta = obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if meta.get("deletionTimestamp"):
            if "orphan" in finalizers:
                self._orphan(obj)
                self._unhold(key, finalizers, "orphan")
            elif "foregroundDeletion" in finalizers and not self._deleting_dependents(obj):
                self._unhold(key, finalizers, "foregroundDeletion")
            return None
        refs = meta.get("ownerReferences") or []
        if refs and not any(self.registry.store.find(ref.get("uid", "")) for ref in refs):
            self.delete(key)
        return None

    def _unhold(self, key: Key, finalizers: list[str], name: str) -> None:
        rest = [held for held in finalizers if held != name]
        self.patch(key, {"metadata": {"finalizers": rest or None}})

    def _each(self, uid: str) -> Iterator[tuple[Key, Obj]]:
        for key in sorted(self._dependents.get(uid, ())):
            obj = self.at(key)
            refs = (obj or {"metadata": {}})["metadata"].get("ownerReferences") or []
            if obj is not None and any(ref.get("uid") == uid for ref in refs):
                yield key, obj

    def _orphan(self, owner: Obj) -> None:
        for key, obj in self._each(owner["metadata"]["uid"]):
            self._disown(key, obj, owner)

    def _disown(self, key: Key, obj: Obj, owner: Obj) -> None:
        uid = owner["metadata"]["uid"]
        refs = [r for r in obj["metadata"]["ownerReferences"] if r.get("uid") != uid]
        self.patch(key, {"metadata": {"ownerReferences": refs or None}})

    def _deleting_dependents(self, owner: Obj) -> bool:
        """Deletes the dependents; whether some that block are still there.

        A dependent that has another owner stays and loses this one.
        """
        uid = owner["metadata"]["uid"]
        blocked = False
        for key, obj in self._each(uid):
            refs = obj["metadata"]["ownerReferences"]
            if any(r["uid"] != uid and self.registry.store.find(r["uid"]) for r in refs):
                self._disown(key, obj, owner)
                continue
            if not obj["metadata"].get("deletionTimestamp"):
                self.delete(key)
            blocking = any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in refs)
            blocked = blocked or (blocking and self.at(key) is not None)
        return blocked


class NamespaceController(Controller):
    """Empties a namespace that is being deleted, then lets it go."""

    name = "namespace"

    def concerns(self, change: Change) -> Iterable[Key]:
        """Namespaces, and the namespace of whatever was deleted."""
        if change.key.resource == NAMESPACES and change.verb != "DELETED":
            return [change.key]
        if change.verb == "DELETED" and change.key.namespace:
            return [Key(NAMESPACES, "", change.key.namespace)]
        return []

    def reconcile(self, key: Key) -> float | None:
        """Deletes the contents; removes the namespace when there are none."""
        namespace = self.at(key)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return None
        left = [k for k, _ in self.registry.store.everything() if k.namespace == key.name]
        for held in left:
            obj = self.at(held)
            if obj is not None and not obj["metadata"].get("deletionTimestamp"):
                self.delete(held)
        if not any(self.at(held) for held in left):
            empty = copy.deepcopy(namespace)
            empty["spec"]["finalizers"] = []
            resource = self.resource(NAMESPACES)
            self.registry.replace(resource, "", key.name, empty, Write("kube-controller-manager"))
        return None


class EndpointsController(Controller):
    """EndpointSlices for Services with a selector, one per distinct set of port numbers."""

    name = "endpoints"

    def concerns(self, change: Change) -> Iterable[Key]:
        """Services, the services that a pod is or was behind, and the service of a slice."""
        if change.key.resource == SERVICES:
            return [change.key]
        if change.key.resource == SLICES:
            name = (change.obj["metadata"].get("labels") or {}).get(SERVICE_LABEL)
            return [Key(SERVICES, change.key.namespace, name)] if name else []
        if change.key.resource != PODS:
            return []
        states = [state for state in (change.obj, change.previous) if state]
        return [
            Key(SERVICES, change.key.namespace, service["metadata"]["name"])
            for service in self.registry.store.all(SERVICES, change.key.namespace)
            if any(_selects(service, state) for state in states)
        ]

    def reconcile(self, key: Key) -> float | None:
        """Makes the slices of one Service say what its pods are."""
        service = self.at(key)
        if service is None or not (service["spec"].get("selector")):
            return None
        wanted = slices(service, self.registry.store.all(PODS, key.namespace))
        live = {
            obj["metadata"]["name"]: obj
            for obj in self.registry.store.all(SLICES, key.namespace)
            if (obj["metadata"].get("labels") or {}).get(SERVICE_LABEL) == key.name
        }
        resource = self.resource(SLICES)
        for name, body in wanted.items():
            if name not in live:
                self.registry.create(resource, key.namespace, body, self.write)
            elif any(live[name].get(k) != body[k] for k in ("endpoints", "ports")):
                changed = {**live[name], "endpoints": body["endpoints"], "ports": body["ports"]}
                self.registry.replace(resource, key.namespace, name, changed, self.write)
        for name in live.keys() - wanted.keys():
            self.delete(Key(SLICES, key.namespace, name))
        return None


def _selects(service: Obj, pod: Obj) -> bool:
    selector = service["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def slices(service: Obj, pods: Iterable[Obj]) -> dict[str, Obj]:
    """The EndpointSlices of a Service by name; always at least one. Pure."""
    behind = [
        pod
        for pod in pods
        if _selects(service, pod)
        and (pod.get("status") or {}).get("podIP")
        and pod["status"].get("phase") not in {"Succeeded", "Failed"}
    ]
    groups: dict[tuple[tuple[str, int, str], ...], list[Obj]] = {}
    for pod in behind:
        groups.setdefault(_ports(service, pod), []).append(pod)
    return dict(_slice(service, ports, group) for ports, group in (groups or {(): []}).items())


def _ports(service: Obj, pod: Obj) -> tuple[tuple[str, int, str], ...]:
    """(name, number on the pod's address, protocol) of the ports that the pod has."""
    moved = dict(
        pair.split("=")
        for pair in (pod["metadata"].get("annotations") or {}).get(PORTS, "").split(",")
        if pair
    )
    found = []
    for port in service["spec"].get("ports") or []:
        number = port_number(pod["spec"], port.get("targetPort", port["port"]))
        if number is not None:
            number = int(moved.get(str(number), number))
            found.append((port.get("name", ""), number, port.get("protocol", "TCP")))
    return tuple(found)


def _slice(
    service: Obj, ports: tuple[tuple[str, int, str], ...], pods: list[Obj]
) -> tuple[str, Obj]:
    meta = service["metadata"]
    name = f"{meta['name']}-{hashlib.sha256(repr(ports).encode()).hexdigest()[:5]}"
    return name, {
        "metadata": {
            "name": name,
            "labels": {
                SERVICE_LABEL: meta["name"],
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": owned_by(service),
        },
        "addressType": "IPv4",
        "ports": [{"name": n, "port": p, "protocol": protocol} for n, p, protocol in ports],
        "endpoints": [_endpoint(pod) for pod in pods],
    }


def _endpoint(pod: Obj) -> Obj:
    serving = is_ready(pod)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": serving and not terminating,
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }
