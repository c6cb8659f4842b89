"""The three streams as data, and what each service may do with them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from serinus.events.subjects import ROOT, SERVICES, ServiceName, StreamName, published_by

DAY_S = 24 * 3600


class Stream(Struct, frozen=True):
    """Limits of one JetStream stream; 0 means no limit of that kind.

    duplicate_window_s  repeats of a message id inside it are dropped by the server
    """

    name: StreamName
    subjects: tuple[str, ...]
    max_msgs_per_subject: int = 0
    max_age_s: int = 0
    max_msgs: int = 0
    max_bytes: int = 0
    duplicate_window_s: int = 120


STREAMS: tuple[Stream, ...] = (
    Stream("SNAPSHOTS", (f"{ROOT}.snapshot.>",), max_msgs_per_subject=1),
    Stream("INTENTS", (f"{ROOT}.intent.>",), max_msgs_per_subject=1),
    Stream(
        "FACTS",
        (f"{ROOT}.fact.>", f"{ROOT}.dead.>"),
        max_age_s=7 * DAY_S,
        max_msgs=1_000_000,
        max_bytes=1 << 30,
    ),
)

# KV buckets: name -> (owner, time to live of an entry in seconds, 0: for ever)
BUCKETS: dict[str, tuple[ServiceName, int]] = {
    "serinus-told": ("notifier", 2 * DAY_S),
    "serinus-threads": ("notifier", 30 * DAY_S),
    "serinus-gates": ("loadtester", 0),
    "serinus-load": ("loadtester", DAY_S),
}


KEEPER: ServiceName = "analyzer"
"""The one service that may change streams. Whoever may can have the server publish what a stream
gets under any subject, and so speak for others: it is left to who says what traffic does anyway."""

FOLLOW_NOTHING: frozenset[str] = frozenset({"loadtester"})
"""Services that only speak. A consumer can be pushed to any subject, so nobody has one for nothing;
least of all who runs other people's commands."""

KEEP_PLACES = ("notifier", "coordinator")
"""Whose place in FACTS the server keeps, under their name. To create a consumer that is there is to
change what it hears, so their names are nobody else's to use."""


def permissions(service: str) -> dict[str, Any]:
    """NATS permissions of one service's user, from the subject table.

    service  one of ours, or the name of a subscriber's own service: it may follow everything and
             publish nothing but what it parks

    Reading needs JetStream's own API: creating and pulling consumers, acknowledging, and an inbox,
    which is the service's own (`_INBOX.<service>`). Writing is limited to the service's own
    subjects. The streams may be created by any service, so that the first to start finds a working
    bus, and changed by the keeper alone; nobody may purge or delete one.
    """
    kv = [f"KV_{name}" for name, (owner, _) in BUCKETS.items() if owner == service]
    names = [s.name for s in STREAMS]
    followed = [] if service in FOLLOW_NOTHING else names
    publish = [
        *published_by(service),
        "$JS.API.INFO",
        *(f"$JS.API.STREAM.{verb}.{name}" for name in (*names, *kv) for verb in ("CREATE", "INFO")),
        *(f"$JS.API.STREAM.UPDATE.{name}" for name in names if service == KEEPER),
        *(f"$JS.API.STREAM.MSG.GET.{name}" for name in (*names, *kv)),
        *(f"$JS.API.CONSUMER.CREATE.{name}.>" for name in followed),
        *(f"$JS.API.CONSUMER.INFO.{name}.*" for name in followed),
        *(f"$JS.API.CONSUMER.MSG.NEXT.{name}.*" for name in followed),
        *(f"$JS.API.CONSUMER.RESET.{name}.{service}" for name in followed),
        *(f"$JS.ACK.{name}.{service}.>" for name in followed),
        *(f"$KV.{name.removeprefix('KV_')}.>" for name in kv),
    ]
    others = [name for name in KEEP_PLACES if name != service and followed]
    api = "$JS.API.CONSUMER"
    taken = [
        *(f"{api}.CREATE.*.{name}{more}" for name in others for more in ("", ".>")),
        *(f"{api}.MSG.NEXT.*.{name}" for name in others),
    ]
    return {
        "publish": {"allow": publish, "deny": taken} if taken else {"allow": publish},
        "subscribe": {"allow": [f"_INBOX.{service}.>"]},
    }


TAP_PERMISSIONS: dict[str, Any] = {
    "publish": {"deny": [">"]},
    "subscribe": {"allow": [f"{ROOT}.>"]},
}
"""For somebody who only listens, on plain subscriptions: a dashboard, a person with `nats sub`."""


def users(passwords: dict[str, str]) -> list[dict[str, Any]]:
    """The `authorization.users` of a nats-server for the five services."""
    return [{"user": s, "password": passwords[s], "permissions": permissions(s)} for s in SERVICES]
