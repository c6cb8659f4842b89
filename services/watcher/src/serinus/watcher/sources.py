"""The table of what is watched, and the view of it that snapshots are composed from.

One row per kind: what is kept of an object, and which topics it is about (`core.index`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from serinus.events import API_VERSION, ObjectRef
from serinus.events.canary import KNATIVE_SERVICE, workload_kind
from serinus.kube.configs import KINDS as CONFIG_KINDS
from serinus.kube.configs import ConfigSeen
from serinus.kube.refs import Obj, Ref, is_knative
from serinus.kube.store import Keys, OnChange, Store, Transform
from serinus.watcher.core import trim
from serinus.watcher.core.index import (
    canary_topic,
    config_topic,
    provider_topic,
    template_topic,
    workload_topic,
)
from serinus.watcher.core.workloads import RELEASABLE


class Source(Struct, frozen=True, kw_only=True):
    """One kind that is watched.

    topics    what an object is about
    required  whether we are unready where the API server does not serve the kind
    indexes   how objects are found other than by name
    """

    api_version: str
    kind: str
    keep: Transform
    topics: Callable[[Obj], Iterable[str]]
    required: bool = True
    indexes: Mapping[str, Keys] = {}

    @property
    def word(self) -> str:
        """Its name among the sources: there are Services of two kinds."""
        return _word(self.api_version, self.kind)


def _word(api_version: str, kind: str) -> str:
    return KNATIVE_SERVICE if kind == "Service" and api_version != "v1" else kind


def _name(obj: Obj) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _target(canary: Obj) -> list[str]:
    """The topic of a Canary's target, as far as the manifest can be read."""
    target = (canary.get("spec") or {}).get("targetRef")
    if not isinstance(target, dict):
        return []
    ref = ObjectRef(
        api_version=str(target.get("apiVersion")),
        kind=str(target.get("kind")),
        name=str(target.get("name")),
    )
    return [workload_topic(canary["metadata"]["namespace"], workload_kind(ref), ref.name)]


def _about_canary(canary: Obj) -> list[str]:
    """Itself, and its target: who else wants the same target has to know."""
    return [canary_topic(*_name(canary)), *_target(canary)]


def _about_workload(workload: Obj) -> list[str]:
    namespace, name = _name(workload)
    kind = KNATIVE_SERVICE if is_knative(workload) else workload["kind"]
    return [workload_topic(namespace, kind, name)]


def _about_pod(pod: Obj) -> list[str]:
    owner = trim.owner_of_pod(pod)
    return [workload_topic(pod["metadata"]["namespace"], *owner)] if owner else []


def _about_config(config: Obj) -> list[str]:
    namespace, name = _name(config)
    return [config_topic(namespace, f"{CONFIG_KINDS[config['kind']]}/{name}")]


def _about_template(template: Obj) -> list[str]:
    return [template_topic(*_name(template))]


def _about_provider(provider: Obj) -> list[str]:
    return [provider_topic(*_name(provider))]


SOURCES: tuple[Source, ...] = (
    Source(
        api_version=API_VERSION,
        kind="Canary",
        keep=trim.slim,
        topics=_about_canary,
        indexes={"target": _target},
    ),
    Source(api_version="apps/v1", kind="Deployment", keep=trim.slim, topics=_about_workload),
    Source(api_version="apps/v1", kind="DaemonSet", keep=trim.slim, topics=_about_workload),
    Source(api_version="apps/v1", kind="StatefulSet", keep=trim.slim, topics=_about_workload),
    Source(api_version="v1", kind="Service", keep=trim.slim, topics=_about_workload),
    Source(
        api_version=RELEASABLE[KNATIVE_SERVICE],
        kind="Service",
        keep=trim.slim,
        topics=_about_workload,
        required=False,
    ),
    Source(
        api_version="v1",
        kind="Pod",
        keep=trim.pod,
        topics=_about_pod,
        indexes={"workload": _about_pod},
    ),
    Source(api_version="v1", kind="ConfigMap", keep=trim.config, topics=_about_config),
    Source(api_version="v1", kind="Secret", keep=trim.config, topics=_about_config),
    Source(
        api_version=API_VERSION,
        kind="MetricTemplate",
        keep=trim.slim,
        topics=_about_template,
        required=False,
    ),
    Source(
        api_version=API_VERSION,
        kind="AlertProvider",
        keep=trim.name_only,
        topics=_about_provider,
        required=False,
    ),
)


class Cache:
    """A store per source; implements `core.compose.View`.

    on_topics  told which topics an event was about
    """

    def __init__(
        self, on_topics: Callable[[Iterable[str]], None], sources: Sequence[Source] = SOURCES
    ) -> None:
        self.sources = sources
        self.stores: dict[str, Store] = {
            source.word: Store(
                indexes=source.indexes,
                transform=source.keep,
                on_change=_telling(source, on_topics),
            )
            for source in sources
        }

    async def synced(self) -> None:
        """Returns when every first list is in."""
        for store in self.stores.values():
            await store.synced()

    def wants(self, source: Source) -> bool:
        """Whether a canary may need this kind: one that only some clusters have, by its target."""
        if source.word != KNATIVE_SERVICE:
            return True
        targets = (topic for canary in self.stores["Canary"] for topic in _target(canary))
        return any(f"/{KNATIVE_SERVICE}/" in topic for topic in targets)

    def store(self, ref: Ref) -> Store:
        """Where an object of this kind is kept."""
        return self.stores[_word(ref.api_version, ref.kind)]

    def canary(self, namespace: str, name: str) -> Obj | None:
        return self.stores["Canary"].get(Ref(API_VERSION, "Canary", namespace, name))

    def workload(self, namespace: str, kind: str, name: str) -> Obj | None:
        api_version = RELEASABLE.get(kind)
        if api_version is None:
            return None
        kept = "Service" if kind == KNATIVE_SERVICE else kind
        return self.stores[kind].get(Ref(api_version, kept, namespace, name))

    def pods(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return self.stores["Pod"].by("workload", workload_topic(namespace, kind, name))

    def config(self, namespace: str, key: str) -> Obj | None:
        word, _, name = key.partition("/")
        kind = "ConfigMap" if word == "configmap" else "Secret"
        return self.stores[kind].get(Ref("v1", kind, namespace, name))

    def config_seen(self, namespace: str, key: str) -> ConfigSeen | None:
        found = self.config(namespace, key)
        return trim.config_seen(found) if found else None

    def template(self, namespace: str, name: str) -> Obj | None:
        ref = Ref(API_VERSION, "MetricTemplate", namespace, name)
        return self.stores["MetricTemplate"].get(ref)

    def has_provider(self, namespace: str, name: str) -> bool:
        return Ref(API_VERSION, "AlertProvider", namespace, name) in self.stores["AlertProvider"]

    def canaries_of(self, namespace: str, kind: str, name: str) -> Sequence[Obj]:
        return self.stores["Canary"].by("target", workload_topic(namespace, kind, name))


def _telling(source: Source, on_topics: Callable[[Iterable[str]], None]) -> OnChange:
    def on_change(before: Obj | None, after: Obj | None) -> None:
        on_topics({t for obj in (before, after) if obj is not None for t in source.topics(obj)})

    return on_change
