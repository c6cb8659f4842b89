"""A small client of the API server for tests.

It shares no code with the suite on purpose: the referee must not be one of the players.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import aiohttp
import yaml
from aiohttp.connector import Connection

Obj = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
UNREACHABLE = (aiohttp.ClientError, TimeoutError, ConnectionError)
RETRY_AFTER_S = 0.2


class ApiError(Exception):
    """An answer of the API server other than success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class _Connector(aiohttp.TCPConnector):
    """Knows its connections, to cut them.

    Those of cancelled requests and watches end politely otherwise: that takes answers of the other
    side, and outlives the event loop of a test.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: WeakSet[asyncio.Transport] = WeakSet()

    async def connect(self, *args: Any, **options: Any) -> Connection:
        connection = await super().connect(*args, **options)
        if connection.transport is not None:
            self._known.add(connection.transport)
        return connection

    async def cut(self) -> None:
        for transport in tuple(self._known):
            transport.abort()
        # One turn of the loop for TLS to hear of it, one for the socket below.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Kube:
    """Objects by apiVersion, kind, namespace and name; an asynchronous context manager."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        authority = cluster.get("certificate-authority-data")
        self._server = cluster["server"].rstrip("/")
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._tls = (
            ssl.create_default_context(cadata=base64.b64decode(authority).decode())
            if authority
            else None
        )
        if self._tls and "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pair:  # Python reads certificates from files only
                for part in ("client-key-data", "client-certificate-data"):
                    pair.write(base64.b64decode(user[part]) + b"\n")
                pair.flush()
                self._tls.load_cert_chain(pair.name)
        self._session: aiohttp.ClientSession | None = None
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    async def __aenter__(self) -> Self:
        # Without a limit: every watch holds a connection, and many scenarios watch at once.
        self._connector = _Connector(limit=0, ssl=self._tls or True)
        self._session = aiohttp.ClientSession(headers=self._headers, connector=self._connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()
        await self._connector.cut()

    async def request(
        self, verb: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Obj:
        """One request, 30 s at most. Raises ApiError for an answer of 400 or more."""
        assert self._session is not None, "use it as a context manager"
        async with self._session.request(
            verb,
            self._server + path,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
            timeout=aiohttp.ClientTimeout(total=30),
        ) as answer:
            found: Obj = await answer.json(content_type=None)
            if answer.status >= 400:
                reason, message = found.get("reason", ""), found.get("message", "")
                raise ApiError(answer.status, reason, message)
            return found

    async def text(self, path: str, verb: str = "GET") -> str:
        """An answer that is not JSON: a log, or somebody's through a proxy. Raises ApiError."""
        assert self._session is not None, "use it as a context manager"
        timeout = aiohttp.ClientTimeout(total=30)
        async with self._session.request(verb, self._server + path, timeout=timeout) as answer:
            found = await answer.text()
            if answer.status >= 400:
                raise ApiError(answer.status, answer.reason or "", found)
            return found

    async def path(
        self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None
    ) -> str:
        """The path of a kind's collection, or of one object; each group is asked for once."""
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if kind not in self._resources.get(base, {}):
            listing = await self.request("GET", base)
            self._resources[base] = {
                row["kind"]: (row["name"], row["namespaced"])
                for row in listing["resources"]
                if "/" not in row["name"]
            }
        plural, namespaced = self._resources[base][kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{base}{scope}/{plural}" + (f"/{name}" if name else "")

    async def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Obj:
        return await self.request("GET", await self.path(api_version, kind, namespace, name))

    async def find(
        self, api_version: str, kind: str, namespace: str | None, name: str
    ) -> Obj | None:
        """The object, or None when there is none."""
        try:
            return await self.get(api_version, kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, api_version: str, kind: str, namespace: str | None = None) -> list[Obj]:
        listing = await self.request("GET", await self.path(api_version, kind, namespace))
        items: list[Obj] = listing["items"]
        return [{"apiVersion": api_version, "kind": kind} | item for item in items]

    async def apply(self, manifest: Mapping[str, Any], namespace: str | None = None) -> Obj:
        """Creates the object, or merges the manifest into the one that is there."""
        meta = manifest["metadata"]
        where = meta.get("namespace") or namespace
        api_version, kind = manifest["apiVersion"], manifest["kind"]
        try:
            return await self.request(
                "POST", await self.path(api_version, kind, where), dict(manifest)
            )
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return await self.patch(api_version, kind, where, meta["name"], dict(manifest))

    async def server_side_apply(self, manifest: Obj, namespace: str, manager: str) -> Obj:
        """As GitOps tools do it: with force, as this field manager."""
        meta = manifest["metadata"]
        path = await self.path(manifest["apiVersion"], manifest["kind"], namespace, meta["name"])
        asked = f"{path}?fieldManager={manager}&force=true"
        return await self.request("PATCH", asked, manifest, "application/apply-patch+yaml")

    async def patch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        subresource: str = "",
    ) -> Obj:
        """A list is a JSON patch, a mapping a merge patch."""
        path = await self.path(api_version, kind, namespace, name)
        content_type = MERGE_PATCH if isinstance(patch, Mapping) else JSON_PATCH
        return await self.request("PATCH", path + subresource, patch, content_type)

    async def delete(self, api_version: str, kind: str, namespace: str | None, name: str) -> None:
        """Deletes the object; one that is gone already is no error."""
        try:
            await self.request("DELETE", await self.path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise

    async def namespace(self, name: str) -> str:
        """Makes a namespace and returns its name."""
        await self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    async def watch(
        self, api_version: str, kind: str, namespace: str | None = None
    ) -> AsyncIterator[tuple[str, Obj]]:
        """(ADDED | MODIFIED | DELETED, object), first for what is there; goes on for ever.

        When the server ends the watch, forgets old versions or is away it lists again, so the
        same object may be ADDED twice, and a deletion in between is not told.
        """
        path = await self.path(api_version, kind, namespace)
        while True:
            try:
                listing = await self.request("GET", path)
                for item in listing["items"]:
                    yield "ADDED", {"apiVersion": api_version, "kind": kind} | item
                version = listing["metadata"]["resourceVersion"]
                async for change, item in self._follow(path, version):
                    yield change, item
            except UNREACHABLE:
                await asyncio.sleep(RETRY_AFTER_S)
            except ApiError as error:
                # A new kind's storage is being prepared, the server is starting, versions expired.
                if error.status not in (410, 429, 500, 503):
                    raise
                await asyncio.sleep(RETRY_AFTER_S)

    async def _follow(self, path: str, version: str) -> AsyncIterator[tuple[str, Obj]]:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        query = f"?watch=true&resourceVersion={version}"
        async with self._session.get(self._server + path + query, timeout=timeout) as answer:
            buffer = b""
            # Not by lines: one object may be longer than the reader's limit for a line.
            async for chunk in answer.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        return
                    yield change["type"], change["object"]
