"""Many notices as one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.notifier.helpers import PROMOTED, a_notice

from serinus.events import CanaryRef
from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.groups import LINES_MAX, NAMES_MAX, grouped, may_wait

STARTED: dict[str, Any] = {
    "kind": "rollout.started",
    "severity": "info",
    "message": "New revision detected, progressing canary analysis.",
    "fields": (Field("Cluster", "east-1"), Field("Target", "Deployment/web.prod")),
    "images": {"c": "web:2"},
}


def notices(count: int, namespaces: int = 1) -> list[Notice]:
    return [
        a_notice(
            **STARTED,
            id=f"fact-{n}",
            canary=CanaryRef(f"ns-{n % namespaces}", f"web-{n:02}", f"uid-{n}"),
        )
        for n in range(count)
    ]


def test_it_says_how_many_and_lists_them() -> None:
    found = grouped(notices(50), "image web:2")

    assert "50 canaries" == found.subject
    assert "New revision detected, progressing canary analysis. 50 canaries." == found.message
    cluster, shared, names = found.fields
    assert (Field("Cluster", "east-1"), Field("Shared change", "image web:2")) == (cluster, shared)
    assert "ns-0 (50)" == names.name
    assert [f"web-{n:02}" for n in range(50)] == names.value.split(", ")


def test_each_namespace_has_a_line() -> None:
    assert ["ns-0 (3)", "ns-1 (3)"] == [f.name for f in grouped(notices(6, 2), "").fields[1:]]


def test_names_that_do_not_fit_are_counted() -> None:
    found = grouped(notices(400), "").fields[1]

    assert len(found.value) <= NAMES_MAX + 20
    shown = found.value.split(" and ")[0].split(", ")
    assert found.value.endswith(f" and {400 - len(shown)} more")


def test_namespaces_that_do_not_fit_are_counted() -> None:
    found = grouped(notices(20, 20), "").fields[1:]

    assert LINES_MAX + 1 == len(found)
    assert Field("And more", "in 12 other namespaces") == found[-1]


def test_the_same_group_has_the_same_id_in_any_order() -> None:
    some = notices(5)

    assert grouped(some, "x").id == grouped(some[::-1], "x").id
    assert grouped(some, "x").id != grouped(some[1:], "x").id


def test_only_what_all_share_is_said_of_all() -> None:
    some = [*notices(2), a_notice(**{**STARTED, "images": {"c": "web:3"}}, id="z")]

    assert {} == grouped(some, "").images


@pytest.mark.parametrize(("severity", "waits"), [("info", True), ("warn", False), ("error", False)])
def test_trouble_waits_for_nobody(severity: str, waits: bool) -> None:
    assert waits == may_wait(a_notice(**{**PROMOTED, "severity": severity}))
