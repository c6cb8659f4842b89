"""AlertProviders are looked at as they come, and what differs is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.notifier.helpers import FakeCluster, provider

from serinus.kube.errors import Denied, Unreachable
from serinus.kube.refs import Obj, ref_of
from serinus.notifier.core.audience import ProviderKey
from serinus.notifier.core.standing import DELIVERED, undeliverable
from serinus.notifier.standings import Standings
from serinus.runtime.clock import LoopClock

pytestmark = pytest.mark.looptime

CHAT = ProviderKey("prod", "chat")


class Watched(FakeCluster):
    """What comes into the cluster comes by the watch, too."""

    def __init__(self) -> None:
        super().__init__()
        self.standings = Standings(self, LoopClock())  # type: ignore[arg-type]  # all it asks for

    def add(self, obj: Obj) -> None:
        self.objects[ref_of(obj)] = obj
        self.standings.store.replace(self.of_kind("AlertProvider"), "1")

    def ready(self, name: str = "chat") -> dict[str, str]:
        [obj] = [o for o in self.of_kind("AlertProvider") if o["metadata"]["name"] == name]
        found: dict[str, str] = obj["status"]["conditions"][0]
        return found


@pytest.fixture
async def cluster() -> AsyncIterator[Watched]:
    made = Watched()
    task = asyncio.create_task(made.standings.judge())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_bad_template_is_told_of_before_there_is_an_alert(cluster: Watched) -> None:
    cluster.add(provider("chat", messageTemplate="{{ .Nmae }}"))
    cluster.add(provider("good"))
    await asyncio.sleep(1)

    assert "InvalidTemplate" == cluster.ready()["reason"]
    assert "spec.messageTemplate" in cluster.ready()["message"]
    assert "Usable" == cluster.ready("good")["reason"]
    assert ["patch AlertProvider"] * 2 == cluster.requests


async def test_without_an_api_server_it_is_looked_at_later(cluster: Watched) -> None:
    cluster.failures.append(Unreachable("no answer"))
    cluster.add(provider("chat"))
    await asyncio.sleep(30)

    assert "Usable" == cluster.ready()["reason"]


async def test_without_the_right_to_write_people_are_told_all_the_same(cluster: Watched) -> None:
    cluster.failures.append(Denied("alertproviders/status is forbidden"))
    cluster.add(provider("chat"))
    await asyncio.sleep(1)

    cluster.failures.append(Unreachable("no answer"))
    await cluster.standings.report(CHAT, DELIVERED)


async def test_of_providers_that_nobody_has_seen_nothing_is_written(cluster: Watched) -> None:
    await cluster.standings.report(CHAT, undeliverable("reset"))

    assert [] == cluster.requests


async def test_what_is_gone_meanwhile_is_no_matter(cluster: Watched) -> None:
    cluster.add(provider("chat"))
    await asyncio.sleep(1)
    cluster.objects.clear()

    await cluster.standings.report(CHAT, DELIVERED)
