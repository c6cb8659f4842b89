"""The environment of a container."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.podenv import Missing, environment

HELD: dict[tuple[str, str], dict[str, Any]] = {
    ("configmaps", "c"): {"data": {"A": "1", "B": "2"}},
    ("secrets", "s"): {"data": {"P": "cHc="}},
}
POD = {"metadata": {"name": "p", "labels": {"app": "web"}}, "status": {"podIP": "127.1.0.1"}}


def env(**container: Any) -> dict[str, str]:
    return environment(container, POD, lambda kind, name: HELD.get((kind, name)))


def source(**ref: Any) -> list[dict[str, Any]]:
    return [{"name": "X", "valueFrom": ref}]


def test_values_come_from_where_the_manifest_says() -> None:
    config, secret = {"name": "c", "key": "A"}, {"name": "s", "key": "P"}

    assert env(env=[{"name": "X", "value": "plain"}]) == {"X": "plain"}
    assert env(env=source(configMapKeyRef=config)) == {"X": "1"}
    assert env(env=source(secretKeyRef=secret)) == {"X": "pw"}
    assert env(env=source(fieldRef={"fieldPath": "status.podIP"})) == {"X": "127.1.0.1"}
    assert env(env=source(fieldRef={"fieldPath": "metadata.labels['app']"})) == {"X": "web"}


def test_whole_objects_come_with_a_prefix_and_single_values_win() -> None:
    found = env(
        envFrom=[{"configMapRef": {"name": "c"}, "prefix": "C_"}, {"secretRef": {"name": "s"}}],
        env=[{"name": "C_A", "value": "mine"}],
    )

    assert found == {"C_A": "mine", "C_B": "2", "P": "pw"}


@pytest.mark.parametrize(
    "container",
    [
        {"env": source(configMapKeyRef={"name": "none", "key": "A"})},
        {"env": source(configMapKeyRef={"name": "c", "key": "none"})},
        {"envFrom": [{"secretRef": {"name": "none"}}]},
    ],
)
def test_what_is_missing_is_named(container: dict[str, Any]) -> None:
    with pytest.raises(Missing, match="none"):
        env(**container)


def test_what_is_optional_may_be_missing() -> None:
    ref = {"name": "none", "key": "A", "optional": True}

    assert env(env=source(configMapKeyRef=ref)) == {}
    assert env(envFrom=[{"configMapRef": {"name": "none", "optional": True}}]) == {}
