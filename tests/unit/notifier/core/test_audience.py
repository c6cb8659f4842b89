"""Who hears a notice."""

from __future__ import annotations

import pytest

from serinus.events import AlertProviderSpec
from serinus.events.canary import AlertRef, ProviderRef
from serinus.notifier.core.alerts import Severity
from serinus.notifier.core.audience import ProviderKey, Target, audience, is_url, target_of


def wants(name: str, severity: str, namespace: str = "") -> AlertRef:
    return AlertRef(
        name=name,
        provider_ref=ProviderRef(name=name, namespace=namespace),
        severity=severity,  # type: ignore[arg-type]
    )


ALL = (wants("i", "info"), wants("w", "warn"), wants("e", "error"), wants("none", ""))


@pytest.mark.parametrize(
    ("severity", "names"),
    [
        ("info", ["i", "none"]),
        ("warn", ["i", "w", "none"]),
        ("error", ["i", "w", "e", "none"]),
    ],
)
def test_a_severity_reaches_its_own_and_those_who_want_less_urgent_ones(
    severity: Severity, names: list[str]
) -> None:
    """An alert without a severity hears everything; in the reference it hears nothing (7.2)."""
    keys = audience(severity, ALL, "prod")

    assert keys is not None
    assert [key.name for key in keys] == names


def test_a_canary_without_alerts_leaves_it_to_the_global_channel() -> None:
    assert audience("error", (), "prod") is None


def test_alerts_of_a_canary_silence_the_global_channel_even_if_none_matches() -> None:
    assert audience("info", (wants("e", "error"),), "prod") == ()


def test_a_provider_is_looked_for_beside_the_canary_unless_it_says_where() -> None:
    keys = audience("info", (wants("a", "info"), wants("b", "info", "ops")), "prod")

    assert keys == (ProviderKey("prod", "a"), ProviderKey("ops", "b"))


def test_a_provider_named_twice_is_told_once() -> None:
    keys = audience("error", (wants("a", "info"), wants("a", "error"), wants("a", "")), "prod")

    assert keys == (ProviderKey("prod", "a"),)


def test_channel_and_username_have_the_references_defaults() -> None:
    target = target_of(AlertProviderSpec(type="slack", address="https://hooks.test/x"), {})

    assert target == Target(
        type="slack", address="https://hooks.test/x", channel="general", username="flagger"
    )


def test_the_secret_goes_before_the_spec() -> None:
    spec = AlertProviderSpec(type="slack", address="http://old.test/", channel="ops", proxy="p")

    target = target_of(spec, {"address": "http://new.test/\n", "token": "xoxb-1", "other": "?"})

    assert target == Target(
        type="slack",
        address="http://new.test/",
        channel="ops",
        username="flagger",
        token="xoxb-1",
        proxy="p",
    )


def test_a_provider_without_an_address_says_what_to_set() -> None:
    assert target_of(AlertProviderSpec(type="slack"), {}) == (
        "it has no address: set spec.address, or the key `address` of its Secret"
    )


def test_an_address_that_is_no_url_is_refused_without_repeating_it() -> None:
    why = target_of(AlertProviderSpec(type="msteams", address="secret-thing"), {})

    assert isinstance(why, str)
    assert why.startswith("invalid msteams hook URL")
    assert "secret-thing" not in why


def test_a_target_shows_neither_address_nor_token() -> None:
    target = Target(type="slack", address="https://hooks.test/secret", token="xoxb-1")

    assert "secret" not in repr(target)
    assert "xoxb" not in f"{target}"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("http://a", True),
        ("https://a:8443/x?y", True),
        ("a.test/x", False),
        ("ftp://a", False),
        ("http://", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_absolute_http_urls_are_addresses(text: str, good: bool) -> None:
    assert is_url(text) is good
