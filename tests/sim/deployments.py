"""Deployments: a primary beside the target, autoscalers, and what was live before."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from tests.sim.machine import ENDED, Machine, is_bad
from tests.sim.manifests import manifests
from tests.sim.world import BASELINE, PRIMARY, SCALERS, TARGET, World, pods_for

from serinus.analyzer.core.desired import failed_promotion
from serinus.events.canary import Analysis


class RingMachine(Machine):
    """A Deployment, perhaps with an autoscaler."""

    @initialize(manifest=manifests(), settled=st.booleans(), is_scaled=st.booleans())
    def begin(self, manifest: tuple[str, Analysis], settled: bool, is_scaled: bool) -> None:
        mesh, analysis = manifest
        self.begin_with(World(mesh, analysis, is_scaled=is_scaled), analysis)
        self.primary_share, self.primary_image = 0, ""
        if settled:
            self.fair_play()

    @rule(primary=st.booleans())
    def somebody_scales(self, primary: bool) -> None:
        if PRIMARY in self.world.objects:
            self.was_scaled = self.was_scaled or not primary
            self.world.scale_up(PRIMARY if primary else TARGET)

    @rule(ready=st.booleans(), primary=st.booleans())
    def pods_move(self, ready: bool, primary: bool) -> None:
        ref = PRIMARY if primary else TARGET
        if ref in self.world.objects:
            (self.world.ready_pods if ready else self.world.start_pods)(ref)

    @rule()
    def autoscalers_act(self) -> None:
        self.world.autoscale()

    @precondition(lambda self: PRIMARY in self.world.objects)
    @rule()
    def want_back_what_was_live(self) -> None:
        """A good release is live when somebody wants back what was before it, and has a rest."""
        self.calm()
        self.go_on(30)
        if self.status.phase not in ENDED:
            return  # what is under way may be live before the next one
        before = self.status.last_promoted_spec
        self.push("good")
        self.go_on(60)
        if self.status.phase != "Succeeded" or not self.revision_is_seen():
            return
        self.ask("undo")
        self.go_on(40)
        assert self.status.phase == "Failed", "a wish to undo was not followed"
        if self.world.never_ready(PRIMARY):
            self.go_on(40)  # that comes up late again
        assert self.status.last_promoted_spec == before, "something else was given back"

    # --- what must hold -------------------------------------------------------------------------

    def check_safety(self) -> None:
        self.check_the_primary()
        if BASELINE in self.world.objects:
            assert not is_bad(self.world.image_of(BASELINE)), "the baseline runs what failed"
        rules = self.check_rules()
        for found in rules:
            assert not found.canary or self.world.available(TARGET), "no pod for the canary's share"
            assert not found.primary or self.world.available(PRIMARY), "no pod for the primary's"
        if rules:
            self.check_share()
            self.check_capacity()

    def check_the_primary(self) -> None:
        if PRIMARY not in self.world.objects or self.router.intent is None:
            return
        image, revision = self.world.image_of(PRIMARY), self.router.intent.revision
        assert not is_bad(image), "the primary runs what failed its checks"
        undo = self.router.intent.workload.undo
        if undo is not None and image != self.primary_image:
            assert image == self.world.images[undo.revision], "not what was to be given back"
            assert undo.revision in self.were_live, "what was never live was given back"
        elif self.primary_image and image != self.primary_image:
            self.check_judged(revision)
        self.primary_image = image

    def check_capacity(self) -> None:
        share, before = self.world.shares()[0], self.primary_share
        self.primary_share = share
        if share > before and SCALERS[PRIMARY] in self.world.objects:
            size = self.world.objects[PRIMARY]["spec"]["replicas"]
            # Autoscalers believe what somebody writes into routes, too.
            assert size >= pods_for(share) or self.somebody_in_routes, "too few for what they get"

    # --- how it ends ----------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        status = self.world.status
        if status.phase not in ENDED or status.undo is not None:
            return False
        if failed_promotion(status):
            # Where neither side comes up with its new pods, those that the primary had serve on.
            served = self.world.weights() == (0, 100) or self.world.never_ready(TARGET)
            return self.revision_is_seen() and served
        is_parked = self.was_scaled or not self.world.objects[TARGET]["spec"]["replicas"]
        if self.world.weights() != (100, 0) or not is_parked or self.world.never_ready(PRIMARY):
            return False
        known = (status.last_applied_spec, status.last_promoted_spec)
        return self.world.revision_of(TARGET) in known

    def check_rest(self) -> None:
        status = self.world.status
        if failed_promotion(status):
            assert self.world.available(TARGET), "all traffic to a canary without pods"
            return
        assert BASELINE not in self.world.objects, "a baseline that nothing is compared with"
        self.check_record()
