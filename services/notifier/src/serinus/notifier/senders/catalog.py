"""One row per kind of AlertProvider. A new channel is a file, a row and a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from serinus.events.canary import AlertProviderType
from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Needs, Target
from serinus.notifier.senders import (
    apprise,
    cdevents,
    discord,
    email,
    gchat,
    grafana,
    msteams,
    opsgenie,
    pagerduty,
    rocket,
    slack,
    slackbot,
    webhook,
)
from serinus.runtime.bus import Bucket
from serinus.runtime.http import Http, HttpRequest, HttpResponse


class Tools(Struct, frozen=True):
    """What senders work with. `threads` remembers where the message of a release is."""

    http: Http
    threads: Bucket


Send = Callable[[Tools, Notice, Target], Awaitable[HttpResponse]]
Render = Callable[[Notice, Target], HttpRequest]


WEB_ADDRESS = Needs()


class Row(Struct, frozen=True, kw_only=True):
    """How one kind of channel is written to.

    send      one attempt; raises Unanswered, and Retry where the bus is away
    render    the request, for the kinds that are told by one
    needs     what its targets must have
    resolves  it keeps an incident open, so it hears of the end whatever severity it asked for
    hears     whether it has a word for this notice
    groups    it is read by people, who want to hear of fifty canaries once
    """

    name: AlertProviderType
    send: Send
    render: Render | None = None
    needs: Needs = WEB_ADDRESS
    resolves: bool = False
    hears: Callable[[Notice], bool] = lambda notice: True
    groups: bool = False


def _over_http(render: Render) -> Send:
    async def send(tools: Tools, notice: Notice, target: Target) -> HttpResponse:
        return await tools.http.send(render(notice, target))

    return send


def _plain(
    name: AlertProviderType,
    render: Render,
    needs: Needs = WEB_ADDRESS,
    *,
    resolves: bool = False,
    groups: bool = False,
) -> Row:
    """A kind that is told by one request."""
    return Row(
        name=name,
        send=_over_http(render),
        render=render,
        needs=needs,
        resolves=resolves,
        groups=groups,
    )


async def _slack(tools: Tools, notice: Notice, target: Target) -> HttpResponse:
    if slackbot.is_bot(target):
        return await slackbot.send(notice, target, tools.threads)
    return await slack.post(slack.render(notice, target))


async def _email(tools: Tools, notice: Notice, target: Target) -> HttpResponse:
    return await email.send(email.render(notice, target), target)


async def _apprise(tools: Tools, notice: Notice, target: Target) -> HttpResponse:
    return await apprise.send(notice, target)


SENDERS: Mapping[AlertProviderType, Row] = {
    row.name: row
    for row in (
        Row(
            name="slack",
            send=_slack,
            render=slack.render,
            needs=Needs(token_address=slackbot.ADDRESS),
            groups=True,
        ),
        _plain("msteams", msteams.render, groups=True),
        _plain("discord", discord.render, groups=True),
        _plain("rocket", rocket.render, groups=True),
        _plain("gchat", gchat.render, groups=True),
        _plain(
            "pagerduty",
            pagerduty.render,
            Needs(address=pagerduty.ADDRESS, token=True),
            resolves=True,
        ),
        _plain(
            "opsgenie",
            opsgenie.render,
            Needs(address=opsgenie.ADDRESS, token=True),
            resolves=True,
        ),
        Row(name="email", send=_email, needs=Needs(schemes=email.SCHEMES), groups=True),
        _plain("grafana", grafana.render),
        Row(
            name="cdevents",
            send=_over_http(cdevents.render),
            render=cdevents.render,
            hears=cdevents.is_heard,
        ),
        Row(name="apprise", send=_apprise, needs=Needs(schemes=()), groups=True),
        _plain("webhook", webhook.render),
    )
}
