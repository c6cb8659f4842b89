"""The score of Spinnaker: what the metrics of a release amount to together.

A group's score is the share of its metrics that pass, of those that have data, in percent. The
score is the mean of the groups' by their weights; groups without a weight share what is left of
100, and a group without any data counts as 100. It is 0 where a critical metric failed.

Source: spinnaker/kayenta, docs/canary-config.md, and spinnaker.io, "How canary judgment works". One
thing differs: where half of the metrics or more have no data Kayenta's score is 0, here there is
none. That is no evidence, and the manifest says what it counts for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from serinus.analyzer.judge.mannwhitney import Label

FULL = 100.0
NO_DATA_MAX = 0.5


class Part(Struct, frozen=True, kw_only=True):
    """One metric.

    critical  it failed so badly, or has no data though it is critical, that nothing else matters
    required  no data counts as a failure
    """

    name: str
    label: Label
    groups: tuple[str, ...]
    critical: bool = False
    required: bool = False

    @property
    def failed(self) -> bool:
        return self.label in ("high", "low") or (self.label == "no-data" and self.required)


class Result(Struct, frozen=True, kw_only=True):
    """score   0 to 100; None: too many metrics have no data
    groups  each group's own score; None: none of its metrics has data
    why     the critical metric that made it 0, "" where none did
    """

    score: float | None
    groups: dict[str, float | None]
    why: str = ""


def total(parts: Sequence[Part], weights: Mapping[str, float]) -> Result:
    """The score of these metrics, at least one. `weights` are percent, by group."""
    names = dict.fromkeys(name for part in parts for name in part.groups)
    groups = {name: _of_group([p for p in parts if name in p.groups]) for name in names}
    for part in parts:
        if part.critical:
            return Result(score=0.0, groups=groups, why=f"{part.name} is critical: {part.label}")
    if sum(p.label == "no-data" and not p.required for p in parts) >= NO_DATA_MAX * len(parts):
        return Result(score=None, groups=groups)
    unweighted = [name for name in groups if name not in weights]
    rest = (FULL - sum(weights.values())) / len(unweighted) if unweighted else 0.0
    summed = sum(
        (FULL if score is None else score) * weights.get(name, rest) / FULL
        for name, score in groups.items()
    )
    return Result(score=round(summed, 2), groups=groups)


def _of_group(parts: Sequence[Part]) -> float | None:
    failed = sum(part.failed for part in parts)
    passed = sum(part.label == "pass" for part in parts)
    return passed / (passed + failed) * FULL if passed + failed else None
