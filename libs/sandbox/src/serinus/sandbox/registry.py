"""The rules of writing: create, replace, patch, delete, as kube-apiserver has them.

Everything is synchronous and takes its time from a function, so one call is one transaction.
"""

from __future__ import annotations

import copy
import itertools
import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from serinus.sandbox import apply as ssa
from serinus.sandbox import defaults, deletion, schema, settle
from serinus.sandbox import errors as e
from serinus.sandbox.errors import ApiError, Obj
from serinus.sandbox.patch import json_patch, merge_patch, strategic_patch
from serinus.sandbox.resources import Kinds, Resource, custom_resources
from serinus.sandbox.shapes import shape_of
from serinus.sandbox.store import Key, Store

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of generated names: no vowels, so no words."""

_CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")


class Write(Struct, frozen=True):
    """How a write is meant: who, through which subresource, and with which options."""

    manager: str = "unknown"
    subresource: str = ""
    dry_run: bool = False
    force: bool = False
    strict: str = "Warn"
    warn: Callable[[str], None] = lambda text: None


class Registry:
    """Objects with their rules. All methods raise ApiError for what the API refuses."""

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        now: Callable[[], datetime],
        cluster_ips: Iterator[str] | None = None,
    ) -> None:
        self.store = store
        self.kinds = kinds
        self._now = now
        self._ips = cluster_ips or (
            f"10.96.{high}.{low}" for high in itertools.count() for low in range(1, 255)
        )

    def now(self) -> str:
        """The time as objects carry it, whole seconds."""
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """The object, in the version asked for."""
        found = self.store.get(Key(resource.id, namespace, name))
        if found is None:
            raise e.not_found(resource.plural, resource.group, name)
        return in_version(found, resource)

    # Writing

    def create(self, resource: Resource, namespace: str, obj: Obj, write: Write) -> Obj:
        """Stores a new object; a missing name is made from generateName."""
        new = copy.deepcopy(obj)
        meta = new.setdefault("metadata", {})
        if meta.get("resourceVersion"):
            # A 500, and without a reason: so says the real server.
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + random_suffix()
        self._locate(resource, namespace, new, meta.get("name", ""))
        self._require_namespace(resource, namespace)
        if self.store.get(Key(resource.id, namespace, meta.get("name", ""))):
            raise e.already_exists(resource.plural, resource.group, meta["name"])
        return self._write(resource, None, new, write, None)

    def replace(self, resource: Resource, namespace: str, name: str, obj: Obj, write: Write) -> Obj:
        """PUT: the whole object, or its whole status through the subresource."""
        live = self.get(resource, namespace, name)
        new = copy.deepcopy(obj)
        self._locate(resource, namespace, new, name)
        return self._write(resource, live, new, write, None)

    def patch(
        self, resource: Resource, namespace: str, name: str, kind: str, body: Any, write: Write
    ) -> Obj:
        """PATCH with one of the three kinds of patch, `kind` being merge, json or strategic."""
        live = self.get(resource, namespace, name)
        base = copy.deepcopy(live)
        if kind == "merge":
            new = merge_patch(base, body)
        elif kind == "json":
            new = json_patch(base, body)
        elif resource.custom:
            raise e.unsupported_media("application/strategic-merge-patch+json")
        else:
            new = strategic_patch(base, body, shape_of(resource))
        if not isinstance(new, dict):
            raise e.bad_request("the patch does not leave an object")
        self._locate(resource, namespace, new, name)
        return self._write(resource, live, copy.deepcopy(new), write, None)

    def apply(
        self, resource: Resource, namespace: str, name: str, config: Obj, write: Write
    ) -> tuple[Obj, bool]:
        """Server-side apply; returns the object and whether it was created."""
        if not write.manager:
            text = "Required value: is required for apply patch"
            raise e.invalid(
                "PatchOptions", "meta.k8s.io", "", [("fieldManager", "FieldValueRequired", text)]
            )
        config = copy.deepcopy(config)
        meta = config.setdefault("metadata", {})
        if meta.get("managedFields"):
            raise e.bad_request("metadata.managedFields must be nil")
        if config.get("kind") != resource.kind:
            raise e.bad_request(f"invalid object type: {config.get('kind')}")
        live = self.store.get(Key(resource.id, namespace, name))
        if live is None:
            if write.subresource:
                raise e.not_found(resource.plural, resource.group, name)
            self._require_namespace(resource, namespace)
            if meta.get("uid"):  # a resourceVersion, in contrast, does not matter here
                raise e.conflict(resource.plural, resource.group, name, e.STALE)
        self._locate(resource, namespace, config, name)
        if write.subresource == "status":
            kept = {k: config[k] for k in ("apiVersion", "kind", "status") if k in config}
            config = kept | {
                "metadata": {
                    k: meta[k] for k in ("name", "namespace", "resourceVersion") if k in meta
                }
            }
        elif resource.status:
            config.pop("status", None)
        return self._write(resource, live, config, write, config), live is None

    def _locate(self, resource: Resource, namespace: str, obj: Obj, name: str) -> None:
        """Checks that the body is what the address says, and fills in what it leaves out."""
        meta = obj.setdefault("metadata", {})
        if obj.get("kind", resource.kind) != resource.kind:
            raise e.bad_request(
                f"{obj['kind']} in version {obj.get('apiVersion')} cannot be handled as a "
                f"{resource.kind}"
            )
        if obj.get("apiVersion", resource.api_version) != resource.api_version:
            raise e.bad_request(
                f"the API version in the data ({obj['apiVersion']}) does not match the expected "
                f"API version ({resource.api_version})"
            )
        if name and meta.get("name", name) != name:
            raise e.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL "
                f"({name})"
            )
        if namespace and (meta.get("namespace") or namespace) != namespace:
            raise e.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        if name:
            meta["name"] = name
        if namespace:
            meta["namespace"] = namespace
        else:
            meta.pop("namespace", None)

    def _require_namespace(self, resource: Resource, namespace: str) -> None:
        if not resource.namespaced:
            return
        held = self.store.get(Key(deletion.NAMESPACES, "", namespace))
        if held is None:
            raise e.not_found("namespaces", "", namespace)
        if held["metadata"].get("deletionTimestamp"):
            text = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            raise ApiError(403, "Forbidden", text)

    def _write(
        self, resource: Resource, live: Obj | None, new: Obj, write: Write, config: Obj | None
    ) -> Obj:
        """One write, from the body as sent to the stored object. `config` is what is applied."""
        shape = shape_of(resource)
        name = new["metadata"].get("name", "")
        asked = new["metadata"].get("resourceVersion")
        if live and asked and asked != live["metadata"]["resourceVersion"]:
            raise e.conflict(resource.plural, resource.group, name, e.STALE)
        uid = new["metadata"].get("uid")
        if live and uid and uid != live["metadata"]["uid"]:
            have = live["metadata"]["uid"]
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {have}"
            raise e.conflict(resource.plural, resource.group, name, why)
        operation = "Update" if config is None else "Apply"
        manager = ssa.Manager(write.manager, operation, resource.api_version, write.subresource)
        book: ssa.Book = {}
        if config is not None:
            config = self._known(resource, config, write)
            base = live or {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {},
            }
            new, book = ssa.apply(base, config, manager, shape, write.force, self.now())
            new = copy.deepcopy(new)
            new["metadata"].setdefault("name", name)
        else:
            new = self._known(resource, new, write)
        new = self._settled(resource, live, new, write.subresource)
        self._check(resource, live, new)
        if config is None:
            book = ssa.update(live, new, manager, shape, self.now())
        if live and settle.same_content(live, new) and ssa.read_book(live) == book:
            return live
        new["metadata"]["managedFields"] = ssa.write_book(book)
        if write.dry_run:
            return new
        return self._commit(resource, new)

    def _known(self, resource: Resource, obj: Obj, write: Write) -> Obj:
        """Without fields that the kind's schema does not know, told as the client asked."""
        if not resource.schema:
            return obj
        kept, unknown = schema.prune(obj, resource.schema)
        if unknown and write.strict == "Strict":
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise e.bad_request(f"strict decoding error: {listed}")
        if unknown and write.strict == "Warn":
            for path in unknown:
                write.warn(f'unknown field "{path}"')
        pruned: Obj = kept
        return pruned

    def _settled(self, resource: Resource, live: Obj | None, new: Obj, subresource: str) -> Obj:
        if live is None:
            new = settle.born(resource, new, str(uuid.uuid4()), self.now())
        elif subresource == "status":
            new = settle.told(live, new)
        else:
            new = settle.replaced(resource, live, new)
        new = settle.completed(resource, live, new, lambda: next(self._ips))
        if resource.generation:
            new["metadata"]["generation"] = settle.generation(resource, live, new)
        return new

    def _check(self, resource: Resource, live: Obj | None, new: Obj) -> None:
        name = new["metadata"].get("name", "")
        if not name:
            text = "Required value: name or generateName is required"
            causes = [("metadata.name", "FieldValueRequired", text)]
            raise e.invalid(resource.kind, resource.group, name, causes)
        causes = list(defaults.mistakes(resource.plural if not resource.custom else "", new, live))
        if resource.schema:
            causes += schema.mistakes(new, resource.schema)
        if live and live["metadata"].get("deletionTimestamp"):
            added = set(new["metadata"].get("finalizers") or ()) - set(
                live["metadata"].get("finalizers") or ()
            )
            if added:
                text = (
                    "Forbidden: no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers {sorted(added)}"
                )
                causes.append(("metadata.finalizers", "FieldValueForbidden", text))
        if causes:
            raise e.invalid(resource.kind, resource.group, name, causes)

    def _commit(self, resource: Resource, new: Obj) -> Obj:
        """Stores, or removes what was only waiting for its last finalizer."""
        meta = new["metadata"]
        key = Key(resource.id, meta.get("namespace", ""), meta["name"])
        if deletion.over(resource, new):
            self.store.put(key, new)
            return self._remove(resource, key)
        stored = self.store.put(key, new)
        if resource.id == _CRDS:
            self._define(stored)
        return stored

    def _define(self, definition: Obj) -> None:
        for row in custom_resources(definition):
            self.kinds.add(row)
        if definition.get("status", {}).get("conditions"):
            return
        names = definition["spec"]["names"]
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": text,
                "lastTransitionTime": self.now(),
            }
            for kind, reason, text in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ]
        stored = [v["name"] for v in definition["spec"]["versions"] if v.get("storage")]
        status = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}
        resource = self.kinds.at("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        new = {**copy.deepcopy(definition), "status": status}
        self._write(resource, definition, new, Write("kube-apiserver", "status"), None)

    # Deleting

    def delete(
        self, resource: Resource, namespace: str, name: str, options: Obj
    ) -> tuple[Obj, bool]:
        """Deletes or begins to; returns the last state and whether the object is gone."""
        live = self.get(resource, namespace, name)
        deletion.check(resource, live, options.get("preconditions") or {})
        if options.get("dryRun"):
            return live, True
        key = Key(resource.id, namespace, name)
        waiting = deletion.begin(resource, live, options, self.now())
        if waiting is None:
            return self._remove(resource, key), True
        return (live if waiting is live else self.store.put(key, waiting)), False

    def _remove(self, resource: Resource, key: Key) -> Obj:
        last = self.store.remove(key)
        if resource.id == _CRDS:
            spec = last["spec"]
            group, plural = spec["group"], spec["names"]["plural"]
            for obj in self.store.all((group, plural)):
                meta = obj["metadata"]
                self.store.remove(Key((group, plural), meta.get("namespace", ""), meta["name"]))
            self.kinds.remove(group, plural)
        return last

    def finish(self, key: Key) -> None:
        """Ends a graceful deletion: removes the object unless finalizers hold it."""
        live = self.store.get(key)
        resource = self.kinds.by_id(key.resource)
        if live is None or resource is None:
            return
        if live["metadata"].get("finalizers"):
            new = copy.deepcopy(live)
            new["metadata"]["deletionGracePeriodSeconds"] = 0
            if new != live:
                self.store.put(key, new)
            return
        self._remove(resource, key)


def in_version(obj: Obj, resource: Resource) -> Obj:
    """The object as this version of its kind; the stored one itself when it is that already."""
    if obj["apiVersion"] == resource.api_version:
        return obj
    return {**obj, "apiVersion": resource.api_version}


def random_suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
