"""Templates: what queries and messages need of Go's text/template.

Known are fields of the dot, pipelines, parentheses, literals, variables, if/else, range, with,
comments, trim markers, and the functions of `FUNCTIONS`. A key that is missing is an error, unless
the map itself has an answer (`__missing__`). Rendering is pure and bounded: there are no templates
to call, and more than `STEPS_MAX` steps or `OUTPUT_MAX` characters are an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serinus.gotemplate.syntax import (
    Block,
    Dot,
    Literal,
    Name,
    Operand,
    ParseFault,
    Parser,
    Pipe,
    Variable,
)
from serinus.gotemplate.text import printed, printf

OUTPUT_MAX = 262_144
"""Characters that one template may print."""

STEPS_MAX = 20_000
"""Texts, actions and blocks that one template may go through, those in loops each time."""

Values = Mapping[str, Any]


class TemplateError(ValueError):
    """`template: tmpl:<line>[:<column>: executing ...]: <why>`, in Go's words."""


class ParseError(TemplateError):
    """The text is no template."""


class ExecError(TemplateError):
    """The template does not fit what it was given."""


def render(text: str, *, words: Values | None = None, dot: Any = None) -> str:
    """`text` with its actions carried out.

    words  values that are called by name, without a dot: `{{ target }}`
    dot    what `{{ . }}` and `{{ .Field }}` are about: maps, lists, texts, numbers, booleans
    Raises TemplateError.
    """
    words = words or {}
    try:
        nodes = Parser(text, frozenset((*words, *FUNCTIONS, *_LAZY))).parse()
    except ParseFault as fault:
        raise ParseError(f"template: tmpl:{fault}") from None
    machine = _Machine(text, words, dot)
    try:
        machine.run(nodes, dot)
    except _ExecFault as fault:
        raise ExecError(f"template: tmpl:{fault}") from None
    return "".join(machine.out)


class _ExecFault(Exception):
    """`<line>:<column>: executing ... <why>`."""


class _CallFault(Exception):
    """Why a function could not be called with these arguments."""


# --- functions ----------------------------------------------------------------------------------


def _kind(value: Any) -> str:
    kinds = {str: "string", bool: "bool", int: "int", float: "float", type(None): "nil"}
    return kinds.get(type(value), "map" if isinstance(value, Mapping) else "slice")


def _comparable(left: Any, right: Any) -> None:
    if _kind(left) != _kind(right):
        raise _CallFault("incompatible types for comparison")
    if _kind(left) in ("map", "slice"):
        raise _CallFault(f"non-comparable type {_kind(left)}")


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise _CallFault("missing argument for comparison")
    for other in others:
        _comparable(first, other)
    return first in others


def _less(left: Any, right: Any) -> bool:
    _comparable(left, right)
    if _kind(left) in ("bool", "nil"):
        raise _CallFault("invalid type for comparison")
    return bool(left < right)


def _index(item: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(item, Mapping):
            item = item.get(key, "")
        elif _kind(item) in ("string", "slice") and isinstance(key, int):
            listed = item.encode() if isinstance(item, str) else item
            if not 0 <= key < len(listed):
                raise _CallFault(f"index out of range: {key}")
            item = listed[key]
        else:
            raise _CallFault(f"can't index item of type {_kind(item)}")
    return item


def _len(item: Any) -> int:
    if not isinstance(item, str | Mapping | Sequence):
        raise _CallFault(f"len of type {_kind(item)}")
    return len(item.encode()) if isinstance(item, str) else len(item)


def _print(*values: Any) -> str:
    return "".join(printed(value) for value in values)


def _printf(form: Any, *values: Any) -> str:
    if not isinstance(form, str):
        raise _CallFault(f"wrong type for value; expected string; got {_kind(form)}")
    return printf(form, *values)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "eq": _eq,
    "ne": lambda left, right: not _eq(left, right),
    "lt": _less,
    "le": lambda left, right: not _less(right, left),
    "gt": lambda left, right: _less(right, left),
    "ge": lambda left, right: not _less(left, right),
    "not": lambda value: not value,
    "index": _index,
    "len": _len,
    "print": _print,
    "println": lambda *values: " ".join(printed(value) for value in values) + "\n",
    "printf": _printf,
}
# These stop at the first argument that decides; the rest is not evaluated.
_LAZY: Mapping[str, bool] = {"and": False, "or": True}


# --- evaluation ---------------------------------------------------------------------------------

_NOTHING = object()


