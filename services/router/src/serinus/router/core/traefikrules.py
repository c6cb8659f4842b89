"""A/B conditions as Traefik's rules for requests. What they cannot say is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serinus.events.canary import HttpMatch
from serinus.kube.refs import Obj
from serinus.router.core.conditions import ANY_FORM, Condition, conditions
from serinus.router.core.objects import Refusal


def narrowed(route: Obj, match: Sequence[HttpMatch]) -> str:
    """The rule of an IngressRoute's route for requests that meet the conditions, too."""
    is_v2 = route.get("syntax") == "v2"
    alternatives = conditions(match, "traefik", headers=ANY_FORM, query=ANY_FORM)
    texts = [" && ".join(_test(one, is_v2=is_v2) for one in all_of) for all_of in alternatives]
    return f"({route['match']}) && ({' || '.join(f'({text})' for text in texts)})"


def priority_of(route: Obj) -> int:
    """What Traefik takes as a route's priority: its own, else the length of its rule."""
    return route.get("priority") or len(route["match"])


def _test(condition: Condition, *, is_v2: bool) -> str:
    if "`" in condition.name + condition.value:
        raise Refusal("Unsupported", f"traefik has no way to write a backtick: {condition.name}")
    word = ("Headers" if is_v2 else "Header") if not condition.is_query else "Query"
    if condition.form == "exact":
        if condition.is_query and is_v2:
            return f"Query(`{condition.name}={condition.value}`)"
        return f"{word}(`{condition.name}`, `{condition.value}`)"
    if condition.is_query and is_v2:
        raise Refusal("Unsupported", "traefik's syntax v2 tests query parameters exactly only")
    escaped = re.escape(condition.value)
    pattern = {"prefix": f"^{escaped}", "suffix": f"{escaped}$"}.get(
        condition.form, condition.value
    )
    return f"{word}Regexp(`{condition.name}`, `{pattern}`)"
