"""What a service is: a name, settings, the words it listens to, and how it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.http import Http

SettingsT = TypeVar("SettingsT")
Handler = Callable[[Any, Any], Awaitable[None]]


class Series(Protocol):
    """A metric's series; those about what is gone can be taken away."""

    def remove(self, labels: Mapping[str, str]) -> None: ...


class Counter(Series, Protocol):
    def inc(self, labels: Mapping[str, str] | None = None, by: float = 1.0) -> None: ...


class Gauge(Series, Protocol):
    def set(self, value: float, labels: Mapping[str, str] | None = None) -> None: ...


class Histogram(Series, Protocol):
    def observe(self, value: float, labels: Mapping[str, str] | None = None) -> None: ...


class Metrics(Protocol):
    """Prometheus metrics; asking for a name again gives the same metric."""

    def counter(self, name: str, doc: str) -> Counter: ...

    def gauge(self, name: str, doc: str) -> Gauge: ...

    def histogram(self, name: str, doc: str, buckets: tuple[float, ...] = ()) -> Histogram: ...


class Health(Protocol):
    """What readiness depends on. A name that was never set true keeps /readyz red."""

    def set(self, name: str, ok: bool, why: str = "") -> None: ...


@dataclass
class Context(Generic[SettingsT]):
    """What `run` gives a service when it starts."""

    name: str
    settings: SettingsT
    bus: Bus
    clock: Clock
    http: Http
    metrics: Metrics
    health: Health
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
    """Runs a background task by name; if it ends with an exception the service stops with it."""


@dataclass
class Service(Generic[SettingsT]):
    """A whole service, as data.

    follow   message type -> handler(message, deps). Snapshots and intents: one worker per canary,
             the newest value wins. Facts: in order, each one, durable under the service's name.
    start    async context manager: Context -> deps; its exit closes what it opened
    """

    name: str
    settings: type[SettingsT]
    start: Callable[[Context[SettingsT]], AbstractAsyncContextManager[Any]]
    follow: Mapping[type[Any], Handler] = field(default_factory=dict)
