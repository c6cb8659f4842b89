"""What is measured with a cluster: one function per scenario, each gives its rows of the table."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from tests.bench.journal import Seen
from tests.bench.stage import Stage, kinds, reads
from tests.bench.table import Row, at_most, figure, p50_p95, percentile
from tests.servers.control_plane import Request

from serinus.events.subjects import SERVICES

INTERVAL_S, SLOW_S = 10, 60
NOT_FOUND = 404
STEPS = 3
# A step is early when it comes before this share of the interval. Routes may follow an order a
# little late, which makes the next gap that much shorter; so it was measured for Flagger too.
EARLY = 0.8
LATE_S = 3.0
# A crowd begins so many at a time, so often, and is then watched for so long. The pause divides no
# interval: whoever began together with others would go on in step with them.
BEGIN_AT_ONCE, BEGIN_EVERY_S = 10, 2.1
CROWD_S = 100
LATE_MAX_S = 1.0
# Memory is compared over so many rounds, and may grow by as much as an allocator keeps back.
SEVERAL, GROWTH_MIB = 10, 2.0
# Numbers that get another digit, such as versions, are no growth.
SLACK = 1.01


def note(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def _ended(seen: Seen) -> bool:
    return seen.phase in ("Succeeded", "Failed")


def _absent(asked: Request) -> bool:
    """A look for a kind that this cluster does not serve: Knative's."""
    return asked.verb == "list" and asked.response_status.code == NOT_FOUND


def _progressing(seen: Seen) -> bool:
    return seen.phase == "Progressing"


async def start(stage: Stage, canaries: int) -> list[Row]:
    """Each service, killed and started again by itself, beside these canaries."""
    took = {}
    for name in SERVICES:
        stage.ring.kill(name)
        began = time.monotonic()
        await stage.ring.start(name)
        took[name] = time.monotonic() - began
    worst = max(took.values())
    shown = ", ".join(f"{name} {took[name]:.2f}" for name in SERVICES) + " s"
    what = f"start of a service to ready, {canaries} canaries, slowest"
    return [at_most(what, worst, 2.0, " s", shown=shown)]


async def idle(stage: Stage, canaries: int, intervals: int) -> list[Row]:
    """What is asked of the API server while nothing happens."""
    every_s = INTERVAL_S if canaries <= 120 else SLOW_S
    await stage.have(canaries, every_s)
    mark = stage.mark()
    await asyncio.sleep(intervals * every_s)
    asked = stage.requests(mark)
    note(f"idle: {dict(kinds(asked))}")
    # A watch is asked for anew after some minutes, and a kind that the cluster does not serve is
    # looked for, however many canaries there are.
    watches = sum(one.verb == "watch" for one in asked)
    absent = sum(map(_absent, asked))
    per_interval = (len(asked) - watches - absent) / canaries / intervals
    what = f"API requests per idle canary and interval, {canaries} canaries"
    shown = (
        f"{figure(per_interval)} (and {watches} watches begun again, {absent} looks for Knative)"
    )
    return [
        at_most(what, per_interval, 0, "", flagger="10.0", shown=shown),
        memory(stage, canaries),
    ]


def memory(stage: Stage, canaries: int, when: str = "canaries") -> Row:
    """Resident memory of each service; `when` says what they had to do."""
    used = stage.memory_mib()
    bound = 100.0 if canaries <= 120 else 200.0
    return at_most(
        f"RSS of each service at {canaries:,} {when}",
        max(used.values()),
        bound,
        " MiB",
        flagger={100: "72 MiB", 1000: "116 MiB"}.get(canaries, ""),
        shown=", ".join(f"{name} {used[name]:.0f}" for name in SERVICES) + " MiB",
    )


async def detection(stage: Stage, canaries: int, singly: int, burst: int) -> list[Row]:
    """From a new version to Progressing: one at a time at random moments, then many at once."""
    everybody = await stage.have(canaries, SLOW_S)
    chosen = random.sample(everybody, singly + burst)
    alone = []
    for name in chosen[:singly]:
        await asyncio.sleep(random.uniform(0.2, 1.0))
        alone += await _detected(stage, [name])
    at_once = await _detected(stage, chosen[singly:])
    # Back to rest, without waiting for the minutes of their intervals.
    await _abort(stage, chosen)
    bound = 0.5 if canaries < 1000 else 1.0
    flagger = {120: ("27.9 / 60.4 s", "52.8 / 65.1 s"), 1000: ("105 / 156 s", "93.6 / 154 s")}
    measured = flagger.get(canaries, ("", ""))
    what = f"new revision to Progressing, {canaries:,} canaries"
    return [
        at_most(
            f"{what}, p50 / p95", percentile(alone, 0.95), bound, " s",
            flagger=measured[0], shown=p50_p95(alone),
        ),
        Row(what=f"{what}, {burst} at once", flagger=measured[1], here=p50_p95(at_once)),
    ]  # fmt: skip


