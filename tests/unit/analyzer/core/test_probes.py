"""The metrics sources are tried once before the first release; it decides nothing."""

from __future__ import annotations

from tests.unit.analyzer.core.story import Story, a_spec

from serinus.analyzer.core.rollout import ProbeAsk, Unreachable
from serinus.events import MetricTemplateSpec
from serinus.events.canary import MetricProvider

TEMPLATED = [{"name": "errors", "templateRef": {"name": "errors"}, "threshold": 1}]
TEMPLATE = MetricTemplateSpec(provider=MetricProvider(type="prometheus"), query="up")


def probes(story: Story) -> list[ProbeAsk]:
    return [ask for ask in story.asked if isinstance(ask, ProbeAsk)]


def test_every_source_is_asked_once() -> None:
    story = Story(step_weight=20, metrics=TEMPLATED).see(templates={"test/errors": TEMPLATE})
    story.look()
    assert [ask.template for ask in probes(story)] == ["", "test/errors"]
    assert story.texts[0] == "all the metrics providers are available!"
    assert story.status.phase == "Initialized"


def test_a_source_that_cannot_be_reached_is_told_and_holds_up_nothing() -> None:
    story = Story(step_weight=20)
    story.probe = lambda ask: Unreachable(key=ask.key, why="prometheus not available: refused")
    story.look()
    assert story.texts[0] == ("Error checking metric providers: prometheus not available: refused")
    assert story.status.phase == "Initialized"


def test_a_missing_template_is_told_by_name() -> None:
    story = Story(step_weight=20, metrics=TEMPLATED)
    story.look()
    assert 'metrictemplate.flagger.app "errors" not found' in story.texts[0]


def test_a_skipped_analysis_needs_no_source() -> None:
    story = Story(a_spec(skip_analysis=True, step_weight=20))
    story.look()
    assert [] == probes(story)