class _Machine:
    """Carries out nodes; `out` is what was printed."""

    def __init__(self, text: str, words: Values, dot: Any) -> None:
        self.text = text
        self.values = words
        self.scope: list[tuple[str, Any]] = [("$", dot)]
        self.out: list[str] = []
        self.room = OUTPUT_MAX
        self.steps = STEPS_MAX

    def run(self, nodes: Sequence[Any], dot: Any) -> None:
        for node in nodes:
            self.steps -= 1
            if self.steps < 0:
                raise _ExecFault(f"1: it takes more than {STEPS_MAX} steps")
            match node:
                case str():
                    self._print(node)
                case Pipe():
                    value = self._pipe(node, dot)
                    if not node.binds:
                        self._print("<no value>" if value is None else printed(value))
                case Block():
                    self._block(node, dot)

    def _print(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise _ExecFault(f"1: it prints more than {OUTPUT_MAX} characters")
        self.out.append(text)

    def _block(self, block: Block, dot: Any) -> None:
        depth = len(self.scope)
        if block.word == "range":
            self._range(block, dot)
        else:
            value = self._pipe(block.pipe, dot)
            body = block.body if value else block.otherwise
            self.run(body, value if block.word == "with" and value else dot)
        del self.scope[depth:]

    def _range(self, block: Block, dot: Any) -> None:
        pipe, first = block.pipe, block.pipe.commands[0][0]
        value = self._pipe(Pipe(pipe.commands), dot)
        if isinstance(value, Mapping):
            pairs: list[tuple[Any, Any]] = [(key, value[key]) for key in sorted(value)]
        elif _kind(value) == "slice":
            pairs = list(enumerate(value))
        else:
            raise self._fault(first, f"range can't iterate over {printed(value)}")
        if not pairs:
            self.run(block.otherwise, dot)
        for pair in pairs:
            depth = len(self.scope)
            bound = pair[-len(pipe.binds) :] if pipe.binds else ()
            self.scope.extend(zip(pipe.binds, bound, strict=False))
            self.run(block.body, pair[1])
            del self.scope[depth:]

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.binds:
            if pipe.declares:
                self.scope.append((name, value))
            else:
                index = max(i for i, (known, _) in enumerate(self.scope) if known == name)
                self.scope[index] = (name, value)
        return value

    def _command(self, command: tuple[Operand, ...], dot: Any, piped: Any) -> Any:
        first, args = command[0], command[1:]
        if isinstance(first.head, Name) and not first.fields:
            return self._call(command, dot, piped)
        if args or piped is not _NOTHING:
            raise self._fault(first, f"can't give argument to non-function {first.source}")
        return self._operand(first, dot)

    def _call(self, command: tuple[Operand, ...], dot: Any, piped: Any) -> Any:
        first, name = command[0], command[0].source
        if name in _LAZY:
            value: Any = None
            for operand in command[1:]:
                value = self._operand(operand, dot)
                if bool(value) is _LAZY[name]:
                    return value
            return value if piped is _NOTHING else piped
        values = [self._operand(operand, dot) for operand in command[1:]]
        values += [] if piped is _NOTHING else [piped]
        if name in self.values:
            if values:
                raise self._fault(
                    first, f"wrong number of args for {name}: want 0 got {len(values)}"
                )
            return self.values[name]
        try:
            return FUNCTIONS[name](*values)
        except _CallFault as fault:
            raise self._fault(first, f"error calling {name}: {fault}", command[-1].end) from None
        except TypeError:
            raise self._fault(first, f"wrong number of args for {name}") from None

    def _operand(self, operand: Operand, dot: Any) -> Any:
        value: Any
        match operand.head:
            case Literal(value=value):
                pass
            case Pipe() as pipe:
                value = self._pipe(pipe, dot)
            case Variable(name=name):
                value = next(v for known, v in reversed(self.scope) if known == name)
            case Dot():
                value = dot
            case _:
                value = self._call((operand,), dot, _NOTHING)
        for field in operand.fields:
            if value is None:
                raise self._fault(operand, f'nil data; no entry for key "{field}"')
            if not isinstance(value, Mapping):
                raise self._fault(operand, f"can't evaluate field {field} in type {_kind(value)}")
            try:
                value = value[field]
            except KeyError:
                raise self._fault(operand, f'map has no entry for key "{field}"') from None
        return value

    def _fault(self, operand: Operand, why: str, end: int = 0) -> _ExecFault:
        line_start = self.text.rfind("\n", 0, operand.at) + 1
        line = self.text.count("\n", 0, operand.at) + 1
        column = len(self.text[line_start : operand.at].encode())
        source = self.text[operand.at : end] if end else operand.source
        return _ExecFault(f'{line}:{column}: executing "tmpl" at <{source}>: {why}')
