"""`serinus`: what the command line understands."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version

from serinus.cli.demo.play import play


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(play(keep=options.keep, plain=options.plain, rate=options.rate))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


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
    return parser


def _rate(text: str) -> int:
    if not text.isdigit() or not 20 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 20 to 1000")
    return int(text)
