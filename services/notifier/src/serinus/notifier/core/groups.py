"""Many notices as one: what fifty canaries that one change started have to say. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from serinus.events import CanaryRef
from serinus.notifier.core.alerts import TROUBLE, Field, Notice, cut

NAMES_MAX = 900
"""Characters of names in one line: every service takes a line of that length."""

LINES_MAX = 8


def may_wait(notice: Notice) -> bool:
    """Whether a notice may be told together with others; trouble is told at once, by itself."""
    return notice.severity not in TROUBLE


def grouped(notices: Sequence[Notice], change: str) -> Notice:
    """One notice about all of them: how many, which, and what they have in common.

    notices  at least one, of one kind
    change   what started them, e.g. `image web:2`; "" where nobody knows
    """
    first = notices[0]
    among = tuple(sorted({one.canary for one in notices}))
    ids = "\n".join(sorted(one.id for one in notices))
    shared = (Field("Shared change", change),) if change else ()
    cluster = tuple(f for f in first.fields if f.name == "Cluster")
    return msgspec.structs.replace(
        first,
        id=f"group:{hashlib.sha256(ids.encode()).hexdigest()[:32]}",
        message=f"{first.message} {len(among)} canaries.",
        among=among,
        fields=(*cluster, *shared, *_names(among)),
        details=(),
        images=_common(notices),
        origin={},
        metadata=_common_metadata(notices),
        link="",
    )


def _names(among: Sequence[CanaryRef]) -> Iterator[Field]:
    """The canaries by namespace, in lines of bounded length and number."""
    left = LINES_MAX
    by_namespace: dict[str, list[str]] = {}
    for one in among:
        by_namespace.setdefault(one.namespace, []).append(one.name)
    for namespace, names in by_namespace.items():
        if left == 0:
            others = list(by_namespace).index(namespace)
            yield Field("And more", f"in {len(by_namespace) - others} other namespaces")
            return
        left -= 1
        yield Field(f"{namespace} ({len(names)})", _listed(names))


def _listed(names: Sequence[str]) -> str:
    """Names in their order; those that do not fit are counted."""
    shown: list[str] = []
    size = 0
    for name in names:
        size += len(name) + 2
        if size > NAMES_MAX:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(name)
    return cut(", ".join(shown), NAMES_MAX)


def _common(notices: Sequence[Notice]) -> dict[str, str]:
    first = notices[0].images
    return {c: i for c, i in first.items() if all(n.images.get(c) == i for n in notices)}


def _common_metadata(notices: Sequence[Notice]) -> dict[str, str]:
    found: Mapping[str, str] = notices[0].metadata
    return {k: v for k, v in found.items() if all(n.metadata.get(k) == v for n in notices)}