async def _detected(stage: Stage, chosen: Sequence[str]) -> list[float]:
    expected = stage.journal.expect(chosen, _progressing)
    sent = await stage.push(chosen)
    seen = await stage.journal.until(expected, 60)
    return [seen[name] - sent[name] for name in chosen]


async def _abort(stage: Stage, chosen: Sequence[str]) -> None:
    """Ends these rollouts by skipping their analysis."""
    expected = stage.journal.expect(chosen, _ended)
    await stage.skip_analysis(chosen, True)
    await stage.journal.until(expected, 180)
    await stage.skip_analysis(chosen, False)
    await stage.quiet()


async def rollouts(stage: Stage, count: int) -> list[Row]:
    """Many healthy rollouts at once."""
    chosen = await stage.have(count, INTERVAL_S)
    began = time.monotonic()
    cpu, calls, mark = stage.cpu_s(), len(stage.stub.calls), stage.mark()
    taken = await _until_ended(stage, chosen)
    await stage.quiet()
    asked = stage.requests(mark)
    spent = {name: now - cpu[name] for name, now in stage.cpu_s().items()}
    queries = len(stage.stub.calls) - calls
    written = [one for one in asked if one.object_ref.resource == "events"]
    each = {
        what: often / count
        for what, often in (
            ("all", len(asked)),
            ("reads", reads(asked)),
            ("events", len(written)),
            ("queries", queries),
        )
    }
    for kind, often in kinds(asked).most_common():
        note(f"  {often / count:6.2f} {kind}")
    note(f"  CPU seconds: { {name: round(s, 2) for name, s in spent.items()} }")
    ours = sum(spent[name] for name in SERVICES)
    minimum = STEPS * INTERVAL_S
    at_once = f"{count} rollouts at once, {STEPS} steps of {INTERVAL_S} s"
    first = {50: ("2.48 / 2.50 x", "138.7 (115.7 reads)", "0.112 s", "6.0")}.get(count, ("",) * 4)
    slowest, usual = (percentile(taken, share) / minimum for share in (0.95, 0.5))
    return [
        at_most(
            f"{at_once}: p50 / p95 against the minimum of {minimum} s", slowest, 1.2, " x",
            flagger=first[0], shown=f"{figure(usual)} / {figure(slowest)} x",
        ),
        at_most(
            "API requests per such rollout", each["all"], 30, "", flagger=first[1],
            shown=f"{each['all']:.1f} ({each['reads']:.1f} reads, {each['events']:.1f} events)",
        ),
        at_most(
            "a step of such a rollout after its due time, p99",
            percentile(_late(stage, chosen, began), 0.99), 1.0, " s",
        ),
        Row(
            what="CPU per such rollout, five services", flagger=first[2],
            here=f"{ours / count:.3f} s",
        ),
        Row(
            what="metric queries per such rollout", flagger=first[3],
            here=f"{each['queries']:.1f}",
        ),
    ]  # fmt: skip


async def _until_ended(stage: Stage, chosen: Sequence[str]) -> list[float]:
    expected = stage.journal.expect(chosen, _ended)
    sent = await stage.push(chosen)
    seen = await stage.journal.until(expected, 120 + len(chosen) * 0.6)
    phases = Counter(stage.journal.canaries[name][-1].phase for name in chosen)
    note(f"ended: {dict(phases)}")
    if phases.keys() != {"Succeeded"}:
        raise RuntimeError(f"healthy rollouts ended so: {dict(phases)}")
    _note_progress(stage, sent)
    return [seen[name] - sent[name] for name in chosen]


def _late(
    stage: Stage, chosen: Sequence[str], since: float, every_s: int = INTERVAL_S
) -> list[float]:
    """By how many seconds each step came later than an interval after the one before."""
    late = []
    for name in chosen:
        steps = [one for one in stage.journal.canaries[name] if one.at > since and one.weight]
        climbing = [one for one in steps if _progressing(one)]
        late += [after.at - before.at - every_s for before, after in pairwise(climbing)]
    return late


def _note_progress(stage: Stage, sent: dict[str, float]) -> None:
    """How long it took to each phase and weight, from the push."""
    after: dict[str, list[float]] = {}
    for name, began in sent.items():
        for seen in stage.journal.canaries[name]:
            if seen.at > began:
                after.setdefault(f"{seen.phase} {seen.weight}", []).append(seen.at - began)
    for what, seconds in after.items():
        note(f"  {what:<16} {p50_p95(seconds)} ({len(seconds)})")


