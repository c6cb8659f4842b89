"""Was all as it should be? Pure: what happened in, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from serinus.cli.demo.traffic import Slice

SHARE_TOLERANCE = 3.0
"""Points by which the share clients see may differ from the weight ordered."""

SWITCH_S = 1.5
"""How long after a weight was ordered requests are not held against it: the proxy reloads."""


class Moment(msgspec.Struct, frozen=True):
    """One change of the Canary's status, as a watch saw it."""

    at: float
    phase: str
    weight: int
    failed_checks: int = 0


class Release(msgspec.Struct, frozen=True):
    """One release: when its image was pushed, and what the status did until it ended."""

    title: str
    version: str
    pushed_at: float
    moments: tuple[Moment, ...]

    @property
    def ended_at(self) -> float:
        return self.moments[-1].at if self.moments else self.pushed_at

    @property
    def phase(self) -> str:
        return self.moments[-1].phase if self.moments else ""

    def first(self, *phases: str) -> float | None:
        """Seconds from the push to the first of these phases."""
        for moment in self.moments:
            if moment.phase in phases:
                return moment.at - self.pushed_at
        return None


class Step(msgspec.Struct, frozen=True):
    """One weight: ordered, and seen by clients. Shares in percent."""

    ordered: int
    seen: float
    requests: int


class Check(msgspec.Struct, frozen=True):
    text: str
    ok: bool


def count(
    slices: Iterable[Slice], since: float, until: float, version: str = "", *, failed: bool = False
) -> int:
    """Requests sent in a span of time, to one version or all, failed ones or all."""
    total = 0
    for one in slices:
        if not since <= one.at < until:
            continue
        for key, number in one.counts.items():
            who, _, status = key.rpartition(" ")
            bad = not 200 <= int(status) < 500
            if (not version or who == version) and (bad or not failed):
                total += number
    return total


def steps(release: Release, slices: Sequence[Slice]) -> tuple[Step, ...]:
    """What share of the requests the canary got at each weight.

    Failed answers name no version where the proxy made them, so they stay out of the share.
    """
    found = []
    for moment, following in zip(release.moments, release.moments[1:], strict=False):
        since, until = moment.at + SWITCH_S, following.at
        if moment.phase != "Progressing" or moment.weight == 0 or until - since < 1:
            continue
        every = count(slices, since, until)
        if not every:
            continue
        canary = count(slices, since, until, release.version)
        found.append(Step(moment.weight, 100 * canary / every, every))
    merged: dict[int, Step] = {}
    for step in found:
        old = merged.get(step.ordered)
        if old is None:
            merged[step.ordered] = step
            continue
        total = old.requests + step.requests
        seen = (old.seen * old.requests + step.seen * step.requests) / total
        merged[step.ordered] = Step(step.ordered, seen, total)
    return tuple(merged.values())


def expected_failures(
    release: Release, slices: Sequence[Slice], error_rate: float, slack: float = 1.25
) -> int:
    """The most requests a bad release may cost: those it was ordered to get, times its error rate.

    `slack` covers chance; five requests more cover small numbers.
    """
    cost = 0.0
    for moment, following in zip(release.moments, release.moments[1:], strict=False):
        every = count(slices, moment.at, following.at)
        cost += every * moment.weight / 100 * error_rate
    tail = count(slices, release.ended_at, release.ended_at + SWITCH_S)
    highest = max((m.weight for m in release.moments), default=0)
    cost += tail * highest / 100 * error_rate
    return int(cost * slack) + 5


def checks(
    good: Release, bad: Release, slices: Sequence[Slice], error_rate: float, image: str
) -> tuple[Check, ...]:
    """Every promise of the demo, kept or not. `image` is what the primary runs at the end."""
    end = good.ended_at + 3.0
    lost = count(slices, good.pushed_at, min(end, bad.pushed_at), failed=True)
    cost = count(slices, bad.pushed_at, bad.ended_at + 3.0, failed=True)
    allowed = expected_failures(bad, slices, error_rate)
    after = count(slices, bad.ended_at + SWITCH_S, bad.ended_at + 60, bad.version)
    shares = [
        Check(
            f"{release.title} release: {step.seen:.1f} % of the requests at weight {step.ordered}",
            abs(step.seen - step.ordered) <= SHARE_TOLERANCE,
        )
        for release in (good, bad)
        for step in steps(release, slices)
    ]
    return (
        Check(f"the good release was promoted ({good.phase})", good.phase == "Succeeded"),
        Check(f"{lost} requests failed during the good release", lost == 0),
        Check(f"the bad release was rolled back ({bad.phase})", bad.phase == "Failed"),
        Check(
            f"the bad release cost {cost} requests, at most {allowed} were at stake",
            0 < cost <= allowed,
        ),
        Check(f"{after} requests reached the bad version after the rollback", after == 0),
        Check(f"the primary runs {image}", image == good.version),
        *shares,
    )
