"""`serinus replay`: a recorded or exported series through a canary's spec, decision by decision.

The series is CSV as dashboards export it: the first column is the time (seconds, milliseconds or
RFC 3339), every other column is named after a metric of the spec. An empty cell is no data, `away`
is a metrics server that does not answer. Metrics with a judge need columns of both sides instead:
`canary:all`, `canary:good`, `primary:all`, `primary:good` for the success rate; `canary:bad`,
`canary:all` and the primary's for a query with samplesQuery; `canary:value` and `primary:value` for
other queries. Where several metrics have a judge, `<metric>/canary:value` is the one's own column.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import fmean

from msgspec import Struct

from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Table, Unreachable, Value
from serinus.cli import manifest as manifests
from serinus.cli.manifest import Manifest, Unusable
from serinus.cli.rehearsal import Measure, Moment, Rehearsal
from serinus.events.canary import analysis_of

AWAY = "away"
MILLISECONDS_FROM = 1e11
ROWS_MAX = 1_000_000
LONGER_S = 3600.0


class Series(Struct, frozen=True):
    """Rows by time, seconds from the first one; cells as they were written."""

    times: list[float]
    columns: dict[str, list[str]]


def read(lines: Iterable[str]) -> Series:
    """Raises Unusable."""
    rows = csv.reader(lines)
    header = [name.strip() for name in next(rows, [])]
    if len(header) < 2:
        raise Unusable("the series needs a header: time, then the names of metrics")
    times: list[float] = []
    columns: dict[str, list[str]] = {name: [] for name in header[1:]}
    try:
        for number, row in enumerate(rows, 2):
            if not any(cell.strip() for cell in row):
                continue
            if number > ROWS_MAX:
                raise Unusable(f"more than {ROWS_MAX} rows")
            times.append(_time(row[0], number))
            for index, name in enumerate(header[1:], 1):
                columns[name].append(row[index].strip() if index < len(row) else "")
    except csv.Error as error:
        raise Unusable(f"not CSV: {error}") from None
    if not times:
        raise Unusable("the series has no rows")
    if times != sorted(times):
        raise Unusable("the rows are not in the order of time")
    return Series([at - times[0] for at in times], columns)


def _time(text: str, number: int) -> float:
    try:
        at = float(text)
        return at / 1000 if at > MILLISECONDS_FROM else at
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise Unusable(f"line {number}: {text!r} is no time") from None


def measure(series: Series) -> Measure:
    """Answers from the newest row at that time."""

    def answer(ask: MetricAsk, at_s: float, weight: int) -> Answer:
        if ask.columns:
            return _table(series, ask, at_s)
        row = bisect_right(series.times, at_s) - 1
        if ask.metric not in series.columns:
            return NoData(key=ask.key, cause=f"the series has no column {ask.metric}")
        return _cell(ask.key, series.columns[ask.metric][row] if row >= 0 else "")

    return answer


def _cell(key: str, text: str) -> Answer:
    if text == AWAY:
        return Unreachable(key=key, why="the recording says so", away=True)
    try:
        value = float(text)
    except ValueError:
        return NoData(key=key, cause="" if not text else f"{text!r} is no number")
    return Value(key=key, value=value) if value == value else NoData(key=key)


def _table(series: Series, ask: MetricAsk, at_s: float) -> Answer:
    """Per window from the beginning: counts summed up, of values the mean."""
    windows = int(at_s / ask.window_s)
    found: dict[str, tuple[float | None, ...]] = {}
    for name in ask.columns:
        own = f"{ask.metric}/{name}"
        cells = series.columns.get(own, series.columns.get(name))
        if cells is None:
            return NoData(key=ask.key, cause=f"the series has no column {name}")
        rows: list[list[float]] = [[] for _ in range(windows)]
        for at, text in zip(series.times, cells, strict=True):
            index = int(at / ask.window_s)
            if index < windows and text:
                try:
                    rows[index].append(float(text))
                except ValueError:
                    return NoData(key=ask.key, cause=f"{text!r} is no number")
        if name.endswith(":value"):
            found[name] = tuple(fmean(row) if row else None for row in rows)
        else:
            found[name] = tuple(sum(row) for row in rows)
    return Table(key=ask.key, columns=found)


def replay(manifest: Manifest, series: Series) -> Iterator[Moment]:
    """Every decision; the release is watched for an hour longer than the series lasts."""
    metrics = analysis_of(manifest.spec).metrics
    unknown = {metric.name for metric in metrics if metric.judge is None} - series.columns.keys()
    if unknown:
        raise Unusable(f"the series has no column for {', '.join(sorted(unknown))}")
    rehearsal = Rehearsal(manifest, measure(series))
    yield from rehearsal.run(series.times[-1] + LONGER_S)


def run(canary: str, path: str) -> Iterator[str]:
    """The lines to print. Raises Unusable."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as lines:
            series = read(lines)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, Unusable) as error:
        raise Unusable(f"{path}: {error}") from None
    last = None
    for moment in replay(manifests.read(canary), series):
        last = moment
        for text in moment.texts:
            yield f"{moment.at_s:8.1f}s {moment.phase:<12} {moment.weight:>3}%  {text}"
    yield f"ended {last.phase}" if last else "nothing was decided"