async def step(stage: Stage, count: int) -> list[Row]:
    """What one step in the middle of a rollout asks of the API server."""
    chosen = await stage.have(count, INTERVAL_S)
    ended = stage.journal.expect(chosen, _ended)
    first, second = (
        stage.journal.expect(chosen, lambda seen, w=weight: seen.weight == w, of_routes=True)
        for weight in (20, 40)
    )
    await stage.push(chosen)
    await stage.journal.until(first, 60)
    await asyncio.sleep(INTERVAL_S / 4)
    mark = stage.mark()
    await stage.journal.until(second, 60)
    await asyncio.sleep(INTERVAL_S / 4)
    asked = kinds([one for one in stage.requests(mark) if not _absent(one)])
    note(f"step: {dict(asked)}")
    await stage.journal.until(ended, 120)
    await stage.quiet()
    # An Event that says the same again is the old one, counted up.
    told = {"notifier create events", "notifier patch events"}
    allowed = {"analyzer patch canaries/status", "router patch traefikservices"}
    most = max(sum(asked[kind] for kind in told), *(asked[kind] for kind in allowed))
    shown = ", ".join(f"{often / count:g} {kind}" for kind, often in sorted(asked.items()))
    return [
        Row(
            what="API requests of one step, by service",
            here=shown,
            target="≤ 1 status PATCH, 1 route, 1 Event",
            met=most <= count and asked.keys() <= told | allowed,
        )
    ]


async def rollback(stage: Stage, count: int) -> list[Row]:
    """From bad metrics, and from crashing pods, to a route without the canary."""
    rows = []
    for crashing in (False, True):
        chosen = await stage.have(count, INTERVAL_S)
        ended = stage.journal.expect(chosen, _ended)
        at_forty = stage.journal.expect(chosen, lambda seen: seen.weight == 40, of_routes=True)
        await stage.push(chosen)
        await stage.journal.until(at_forty, 120)
        await asyncio.sleep(random.uniform(0, INTERVAL_S * 0.8))
        back = stage.journal.expect(chosen, lambda seen: seen.weight == 0, of_routes=True)
        began = stage.crash(chosen) if crashing else stage.turn_bad(chosen)
        seen = await stage.journal.until(back, 120)
        taken = [at - began for at in seen.values()]
        await stage.journal.until(ended, 60)
        stage.turn_good()
        await stage.quiet()
        if crashing:
            rows.append(
                at_most(
                    "canary pods crash to routes 100/0, p50", percentile(taken, 0.5), 2.0, " s",
                    flagger="67 s (deadline 60 s)",
                )
            )  # fmt: skip
        else:
            rows.append(
                at_most(
                    f"metrics turn bad to routes 100/0, threshold 2, {INTERVAL_S} s, p95",
                    percentile(taken, 0.95), 21.0, " s", flagger="29.5 s",
                )
            )  # fmt: skip
    return rows


async def killed(stage: Stage, count: int) -> list[Row]:
    """kill -9 of everything in the middle of many rollouts."""
    chosen = await stage.have(count, INTERVAL_S)
    ended = stage.journal.expect(chosen, _ended)
    at_forty = stage.journal.expect(chosen, lambda seen: seen.weight == 40, of_routes=True)
    sent = min((await stage.push(chosen)).values())
    await stage.journal.until(at_forty, 120)
    await asyncio.sleep(0.3 * INTERVAL_S)
    began = time.monotonic()
    await stage.kill_everything()
    note(f"all five ready {time.monotonic() - began:.2f} s after kill -9")
    await stage.journal.until(ended, 180)
    await stage.quiet()
    gaps, wrong = [], 0
    for name in chosen:
        climbing = [one for one in stage.journal.routes[name] if one.at > sent and one.weight]
        gaps += [after.at - before.at for before, after in pairwise(climbing[:STEPS])]
        weights = [one.weight for one in climbing]
        wrong += weights != [20, 40, 60] or not _succeeded(stage, name)
    what = f"kill -9 of everything in mid-run, {count} rollouts: gap between steps"
    return [
        Row(
            what=what,
            flagger="17.6 s (p50)",
            here=f"{min(gaps):.1f} to {max(gaps):.1f} s, {wrong} rollouts out of order",
            target=f"{EARLY * INTERVAL_S:g} to {INTERVAL_S + LATE_S:g} s, none out of order",
            met=min(gaps) >= EARLY * INTERVAL_S and max(gaps) <= INTERVAL_S + LATE_S and not wrong,
        )
    ]


