"""The canary against the primary, from the queries to the sentence."""

import math
from typing import Any

import pytest
from tests.unit.analyzer.core.story import Story

from serinus.analyzer.core.comparison import verdict
from serinus.analyzer.core.judging import Incomparable, columns
from serinus.analyzer.core.queries import COMPARABLE, names_of
from serinus.analyzer.core.rollout import Answer, MetricAsk, NoData, Table
from serinus.events import CanarySpec, ObjectRef
from serinus.events.canary import MetricJudge

RATE, DURATION = "request-success-rate", "request-duration"
NAMES = names_of("shop", "web", CanarySpec(target_ref=ObjectRef(kind="Deployment", name="web")))
SEQUENTIAL, RANKED = MetricJudge(), MetricJudge(kind="mann-whitney")


def rates(canary: float, primary: float, windows: int = 30) -> Table:
    """Shares of bad requests, at 50 requests a window against 950; they wobble a little."""
    wobble = [1 + 0.2 * math.sin(3 * i) for i in range(windows)]
    return Table(
        key="",
        columns={
            "canary:all": (50.0,) * windows,
            "canary:good": tuple(50 - 50 * canary * w for w in wobble),
            "primary:all": (950.0,) * windows,
            "primary:good": tuple(950 - 950 * primary / w for w in wobble),
        },
    )


def durations(canary: tuple[float, ...], windows: int = 30) -> Table:
    bounds = ("0.1", "0.3", "+Inf")
    primary = (800.0, 950.0, 1000.0)
    found = {f"canary:{b}": (v,) * windows for b, v in zip(bounds, canary, strict=True)}
    found |= {f"primary:{b}": (v,) * windows for b, v in zip(bounds, primary, strict=True)}
    return Table(key="", columns=found)


@pytest.mark.parametrize("observer", sorted(COMPARABLE))
def test_both_sides_have_queries_and_they_differ(observer: str) -> None:
    asked = columns(observer, NAMES, RATE, "1m")

    assert set(asked) == {"canary:all", "canary:good", "primary:all", "primary:good"}
    assert len(set(asked.values())) == 4
    for name in ("all", "good"):
        canary, primary = asked[f"canary:{name}"], asked[f"primary:{name}"]
        assert "primary" in primary or 'canary=""' in primary
        assert "primary" not in canary


def test_traefiks_and_istios_are_as_their_series_are_named() -> None:
    traefik = columns("traefik", NAMES, DURATION, "30s")
    istio = columns("istio", NAMES, RATE, "1m")

    assert traefik["primary:*"] == (
        "sum(increase(traefik_service_request_duration_seconds_bucket"
        '{service=~"shop-web-primary-[0-9a-zA-Z-]+@kubernetescrd"}[30s])) by (le)'
    )
    assert 'destination_workload=~"web-primary"' in istio["primary:all"]


def test_what_has_no_series_of_the_primary_has_no_queries() -> None:
    for observer, check in (("knative", RATE), ("nginx", DURATION)):
        with pytest.raises(Incomparable, match="leave out judge"):
            columns(observer, NAMES, check, "1m")


@pytest.mark.parametrize("judge", [SEQUENTIAL, RANKED])
def test_rates_are_compared(judge: MetricJudge) -> None:
    assert verdict(judge, RATE, "traefik", rates(0.02, 0.02)).worse is False
    worse = verdict(judge, RATE, "traefik", rates(0.12, 0.02))
    assert worse.worse is True
    assert "against" in worse.finding


@pytest.mark.parametrize("judge", [SEQUENTIAL, RANKED])
def test_durations_are_compared(judge: MetricJudge) -> None:
    slow = verdict(judge, DURATION, "traefik", durations((78.0, 80.0, 100.0)))

    assert verdict(judge, DURATION, "traefik", durations((80.0, 95.0, 100.0))).worse is False
    if judge is SEQUENTIAL:
        assert slow.worse is True
        assert "requests over 300ms" in slow.finding


@pytest.mark.parametrize("check", [RATE, DURATION])
@pytest.mark.parametrize("judge", [SEQUENTIAL, RANKED])
@pytest.mark.parametrize(
    "found",
    [
        {},
        {"canary:all": (None, 3.0), "canary:good": (None, None)},
        {"canary:x": (1.0,), "primary:0.1": ()},
        {"canary:all": (math.inf,), "primary:all": (math.nan,)},
    ],
)
def test_tables_with_holes_are_nothing_to_compare(
    judge: MetricJudge, check: str, found: dict[str, Any]
) -> None:
    assert verdict(judge, check, "traefik", Table(key="", columns=found)).worse is None


def begun(**more: Any) -> Story:
    metric = {"name": RATE, "interval": "10s", "judge": {}, **more}
    story = Story(step_weight=10, max_weight=50, threshold=5, metrics=[metric])
    return story.initialised().push("v2")


def answering(canary: float) -> Any:
    def answer(ask: MetricAsk) -> Answer:
        table = rates(canary, 0.02)
        return Table(key=ask.key, columns=table.columns)

    return answer


def test_a_good_release_is_promoted_without_any_threshold() -> None:
    story = begun()
    story.metric = answering(0.02)
    story.run()
    assert story.status.phase == "Succeeded"


def test_a_bad_release_is_rolled_back_by_the_first_verdict() -> None:
    """Evidence that is complete does not become more so by waiting for the threshold."""
    story = begun()
    story.metric = answering(0.2)
    story.tick()
    assert story.status.phase == "Failed"
    (text,) = [t for t in story.texts if "is worse" in t]
    assert text.startswith(
        "Halt web.test advancement request-success-rate of the canary is worse: "
    )
    for part in ("times the primary's share", "at least", "against", "error probability"):
        assert part in text


def test_the_table_begins_with_the_run() -> None:
    story = begun()
    begun_at = story.now
    for _ in range(3):
        story.metric = answering(0.02)
        story.tick()
    asks = [a for a in story.asked if isinstance(a, MetricAsk)]
    assert all(abs(a.since - begun_at) < 0.01 for a in asks)
    assert asks[0].columns


def test_nothing_to_compare_is_no_data() -> None:
    for answer in (
        lambda ask: NoData(key=ask.key, cause="no series"),
        lambda ask: Table(key=ask.key, columns={}),
    ):
        story = begun()
        story.metric = answering(0.02)
        story.tick().tick()
        assert story.status.canary_weight == 30
        story.metric = answer
        story.tick()
        assert (story.status.canary_weight, story.status.failed_checks) == (30, 1)


def test_too_few_samples_are_no_data() -> None:
    story = begun(minSamples=10_000)
    story.metric = answering(0.02)
    story.tick().tick()
    assert story.status.failed_checks == 1
    assert any("1500 samples, 10000 are wanted" in text for text in story.texts)


def test_before_there_can_be_windows_to_compare_nothing_counts() -> None:
    story = begun(interval="1m")
    story.metric = lambda ask: NoData(key=ask.key, cause="the first window is not over yet")
    for _ in range(11):
        story.tick()
    assert (story.status.canary_weight, story.status.failed_checks) == (10, 0)
    story.tick().tick()
    assert story.status.failed_checks > 0


def test_a_source_that_cannot_compare_says_so_before_anything_begins() -> None:
    story = Story(
        step_weight=10,
        metrics=[{"name": RATE, "judge": {}}],
        metrics_server="scrape:http://traefik:9100/metrics",
    )
    story.look()
    assert story.status.phase == "Initializing"
    assert any("cannot be compared with the primary" in text for text in story.texts)
