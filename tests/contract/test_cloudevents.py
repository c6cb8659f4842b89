"""Every message is a CloudEvent, as CloudEvents' own library judges; some are CDEvents, too."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat

from serinus.events import Parked
from serinus.events.codec import encode, headers
from serinus.events.subjects import TABLE
from serinus.events.testing import Sample, samples

AT = "2026-01-01T00:00:00Z"
PARKED = Parked(service="router", subject="serinus.fact.x.shop.web", reason="why", at=1.0)
ALL = (*samples(), Sample(PARKED, "serinus.dead.router", headers(PARKED, at=AT), encode(PARKED)))


def attributes(found: Mapping[str, str]) -> dict[str, str]:
    """The headers of a NATS message in binary mode, as those of an HTTP request."""
    return {name.lower(): text for name, text in found.items()}


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.headers["ce-type"])
def test_it_is_a_cloudevent(sample: Sample) -> None:
    message = HTTPMessage(headers=attributes(sample.headers), body=sample.body)
    event = from_binary(message, JSONFormat())

    assert sample.headers["Nats-Msg-Id"] == event.get_id()
    assert f"dev.serinus.{sample.message.__struct_config__.tag}" == event.get_type()
    assert "application/json" == event.get_datacontenttype()
    assert msgspec.json.decode(sample.body) == event.get_data()
    moment = event.get_time()
    assert moment is not None
    assert moment.tzinfo is not None


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.headers["ce-type"])
def test_its_schema_is_named_by_an_absolute_uri(sample: Sample) -> None:
    """CloudEvents 1.0 wants a URI there, not a reference; the file's name is its last part."""
    name = urlsplit(sample.headers["ce-dataschema"])

    assert ("https", "serinus.dev") == (name.scheme, name.netloc)
    assert name.path.endswith(f"/{sample.message.__struct_config__.tag}.json")


def test_every_kind_of_message_was_looked_at() -> None:
    assert len(TABLE) + 1 == len(ALL)


@pytest.mark.parametrize("gone", ["ce-source", "ce-type"])
def test_what_is_none_is_noticed(gone: str) -> None:
    sample = ALL[0]
    left = {k: v for k, v in attributes(sample.headers).items() if k != gone}

    with pytest.raises(CloudEventValidationError):
        from_binary(HTTPMessage(headers=left, body=sample.body), JSONFormat())
