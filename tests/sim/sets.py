"""StatefulSets: one workload, and a border that moves between its pods.

Safety, after every write of the router, beside what holds for every kind (`machine.py`):
  i  the border never lets more pods through than the share needs that is asked for or given; when
     the canary is to be parked none, and all only of what was judged
  j  a share grows only to pods that bear it, and no write leaves a Service that has requests
     without the pods that it had
  k  pods that the router deletes are none of the promoted revision, none that the others cannot
     spare, and nobody's: requests have left them
  l  S, where it leads to one revision, leads to no pod that failed its checks
Liveness: at rest all pods run what the status says is promoted, and the border is above them.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from msgspec import Struct
from tests.builders import NAMESPACE
from tests.ordinals import Pod
from tests.sim.machine import ENDED, Machine, is_bad
from tests.sim.manifests import set_manifests
from tests.sim.setworld import SET, SetWorld
from tests.sim.world import ROUTES

from serinus.events.canary import Analysis
from serinus.kube.partition import PARKED, REVISION_LABEL, Parts
from serinus.kube.refs import Ref
from serinus.router.core.objects import PROMOTED_REVISION, annotations_of

S, S_PRIMARY, S_CANARY = "web", "web-primary", "web-canary"
LOOKED_AT = (
    SET,
    *ROUTES.values(),
    *(Ref("v1", "Service", NAMESPACE, name) for name in (S, S_PRIMARY, S_CANARY)),
)
LARGEST = 6


class Before(Struct):
    """What a step of the router finds.

    ready   how many pods are, of those that shall stay
    fresh   whether the router has seen all that there is
    behind  how many ready pods each Service leads to
    """

    parts: Parts
    note: str
    share: int
    pods: dict[int, Pod]
    ready: int
    fresh: bool
    behind: dict[str, int]


class SetMachine(Machine):
    """A StatefulSet of two pods at least."""

    world: SetWorld

    @initialize(manifest=set_manifests(), settled=st.booleans(), size=st.integers(2, LARGEST))
    def begin(self, manifest: tuple[str, Analysis], settled: bool, size: int) -> None:
        mesh, analysis = manifest
        # Revisions that the controller rolled out by itself, while the router was away; and whether
        # it had its turn since the last push, while pods of the promoted revision were left.
        self.slipped: set[str] = set()
        self.is_attended = False
        self.begin_with(SetWorld(mesh, analysis, size), analysis)
        self.live_image = self.world.live_image
        if settled:
            self.fair_play()

    # --- what else happens ----------------------------------------------------------------------

    @rule(actions=st.integers(1, 4))
    def controller_acts(self, actions: int) -> None:
        for _ in range(actions):
            if not self.world.control():
                break
        self.note_what_slipped()

    @rule(n=st.integers(0, LARGEST - 1))
    def pod_comes_up(self, n: int) -> None:
        self.world.ready(n)

    @rule(n=st.integers(0, LARGEST - 1), evicted=st.booleans())
    def pod_goes_down(self, n: int, evicted: bool) -> None:
        self.interfered = True
        (self.world.evict if evicted else self.world.fall)(n)

    @rule(size=st.integers(2, LARGEST))
    def somebody_scales(self, size: int) -> None:
        self.interfered = True
        self.world.resize(size)

    @rule()
    def manifest_opens_the_border(self) -> None:
        """Somebody's manifest has a partition of its own, and is applied again and again."""
        self.interfered, self.is_attended = True, False
        self.world.open_border()

    def push(self, kind: str) -> None:
        super().push(kind)
        self.is_attended = False

    @precondition(lambda self: self.world.is_made)
    @rule()
    def push_while_pods_are_replaced(self) -> None:
        """A bad version lands while the one before goes from pod to pod; the analyzer is away."""
        self.calm()
        self.push("good")
        for _ in range(80):
            self.fair_round()
            if not self.world.parts.partition:
                break
        self.push("bad")
        self.router_works(writes=8, crash=False, sync=True)
        for _ in range(3 * LARGEST):
            self.world.move()
            self.note_what_slipped()

    def think(self) -> None:
        super().think()
        self.note_what_slipped()

    def note_what_slipped(self) -> None:
        """A template that is pushed in mid-promotion reaches every pod if nobody stops it."""
        if self.world.live_image == self.live_image:
            return
        self.live_image = self.world.live_image
        revision = next(r for r, i in self.world.images.items() if i == self.live_image)
        if self.world.note and revision not in self.analyzer.judged:
            assert not self.is_attended, "all pods run what nobody judged"
            self.slipped.add(revision)

    # --- what must hold -------------------------------------------------------------------------

    def router_steps(self) -> bool:
        before = self.before()
        wrote = super().router_steps()
        if self.router.intent is not None:
            self.check_border(before)
            self.check_pods(before)
            self.check_services(before)
        if not wrote and before.fresh and self.router.intent and not self.router.intent.hold:
            pods, current = self.world.ordinals.pods.values(), self.world.ordinals.current
            self.is_attended = any(pod.revision == current for pod in pods)
        return wrote

    def before(self) -> Before:
        pods, parts = self.world.ordinals.pods, self.world.parts
        return Before(
            parts=parts,
            note=self.world.note,
            share=self.share,
            pods=dict(pods),
            ready=sum(pod.ready for n, pod in pods.items() if n < parts.size),
            fresh=all(self.router.view.get(r) is self.world.objects.get(r) for r in LOOKED_AT),
            behind=self.count(),
        )

    def count(self) -> dict[str, int]:
        return {name: len(self.world.behind(name)) for name in (S, S_PRIMARY, S_CANARY)}

    @property
    def share(self) -> int:
        """Percent for the canary, whatever numbers somebody wrote."""
        primary, canary = self.world.weights() or (100, 0)
        return round(100 * canary / (primary + canary))

    def check_safety(self) -> None:
        if self.check_rules():
            self.check_share()

    def may_be(self, share: int, allowed: object) -> bool:
        """It follows the pods that there are, up to what is asked for (`check_services`)."""
        return 0 <= share <= 100

    def check_border(self, before: Before) -> None:
        intent, found = self.router.intent, self.world.parts
        assert intent is not None
        if self.world.note != before.note and before.note:
            assert self.world.note == self.world.revision_of(SET), "noted what it does not run"
            if self.world.note not in self.slipped | self.were_live:
                self.check_judged(self.world.note)
        if found.partition == before.parts.partition:
            return
        assert intent.workload.canary != "parked" or found.partition == PARKED, "parked, and moved"
        if not found.partition:
            assert intent.workload.promote, "all pods are let go without a promotion"
            assert intent.revision == self.world.revision_of(SET), "not what is to be promoted"
            self.check_judged(intent.revision)
            return
        asked = 0 if self.analysis.match else max(intent.routes.canary, before.share)
        most = max(1, -(-asked * (found.size - 1) // 100))
        assert found.canary_wanted <= most, f"{found.canary_wanted} pods for {asked} percent"

    def check_pods(self, before: Before) -> None:
        pods, current = self.world.ordinals.pods, self.world.ordinals.current
        for n in before.pods.keys() - pods.keys():
            gone, size = before.pods[n], before.parts.size
            assert gone.revision != current, "a pod of the promoted revision was deleted"
            assert not gone.ready or before.ready == size, "two pods less at one time"
            assert not gone.ready or not self.share, "a pod was deleted that requests reach"

    def check_services(self, before: Before) -> None:
        for name in (S, S_PRIMARY):
            if REVISION_LABEL in self.world.selector(name) and not self.slipped:
                bad = [pod for pod in self.world.behind(name) if is_bad(pod.image)]
                assert not bad, f"{name} leads to what failed"
        if not before.fresh or not (self.world.route is None or self.world.route_is_ours):
            return
        behind, share, size = self.count(), self.share, self.world.parts.size
        for name in (S, S_PRIMARY, S_CANARY) if share else (S, S_PRIMARY):
            assert behind[name] or not before.behind[name], f"{name} was left without a pod"
        if share > before.share:
            bears = 100 if self.analysis.match else 100 * behind[S_CANARY] // (size - 1)
            assert behind[S_CANARY], "no pod for the canary's share"
            assert share <= bears, "the canary's pods do not bear their share"
        if share < before.share and before.behind[S_CANARY]:
            assert behind[S_PRIMARY], "requests left the canary for nobody"

    # --- how it ends ----------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        status = self.world.status
        if status.phase not in ENDED or status.undo is not None:
            return False
        known = (status.last_applied_spec, status.last_promoted_spec)
        is_known = self.world.revision_of(SET) in known
        is_off = self.world.weights() == (100, 0) or self.world.route is None
        # What a border that somebody opened let through is noted, and then put on record.
        noted = annotations_of(self.world.objects[SET]).get(PROMOTED_REVISION)
        is_on_record = noted == status.last_promoted_spec
        return is_off and is_known and self.world.is_one and is_on_record

    def check_rest(self) -> None:
        self.check_record()
