"""Which canaries change together: one image, ConfigMap or Secret that starts many releases. Pure.

A change is known by what it brings: the image that the target has and the primary has not, or the
checksum that a tracked config has now and had not before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from msgspec import Struct

from serinus.events import CanaryObserved

CHANGES_MAX = 500


class Change(Struct, frozen=True):
    """A change that several canaries may share. `text` names it for people."""

    text: str
    content: str


class Crowd(Struct, frozen=True):
    """How many canaries made a change."""

    size: int
    change: str


NOBODY = Crowd(0, "")


class Crowds:
    """Remembers the last change of every canary, and who else made it.

    Bounded: of the changes the latest `CHANGES_MAX`, of a canary the last.
    """

    def __init__(self) -> None:
        self._configs: dict[str, dict[str, str]] = {}
        self._changes: dict[str, tuple[Change, ...]] = {}
        self._who: OrderedDict[Change, set[str]] = OrderedDict()

    def observe(self, seen: CanaryObserved) -> None:
        """Takes note of what a snapshot has that the one before it had not."""
        key = seen.canary.key
        found = (*_images(seen), *self._configs_of(seen))
        if not found or found == self._changes.get(key):
            return
        self._leave(key)
        self._changes[key] = found
        for change in found:
            self._who.setdefault(change, set()).add(key)
            self._who.move_to_end(change)
        while len(self._who) > CHANGES_MAX:
            self._who.popitem(last=False)

    def forget(self, key: str) -> None:
        """A canary that is gone."""
        self._configs.pop(key, None)
        self._leave(key)

    def of(self, key: str) -> Crowd:
        """The largest crowd that this canary changes with."""
        crowds = (
            Crowd(len(self._who.get(change, ())), change.text)
            for change in self._changes.get(key, ())
        )
        return max(crowds, key=lambda crowd: crowd.size, default=NOBODY)

    @property
    def remembered(self) -> int:
        """How many canaries and changes are kept in mind."""
        return len(self._configs) + len(self._changes) + len(self._who)

    def _configs_of(self, seen: CanaryObserved) -> Iterator[Change]:
        before = self._configs.get(seen.canary.key)
        now = seen.configs or {}
        self._configs[seen.canary.key] = now
        for name, checksum in sorted(now.items()):
            if before is not None and before.get(name) not in (None, checksum):
                where = f"{name} in {seen.canary.namespace}"
                yield Change(where, f"{where} {checksum}")

    def _leave(self, key: str) -> None:
        for change in self._changes.pop(key, ()):
            members = self._who.get(change)
            if members is not None:
                members.discard(key)
                if not members:
                    del self._who[change]


def _images(seen: CanaryObserved) -> Iterator[Change]:
    if not seen.primary.found:
        return
    for image in sorted(set(seen.target.images.values()) - set(seen.primary.images.values())):
        yield Change(f"image {image}", image)
