"""Many canaries on one Prometheus: few queries, and what each would have been answered alone."""

import asyncio
import json
import math
import random
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import FakeHttp, Reply, reply, toolbox

from serinus.analyzer.core.observers import OBSERVERS
from serinus.analyzer.core.queries import (
    COMPARABLE,
    DURATION,
    QUANTILE,
    SUCCESS_RATE,
    Names,
    builtin_query,
    names_of,
    selection,
)
from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.judge.histograms import quantile
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.groups import PART, Sample, grouped_query, split
from serinus.analyzer.providers.source import Question, Source
from serinus.events import CanarySpec, ObjectRef
from serinus.events.canary import MetricProvider
from serinus.runtime.http import HttpRequest

SOURCE = Source(provider=MetricProvider(type="prometheus", address="http://prom"))
AT = 1_700_000_000.0


def names(index: int) -> Names:
    target = ObjectRef(kind="Deployment", name=f"web{index}")
    return names_of("shop", f"web{index}", CanarySpec(target_ref=target))


def question(index: int, check: str = SUCCESS_RATE, observer: str = "istio") -> Question:
    return Question(
        query=builtin_query(observer, check, names(index), "1m"),  # type: ignore[arg-type]  # rows
        at=AT,
        window_s=60.0,
        check=check,
        observer=observer,
        names=names(index),
    )


def grouped(request: HttpRequest) -> bool:
    return request.method == "POST"


def vector(*samples: Sample) -> Reply:
    result = [{"metric": s.labels, "value": [AT, repr(s.value)]} for s in samples]
    return reply(
        200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
    )


def answer(request: HttpRequest) -> Reply:
    """Rates of every canary: web<n> has n good ones of 100."""
    if not grouped(request):
        return vector(Sample({}, 42.0))
    query = parse_qs(request.body.decode())["query"][0]
    samples = []
    for n in sorted({int(n) for n in re.findall(r"web([0-9]+)", query)}):
        labels = {
            "reporter": "destination",
            "destination_workload_namespace": "shop",
            "destination_workload": f"web{n}",
        }
        samples.append(Sample({**labels, PART: "all"}, 100.0))
        samples.append(Sample({**labels, PART: "good"}, float(n)))
    return vector(*samples)


async def ask(http: FakeHttp, count: int, group_from: int = 20) -> list[Reading]:
    """The answers of the second round; in the first one the group gets to know itself."""
    tools = toolbox(http, group_from=group_from)
    found: list[Reading] = []
    for _ in range(2):
        asking = (provider_of(SOURCE, tools).value(question(i)) for i in range(count))
        found = list(await asyncio.gather(*asking))
        await http.clock.sleep(60)
    return found


@pytest.mark.looptime
async def test_few_canaries_are_asked_about_alone_in_flaggers_words() -> None:
    http = FakeHttp(answer)

    await ask(http, 19)

    assert not any(map(grouped, http.sent))
    assert parse_qs(urlsplit(http.sent[0].url).query)["query"] == [question(0).query]


@pytest.mark.looptime
async def test_many_canaries_are_asked_about_together_and_each_gets_its_own_answer() -> None:
    http = FakeHttp(answer)

    found = await ask(http, 60)

    assert [f.value for f in found if isinstance(f, Value)] == [n / 100 * 100 for n in range(60)]
    assert sum(map(grouped, http.sent)) == 2


@pytest.mark.looptime
async def test_a_thousand_canaries_take_at_most_forty_queries_per_interval() -> None:
    http = FakeHttp(answer)
    tools = toolbox(http, group_from=20)
    counts = []
    for _ in range(2):
        before = len(http.sent)
        asking = [
            provider_of(SOURCE, tools).value(question(i, check))
            for i in range(1000)
            for check in (SUCCESS_RATE, DURATION)
        ]
        await asyncio.gather(*asking)
        counts.append(len(http.sent) - before)
        await http.clock.sleep(10)

    assert counts[1] == 20


@pytest.mark.looptime
async def test_nothing_is_grouped_where_that_is_switched_off() -> None:
    http = FakeHttp(answer)
    await ask(http, 60, group_from=0)
    assert not any(map(grouped, http.sent))


@pytest.mark.looptime
async def test_a_server_that_is_away_is_away_for_all() -> None:
    http = FakeHttp(lambda r: reply(500, "oops") if grouped(r) else answer(r))

    for found in await ask(http, 30):
        assert isinstance(found, Unreachable)
        assert found.away


