"""What can be set about the watcher: `SERINUS_` and the field's name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.kube.refs import DEFAULT_SELECTOR_LABELS
from serinus.kube.share import ReplicaSettings
from serinus.watcher.core.workloads import Policy


class Settings(ReplicaSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What snapshots depend on."""

    selector_labels: Annotated[
        tuple[str, ...],
        Meta(description="labels that may tell primary pods from canary pods, the first wins"),
    ] = DEFAULT_SELECTOR_LABELS
    config_tracking: Annotated[
        bool, Meta(description="a changed ConfigMap or Secret is a new revision")
    ] = True


def policy(settings: Settings) -> Policy:
    return Policy(
        selector_labels=settings.selector_labels, config_tracking=settings.config_tracking
    )
