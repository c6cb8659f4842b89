"""A webhook of one's own: the whole notice as JSON, for programs rather than for eyes.

`id`, and the header `Idempotency-Key`, are the same for every repeat of a notice, so a receiver can
tell one from news. With the key
`signingKey` in the provider's Secret every body is signed, so a receiver can tell it from forgery.
"""

from __future__ import annotations

import hmac

import msgspec

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest

SIGNATURE = "X-Serinus-Signature-256"


def render(notice: Notice, target: Target) -> HttpRequest:
    body = {
        "id": notice.id,
        "name": notice.canary.name,
        "namespace": notice.canary.namespace,
        "cluster": notice.cluster,
        "severity": notice.severity,
        "message": notice.message,
        "phase": notice.phase,
        "checksum": notice.checksum,
        "revision": notice.revision,
        "timestamp": str(round(notice.at * 1000)),
        "fields": [{"name": f.name, "value": f.value} for f in notice.fields],
        "details": [{"name": f.name, "value": f.value} for f in notice.details],
        "kind": notice.kind,
        "images": notice.images,
        "origin": notice.origin,
        "dashboard": notice.link,
        "failedChecks": [
            {
                "metric": m.metric,
                "outcome": m.outcome,
                "value": m.value,
                "unit": m.unit,
                "bound": m.bound,
                "interval": m.interval,
                "samples": m.samples,
                "finding": m.finding,
                "cause": m.cause,
            }
            for m in notice.evidence
        ],
    }
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": notice.id,
        **target.headers,
    }
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    encoded = notice.body.encode() or msgspec.json.encode(body)
    if target.signing_key:
        digest = hmac.digest(target.signing_key.encode(), encoded, "sha256")
        headers[SIGNATURE] = f"sha256={digest.hex()}"
    return HttpRequest(
        url=target.address,
        method="POST",
        headers=headers,
        body=encoded,
        proxy=target.proxy,
    )
