"""The Cluster Protocol on a real API server: paths, verbs and answers; bytes decoded by msgspec.

Objects are plain dicts. What a request means is decided here and in `errors`; how it travels is
`connection`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import aiohttp
import msgspec

from serinus.kube.cluster import Change, Listing
from serinus.kube.connection import Connection, hang_up, keep_alive
from serinus.kube.errors import Denied, NoKind, NotFound, Unreachable, error_of, error_of_event
from serinus.kube.kinds import KINDS, Resource, base_path, discovered, path_of
from serinus.kube.refs import Obj, Ref
from serinus.runtime.clock import Clock
from serinus.runtime.service import Metrics

# (verb, resource, code) of every request; code is the HTTP status, or "none" without an answer.
Count = Callable[[str, str, str], None]

# Pages begin small and grow while they are light: 100 Secrets may weigh more than 1000 Leases.
FIRST_PAGE, LARGEST_PAGE, SMALLEST_PAGE = 100, 1000, 10
LIGHT_BYTES, HEAVY_BYTES = 1 << 20, 8 << 20
REQUEST_TIMEOUT_S = 10.0
LIVE_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 30.0
# The server ends a watch after this long; the spread keeps many of them from ending together.
WATCH_S, WATCH_SPREAD_S = 270, 60

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
# The API server takes JSON for this type, as JSON is YAML; a JSON spelling exists only for CBOR.
APPLY_PATCH = "application/apply-patch+yaml"


class _Event(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: Any


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "more": "continue"}):
    resource_version: str = ""
    more: str = ""


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[Obj] | None = None


_event = msgspec.json.Decoder(_Event)
_list = msgspec.json.Decoder(_List)
_obj = msgspec.json.Decoder(Obj)


def counting(metrics: Metrics) -> Count:
    """Counts requests as `serinus_kube_requests_total{verb,resource,code}`."""
    counter = metrics.counter("serinus_kube_requests_total", "Requests to the Kubernetes API.")

    def count(verb: str, resource: str, code: str) -> None:
        counter.inc({"verb": verb, "resource": resource, "code": code})

    return count


@contextlib.asynccontextmanager
async def connect(
    kubeconfig: str = "",
    *,
    count: Count | None = None,
    clock: Clock | None = None,
    timeout_s: float = REQUEST_TIMEOUT_S,
) -> AsyncIterator[KubeClient]:
    """A client for as long as the block runs; no request is sent before the first call.

    kubeconfig  path of a kubeconfig; "": KUBECONFIG, ~/.kube/config, else the pod's account
    clock       hears from each answer what time it is for the API server
    timeout_s   bound of every request but lists and watches
    Raises Denied when there is no usable configuration.
    """
    connection = await Connection.open(kubeconfig)
    try:
        yield KubeClient(connection, count=count, clock=clock, timeout_s=timeout_s)
    finally:
        await connection.close()


class KubeClient:
    """Implements `serinus.kube.cluster.Cluster`, and `Paged` for lists page by page."""

    def __init__(
        self,
        connection: Connection,
        *,
        count: Count | None = None,
        clock: Clock | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._connection = connection
        self._count = count or (lambda verb, resource, code: None)
        self._clock = clock
        self._timeout_s = timeout_s
        self._discovered: dict[str, dict[str, Resource]] = {}
        self._heard_at = -math.inf

    def silent_s(self) -> float:
        """For how many seconds nothing came from the API server; endless after a failure."""
        return asyncio.get_running_loop().time() - self._heard_at

    async def live(self) -> None:
        """Asks for a sign of life. Raises Unreachable."""
        try:
            await self._ask("get", "GET", "/livez", "livez", timeout_s=LIVE_TIMEOUT_S)
        except (Denied, NotFound):
            return  # an answer, too

    def _hears(self, answered: bool = True) -> None:
        self._heard_at = asyncio.get_running_loop().time() if answered else -math.inf

    def _hears_the_time(self, date: str | None, took_s: float) -> None:
        if date is None or self._clock is None:
            return
        with contextlib.suppress(ValueError):
            self._clock.heard(parsedate_to_datetime(date).timestamp(), took_s)

    async def get(self, ref: Ref) -> Obj:
        resource = await self.resource(ref.api_version, ref.kind)
        path = path_of(ref.api_version, resource, ref.namespace, ref.name)
        return _obj.decode(await self._ask("get", "GET", path, resource.plural))

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Obj:
        return _obj.decode(await self._ask("get", "GET", path, "documents", query=query))

    async def list(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> Listing:
        items: list[Obj] = []
        version = ""
        async for page in self.pages(api_version, kind, namespace, selector):
            items += page.items
            version = page.resource_version
        return Listing(tuple(items), version)

    async def pages(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> AsyncIterator[Listing]:
        """The same as `list` in pieces of some MB, so that a caller may keep only what it needs.

        Raises Gone when the server forgot the version in the middle: start again.
        """
        resource = await self.resource(api_version, kind)
        path = path_of(api_version, resource, namespace)
        size = FIRST_PAGE
        query = {"limit": str(size)}
        if selector:
            query["labelSelector"] = selector
        while True:
            body = await self._ask(
                "list", "GET", path, resource.plural, query=query, timeout_s=LIST_TIMEOUT_S
            )
            page = _list.decode(body)
            # The items of a list do not say what they are: the list does.
            items = ({"apiVersion": api_version, "kind": kind} | i for i in page.items or ())
            yield Listing(tuple(items), page.metadata.resource_version)
            if not page.metadata.more:
                return
            size = _next_page(size, len(body))
            query |= {"continue": page.metadata.more, "limit": str(size)}

    async def watch(
        self,
        api_version: str,
        kind: str,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
    ) -> AsyncGenerator[Change, None]:
        """As the Protocol says; it ends quietly when the server ends it, after about 5 minutes.

        The first change is a BOOKMARK of `resource_version` itself: the watch is established.
        """
        resource = await self.resource(api_version, kind)
        path = path_of(api_version, resource, namespace)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_S + secrets.randbelow(WATCH_SPREAD_S)),
        }
        if selector:
            query["labelSelector"] = selector
        answer = await self._open_watch(path, query, resource.plural)
        try:
            yield Change("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})
            async for line in _lines(answer.content):
                self._hears()
                event = _event.decode(line)
                if event.type == "ERROR":
                    raise error_of_event(event.object)
                yield Change(event.type, event.object)
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            why = f"{self._connection.host}: the watch of {resource.plural} broke: {error}"
            raise Unreachable(why) from error
        finally:
            hang_up(answer)

    async def create(self, obj: Obj) -> Obj:
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = path_of(obj["apiVersion"], resource, obj["metadata"].get("namespace", ""))
        return _obj.decode(await self._ask("create", "POST", path, resource.plural, body=obj))

    async def apply(
        self, obj: Obj, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Obj:
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        meta = obj["metadata"]
        path = path_of(obj["apiVersion"], resource, meta.get("namespace", ""), meta["name"])
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        body = await self._ask(
            "apply", "PATCH", path, resource.plural, query=query, body=obj, content_type=APPLY_PATCH
        )
        return _obj.decode(body)

    async def patch(
        self,
        ref: Ref,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Obj:
        resource = await self.resource(ref.api_version, ref.kind)
        path = path_of(ref.api_version, resource, ref.namespace, ref.name, subresource)
        is_merge = isinstance(patch, Mapping)
        body = await self._ask(
            "patch",
            "PATCH",
            path,
            f"{resource.plural}/{subresource}" if subresource else resource.plural,
            query={"fieldManager": manager},
            body=dict(patch) if isinstance(patch, Mapping) else list(patch),
            content_type=MERGE_PATCH if is_merge else JSON_PATCH,
        )
        return _obj.decode(body)

    async def delete(self, ref: Ref, *, uid: str = "", resource_version: str = "") -> None:
        resource = await self.resource(ref.api_version, ref.kind)
        path = path_of(ref.api_version, resource, ref.namespace, ref.name)
        options: Obj = {"propagationPolicy": "Background"}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if any(conditions.values()):
            options["preconditions"] = {k: v for k, v in conditions.items() if v}
        try:
            await self._ask("delete", "DELETE", path, resource.plural, body=options)
        except NotFound:
            return

    async def resource(self, api_version: str, kind: str) -> Resource:
        """How the API server spells this kind. Raises NoKind where it does not serve it."""
        known = KINDS.get((api_version, kind)) or self._discovered.get(api_version, {}).get(kind)
        if known is not None:
            return known
        body = await self._ask("get", "GET", base_path(api_version), "apiresources")
        self._discovered[api_version] = found = discovered(_obj.decode(body))
        if kind not in found:
            raise NoKind(f"the API server does not serve {kind} in {api_version}")
        return found[kind]

    async def _ask(
        self,
        verb: str,
        method: str,
        path: str,
        resource: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = 0.0,
    ) -> bytes:
        """The body of a successful answer; every other answer is raised."""
        began = asyncio.get_running_loop().time()
        try:
            status, answer, headers = await self._connection.request(
                method,
                path,
                query=query,
                body=body,
                content_type=content_type,
                timeout_s=timeout_s or self._timeout_s,
            )
        except Unreachable:
            self._hears(False)
            self._count(verb, resource, "none")
            raise
        self._hears()
        self._hears_the_time(headers.get("Date"), self._heard_at - began)
        self._count(verb, resource, str(status))
        if status >= 400:
            raise error_of(status, answer, headers.get("Retry-After"))
        return answer

    async def _open_watch(
        self, path: str, query: Mapping[str, str], resource: str
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._connection.open_stream("GET", path, query=query)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            self._count("watch", resource, "none")
            why = error or type(error).__name__
            raise Unreachable(f"{self._connection.host}: {why}") from error
        self._count("watch", resource, str(answer.status))
        if answer.status >= 400:
            try:
                raise error_of(
                    answer.status, await answer.read(), answer.headers.get("Retry-After")
                )
            except aiohttp.ClientError as error:
                raise Unreachable(f"{self._connection.host}: {error}") from error
            finally:
                hang_up(answer)
        keep_alive(answer)
        return answer


def _next_page(size: int, weight: int) -> int:
    """How many objects to ask for after so many weighed so many bytes."""
    if weight < LIGHT_BYTES:
        return min(LARGEST_PAGE, size * 2)
    return max(SMALLEST_PAGE, size // 2) if weight > HEAVY_BYTES else size


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length. An object may be longer than a stream reader's limit for a line."""
    pieces: list[bytes] = []
    async for chunk in content.iter_any():
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            pieces.append(line)
            whole = b"".join(pieces)
            pieces.clear()
            if whole.strip():
                yield whole
        if rest:
            pieces.append(rest)
