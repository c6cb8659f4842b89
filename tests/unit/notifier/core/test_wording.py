"""Alerts in people's own words: the guide's template, what it may name, bad ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.events import CanaryRef, Measurement
from serinus.gotemplate import TemplateError
from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.wording import dot, dressed, mistake, worded

# As it stands in a guide to Flagger, which has no such field.
GUIDE = """\
{{ if eq .Status "succeeded" }}:white_check_mark:{{ else }}:warning:{{ end }}
*Canary Deployment {{ .Status }}*
*Environment:* {{ .Metadata.environment }}
*Service:* {{ .Name }}.{{ .Namespace }}
*Version:* {{ .Metadata.version }}
{{ if eq .Status "failed" }}
*Failure Reason:*
{{ range .CanaryAnalysis.Iterations }}
{{ if .Failed }}
- {{ .Metric }}: {{ .Value }} (threshold: {{ .Threshold }})
{{ end }}
{{ end }}
{{ end }}
"""
METADATA = {"environment": "production", "app.kubernetes.io/version": "2.0.1"}
CHECKS = (
    Measurement(metric="request-success-rate", outcome="failed", value=91.5, bound=">= 99"),
    Measurement(metric="request-duration", outcome="passed", value=120.0, bound="<= 500"),
    Measurement(metric="orders", outcome="no-data", cause="no traffic"),
)


def failure(**fields: Any) -> Notice:
    return a_notice(**{"metadata": METADATA, "checks": CHECKS, **fields})


def test_the_guides_template_says_what_the_guide_shows() -> None:
    assert (
        ":warning:\n"
        "*Canary Deployment failed*\n"
        "*Environment:* production\n"
        "*Service:* web.prod\n"
        "*Version:* 2.0.1\n"
        "\n"
        "*Failure Reason:*\n"
        "\n"
        "- request-success-rate: 91.5 (threshold: >= 99)\n"
        "\n"
        "- orders: no data (threshold: )"
    ) == worded(failure(), GUIDE).message


def test_the_same_template_tells_of_a_success() -> None:
    told = worded(failure(**PROMOTED), GUIDE).message

    assert told.startswith(":white_check_mark:\n*Canary Deployment succeeded*")
    assert "Failure Reason" not in told


def test_what_a_template_says_takes_the_place_of_the_lines_below() -> None:
    told = worded(failure(), "{{ .Name }} failed")

    assert ("web failed", (), ()) == (told.message, told.fields, told.details)
    assert told.id == failure().id


def test_labels_and_images_that_nobody_has_set_are_empty() -> None:
    assert "[]" == worded(a_notice(), "[{{ .Metadata.team }}]").message
    assert "none" == worded(a_notice(), "{{ range .Images }}x{{ else }}none{{ end }}").message


def test_a_hook_that_said_no_is_among_the_checks() -> None:
    found = dot(a_notice(hook="smoke"))["CanaryAnalysis"]["Iterations"]

    assert [("smoke", True)] == [(one["Metric"], one["Failed"]) for one in found]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ .Nmae }}", 'map has no entry for key "Nmae"'),
        ("{{ if .Name }}", "unexpected EOF"),
        ("{{ .Address }}", 'map has no entry for key "Address"'),
        ("{{ .Token }}", 'map has no entry for key "Token"'),
    ],
)
def test_a_template_that_does_not_work_says_why(template: str, why: str) -> None:
    with pytest.raises(TemplateError) as caught:
        worded(failure(), template)

    assert why in str(caught.value)


def test_a_template_for_failures_only_leaves_the_rest_in_our_words() -> None:
    template = '{{ if eq .Status "failed" }}broken{{ end }}'

    assert "broken" == worded(failure(), template).message
    assert failure(**PROMOTED) == worded(failure(**PROMOTED), template)


def test_a_bad_template_silences_nobody() -> None:
    """The alert goes out in our words, with the field and the cure below it."""
    made = dressed(failure(), message="{{ .Nmae }}", body="")

    assert made.notice.message == failure().message
    assert failure().fields == made.notice.fields[:-1]
    line = made.notice.fields[-1]
    assert "spec.messageTemplate: template: tmpl:1:3" in line.value
    assert "docs/alerts.md" in line.value
    assert line.value == made.problem


def test_a_webhooks_body_may_be_of_any_shape() -> None:
    body = '{"text": {{ printf "%q" .Message }}, "ok": {{ eq .Status "succeeded" }}}'
    made = dressed(failure(message='say "hi"'), message="", body=body)

    assert {"text": 'say "hi"', "ok": False} == msgspec.json.decode(made.notice.body)
    assert "" == made.problem


def test_a_body_that_is_no_json_is_ours_with_the_reason() -> None:
    made = dressed(failure(), message="", body='{"text": {{ .Message }}}')

    assert "" == made.notice.body
    assert "spec.bodyTemplate: what it prints is not JSON" in made.problem


def test_mistakes_are_found_before_there_is_anything_to_tell() -> None:
    assert "" == mistake(message=GUIDE, body="")
    assert "spec.messageTemplate" in mistake(message="{{ .Nmae }}", body="")
    bad = "{{ range .CanaryAnalysis.Iterations }}{{ .Metrik }}{{ end }}"
    assert 'no entry for key "Metrik"' in mistake(message=bad, body="")


def test_a_message_about_many_names_them() -> None:
    among = (CanaryRef("prod", "a"), CanaryRef("prod", "b"))
    found = dot(a_notice(among=among, fields=(Field("x", "y"),)))

    assert ["a.prod", "b.prod"] == found["Canaries"]
    assert [{"Name": "x", "Value": "y"}] == found["Fields"]
