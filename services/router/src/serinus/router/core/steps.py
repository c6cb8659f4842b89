"""What can come next for one canary: one write, one read, or waiting for something. Data only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from serinus.kube.configs import SUFFIX
from serinus.kube.refs import DEFAULT_SELECTOR_LABELS, Obj, Ref
from serinus.router.core.objects import Live


class Write(Struct, frozen=True, kw_only=True):
    """Make one object be `whole`.

    verb  create  it must not exist
          patch   only what differs from `live`, and only if that is still the newest version
          apply   server-side apply of `ours`: the fields that belong to us
          copy    a config's copy, whoever else owns it
          prune   the copies of `stale` are given up, then `whole` forgets them
          delete  `whole`, as it is, shall go
    why   what this is for, for logs
    risk  what people should look into, as it is done all the same
    """

    verb: Literal["create", "patch", "apply", "copy", "prune", "delete"]
    ref: Ref
    why: str
    risk: str = ""
    whole: Obj = {}
    ours: Obj = {}
    live: Obj | None = None
    checksum: str = ""
    stale: tuple[Ref, ...] = ()


class Read(Struct, frozen=True):
    """The contents of these configs (`configmap/<name>`), or these pods (`pods/<labels>`), are
    needed before anything else.

    earlier  objects in which the primary's own controller keeps what it ran before are needed, too
    service  and how many addresses are announced for this Service
    """

    keys: tuple[str, ...] = ()
    earlier: bool = False
    service: str = ""


class Wait(Struct, frozen=True):
    """Nothing more can be done safely now.

    after_s  when time alone will help, in how many seconds; None: something must change first
    error    whether this is somebody's mistake rather than a matter of time
    lacks    something that should be there is not, and is not made: its Canary may be gone
    """

    why: str
    after_s: float | None = None
    error: bool = False
    lacks: bool = False


class Settled(Struct, frozen=True):
    """Everything that the intent asks for is true.

    after_s  in how many seconds there will be something to tidy up; None: never
    """

    after_s: float | None = None


Next = Write | Read | Wait | Settled


class Options(Struct, frozen=True, kw_only=True):
    """The operator's settings.

    label_prefixes   of labels and annotations copied to primaries; `*`: all
    config_tracking  False: primaries use the same ConfigMaps and Secrets as their targets
    settle_s         overrides the mesh's own
    """

    label_prefixes: Sequence[str] = ()
    selector_labels: Sequence[str] = DEFAULT_SELECTOR_LABELS
    config_tracking: bool = True
    settle_s: float | None = None


class Addresses(Struct, frozen=True):
    """What was last heard of the addresses that are announced for the canary's pods.

    ready  of so many; None: nobody can tell
    times  how often that was asked
    ago_s  how long ago the last time was
    """

    ready: int | None
    times: int = 1
    ago_s: float = 0.0


class World(Struct, frozen=True, kw_only=True):
    """Everything that a plan may look at, besides the intent.

    unchanged_s       for how long traffic has been seen to go where it goes now
    serving_s         for how long the primary has been seen to serve; a plan alone knows no haste
    canary_serving_s  the same of the canary and all the pods that it waits for
    addresses         those that are announced for these; None: nobody has asked yet
    contents          configs as read, by `configmap/<name>`; None: it does not exist. Pods, by
                      `pods/<labels>`, as a list
    earlier           what the controller of the primary keeps of what it ran; None: not read
    copied            checksums that the copies are known to hold
    was_parked        this very intent has seen the canary parked before: whoever scales it up again
                      since then is let (reference 3.5)
    """

    live: Live
    unchanged_s: float = 0.0
    serving_s: float = math.inf
    canary_serving_s: float = math.inf
    addresses: Addresses | None = None
    contents: Mapping[str, Obj | None] = {}
    earlier: Sequence[Obj] | None = None
    copied: Mapping[str, str] = {}
    was_parked: bool = False
    options: Options = Options()


def after(world: World, step: Write) -> World:
    """The world in which this write was done and nothing else happened."""
    if step.verb == "copy":
        key = f"{step.ref.kind.lower()}/{step.ref.name.removesuffix(SUFFIX)}"
        return msgspec.structs.replace(world, copied={**world.copied, key: step.checksum})
    contents = world.contents
    if step.ref.kind == "Pod":
        gone = step.whole["metadata"].get("uid")
        contents = {key: _without(found, gone) for key, found in contents.items()}
    # Any write may have moved traffic; only looking tells, and plans must not assume.
    live = world.live.with_(step.ref, None if step.verb == "delete" else step.whole)
    return msgspec.structs.replace(world, live=live, contents=contents, unchanged_s=0.0)


def _without(found: Obj | None, uid: str) -> Obj | None:
    """A list of pods without one of them; anything else as it is."""
    if found is None or "items" not in found:
        return found
    return {"items": [pod for pod in found["items"] if pod["metadata"].get("uid") != uid]}
