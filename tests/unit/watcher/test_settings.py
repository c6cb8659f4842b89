"""The watcher's settings."""

from __future__ import annotations

from serinus.runtime.settings import load
from serinus.watcher.settings import Settings, policy


def test_by_default_snapshots_are_as_flaggers() -> None:
    found = policy(load(Settings, {}))

    assert found.selector_labels == ("app", "name", "app.kubernetes.io/name")
    assert found.config_tracking


def test_labels_and_tracking_can_be_set() -> None:
    environ = {"SERINUS_SELECTOR_LABELS": "k8s-app, tier", "SERINUS_CONFIG_TRACKING": "false"}

    found = policy(load(Settings, environ))

    assert found.selector_labels == ("k8s-app", "tier")
    assert not found.config_tracking
