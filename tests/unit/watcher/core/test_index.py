"""Which canaries an event concerns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serinus.watcher.core.index import (
    Index,
    canary_topic,
    config_topic,
    template_topic,
    workload_topic,
)


def test_topics_of_different_things_are_different() -> None:
    topics = {
        canary_topic("shop", "web"),
        workload_topic("shop", "Deployment", "web"),
        workload_topic("shop", "DaemonSet", "web"),
        config_topic("shop", "configmap/web"),
        config_topic("shop", "secret/web"),
        template_topic("shop", "web"),
        template_topic("other", "web"),
    }

    assert len(topics) == 7


def test_a_topic_concerns_all_who_are_interested() -> None:
    index = Index()
    index.put("shop/a", {"x", "y"})
    index.put("shop/b", {"y"})

    assert index.affected(["x"]) == {"shop/a"}
    assert index.affected(["y"]) == {"shop/a", "shop/b"}
    assert index.affected(["x", "y", "z"]) == {"shop/a", "shop/b"}
    assert index.affected([]) == set()


def test_new_interests_replace_the_old_ones() -> None:
    index = Index()
    index.put("shop/a", {"x", "y"})

    index.put("shop/a", {"y", "z"})

    assert index.affected(["x"]) == set()
    assert index.affected(["z"]) == {"shop/a"}


def test_a_removed_canary_is_concerned_by_nothing() -> None:
    """Removing one that is not there is no error: it may have been composed by nobody."""
    index = Index()
    index.put("shop/a", {"x"})

    index.remove("shop/a")
    index.remove("shop/a")

    assert index.affected(["x"]) == set()
    assert len(index) == 0
    assert index._canaries == {}


CHANGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.sets(st.sampled_from("vwxyz"))), max_size=20
)


@given(CHANGES)
def test_both_directions_agree_after_any_changes(
    changes: list[tuple[str, set[str] | None]],
) -> None:
    """`affected` is exactly the inverse of the interests last put."""
    index, interests = Index(), dict[str, set[str]]()
    for canary, topics in changes:
        if topics is None:
            index.remove(canary)
            interests.pop(canary, None)
        else:
            index.put(canary, topics)
            interests[canary] = topics

    for topic in "vwxyz":
        assert index.affected([topic]) == {c for c, wanted in interests.items() if topic in wanted}