@pytest.mark.looptime
async def test_a_canary_without_series_has_no_data_and_others_have_theirs() -> None:
    def script(request: HttpRequest) -> Reply:
        full = json.loads(answer(request).text)  # type: ignore[union-attr]  # it always answers
        rows = full["data"]["result"]
        kept = [r for r in rows if r["metric"].get("destination_workload") != "web7"]
        full["data"]["result"] = kept
        return reply(200, json.dumps(full))

    found = await ask(FakeHttp(script), 30)

    assert isinstance(found[7], NoData)
    assert sum(isinstance(each, Value) for each in found) == 29


@pytest.mark.looptime
async def test_a_grouped_answer_that_nobody_understands_is_an_answer_for_all() -> None:
    def script(request: HttpRequest) -> Reply:
        odd = [{"metric": {"destination_workload": 3}, "value": [1, "x"]}]
        body = {"data": {"resultType": "vector", "result": odd}}
        return reply(200, json.dumps(body)) if grouped(request) else answer(request)

    for found in await ask(FakeHttp(script), 30):
        assert isinstance(found, Unreachable)


# --- the law: what comes of a group is what would have come of single queries ---------------------


def series(observer: str, check: str, index: int, dice: random.Random) -> list[Sample]:
    """What a server would hold of a canary: series that its selection chooses, with rates."""
    chosen = selection(observer, names(index))
    matchers = chosen.timed if check == DURATION else chosen.every
    labels = {m.label: _example(m.value) for m in matchers if m.label != "le"}
    if "canary" in labels:
        labels["canary"] = "web-canary"
    found = []
    for pod in range(dice.randint(0, 3)):
        own = {k: v.replace("POD", f"p{pod}") for k, v in labels.items()}
        if check == DURATION and not OBSERVERS[observer].average:
            count = 0.0
            for bound in ("0.1", "0.5", "2.5", "+Inf"):
                count += dice.random()
                found.append(Sample({**own, "le": bound}, count))
        else:
            total = dice.choice([0.0, dice.random() * 100])
            found.append(Sample({**own, PART: "all"}, total))
            found.append(Sample({**own, PART: "good"}, total * dice.random()))
    return found


def _example(pattern: str) -> str:
    """A text that the pattern of a row matches."""
    text = pattern.replace("(-[0-9a-zA-Z]+)", "-x").replace("[0-9a-zA-Z-]+", "POD")
    return text.replace("[0-9a-zA-Z]+", "POD")


def alone(samples: list[Sample], observer: str, check: str) -> float:
    """Prometheus' own arithmetic on the series of one canary; nan: no data."""
    row = OBSERVERS[observer]
    if check == DURATION and not row.average:
        sums: dict[float, float] = {}
        for s in samples:
            bound = float(s.labels["le"])
            sums[bound] = sums.get(bound, 0.0) + s.value
        bounds = sorted(sums)
        return quantile(QUANTILE, bounds, [sums[b] for b in bounds]) * row.scale
    parts = {p: [s.value for s in samples if s.labels[PART] == p] for p in ("all", "good")}
    if not sum(parts["all"]):
        return math.nan
    factor = row.scale if check == DURATION else 100
    return sum(parts["good"]) / sum(parts["all"]) * factor


@pytest.mark.parametrize("observer", sorted(COMPARABLE))
@pytest.mark.parametrize("check", [SUCCESS_RATE, DURATION])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_group_answers_what_single_queries_would(observer: str, check: str, seed: int) -> None:
    dice = random.Random(seed)
    by_canary = [series(observer, check, index, dice) for index in range(12)]
    everything = [sample for samples in by_canary for sample in samples]
    dice.shuffle(everything)

    asked = [question(index, check, observer) for index in range(len(by_canary))]
    for found, samples in zip(split(asked, everything), by_canary, strict=True):
        expected = alone(samples, observer, check)
        if math.isnan(expected):
            assert isinstance(found, NoData)
        else:
            assert isinstance(found, Value)
            assert found.value == pytest.approx(expected)


def test_the_query_names_every_canary_and_keeps_the_rows_of_the_catalog() -> None:
    query = grouped_query([question(1), question(2)])

    assert 'destination_workload=~"(?:web1)|(?:web2)"' in query
    assert 'destination_workload_namespace="shop"' in query
    assert 'response_code!~"5.*"' in query
    assert query.count("[60s]") == 2
