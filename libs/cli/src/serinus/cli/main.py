"""`serinus`: what the command line understands."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from serinus.cli import gates, replay, simulate
from serinus.cli.demo.play import play
from serinus.cli.manifest import Unusable


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit status."""
    options = _parser().parse_args(arguments)
    if options.verb in ("replay", "simulate"):
        return _rehearse(options)
    if options.verb == "gate":
        return _turn(options)
    try:
        return asyncio.run(play(keep=options.keep, plain=options.plain, rate=options.rate))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _turn(options: argparse.Namespace) -> int:
    """Gates; exit status 1 when it cannot be done."""
    try:
        print("\n".join(gates.run(options)))
    except gates.Refused as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    else:
        return 0
    return 1


def _rehearse(options: argparse.Namespace) -> int:
    """Prints what a release would do; exit status 2 when what was given cannot be used."""
    if options.verb == "replay":
        lines = replay.run(options.canary, options.series)
    else:
        traffic = simulate.Traffic(
            requests=options.rate, errors=options.errors / 100, ratio=options.regression
        )
        lines = simulate.run(options.canary, traffic, options.runs)
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read it has seen enough; nothing is to be said at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serinus", description="Progressive delivery on Kubernetes, step by step."
    )
    parser.add_argument("--version", action="version", version=f"serinus {version('serinus-cli')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    demo = verbs.add_parser(
        "demo",
        help="release a good version, then a bad one, on this machine",
        description="Starts a pocket cluster of real servers and processes, releases a good "
        "version of a small service, then one that answers 500 to a tenth of the requests, and "
        "shows what happens. Ends by itself in under two minutes; exit status 0 means all went as "
        "it should.",
    )
    demo.add_argument(
        "--keep", action="store_true", help="leave it running afterwards, with a KUBECONFIG"
    )
    demo.add_argument(
        "--plain", action="store_true", help="print lines instead of drawing on the terminal"
    )
    demo.add_argument(
        "--rate",
        type=_rate,
        default=200,
        metavar="N",
        help="requests per second during the releases, 20 to 1000 (default 200)",
    )
    _rehearsals(verbs)
    gates.add_to(verbs)
    return parser


def _rehearsals(verbs: Any) -> None:
    played = verbs.add_parser(
        "replay",
        help="feed a recorded series through a canary's spec",
        description="Prints every decision that the analyzer would have made. SERIES is CSV: time, "
        "then one column per metric of the spec; an empty cell is no data, 'away' a metrics server "
        "that does not answer. Metrics with a judge take both sides instead: the columns "
        "canary:all, canary:good, primary:all and primary:good, or those that the manual names.",
    )
    played.add_argument("canary", metavar="CANARY", help="YAML file with one Canary")
    played.add_argument("series", metavar="SERIES", help="CSV file")
    tried = verbs.add_parser(
        "simulate",
        help="how long a release takes, and what it would catch",
        description="Releases a canary many times in a world of chance and counts how often good "
        "and bad versions are rolled back, and after how long.",
    )
    tried.add_argument("canary", metavar="CANARY", help="YAML file with one Canary")
    tried.add_argument(
        "--rate", type=_positive, default=100.0, metavar="N", help="requests per second (100)"
    )
    tried.add_argument(
        "--errors", type=_positive, default=1.0, metavar="PERCENT", help="of the primary (1)"
    )
    tried.add_argument(
        "--regression", type=_positive, default=5.0, metavar="TIMES", help="bad releases (5)"
    )
    tried.add_argument(
        "--runs", type=_runs, default=100, metavar="N", help="releases of each kind, to 1000 (100)"
    )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _runs(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _rate(text: str) -> int:
    if not text.isdigit() or not 20 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 20 to 1000")
    return int(text)
