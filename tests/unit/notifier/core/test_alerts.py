"""What a person reads in a chat."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.notifier.helpers import T0, WEB, a_fact, a_notice, a_spec

from serinus.events import (
    Alert,
    CheckFailed,
    Measurement,
    PromotionFailed,
    RollbackDecided,
    RolloutStarted,
)
from serinus.notifier.core.alerts import Field, cut, notice, said, traffic_routing

INFO = Alert("info", "New revision detected, progressing canary analysis.", True)
ERROR = Alert("error", "Failed checks threshold reached 5")
BAD = Measurement(
    metric="request-success-rate",
    outcome="failed",
    value=91.2345678,
    unit="%",
    bound=">= 99",
    interval="1m",
)
GOOD = Measurement(metric="request-duration", outcome="passed", value=20.0, bound="<= 500")


def condemned(*measurements: Measurement, alert: Alert | None = ERROR) -> RollbackDecided:
    return RollbackDecided(
        canary=WEB, id="f", at=T0, revision="r1", alert=alert, measurements=measurements
    )


def test_a_fact_without_an_alert_is_no_notice() -> None:
    assert notice(a_fact(text="Advance web.prod canary weight 10"), id="f", spec=None) is None


def test_settings_follow_the_cluster_in_the_references_order() -> None:
    found = notice(
        a_fact(alert=INFO), id="f", spec=a_spec(stepWeight=10, maxWeight=50), cluster="east-1"
    )

    assert found is not None
    assert found.message == "New revision detected, progressing canary analysis."
    assert found.fields == (
        Field("Cluster", "east-1"),
        Field("Target", "Deployment/web.prod"),
        Field("Failed checks threshold", "5"),
        Field("Progress deadline", "600s"),
        Field("Traffic routing", "Weight step: 10 max: 50"),
    )


def test_an_alert_without_metadata_carries_the_cluster_alone() -> None:
    found = notice(
        a_fact(alert=Alert("warn", "Canary is waiting for approval.")),
        id="f",
        spec=a_spec(stepWeight=10),
        cluster="east-1",
    )

    assert found is not None
    assert found.fields == (Field("Cluster", "east-1"),)


def test_a_canary_that_is_not_known_is_told_of_without_its_settings() -> None:
    found = notice(a_fact(alert=INFO), id="f", spec=None)

    assert found is not None
    assert found.fields == ()


@pytest.mark.parametrize(
    ("analysis", "text"),
    [
        ({"stepWeight": 10, "maxWeight": 50}, "Weight step: 10 max: 50"),
        ({"stepWeight": 10}, "Weight step: 10 max: 0"),
        ({"stepWeights": [1, 2, 10]}, "Weight steps: 1,2,10 max: 0"),
        ({"stepWeights": [1, 2], "maxWeight": 80}, "Weight steps: 1,2 max: 80"),
        ({"iterations": 3}, "Blue/Green"),
        ({"iterations": 3, "stepWeight": 10}, "Blue/Green"),
        (
            {"iterations": 3, "match": [{"headers": {"x": {"exact": "1"}}}]},
            "A/B Testing",
        ),
        ({}, ""),
    ],
)
def test_traffic_routing_is_named_by_the_strategy_that_runs(
    analysis: dict[str, Any], text: str
) -> None:
    assert traffic_routing(a_spec(**analysis)) == text


def test_a_rollback_names_metric_value_bound_and_interval() -> None:
    found = notice(condemned(GOOD, BAD), id="f", spec=None)

    assert found is not None
    assert found.fields == (
        Field("Failed check request-success-rate", "91.2346 %, must be >= 99, over 1m"),
    )
    assert found.evidence == (BAD,)


def test_a_rollback_without_measurements_is_explained_by_the_last_failed_check() -> None:
    blame = CheckFailed(canary=WEB, measurements=(BAD,), hook="")

    found = notice(condemned(), id="f", spec=None, blame=blame)

    assert found is not None
    assert found.evidence == (BAD,)


def test_a_hook_that_failed_is_named() -> None:
    found = notice(condemned(), id="f", spec=None, blame=CheckFailed(canary=WEB, hook="smoke"))

    assert found is not None
    assert found.fields == (Field("Failed hook", "smoke"),)


def test_measurements_in_the_fact_go_before_an_older_failed_check() -> None:
    older = CheckFailed(canary=WEB, hook="smoke", measurements=(GOOD,))

    found = notice(condemned(BAD), id="f", spec=None, blame=older)

    assert found is not None
    assert [field.name for field in found.fields] == ["Failed check request-success-rate"]


def test_a_promotion_that_failed_is_not_blamed_on_a_check() -> None:
    fact = PromotionFailed(canary=WEB, id="f", alert=Alert("error", "Promotion failed, E"))

    found = notice(fact, id="f", spec=None, blame=CheckFailed(canary=WEB, measurements=(BAD,)))

    assert found is not None
    assert found.fields == ()


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (BAD, "91.2346 %, must be >= 99, over 1m"),
        (
            Measurement(
                metric="m", outcome="no-data", cause="no traffic", bound="<= 5", interval="30s"
            ),
            "no data, must be <= 5, over 30s: no traffic",
        ),
        (
            Measurement(metric="m", outcome="unreachable", cause="status 503"),
            "no answer from the metrics server: status 503",
        ),
        (Measurement(metric="m", outcome="failed", cause="NaN"), "no data: NaN"),
        (Measurement(metric="m", outcome="failed", value=0.0, bound="> 1"), "0, must be > 1"),
    ],
)
def test_a_measurement_is_said_as_people_say_it(measurement: Measurement, text: str) -> None:
    assert said(measurement) == text


def test_a_release_says_which_images_it_brings() -> None:
    fact = RolloutStarted(canary=WEB, id="f", at=T0, alert=INFO, images={"web": "web:2"})

    found = notice(fact, id="f", spec=None)

    assert found is not None
    assert (Field("Image web", "web:2"),) == found.details
    assert {"web": "web:2"} == found.images


def test_trouble_says_what_to_do_next() -> None:
    found = notice(condemned(BAD), id="f", spec=None)

    assert found is not None
    [field] = found.details
    assert "What next" == field.name
    assert "Push a fixed revision" in field.value
    assert "kubectl -n prod describe canary web" in field.value
    assert field not in found.fields, "Flagger's own messages stay as they are"


def test_the_dashboards_address_is_filled_in() -> None:
    link = "https://g.test/d/x?ns={namespace}&name={name}&c={cluster}"

    found = notice(condemned(BAD), id="f", spec=None, cluster="east 1", link=link)

    assert found is not None
    assert "https://g.test/d/x?ns=prod&name=web&c=east%201" == found.link


def test_what_is_cut_says_so() -> None:
    assert ("abc", "ab…") == (cut("abc", 3), cut("abcd", 3))


@pytest.mark.parametrize(
    ("kind", "severity", "all_of_it"),
    [
        ("rollout.condemned", "error", True),
        ("rollout.awaited", "warn", False),
        ("rollout.failed", "error", False),
        ("rollout.started", "info", False),
    ],
)
def test_in_flaggers_shapes_only_a_rollback_says_more_than_flagger(
    kind: str, severity: str, all_of_it: bool
) -> None:
    """The others are recorded, and reproduced to the letter."""
    shown = a_notice(kind=kind, severity=severity).shown

    assert all_of_it == (Field("What next", "look") in shown)
    assert all_of_it == (Field("Dashboard", "https://grafana.test/d/x") in shown)
