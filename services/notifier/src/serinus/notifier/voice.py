"""Facts in, jobs out: who is to be told what about each fact."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from msgspec import Struct

from serinus.events import (
    FACTS,
    AlertFailed,
    AlertSent,
    CanaryGone,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CheckFailed,
    Fact,
    Webhook,
    message_id,
)
from serinus.events.canary import analysis_of
from serinus.kube.cluster import Cluster
from serinus.notifier import providers
from serinus.notifier.core.alerts import Notice, needs_blame, notice
from serinus.notifier.core.audience import GLOBAL, ProviderKey, Target, audience, uninvited
from serinus.notifier.core.crowds import Crowds
from serinus.notifier.core.groups import grouped, may_wait
from serinus.notifier.core.outcomes import Again, Known, Outcome, Refused, Sent, outcome
from serinus.notifier.core.standing import DELIVERED, in_our_words, undeliverable
from serinus.notifier.core.wording import dressed
from serinus.notifier.events import EventWriter
from serinus.notifier.senders import eventhook
from serinus.notifier.senders.catalog import SENDERS, Tools
from serinus.notifier.stages import Company, Courier, Job
from serinus.notifier.standings import Standings
from serinus.notifier.told import mark
from serinus.runtime.bus import Bus
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Retry
from serinus.runtime.http import Http, HttpRequest, HttpResponse, Unanswered

# Its own facts are no news to it.
HEARD: tuple[type[Fact], ...] = tuple(t for t in FACTS if t not in (AlertSent, AlertFailed))
_DEPARTED = 256
THREADS = "serinus-threads"
HOOK_AGE_S = 120.0  # a receiver that was away is not flooded with what happened meanwhile


class Acquainted(Struct, frozen=True):
    """What the voice keeps of a snapshot."""

    uid: str
    spec: CanarySpec


@dataclass(frozen=True)
class Channels:
    """What is set for all canaries."""

    cluster_name: str = ""
    chat: Target | None = None
    event_webhook: str = ""
    own_namespace_only: bool = False
    labelled_secrets_only: bool = False
    dashboard_url: str = ""
    group_from: int = 0


class Voice:
    """Knows every canary's audience and hands messages to the courier."""

    def __init__(
        self,
        *,
        bus: Bus,
        cluster: Cluster,
        http: Http,
        clock: Clock,
        courier: Courier,
        channels: Channels,
        standings: Standings,
        on_reach: Callable[[bool, str], None] | None = None,
    ) -> None:
        self._bus = bus
        self._cluster = cluster
        self._tools = Tools(http=http, threads=bus.bucket(THREADS))
        self._clock = clock
        self._courier = courier
        self._channels = channels
        self._standings = standings
        self._events = EventWriter(cluster, clock, on_reach=on_reach)
        self._crowds = Crowds()
        self._known: dict[str, Acquainted] = {}
        self._departed: OrderedDict[str, Acquainted] = OrderedDict()

    def observe(self, seen: CanaryObserved) -> None:
        """Learns who wants to hear of a canary."""
        self._known[seen.canary.key] = Acquainted(seen.canary.uid, seen.spec)
        self._crowds.observe(seen)
        self._departed.pop(seen.canary.key, None)

    def forget(self, gone: CanaryGone) -> None:
        """A deleted canary; its last facts may still come, so the last few are kept."""
        self._crowds.forget(gone.canary.key)
        known = self._known.pop(gone.canary.key, None)
        if known is not None:
            self._departed[gone.canary.key] = known
            if len(self._departed) > _DEPARTED:
                self._departed.popitem(last=False)

    @property
    def remembered(self) -> int:
        """How many canaries are kept in mind, deleted ones included."""
        return len(self._known) + len(self._departed)  # crowds have a bound of their own

    async def tell(self, fact: Fact) -> list[asyncio.Future[Outcome]]:
        """Queues everything that a fact calls for; the futures end when it is told or given up.

        Raises Retry when the bus cannot say what is known of the canary.
        """
        if not fact.text and fact.alert is None:
            return []
        known = await self._about(fact.canary)
        jobs = self._sentences(fact, known) if fact.text else []
        jobs.extend(await self._alerts(fact, known))
        return [self._courier.put(job) for job in jobs]

    async def _about(self, canary: CanaryRef) -> Acquainted | None:
        known = self._known.get(canary.key) or self._departed.get(canary.key)
        if known is None:
            latest = await self._bus.latest(CanaryObserved, canary)
            if latest is not None and isinstance(latest.message, CanaryObserved):
                self.observe(latest.message)
                known = self._known[canary.key]
        return known

    def _sentences(self, fact: Fact, known: Acquainted | None) -> list[Job]:
        """A Kubernetes Event, and a POST for each event hook."""
        fact_id = message_id(fact)
        uid = known.uid if known else ""
        jobs = [
            Job(
                kind="event",
                audience="kubernetes",
                canary=fact.canary.key,
                key=mark(fact_id, "kubernetes"),
                send=lambda: self._events.write(fact, fact_id, uid),
                cause=fact_id,
            )
        ]
        for hook in eventhook.event_hooks(known.spec if known else None, self._event_webhook):
            # By address: one path of a host that hangs must not keep the others waiting.
            whom = f"hook {hook.name} at {host_of(hook.url)} ({mark('', hook.url)[:8]})"
            jobs.append(
                Job(
                    kind="eventhook",
                    audience=whom,
                    canary=fact.canary.key,
                    key=mark(fact_id, f"{whom} {hook.url}"),
                    send=self._posting(eventhook.render(fact, hook)),
                    answers=self._answers(hook),
                    age_s=HOOK_AGE_S,
                    cause=fact_id,
                )
            )
        return jobs

    @property
    def _event_webhook(self) -> str:
        return self._channels.event_webhook

    def _answers(self, hook: Webhook) -> int:
        """A hook's `retries` count requests it answered; the global hook has no such number."""
        return 0 if hook.url == self._event_webhook else 1 + hook.retries

    async def _alerts(self, fact: Fact, known: Acquainted | None) -> list[Job]:
        if fact.alert is None:
            return []
        blame = await self._blame(fact) if needs_blame(fact) else None
        said = notice(
            fact,
            id=message_id(fact),
            spec=known.spec if known else None,
            cluster=self._channels.cluster_name,
            blame=blame,
            link=self._channels.dashboard_url,
            seen=await self._seen(fact.canary),
        )
        if said is None:
            return []
        alerts = analysis_of(known.spec).alerts if known else ()
        keys = audience(said.severity, alerts, fact.canary.namespace)
        if keys is not None:
            jobs = [
                self._alert(said, key, self._to_provider(said, key), await self._company(said, key))
                for key in keys
            ]
            if said.resolves:
                jobs += [
                    self._alert(said, key, self._to_provider(said, key, only_to_resolve=True))
                    for key in uninvited(said.severity, alerts, fact.canary.namespace)
                ]
            return jobs
        chat = self._channels.chat
        if chat is None:
            return []
        send = partial(self._to_target, said, chat)
        return [self._alert(said, GLOBAL, send, await self._company(said, chat))]

    async def _company(self, said: Notice, whom: ProviderKey | Target) -> Company | None:
        """The company in which a notice is told: others' of one change, where people read it."""
        crowd = self._crowds.of(said.canary.key)
        least = self._channels.group_from
        if not least or crowd.size < least or not may_wait(said):
            return None
        if self._is_foreign(said, whom):
            return None
        if isinstance(whom, ProviderKey):
            found = await self._find(whom)
            row = SENDERS[found.type] if isinstance(found, Target) else None
        else:
            row = SENDERS[whom.type]
        if row is None or not row.groups:
            return None

        def tell(notices: Sequence[Notice]) -> Awaitable[Outcome]:
            one = grouped(notices, crowd.change)
            if isinstance(whom, ProviderKey):
                return self._to_provider(one, whom)()
            return self._to_target(one, whom)

        return Company(f"{said.kind} {crowd.change}", said, tell)

    async def _seen(self, canary: CanaryRef) -> CanaryObserved | None:
        """The newest snapshot: it may be newer than what was observed here."""
        latest = await self._bus.latest(CanaryObserved, canary)
        if latest is None or not isinstance(latest.message, CanaryObserved):
            return None
        return latest.message

    async def _blame(self, fact: Fact) -> CheckFailed | None:
        """The last failed check of the same revision."""
        latest = await self._bus.latest(CheckFailed, fact.canary)
        if latest is None or not isinstance(latest.message, CheckFailed):
            return None
        return latest.message if latest.message.revision == fact.revision else None

    def _alert(
        self,
        said: Notice,
        to: ProviderKey | str,
        send: Callable[[], Awaitable[Outcome]],
        company: Company | None = None,
    ) -> Job:
        whom = str(to)

        async def record(ended: Outcome) -> None:
            if isinstance(to, ProviderKey):
                await self._report(to, ended)
            fact = receipt(said, whom, ended, self._clock.now())
            if fact is not None:
                await self._bus.publish(fact)

        return Job(
            kind="alert",
            audience=f"alert {whom}",
            canary=said.canary.key,
            key=mark(said.id, f"alert {whom}"),
            send=send,
            record=record,
            cause=said.id,
            company=company,
        )

    async def _report(self, key: ProviderKey, ended: Outcome) -> None:
        match ended:
            case Sent(problem=problem) if problem:
                await self._standings.report(key, in_our_words(problem))
            case Sent():
                await self._standings.report(key, DELIVERED)
            case Refused(why=why):
                await self._standings.report(key, undeliverable(why))

    def _to_provider(
        self, said: Notice, key: ProviderKey, *, only_to_resolve: bool = False
    ) -> Callable[[], Awaitable[Outcome]]:
        async def send() -> Outcome:
            if self._is_foreign(said, key):
                return Refused(
                    f"alert provider {key} is in another namespace, which is switched off"
                )
            found = await self._find(key)
            if not isinstance(found, Target):
                return Known() if only_to_resolve else found
            if only_to_resolve and not SENDERS[found.type].resolves:
                return Known()
            return await self._to_target(said, found)

        return send

    async def _find(self, key: ProviderKey) -> Target | Again | Refused:
        return await providers.find(
            self._cluster.get, key, labelled_only=self._channels.labelled_secrets_only
        )

    def _is_foreign(self, said: Notice, whom: ProviderKey | Target) -> bool:
        """Whether it is a provider of another namespace, where that is switched off."""
        own = said.canary.namespace
        return (
            self._channels.own_namespace_only
            and isinstance(whom, ProviderKey)
            and whom.namespace != own
        )

    async def _to_target(self, said: Notice, target: Target) -> Outcome:
        row = SENDERS[target.type]
        if not row.hears(said):
            return Known()
        found = dressed(said, message=target.message_template, body=target.body_template)
        ended = await self._outcome(row.send(self._tools, found.notice, target))
        return Sent(found.problem) if isinstance(ended, Sent) else ended

    def _posting(self, request: HttpRequest) -> Callable[[], Awaitable[Outcome]]:
        return lambda: self._outcome(self._tools.http.send(request))

    async def _outcome(self, attempt: Awaitable[HttpResponse]) -> Outcome:
        try:
            answer = await attempt
        except Unanswered as error:
            return Again(str(error))
        except Retry as error:
            return Again(error.reason, error.after_s)
        return outcome(answer.status, answer.headers, answer.text, self._clock.now())


def receipt(said: Notice, whom: str, ended: Outcome, at: float) -> Fact | None:
    """The fact that a notice was told, or was not; None where nothing was tried."""
    id = f"alert:{mark(said.id, whom)}"
    if isinstance(ended, Sent):
        return AlertSent(
            canary=said.canary,
            id=f"{id}:sent",
            at=at,
            revision=said.revision,
            provider=whom,
            about=said.id,
        )
    if isinstance(ended, Refused | Again):
        return AlertFailed(
            canary=said.canary,
            id=f"{id}:failed",
            at=at,
            revision=said.revision,
            provider=whom,
            about=said.id,
            reason=ended.why,
        )
    return None


def host_of(url: str) -> str:
    """Host and port of a URL: what may be logged of it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
