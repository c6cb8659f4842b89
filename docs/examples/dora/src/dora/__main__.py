"""Counts releases by how they ended; /metrics has `dora_releases_total{outcome,namespace,name}`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serinus.events import Fact, Promoted, RolledBack
from serinus.runtime import Context, RuntimeSettings, Service, run


@asynccontextmanager
async def start(context: Context[RuntimeSettings]) -> AsyncIterator[object]:
    yield context.metrics.counter("dora_releases_total", "Releases by how they ended.")


async def count(fact: Fact, releases: object) -> None:
    outcome = "succeeded" if isinstance(fact, Promoted) else "failed"
    labels = {"outcome": outcome, "namespace": fact.canary.namespace, "name": fact.canary.name}
    releases.inc(labels)


if __name__ == "__main__":
    follow = {Promoted: count, RolledBack: count}
    run(Service(name="dora", settings=RuntimeSettings, start=start, follow=follow))
