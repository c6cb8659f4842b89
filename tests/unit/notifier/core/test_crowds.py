"""Which canaries change together."""

from __future__ import annotations

from typing import Any

from tests.unit.notifier.helpers import a_spec

from serinus.events import CanaryObserved, CanaryRef, WorkloadSeen
from serinus.notifier.core.crowds import CHANGES_MAX, NOBODY, Crowd, Crowds


def seen(
    name: str, image: str = "web:1", live: str = "web:1", namespace: str = "prod", **more: Any
) -> CanaryObserved:
    return CanaryObserved(
        canary=CanaryRef(namespace, name, f"uid-{name}"),
        resource_version="1",
        spec=a_spec(),
        target=WorkloadSeen(found=True, images={"c": image}),
        primary=WorkloadSeen(found=True, images={"c": live}),
        **more,
    )


def test_canaries_that_get_one_image_are_a_crowd() -> None:
    crowds = Crowds()
    for number in range(50):
        crowds.observe(seen(f"web-{number}", image="web:2", namespace=f"ns-{number % 3}"))
    crowds.observe(seen("other", image="other:2"))

    assert Crowd(50, "image web:2") == crowds.of("ns-0/web-0")
    assert Crowd(1, "image other:2") == crowds.of("prod/other")


def test_canaries_that_mount_one_config_are_a_crowd_when_it_changes() -> None:
    crowds = Crowds()
    for checksum in ("1", "2"):
        for number in range(5):
            crowds.observe(seen(f"web-{number}", configs={"configmap/env": checksum}))

    assert Crowd(5, "configmap/env in prod") == crowds.of("prod/web-3")


def test_configs_of_one_name_in_other_namespaces_are_others() -> None:
    crowds = Crowds()
    for checksum in ("1", "2"):
        for namespace in ("a", "b"):
            crowds.observe(seen("web", namespace=namespace, configs={"secret/x": checksum}))

    assert 1 == crowds.of("a/web").size


def test_a_config_that_is_seen_for_the_first_time_has_not_changed() -> None:
    crowds = Crowds()
    crowds.observe(seen("web", configs={"configmap/env": "1"}))

    assert crowds.of("prod/web") == NOBODY


def test_what_changes_next_leaves_the_crowd() -> None:
    crowds = Crowds()
    for name in "ab":
        crowds.observe(seen(name, image="web:2"))
    crowds.observe(seen("a", image="web:3", live="web:2"))

    assert (1, 1) == (crowds.of("prod/a").size, crowds.of("prod/b").size)


def test_a_crowd_stays_one_until_its_releases_are_told_to_the_end() -> None:
    """Once promoted the images are equal again."""
    crowds = Crowds()
    for name in "ab":
        crowds.observe(seen(name, image="web:2"))
    for name in "ab":
        crowds.observe(seen(name, image="web:2", live="web:2"))

    assert 2 == crowds.of("prod/a").size


def test_nobody_knows_what_a_primary_that_is_not_there_runs() -> None:
    crowds = Crowds()
    crowds.observe(seen("a", image="web:1", live=""))
    fresh = seen("b")
    crowds.observe(CanaryObserved(canary=fresh.canary, resource_version="1", spec=a_spec()))

    assert crowds.of("prod/b") == NOBODY


def test_what_is_gone_is_forgotten_and_the_rest_is_bounded() -> None:
    crowds = Crowds()
    for number in range(3 * CHANGES_MAX):
        crowds.observe(seen(f"web-{number}", image=f"web:{number}", configs={"configmap/a": "1"}))
    most = crowds.remembered
    for number in range(3 * CHANGES_MAX):
        crowds.forget(f"prod/web-{number}")

    assert most <= 7 * CHANGES_MAX
    assert 0 == crowds.remembered
