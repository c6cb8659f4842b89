"""Slack: an attachment per notice; posted by slack-sdk's own client.

The shape is shared by two services that imitate Slack's, Discord and Rocket.Chat.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec
from slack_sdk.models.attachments import Attachment, AttachmentField
from slack_sdk.webhook.async_client import AsyncWebhookClient

from serinus.notifier.core.alerts import Limits, Notice, limited
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpRequest, HttpResponse, Unanswered

# Slack cuts a message at 40,000 characters; escapes may make one out of five.
LIMITS = Limits(text=3000, fields=50, value=2000, total=8000)

# The SDK writes addresses and tokens at debug and info level, and they are secrets.
_quiet = logging.getLogger("serinus.notifier.slack-sdk")
_quiet.setLevel(logging.WARNING)


def escaped(text: str) -> str:
    """Slack's three control characters, as its manual on formatting asks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(
    notice: Notice,
    target: Target,
    *,
    good: str = "good",
    bad: str = "danger",
    escape: Callable[[str], str] = str,
    limits: Limits = LIMITS,
) -> dict[str, Any]:
    """The message as Slack's incoming webhooks take it."""
    notice = limited(notice, limits)
    attachment = Attachment(
        color=bad if notice.severity == "error" else good,
        author_name=notice.subject,
        text=escape(notice.message),
        markdown_in=["text"],
        fields=[
            AttachmentField(title=f.name, value=escape(f.value), short=False) for f in notice.shown
        ],
    )
    return {
        "channel": target.channel,
        "username": target.username,
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [attachment.to_dict()],
    }


def render(notice: Notice, target: Target) -> HttpRequest:
    """The request for Slack itself; a token goes into the Authorization header."""
    headers = {"Content-Type": "application/json"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return HttpRequest(
        url=target.address,
        method="POST",
        headers=headers,
        body=msgspec.json.encode(payload(notice, target, escape=escaped)),
        proxy=target.proxy,
    )


async def post(request: HttpRequest) -> HttpResponse:
    """Posts by slack-sdk, once: when to try again is decided in one place for all senders.

    Slack's Web API answers 200 with `ok: false` to a wrong token or channel; that is turned into
    the 4xx that it means. Raises Unanswered.
    """
    client = AsyncWebhookClient(
        request.url,
        timeout=max(1, round(request.timeout_s)),
        logger=_quiet,
        retry_handlers=[],
        trust_env_in_session=True,
    )
    # Without one given the SDK takes any proxy from the environment, also for excepted hosts; the
    # session of `trust_env_in_session` knows the exceptions.
    client.proxy = request.proxy or None
    try:
        answer = await client.send_dict(json.loads(request.body), headers=dict(request.headers))
    except TimeoutError:
        raise Unanswered(f"no answer within {request.timeout_s:g} s") from None
    except aiohttp.ClientError as error:
        raise Unanswered(_reason(error)) from None
    headers: Mapping[str, str] = {str(k): str(v) for k, v in answer.headers.items()}
    refusal = web_api_error(answer.body)
    if answer.status_code == 200 and refusal:
        status = 429 if refusal in ("ratelimited", "rate_limited") else 400
        return HttpResponse(status=status, headers=headers, body=refusal.encode())
    return HttpResponse(status=answer.status_code, headers=headers, body=answer.body.encode())


def web_api_error(body: str) -> str:
    """The error word in an answer of Slack's Web API; "" where it is none."""
    try:
        found = json.loads(body)
    except json.JSONDecodeError:
        return ""
    if isinstance(found, dict) and found.get("ok") is False:
        return str(found.get("error") or "unknown error")
    return ""


def _reason(error: aiohttp.ClientError) -> str:
    """What happened, without the URL that aiohttp puts into some of its texts."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"certificate: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"
    return type(error).__name__
