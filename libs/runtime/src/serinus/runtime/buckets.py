"""Key-value buckets on JetStream: small values that outlive restarts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import nats.errors
import nats.js.errors
from nats.js.errors import (
    APIError,
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
)
from nats.js.kv import KeyValue

from serinus.events import BUCKETS
from serinus.runtime.clock import spread
from serinus.runtime.errors import Retry

if TYPE_CHECKING:
    from serinus.runtime.nats import NatsBus

T = TypeVar("T")

BOUND_S = 5.0
_UNFIT = re.compile(r"[^A-Za-z0-9_/-]")


class NatsBucket:
    """`Bucket` on a JetStream key-value store that is made when it is first used."""

    def __init__(self, bus: NatsBus, name: str, replicas: int) -> None:
        self._bus = bus
        self._name = name
        self._ttl_s = BUCKETS[name][1]
        self._replicas = replicas
        # As long as nothing fails the bucket is there; looking it up costs a question each time.
        self._found: KeyValue | None = None

    async def get(self, key: str) -> bytes | None:
        async def ask(kv: KeyValue) -> bytes | None:
            try:
                return (await kv.get(escaped(key))).value or b""
            except KeyNotFoundError:
                return None

        return await self._bounded(ask)

    async def put(self, key: str, value: bytes) -> None:
        async def ask(kv: KeyValue) -> None:
            await kv.put(escaped(key), value)

        await self._bounded(ask)

    async def create(self, key: str, value: bytes) -> bool:
        async def ask(kv: KeyValue) -> bool:
            try:
                await kv.create(escaped(key), value)
            except KeyWrongLastSequenceError:
                return False
            return True

        return await self._bounded(ask)

    async def delete(self, key: str) -> None:
        async def ask(kv: KeyValue) -> None:
            await kv.delete(escaped(key))

        await self._bounded(ask)

    async def keys(self) -> list[str]:
        async def ask(kv: KeyValue) -> list[str]:
            # Asked of the stream: listing them by a consumer would need more rights and more time.
            subjects = f"$KV.{self._name}."
            found = await self._bus.jetstream.stream_info(f"KV_{self._name}", f"{subjects}>")
            return [unescaped(s.removeprefix(subjects)) for s in found.state.subjects or ()]

        return await self._bounded(ask)

    async def _bounded(self, ask: Callable[[KeyValue], Awaitable[T]]) -> T:
        """The answer within the bound, whatever it takes: connecting, making the bucket."""
        why = "not connected"
        try:
            async with asyncio.timeout(BOUND_S):
                while True:
                    await self._bus.ready.wait()
                    try:
                        return await self._bus.ask(self._once(ask))
                    except (nats.errors.Error, TimeoutError, OSError) as error:
                        why = str(error) or type(error).__name__
                    await asyncio.sleep(spread(0.1))
        except TimeoutError:
            raise Retry(f"bucket {self._name}: {why}") from None

    async def _once(self, ask: Callable[[KeyValue], Awaitable[T]]) -> T:
        found = self._found
        if found is None:
            found = self._found = await self._opened()
        try:
            return await ask(found)
        except BaseException:
            # Of several that fail together the first forgets it, and only what it was asked of.
            if self._found is found:
                self._found = None
            raise

    async def _opened(self) -> KeyValue:
        jetstream = self._bus.jetstream
        try:
            return await jetstream.key_value(self._name)
        except BucketNotFoundError:
            pass
        try:
            return await jetstream.create_key_value(
                bucket=self._name,
                history=1,
                ttl=float(self._ttl_s) or None,
                replicas=self._replicas,
            )
        except APIError:
            return await jetstream.key_value(self._name)  # another replica was faster


def escaped(key: str) -> str:
    """Any text as a key that NATS takes; different texts give different keys."""
    return _UNFIT.sub(lambda found: "".join(f"={b:02x}" for b in found.group().encode()), key)


def unescaped(key: str) -> str:
    """The text whose key it is."""
    return unquote(key.replace("=", "%"))
