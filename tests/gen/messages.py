"""What each sender makes of the same few alerts, for people who review a change of words.

The alerts are made as the voice makes them: from a fact, the canary's spec, its newest snapshot and
the check that failed. `tests/laws/test_message_laws.py` checks them against what vendors demand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from serinus.events import (
    Alert,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    Fact,
    Measurement,
    Promoted,
    RollbackDecided,
    RolloutStarted,
    WorkloadSeen,
)
from serinus.notifier.core.alerts import Notice, notice
from serinus.notifier.core.audience import Target
from serinus.notifier.core.groups import grouped
from serinus.notifier.core.wording import dressed
from serinus.notifier.senders import apprise, email, slackbot
from serinus.notifier.senders.catalog import SENDERS
from serinus.runtime.http import HttpRequest

FOLDER = "tests/unit/notifier/senders/golden"
AT = 1_767_225_600.0
REF = CanaryRef("shop", "web", "uid-1")
SPEC = msgspec.convert(
    {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50},
    },
    CanarySpec,
)
SEEN = CanaryObserved(
    canary=REF,
    resource_version="7",
    spec=SPEC,
    labels={"environment": "production"},
    target=WorkloadSeen(
        name="web",
        found=True,
        revision="s1-new",
        images={"web": "registry.test/shop/web:2.0.1"},
        origin={"author": "ann", "commit": "4be1c2d", "version": "2.0.1"},
        changed_by="argocd-controller",
    ),
)
CHECKS = (
    Measurement(
        metric="request-success-rate",
        outcome="failed",
        value=91.25,
        unit="%",
        bound=">= 99",
        interval="1m",
        samples=1200,
    ),
    Measurement(metric="request-duration", outcome="passed", value=120.0, unit="ms"),
)
FACTS: Mapping[str, Fact] = {
    "started": RolloutStarted(
        canary=REF,
        id="fact-1",
        at=AT,
        phase="Progressing",
        revision="s1-new",
        images=SEEN.target.images,
        alert=Alert("info", "New revision detected, progressing canary analysis.", True),
    ),
    "promoted": Promoted(
        canary=REF,
        id="fact-8",
        at=AT + 300,
        phase="Succeeded",
        revision="s1-new",
        alert=Alert("info", "Canary analysis completed successfully, promotion finished."),
    ),
    "condemned": RollbackDecided(
        canary=REF,
        id="fact-9",
        at=AT + 360,
        phase="Failed",
        revision="s1-new",
        measurements=CHECKS,
        alert=Alert("error", "Failed checks threshold reached 5"),
    ),
}
WORDS = """\
*{{ .Name }}* of {{ .Metadata.environment }} {{ .Status }} with {{ .Metadata.version }}
{{- range .CanaryAnalysis.Iterations }}{{ if .Failed }}
- {{ .Metric }}: {{ .Value }} (threshold: {{ .Threshold }}){{ end }}{{ end }}
"""
TARGETS: Mapping[str, Target] = {
    **{kind: Target(type=kind, address=f"https://{kind}.test/hook") for kind in SENDERS},
    "slackbot": Target(type="slack", address=slackbot.ADDRESS, channel="ops", token="xoxb-1"),
    "workflow": Target(type="msteams", address="https://x.westeurope.logic.azure.com/workflows/y"),
    "pagerduty": Target(type="pagerduty", address="https://events.pagerduty.com/v2", token="key"),
    "opsgenie": Target(type="opsgenie", address="https://api.opsgenie.com/v2/alerts", token="key"),
    "email": Target(
        type="email", address="smtp://mail.test", channel="ops@a.test", username="s@b.test"
    ),
    "apprise": Target(type="apprise", address="json://apprise.test/"),
}


def told(occasion: str) -> Notice:
    """The notice of an occasion, as the voice makes it."""
    if occasion == "crowd":
        return grouped([_of(number) for number in range(50)], "image registry.test/shop/web:2.0.1")
    fact = FACTS[occasion.removeprefix("worded-")]
    found = notice(
        fact,
        id=fact.id,
        spec=SPEC,
        cluster="east-1",
        link="https://grafana.test/d/canary?ns={namespace}&name={name}",
        seen=SEEN,
    )
    assert found is not None
    message = WORDS if occasion.startswith("worded-") else ""
    return dressed(found, message=message, body="").notice


def _of(number: int) -> Notice:
    """The start of one of many canaries."""
    ref = CanaryRef("shop", f"web-{number:02}", f"uid-{number}")
    return msgspec.structs.replace(told("started"), id=f"fact-{number}", canary=ref)


class _Plain(yaml.SafeDumper):
    """Without anchors: every message by itself."""

    def ignore_aliases(self, data: object) -> bool:
        return True


OCCASIONS = (*FACTS, "worded-condemned", "crowd")


def files() -> dict[str, str]:
    """One file for each kind of channel, with all occasions."""
    return {f"{FOLDER}/{kind}.yaml": _shown(kind) for kind in TARGETS}


def _shown(kind: str) -> str:
    made = {
        occasion: sent
        for occasion in OCCASIONS
        if (sent := rendered(kind, told(occasion))) is not None
    }
    return "# Generated by `make gen` from tests/gen/messages.py.\n" + yaml.dump(
        made, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True
    )


def rendered(kind: str, said: Notice) -> Any:
    """What goes out, as plain data; None where this kind has no word for it."""
    target = TARGETS[kind]
    row = SENDERS[target.type]
    if not row.hears(said) or (said.among and not row.groups):
        return None
    if kind == "slackbot":
        return slackbot.message(said)
    if kind == "apprise":
        title, body, word = apprise.render(said)
        return {"title": title, "body": body, "type": word}
    if kind == "email":
        mail = email.render(said, target)
        return {**{k: str(v) for k, v in mail.items()}, "text": mail.get_content()}
    return document(request(kind, said))


def request(kind: str, said: Notice) -> HttpRequest:
    """The request of a kind that is told by one."""
    target = TARGETS[kind]
    render = SENDERS[target.type].render
    assert render is not None
    return render(said, target)


def document(sent: HttpRequest) -> Any:
    headers = {k: v for k, v in sent.headers.items() if k != "Content-Type"}
    return {
        "url": sent.url,
        **({"headers": headers} if headers else {}),
        "body": json.loads(sent.body),
    }
