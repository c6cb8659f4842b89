"""What a cluster would refuse is refused before, with the field and the cure."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.specs import SPEC, a_canary

from serinus.cli import manifest
from serinus.cli.main import main
from serinus.cli.manifest import Unusable

RATE = "{name: request-success-rate, interval: 30s, thresholdRange: {min: 97}}"


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("stepWeight:", "stepWeigth:", "spec.analysis.stepWeigth: is no field; did you mean step"),
        (RATE, "{name: a, treshold: 1}", "spec.analysis.metrics[0].treshold: is no field; did you"),
        (RATE, "{name: a, xyzzy: 1}", "spec.analysis.metrics[0].xyzzy: is no field; leave it out"),
        ("maxWeight: 50", "maxWeight: half", "spec.analysis.maxWeight: expected a whole number"),
        ("interval: 10s", "interval: 10", "spec.analysis.interval: expected text, got a whole"),
        ("interval: 10s", "interval: 10", "write a Go duration such as 30s or 1m"),
        ("istio", "istioo", "spec.provider: unknown value 'istioo'; use one of apisix, "),
        ("{port: 80}", "{port: 0}", "spec.service.port: 0 is no port; use 1 to 65535"),
        (
            "success-rate",
            "succes-rate",
            "spec.analysis.metrics[0]: request-succes-rate has neither",
        ),
        (RATE, "{name: a, templateRef: a}", "metrics[0].templateRef: expected a map, got text"),
        ("min: 97", "min: 97, max: 1", "metrics[0].thresholdRange: min 97 is above max 1"),
        ("targetRef:", "targetref:", "spec.targetref: is no field; did you mean targetRef?"),
    ],
)
def test_a_wrong_field_is_named_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, told: str
) -> None:
    assert right in SPEC
    path = a_canary(tmp_path, SPEC.replace(right, wrong, 1))

    assert main(["simulate", path, "--runs", "1"]) == 2

    said = capsys.readouterr()
    assert told in said.err
    assert said.err.startswith(f"{path}: spec.")
    assert not said.out


def test_a_users_own_map_may_hold_anything(tmp_path: Path) -> None:
    hook = "\n    webhooks: [{name: h, url: 'http://h', metadata: {anything: goes}}]\n"
    whole = SPEC.rstrip("\n") + hook
    assert manifest.read(a_canary(tmp_path, whole)).spec.analysis is not None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere.yaml")
    with pytest.raises(Unusable) as refused:
        manifest.read(path)
    assert str(refused.value) == f"{path}: No such file or directory"


def test_a_release_that_would_never_succeed_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A template that is not in the file is not in the cluster either, for all that is known."""
    unmeasured = SPEC.replace(RATE, "{name: errors, templateRef: {name: errors}}")

    assert main(["simulate", a_canary(tmp_path, unmeasured), "--runs", "1"]) == 0

    _, _, why = capsys.readouterr().out.partition("because:\n")
    assert "errors.shop" in why.partition("at 100 requests")[0]


def test_whoever_has_read_enough_may_hang_up(tmp_path: Path) -> None:
    """`serinus simulate ... | head -1`."""
    code = "import sys; from serinus.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "simulate", a_canary(tmp_path), "--runs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0
