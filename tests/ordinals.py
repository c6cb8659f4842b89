"""The pods of one StatefulSet in a dict, and its controller, for tests of what we do to it.

Nothing happens by itself: the controller takes one action when it is asked to, as the real one
does between two looks of ours. What it does here was seen of the real one
(tests/integration/test_statefulset.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serinus.analyzer.core.times import rfc3339
from serinus.kube.partition import REVISION_LABEL, parts, selects_all
from serinus.kube.refs import Obj
from serinus.kube.revision import template_hash


class Pod(msgspec.Struct):
    """since: Unix seconds of its creation."""

    revision: str
    image: str
    ready: bool = False
    uid: int = 0
    since: float = 0.0


class Ordinals:
    """Pods by ordinal; at first all of them run what the set says, and are ready.

    kept  images by the name of the ControllerRevision: what pods can be made of
    """

    def __init__(self, target: Obj, now: float = 0.0) -> None:
        self.now = now
        self.uids = 0
        self.names: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self.current = self.newest(target)
        size = parts(target).size
        self.pods = {n: self._pod(self.current, ready=True) for n in range(size)}

    def newest(self, target: Obj) -> str:
        """The name of what the template says now."""
        template = target["spec"]["template"]
        revision = template_hash(template, kind="StatefulSet")
        name = self.names.setdefault(revision, f"web-{len(self.names) + 1}")
        self.kept[name] = str(template["spec"]["containers"][0]["image"])
        return name

    def act(self, target: Obj) -> bool:
        """One action of the controller; whether there was any."""
        newest, found = self.newest(target), parts(target)
        size, border = found.size, found.partition
        for n in sorted(self.pods, reverse=True):
            if n >= size:
                del self.pods[n]
                return True
        for n in range(size):
            if n not in self.pods:
                self.pods[n] = self._pod(newest if n >= border else self.current)
                return True
            if not self.pods[n].ready:
                return False  # one after another
        if all(p.revision == newest for p in self.pods.values()):
            changed = self.current != newest
            self.current = newest
            return changed
        for n in reversed(range(border, size)):
            if self.pods[n].revision != newest:
                del self.pods[n]
                return True
        return False

    def status(self, target: Obj) -> Obj:
        """What the controller tells once it has looked."""
        newest = self.newest(target)
        runs = [p.revision for p in self.pods.values()]
        return {
            "observedGeneration": target["metadata"]["generation"],
            "replicas": len(self.pods),
            "availableReplicas": sum(p.ready for p in self.pods.values()),
            "currentRevision": self.current,
            "updateRevision": newest,
            "currentReplicas": runs.count(self.current),
            "updatedReplicas": runs.count(newest),
        }

    def behind(self, target: Obj, selector: Mapping[str, str]) -> list[Pod]:
        """The ready pods that are selected."""
        labels = selects_all(target)
        return [
            pod
            for pod in self.pods.values()
            if pod.ready
            and all(
                {**labels, REVISION_LABEL: pod.revision}.get(k) == v for k, v in selector.items()
            )
        ]

    def documents(self, target: Obj) -> list[Obj]:
        """The pods as the API server gives them."""
        return [self._document(target, n) for n in sorted(self.pods)]

    def _document(self, target: Obj, n: int) -> Obj:
        pod, name = self.pods[n], target["metadata"]["name"]
        owner = {"kind": "StatefulSet", "name": name, "controller": True}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{n}",
                "namespace": target["metadata"]["namespace"],
                "uid": f"uid-{pod.uid}",
                "creationTimestamp": rfc3339(pod.since),
                "labels": {REVISION_LABEL: pod.revision},
                "ownerReferences": [{**owner, "uid": target["metadata"]["uid"]}],
            },
            "status": {"conditions": [{"type": "Ready", "status": str(pod.ready)}]},
        }

    def _pod(self, revision: str, ready: bool = False) -> Pod:
        self.uids += 1
        return Pod(revision, self.kept[revision], ready, self.uids, self.now)
