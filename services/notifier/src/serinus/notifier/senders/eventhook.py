"""Event webhooks: every sentence that `kubectl describe` shows, posted as it is said (6.4)."""

from __future__ import annotations

import msgspec

from serinus.events import CanarySpec, Fact, Webhook, message_id
from serinus.events.canary import duration_s, hooks
from serinus.runtime.http import HttpRequest

GLOBAL_NAME = "events"
DEFAULT_TIMEOUT_S = 10.0


def event_hooks(spec: CanarySpec | None, global_url: str) -> tuple[Webhook, ...]:
    """The canary's own event hooks; where it has none, the global one if there is a URL for it."""
    own = hooks(spec, "event") if spec is not None else ()
    if own or not global_url:
        return own
    return (Webhook(name=GLOBAL_NAME, url=global_url, type="event"),)


def render(fact: Fact, hook: Webhook) -> HttpRequest:
    """The request for one sentence; the hook's own metadata never hides what happened.

    The body is Flagger's; the header `Idempotency-Key` is the same for every repeat.
    """
    event = {
        "eventMessage": fact.text,
        "eventType": fact.severity,
        "timestamp": str(round(fact.at * 1000)),
    }
    body = {
        "name": fact.canary.name,
        "namespace": fact.canary.namespace,
        "phase": fact.phase,
        "checksum": fact.checksum,
        "metadata": {**(hook.metadata or {}), **event},
    }
    return HttpRequest(
        url=hook.url,
        method="POST",
        headers={"Content-Type": "application/json", "Idempotency-Key": message_id(fact)},
        body=msgspec.json.encode(body),
        timeout_s=duration_s(hook.timeout) or DEFAULT_TIMEOUT_S,
        verify_tls=not hook.disable_tls,
    )
