"""Which canaries must be looked at again when an object changes. Pure bookkeeping on texts.

A canary is interested in *topics*: its own object, its workloads, the configs they use, the metric
templates and alert providers it names. An object that changed is about topics. Both sides are sets
of short texts, so what one event costs does not depend on how many canaries there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Set


def canary_topic(namespace: str, name: str) -> str:
    return f"canary/{namespace}/{name}"


def workload_topic(namespace: str, kind: str, name: str) -> str:
    """A workload, its pods, and who else has it as a target."""
    return f"workload/{namespace}/{kind}/{name}"


def config_topic(namespace: str, key: str) -> str:
    """`key` is `configmap/<name>` or `secret/<name>`."""
    return f"{key.partition('/')[0]}/{namespace}/{key.partition('/')[2]}"


def template_topic(namespace: str, name: str) -> str:
    return f"template/{namespace}/{name}"


def provider_topic(namespace: str, name: str) -> str:
    return f"provider/{namespace}/{name}"


class Index:
    """Topics by canary and canaries by topic. A canary is `<namespace>/<name>`."""

    def __init__(self) -> None:
        self._topics: dict[str, frozenset[str]] = {}
        self._canaries: dict[str, set[str]] = {}

    def put(self, canary: str, topics: Set[str]) -> None:
        """Replaces what a canary is interested in."""
        before = self._topics.get(canary, frozenset())
        for topic in before - topics:
            self._drop(topic, canary)
        for topic in topics - before:
            self._canaries.setdefault(topic, set()).add(canary)
        self._topics[canary] = frozenset(topics)

    def remove(self, canary: str) -> None:
        for topic in self._topics.pop(canary, frozenset()):
            self._drop(topic, canary)

    def affected(self, topics: Iterable[str]) -> set[str]:
        """The canaries that are interested in any of these topics."""
        empty: set[str] = set()
        return set().union(*(self._canaries.get(topic, empty) for topic in topics))

    def __len__(self) -> int:
        return len(self._topics)

    def _drop(self, topic: str, canary: str) -> None:
        interested = self._canaries[topic]
        interested.discard(canary)
        if not interested:
            del self._canaries[topic]
