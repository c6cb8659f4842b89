"""Gates from the command line, where they cannot be reached."""

from pathlib import Path

import pytest

from serinus.cli import gates
from serinus.cli.main import main

NOWHERE = "http://127.0.0.1:1"


def test_a_load_tester_that_is_not_here_is_brought_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "HERE", NOWHERE)
    assert main(["gate", "list", "--url", NOWHERE]) == 1
    assert "cannot connect: " in (said := capsys.readouterr().err)
    assert f"; reach it with {gates.FORWARD}, or name it with --url" in said


def test_one_that_was_named_is_only_said_to_be_away(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "list", "--url", NOWHERE]) == 1
    assert "reach it with" not in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "token")
    assert main(["gate", "list", "--token-file", path]) == 1
    assert capsys.readouterr().err == f"{path}: No such file or directory\n"
