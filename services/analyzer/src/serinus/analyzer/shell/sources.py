"""Metrics sources by the asks that name them: credentials and private templates included.

Credentials never travel on the bus; they are read here, by name, in the template's namespace, and
forgotten after a short while.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from serinus.analyzer.core import checks
from serinus.analyzer.core.desired import UNDER_ANALYSIS
from serinus.analyzer.core.queries import SIDES, metrics_provider, names_of, observer_of
from serinus.analyzer.core.rollout import (
    MetricAsk,
    ProbeAsk,
    Reading,
    Rollout,
    Unreachable,
    Value,
)
from serinus.analyzer.providers.catalog import Tools, provider_of
from serinus.analyzer.providers.source import Provider, Question, Source
from serinus.events import API_VERSION, MetricTemplateSpec
from serinus.events.canary import analysis_of, interval_s
from serinus.kube.cluster import Cluster
from serinus.kube.credentials import credentials
from serinus.kube.errors import NotFound
from serinus.kube.refs import Obj, Ref
from serinus.runtime.clock import Clock
from serinus.runtime.errors import Retry, SerinusError

REMEMBERED_S = 20.0
MAX_REMEMBERED = 512
SCRAPE = "scrape:"


class _Kept(Struct, frozen=True):
    obj: Obj
    until: float


class _Unusable(Exception):
    """The source cannot be put together; the text is the whole halt sentence.

    away  it is the API server that cannot be asked
    """

    def __init__(self, text: str, *, away: bool = False) -> None:
        super().__init__(text)
        self.away = away


class Sources:
    """Answers metric and probe asks."""

    def __init__(self, *, cluster: Cluster, tools: Tools, clock: Clock) -> None:
        self._cluster = cluster
        self._tools = tools
        self._clock = clock
        self._kept: dict[Ref, _Kept] = {}

    async def measure(self, ask: MetricAsk, rollout: Rollout) -> Reading:
        """The answer to a metric ask, with its key. Raises nothing."""
        provider = await self._provider(ask, rollout)
        if isinstance(provider, Unreachable):
            return provider
        canary = rollout.seen.canary
        own = metrics_provider(rollout.spec.provider, rollout.policy.mesh, rollout.spec.target_ref)
        question = Question(
            query=ask.query,
            body=ask.body,
            at=self._clock.now(),
            window_s=ask.window_s,
            columns=ask.columns,
            since=ask.since,
            check="" if ask.template else ask.metric,
            observer=observer_of(own),
            names=names_of(canary.namespace, canary.name, rollout.spec, rollout.seen.target),
        )
        found = await provider.value(question)
        if ask.samples_query and isinstance(found, Value) and found.samples is None:
            asked = msgspec.structs.replace(question, query=ask.samples_query, check="")
            counted = await provider.value(asked)
            if isinstance(counted, Unreachable):
                return msgspec.structs.replace(counted, key=ask.key)
            # Nothing counted is a count of nothing.
            samples = counted.value if isinstance(counted, Value) else 0.0
            found = msgspec.structs.replace(found, samples=samples)
        return msgspec.structs.replace(found, key=ask.key)

    async def probe(self, ask: ProbeAsk, rollout: Rollout) -> Reading:
        """Whether a source can be asked; Unreachable says which one cannot."""
        provider = await self._provider(ask, rollout)
        if isinstance(provider, Unreachable):
            # The probe's sentence has its own beginning, and continues in lower case.
            return msgspec.structs.replace(
                provider, why=provider.why[:1].lower() + provider.why[1:]
            )
        found = await provider.probe(self._clock.now())
        if isinstance(found, Unreachable):
            namespace, _, name = ask.template.partition("/")
            where = f" in metric template {name}.{namespace}" if name else ""
            why = f"{ask.source.provider.type}{where} not available: {found.why}"
            return Unreachable(key=ask.key, why=why, away=found.away)
        return msgspec.structs.replace(found, key=ask.key)

    async def token(self, rollout: Rollout, secret: str, path: str) -> str:
        """The key `token` of a Secret beside the canary, whose manifest names it at `path`.

        Raises LookupError, fit for people, where there is none.
        """
        try:
            found = await credentials(
                self._get,
                rollout.seen.canary.namespace,
                secret,
                path=path,
                labelled_only=rollout.policy.labelled_secrets_only,
            )
        except NotFound:
            raise LookupError(f'secrets "{secret}" not found') from None
        except SerinusError as error:
            raise LookupError(f'secrets "{secret}": {error}') from None
        token = found.get("token", b"").decode("utf-8", "replace")
        if not token.strip():
            raise LookupError(f'secrets "{secret}" has no key token')
        return token.strip()

    def warm(self, rollout: Rollout) -> None:
        """While a canary is analysed, its proxy is watched where there is no metrics server."""
        address = rollout.spec.metrics_server or rollout.policy.metrics_server
        if not address.startswith(SCRAPE) or rollout.status.phase not in UNDER_ANALYSIS:
            return
        canary = rollout.seen.canary
        provider = metrics_provider(
            rollout.spec.provider, rollout.policy.mesh, rollout.spec.target_ref
        )
        self._tools.scraper.warm(
            address.removeprefix(SCRAPE),
            observer_of(provider),
            names_of(canary.namespace, canary.name, rollout.spec, rollout.seen.target),
            for_s=3 * interval_s(rollout.spec, rollout.policy.min_interval_s),
            sides=SIDES if analysis_of(rollout.spec).verify_traffic else SIDES[:1],
        )

    async def _provider(
        self, ask: MetricAsk | ProbeAsk, rollout: Rollout
    ) -> Provider | Unreachable:
        try:
            source = await self._source(ask, rollout)
            if rollout.policy.no_cross_namespace:
                source = msgspec.structs.replace(source, only=rollout.seen.canary.namespace)
            return provider_of(source, self._tools)
        except _Unusable as error:
            return Unreachable(key=ask.key, why=str(error), away=error.away)

    async def _source(self, ask: MetricAsk | ProbeAsk, rollout: Rollout) -> Source:
        namespace, _, name = ask.template.partition("/")
        spec = ask.source
        if ask.template and ask.template in rollout.seen.template_private:
            spec = await self._template(namespace, name)
        secret = spec.provider.secret_ref.name if spec.provider.secret_ref else ""
        if not ask.template or not secret:
            return Source(provider=spec.provider)
        try:
            found = await credentials(
                self._get,
                namespace,
                secret,
                path="spec.provider.secretRef",
                labelled_only=rollout.policy.labelled_secrets_only,
            )
        except SerinusError as error:
            why = str(error)
            if isinstance(error, NotFound):
                why = f'secrets "{secret}" not found'
            text = checks.secret_failed(name, namespace, secret, why)
            raise _Unusable(text, away=isinstance(error, Retry)) from None
        return Source(provider=spec.provider, credentials=found)

    async def _template(self, namespace: str, name: str) -> MetricTemplateSpec:
        """The template as it is, headers included: the snapshot's copy has none."""
        try:
            obj = await self._get(Ref(API_VERSION, "MetricTemplate", namespace, name))
            return msgspec.convert(obj["spec"], MetricTemplateSpec)
        except NotFound:
            raise _Unusable(checks.template_missing(name, namespace)) from None
        except (SerinusError, msgspec.ValidationError) as error:
            why = f"Metric template {name}.{namespace} error: {error}"
            raise _Unusable(why, away=isinstance(error, Retry)) from None

    async def _get(self, ref: Ref) -> Obj:
        now = self._clock.now()
        kept = self._kept.get(ref)
        if kept is not None and now < kept.until:
            return kept.obj
        obj = await self._cluster.get(ref)
        if len(self._kept) >= MAX_REMEMBERED:
            self._kept = {r: k for r, k in self._kept.items() if now < k.until}
        if len(self._kept) < MAX_REMEMBERED:
            self._kept[ref] = _Kept(obj, now + REMEMBERED_S)
        return obj
