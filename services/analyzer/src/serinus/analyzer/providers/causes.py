"""Why a built-in check on Prometheus has no data: the most asked question of all.

Asked only when there is none, and never through the query API, whose requests people count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import msgspec

from serinus.analyzer.core.observers import Matcher
from serinus.analyzer.core.queries import DURATION, selection
from serinus.analyzer.core.rollout import NoData, Reading
from serinus.analyzer.providers.source import LOOK_BACK, Question
from serinus.runtime.http import HttpResponse

Get = Callable[[str], Awaitable[HttpResponse]]
"""GET of a path behind the server's address. Raises Unanswered."""


async def explained(get: Get, question: Question, found: NoData) -> Reading:
    """`found` with its cause, as far as the server can tell. Raises Unanswered."""
    if question.names is None:
        return found
    chosen = selection(question.observer, question.names)
    name, labels = chosen.requests, chosen.every
    if question.check == DURATION:
        name, labels = chosen.latency, chosen.timed
    selector = name + _labels(labels)
    cause = await _cause(get, question, name, selector)
    return msgspec.structs.replace(found, cause=cause) if cause else found


async def _cause(get: Get, question: Question, name: str, selector: str) -> str:
    known = await _series(get, selector, question)
    if known is None:
        return ""
    if not known:
        other = await _series(get, name, question)
        if other is None:
            return ""
        if not other:
            return f"nothing scraped yet: the server knows no series {name}"
        return f"no series of {name} with these labels: {selector.removeprefix(name)}"
    window = f"[{question.window_s:.0f}s]"
    counted = await _range(get, f"max(count_over_time({selector}{window}))", question.at)
    if counted is None:
        return ""
    if counted < 2:
        return (
            f"fewer than two samples in the last {question.window_s:.0f}s: the metric's interval "
            "must be at least twice the scrape interval"
        )
    return f"no requests to the canary in the last {question.window_s:.0f}s"


def _labels(matchers: tuple[Matcher, ...]) -> str:
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"


async def _series(get: Get, selector: str, question: Question) -> bool | None:
    """Whether there was such a series lately; None: the server does not say."""
    begin = question.at - max(LOOK_BACK * question.window_s, 3600.0)
    times = f"start={begin:.0f}&end={question.at:.0f}&limit=1"
    found = await _data(get, f"/api/v1/series?match[]={quote(selector, safe='')}&{times}")
    return bool(found) if isinstance(found, list) else None


async def _range(get: Get, query: str, at: float) -> float | None:
    """The value of a query at one moment; None: there is none, or the server does not say."""
    times = f"start={at:.3f}&end={at:.3f}&step=1"
    found = await _data(get, f"/api/v1/query_range?query={quote(query, safe='')}&{times}")
    try:
        result = found["result"]
        return float(result[0]["values"][0][1]) if result else 0.0
    except (KeyError, IndexError, TypeError, ValueError):
        return None


async def _data(get: Get, path: str) -> Any:
    answer = await get(path)
    if answer.status != 200:
        return None
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None
    return document.get("data") if isinstance(document, dict) else None
