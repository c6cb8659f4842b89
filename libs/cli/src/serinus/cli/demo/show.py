"""The demo on a screen: a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from serinus.cli.demo.manifests import STEPS
from serinus.cli.demo.traffic import Slice
from serinus.cli.demo.verdict import Check, Release, count, steps
from serinus.cli.demo.watching import Told, Watching

RECENT = 9
SEEN_S = 1.5
_END = {"Promoting": 0.85, "Finalising": 0.95, "Succeeded": 1.0, "Failed": 1.0}


class Screen:
    """Shows what is being watched. `plain` prints lines as they come."""

    def __init__(self, watching: Watching, slices: Sequence[Slice], *, plain: bool) -> None:
        self.console = Console(highlight=False)
        self.plain = plain or not self.console.is_terminal
        self._watching, self._slices = watching, slices
        self._printed_told = self._printed_moments = 0
        self._title, self._version = "", ""
        self._begun = time.time()
        self._live: Live | None = None

    def say(self, text: str, style: str = "") -> None:
        """One line of the story."""
        self.console.print(Text(text, style=style))

    def command(self, *words: str) -> None:
        """A command as somebody would type it."""
        self.say(f"$ {' '.join(words)}", "bold cyan")

    def begin(self, title: str, version: str) -> None:
        """A release begins: what is watched from now on belongs to it."""
        self._title, self._version = title, version
        if not self.plain:
            self._live = Live(self._picture(), console=self.console, refresh_per_second=8)
            self._live.start()

    def end(self) -> None:
        """The release is over; its last picture stays."""
        self.refresh()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def refresh(self) -> None:
        """Draws or prints what is new."""
        if self._live is not None:
            self._live.update(self._picture())
        if self.plain:
            self._print_new()

    def _print_new(self) -> None:
        watching = self._watching
        news: list[tuple[float, str, str]] = []
        news.extend(
            (told.at, told.text, "yellow" if told.warning else "")
            for told in watching.told[self._printed_told :]
        )
        for moment in watching.moments[self._printed_moments :]:
            seen = f", clients see {self._seen():.0f} %" if moment.weight else ""
            text = f"phase {moment.phase or '-'}, weight ordered {moment.weight} %{seen}"
            news.append((moment.at, text, "dim"))
        self._printed_told = len(watching.told)
        self._printed_moments = len(watching.moments)
        for at, text, style in sorted(news):
            self.say(f"  {at - self._begun:6.1f} s  {text}", style)

    def _seen(self) -> float:
        now = time.time() - 0.6
        every = count(self._slices, now - SEEN_S, now)
        mine = count(self._slices, now - SEEN_S, now, self._version)
        return 100 * mine / every if every else 0.0

    def _picture(self) -> Panel:
        now = self._watching.now
        numbers = Table.grid(padding=(0, 3))
        numbers.add_row(
            _cell("phase", now.phase or "-"),
            _cell("weight ordered", f"{now.weight} %"),
            _cell("clients see", f"{self._seen():.0f} %"),
            _cell("success rate", _number(self._watching.success_rate, "%")),
            _cell("p99", _number(self._watching.p99_ms, "ms")),
            _cell("failed checks", str(now.failed_checks)),
        )
        done = _END.get(now.phase, 0.8 * min(1.0, now.weight / STEPS[-1]))
        style = "red" if now.phase == "Failed" or now.failed_checks else "green"
        bar = ProgressBar(total=1.0, completed=done, complete_style=style, finished_style=style)
        recent = Text("\n").join(_line(t, self._begun) for t in self._watching.told[-RECENT:])
        return Panel(Group(numbers, bar, recent), title=self._title, title_align="left")


def _cell(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.1f} {unit}"


def _line(told: Told, begun: float) -> Text:
    style = "yellow" if told.warning else ""
    return Text(f"{told.at - begun:6.1f} s  {told.text}", style=style, overflow="ellipsis")


def summary(
    console: Console, releases: Iterable[Release], slices: Sequence[Slice], checks: Sequence[Check]
) -> None:
    """What it came to: numbers per release, shares per step, and every promise."""
    table = Table(title="What happened", title_justify="left", header_style="dim")
    columns = ("release", "requests", "failed", "detected", "decided", "share seen / ordered")
    for name in columns:
        table.add_column(name)
    for release in releases:
        until = release.ended_at + 3.0
        decided = release.first("Promoting", "Failed")
        shares = ", ".join(f"{s.seen:.1f} / {s.ordered} %" for s in steps(release, slices))
        table.add_row(
            f"{release.title} ({release.version})",
            str(count(slices, release.pushed_at, until)),
            str(count(slices, release.pushed_at, until, failed=True)),
            _seconds(release.first("Progressing")),
            f"{_seconds(release.ended_at - release.pushed_at)} {release.phase}"
            + (f" (promoting after {_seconds(decided)})" if release.phase == "Succeeded" else ""),
            shares,
        )
    console.print(table)
    for check in checks:
        mark = Text("ok    ", style="green") if check.ok else Text("FAILED", style="bold red")
        console.print(Text.assemble(mark, " ", check.text))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
