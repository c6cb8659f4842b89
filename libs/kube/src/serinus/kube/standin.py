"""The workload that runs a canary's pods on other nodes, in the target's place (ADR 21). Pure.

The target is the user's, and where its pods run is what the primary gets. So a canary that shall
run elsewhere is a copy of the target, named `<target>-canary`: with the target's labels, so that
whatever selects the canary's pods selects these, and one of its own. It is there from the beginning
of a run to its end, or what ends it; the target rests meanwhile.
"""

from __future__ import annotations

from serinus.events import CanaryRef
from serinus.kube.refs import Obj, is_owned_by

KINDS = frozenset({"Deployment", "DaemonSet"})
SUFFIX = "-canary"
ROLE = {"serinus.dev/role": "canary"}
RUNS = "serinus.dev/canary-of"
"""The annotation that says which revision of the target it runs."""


def in_place(live: Obj | None, canary: CanaryRef) -> Obj | None:
    """The stand-in, where it is there and this Canary's own."""
    if live is None or live["metadata"].get("deletionTimestamp") or not is_owned_by(live, canary):
        return None
    return live


def runs(standin: Obj) -> str:
    """The revision of the target that it was made from."""
    return str((standin["metadata"].get("annotations") or {}).get(RUNS, ""))
