"""Every kind of AlertProvider says what the reference says, in the same JSON."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from tests.unit.notifier.helpers import Said, a_fact, recorded_alerts

from serinus.events.canary import AlertProviderType, analysis_of
from serinus.notifier.core.alerts import Notice, notice
from serinus.notifier.core.audience import Target, audience, target_of
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime.http import HttpRequest


def dressed(said: Said, cluster: str = "") -> Notice:
    fact = a_fact(canary=said.canary, alert=said.alert)
    found = notice(fact, id=fact.id, spec=said.spec, cluster=cluster)
    assert found is not None
    return found


def rendered(kind: AlertProviderType, found: Notice, target: Target) -> HttpRequest:
    render = SENDERS[kind].render
    assert render is not None
    return render(found, target)


def requests(said: Said) -> list[HttpRequest]:
    """What goes out for an alert to the canary's own providers."""
    found = dressed(said)
    keys = audience(found.severity, analysis_of(said.spec).alerts, said.scenario)
    made = []
    for key in keys or ():
        spec = said.providers[key.name]
        secret = said.secrets[spec.secret_ref.name] if spec.secret_ref else {}
        target = target_of(spec, secret)
        assert isinstance(target, Target)
        made.append(rendered(target.type, found, target))
    return made


OWN = [said for said in recorded_alerts() if analysis_of(said.spec).alerts]
GLOBAL = [said for said in recorded_alerts() if not analysis_of(said.spec).alerts]


def title(said: Said) -> str:
    return f"{said.scenario}: {said.message[:40]}"


@pytest.mark.parametrize("said", OWN, ids=title)
def test_the_same_alert_makes_the_same_posts_as_the_recorded_ones(said: Said) -> None:
    """Addresses, bodies and tokens, in the order of the manifest."""
    base = f"http://chat.test/{said.scenario}"
    expected: list[Any] = [
        (f"{base}{post['path']}", post["body"], post["authorization"]) for post in said.posts
    ]

    made = [(r.url, json.loads(r.body), r.headers.get("Authorization", "")) for r in requests(said)]

    assert made == expected


@pytest.mark.parametrize("said", GLOBAL, ids=title)
def test_the_global_slack_channel_names_the_cluster_first(said: Said) -> None:
    target = Target(
        type="slack", address="http://chat.test/slack", channel="deploys", username="robot"
    )

    request = rendered("slack", dressed(said, "east-1"), target)

    assert [json.loads(request.body)] == said.bodies("/slack")


def test_there_is_a_row_for_every_type_that_the_manifest_allows() -> None:
    assert set(SENDERS) == set(get_args(AlertProviderType))


BY_HTTP = [kind for kind, row in SENDERS.items() if row.render is not None]


@pytest.mark.parametrize("kind", BY_HTTP)
def test_every_sender_goes_through_the_providers_proxy(kind: AlertProviderType) -> None:
    target = Target(type=kind, address="http://chat.test/x", proxy="http://proxy.test:3128")

    request = rendered(
        kind, msgspec.structs.replace(dressed(OWN[0]), kind="rollout.promoted"), target
    )

    assert request.proxy == "http://proxy.test:3128"
    assert request.method == "POST"
    assert request.headers["Content-Type"] in ("application/json", "application/cloudevents+json")


@pytest.mark.parametrize("kind", ["msteams", "discord", "rocket", "gchat"])
def test_only_senders_that_have_a_use_for_a_token_send_it(kind: AlertProviderType) -> None:
    target = Target(type=kind, address="http://chat.test/x", token="xoxb-1")

    request = rendered(kind, dressed(OWN[0]), target)

    assert "xoxb-1" not in str(msgspec.to_builtins(request))
