"""What hooks are answered: may this canary begin or go on, and is another one done?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from serinus.coordinator.core.orders import Order
from serinus.coordinator.core.standing import Key, Standing


class Answer(Struct, frozen=True):
    """status: 200 yes; 403 not yet, ask again; 409 no, and waiting does not help."""

    status: int
    text: str


def confirm(
    standing: Standing | None,
    orders: Sequence[tuple[str, Order]],
    silent: Mapping[str, float],
    heard: Iterable[str] = (),
) -> Answer:
    """Whether all waves let this canary begin, or go on.

    orders  what each wave says, with the cluster that the wave lives in
    silent  clusters that were not heard of lately, with for how many seconds
    heard   clusters whose waves are known
    """
    if standing is None:
        return Answer(403, "this canary is not known here yet")
    if not orders:
        return Answer(
            403,
            f"no Wave in {', '.join(sorted(heard))} has anything to say about {standing.key}; "
            "create one that names it, or remove this hook",
        )
    for home, order in orders:
        if order.release != standing.release:
            return Answer(403, f"wave {order.wave} has not seen this release yet")
        if order.action != "go":
            return Answer(403, f"wave {order.wave}: {order.why or order.action}")
        if home in silent and order.cut_off == "hold":
            gone_s = silent[home]
            return Answer(403, f"wave {order.wave}: no news from {home} for {gone_s:.0f} s")
    return Answer(200, "go")


def done(
    asked: Standing | None, asking: Standing | None, what: str, silent: Mapping[str, float]
) -> Answer:
    """Whether a canary that another one waits for has what the other one is about to release.

    Releases are compared by their images where both run the same ones by name; canaries of
    different services are done when they are at rest.
    """
    if asked is None:
        return Answer(403, f"nothing is known of {what}")
    if (gone_s := silent.get(asked.key.cluster)) is not None:
        return Answer(403, f"no news from {asked.key.cluster} for {gone_s:.0f} s")
    same = asking is not None and _names(asking) == _names(asked)
    if asked.state == "failed" and (not same or asking is None or asked.release == asking.release):
        return Answer(409, f"{asked.key} failed")
    if asked.state != "settled":
        return Answer(403, f"{asked.key} is {asked.phase or 'not initialized'}")
    if same and asking is not None and asked.live != asking.release:
        return Answer(403, f"{asked.key} has not got this release yet")
    return Answer(200, f"{asked.key} is done")


def find(
    standings: Mapping[Key, Standing], cluster: str, name: str, namespace: str
) -> Standing | None:
    """The canary of that name in that cluster; where no namespace is given the only one.

    cluster  "" for any
    """
    found = [
        standing
        for key, standing in standings.items()
        if key.name == name and cluster in ("", key.cluster) and namespace in ("", key.namespace)
    ]
    return found[0] if len(found) == 1 else None


def _names(standing: Standing) -> frozenset[str]:
    """The images' names without tags and digests."""
    return frozenset(_name(image) for image in standing.images.values())


def _name(image: str) -> str:
    whole = image.partition("@")[0]
    head, colon, tag = whole.rpartition(":")
    return head if colon and "/" not in tag else whole
