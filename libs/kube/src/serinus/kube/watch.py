"""List then watch, for ever: keeps a Store equal to what the API server has of one kind.

listing ──> streaming ──(ended, broken)──> streaming again from the last version
   ^            │
   └── Gone ────┘          missing: the kind is not served; asked again slowly
                           away:    no answer, or a refusal; asked again with back-off
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Literal, Protocol, cast, runtime_checkable

from serinus.kube.cluster import Change, Cluster, Listing
from serinus.kube.errors import Denied, Gone, Invalid, NoKind, Unreachable
from serinus.kube.refs import Obj
from serinus.kube.store import Store
from serinus.runtime.clock import Clock
from serinus.runtime.service import Health

_log = logging.getLogger(__name__)

State = Literal["listing", "streaming", "missing", "away"]
OnState = Callable[[State, str], None]

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 30.0
# A kind that is not served: asked for again soon where somebody needs it, for it may just be being
# installed, and rarely where nobody does.
MISSING_RETRY_S, UNWANTED_RETRY_S = 15.0, 600.0
SHORT_PASS_S = 1.0

_uniform = secrets.SystemRandom().random


@runtime_checkable
class Paged(Protocol):
    """A Cluster that can list page by page, so that only trimmed objects pile up."""

    def pages(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> AsyncIterator[Listing]: ...


def backoff_s(failures: int, uniform: float) -> float:
    """How long to wait after so many failures in a row: doubling up to 30 s, half of it jitter."""
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + 0.5 * uniform)


async def reflect(
    cluster: Cluster,
    api_version: str,
    kind: str,
    *,
    store: Store,
    clock: Clock,
    namespace: str = "",
    selector: str = "",
    health: Health | None = None,
    required: bool = True,
    wanted: Callable[[], bool] = lambda: True,
    on_state: OnState | None = None,
    uniform: Callable[[], float] = _uniform,
) -> None:
    """Keeps `store` up to date until cancelled; what changes is told by the store's listeners.

    health    readiness `kube <kind>`: red while the API server cannot be reached or refuses us,
              green while the kind is being followed
    required  False: a kind that is not served (no CRD) is green and counts as an empty list;
              True: it is red
    wanted    whether anybody needs this kind; one that is not served is asked for every 15 s then,
              else every ten minutes
    on_state  told about each change of state, with the reason
    uniform   numbers in 0..1 for jitter
    """
    reflection = _Reflection(
        cluster, (api_version, kind, namespace, selector), store, health, required, on_state
    )
    if health is not None:
        health.set(f"kube {kind}", False, "not listed yet")
    failures = 0
    while True:
        began = clock.monotonic()
        why = ""
        try:
            await reflection.follow()
        except Gone:
            store.resource_version = ""
        except NoKind as error:
            reflection.missing(str(error))
            waited_s = 0.0
            while waited_s == 0.0 or (waited_s < UNWANTED_RETRY_S and not wanted()):
                pause_s = MISSING_RETRY_S * (0.5 + uniform())
                await clock.sleep(pause_s)
                waited_s += pause_s
            continue
        except (Unreachable, Denied, Invalid) as error:
            why = error.reason
            reflection.away(why)
        # A pass that ends at once is a failure too, however friendly its end: no tight loops.
        was_short = clock.monotonic() - began < SHORT_PASS_S
        failures = failures + 1 if was_short else int(bool(why))
        if why or failures > 1:
            await clock.sleep(backoff_s(max(failures, 1), uniform()))


class _Reflection:
    """One kind being followed: the state people see, and one pass of list and watch."""

    def __init__(
        self,
        cluster: Cluster,
        what: tuple[str, str, str, str],
        store: Store,
        health: Health | None,
        required: bool,
        on_state: OnState | None,
    ) -> None:
        self._cluster = cluster
        self._api_version, self._kind, self._namespace, self._selector = what
        self._store = store
        self._health = health
        self._required = required
        self._on_state = on_state
        self._state: State | None = None

    async def follow(self) -> None:
        """One list where needed, then one watch; returns when the server ends the watch."""
        if not self._store.resource_version:
            if self._state in (None, "streaming"):  # one outage is told once, not per attempt
                self._enter("listing")
            await self._list()
            self._enter("streaming")
        watch = self._cluster.watch(
            self._api_version,
            self._kind,
            self._store.resource_version,
            self._namespace,
            self._selector,
        )
        # Every implementation is an async generator; closing it ends the request at once.
        async with aclosing(cast("_Closable", watch)) as changes:
            async for change in changes:
                self._enter("streaming")
                self._store.take(change)

    async def _list(self) -> None:
        self._store.begin_listing()
        where = (self._api_version, self._kind, self._namespace, self._selector)
        objects: list[Obj] = []
        version = ""
        if isinstance(self._cluster, Paged):
            async for page in self._cluster.pages(*where):
                objects += map(self._store.trim, page.items)
                version = page.resource_version
        else:
            listing = await self._cluster.list(*where)
            objects = [self._store.trim(obj) for obj in listing.items]
            version = listing.resource_version
        self._store.replace(objects, version)

    def missing(self, why: str) -> None:
        self._store.begin_listing()
        self._store.replace((), "")
        self._enter("missing", why)

    def away(self, why: str) -> None:
        self._enter("away", why)

    def _enter(self, state: State, why: str = "") -> None:
        if state == self._state:
            return
        is_new = self._state is None
        self._state = state
        if state == "away":
            _log.warning("watch is away", extra={"kind": self._kind, "reason": why})
        elif state == "missing":
            _log.warning("kind is not served", extra={"kind": self._kind, "reason": why})
        elif state == "streaming" and not is_new:
            _log.info("watch is streaming", extra={"kind": self._kind})
        if self._health is not None and state != "listing":
            ok = state == "streaming" or (state == "missing" and not self._required)
            self._health.set(f"kube {self._kind}", ok, why)
        if self._on_state is not None:
            self._on_state(state, why)


class _Closable(Protocol):
    def __aiter__(self) -> AsyncIterator[Change]: ...

    async def aclose(self) -> None: ...
