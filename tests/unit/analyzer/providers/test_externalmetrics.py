"""The external metrics API: paths, selectors and quantities."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.doubles import FakeHttp, reply, toolbox
from tests.unit.analyzer.providers.recorded import RECORDED, served

from serinus.analyzer.core.rollout import Value
from serinus.analyzer.providers.catalog import provider_of
from serinus.analyzer.providers.externalmetrics import API, parsed, quantity
from serinus.analyzer.providers.source import Misconfigured, Misread

IN_CLUSTER, ELSEWHERE = [row for row in RECORDED if row.type == "externalmetrics"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("1500m", 1.5), ("2Ki", 2048.0), ("3k", 3000.0), ("1e3", 1000.0), ("-4", -4.0)],
)
def test_a_quantity_is_a_number(text: str, value: float) -> None:
    assert quantity(text) == Value(key="", value=value)


@given(st.text())
def test_any_text_is_a_quantity_or_told(text: str) -> None:
    with suppress(ValueError):
        quantity(text)


def test_what_is_no_quantity_is_told() -> None:
    with pytest.raises(Misread):
        quantity("many")


def test_a_query_names_namespace_metric_and_labels() -> None:
    assert parsed("shop/queue?labelSelector=app%3Dweb") == (
        "shop",
        "queue",
        {"labelSelector": "app=web"},
    )
    assert parsed("queue") == ("default", "queue", {})
    for wrong in ("", "a/b/c", "/x"):
        with pytest.raises(Misconfigured):
            parsed(wrong)


async def test_without_an_address_the_cluster_is_asked() -> None:
    http = FakeHttp(served(reply(200, IN_CLUSTER.value)))
    await provider_of(IN_CLUSTER.source(), toolbox(http)).value(IN_CLUSTER.question())
    await provider_of(ELSEWHERE.source(), toolbox(http)).value(ELSEWHERE.question())

    inside, outside = http.sent
    assert inside.url == (f"https://api.test{API}/namespaces/shop/queue?labelSelector=app%3Dweb")
    assert outside.url == f"https://metrics.test{API}/namespaces/shop/queue"
    assert outside.headers["Authorization"] == "Bearer s3cret-external"
