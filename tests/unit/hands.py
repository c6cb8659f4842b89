"""Replicas that share canaries as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Hands:
    """A share of the canaries (`namespace/name`) that are given to it."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = frozenset(keys)
        self._callbacks: list[Callable[[], None]] = []

    def owns(self, key: str) -> bool:
        return key in self._keys

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def give(self, *keys: str) -> None:
        """From now on exactly these are its own."""
        self._keys = frozenset(keys)
        for callback in self._callbacks:
            callback()
