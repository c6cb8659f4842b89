"""What a wave lets happen, and what it says while it does not."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.coordinator.fleets import (
    NEW,
    NEWER,
    OLD,
    T0,
    Story,
    a_key,
    a_standing,
    a_step,
    a_wave,
)

from serinus.coordinator.core.orders import NEVER_ASKS, UNASKED
from serinus.coordinator.core.waves import MEMBERS_MAX, Freeze, Member, Step
from serinus.kube.times import rfc3339

EAST, WEST, SOUTH = (a_key(cluster) for cluster in ("east", "west", "south"))
REGIONS = (EAST, WEST, SOUTH)


def in_order(**more: object) -> Story:
    """Three regions, one after the other, all at rest."""
    steps = [a_step(key.cluster, key) for key in REGIONS]
    return Story(a_wave(*steps, **more)).stand(*map(a_standing, REGIONS)).look()


def wanting(story: Story, *keys: object, release: str = NEW) -> Story:
    return story.stand(*(a_standing(key, "waiting", release) for key in keys or REGIONS))  # type: ignore[arg-type]


# --- one after the other -------------------------------------------------------------------------


def test_at_rest_nobody_is_told_anything() -> None:
    story = in_order()
    assert ("Idle", "", "") == story.says
    assert [""] * 3 == [story.action(key) for key in REGIONS]
    assert "3/3" == story.wave.status.done


def test_the_first_step_begins_and_the_others_wait_for_it_by_name() -> None:
    story = wanting(in_order()).look()

    assert ["go", "wait", "wait"] == [story.action(key) for key in REGIONS]
    assert "shop/web in east is Waiting" == story.why(WEST) == story.why(SOUTH)
    assert ("Running", "west", "shop/web in east is Waiting") == story.says


def test_the_next_step_begins_when_the_one_before_is_done() -> None:
    story = wanting(in_order()).look()
    for done, following in ((EAST, WEST), (WEST, SOUTH)):
        story.stand(a_standing(done, "running", NEW)).look()
        assert "wait" == story.action(following)
        story.stand(a_standing(done, "settled", NEW)).look()
        assert "go" == story.action(following)
    story.stand(a_standing(SOUTH, "settled", NEW)).look()
    assert ("Idle", "", "") == story.says


def test_who_sees_the_release_first_does_not_overtake() -> None:
    """Git reached the last region first: the first one is at rest, with the old release."""
    story = wanting(in_order(), SOUTH).look()

    assert "wait" == story.action(SOUTH)
    assert "shop/web in east has not got this release yet" == story.why(SOUTH)


def test_services_that_share_no_images_wait_for_rest_alone() -> None:
    story = wanting(in_order(identity="any"), SOUTH).look()
    assert "go" == story.action(SOUTH)

    story = wanting(in_order(identity="any"), EAST, SOUTH).look()
    assert ["go", "wait"] == [story.action(key) for key in (EAST, SOUTH)]


def test_what_was_let_go_stays_so_while_it_runs() -> None:
    """The wave looks again and again; a canary of the first step that moves takes nothing back."""
    story = wanting(in_order(), EAST).look().stand(a_standing(EAST, "settled", NEW)).look()
    wanting(story, WEST).look().stand(a_standing(WEST, "running", NEW)).look()
    wanting(story, EAST, release=NEWER).look()

    assert "go" == story.action(WEST)


def test_another_release_has_to_ask_again() -> None:
    story = wanting(in_order(), EAST).look()
    assert "go" == story.action(EAST)
    story.stand(a_standing(EAST, "settled", NEW))
    wanting(story, WEST).look()
    assert "go" == story.action(WEST)

    wanting(story, WEST, release=NEWER).look()

    assert "wait" == story.action(WEST)


def test_a_canary_that_nobody_knows_is_waited_for_and_named() -> None:
    story = in_order()
    del story.standings[EAST]
    wanting(story, WEST).look()

    assert (
        "there is no canary shop/web in east; create it, or take it out of spec.steps"
        == story.why(WEST)
    )


def test_one_that_began_without_asking_is_named() -> None:
    story = in_order().stand(a_standing(WEST, "running", NEW)).look()

    assert UNASKED == story.said_of(WEST)


def test_one_that_never_asks_is_named_before_anything_begins() -> None:
    story = in_order().stand(a_standing(WEST, asks=False)).look()

    assert [NEVER_ASKS] == [m.message for m in story.wave.status.canaries if m.message]


# --- when one fails ------------------------------------------------------------------------------


def test_the_first_ones_failure_stops_the_rest() -> None:
    story = wanting(in_order()).look()
    story.stand(a_standing(EAST, "failed", NEW)).look()

    assert ["", "wait", "wait"] == [story.action(key) for key in REGIONS]
    assert "shop/web in east failed" in story.why(WEST)
    assert "Stopped" == story.says[0]


def test_a_later_failure_keeps_what_was_done() -> None:
    story = in_order().stand(a_standing(EAST, "settled", NEW), a_standing(WEST, "settled", NEW))
    story.stand(a_standing(SOUTH, "failed", NEW)).look()

    assert ["", "", ""] == [story.action(key) for key in REGIONS]
    assert ("Stopped", "", "shop/web in south failed") == story.says


def test_what_was_let_go_and_has_not_begun_is_held_back_again() -> None:
    steps = [a_step("all", *REGIONS)]
    story = Story(a_wave(*steps)).stand(*map(a_standing, REGIONS)).look()
    wanting(story).look()
    assert ["go"] * 3 == [story.action(key) for key in REGIONS]

    story.stand(a_standing(EAST, "failed", NEW), a_standing(WEST, "running", NEW)).look()

    assert ["", "go", "wait"] == [story.action(key) for key in REGIONS]


@pytest.mark.parametrize(
    ("on_failure", "actions"),
    [("stop", ["", "go"]), ("rollBack", ["", "abort"]), ("undo", ["undo", "abort"])],
)
def test_a_rule_says_what_becomes_of_the_others(on_failure: str, actions: list[str]) -> None:
    """South fails; east was done, west is under way."""
    story = Story(a_wave(a_step("first", EAST), a_step("rest", WEST, SOUTH), on_failure=on_failure))
    story.stand(*map(a_standing, REGIONS)).look()
    story.stand(a_standing(EAST, "settled", NEW)).look()
    story.stand(a_standing(WEST, "running", NEW), a_standing(SOUTH, "running", NEW)).look()
    story.stand(a_standing(SOUTH, "failed", NEW)).look()

    assert actions == [story.action(key) for key in (EAST, WEST)]
    if "undo" in actions:
        assert NEW == story.order(EAST).release  # type: ignore[union-attr]


def test_undo_gives_back_only_what_came_with_the_release_that_failed() -> None:
    story = Story(a_wave(a_step("all", *REGIONS), on_failure="undo"))
    story.stand(*map(a_standing, REGIONS)).look()
    story.stand(a_standing(EAST, "settled", NEW)).look()

    story.stand(a_standing(SOUTH, "failed", NEWER)).look()
    assert "" == story.action(EAST) == story.action(WEST)

    story.stand(a_standing(SOUTH, "failed", NEW)).look()
    assert ["undo", ""] == [story.action(key) for key in (EAST, WEST)]


def test_all_or_nothing_for_services_that_share_no_images() -> None:
    """What came before this run stays."""
    story = Story(a_wave(a_step("all", *REGIONS), on_failure="undo", identity="any"))
    story.stand(*map(a_standing, REGIONS)).look()
    wanting(story, EAST).look().stand(a_standing(EAST, "settled", NEW)).look()
    wanting(story, WEST, SOUTH).look().stand(a_standing(WEST, "settled", NEW)).look()

    story.stand(a_standing(SOUTH, "failed", NEW)).look()

    assert ["", "undo"] == [story.action(key) for key in (EAST, WEST)]


def test_a_failure_may_be_overridden_once() -> None:
    story = wanting(in_order()).look().stand(a_standing(EAST, "failed", NEW)).look()
    story.annotate(override_failure="alice: east has no customers").look()
    assert "shop/web in east is Failed" == story.why(WEST)

    story.stand(*(a_standing(key, "settled", NEW) for key in REGIONS)).look()
    wanting(story, release=NEWER).look().stand(a_standing(EAST, "failed", NEWER)).look()

    assert "Stopped" == story.says[0]


def test_a_better_release_needs_no_override() -> None:
    story = wanting(in_order()).look().stand(a_standing(EAST, "failed", NEW)).look()

    wanting(story, release=NEWER).look()

    assert ["go", "wait", "wait"] == [story.action(key) for key in REGIONS]


# --- time ----------------------------------------------------------------------------------------


def soaking() -> Story:
    steps = (a_step("first", EAST, soak="10m"), a_step("second", WEST))
    story = Story(a_wave(*steps)).stand(a_standing(EAST), a_standing(WEST)).look()
    wanting(story, EAST, WEST).look(60.0)
    return story.stand(a_standing(EAST, "settled", NEW)).look(60.0)


def test_a_step_soaks_before_the_next_begins() -> None:
    story = soaking()
    until = T0 + 120.0 + 600.0

    assert f"step first soaks until {rfc3339(until)}" == story.why(WEST)
    assert until == story.due_at
    story.look(599.0)
    assert "wait" == story.action(WEST)
    story.look(1.0)
    assert "go" == story.action(WEST)


def test_a_newer_release_in_the_first_step_soaks_again() -> None:
    story = soaking().look(500.0)
    wanting(story, EAST, release=NEWER).look()
    story.stand(a_standing(EAST, "settled", NEWER))
    wanting(story, WEST, release=NEWER).look(60.0).look(500.0)

    assert "soaks" in story.why(WEST)


def test_an_approval_lets_the_next_step_begin_once() -> None:
    steps = (a_step("first", EAST, approval=True), a_step("second", WEST))
    story = Story(a_wave(*steps)).stand(a_standing(EAST), a_standing(WEST)).look()
    wanting(story, WEST).stand(a_standing(EAST, "settled", NEW)).look()
    assert story.why(WEST).startswith("approval after step first")
    assert "Waiting" == story.says[0]

    story.annotate(approve_first="alice").look()
    assert "go" == story.action(WEST)

    story.stand(a_standing(WEST, "settled", NEW), a_standing(EAST, "settled", NEWER)).look()
    wanting(story, WEST, release=NEWER).look()
    assert "wait" == story.action(WEST)

    story.annotate(approve_first="alice again").look()
    assert "go" == story.action(WEST)


def test_an_approval_before_the_step_is_done_waits_for_that() -> None:
    steps = (a_step("first", EAST, approval=True), a_step("second", WEST))
    story = Story(a_wave(*steps)).stand(a_standing(EAST), a_standing(WEST)).look()
    wanting(story, EAST, WEST).annotate(approve_first="alice").look()
    assert "wait" == story.action(WEST)

    story.stand(a_standing(EAST, "settled", NEW)).look()

    assert "go" == story.action(WEST)


def test_nothing_begins_in_a_freeze_and_what_runs_goes_on() -> None:
    freeze = Freeze(from_=rfc3339(T0), to=rfc3339(T0 + 3600), reason="black friday")
    story = in_order(freeze=(freeze,)).stand(a_standing(EAST, "running", NEW))
    wanting(story, WEST).look()

    assert ["go", "wait"] == [story.action(key) for key in (EAST, WEST)]
    assert f"frozen until {rfc3339(T0 + 3600)} (black friday)" in story.why(WEST)
    assert T0 + 3600 == story.due_at


def test_a_freeze_may_be_overridden_and_the_next_one_counts_again() -> None:
    first = Freeze(from_=rfc3339(T0), to=rfc3339(T0 + 3600))
    second = Freeze(from_=rfc3339(T0 + 7200), to=rfc3339(T0 + 9000))
    story = wanting(in_order(freeze=(first, second)), EAST).look()
    assert "wait" == story.action(EAST)

    story.annotate(override_freeze="alice: security fix").look()
    assert "go" == story.action(EAST)

    story.stand(a_standing(EAST, "settled", NEW)).look(5000.0)
    wanting(story, EAST, release=NEWER).look(3000.0)
    assert "wait" == story.action(EAST)


# --- crowds --------------------------------------------------------------------------------------


def test_fifty_that_one_change_starts_go_a_few_at_a_time() -> None:
    keys = [a_key("home", f"web-{n:02}") for n in range(50)]
    everybody = Step(name="all", canaries=(Member(selector={"tier": "web"}),), at_once=5)
    labels = {"tier": "web"}
    story = Story(a_wave(everybody)).stand(*(a_standing(key, labels=labels) for key in keys)).look()
    story.stand(*(a_standing(key, "waiting", NEW, labels=labels) for key in keys))
    most, done = 0, 0
    while done < 50:
        story.look()
        going = [key for key in keys if story.action(key) == "go"]
        most = max(most, len(going))
        for key in going:
            state = story.standings[key].state
            after = "running" if state == "waiting" else "settled"
            story.stand(a_standing(key, after, NEW, labels=labels))  # type: ignore[arg-type]
            done += after == "settled"
    assert 5 == most


def test_who_was_let_go_keeps_its_place_when_an_earlier_one_comes() -> None:
    story = Story(a_wave(a_step("all", *REGIONS), at_once=1)).stand(*map(a_standing, REGIONS))
    wanting(story.look(), SOUTH).look()
    assert "go" == story.action(SOUTH)

    wanting(story, EAST).look()

    assert ["wait", "go"] == [story.action(key) for key in (EAST, SOUTH)]
    assert "1 are under way, 1 may be at once" == story.why(EAST)


def test_a_paused_wave_holds_what_runs_and_lets_nothing_begin() -> None:
    story = in_order().stand(a_standing(EAST, "running", NEW))
    wanting(story, WEST).edit(paused=True).look()

    assert ["hold", "wait"] == [story.action(key) for key in (EAST, WEST)]
    assert "Paused" == story.says[0]


# --- cut off -------------------------------------------------------------------------------------


def test_a_cluster_without_news_is_waited_for_and_never_guessed_about() -> None:
    story = in_order().stand(a_standing(EAST, "settled", NEW))
    story.silent = {"east": T0 - 30}
    wanting(story, WEST).look()

    assert f"no news from east since {rfc3339(T0 - 30)}; annotate" in story.why(WEST)
    assert ("Waiting", "west") == story.says[:2]

    story.silent = {}
    story.look()
    assert "go" == story.action(WEST)


def test_a_cluster_that_was_never_heard_of_is_waited_for_since_the_start() -> None:
    """After a restart nothing is known of it: that is said, with since when and what to do."""
    story = in_order()
    story.unheard = {"east"}
    del story.standings[EAST]
    wanting(story, WEST).look(60.0)

    assert (
        f"no news from east since this coordinator started at {rfc3339(T0)}; "
        "annotate serinus.dev/override-silence=<who> to go on without it" == story.why(WEST)
    )
    assert "Waiting" == story.says[0]


@pytest.mark.parametrize("never", [False, True])
def test_silence_may_be_overridden_and_the_next_one_counts_again(never: bool) -> None:
    story = in_order()
    silence(story, "east", never=never)
    wanting(story, WEST, SOUTH).look()
    story.annotate(override_silence="alice: east burns").look()
    assert ["go", "wait"] == [story.action(key) for key in (WEST, SOUTH)]

    story.unheard, story.silent = set(), {}
    story.stand(*(a_standing(key, "settled", NEW) for key in REGIONS)).look()
    silence(story, "east", never=never)
    wanting(story, WEST, release=NEWER).look()

    assert "wait" == story.action(WEST)
    assert {"serinus.dev/override-silence": "alice: east burns"} == story.wave.status.used


def silence(story: Story, cluster: str, *, never: bool) -> None:
    if never:
        story.unheard = {cluster}
        story.standings.pop(a_key(cluster), None)
    else:
        story.silent = {cluster: story.now - 30}


def test_labels_in_a_cluster_that_is_not_known_yet_are_waited_for() -> None:
    """Or a step would be done that nobody has seen: canaries come with news only."""
    first = Step(name="first", canaries=(Member(cluster="east", selector={"tier": "web"}),))
    story = Story(a_wave(first, a_step("second", WEST))).stand(a_standing(WEST))
    story.unheard = {"east"}
    wanting(story, WEST).look()
    assert "no news from east" in story.why(WEST)

    story.unheard = set()
    story.look()
    assert "step first has no canary of its own; name or label one" in story.why(WEST)

    story.stand(a_standing(EAST, "settled", NEW, labels={"tier": "web"})).look()
    assert "go" == story.action(WEST)


def test_an_approval_is_not_spent_while_a_cluster_of_its_step_is_not_heard_of() -> None:
    """The step is not done then: it may come to have something else in it."""
    steps = (a_step("first", EAST, SOUTH, approval=True), a_step("second", WEST))
    story = Story(a_wave(*steps)).stand(*map(a_standing, REGIONS)).look()
    story.stand(a_standing(EAST, "settled", NEW), a_standing(SOUTH, "running", NEW)).look()
    silence(story, "south", never=True)
    wanting(story, WEST).annotate(approve_first="alice").look()

    story.unheard = set()
    story.stand(a_standing(SOUTH, "settled", NEW)).look()

    assert "go" == story.action(WEST)


def test_a_soak_and_an_approval_outlive_a_silence() -> None:
    steps = (a_step("first", EAST, soak="10m", approval=True), a_step("second", WEST))
    story = Story(a_wave(*steps)).stand(a_standing(EAST, "settled", NEW), a_standing(WEST)).look()
    wanting(story, WEST).annotate(approve_first="alice").look(60.0)
    before = story.wave.status.steps[0]
    silence(story, "east", never=True)
    story.look(60.0)
    assert "no news from east" in story.why(WEST)
    assert (before.done_at, before.approved) == (T0, "alice")
    assert replace(before, counts={}) == replace(story.wave.status.steps[0], counts={})

    story.unheard = set()
    story.stand(a_standing(EAST, "settled", NEW)).look(480.0)

    assert "go" == story.action(WEST)


# --- remembering ---------------------------------------------------------------------------------


def test_looking_again_changes_nothing() -> None:
    story = wanting(in_order()).look()
    status = story.wave.status

    story.look(5.0)

    assert status == story.wave.status


def test_since_is_when_it_began_to_say_so() -> None:
    story = wanting(in_order()).look(60.0)
    assert rfc3339(T0 + 60) == story.wave.status.since
    story.look(60.0)
    assert rfc3339(T0 + 60) == story.wave.status.since
    story.stand(a_standing(EAST, "failed", NEW)).look(60.0)
    assert rfc3339(T0 + 180) == story.wave.status.since


def test_a_wave_that_cannot_work_lets_nobody_go() -> None:
    story = Story(a_wave(a_step("a", EAST), a_step("a", WEST))).stand(
        a_standing(EAST, "waiting", NEW)
    )
    story.look()
    assert "Refused" == story.says[0]
    assert "spec.steps[1].name" in story.says[2]
    assert "wait" == story.action(EAST)
    assert story.why(EAST).startswith("the wave is refused: spec.steps[1].name")


def test_a_wave_that_is_broken_under_way_forgets_nothing() -> None:
    """What was let go goes on, what is held stays held; a better manifest goes on from there."""
    story = wanting(in_order(), EAST).look().stand(a_standing(EAST, "running", NEW)).look()
    remembered = [step.remembered for step in story.wave.status.steps]
    steps = story.wave.spec.steps
    wanting(story, WEST).edit(steps=(replace(steps[0], soak="soon"), *steps[1:])).look()
    assert ["go", "wait"] == [story.action(key) for key in (EAST, WEST)]
    story.edit(paused=True).look()
    assert ["hold", "wait"] == [story.action(key) for key in (EAST, WEST)]
    assert "Refused" == story.says[0]

    story.edit(steps=steps, paused=False).look()

    assert "Running" == story.says[0]
    assert remembered[0] == story.wave.status.steps[0].remembered


def test_a_wave_of_more_than_can_be_kept_is_refused() -> None:
    everybody = Step(name="all", canaries=(Member(selector={"tier": "web"}),))
    labels = {"tier": "web"}
    keys = [a_key("home", f"web-{n}") for n in range(MEMBERS_MAX + 1)]
    story = Story(a_wave(everybody)).stand(*(a_standing(key, labels=labels) for key in keys))

    assert "make several waves of them" in story.look().says[2]

    del story.standings[keys[0]]
    assert "Idle" == story.look().says[0]


def test_the_status_of_the_largest_wave_is_far_below_what_etcd_takes() -> None:
    """With the longest names of Services, all waiting, each with a release of its own."""
    where = {"cluster": "c" * 63, "namespace": "n" * 63}
    everybody = Step(name="all", canaries=(Member(**where, selector={"tier": "web"}),))
    keys = [a_key(where["cluster"], f"{n:063}", where["namespace"]) for n in range(MEMBERS_MAX)]
    story = Story(a_wave(everybody, identity="any"))
    for version in (OLD, NEW):
        story.stand(
            *(
                a_standing(key, "waiting", f"{n:012}", live=version, labels={"tier": "web"})
                for n, key in enumerate(keys)
            )
        ).look()
    size = len(msgspec.json.encode(story.wave.status))
    assert 400_000 < size < 750_000
