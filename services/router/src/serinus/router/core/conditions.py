"""A/B conditions on headers and query parameters, for meshes that can test little else.

What a mesh cannot test is refused, never left out: a condition that is left out matches everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from serinus.events.canary import HttpMatch, StringMatch
from serinus.router.core.objects import Refusal

Form = Literal["exact", "prefix", "suffix", "regex"]
EXACT_OR_REGEX: tuple[Form, ...] = ("exact", "regex")
ANY_FORM: tuple[Form, ...] = ("exact", "prefix", "suffix", "regex")


class Condition(Struct, frozen=True):
    """One value of a request: of a header, or of a query parameter."""

    name: str
    form: Form
    value: str
    is_query: bool = False


def conditions(
    match: Sequence[HttpMatch],
    mesh: str,
    *,
    headers: Collection[Form],
    query: Collection[Form] = (),
) -> list[list[Condition]]:
    """Alternatives; in each all conditions must hold, sorted by name. Raises Refusal.

    headers, query  the forms that the mesh can test
    """
    return [_alternative(one, mesh, headers, query) for one in match]


def _alternative(
    match: HttpMatch, mesh: str, headers: Collection[Form], query: Collection[Form]
) -> list[Condition]:
    known = {"name", "headers", "query_params"} if query else {"name", "headers"}
    empty = HttpMatch()
    for field in match.__struct_fields__:
        if field not in known and getattr(match, field) != getattr(empty, field):
            raise _refused(mesh, known, match)
    found = [
        *_conditions(match.headers, mesh, headers, is_query=False),
        *_conditions(match.query_params, mesh, query, is_query=True),
    ]
    if not found:
        raise _refused(mesh, known, match)
    return found


def _conditions(
    given: Mapping[str, StringMatch], mesh: str, can: Collection[Form], *, is_query: bool
) -> list[Condition]:
    found = []
    for name in sorted(given):
        form = next((form for form in can if isinstance(getattr(given[name], form), str)), None)
        if form is None:
            what = "query parameter" if is_query else "header"
            text = f"{mesh} cannot test {what} {name} by {_shown(given[name])}"
            raise Refusal("Unsupported", f"{text}; use {' or '.join(can)}")
        found.append(Condition(name, form, getattr(given[name], form), is_query))
    return found


def _refused(mesh: str, known: Collection[str], match: HttpMatch) -> Refusal:
    by = "headers and queryParams" if "query_params" in known else "headers"
    return Refusal("Unsupported", f"{mesh} can match by {by} only: {_shown(match)}")


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