def _succeeded(stage: Stage, name: str) -> bool:
    return stage.journal.canaries[name][-1].phase == "Succeeded"


async def crowd(stage: Stage, count: int, every_s: int) -> list[Row]:
    """Very many rollouts under way together: is every step on time, and what does it take?

    They begin a few at a time: what a release costs the cluster's own controllers, its pods, is
    not what is asked here. Then all of them go on in steps of 1 % while it is counted.
    """
    chosen = await stage.have(count, every_s)
    await stage.set_analysis(chosen, {"stepWeight": 1, "maxWeight": 99})
    first = stage.journal.expect(chosen, lambda seen: _progressing(seen) and seen.weight > 0)
    for some in batched(chosen, BEGIN_AT_ONCE):
        turn = asyncio.create_task(asyncio.sleep(BEGIN_EVERY_S))
        begun = stage.journal.expect(some, _progressing)
        await stage.push(some)
        await stage.journal.until(begun, 120)
        await turn
    await stage.journal.until(first, 120)
    note(f"{count} rollouts under way")
    began, cpu, mark = time.monotonic(), stage.cpu_s(), stage.mark()
    await asyncio.sleep(CROWD_S)
    spent = {name: now - cpu[name] for name, now in stage.cpu_s().items()}
    asked = kinds(stage.requests(mark))
    late = _late(stage, chosen, began, every_s)
    # Each is due an interval after the one before, however late that was.
    due = count * (CROWD_S / (every_s + LATE_MAX_S) - 1)
    note(f"  {dict(asked)}")
    note(f"  CPU seconds in {CROWD_S} s: { {name: round(s, 2) for name, s in spent.items()} }")
    note(f"  late: {p50_p95(late)}, most {max(late):.2f} s, {len(late)} steps, {due:.0f} due")
    total = sum(spent.values())
    ours = sum(spent[name] for name in SERVICES)
    what = f"{count:,} rollouts under way, a step every {every_s} s"
    steps = asked["router patch traefikservices"]
    return [
        Row(
            what=f"{what}: after its due time, p99",
            here=f"{percentile(late, 0.99):.2f} s, {len(late):,} steps in {CROWD_S} s",
            target=f"≤ {LATE_MAX_S:g} s, {due:,.0f} at least",
            met=percentile(late, 0.99) <= LATE_MAX_S and len(late) >= due,
        ),
        at_most(f"{what}: API requests per step", sum(asked.values()) / steps, 3.05, ""),
        Row(
            what=f"{what}: CPU per step, five services",
            here=f"{1000 * ours / steps:.1f} ms (API server, etcd, NATS and benchmark: "
            f"{1000 * (total - ours) / steps:.1f} ms)",
        ),
        memory(stage, count, "rollouts"),
    ]


def batched(chosen: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (chosen[at : at + size] for at in range(0, len(chosen), size))


async def endurance(stage: Stage, count: int, rounds: int) -> list[Row]:
    """Many rollouts, one after another, of the same canaries: does anything grow?

    Analysis is skipped, which leaves everything but metrics: detection, promotion, Events. What
    fills up to a bound (caches, a history of releases) has done so after a third of them.
    """
    chosen = await stage.have(count, INTERVAL_S)
    await stage.skip_analysis(chosen, True)
    memory, kept = [], []
    for number in range(1, rounds + 1):
        await _until_ended(stage, chosen)
        memory.append(stage.memory_mib())
        kept.append({**await stage.objects(), **await stage.streams()})
        if number % 10 == 0:
            note(f"{number * count:,} rollouts: {memory[-1]}, {kept[-1]}")
    third = rounds // 3
    since = f"from the {count * third:,}th to the {count * rounds:,}th rollout"
    # One reading of memory may meet a moment of much work: the median of several does not.
    early, last = memory[third : third + SEVERAL], memory[-SEVERAL:]
    more = {
        name: median(used[name] for used in last) - median(used[name] for used in early)
        for name in SERVICES
    }
    grown = {
        what: f"{most:,} to {now:,}"
        for what, now in kept[-1].items()
        if now > SLACK * (most := max(one.get(what, 0) for one in kept[:third]))
    }
    return [
        Row(
            what=f"RSS {since}",
            here=", ".join(f"{name} {size:+.1f}" for name, size in more.items()) + " MiB",
            target=f"≤ {GROWTH_MIB:+g} MiB each",
            met=max(more.values()) <= GROWTH_MIB,
        ),
        Row(
            what=f"objects in the cluster, messages and bytes in NATS {since}",
            here=", ".join(f"{what} {how}" for what, how in sorted(grown.items())) or "none grew",
            target="none grows",
            met=not grown,
        ),
    ]
