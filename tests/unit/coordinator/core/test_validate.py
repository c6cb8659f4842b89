"""What cannot work is refused with its path and the cure."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.coordinator.fleets import a_key, a_step, a_wave

from serinus.coordinator.core.validate import problems, unreadable
from serinus.coordinator.core.waves import Freeze, Member, Step, Wave, WaveSpec

EAST, WEST = a_key("east"), a_key("west")


@pytest.mark.parametrize(
    ("wave", "said"),
    [
        (a_wave(), "spec.steps: there are none"),
        (a_wave(Step(name="a", canaries=())), "spec.steps[0].canaries: there are none"),
        (a_wave(a_step("a", EAST), a_step("a", WEST)), "spec.steps[1].name: 'a' is empty or taken"),
        (a_wave(Step(name="a", canaries=(Member(),))), "spec.steps[0].canaries[0]: write either"),
        (a_wave(a_step("a", EAST, soak="soon")), "spec.steps[0].soak: 'soon' is no duration"),
        (
            a_wave(a_step("a", EAST), freeze=(Freeze(from_="now", to="later"),)),
            "spec.freeze[0]: from 'now' to 'later'; write times like",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_path(wave: Wave, said: str) -> None:
    assert problems(wave)[0].startswith(said)


def test_what_can_work_is_not_refused() -> None:
    freeze = Freeze(days=("Fri",), from_="16:00", to="24:00", time_zone="Europe/Berlin")
    steps = (a_step("a", EAST, soak="1h30m"), a_step("b", WEST, approval=True))
    assert [] == problems(a_wave(*steps, freeze=(freeze,)))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"steps": "all"},
            "spec.steps: Expected `array`, got `str`; see `kubectl explain wave.spec.steps`",
        ),
        ({"steps": [{"name": "a", "canaries": 3}]}, "spec.steps[0].canaries: Expected `array`"),
        ({"onFailure": "pray"}, "spec.onFailure: Invalid enum value 'pray'; see `kubectl explain"),
        ([], "spec: Expected `object`, got `array`; see `kubectl explain wave.spec`"),
    ],
)
def test_what_cannot_be_decoded_is_named_with_its_path(spec: object, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(spec, WaveSpec)
    assert unreadable("spec", str(error.value)).startswith(said)
