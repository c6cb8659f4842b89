"""Tables of a Prometheus: several queries over time, side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from serinus.analyzer.core.rollout import NoData, Reading, Table
from serinus.analyzer.providers.source import Misread, Question, document
from serinus.runtime.http import HttpResponse

ROWS_MAX = 500
COLUMNS_MAX = 200
ANY = "*"

Get = Callable[[str], Awaitable[HttpResponse]]
"""GET of a path behind the server's address. Raises Unanswered."""


async def table(get: Get, question: Question) -> Reading:
    """One row per whole window that ends at or before now. Raises Refused, Misread, Unanswered."""
    step = question.window_s
    rows = min(ROWS_MAX, int((question.at - question.since) / step))
    if rows < 1:
        return NoData(key="", cause="the first window is not over yet")
    ends = [question.at - step * (rows - 1 - row) for row in range(rows)]
    found: dict[str, tuple[float | None, ...]] = {}
    for name, query in question.columns.items():
        times = f"start={ends[0]:.3f}&end={ends[-1]:.3f}&step={step:g}"
        answer = await get(f"/api/v1/query_range?query={quote(query, safe='')}&{times}")
        for series in _matrix(document(answer)):
            column = name.replace(ANY, series.get("metric", {}).get("le", ""))
            found[column] = _column(series["values"], ends, step)
        if len(found) > COLUMNS_MAX:
            raise Misread(f"more than {COLUMNS_MAX} series: histograms this fine are not compared")
        if ANY not in name:
            found.setdefault(name, (None,) * rows)
    return Table(key="", columns=found)


def _matrix(answer: Any) -> list[Any]:
    data = answer["data"]
    if data["resultType"] != "matrix":
        raise Misread(f"the answer is a {data['resultType']}, not a matrix")
    return list(data["result"])


def _column(values: list[list[Any]], ends: list[float], step: float) -> tuple[float | None, ...]:
    """The values by row; a moment without one has none."""
    known = {round((float(at) - ends[0]) / step): float(value) for at, value in values}
    return tuple(known.get(row) for row in range(len(ends)))
