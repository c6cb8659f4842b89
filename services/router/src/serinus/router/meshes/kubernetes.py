"""No mesh: the apex Service always selects the primary (reference 4.15).

Nothing is rendered and nothing can be split. Traffic moves because the primary workload itself is
upgraded at promotion, so every weight counts as true.
"""

from __future__ import annotations

from collections.abc import Sequence

from serinus.events import Exposure, Routes
from serinus.kube.refs import Obj, Ref
from serinus.router.core.objects import Gone, Live, NotYet


def needs(exposure: Exposure) -> Sequence[Ref]:
    """No object at all."""
    return ()


def render(exposure: Exposure, routes: Routes, live: Live) -> Sequence[Obj]:
    """Nothing."""
    return ()


def observe(exposure: Exposure, routes: Routes, live: Live) -> Routes | NotYet:
    """What was asked for: there is nothing that could say otherwise."""
    return routes


def release(exposure: Exposure, live: Live) -> Sequence[Obj | Gone]:
    """Nothing to hand back."""
    return ()
