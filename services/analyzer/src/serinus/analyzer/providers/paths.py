"""JSONPath (RFC 9535) with an end.

Whoever writes a MetricTemplate writes the path, and has it applied to an answer of their own, in a
process that works for everybody. So the places that a path visits are counted, and what cannot be
counted is refused: regular expressions, of which a short one can take years, and in conditions
paths to more than one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError, JSONPathMatch
from jsonpath.filter import BaseExpression, FilterQuery
from jsonpath.selectors import Filter

__all__ = ["JSONPathError", "Unbounded", "at"]

LENGTH_MAX = 1_000
STEPS_MAX = 50_000
# A comparison reads as many letters of a text, a place as many of a condition, in one step.
LETTERS_A_STEP = 16
FUNCTIONS = ("count", "length", "value")


class Unbounded(JSONPathError):
    """The path is none that surely ends soon."""


class _Steps:
    """How many are left. Raises Unbounded when there are none."""

    def __init__(self) -> None:
        self.left = STEPS_MAX

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise Unbounded("it visits too many places: name the one that is meant more closely")


class _Node(JSONPathMatch):
    """A place that counts, and does not keep how it was reached."""

    steps: _Steps

    def new_child(self, obj: object, key: int | str) -> JSONPathMatch:
        self.steps.spend(1)
        return _node(obj, self.root, self.steps)

    def add_child(self, *children: JSONPathMatch) -> None:
        """Nobody asks for them, and they would be kept to the end."""


def _node(obj: object, root: Any, steps: _Steps) -> _Node:
    made = _Node(filter_context={}, obj=obj, parent=None, path="", parts=(), root=root)
    made.steps = steps
    return made


class _Environment(JSONPathEnvironment):
    """Conditions count by their length for each place, and by what they compare."""

    def __init__(self, steps: _Steps, length: int) -> None:
        super().__init__(strict=True)
        self._steps = steps
        self._condition = 1 + length // LETTERS_A_STEP

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        known = self.function_extensions
        self.function_extensions = {name: known[name] for name in FUNCTIONS}

    def is_truthy(self, obj: object) -> bool:
        self._steps.spend(self._condition)
        return super().is_truthy(obj)

    def compare(self, left: object, operator: str, right: object) -> bool:
        self._weigh(left, right)
        return super().compare(left, operator, right)

    def _weigh(self, *values: object) -> None:
        waiting = [*values]
        while waiting:
            match waiting.pop():
                case str(text):
                    self._steps.spend(len(text) // LETTERS_A_STEP)
                case dict(inner):
                    self._steps.spend(len(inner))
                    waiting += inner.values()
                case list(inner):
                    self._steps.spend(len(inner))
                    waiting += inner


def at(path: str, document: Any) -> list[Any]:
    """What is at the path in a decoded document. Raises JSONPathError, Unbounded among them."""
    if len(path) > LENGTH_MAX:
        raise Unbounded(f"it is longer than {LENGTH_MAX} letters")
    steps = _Steps()
    made = _Environment(steps, len(path)).compile(path.strip())
    if not isinstance(made, JSONPath):
        raise Unbounded("it is more than one path")
    nodes: Iterable[JSONPathMatch] = [_node(document, document, steps)]
    for segment in made.segments:
        for selector in segment.selectors:
            if isinstance(selector, Filter):
                _check(selector.expression)
        nodes = segment.resolve(nodes)
    return [node.obj for node in nodes]


def _check(condition: BaseExpression) -> None:
    for one in _parts(condition):
        if isinstance(one, FilterQuery) and not one.path.singular_query():
            raise Unbounded(f"{one} in a condition leads to more than one place")


def _parts(expression: BaseExpression) -> Iterator[BaseExpression]:
    yield expression
    for child in expression.children():
        yield from _parts(child)
