"""The webhook of one's own."""

from __future__ import annotations

import hashlib
import hmac
import json

from tests.unit.notifier.helpers import T0, WEB

from serinus.events import Measurement
from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.webhook import SIGNATURE, render

NOTICE = Notice(
    id="fact-7",
    canary=WEB,
    severity="error",
    message="Failed checks threshold reached 5",
    fields=(Field("Cluster", "east-1"),),
    evidence=(
        Measurement(
            metric="latency",
            outcome="failed",
            value=700.0,
            unit="ms",
            bound="<= 500",
            interval="1m",
            query="secret query text",
        ),
    ),
    cluster="east-1",
    phase="Progressing",
    checksum="7b9c6f5d48",
    revision="r2",
    kind="rollout.started",
    details=(Field("Image web", "web:2"),),
    images={"web": "web:2"},
    at=T0,
)


def test_the_whole_notice_is_in_the_body() -> None:
    request = render(NOTICE, Target(type="webhook", address="http://x", token="t"))

    assert json.loads(request.body) == {
        "id": "fact-7",
        "name": "web",
        "namespace": "prod",
        "cluster": "east-1",
        "severity": "error",
        "message": "Failed checks threshold reached 5",
        "phase": "Progressing",
        "checksum": "7b9c6f5d48",
        "revision": "r2",
        "timestamp": "1767225600000",
        "fields": [{"name": "Cluster", "value": "east-1"}],
        "details": [{"name": "Image web", "value": "web:2"}],
        "kind": "rollout.started",
        "images": {"web": "web:2"},
        "origin": {},
        "dashboard": "",
        "failedChecks": [
            {
                "metric": "latency",
                "outcome": "failed",
                "value": 700.0,
                "unit": "ms",
                "bound": "<= 500",
                "interval": "1m",
                "samples": None,
                "finding": "",
                "cause": "",
            }
        ],
    }
    assert request.headers["Authorization"] == "Bearer t"


def test_without_a_token_there_is_no_authorization() -> None:
    request = render(NOTICE, Target(type="webhook", address="http://x"))

    assert "Authorization" not in request.headers


def test_headers_of_the_manifest_go_along_but_never_instead_of_the_token() -> None:
    headers = {"X-Team": "shop", "Authorization": "Basic stolen"}
    target = Target(type="webhook", address="http://x", token="t", headers=headers)

    request = render(NOTICE, target)

    assert "shop" == request.headers["X-Team"]
    assert "Bearer t" == request.headers["Authorization"]


def test_a_signing_key_signs_the_very_bytes_that_are_sent() -> None:
    request = render(NOTICE, Target(type="webhook", address="http://x", signing_key="k"))

    expected = hmac.new(b"k", request.body, hashlib.sha256).hexdigest()
    assert f"sha256={expected}" == request.headers[SIGNATURE]


def test_a_repeat_carries_the_same_key() -> None:
    requests = [render(NOTICE, Target(type="webhook", address="http://x")) for _ in range(2)]

    assert {NOTICE.id} == {request.headers["Idempotency-Key"] for request in requests}
