"""A watch: where it starts, what it sends, when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator

from msgspec import Struct

from serinus.sandbox.errors import ApiError, Obj, bad_request, too_large
from serinus.sandbox.registry import in_version
from serinus.sandbox.resources import Resource
from serinus.sandbox.store import Change, Store

BOOKMARK_S = 20.0
"""How often an otherwise silent watch tells its position, when the client wants that."""

INITIAL_END = "k8s.io/initial-events-end"


class Watch(Struct, frozen=True):
    """What a client wants to follow. `start` None is "what there is, then what comes"."""

    resource: Resource
    namespace: str
    accepts: Callable[[Obj], bool]
    start: int | None
    bookmarks: bool
    initial: bool
    timeout_s: float


def parse_version(text: str | None, current: int) -> int | None:
    """The version to start after; None for "", "0" and nothing. ApiError for nonsense."""
    if text in {None, "", "0"}:
        return None
    if not str(text).isdecimal():
        raise bad_request(f'Invalid value: "{text}": resourceVersion')
    asked = int(str(text))
    if asked > current:
        raise too_large(asked, current)
    return asked


def seen(change: Change, watch: Watch) -> tuple[str, Obj] | None:
    """The change as this watch sees it: an object may enter or leave its selection."""
    if watch.namespace and change.key.namespace != watch.namespace:
        return None
    now = change.verb != "DELETED" and watch.accepts(change.obj)
    before = change.previous is not None and watch.accepts(change.previous)
    if now:
        return ("MODIFIED" if before else "ADDED"), change.obj
    if not before:
        return None
    if change.verb == "DELETED":
        return "DELETED", change.obj
    left = {**(change.previous or {})}
    left["metadata"] = {**left["metadata"], "resourceVersion": str(change.revision)}
    return "DELETED", left


def _event(kind: str, obj: Obj, resource: Resource) -> Obj:
    return {"type": kind, "object": in_version(obj, resource)}


def bookmark(resource: Resource, revision: int, initial: bool = False) -> Obj:
    """An object that carries a version and nothing else."""
    meta: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial:
        meta["annotations"] = {INITIAL_END: "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": obj}


def _beginning(store: Store, watch: Watch) -> Iterator[Obj]:
    for obj in store.all(watch.resource.id, watch.namespace):
        if watch.accepts(obj):
            yield _event("ADDED", obj, watch.resource)
    if watch.initial:
        yield bookmark(watch.resource, store.revision, initial=True)


async def follow(store: Store, watch: Watch) -> AsyncGenerator[list[Obj], None]:
    """Batches of watch events until the timeout; an empty batch first, so that headers go out.

    A watch from before the store's memory, or that falls behind it, gets an ERROR event with 410
    and ends.
    """
    news = asyncio.Event()

    def wake(change: Change) -> None:
        if change.key.resource == watch.resource.id:
            news.set()

    end = store.subscribe(wake)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + watch.timeout_s
    try:
        position = store.revision if watch.start is None else watch.start
        yield [] if watch.start is not None else list(_beginning(store, watch))
        while True:
            news.clear()
            reached = store.revision
            try:
                changes = store.since(watch.resource.id, position)
            except ApiError as gone:
                yield [{"type": "ERROR", "object": gone.status()}]
                return
            found = (seen(change, watch) for change in changes)
            batch = [_event(*event, watch.resource) for event in found if event]
            position = reached
            if batch:
                yield batch
            left = deadline - loop.time()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(min(left, BOOKMARK_S)):
                    await news.wait()
            except TimeoutError:
                if watch.bookmarks:
                    yield [bookmark(watch.resource, store.revision)]
    finally:
        end()
