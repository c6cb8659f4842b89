"""A cluster in memory for unit tests: a registry, controllers that work when told, builders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from serinus.sandbox.controllers import Controller, Controllers
from serinus.sandbox.objects import condition
from serinus.sandbox.registry import Registry, Write
from serinus.sandbox.resources import Kinds, Resource
from serinus.sandbox.store import Key, Store

Obj = dict[str, Any]
ME = Write("me")


def a_config(name: str = "c", **data: str) -> Obj:
    return {"metadata": {"name": name}, "data": data or {"a": "1"}}


def a_deployment(
    name: str = "web", replicas: int = 2, image: str = "hello:1.0", **spec: Any
) -> Obj:
    labels = {"app": name}
    ports = [{"name": "http", "containerPort": 9898}]
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image, "ports": ports}]},
            },
            **spec,
        },
    }


def a_service(name: str = "web", **spec: Any) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports, **spec}}


class World:
    """A registry with a namespace `test`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.store = Store(history=50)
        self.kinds = Kinds()
        self.registry = Registry(self.store, self.kinds, now)
        self.create("namespaces", {"metadata": {"name": "test"}})

    def resource(self, plural: str) -> Resource:
        return next(r for r in self.kinds if r.plural == plural)

    def at(self, plural: str, name: str) -> Key:
        resource = self.resource(plural)
        return Key(resource.id, "test" if resource.namespaced else "", name)

    def create(self, plural: str, obj: Obj, write: Write = ME) -> Obj:
        resource = self.resource(plural)
        return self.registry.create(resource, "test" if resource.namespaced else "", obj, write)

    def get(self, plural: str, name: str) -> Obj:
        key = self.at(plural, name)
        return self.registry.get(self.resource(plural), key.namespace, name)

    def all(self, plural: str) -> list[Obj]:
        return self.store.all(self.resource(plural).id)

    def patch(
        self, plural: str, name: str, patch: Any, write: Write = ME, kind: str = "merge"
    ) -> Obj:
        key = self.at(plural, name)
        return self.registry.patch(self.resource(plural), key.namespace, name, kind, patch, write)

    def apply(self, plural: str, config: Obj, by: str, force: bool = False, sub: str = "") -> Obj:
        resource = self.resource(plural)
        name = config["metadata"]["name"]
        config = {"apiVersion": resource.api_version, "kind": resource.kind, **config}
        write = Write(by, sub, force=force)
        return self.registry.apply(resource, "test", name, config, write)[0]

    def delete(self, plural: str, name: str, **options: Any) -> bool:
        """Whether it is gone."""
        key = self.at(plural, name)
        return self.registry.delete(self.resource(plural), key.namespace, name, options)[1]

    def controlled_by(self, *kinds: type[Controller]) -> Controllers:
        return Controllers(self.registry, [kind(self.registry) for kind in kinds])

    def ready(self, pod: str, ready: bool = True) -> None:
        """Plays the kubelet: the pod runs and is ready, or not, since now."""
        state = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": self.registry.now(),
        }
        status = {"phase": "Running", "podIP": "127.1.0.1", "conditions": [state]}
        self.patch("pods", pod, {"spec": {"nodeName": "sandbox"}})
        self.patch("pods", pod, {"status": status}, Write("kubelet", "status"))

    def all_ready(self) -> None:
        for pod in self.all("pods"):
            found = condition(pod, "Ready")
            if not found or found["status"] != "True":
                self.ready(pod["metadata"]["name"])
