"""CDEvents in CloudEvents, checked by CloudEvents' own library."""

from __future__ import annotations

import json

import pytest
from cloudevents.v1.http import from_http
from tests.unit.notifier.helpers import PROMOTED, WEB, a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.cdevents import is_heard, purl, render

TARGET = Target(type="cdevents", address="http://broker.test/")


def test_a_promotion_is_a_service_upgraded() -> None:
    notice = a_notice(**PROMOTED, images={"web": "registry.test:5000/shop/Web:2.0"})
    request = render(notice, TARGET)

    found = from_http(request.headers, request.body)

    assert "dev.cdevents.service.upgraded.0.3.0" == found["type"] == found.data["context"]["type"]
    assert (notice.id, "prod/web") == (found["id"], found["subject"])
    subject = found.data["subject"]
    assert ("0.5.1", "prod") == (
        found.data["context"]["specversion"],
        subject["content"]["environment"]["id"],
    )
    assert notice.message == found.data["customData"]["message"]
    assert (
        "pkg:oci/web@2.0?repository_url=registry.test%3A5000/shop/web"
        == subject["content"]["artifactId"]
    )


@pytest.mark.parametrize(
    ("kind", "word"),
    [("rollout.initialized", "deployed"), ("rollout.condemned", "rolledback")],
)
def test_other_ends_have_their_words(kind: str, word: str) -> None:
    body = json.loads(render(a_notice(kind=kind), TARGET).body)

    assert f"dev.cdevents.service.{word}.0.3.0" == body["type"]


def test_what_cdevents_has_no_word_for_is_not_heard() -> None:
    assert not is_heard(a_notice(kind="rollout.awaited"))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("web@sha256:ab", "pkg:oci/web@sha256%3Aab?repository_url=web"),
        ("host:5000/web", "pkg:oci/web@latest?repository_url=host%3A5000/web"),
        ("", "pkg:generic/web@r2"),
    ],
)
def test_an_image_is_a_package_url(image: str, expected: str) -> None:
    assert expected == purl(a_notice(images={"c": image} if image else {}, canary=WEB))
