"""Names as subject tokens, and the table's questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import an_intent

from serinus.events import (
    FACTS,
    TABLE,
    CanaryGone,
    CanaryObserved,
    CanaryRef,
    Intent,
    Promoted,
    RolledBack,
    canary_of,
    dead_subject,
    filters,
    subject_of,
)
from serinus.events.subjects import escape, published_by, unescape

_LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
NAMESPACES = _LABEL
NAMES = st.lists(_LABEL, min_size=1, max_size=3).map(".".join)


@given(NAMES)
def test_a_kubernetes_name_is_one_token_and_can_be_read_back(name: str) -> None:
    assert "." not in escape(name)
    assert unescape(escape(name)) == name


@given(NAMESPACES, NAMES)
def test_a_subject_names_its_canary(namespace: str, name: str) -> None:
    intent = an_intent(canary=CanaryRef(namespace, name, "uid"))
    assert canary_of(subject_of(intent)) == CanaryRef(namespace, name)


@given(NAMES, NAMES)
def test_different_names_never_share_a_subject(one: str, other: str) -> None:
    subjects = {subject_of(an_intent(canary=CanaryRef("shop", name))) for name in (one, other)}
    assert len(subjects) == len({one, other})


def test_a_subject_reads_from_the_general_to_the_special() -> None:
    fact = Promoted(canary=CanaryRef("shop", "web.v2"))
    assert subject_of(fact) == "serinus.fact.rollout.promoted.shop.web_v2"


def test_a_message_that_is_not_in_the_table_has_no_subject() -> None:
    with pytest.raises(KeyError):
        subject_of(CanaryRef("shop", "web"))


def test_filters_are_in_the_tables_order_and_each_only_once() -> None:
    assert filters([RolledBack, Intent, CanaryGone, CanaryObserved]) == (
        "serinus.snapshot.canary.*.*",
        "serinus.intent.cluster.*.*",
        "serinus.fact.rollout.rolledback.*.*",
    )


def test_a_service_publishes_its_own_rows_and_its_parking_place() -> None:
    assert published_by("watcher") == ("serinus.snapshot.canary.*.*", "serinus.dead.watcher")
    assert dead_subject("router") in published_by("router")
    assert "serinus.snapshot.routes.*.*" in published_by("router")


def test_facts_are_the_rows_of_the_facts_stream() -> None:
    assert set(FACTS) == {row.message for row in TABLE if row.stream == "FACTS"}
    assert Promoted in FACTS
