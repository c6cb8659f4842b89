"""A bare client for the contract: it shows statuses and bodies as they are, and hides nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from tests.servers.waiting import eventually

Obj = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

PATIENCE_S = 30.0


class Answer:
    """A status code and a decoded body."""

    def __init__(self, code: int, body: Any) -> None:
        self.code = code
        self.body = body

    def __repr__(self) -> str:
        return f"<{self.code} {json.dumps(self.body)[:500]}>"

    @property
    def meta(self) -> Obj:
        meta: Obj = self.body["metadata"]
        return meta

    @property
    def version(self) -> str:
        return str(self.meta["resourceVersion"])


class Api:
    """Requests to whatever API server a kubeconfig names, in a namespace of one's own."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        user = document["users"][0].get("user") or {}
        self.url = cluster["server"].rstrip("/")
        self.namespace = "default"
        self._tls = _tls(cluster, user)
        self._headers = {"User-Agent": "contract/1"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls) if self._tls else None
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, timeout=timeout
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        """The path of a kind given as `plural` or `plural.version.group`, in the namespace."""
        kind, _, rest = plural.partition(".")
        version, _, group = rest.partition(".")
        root = f"/apis/{group}/{version}" if group else "/api/v1"
        middle = "" if kind in {"namespaces", "customresourcedefinitions"} else self._middle()
        return "/".join(part for part in (f"{root}{middle}/{kind}", name, sub) if part)

    def _middle(self) -> str:
        return f"/namespaces/{self.namespace}"

    async def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> Answer:
        headers = {"Content-Type": kind} if body is not None else {}
        headers["Accept"] = query.pop("accept", "application/json")
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, self.url + path, data=data, headers=headers, params=query
        ) as answer:
            raw = await answer.read()
            return Answer(
                answer.status, json.loads(raw) if raw.startswith((b"{", b"[")) else raw.decode()
            )

    async def get(self, plural: str, name: str = "", sub: str = "", **query: str) -> Answer:
        return await self.call("GET", self.path(plural, name, sub), **query)

    async def create(self, plural: str, body: Obj, **query: str) -> Answer:
        return await self.call("POST", self.path(plural), body, **query)

    async def put(self, plural: str, name: str, body: Obj, sub: str = "", **query: str) -> Answer:
        return await self.call("PUT", self.path(plural, name, sub), body, **query)

    async def patch(
        self, plural: str, name: str, body: Any, kind: str = MERGE, sub: str = "", **query: str
    ) -> Answer:
        return await self.call("PATCH", self.path(plural, name, sub), body, kind, **query)

    async def apply(
        self, plural: str, name: str, body: Obj, by: str, sub: str = "", **query: str
    ) -> Answer:
        return await self.patch(plural, name, body, APPLY, sub, fieldManager=by, **query)

    async def delete(self, plural: str, name: str = "", body: Any = None, **query: str) -> Answer:
        return await self.call("DELETE", self.path(plural, name), body, **query)

    async def gone(self, plural: str, name: str) -> None:
        """Returns when the object is no longer there; TimeoutError after PATIENCE_S."""

        async def missing() -> bool:
            return (await self.get(plural, name)).code == 404

        await eventually(missing, f"{plural} {name} gone", PATIENCE_S)

    @asynccontextmanager
    async def watch(self, plural: str, **query: str) -> AsyncIterator[Events]:
        """An open watch; leaving the context cuts it.

        A TLS farewell would wait for the server's, maybe longer than the loop of the test lives.
        """
        params = {"watch": "true", **query}
        url = self.url + self.path(plural)
        async with self._session.get(url, params=params) as answer:
            try:
                yield Events(answer)
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()


class Events:
    """The events of a watch, one by one, each with a bound."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.code = answer.status
        self._answer = answer

    async def next(self) -> Obj | None:
        """The next event, None at the end of the stream; TimeoutError after PATIENCE_S."""
        async with asyncio.timeout(PATIENCE_S):
            line = await self._answer.content.readline()
        event: Obj | None = json.loads(line) if line else None
        return event

    async def told(self) -> tuple[str, str]:
        """Type and object name of the next event."""
        event = await self.next()
        assert event is not None, "the watch ended"
        return event["type"], event["object"]["metadata"].get("name", "")


def _tls(cluster: Obj, user: Obj) -> ssl.SSLContext | None:
    if not cluster["server"].startswith("https"):
        return None
    data = cluster.get("certificate-authority-data")
    authority = base64.b64decode(data).decode() if data else None
    context = ssl.create_default_context(
        cadata=authority, cafile=cluster.get("certificate-authority")
    )
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    return context
