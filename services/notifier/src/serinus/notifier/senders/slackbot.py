"""Slack with a bot token: one message per release, updated in place, its story as a thread.

The first notice of a release is posted to the channel and its timestamp remembered; every later
one updates that message and is added to its thread. Losing the memory costs a second message.
Limits of blocks: Slack's reference of Block Kit.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from typing import Any

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    MarkdownTextObject,
    SectionBlock,
)
from slack_sdk.web.async_client import AsyncWebClient

from serinus.notifier.core.alerts import Notice, cut
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.slack import escaped
from serinus.runtime.bus import Bucket
from serinus.runtime.http import HttpResponse, Unanswered

METHOD = "/chat.postMessage"
ADDRESS = f"https://slack.com/api{METHOD}"
TIMEOUT_S = 5
TEXT_MAX, FIELD_MAX, FIELDS_PER_SECTION, BLOCKS_MAX = 3000, 2000, 10, 50
SIGNS = {"info": ":large_blue_circle:", "warn": ":warning:", "error": ":red_circle:"}
LIMITED = frozenset({"ratelimited", "rate_limited"})

_NAMES = uuid.UUID("0a5f0c9e-6f0e-5b44-9a63-6c0f3a1d7e21")

_quiet = logging.getLogger("serinus.notifier.slack-sdk")


class Posted(msgspec.Struct, frozen=True):
    """Where the message of a release is."""

    channel: str
    ts: str


def is_bot(target: Target) -> bool:
    """Whether the address is a method of Slack's Web API, which a bot token calls."""
    return bool(target.token) and target.address.endswith(f"/api{METHOD}")


def blocks(notice: Notice) -> list[dict[str, Any]]:
    """The notice as Block Kit."""
    sign = ":white_check_mark:" if notice.resolves else SIGNS[notice.severity]
    head = cut(f"{sign} *{escaped(notice.message)}*", TEXT_MAX)
    made: list[Block] = [
        SectionBlock(text=MarkdownTextObject(text=head)),
        ContextBlock(elements=[MarkdownTextObject(text=escaped(notice.subject))]),
    ]
    fields = [
        MarkdownTextObject(text=cut(f"*{escaped(f.name)}*\n{escaped(f.value)}", FIELD_MAX))
        for f in (*notice.fields, *notice.details)
    ]
    room = (BLOCKS_MAX - 3) * FIELDS_PER_SECTION
    made += [
        SectionBlock(fields=fields[at : at + FIELDS_PER_SECTION])
        for at in range(0, min(len(fields), room), FIELDS_PER_SECTION)
    ]
    if notice.link:
        button = ButtonElement(text="Dashboard", url=notice.link, action_id="dashboard")
        made.append(ActionsBlock(elements=[button]))
    return [block.to_dict() for block in made]


def message(notice: Notice, *, again: str = "") -> dict[str, Any]:
    """Text and blocks of a message; Slack takes two of one id for one.

    again  tells another message about the same notice apart: its update, or the reply to it
    """
    text = cut(f"{notice.subject}: {notice.message}", TEXT_MAX)
    made: dict[str, Any] = {"text": text, "blocks": blocks(notice)}
    if again == "update":
        return made
    return {**made, "client_msg_id": str(uuid.uuid5(_NAMES, f"{notice.id} {again}"))}


async def send(notice: Notice, target: Target, threads: Bucket) -> HttpResponse:
    """Raises Unanswered when Slack cannot be reached, Retry when the memory cannot."""
    client = AsyncWebClient(
        token=target.token,
        base_url=target.address.removesuffix(METHOD.removeprefix("/")),
        timeout=TIMEOUT_S,
        proxy=target.proxy or None,
        trust_env_in_session=True,
        logger=_quiet,
        retry_handlers=[],
    )
    key = thread_key(notice, target)
    try:
        known = await threads.get(key)
        if known is None:
            answer = await client.chat_postMessage(channel=target.channel, **message(notice))
            posted = Posted(str(answer["channel"]), str(answer["ts"]))
            await threads.put(key, msgspec.json.encode(posted))
            return HttpResponse(status=200)
        first = msgspec.json.decode(known, type=Posted)
        update, reply = message(notice, again="update"), message(notice, again="reply")
        await client.chat_update(channel=first.channel, ts=first.ts, **update)
        await client.chat_postMessage(channel=first.channel, thread_ts=first.ts, **reply)
    except SlackApiError as error:
        return _refusal(error)
    except (SlackClientError, aiohttp.ClientError, TimeoutError) as error:
        raise Unanswered(type(error).__name__) from None
    return HttpResponse(status=200)


def thread_key(notice: Notice, target: Target) -> str:
    """Names the message of one release in one channel."""
    what = f"{target.address}\n{target.channel}\n{notice.thread}"
    return hashlib.sha256(what.encode()).hexdigest()[:40]


def _refusal(error: SlackApiError) -> HttpResponse:
    """Slack says `ok: false` with status 200; the status that it means is another one."""
    answer = error.response
    word = str(answer.get("error") or "unknown error")
    status = answer.status_code if answer.status_code != 200 else 429 if word in LIMITED else 400
    headers = {str(k): str(v) for k, v in answer.headers.items()}
    return HttpResponse(status=status, headers=headers, body=word.encode())
