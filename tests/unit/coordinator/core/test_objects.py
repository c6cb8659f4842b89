"""Waves as the API server has them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from serinus.coordinator.core.objects import Unreadable, event, key_of, status_patch, wave_of
from serinus.coordinator.core.waves import WaveStatus

WAVE = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 3},
    "spec": {"steps": [{"name": "a", "canaries": [{"name": "web"}]}], "paused": True},
    "status": {"phase": "Paused", "used": {"a": "b"}},
}


def test_a_wave_is_read_with_its_status() -> None:
    wave = wave_of(WAVE, "east")
    assert ("shop/web", "east", 3) == (wave.key, wave.cluster, wave.generation)
    assert (True, "Paused") == (wave.spec.paused, wave.status.phase)
    assert "shop/web" == key_of(WAVE)


def test_what_cannot_be_read_leaves_what_was_remembered() -> None:
    with pytest.raises(Unreadable, match=r"spec\.steps: Expected `array`") as error:
        wave_of({**WAVE, "spec": {"steps": 7}}, "east")
    assert ("shop/web", "Paused") == (error.value.wave.key, error.value.wave.status.phase)


def test_a_status_replaces_the_one_before_whole() -> None:
    before = WaveStatus(phase="Frozen", message="until Monday", used={"a": "1", "b": "2"})
    after = WaveStatus(phase="Idle", used={"b": "2"})
    assert {"phase": "Idle", "message": None, "used": {"a": None, "b": "2"}} == status_patch(
        before, after
    )


def test_an_event_says_the_step_and_what_is_waited_for_once() -> None:
    wave = wave_of(WAVE, "east")
    status = replace(wave.status, step="a", message="the wave is paused", since="S")
    said = event(wave, status, 0.0)
    assert "step a: the wave is paused" == said["message"]
    assert ("Paused", "Normal") == (said["reason"], said["type"])
    assert said["metadata"]["name"] == event(wave, status, 99.0)["metadata"]["name"]
    assert "Warning" == event(wave, replace(status, phase="Refused"), 0.0)["type"]
