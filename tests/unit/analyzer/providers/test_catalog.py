"""The table of providers."""

import pytest
from tests.unit.analyzer.doubles import FakeHttp, in_turn, reply, toolbox

from serinus.analyzer.core.rollout import Unreachable
from serinus.analyzer.providers.catalog import PROVIDERS, provider_of
from serinus.analyzer.providers.source import Question, Source
from serinus.events.canary import MetricProvider

pytestmark = pytest.mark.looptime


async def test_a_type_without_a_row_is_an_answer_that_names_the_rows() -> None:
    """Flagger asks Prometheus instead; a guess is no evidence."""
    http = FakeHttp(in_turn(reply(200)))
    unknown = MetricProvider(type="tarot")  # type: ignore[arg-type]  # that is the point
    tarot = provider_of(Source(provider=unknown), toolbox(http))

    answer = await tarot.value(Question(query="q", at=1.0, window_s=60.0))

    assert answer == await tarot.probe(1.0)
    assert isinstance(answer, Unreachable)
    assert answer.why == (
        f"provider type tarot is not available yet; available: {', '.join(PROVIDERS)}"
    )
    assert http.sent == []


def test_rows_are_found_by_their_own_type() -> None:
    assert {row.type for row in PROVIDERS.values()} == set(PROVIDERS)
    assert {"prometheus", "scrape"} <= set(PROVIDERS)
