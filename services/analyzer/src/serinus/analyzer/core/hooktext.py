"""Words in what is sent to hooks: `{{ canaryWeight }}` and its like.

Flagger sends these texts as they are, and they may hold templates of other tools. So only the words
below are filled in, and everything else is left alone:

    {{ canaryWeight }} {{ primaryWeight }} {{ iteration }} {{ phase }} {{ revision }}
    {{ failedChecks }} {{ name }} {{ namespace }} {{ target }} {{ service }}
    {{ metrics.<name> }}    the newest value of this metric; left alone where there is none
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from serinus.events import CanaryObserved, CanarySpec, CanaryStatus, Webhook
from serinus.events.canary import service_name

_WORD = re.compile(r"\{\{-?\s*([A-Za-z][\w.-]*?)\s*-?\}\}")
_METRIC = "metrics."


def filled(hook: Webhook, seen: CanaryObserved, status: CanaryStatus, phase: str) -> Webhook:
    """The hook with the words of its metadata, headers and body filled in."""
    texts = (hook.body, *(hook.metadata or {}).values(), *hook.headers.values())
    if not any("{{" in text for text in texts):
        return hook
    known = words(seen.spec, seen, status, phase)

    def fill(text: str) -> str:
        return _WORD.sub(lambda found: known.get(found[1], found[0]), text)

    metadata = hook.metadata
    return replace(
        hook,
        body=fill(hook.body),
        headers={name: fill(text) for name, text in hook.headers.items()},
        metadata=None if metadata is None else {key: fill(text) for key, text in metadata.items()},
    )


def words(
    spec: CanarySpec, seen: CanaryObserved, status: CanaryStatus, phase: str
) -> Mapping[str, str]:
    """Every word with its value now."""
    weight = status.canary_weight
    checks = status.canary_analysis.checks if status.canary_analysis else ()
    return {
        # Newest first in the record, so that the newest wins here.
        **{
            f"{_METRIC}{check.metric}": f"{check.value:g}"
            for check in reversed(checks)
            if check.value is not None
        },
        "canaryWeight": str(weight),
        "primaryWeight": str(100 - weight),
        "iteration": str(max(0, status.iterations)),
        "failedChecks": str(status.failed_checks),
        "phase": phase,
        "revision": status.last_applied_spec,
        "name": seen.canary.name,
        "namespace": seen.canary.namespace,
        "target": spec.target_ref.name,
        "service": service_name(spec),
    }
