"""How far each step goes (reference 2.7). Total weight is always 100."""

from __future__ import annotations

from serinus.events.canary import Analysis, CanarySpec, analysis_of, max_weight


def step_width(spec: CanarySpec, current: int) -> int:
    """How much the next step adds to `current`; 0 where the manifest names no steps.

    stepWeight wins over stepWeights. From a weight that is not in stepWeights the step goes to 100,
    as Flagger does: it happens when the list was edited in mid-run.
    """
    analysis = analysis_of(spec)
    if analysis.step_weight > 0 or not analysis.step_weights:
        return analysis.step_weight
    room = 100 - current
    if room <= 0:
        return 1
    steps = analysis.step_weights
    if current == 0:
        return min(room, steps[0])
    if current in steps[:-1]:
        return min(room, steps[steps.index(current) + 1] - current)
    return room


def next_weight(spec: CanarySpec, current: int) -> int:
    """The canary's weight after `current`.

    May exceed the maximum: a step of 20 and a maximum of 50 give 20, 40, 60, and users rely on it,
    so the ceiling is held when promotion is decided, not here.
    """
    return min(100, current + step_width(spec, current))


def reached_weight(spec: CanarySpec) -> int:
    """The weight at which a canary of this spec stands when it waits for promotion."""
    weight = 0
    while weight < max_weight(spec):
        following = next_weight(spec, weight)
        if following <= weight:
            break
        weight = following
    return weight


def promotion_weight(spec: CanarySpec, current: int) -> int:
    """The canary's weight after one more step of traffic back to the promoted primary."""
    width = analysis_of(spec).step_weight_promotion
    return max(0, current - width) if width else 0


def mirror_weight(analysis: Analysis, rounds: int) -> int:
    """Percent of requests to copy in the `rounds`-th round of mirroring; 0: the mesh's default.

    With maxMirrorWeight the share grows by its step each round; without it, it stays.
    """
    if not analysis.max_mirror_weight:
        return analysis.mirror_weight
    step = analysis.step_mirror_weight
    first = analysis.mirror_weight or step or analysis.max_mirror_weight
    return min(analysis.max_mirror_weight, first + max(0, rounds - 1) * step)


def mirror_is_complete(analysis: Analysis, rounds: int) -> bool:
    """Whether requests were mirrored for long enough to go on with real ones."""
    if rounds < 1:
        return False
    if not analysis.max_mirror_weight or not analysis.step_mirror_weight:
        return True
    return mirror_weight(analysis, rounds) >= analysis.max_mirror_weight
