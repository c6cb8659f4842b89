"""Numbers, durations and quotes as Go prints them: people compare our sentences with Flagger's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_MS = 1_000_000
_S = 1_000 * _MS


def go_float(value: float) -> str:
    """`%v` of a float64: the shortest text that reads back, in the `%g` form."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    sign, digits, exponent = _shortest(value)
    if exponent < -4 or exponent >= 6:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return sign + digits.ljust(exponent + 1, "0")
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, significant digits and decimal exponent of the shortest exact text."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole) - 1 if whole.strip("0") else -1 - (len(fraction) - len(digits))
    power = leading + int(exponent or 0)
    return "-" if value < 0 else "", digits.rstrip("0") or "0", power


def fixed(value: float, places: int = 2) -> str:
    """`%.2f`."""
    return f"{value:.{places}f}" if math.isfinite(value) else go_float(value)


def go_duration(nanoseconds: int) -> str:
    """`%v` of a time.Duration, such as 1.515s, 500ms or 1m30s."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < _S:
        unit, size = next(u for u in (("ms", _MS), ("µs", 1_000), ("ns", 1)) if rest >= u[1])
        return f"{sign}{_decimal(rest, size)}{unit}"
    hours, rest = divmod(rest, 3600 * _S)
    minutes, rest = divmod(rest, 60 * _S)
    lead = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{lead}{_decimal(rest, _S)}s"


def _decimal(amount: int, size: int) -> str:
    whole, part = divmod(amount, size)
    fraction = str(part).rjust(len(str(size)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def milliseconds(value_ms: float) -> str:
    """A number of milliseconds as a Go duration; the part below a millisecond is cut off."""
    if not math.isfinite(value_ms):
        return go_float(value_ms)
    return go_duration(int(value_ms) * _MS)


def quoted(text: str) -> str:
    """`%q` of a string."""
    return json.dumps(text, ensure_ascii=False)


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def unquote(literal: str) -> str:
    """The text of a Go string literal, in double quotes or back quotes."""
    if literal.startswith("`"):
        return literal[1:-1]

    def replaced(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "xuU" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code.isdigit() else _ESCAPED.get(code, code)

    return _ESCAPE.sub(replaced, literal[1:-1])


def printed(value: Any) -> str:
    """`%v` of a template's value: text, number, boolean, map, list or nothing."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return go_float(value)
        case Mapping():
            return "map[" + " ".join(f"{k}:{printed(value[k])}" for k in sorted(value)) + "]"
        case Sequence():
            return "[" + " ".join(map(printed, value)) + "]"
        case _:
            return "<nil>"


_VERB = re.compile(r"%([-+# 0]*\d{0,3}(?:\.\d{1,2})?)([a-zA-Z%])")
_INTEGER = frozenset("dxXo")
_REAL = frozenset("feEgG")


def printf(form: str, *values: Any) -> str:
    """Go's Sprintf for the verbs %v %s %q %d %x %X %o %f %e %g %t and %%."""
    rest = list(values)

    def verb(found: re.Match[str]) -> str:
        flags, letter = found[1], found[2]
        if letter == "%":
            return "%"
        if not rest:
            return f"%!{letter}(MISSING)"
        return _one(flags, letter, rest.pop(0))

    text = _VERB.sub(verb, form)
    extra = ", ".join(f"{_type_name(v)}={printed(v)}" for v in rest)
    return f"{text}%!(EXTRA {extra})" if rest else text


def _one(flags: str, letter: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if letter == "v" or (letter == "s" and isinstance(value, str)):
        return str(("%" + flags.replace("#", "").replace("+", "") + "s") % printed(value))
    if letter == "q" and isinstance(value, str):
        return quoted(value)
    if letter == "t" and isinstance(value, bool):
        return printed(value)
    if number and (
        (letter in _INTEGER and isinstance(value, int))
        or (letter in _REAL and isinstance(value, float))
    ):
        return str(f"%{flags}{letter}" % value)
    return f"%!{letter}({_type_name(value)}={printed(value)})"


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "int", float: "float64", type(None): "<nil>"}
    other = "map[string]string" if isinstance(value, Mapping) else "[]string"
    return names.get(type(value), other)
