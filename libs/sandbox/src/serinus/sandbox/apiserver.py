"""The HTTP face of the API: paths and parameters to registry calls, objects to JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from serinus.sandbox import discovery, scale
from serinus.sandbox import errors as e
from serinus.sandbox.errors import ApiError, Obj
from serinus.sandbox.registry import Registry, Write, in_version
from serinus.sandbox.requests import (
    PATCHES,
    Target,
    agent_of,
    body_of,
    delete_options,
    object_of,
    page_start,
    page_token,
    place_of,
    target_of,
    verb_of,
)
from serinus.sandbox.resources import Kinds, Resource
from serinus.sandbox.selectors import Predicate, parse_fields, parse_labels
from serinus.sandbox.store import Store
from serinus.sandbox.table import table
from serinus.sandbox.watch import Watch, follow, parse_version

_JSON = "application/json"
MAX_BODY = 3 * 1024 * 1024
"""Bytes in one request, as the real server's limit."""

DEFAULT_WATCH_S = 1800.0
"""Length of a watch whose client names none."""


LogReader = Callable[[str, str, Mapping[str, str]], Awaitable[str]]
"""(namespace, pod, query) -> the pod's output."""


class ApiServer:
    """Serves a registry on 127.0.0.1.

    `log_reader` answers `kubectl logs`; without one there are no logs to read.
    """

    def __init__(
        self,
        kinds: Kinds | None = None,
        cluster_ips: Iterator[str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        log_reader: LogReader | None = None,
    ) -> None:
        self.store = Store()
        self.kinds = kinds or Kinds()
        self.registry = Registry(self.store, self.kinds, now, cluster_ips)
        self.log_reader = log_reader
        self.url = ""
        self.requests: dict[tuple[str, str], int] = {}
        """Requests answered, by verb and plural: what the laptop's clients cost."""
        self._now = now
        self._runner: web.AppRunner | None = None
        self._watches: set[asyncio.Task[Any]] = set()

    async def start(self, port: int = 0) -> str:
        """Listens and returns the base URL; the usual namespaces are there."""
        namespaces = self.kinds.at("", "v1", "namespaces")
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.registry.create(
                namespaces, "", {"metadata": {"name": name}}, Write("kube-apiserver")
            )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Ends the watches, then the server."""
        for task in tuple(self._watches):
            task.cancel()
        if self._runner:
            await self._runner.cleanup()

    # Requests

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        warnings: list[str] = []
        try:
            answer = await self._dispatch(request, warnings.append)
        except ApiError as refused:
            answer = _json(refused.status(), refused.code)
            if "retryAfterSeconds" in refused.details:
                answer.headers["Retry-After"] = str(refused.details["retryAfterSeconds"])
        if not answer.prepared:
            for text in warnings:
                answer.headers.add("Warning", f'299 - "{text}"'.replace("\n", " "))
        return answer

    async def _dispatch(
        self, request: web.Request, warn: Callable[[str], None]
    ) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if not parts or parts[0] not in {"api", "apis"}:
            return self._beside(request, parts)
        about = self._about(request, parts)
        if about is not None:
            answer = _json(about)
            if about["kind"] == "APIGroupDiscoveryList":
                # Clients look at the type of the answer to know what they were given.
                answer.headers["Content-Type"] = f"{_JSON};{discovery.AGGREGATED}"
            return answer
        target = target_of(self.kinds, parts)
        verb = verb_of(request, target)
        counted = (verb, target.resource.plural)
        self.requests[counted] = self.requests.get(counted, 0) + 1
        if target.subresource == "log":
            return await self._log(target, request)
        if target.subresource == "scale":
            return await self._scale(target, request)
        match verb:
            case "watch":
                return await self._watch(target, request)
            case "list":
                return self._list(target, request)
            case "get":
                found = self.registry.get(target.resource, target.namespace, target.name)
                return self._objects(request, target.resource, [found], None)
            case "deletecollection":
                return await self._delete_all(target, request)
            case "delete":
                return await self._delete(target, request)
        return await self._write(target, request, verb, warn)

    def _beside(self, request: web.Request, parts: list[str]) -> web.Response:
        path = "/".join(parts)
        if path in {"healthz", "livez", "readyz"}:
            return web.Response(text="ok")
        if path == "version":
            return _json(discovery.VERSION)
        if path == "openapi/v3":
            return _json(discovery.openapi_index(self.kinds))
        if path.startswith("openapi/v3/"):
            document = discovery.openapi(self.kinds, path.removeprefix("openapi/v3/"))
            if document:
                return _json(document)
        if not path:
            return _json({"paths": ["/api", "/apis", "/healthz", "/openapi/v3", "/version"]})
        raise e.no_such_path(request.path)

    def _about(self, request: web.Request, parts: list[str]) -> Obj | None:
        """Discovery documents; None when the path names objects."""
        wants_all = discovery.AGGREGATED in request.headers.get("Accept", "")
        match parts:
            case ["api"]:
                if wants_all:
                    return discovery.aggregated(self.kinds, core=True)
                return discovery.core_versions()
            case ["apis"]:
                if wants_all:
                    return discovery.aggregated(self.kinds, core=False)
                return discovery.groups(self.kinds)
            case ["apis", group]:
                found = discovery.group(self.kinds, group)
            case ["api", version]:
                found = discovery.resources(self.kinds, "", version)
            case ["apis", group, version]:
                found = discovery.resources(self.kinds, group, version)
            case _:
                return None
        if found is None:
            raise e.no_such_path(request.path)
        return found

    # Reading

    def _selection(self, target: Target, request: web.Request) -> Predicate:
        query = request.query
        labels = parse_labels(query.get("labelSelector", ""))
        fields = parse_fields(query.get("fieldSelector", ""), target.resource.plural)
        name = target.name
        return lambda obj: (
            (not name or obj["metadata"]["name"] == name)
            and labels(obj["metadata"].get("labels") or {})
            and fields(obj)
        )

    def _list(self, target: Target, request: web.Request) -> web.Response:
        accepts = self._selection(target, request)
        parse_version(request.query.get("resourceVersion"), self.store.revision)
        found = [
            obj for obj in self.store.all(target.resource.id, target.namespace) if accepts(obj)
        ]
        meta: Obj = {"resourceVersion": str(self.store.revision)}
        limit = int(request.query.get("limit") or 0)
        after = page_start(request.query.get("continue", ""))
        if after:
            meta["resourceVersion"] = after[2]
            found = [obj for obj in found if place_of(obj) > after[:2]]
        if limit and len(found) > limit:
            meta["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            meta["continue"] = page_token(found[-1], meta["resourceVersion"])
        return self._objects(request, target.resource, found, meta)

    def _objects(
        self, request: web.Request, resource: Resource, found: list[Obj], meta: Obj | None
    ) -> web.Response:
        """One object, or a list when it has metadata; as a table for who asks for one."""
        objects = [in_version(obj, resource) for obj in found]
        if "as=Table" in request.headers.get("Accept", ""):
            whole = request.query.get("includeObject") == "Object"
            listed = meta or {"resourceVersion": found[0]["metadata"]["resourceVersion"]}
            return _json(table(resource, objects, listed, self._now(), whole))
        if meta is None:
            return _json(objects[0])
        return _json(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": meta,
                "items": objects,
            }
        )

    async def _watch(self, target: Target, request: web.Request) -> web.StreamResponse:
        query = request.query
        initial = query.get("sendInitialEvents") in {"true", "1"}
        start = parse_version(query.get("resourceVersion"), self.store.revision)
        watch = Watch(
            target.resource,
            target.namespace,
            self._selection(target, request),
            None if initial else start,
            query.get("allowWatchBookmarks") in {"true", "1"},
            initial,
            float(query.get("timeoutSeconds") or DEFAULT_WATCH_S),
        )
        as_table = "as=Table" in request.headers.get("Accept", "")
        whole = query.get("includeObject") == "Object"
        events = follow(self.store, watch)
        first = await anext(events)  # raises what is to be answered as a plain error
        response = web.StreamResponse(headers={"Content-Type": _JSON})
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            await response.prepare(request)
            # A client waits for the headers; without a first chunk they would wait in a buffer.
            await response.write(b"" if not first else self._lines(first, watch, as_table, whole))
            async for batch in events:
                await response.write(self._lines(batch, watch, as_table, whole))
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the server is stopping
        finally:
            self._watches.discard(task)
            await events.aclose()
        return response

    def _lines(self, batch: list[Obj], watch: Watch, as_table: bool, whole: bool) -> bytes:
        if as_table:
            batch = [
                event
                if event["type"] in {"ERROR", "BOOKMARK"}
                else event
                | {"object": table(watch.resource, [event["object"]], {}, self._now(), whole)}
                for event in batch
            ]
        return b"".join(msgspec.json.encode(event) + b"\n" for event in batch)

    async def _log(self, target: Target, request: web.Request) -> web.Response:
        self.registry.get(target.resource, target.namespace, target.name)
        if self.log_reader is None:
            raise e.bad_request("this server runs no pods, so there are no logs")
        return web.Response(
            text=await self.log_reader(target.namespace, target.name, request.query)
        )

    # Writing

    async def _write(
        self, target: Target, request: web.Request, verb: str, warn: Callable[[str], None]
    ) -> web.Response:
        query = request.query
        write = Write(
            query.get("fieldManager") or agent_of(request),
            target.subresource,
            dry_run="dryRun" in query,
            force=query.get("force") in {"true", "1"},
            strict=query.get("fieldValidation") or "Warn",
            warn=warn,
        )
        registry, resource = self.registry, target.resource
        created = False
        if verb == "create":
            body = await body_of(request)
            found = registry.create(resource, target.namespace, object_of(body), write)
            created = True
        elif verb == "update":
            body = object_of(await body_of(request))
            found = registry.replace(resource, target.namespace, target.name, body, write)
        else:
            kind = PATCHES.get(request.content_type)
            if kind is None:
                raise e.unsupported_media(request.content_type)
            body = await body_of(request, kind)
            if kind == "apply":
                write = msgspec.structs.replace(write, manager=query.get("fieldManager", ""))
                found, created = registry.apply(
                    resource, target.namespace, target.name, object_of(body), write
                )
            else:
                found = registry.patch(resource, target.namespace, target.name, kind, body, write)
        answer = self._objects(request, resource, [found], None)
        if created:
            answer.set_status(201)
        return answer

    async def _scale(self, target: Target, request: web.Request) -> web.Response:
        resource = target.resource
        live = self.registry.get(resource, target.namespace, target.name)
        if request.method == "GET":
            return _json(scale.read(resource, live))
        kind = PATCHES.get(request.content_type) if request.method == "PATCH" else "put"
        if request.method not in {"PUT", "PATCH"} or kind in {None, "apply"}:
            raise e.not_allowed(request.method)
        body = await body_of(request, kind or "")
        wanted = scale.written(scale.read(resource, live), body, kind or "")
        patch = scale.as_patch(resource, wanted)
        write = Write(
            request.query.get("fieldManager") or agent_of(request),
            dry_run="dryRun" in request.query,
        )
        found = self.registry.patch(resource, target.namespace, target.name, "merge", patch, write)
        return _json(scale.read(resource, found))

    async def _delete(self, target: Target, request: web.Request) -> web.Response:
        options = await delete_options(request)
        last, gone = self.registry.delete(target.resource, target.namespace, target.name, options)
        if not gone or target.resource.id == ("", "pods"):
            return _json(in_version(last, target.resource))
        meta = last["metadata"]
        details = {"name": meta["name"], "kind": target.resource.plural, "uid": meta["uid"]}
        if target.resource.group:
            details["group"] = target.resource.group
        return _json(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            }
        )

    async def _delete_all(self, target: Target, request: web.Request) -> web.Response:
        accepts = self._selection(target, request)
        options = await delete_options(request)
        found = [
            obj for obj in self.store.all(target.resource.id, target.namespace) if accepts(obj)
        ]
        for obj in found:
            meta = obj["metadata"]
            self.registry.delete(target.resource, meta.get("namespace", ""), meta["name"], options)
        meta = {"resourceVersion": str(self.store.revision)}
        return self._objects(request, target.resource, found, meta)


def _json(body: Any, code: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=code, content_type=_JSON)
