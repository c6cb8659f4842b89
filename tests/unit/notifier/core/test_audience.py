"""Who hears a notice."""

from __future__ import annotations

import pytest

from serinus.events import AlertProviderSpec
from serinus.events.canary import AlertProviderType, AlertRef, ProviderRef
from serinus.notifier.core.alerts import Severity
from serinus.notifier.core.audience import (
    Needs,
    ProviderKey,
    Target,
    audience,
    is_url,
    target_of,
    uninvited,
)


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


def test_those_who_wanted_less_are_known_for_what_ends_an_incident() -> None:
    assert [key.name for key in uninvited("info", ALL, "prod")] == ["w", "e"]
    assert uninvited("error", ALL, "prod") == ()
    assert uninvited("info", (), "prod") == ()


@pytest.mark.parametrize(
    ("kind", "needs", "secret", "expected"),
    [
        (
            "pagerduty",
            Needs(address="https://pd.test/", token=True),
            {"token": "k"},
            "https://pd.test/",
        ),
        ("slack", Needs(token_address="https://api.test/"), {"token": "k"}, "https://api.test/"),
        ("apprise", Needs(schemes=()), {"address": "tgram://bot/chat"}, "tgram://bot/chat"),
        ("email", Needs(schemes=("smtp",)), {"address": "smtp://mail.test"}, "smtp://mail.test"),
    ],
)
def test_each_kind_has_needs_of_its_own(
    kind: AlertProviderType, needs: Needs, secret: dict[str, str], expected: str
) -> None:
    target = target_of(AlertProviderSpec(type=kind), secret, needs)

    assert isinstance(target, Target)
    assert target.address == expected


@pytest.mark.parametrize(
    ("needs", "secret", "why"),
    [
        (Needs(address="https://pd.test/", token=True), {}, "it has no token"),
        (Needs(token_address="https://api.test/"), {}, "it has no address"),
        (Needs(schemes=("smtp", "smtps")), {"address": "http://x"}, "smtp:// or smtps://"),
    ],
)
def test_what_is_missing_is_said(needs: Needs, secret: dict[str, str], why: str) -> None:
    answer = target_of(AlertProviderSpec(type="email"), secret, needs)

    assert isinstance(answer, str)
    assert why in answer
