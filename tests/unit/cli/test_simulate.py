"""What a release would take, and what it would catch."""

from pathlib import Path

import pytest
from tests.unit.cli.specs import JUDGED, SCORED, SPEC, a_canary

from serinus.cli import manifest
from serinus.cli.main import main
from serinus.cli.simulate import Traffic, lines, release

ERRORS = Traffic(requests=100, errors=0.01)


def test_it_says_how_long_a_release_takes_and_its_steps(tmp_path: Path) -> None:
    told = list(lines(manifest.read(a_canary(tmp_path)), ERRORS, 3))

    assert told[0] == "without trouble it takes 50s and ends Succeeded:"
    assert [line.split()[-1] for line in told[1:7]] == ["0%", "10%", "20%", "30%", "40%", "50%"]


def test_a_judge_catches_what_a_threshold_misses_and_spares_the_good(tmp_path: Path) -> None:
    judged = manifest.read(a_canary(tmp_path, JUDGED))
    worse = Traffic(requests=100, errors=0.003, ratio=5)
    same = Traffic(requests=100, errors=0.003)

    caught = [release(judged, worse, seed)[0].phase for seed in range(20)]
    spared = [release(judged, same, seed)[0].phase for seed in range(20)]
    missed = [
        release(manifest.read(a_canary(tmp_path, SPEC)), worse, seed)[0].phase for seed in range(20)
    ]

    assert caught.count("Failed") >= 14
    assert spared.count("Succeeded") >= 19
    assert missed.count("Succeeded") >= 19


def test_queries_with_a_judge_find_both_sides_alike(tmp_path: Path) -> None:
    scored = manifest.read(a_canary(tmp_path, SCORED))

    assert release(scored, ERRORS, 1)[0].phase == "Succeeded"


def test_a_share_that_is_verified_is_there_and_holds_nothing_up(tmp_path: Path) -> None:
    verified = SPEC.replace("  analysis:\n", "  analysis:\n    verifyTraffic: {}\n")
    assert verified != SPEC

    told = list(lines(manifest.read(a_canary(tmp_path, verified)), ERRORS, 3))

    assert told[0] == "without trouble it takes 50s and ends Succeeded:"


def test_the_same_seed_is_the_same_release(tmp_path: Path) -> None:
    known = manifest.read(a_canary(tmp_path))

    assert release(known, ERRORS, 5) == release(known, ERRORS, 5)


def test_it_is_a_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--runs", "2", "--rate", "50", "--regression", "10"]

    assert main(["simulate", a_canary(tmp_path), *arguments]) == 0
    assert "10 times the errors" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--runs", "0"], ["--rate", "-1"], ["--errors", "x"]])
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", a_canary(tmp_path), *arguments])


def test_a_file_without_a_canary_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", a_canary(tmp_path, "kind: Service")]) == 2
    assert "one Canary is wanted" in capsys.readouterr().err
