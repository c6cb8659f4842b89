"""What can be set about the notifier: `SERINUS_` and the field's name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.kube.share import ReplicaSettings
from serinus.notifier.core.audience import DEFAULT_USERNAME, Target, is_url
from serinus.runtime.settings import Secret, SettingsError


class Settings(ReplicaSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The global channels, for canaries that name none of their own."""

    cluster_name: Annotated[
        str, Meta(description="first field of every chat message; empty: left out")
    ] = ""
    slack_url: Annotated[Secret, Meta(description="Slack webhook for all canaries")] = Secret()
    slack_token: Annotated[Secret, Meta(description="sent to Slack as a bearer token")] = Secret()
    slack_channel: Annotated[str, Meta(description="required with a Slack webhook")] = ""
    slack_user: Annotated[str, Meta(description="who speaks on Slack")] = DEFAULT_USERNAME
    slack_proxy_url: Annotated[str, Meta(description="HTTP proxy to reach Slack")] = ""
    msteams_url: Annotated[
        Secret, Meta(description="Teams webhook for all canaries; goes before Slack")
    ] = Secret()
    msteams_proxy_url: Annotated[str, Meta(description="HTTP proxy to reach Teams")] = ""
    event_webhook: Annotated[
        Secret, Meta(description="gets the events of canaries without event hooks of their own")
    ] = Secret()
    dashboard_url: Annotated[
        str,
        Meta(description="linked in messages; {namespace}, {name} and {cluster} are filled in"),
    ] = ""
    no_cross_namespace_refs: Annotated[
        bool, Meta(description="refuse alert providers of other namespaces")
    ] = False
    labelled_secrets_only: Annotated[
        bool,
        Meta(
            description="read Secrets for alert providers only where they are labelled "
            'serinus.dev/readable: "true"'
        ),
    ] = False
    group_from: Annotated[
        int,
        Meta(
            ge=0,
            description="canaries that must share a change (an image, ConfigMap or Secret) before "
            "people are told of them in one message; 0: never",
        ),
    ] = 5
    group_for_s: Annotated[
        float, Meta(ge=0, le=60, description="seconds such a message waits for the others")
    ] = 2.0
    retry_for_s: Annotated[
        float, Meta(ge=0, description="seconds a message is tried before it is given up")
    ] = 900.0


def global_target(settings: Settings) -> Target | None:
    """The channel for canaries without alerts; None where none is set.

    Raises SettingsError with what to set instead when the settings cannot work.
    """
    teams, slack = settings.msteams_url.reveal(), settings.slack_url.reveal()
    for name, url in (
        ("EVENT_WEBHOOK", settings.event_webhook.reveal()),
        ("MSTEAMS_URL", teams),
        ("SLACK_URL", slack),
    ):
        if url and not is_url(url):
            raise SettingsError(f"SERINUS_{name}: must start with http:// or https://")
    if teams:
        return Target(type="msteams", address=teams, proxy=settings.msteams_proxy_url)
    if not slack:
        return None
    if not settings.slack_channel:
        raise SettingsError("SERINUS_SLACK_CHANNEL: required where SERINUS_SLACK_URL is set")
    return Target(
        type="slack",
        address=slack,
        channel=settings.slack_channel,
        username=settings.slack_user,
        token=settings.slack_token.reveal(),
        proxy=settings.slack_proxy_url,
    )
