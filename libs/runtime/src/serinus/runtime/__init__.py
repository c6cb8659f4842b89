"""The one way a service starts, listens, retries, reports and stops.

A service is data (`Service`): a name, settings, the words it listens to, how it starts. `run` makes
a program of it. Names exported here are what services use; modules may move behind them.
"""

from serinus.runtime.bus import Bucket, Bus, Delivery
from serinus.runtime.clock import Clock, LoopClock, SystemClock
from serinus.runtime.errors import Refuse, Retry, SerinusError, Stale
from serinus.runtime.http import Http, HttpClient, HttpRequest, HttpResponse, Unanswered
from serinus.runtime.memory import MemoryBroker, MemoryBus
from serinus.runtime.run import Crashed, Running, run, serve
from serinus.runtime.service import (
    Context,
    Counter,
    Gauge,
    Handler,
    Health,
    Histogram,
    Metrics,
    Service,
)
from serinus.runtime.settings import RuntimeSettings, Secret, SettingsError, load

__all__ = [
    "Bucket",
    "Bus",
    "Clock",
    "Context",
    "Counter",
    "Crashed",
    "Delivery",
    "Gauge",
    "Handler",
    "Health",
    "Histogram",
    "Http",
    "HttpClient",
    "HttpRequest",
    "HttpResponse",
    "LoopClock",
    "MemoryBroker",
    "MemoryBus",
    "Metrics",
    "Refuse",
    "Retry",
    "Running",
    "RuntimeSettings",
    "Secret",
    "SerinusError",
    "Service",
    "SettingsError",
    "Stale",
    "SystemClock",
    "Unanswered",
    "load",
    "run",
    "serve",
]
