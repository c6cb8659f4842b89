"""`serinus gate`: opens, closes and lists the manual gates that the load tester keeps."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.json import encode

from serinus.kube.times import rfc3339
from serinus.runtime.http import HttpClient, HttpRequest, HttpResponse, Identity, Unanswered

URL, TOKEN = "SERINUS_LOADTESTER_URL", "SERINUS_LOADTESTER_TOKEN"
HERE = "http://127.0.0.1:9090"
FORWARD = "kubectl --namespace serinus port-forward service/serinus-loadtester 9090:80"
VERBS = ("open", "close", "list")


class Refused(Exception):
    """The load tester cannot be reached, or does not do it; the text says why."""


class Gate(Struct, frozen=True):
    """An open gate, as the load tester lists it."""

    namespace: str
    name: str
    gate: Literal["gate", "rollback"]
    by: str
    at: float

    def line(self) -> tuple[str, ...]:
        return (self.namespace, self.name, self.gate, rfc3339(self.at), self.by)


def run(options: argparse.Namespace) -> list[str]:
    """What there is to print. Raises Refused, and OSError for a file that cannot be read."""
    if options.action != "list" and not options.canary:
        raise Refused(f"which canary? serinus gate {options.action} CANARY -n NAMESPACE")
    headers, identity = _headers(options), _identity(options)
    return asyncio.run(_run(options, partial(HttpRequest, headers=headers, identity=identity)))


async def _run(options: argparse.Namespace, signed: Callable[..., HttpRequest]) -> list[str]:
    client = HttpClient()
    url, space, action = options.url.rstrip("/"), options.space, options.action
    try:
        if action == "list":
            answer = await _answer(client, signed(url=f"{url}/gates"))
            return _table(g for g in _gates(answer) if options.namespace in ("", g.namespace))
        namespace = options.namespace or "default"
        body = {"name": options.canary, "namespace": namespace, "metadata": {"by": options.by}}
        request = signed(url=f"{url}/{space}/{action}", method="POST", body=encode(body))
        await _answer(client, request)
        return [f"{space} of {namespace}/{options.canary}: {action}"]
    finally:
        await client.close()


async def _answer(client: HttpClient, request: HttpRequest) -> HttpResponse:
    try:
        answer = await client.send(request)
    except Unanswered as error:
        hint = f"; reach it with {FORWARD}, or name it with --url" if HERE in request.url else ""
        raise Refused(f"{error}{hint}") from None
    if not 200 <= answer.status < 300:
        hint = f"; show a token: {TOKEN} or --token-file" if answer.status == 401 else ""
        raise Refused(f"{request.url}: {answer.status} {answer.text[:200]}{hint}")
    return answer


def _gates(answer: HttpResponse) -> list[Gate]:
    try:
        return msgspec.json.decode(answer.body, type=list[Gate])
    except msgspec.MsgspecError:
        raise Refused("whoever answers there is no load tester of ours") from None


def _headers(options: argparse.Namespace) -> dict[str, str]:
    token = os.environ.get(TOKEN, "")
    if options.token_file:
        token = Path(options.token_file).read_text("utf-8")
    return {"Authorization": f"Bearer {token.strip()}"} if token else {}


def _identity(options: argparse.Namespace) -> Identity | None:
    ca, cert, key = (
        Path(path).read_bytes() if path else b"" for path in (options.ca, options.cert, options.key)
    )
    return Identity(ca=ca, cert=cert, key=key) if ca or cert else None


def _table(gates: Iterable[Gate]) -> list[str]:
    rows = [("NAMESPACE", "CANARY", "GATE", "OPENED", "BY"), *(gate.line() for gate in gates)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def add_to(verbs: Any) -> None:
    """The verb and its options."""
    parser = verbs.add_parser(
        "gate",
        help="open, close or list the manual gates of canaries",
        description="A hook at the load tester's /gate/check or /rollback/check waits for a gate "
        "of this kind. Who opened it is remembered. Reach the load tester with, for example, "
        f"{FORWARD}.",
    )
    parser.add_argument("action", choices=VERBS)
    parser.add_argument("canary", nargs="?", default="", metavar="CANARY")
    parser.add_argument(
        "-n", "--namespace", default="", help="of the canary; of list: only this one"
    )
    parser.add_argument(
        "--rollback",
        dest="space",
        action="store_const",
        const="rollback",
        default="gate",
        help="the gate of /rollback/check: open means that a running release is rolled back",
    )
    parser.add_argument("--by", default=_me(), help="who you are (%(default)s)")
    parser.add_argument(
        "--url", default=os.environ.get(URL, HERE), help=f"of the load tester ({URL}, or {HERE})"
    )
    parser.add_argument("--token-file", default="", help=f"with its token (or {TOKEN} has it)")
    for name, what in (("ca", "the authority to trust"), ("cert", "your own"), ("key", "its key")):
        parser.add_argument(f"--{name}", default="", metavar="FILE", help=f"PEM file: {what}")


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
