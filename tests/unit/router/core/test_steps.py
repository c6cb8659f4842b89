"""What a step does to the world that a plan sees."""

from __future__ import annotations

from tests.builders import REF, a_config_map
from tests.unit.router.core.scenes import APEX, TARGET, a_target, at_work

from serinus.kube.refs import ref_of
from serinus.router import configs
from serinus.router.core.steps import Write, after
from serinus.router.workloads import deployment


def test_an_object_is_as_it_was_written_and_all_others_as_they_were() -> None:
    before = at_work()
    parked = deployment.parked(a_target())
    step = Write(verb="patch", ref=TARGET, why="canary down", whole=parked, live=a_target())

    found = after(before, step)

    assert parked == found.live.get(TARGET)
    assert before.live.get(APEX) is found.live.get(APEX)
    assert a_target() == before.live.get(TARGET)


def test_a_write_may_have_moved_traffic() -> None:
    """So a plan never takes for granted that proxies have followed."""
    step = Write(verb="patch", ref=TARGET, why="x", whole=a_target(), live=a_target())

    assert 0.0 == after(at_work(unchanged_s=60.0), step).unchanged_s


def test_a_copy_is_known_by_its_checksum_only() -> None:
    whole = configs.copy_of(a_config_map("settings", {"a": "1"}), REF, ())
    step = Write(verb="copy", ref=ref_of(whole), why="copy", whole=whole, checksum="abc")

    found = after(at_work(), step)

    assert {"configmap/settings": "abc"} == found.copied
    assert found.live.get(ref_of(whole)) is None
