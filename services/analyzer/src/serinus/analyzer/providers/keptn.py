"""Keptn: a KeptnMetric's value, or an Analysis that is made, awaited and deleted (reference 5.5).

    query: keptnmetric/<namespace>/<name>
    query: analysis/<namespace>/<name>[/<duration>[/<key>=<value>;...]]

It is asked with the analyzer's own account, which needs `get` on keptnmetrics and `get`, `create`,
`delete` on analyses of metrics.keptn.sh.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any

from serinus.analyzer.core.checks import NO_SERIES
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.source import Misconfigured, Question, Source, numeric, told
from serinus.kube.cluster import Cluster
from serinus.kube.errors import Denied, NotFound
from serinus.kube.errors import Unreachable as ApiAway
from serinus.kube.refs import Obj, Ref
from serinus.runtime.clock import Clock
from serinus.runtime.errors import SerinusError

log = logging.getLogger(__name__)

API = "metrics.keptn.sh/v1beta1"
POLL_S = 1.0
PATIENCE_S = 10.0
_KINDS = {
    "keptnmetric": "KeptnMetric",
    "keptnmetrics": "KeptnMetric",
    "analysis": "Analysis",
    "analyses": "Analysis",
}


class Keptn:
    """The metrics that Keptn keeps as objects of the cluster."""

    def __init__(self, source: Source, cluster: Cluster, clock: Clock) -> None:
        self._source = source
        self._cluster = cluster
        self._clock = clock

    async def value(self, question: Question) -> Reading:
        return await told(of_cluster(self._value(question)))

    async def probe(self, at: float) -> Reading:
        """Nothing to ask before there is a query; Flagger says yes here too."""
        return Value(key="", value=1.0)

    async def _value(self, question: Question) -> Reading:
        kind, ref, spec = parsed(question)
        self._source.check(ref.namespace, f"{kind} {ref.name}")
        if kind == "KeptnMetric":
            status = (await self._cluster.get(ref)).get("status") or {}
            text = status.get("value")
            return numeric(text) if text else NoData(key="", cause=NO_SERIES)
        return await self._analysed(ref, spec)

    async def _analysed(self, ref: Ref, spec: Obj) -> Reading:
        meta = {"name": ref.name, "namespace": ref.namespace}
        await self._cluster.create(
            {"apiVersion": API, "kind": "Analysis", "metadata": meta, "spec": spec}
        )
        try:
            for _ in range(int(PATIENCE_S / POLL_S)):
                await self._clock.sleep(POLL_S)
                status = (await self._cluster.get(ref)).get("status") or {}
                if status.get("state") == "Completed" and isinstance(status.get("pass"), bool):
                    return Value(key="", value=1.0 if status["pass"] else 0.0)
            return NoData(key="", cause=f"the analysis was not completed in {PATIENCE_S:.0f}s")
        finally:
            await asyncio.shield(self._deleted(ref))

    async def _deleted(self, ref: Ref) -> None:
        try:
            await self._cluster.delete(ref)
        except SerinusError as error:
            log.warning("analysis not deleted", extra={"object": str(ref), "error": str(error)})


async def of_cluster(asking: Any) -> Reading:
    """The reading, or the API server's refusal as one."""
    try:
        found: Reading = await asking
        return found
    except (Denied, ApiAway) as error:
        return Unreachable(key="", why=f"error response: {error}", away=True)
    except NotFound as error:
        return Unreachable(key="", why=f"error response: {error}")
    except SerinusError as error:
        return Unreachable(key="", why=f"error response: {error}")


def parsed(question: Question) -> tuple[str, Ref, Obj]:
    """Kind, object and, for an Analysis, its spec. Raises Misconfigured."""
    parts = question.query.lower().strip().split("/")
    if len(parts) < 3 or not all(parts[:3]):
        raise Misconfigured("the query is no keptnmetric/<namespace>/<name> or analysis/...")
    kind = _KINDS.get(parts[0])
    if kind is None:
        raise Misconfigured(f"the query begins with {parts[0]}, not with keptnmetric or analysis")
    namespace, name = parts[1:3]
    if kind == "KeptnMetric":
        return kind, Ref(API, kind, namespace, name), {}
    pairs = [pair.split("=") for pair in (parts[4].split(";") if len(parts) > 4 else [])]
    spec = {
        "analysisDefinition": {"name": name},
        "timeframe": {"recent": parts[3] if len(parts) > 3 else "1m"},
        "args": {pair[0]: pair[1] for pair in pairs if len(pair) == 2},
    }
    # Its own name for every question, and the same one when the question is put again.
    suffix = hashlib.sha256(f"{question.query}|{question.at}".encode()).hexdigest()[:6]
    return kind, Ref(API, kind, namespace, f"{name}-{suffix}"), spec
