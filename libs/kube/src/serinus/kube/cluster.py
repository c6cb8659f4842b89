"""The API server as services see it. `client.py` implements it with kubernetes-asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from serinus.kube.refs import Obj, Ref


class Listing(Struct, frozen=True):
    items: tuple[Obj, ...]
    resource_version: str


class Change(Struct, frozen=True):
    """One watch event. A BOOKMARK carries only the resourceVersion in `object`."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Obj


class Cluster(Protocol):
    """Objects are plain dicts as the API server gives them. Errors: serinus.kube.errors."""

    async def get(self, ref: Ref) -> Obj: ...

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Obj:
        """Whatever the API server has at a path: for APIs that are not about objects."""
        ...

    async def list(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> Listing:
        """All objects of a kind, in pages behind the scenes."""
        ...

    def watch(
        self,
        api_version: str,
        kind: str,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
    ) -> AsyncIterator[Change]:
        """Changes after `resource_version`, with bookmarks. Raises Gone when it is too old."""
        ...

    async def create(self, obj: Obj) -> Obj: ...

    async def apply(
        self, obj: Obj, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Obj:
        """Server-side apply; the live object afterwards. Conflicts raise without `force`."""
        ...

    async def patch(
        self,
        ref: Ref,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Obj:
        """Merge patch for a mapping, JSON patch for a list. metadata.resourceVersion in a merge
        patch is a precondition: Conflict when it is old."""
        ...

    async def delete(self, ref: Ref, *, uid: str = "", resource_version: str = "") -> None:
        """Deletes in the background; a missing object is no error."""
        ...
