"""AlertProviders and their Secrets, read when they are needed."""

from __future__ import annotations

import base64

import pytest
from tests.unit.notifier.helpers import FakeCluster, provider

from serinus.kube.errors import Denied, Unreachable
from serinus.kube.refs import Obj
from serinus.notifier.core.audience import ProviderKey, Target
from serinus.notifier.core.outcomes import Again, Refused
from serinus.notifier.providers import find

KEY = ProviderKey("prod", "oncall")


def secret(**data: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "slack", "namespace": "prod"},
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


async def look(*objects: Obj) -> Target | Again | Refused:
    return await find(FakeCluster(*objects).get, KEY, labelled_only=False)


async def test_a_provider_with_an_address_needs_one_request() -> None:
    cluster = FakeCluster(provider("oncall", type="slack", channel="ops"))

    target = await find(cluster.get, KEY, labelled_only=False)

    assert target == Target(type="slack", address="http://oncall.test/", channel="ops")
    assert cluster.requests == ["get AlertProvider"]


async def test_its_secret_is_read_beside_it() -> None:
    found = await look(
        provider("oncall", type="slack", address="", secretRef={"name": "slack"}),
        secret(address="http://hooks.test/T0", token="xoxb-1"),
    )

    assert found == Target(type="slack", address="http://hooks.test/T0", token="xoxb-1")


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], "AlertProvider oncall not found"),
        ([provider("oncall", secretRef={"name": "slack"})], "Secret slack not found"),
        ([provider("oncall", type="carrier-pigeon")], "$.type"),
        ([provider("oncall", address="")], "it has no address"),
        ([provider("oncall", address="T0/B0/hidden")], "invalid webhook hook URL"),
    ],
)
async def test_a_provider_that_cannot_be_used_says_why(objects: list[Obj], words: str) -> None:
    found = await look(*objects)

    assert isinstance(found, Refused)
    assert found.why.startswith("alert provider oncall.prod: ")
    assert words in found.why
    assert "hidden" not in found.why


async def test_an_api_server_that_is_away_is_asked_again() -> None:
    cluster = FakeCluster()
    cluster.failures.append(Unreachable("no answer", 2.0))

    found = await find(cluster.get, KEY, labelled_only=False)

    assert found == Again("alert provider oncall.prod: no answer", 2.0)


async def test_a_missing_right_is_named() -> None:
    cluster = FakeCluster()
    cluster.failures.append(Denied('secrets "slack" is forbidden'))

    found = await find(cluster.get, KEY, labelled_only=False)

    assert found == Refused('alert provider oncall.prod: secrets "slack" is forbidden')


async def test_keys_that_are_no_text_are_left_out() -> None:
    kept = secret(token="x")
    kept["data"] |= {"signingKey": base64.b64encode(b"\xff").decode(), "address": "?"}

    found = await look(provider("oncall", secretRef={"name": "slack"}), kept)

    assert found == Target(type="webhook", address="http://oncall.test/", token="x")


async def test_where_labels_are_asked_for_another_secret_is_not_used() -> None:
    """Who may write AlertProviders would have any Secret's keys sent to an address of their own."""
    named = provider("oncall", secretRef={"name": "slack"})
    theirs = secret(token="x")
    theirs["metadata"]["labels"] = {"serinus.dev/readable": "yes"}

    found = await find(FakeCluster(named, theirs).get, KEY, labelled_only=True)

    assert found == Refused(
        "alert provider oncall.prod: spec.secretRef: secret slack is not labelled to be read for "
        "this: kubectl --namespace prod label secret slack serinus.dev/readable=true"
    )
    theirs["metadata"]["labels"] = {"serinus.dev/readable": "true"}
    found = await find(FakeCluster(named, theirs).get, KEY, labelled_only=True)
    assert isinstance(found, Target)
    assert found.token == "x"
