"""What people get wrong about metrics, and what they are told: the metric, its template, the field
and the beginning of the answer, in the status and in an event; and never a secret.

From the manifest through the real sources to the status; only the server is made up.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.unit.analyzer.core.story import Story
from tests.unit.analyzer.doubles import FakeCluster, FakeHttp, Reply, reply, toolbox
from tests.unit.analyzer.shell.test_sources import a_secret

from serinus.analyzer.core.rollout import Answer, MetricAsk
from serinus.analyzer.shell.sources import Sources
from serinus.events import MetricTemplateSpec
from serinus.events.canary import MetricProvider, SecretRef
from serinus.runtime.http import Unanswered

ORDERS = {"name": "orders", "interval": "10s", "thresholdRange": {"max": 5}}
INLINE = {**ORDERS, "query": "sum(lost)"}
TEMPLATED = {**ORDERS, "templateRef": {"name": "shop", "namespace": "metrics"}}
GONE = Unanswered("GET http://prom: cannot connect")


def answer(kind: str, *values: Any) -> Reply:
    data = {"resultType": kind, "result": list(values)}
    return reply(200, msgspec.json.encode({"status": "success", "data": data}).decode())


def point(value: Any) -> dict[str, Any]:
    return {"metric": {}, "value": [1, value]}


def told(metric: dict[str, Any], said: Reply, **provider: Any) -> Story:
    """A rollout in its second round, measured by the real sources at this server."""
    described = {"type": "prometheus", "address": "http://prom:9090", **provider}
    template = MetricTemplateSpec(
        provider=MetricProvider(**described, secret_ref=SecretRef(name="prom")), query="sum(lost)"
    )
    story = Story(step_weight=10, max_weight=50, threshold=9, metrics=[metric])
    story.see(templates={"metrics/shop": template})
    http = FakeHttp(lambda request: said)
    sources = Sources(
        cluster=FakeCluster(a_secret(token="s3cret-token")), tools=toolbox(http), clock=http.clock
    )

    def measured(ask: MetricAsk) -> Answer:
        return asyncio.run(sources.measure(ask, story.rollout))

    story.metric = measured
    return story.initialised().push("v2").tick().tick()


CASES = [
    # (the metric, what the server says, what is told)
    (INLINE, answer("matrix", {"values": [[1, "1"]]}), ["query returned multiple values"]),
    (INLINE, answer("vector", point("1"), point("2")), ["query returned multiple values"]),
    (INLINE, answer("vector", point("NaN")), ["no values found"]),
    (INLINE, answer("vector", point("+Inf")), ["+Inf > 5"]),
    (INLINE, answer("vector", point("many")), ["the answer holds no number: 'many'"]),
    (INLINE, answer("string", 1, "x"), ["the answer is a string, not a number"]),
    (INLINE, reply(400, "parse error at char 3\nmore"), ["parse error at char 3"]),
    (INLINE, GONE, ["cannot connect"]),
    (
        INLINE,
        Unanswered("GET http://prom: certificate verify failed"),
        ["certificate verify failed"],
    ),
    (TEMPLATED, reply(200, "<html>\n<body>"), ["shop.metrics", "not that of a Prometheus API"]),
    (TEMPLATED, answer("vector", point("1"), point("2")), ["shop.metrics", "multiple values"]),
    (TEMPLATED, reply(401, "who are you?"), ["shop.metrics", "are the credentials expired?"]),
]


@pytest.mark.parametrize(("metric", "said", "parts"), CASES)
def test_a_bad_answer_is_told_with_its_metric_and_its_cause(
    metric: dict[str, Any], said: Reply, parts: list[str]
) -> None:
    story = told(metric, said)
    (event, *_) = [t for t in story.texts if "orders" in t]

    for part in parts:
        assert part in event
    known = story.status.canary_analysis
    checks = known.checks if known else ()
    if checks:
        assert checks[0].metric == "orders"
        status = checks[0].cause or f"{checks[0].value} {checks[0].bound}"
    else:
        # What holds the rollout is no check of it: the conditions say what is waited for.
        status = next(c for c in story.status.conditions if c.type == "Ready").message
        assert "orders" in status
    assert checks or parts[-1] in status


def test_an_address_with_a_typo_is_told_by_its_field() -> None:
    story = told(TEMPLATED, answer("vector", point("1")), address="htp://prom:9090")

    assert any(
        "orders" in text and "address 'htp://prom:9090' is no http:// or https:// URL" in text
        for text in story.texts
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{{ target", "unclosed action"),
        ("{{ nobody }}", 'function "nobody" not defined'),
        ("{{ variables.missing }}", "missing"),
        ('{{ exec "rm" }}', 'function "exec" not defined'),
    ],
)
@pytest.mark.parametrize("kind", ["inline", "template"])
def test_a_query_that_does_not_render_stops_what_would_begin(
    kind: str, query: str, said: str
) -> None:
    metric = {**ORDERS, "query": query} if kind == "inline" else TEMPLATED
    story = Story(step_weight=10, metrics=[metric])
    provider = MetricProvider(type="prometheus", address="http://prom:9090")
    story.see(templates={"metrics/shop": MetricTemplateSpec(provider=provider, query=query)})
    story.look()

    field = "query" if kind == "inline" else "templateRef"
    assert story.status.phase == "Initializing"
    (condition,) = [c for c in story.status.conditions if c.type == "Stalled"]
    # What is referred to is told in Flagger's sentence, and its field in one of its own.
    for text in (condition.message, "\n".join(story.texts)):
        assert f"spec.analysis.metrics[0].{field}" in text
        assert said in text
        assert kind == "inline" or "MetricTemplate metrics/shop" in text


def test_no_secret_is_in_the_status_or_in_an_event() -> None:
    """The worst server: it quotes the header that it was sent."""
    for status in (200, 400, 403, 500):
        story = told(TEMPLATED, reply(status, "Authorization: Bearer s3cret-token"))

        assert "s3cret" not in str(story.status)
        assert not [t for t in story.texts if "s3cret" in t]
        assert [t for t in story.texts if "orders" in t]
