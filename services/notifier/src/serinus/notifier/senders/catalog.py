"""One row per kind of AlertProvider. A new channel is a file, a row and a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from serinus.events.canary import AlertProviderType
from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders import discord, gchat, msteams, rocket, slack, webhook
from serinus.runtime.http import Http, HttpRequest, HttpResponse

Render = Callable[[Notice, Target], HttpRequest]
Post = Callable[[Http, HttpRequest], Awaitable[HttpResponse]]


async def plainly(http: Http, request: HttpRequest) -> HttpResponse:
    """Posts with the suite's own client. Raises Unanswered."""
    return await http.send(request)


class Row(Struct, frozen=True):
    """How one kind of channel is written to."""

    name: AlertProviderType
    render: Render
    post: Post = plainly


SENDERS: Mapping[AlertProviderType, Row] = {
    row.name: row
    for row in (
        Row("slack", slack.render, post=slack.post),
        Row("msteams", msteams.render),
        Row("discord", discord.render),
        Row("rocket", rocket.render),
        Row("gchat", gchat.render),
        Row("webhook", webhook.render),
    )
}
