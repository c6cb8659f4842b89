"""The only file that speaks to the cluster: watches feed stores, steps become requests.

How a step is written is chosen by whose fields they are:

    routes       server-side apply of our fields: whatever else is in the object stays its owner's.
                 Where another manager's leftovers remain (a route that was taken over), what
                 differs is patched away
    workloads,   a merge patch of exactly what differs, with the resourceVersion that it was
    services     compared with: a template must be the target's to the last field, and applying
                 would join it with what other managers put there
    sizes        a JSON patch that tests the old number: while pods come and go the version changes
                 all the time, and says nothing about the number
    copies       replaced whole; only a copy that other canaries own too is read first

Nothing is read that a watch has brought, save contents of ConfigMaps and Secrets, which are never
kept, the Canary itself before something is made for it, and the EndpointSlices of S-canary before
its first share: a watch of all slices of a large cluster would cost more than all else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from serinus.events import CanaryRef
from serinus.events.canary import API_VERSION
from serinus.kube.cluster import Cluster
from serinus.kube.errors import Conflict, Invalid, NoKind, NotFound
from serinus.kube.refs import Obj, Ref, controller_of, ref_of
from serinus.kube.store import Store
from serinus.router import configs
from serinus.router.core.objects import MANAGER, Live, merge_patch
from serinus.router.core.serving import ready_pods
from serinus.router.core.steps import Write
from serinus.runtime.errors import Refuse

_log = logging.getLogger(__name__)

PODS = "pods"
SLICES, SERVICE_LABEL = ("discovery.k8s.io/v1", "EndpointSlice"), "kubernetes.io/service-name"
# Looked at when they are needed, and not kept: there are too many, or they are secrets.
UNWATCHED = frozenset({"ConfigMap", "Secret", "Pod"})

# (apiVersion, kind, namespace or "" for all, store): starts a watch that feeds the store for as
# long as the service runs.
Watch = Callable[[str, str, str, Store], None]


class Executor:
    """Objects as watches see them, and the writes that a plan asks for.

    watch      starts following a kind; asked once per kind, when an object of it is first needed
    on_change  told the reference of every object that came, changed or went
    namespace  the only one that the service works for, "" for all. What a canary of it refers to
               elsewhere is followed there, one namespace at a time
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        watch: Watch,
        on_change: Callable[[Ref], None],
        namespace: str = "",
    ) -> None:
        self._cluster = cluster
        self._watch = watch
        self._on_change = on_change
        self._namespace = namespace
        self._stores: dict[tuple[str, str, str], Store] = {}
        # What was applied last, and the version that came of it: see `_apply`.
        self._applied: dict[Ref, tuple[str, Obj]] = {}

    def follow(self, api_version: str, kind: str) -> Store:
        """The store of a kind; its watch begins with the first call."""
        return self._follow(api_version, kind, self._namespace)

    def _follow(self, api_version: str, kind: str, namespace: str) -> Store:
        key = (api_version, kind, namespace)
        if key not in self._stores:
            store = Store(transform=_trimmed, on_change=self._changed)
            self._stores[key] = store
            self._watch(api_version, kind, namespace, store)
        return self._stores[key]

    async def synced(self, refs: Iterable[Ref], within_s: float) -> list[str]:
        """Waits until the kinds of these objects were listed; the kinds that were not in time."""
        stores = [(ref.kind, self._store(ref)) for ref in refs]
        try:
            async with asyncio.timeout(within_s):
                for _, store in stores:
                    await store.synced()
        except TimeoutError:
            return list(dict.fromkeys(kind for kind, store in stores if not store.is_synced))
        return []

    def live(self, refs: Iterable[Ref]) -> Live:
        """These objects as they are known now."""
        found = {ref: self._store(ref).get(ref) for ref in refs}
        return Live({ref: obj for ref, obj in found.items() if obj is not None})

    async def contents(self, key: str, namespace: str) -> Obj | None:
        """A ConfigMap or Secret by `configmap/<name>`, None where there is none; the list of the
        pods with these labels by `pods/<labels>`. Not kept."""
        word, _, labels = key.partition("/")
        if word == PODS:
            listed = await self._cluster.list("v1", "Pod", namespace, labels)
            return {"items": list(listed.items)}
        return await self._find(configs.ref_of_key(key, namespace))

    async def addresses(self, service: str, namespace: str) -> int | None:
        """How many ready pods are announced behind a Service; None where nobody can tell: slices
        are not served, or not ours to read, or nobody makes any."""
        found, why = None, "nobody makes any"
        try:
            listed = await self._cluster.list(*SLICES, namespace, f"{SERVICE_LABEL}={service}")
            found = ready_pods(listed.items)
        except (NoKind, Refuse) as error:
            why = str(error)
        if found is None:
            _log.debug("no EndpointSlices", extra={"service": service, "reason": why})
        return found

    async def earlier(self, primary: Obj, kind: str) -> list[Obj]:
        """The objects in which its controller keeps what the primary ran, the newest first."""
        meta, labels = primary["metadata"], primary["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found = await self._cluster.list("apps/v1", kind, meta["namespace"], selector)
        owned = [o for o in found.items if (controller_of(o) or {}).get("uid") == meta["uid"]]
        return sorted(owned, key=lambda o: str(o["metadata"]["creationTimestamp"]), reverse=True)

    async def exists(self, canary: CanaryRef) -> bool:
        """Whether this very Canary is still there and not on its way out.

        An intent outlives its Canary on the bus; what is made for a deleted one would be collected
        and made again for ever.
        """
        found = await self._find(Ref(API_VERSION, "Canary", canary.namespace, canary.name))
        if found is None:
            return False
        meta = found["metadata"]
        return meta.get("uid", "") == canary.uid and not meta.get("deletionTimestamp")

    async def is_gone(self, canary: CanaryRef) -> bool:
        """Whether this very Canary is not even on its way out any more."""
        found = await self._find(Ref(API_VERSION, "Canary", canary.namespace, canary.name))
        return found is None or found["metadata"].get("uid", "") != canary.uid

    async def write(self, step: Write, canary: CanaryRef) -> None:
        """Does one step. Afterwards the stores hold the answer, or what made the step outdated.

        Raises Refuse, in the words of the API server behind those of the reference (4.4): which
        object, and what was tried; and Unreachable.
        """
        try:
            match step.verb:
                case "create":
                    self._keep(await self._cluster.create(step.whole))
                case "patch":
                    self._keep(await self._patch(step))
                case "apply":
                    self._keep(await self._apply(step))
                case "copy":
                    await self._copy(step.whole, canary)
                case "prune":
                    for ref in step.stale:
                        await self._drop(ref, canary)
                    self._keep(await self._patch(step))
                case "delete":
                    await self.delete(step.whole)
        except Conflict:
            # What we planned from is old. The watch will say so too, but not when.
            await self._refresh(step.ref)
        except NoKind:
            raise
        except NotFound:
            self._store(step.ref).forget(step.ref)
        except Refuse as error:
            tried = "create" if step.live is None else "update"
            tried = "delete" if step.verb == "delete" else tried
            raise Refuse(f"{step.ref} {tried} error: {error.reason}") from error

    async def delete(self, obj: Obj) -> None:
        """Deletes this very object; one that is gone, or another of its name, is as good."""
        ref, uid = ref_of(obj), obj["metadata"].get("uid", "")
        try:
            await self._cluster.delete(ref, uid=uid)
        except (Conflict, NotFound):
            await self._refresh(ref)
        else:
            if ref.kind not in UNWATCHED:
                self._store(ref).forget(ref)

    async def _patch(self, step: Write) -> Obj:
        assert step.live is not None
        patch = merge_patch(step.live, step.whole)
        if patch.keys() == {"spec"} and patch["spec"].keys() == {"replicas"}:
            return await self._resize(step.ref, step.live, patch["spec"]["replicas"])
        version = step.live["metadata"]["resourceVersion"]
        patch.setdefault("metadata", {})["resourceVersion"] = version
        return await self._cluster.patch(step.ref, patch, manager=MANAGER)

    async def _resize(self, ref: Ref, live: Obj, replicas: int) -> Obj:
        path, old = "/spec/replicas", live["spec"].get("replicas")
        patch = [
            {"op": "test", "path": path, "value": old},
            {"op": "replace", "path": path, "value": replicas},
        ]
        try:
            return await self._cluster.patch(ref, patch, manager=MANAGER)
        except Invalid as error:
            # The API server tells a failed test and a refused number apart by nothing else.
            now = await self._find(ref)
            if now is None or now["spec"].get("replicas") == old:
                raise
            raise Conflict(error.reason) from None

    async def _apply(self, step: Write) -> Obj:
        version = step.live["metadata"].get("resourceVersion", "") if step.live else ""
        if step.live is not None and self._applied.get(step.ref) == (version, step.ours):
            # Applied, and still not what it should be: fields of another manager are in the way.
            return await self._patch(step)
        found = await self._cluster.apply(step.ours, manager=MANAGER, force=True)
        self._applied[step.ref] = (found["metadata"]["resourceVersion"], step.ours)
        return found

    async def _copy(self, wanted: Obj, canary: CanaryRef) -> None:
        """Replaces a copy's content; reads it only when it is not ours alone, or cannot change."""
        ref = ref_of(wanted)
        try:
            await self._cluster.patch(ref, configs.sole_owner_patch(wanted), manager=MANAGER)
        except NotFound:
            try:
                await self._cluster.create(wanted)
            except Conflict:
                await self._join(ref, wanted, canary)
        except Invalid:
            await self._join(ref, wanted, canary)

    async def _join(self, ref: Ref, wanted: Obj, canary: CanaryRef) -> None:
        live = await self._cluster.get(ref)
        whole = configs.joined(live, wanted, canary)
        if configs.must_be_remade(live, wanted):
            await self._cluster.delete(ref, uid=live["metadata"].get("uid", ""))
            meta = {k: whole["metadata"][k] for k in ("name", "namespace", "labels")}
            meta["ownerReferences"] = whole["metadata"]["ownerReferences"]
            await self._cluster.create({**whole, "metadata": meta})
            return
        patch = merge_patch(live, whole)
        if patch:
            version = live["metadata"]["resourceVersion"]
            patch.setdefault("metadata", {})["resourceVersion"] = version
            await self._cluster.patch(ref, patch, manager=MANAGER)

    async def _drop(self, ref: Ref, canary: CanaryRef) -> None:
        """Deletes a copy that is this canary's alone; one that others own too is given up."""
        live = await self._find(ref)
        owners = (live or {"metadata": {}})["metadata"].get("ownerReferences") or []
        others = [owner for owner in owners if owner.get("uid") != canary.uid]
        if live is None or len(others) == len(owners):
            return
        if not others:
            await self._cluster.delete(ref, uid=live["metadata"]["uid"])
            return
        meta = {"ownerReferences": others, "resourceVersion": live["metadata"]["resourceVersion"]}
        await self._cluster.patch(ref, {"metadata": meta}, manager=MANAGER)

    async def _find(self, ref: Ref) -> Obj | None:
        try:
            return await self._cluster.get(ref)
        except NotFound:
            return None

    async def _refresh(self, ref: Ref) -> None:
        if ref.kind in UNWATCHED:
            return
        found = await self._find(ref)
        if found is None:
            self._store(ref).forget(ref)
        else:
            self._keep(found)

    def _keep(self, obj: Obj) -> None:
        self._store(ref_of(obj)).put_written(obj)

    def _store(self, ref: Ref) -> Store:
        return self._follow(ref.api_version, ref.kind, ref.namespace if self._namespace else "")

    def _changed(self, before: Obj | None, after: Obj | None) -> None:
        found = after or before
        if found is not None:
            self._on_change(ref_of(found))


def _trimmed(obj: Obj) -> Obj:
    """An object without the bookkeeping that nobody here reads and everybody would pay for."""
    meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": meta}
