"""Addresses as they may be shown."""

from __future__ import annotations

import pytest

from serinus.runtime import redact


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://host:9090/api?query=up", "http://host:9090/api?query=up"),
        ("https://me:pw@host/x", "https://***@host/x"),
        ("http://host/x?api_key=1234&q=a", "http://host/x?api_key=***&q=a"),
        ("http://host/x?access_token=1#frag", "http://host/x?access_token=***"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/***"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***"),
        ("http://[bad", "***"),
    ],
)
def test_an_address_keeps_its_place_and_loses_its_secrets(address: str, shown: str) -> None:
    assert redact.url(address) == shown


def test_addresses_inside_a_sentence_are_masked_too() -> None:
    said = "cannot reach http://me:pw@host/x?token=1, sorry"
    assert redact.text(said) == "cannot reach http://***@host/x?token=***, sorry"
