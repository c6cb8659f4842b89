"""Shares of traffic: whole percents that are always explicit and always sum to 100."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from serinus.events import Routes
from serinus.router.core.objects import NotYet, Refusal

ALL_TO_PRIMARY = Routes()


def checked(routes: Routes) -> Routes:
    """The routes, if they can be ordered. Raises Refusal for shares that do not sum to 100."""
    shares = (routes.primary, routes.canary)
    if sum(shares) != 100 or min(shares) < 0:
        raise Refusal("Unsupported", f"weights {routes.primary}/{routes.canary} do not sum to 100")
    return routes


def seen(routes: Routes, *, primary: int, canary: int, mirror: bool = False) -> Routes:
    """`routes` with the weights that were found in live objects, as percents of their sum.

    Proxies divide by the sum, so 100 and 100 found in an object mean half and half.
    """
    total = primary + canary
    if total <= 0:
        return msgspec.structs.replace(routes, primary=0, canary=0, mirror=mirror)
    share = round(100 * canary / total)
    return msgspec.structs.replace(routes, primary=100 - share, canary=share, mirror=mirror)


def agreed(found: Sequence[Routes | NotYet], why: str) -> Routes | NotYet:
    """What all of several say; where they differ `why`, and of what they say the most exposed.

    found  at least one
    """
    known = [one.routes if isinstance(one, NotYet) else one for one in found]
    most = max((one for one in known if one), key=lambda one: one.canary, default=None)
    for one in found:
        if isinstance(one, NotYet):
            return NotYet(one.why, most)
    return most if most and all(one == most for one in found) else NotYet(why, most)


def exposes(wanted: Routes, live: Routes | None) -> bool:
    """Whether `wanted` lets the canary see requests that it does not see now."""
    canary = live.canary if live else 0
    mirrored = live.mirror if live else False
    return wanted.canary > canary or (wanted.mirror and not mirrored)


def is_off(routes: Routes) -> bool:
    """Whether no request reaches the canary through these routes."""
    return routes.canary == 0 and not routes.mirror
