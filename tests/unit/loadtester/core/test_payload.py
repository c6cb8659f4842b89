"""The body of a hook."""

from __future__ import annotations

import pytest

from serinus.loadtester.core.payload import Namespaces, Payload, payload


def test_the_references_example_is_read() -> None:
    call = payload(
        b'{"name":"shop","namespace":"prod","phase":"Progressing","checksum":"7b9c6f5d48",'
        b'"metadata":{"type":"cmd","cmd":"hey -z 1m http://shop-canary.prod/"}}'
    )

    assert call == Payload(
        name="shop",
        namespace="prod",
        phase="Progressing",
        checksum="7b9c6f5d48",
        metadata={"type": "cmd", "cmd": "hey -z 1m http://shop-canary.prod/"},
    )
    assert call.canary == "shop.prod"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"metadata":{"a":1}}', b"\xff"])
def test_what_is_no_payload_is_none(body: bytes) -> None:
    assert payload(body) is None


@pytest.mark.parametrize("body", [b"{}", b'{"name":null,"metadata":null}', b'{"other":1}'])
def test_what_is_missing_is_empty(body: bytes) -> None:
    call = payload(body)

    assert call is not None
    assert call.canary == "."
    assert call.word("cmd") == ""


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "True", "TRUE"])
def test_truth_is_spelled_as_go_spells_it(text: str) -> None:
    assert Payload(metadata={"logCmdOutput": text}).flag("logCmdOutput")


@pytest.mark.parametrize("text", ["", "yes", "on", "tRue", "0", "false"])
def test_everything_else_is_false(text: str) -> None:
    assert not Payload(metadata={"logCmdOutput": text}).flag("logCmdOutput")
    assert not Payload().flag("logCmdOutput")


@pytest.mark.parametrize(
    ("name", "namespace", "about"),
    [
        ("web", "prod", ("prod", "web")),
        ("web.v2", "prod", ("prod", "web.v2")),
        ("", "prod", None),
        ("web", "", None),
        ("web.>", "prod", None),
        ("web prod", "prod", None),
        ("*", "*", None),
        ("a" * 300, "prod", None),
    ],
)
def test_only_names_that_objects_can_have_may_be_spoken_of(
    name: str, namespace: str, about: tuple[str, str] | None
) -> None:
    """They become subjects; a caller must not be able to choose another one."""
    assert Payload(name=name, namespace=namespace).about == about


@pytest.mark.parametrize(
    ("pattern", "namespace", "allowed"),
    [
        ("", "anything", True),
        ("prod", "prod", True),
        ("prod", "preprod-1", True),
        ("^prod$", "preprod", False),
        ("a|b", "xbx", True),
        ("^team-", "prod", False),
    ],
)
def test_the_namespace_pattern_is_searched_anywhere(
    pattern: str, namespace: str, allowed: bool
) -> None:
    assert Namespaces(pattern).allow(Payload(namespace=namespace)) is allowed


def test_a_pattern_that_is_none_is_said() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        Namespaces("(")
