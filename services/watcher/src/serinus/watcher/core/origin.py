"""Where a revision comes from, as far as its workload says: for people who are told of it. Pure.

Annotations and labels are read by the words that tools and teams use for them; all others are
nobody's business and do not travel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from serinus.kube.refs import Obj

VALUE_MAX = 300
_USER = re.compile(r"://[^/@\s]+@")
CHANGED_BY = "changedBy"

# What other projects define.
_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "kubernetes.io/change-cause": "cause",
        "org.opencontainers.image.revision": "commit",
        "org.opencontainers.image.source": "source",
        "org.opencontainers.image.version": "version",
        "org.opencontainers.image.authors": "author",
        "app.kubernetes.io/version": "version",
        "a8r.io/owner": "owner",
        "a8r.io/repository": "source",
    }
)
# The last part of a key under any prefix, e.g. `example.com/git-commit`.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **{word: "commit" for word in ("commit", "commit-sha", "git-commit", "git-sha", "sha")},
        **{word: "author" for word in ("author", "committer", "deployed-by", "released-by")},
        **{word: "cause" for word in ("change-cause", "commit-message")},
        **{word: "pull request" for word in ("pull-request", "merge-request", "pr")},
        **{word: "build" for word in ("build", "build-url", "pipeline", "pipeline-url", "job-url")},
        **{word: word for word in ("version", "branch", "ticket", "team", "owner")},
        **{word: "environment" for word in ("environment", "env")},
    }
)


def origin(workload: Obj) -> dict[str, str]:
    """By word. The pod template goes before the workload, annotations go before labels.

    Addresses travel without user information.
    """
    found: dict[str, str] = {}
    for entries in _texts(workload):
        for key, value in sorted(entries.items()):
            word = _KNOWN.get(key) or _WORDS.get(key.rpartition("/")[2].lower())
            if word and value:
                found.setdefault(word, _USER.sub("://", value)[:VALUE_MAX])
    return found


def _texts(workload: Obj) -> Iterator[Mapping[str, str]]:
    template = ((workload.get("spec") or {}).get("template") or {}).get("metadata") or {}
    meta = workload["metadata"]
    for part in ("annotations", "labels"):
        yield template.get(part) or {}
        yield meta.get(part) or {}


def template_writer(managed: Sequence[Obj]) -> str:
    """The field manager that wrote a pod template last; "" where none did."""
    times = {
        str(entry.get("time", "")): str(entry.get("manager", ""))
        for entry in managed
        if not entry.get("subresource")
        and "f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    return times[max(times)] if times else ""
