"""What is written down, and which news is newer than our own."""

import pytest
from msgspec.structs import replace
from tests.builders import OLD, a_canary, a_status, a_workload_seen, an_observed
from tests.unit.analyzer.doubles import FakeCluster, merge

from serinus.analyzer.shell.remember import Memory, status_patch, write_finalizer, write_status
from serinus.events import FINALIZER, CanaryRef, CanaryStatus, Condition
from serinus.kube.errors import Conflict

PROGRESSING = a_status("Progressing", canary_weight=20)
ADVANCED = replace(PROGRESSING, canary_weight=40)


def written(version: str, status: CanaryStatus = ADVANCED) -> dict[str, object]:
    return a_canary(status=status, metadata={"resourceVersion": version})


def test_an_older_snapshot_does_not_undo_our_own_write() -> None:
    """The watcher had not seen our write yet: surroundings are news, the object is not."""
    memory = Memory(an_observed(status=PROGRESSING, resource_version="1"))
    memory.wrote(written("2"))

    newer = memory.take(
        an_observed(status=PROGRESSING, resource_version="1", missing_configs=("configmap/x",))
    )

    assert not newer
    assert memory.current.status.canary_weight == 40
    assert memory.current.resource_version == "2"
    assert memory.current.missing_configs == ("configmap/x",)


def test_a_version_never_seen_is_newer() -> None:
    memory = Memory(an_observed(status=PROGRESSING, resource_version="1"))
    memory.wrote(written("2"))

    assert memory.take(an_observed(status=PROGRESSING, resource_version="3"))
    assert memory.current.status.canary_weight == 20


def test_a_snapshot_whose_numbers_are_behind_is_old_whatever_its_version() -> None:
    """One that comes again late must not make the newest version look replaced."""
    later = replace(ADVANCED, last_transition_time="2099-01-01T00:00:00.000Z")
    for newest, old in (
        ({"status": later}, {"status": ADVANCED}),
        ({"status": ADVANCED, "generation": 4}, {"status": ADVANCED, "generation": 3}),
    ):
        memory = Memory(an_observed(status=PROGRESSING, resource_version="1"))
        assert memory.take(an_observed(resource_version="3", **newest))
        assert not memory.take(an_observed(resource_version="2", **old))
        assert memory.current.resource_version == "3"


def test_watchers_whose_clocks_disagree_hold_nothing_back() -> None:
    memory = Memory(an_observed(status=PROGRESSING, resource_version="1", at=5000.0))

    assert memory.take(an_observed(status=ADVANCED, resource_version="2", at=1000.0))
    assert memory.current.status.canary_weight == 40


@pytest.mark.parametrize("part", ["target", "primary"])
def test_a_watcher_that_fell_behind_does_not_bring_an_old_workload_back(part: str) -> None:
    """It would look as if somebody had set the target back."""
    old, new = a_workload_seen(OLD, resource_version="7"), a_workload_seen(resource_version="8")
    memory = Memory(an_observed(**{part: old}, configs={"configmap/x": "1"}))
    memory.take(an_observed(**{part: new}, configs={"configmap/x": "2"}))

    memory.take(an_observed(**{part: old}, rivals=("other",), configs={"configmap/x": "1"}))

    assert getattr(memory.current, part) == new
    assert memory.current.rivals == ("other",)
    assert memory.current.configs == {"configmap/x": "2" if part == "target" else "1"}


def test_versions_are_compared_for_equality_only() -> None:
    memory = Memory(an_observed(status=PROGRESSING, resource_version="900"))
    memory.wrote(written("1000"))

    assert memory.take(an_observed(status=PROGRESSING, resource_version="b7"))


def test_a_canary_made_anew_starts_from_nothing() -> None:
    memory = Memory(an_observed(status=ADVANCED, resource_version="1"))
    memory.wrote(written("2"))
    anew = CanaryRef("shop", "web", "another-uid")

    assert memory.take(an_observed(canary=anew, status=CanaryStatus(), resource_version="1"))
    assert memory.current.status == CanaryStatus()


def test_superseded_versions_are_forgotten_in_the_end() -> None:
    memory = Memory(an_observed(resource_version="0"))
    for version in range(1, 1000):
        memory.wrote(written(str(version)))

    assert len(memory._superseded) <= 32


async def test_the_status_is_written_over_the_version_it_was_decided_on() -> None:
    cluster = FakeCluster(a_canary(status=PROGRESSING))
    (live,) = cluster.objects.values()
    seen = an_observed(status=PROGRESSING, resource_version=live["metadata"]["resourceVersion"])

    obj = await write_status(cluster, seen, ADVANCED)

    assert obj["status"]["canaryWeight"] == 40
    assert cluster.patches[0][1] == "status"
    with pytest.raises(Conflict):
        await write_status(cluster, seen, ADVANCED)


def test_a_patch_holds_what_changed_and_the_numbers() -> None:
    """A zero that was never written is a blank in kubectl's columns."""
    patch = status_patch(PROGRESSING, ADVANCED)

    stamp = PROGRESSING.last_transition_time
    assert patch.pop("lastTransitionTime") == stamp
    assert patch == {"canaryWeight": 40, "failedChecks": 0, "iterations": 0}


def test_a_config_that_is_no_longer_tracked_is_taken_away() -> None:
    """In a merge patch, what is left out stays."""
    old = a_status(tracked_configs={"configmap/a": "1", "secret/b": "2"})
    new = replace(old, tracked_configs={"secret/b": "3"})

    merged = merge({"trackedConfigs": old.tracked_configs}, status_patch(old, new))

    assert merged["trackedConfigs"] == {"secret/b": "3"}
    assert status_patch(old, replace(old, tracked_configs=None))["trackedConfigs"] is None


def test_times_that_are_not_set_are_left_out() -> None:
    condition = Condition(type="Promoted", status="True", reason="Succeeded")
    patch = status_patch(CanaryStatus(), CanaryStatus(conditions=(condition,)))

    assert patch["lastTransitionTime"] is None
    assert patch["conditions"] == [
        {"type": "Promoted", "status": "True", "reason": "Succeeded", "message": ""}
    ]


def test_a_cookie_that_is_gone_is_gone() -> None:
    old = a_status(session_affinity_cookie="c=1")

    assert status_patch(old, a_status())["sessionAffinityCookie"] is None


async def test_a_finalizer_joins_those_of_others_and_leaves_them() -> None:
    cluster = FakeCluster(a_canary(metadata={"finalizers": ["other/one"]}))
    (live,) = cluster.objects.values()
    memory = Memory(
        an_observed(resource_version=live["metadata"]["resourceVersion"], finalizers=("other/one",))
    )

    obj = await write_finalizer(cluster, memory.current, True)
    assert obj is not None
    memory.wrote(obj)
    assert memory.current.finalizers == ("other/one", FINALIZER)

    obj = await write_finalizer(cluster, memory.current, False)
    assert obj is not None
    assert obj["metadata"]["finalizers"] == ["other/one"]


async def test_a_finalizer_that_is_as_wanted_costs_nothing() -> None:
    cluster = FakeCluster()

    assert await write_finalizer(cluster, an_observed(), False) is None
    assert cluster.patches == []
