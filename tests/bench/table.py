"""Rows of the table of figures: what was measured, beside Flagger's figure and the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """One line. `met` is None where there is no target."""

    what: str
    flagger: str = ""
    here: str
    target: str = ""
    met: bool | None = None


def at_most(what: str, here: float, bound: float, unit: str, **more: str) -> Row:
    """A row whose figure has an upper bound; a larger figure misses it."""
    return Row(
        what=what,
        here=more.pop("shown", f"{figure(here)}{unit}"),
        target=f"≤ {figure(bound)}{unit}" if bound else "0",
        met=here <= bound,
        **more,
    )


def figure(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of them (0 to 1) do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def p50_p95(values: Sequence[float], unit: str = " s") -> str:
    return f"{figure(percentile(values, 0.5))} / {figure(percentile(values, 0.95))}{unit}"


def markdown(rows: Sequence[Row]) -> str:
    """The table, with columns wide enough to be read as plain text."""
    head = ("", "Flagger 1.44", "here", "target", "met")
    lines = [
        head,
        *(
            (row.what, row.flagger or "–", row.here, row.target or "–", _word(row.met))
            for row in rows
        ),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *shown[1:]])


def _word(met: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "–"}[met]
