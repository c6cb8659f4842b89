"""What users wrote, as Structs; what cannot be understood is left out and reported.

One wrong field must not hide a canary: the field is dropped, the rest decoded, and the problem says
where it stands in the manifest, what is wrong and what to write instead.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from serinus.events import CanarySpec, CanaryStatus, Problem
from serinus.kube.refs import Obj

PartT = TypeVar("PartT", CanarySpec, CanaryStatus)

# A manifest with more wrong fields than this is read as far as its target.
PROBLEMS_AT_MOST = 20

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$(?P<at>.*)`)?$")
_WRONG = re.compile(r"(?P<what>.*?) - at (?:`key` in )?`\$(?P<at>.*)`$")
_EXPECTED = re.compile(r"expected (?P<what>.+?)(?:, got .*)?$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "nothing",
}

_Path = tuple[str | int, ...]


def decode_spec(raw: Any) -> tuple[CanarySpec, tuple[Problem, ...]]:
    """The spec, and what was wrong with it by path (`spec.analysis.stepWeight`)."""
    return _decode(raw, CanarySpec, "spec", {"targetRef": {}})


def decode_status(raw: Any) -> tuple[CanaryStatus, tuple[Problem, ...]]:
    """The status; problems here mean that somebody else wrote it."""
    return _decode(raw, CanaryStatus, "status", {})


def _decode(
    raw: Any, wanted: type[PartT], root: str, minimum: Obj
) -> tuple[PartT, tuple[Problem, ...]]:
    try:
        return msgspec.convert({} if raw is None else raw, wanted), ()
    except msgspec.ValidationError:
        pass  # Now slowly, field by field.
    rest = _without_null(copy.deepcopy(raw)) if isinstance(raw, dict) else {}
    problems: dict[str, Problem] = {}
    removed: dict[_Path, list[int]] = {}
    while len(problems) <= PROBLEMS_AT_MOST:
        try:
            return msgspec.convert(rest, wanted), tuple(problems.values())
        except msgspec.ValidationError as error:
            message, path, wrong_part = _read(str(error))
            where = _spell(root, _original(path, removed))
            if not any(where.startswith(known) for known in problems):
                problems[where] = _problem(where, message, wanted, path)
            if wrong_part:
                _remove(rest, wrong_part, removed)
            else:
                rest = {**minimum, **rest}
                if path[0] not in rest:
                    break
    target = rest.get("targetRef") if wanted is CanarySpec else None
    least = {**minimum, "targetRef": target} if isinstance(target, dict) else minimum
    try:
        return msgspec.convert(least, wanted), tuple(problems.values())
    except msgspec.ValidationError:
        return msgspec.convert(minimum, wanted), tuple(problems.values())


def _read(error: str) -> tuple[str, _Path, _Path]:
    """msgspec's message as (what, path of the field, path of the part that has to go)."""
    missing = _MISSING.match(error)
    if missing:
        holder = _steps(missing["at"] or "")
        return "is missing", (*holder, missing["field"]), holder
    wrong = _WRONG.match(error)
    if wrong:
        path = _steps(wrong["at"])
        return _in_words(wrong["what"]), path, path
    return _in_words(error), (), ()


def _steps(text: str) -> _Path:
    """`.analysis.metrics[0].name` as steps; below a user's own map the path is not known."""
    steps: list[str | int] = []
    for name, index in _STEP.findall(text):
        if index == "...":
            break
        steps.append(name or int(index))
    return tuple(steps)


def _remove(tree: Any, path: _Path, removed: dict[_Path, list[int]]) -> None:
    """Takes the part at `path` out, and remembers which items of lists went."""
    *way, last = path
    for step in way:
        tree = tree[step]
    del tree[last]
    if isinstance(last, int):
        where = tuple(way)
        removed.setdefault(where, []).append(_shifted(last, removed.get(where, [])))


def _original(path: _Path, removed: dict[_Path, list[int]]) -> _Path:
    """The path in the manifest as the user wrote it, before items of lists went."""
    return tuple(
        _shifted(step, removed.get(path[:at], [])) if isinstance(step, int) else step
        for at, step in enumerate(path)
    )


def _shifted(index: int, gone: list[int]) -> int:
    for other in sorted(gone):
        if other <= index:
            index += 1
    return index


def _spell(root: str, path: _Path) -> str:
    return root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)


def _problem(where: str, message: str, wanted: type, path: _Path) -> Problem:
    if message == "is missing":
        return Problem(where, message, "add it")
    kinds = _kinds(wanted, path)
    if any(isinstance(k, msgspec.inspect.StrType) and k.pattern for k in kinds):
        return Problem(where, message, "write a Go duration such as 30s or 1m")
    allowed = _allowed(kinds)
    if allowed:
        return Problem(where, message, f"use one of {', '.join(allowed)}")
    expected = _EXPECTED.match(message)
    return Problem(where, message, f"write {expected['what']}" if expected else "correct it")


def _in_words(what: str) -> str:
    """`Expected `int`, got `str`` for people."""
    if "matching regex" in what:
        return "is not a duration"
    if what.startswith("Invalid enum value"):
        return f"unknown value {what.removeprefix('Invalid enum value ')}"

    def word(found: re.Match[str]) -> str:
        kinds = [kind for kind in found[1].split(" | ") if kind != "null"] or ["null"]
        return " or ".join(_WORDS.get(kind, kind) for kind in kinds)

    return re.sub(r"`([^`]+)`", word, what[:1].lower() + what[1:])


def _kinds(wanted: type, path: _Path) -> tuple[Any, ...]:
    """The types that the field at `path` may have; () where it is in a user's own map."""
    info: Any = msgspec.inspect.type_info(wanted)
    for step in path:
        info = _parts(info)
        if isinstance(info, msgspec.inspect.VarTupleType):
            info = info.item_type
        elif isinstance(info, msgspec.inspect.StructType):
            fields = {f.encode_name: f.type for f in info.fields}
            info = fields.get(str(step))
        else:
            return ()
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return tuple(k.type if isinstance(k, msgspec.inspect.Metadata) else k for k in kinds)


def _allowed(kinds: Iterable[Any]) -> tuple[str, ...]:
    """The texts that a field of these types may have, where it is an enumeration."""
    literals = (kind for kind in kinds if isinstance(kind, msgspec.inspect.LiteralType))
    return tuple(str(value) for kind in literals for value in kind.values if value != "")


def _parts(info: Any) -> Any:
    """The one type of `X | None`."""
    if isinstance(info, msgspec.inspect.UnionType):
        kinds = [t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)]
        return kinds[0] if len(kinds) == 1 else info
    return info


def _without_null(value: Any) -> Any:
    """Null fields are absent fields, as for the API server."""
    if isinstance(value, dict):
        return {k: _without_null(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_null(v) for v in value]
    return value
