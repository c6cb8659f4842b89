"""`python -m serinus.analyzer.replay FILE`: recorded news in, decisions out; no network.

FILE holds one JSON object a line, in order: messages as they were on the bus (canary and routes
snapshots), ticks `{"type": "tick", "at": 1700000000.0}` and answers to asks
`{"type": "value" | "no-data" | "unreachable" | "hook" | "table", "key": "...", ...}`. A `*` as key
answers whatever is asked. Facts and intents in the recording are skipped: they are what comes out.
Time is that of the lines. What is decided is remembered, as if the cluster had taken it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from serinus.analyzer.core.decide import decide
from serinus.analyzer.core.desired import desired
from serinus.analyzer.core.rollout import Answer, Decision, Look, Policy, Rollout
from serinus.analyzer.settings import Settings, policy_of
from serinus.events import CanaryGone, CanaryObserved, RoutesObserved, Undecodable, decode
from serinus.runtime.settings import SettingsError, load

ANY = "*"
TURNS_MAX = 32
ENTROPY = "replayreplayreplayreplayreplayreplay"


class Tick(msgspec.Struct, frozen=True, tag_field="type", tag="tick"):
    """Time passed, nothing else happened."""

    at: float


class _Tagged(msgspec.Struct, frozen=True):
    type: str = ""
    at: float = 0.0


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, as it is printed."""

    at: float
    canary: str
    reason: str
    phase: str = ""
    weight: int = 0
    iterations: int = 0
    failed_checks: int = 0
    routes: str = ""
    asks: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    due_at: float | None = None


class Unreadable(ValueError):
    """A line that is neither a message, nor a tick, nor an answer."""


_ANSWERS = {"value", "no-data", "unreachable", "hook", "table"}
_answer = msgspec.json.Decoder(Answer)
_tick = msgspec.json.Decoder(Tick)
_tagged = msgspec.json.Decoder(_Tagged)


def read(lines: Iterable[bytes]) -> Iterator[tuple[float, Any]]:
    """(time, news) of every line that is news. Raises Unreadable with the line's number."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            tagged = _tagged.decode(line)
            if tagged.type == "tick":
                yield tagged.at, _tick.decode(line)
            elif tagged.type in _ANSWERS:
                yield tagged.at, _answer.decode(line)
            elif tagged.type.startswith("snapshot."):
                yield tagged.at, decode(line)
        except (msgspec.MsgspecError, Undecodable) as error:
            raise Unreadable(f"line {number}: {error}") from None


class _Canary:
    """What is known of one canary while it is replayed."""

    def __init__(self, seen: CanaryObserved) -> None:
        self.seen = seen
        self.status = seen.status
        self.routes: RoutesObserved | None = None
        self.answers: dict[str, Answer] = {}

    def observe(self, seen: CanaryObserved) -> None:
        # The recorded status counts only as a beginning: what is decided here goes on from there.
        self.seen = replace(seen, status=self.status)

    def rollout(self, policy: Policy) -> Rollout:
        seen = replace(self.seen, status=self.status)
        return Rollout(
            spec=seen.spec, status=self.status, seen=seen, routes=self.routes, policy=policy
        )


def replay(news: Iterable[tuple[float, Any]], policy: Policy) -> Iterator[Line]:
    """Every decision that changed something, asks or tells; one may lead to the next."""
    known: dict[str, _Canary] = {}
    default: Answer | None = None
    now = 0.0
    for at, item in news:
        now = max(now, at)
        touched = list(known)
        match item:
            case CanaryObserved(canary=ref):
                if ref.key in known:
                    known[ref.key].observe(item)
                else:
                    known[ref.key] = _Canary(item)
                touched = [ref.key]
            case RoutesObserved(canary=ref):
                touched = [ref.key] if ref.key in known else []
                for key in touched:
                    known[key].routes = item
            case CanaryGone(canary=ref):
                known.pop(ref.key, None)
                touched = []
            case Tick():
                pass
            case answer if answer.key == ANY:
                default = answer
            case answer:
                for canary in known.values():
                    canary.answers[answer.key] = answer
        for key in touched:
            yield from _turn(known[key], policy, now, default)


def _turn(canary: _Canary, policy: Policy, at: float, default: Answer | None) -> Iterator[Line]:
    for _ in range(TURNS_MAX):
        rollout = canary.rollout(policy)
        decision = decide(rollout, Look(at=at, answers=canary.answers, entropy=ENTROPY))
        changed = decision.status != canary.status
        if changed or decision.asks or decision.facts:
            canary.status = decision.status
            yield _line(canary.rollout(policy), decision, at)
        if changed:
            canary.answers.clear()
            continue
        unanswered = [ask for ask in decision.asks if ask.key not in canary.answers]
        if default is None or not unanswered:
            return
        canary.answers[unanswered[0].key] = replace(default, key=unanswered[0].key)


def _line(rollout: Rollout, decision: Decision, at: float) -> Line:
    status = decision.status
    routes = desired(rollout).routes
    return Line(
        at=at,
        canary=rollout.seen.canary.key,
        reason=decision.reason,
        phase=status.phase,
        weight=status.canary_weight,
        iterations=status.iterations,
        failed_checks=status.failed_checks,
        routes=f"{routes.primary}/{routes.canary}" + ("/mirrored" if routes.mirror else ""),
        asks=tuple(ask.key for ask in decision.asks),
        facts=tuple(fact.text or type(fact).__name__ for fact in decision.facts),
        due_at=decision.due_at,
    )


def main(argv: Sequence[str], environ: dict[str, str]) -> int:
    """Prints one JSON object per decision. Settings are the analyzer's own, from `environ`."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m serinus.analyzer.replay FILE\n")
        return 2
    try:
        policy = policy_of(load(Settings, environ))
        with Path(argv[0]).open("rb") as lines:
            for line in replay(read(lines), policy):
                sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    except (OSError, SettingsError, Unreadable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    import os

    sys.exit(main(sys.argv[1:], dict(os.environ)))
