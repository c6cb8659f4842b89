"""What an operator may set for the router."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.kube.refs import DEFAULT_SELECTOR_LABELS
from serinus.kube.share import ReplicaSettings
from serinus.router.core.steps import Options


class Settings(ReplicaSettings, frozen=True, kw_only=True):
    """SERINUS_* variables of the router."""

    include_label_prefix: Annotated[
        tuple[str, ...],
        Meta(description="prefixes of labels and annotations copied to primaries; *: all"),
    ] = ()
    selector_labels: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="labels that may tell primary from canary, best first"),
    ] = DEFAULT_SELECTOR_LABELS
    config_tracking: Annotated[
        bool, Meta(description="give primaries their own copies of ConfigMaps and Secrets")
    ] = True
    settle_s: Annotated[
        float,
        Meta(description="seconds that proxies take to follow a change; negative: by mesh"),
    ] = -1.0

    def options(self) -> Options:
        """The part of it that plans look at."""
        return Options(
            label_prefixes=self.include_label_prefix,
            selector_labels=self.selector_labels,
            config_tracking=self.config_tracking,
            settle_s=None if self.settle_s < 0 else self.settle_s,
        )
