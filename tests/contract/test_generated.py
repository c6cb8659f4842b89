"""Derived files are what their generators say, and nothing else lies beside them."""

from __future__ import annotations

from pathlib import Path

from tests.gen import tree


def test_every_generated_file_is_fresh() -> None:
    differences = tree.stale()
    assert differences == {}, "run: make gen\n" + "".join(differences.values())


def test_a_stale_file_and_a_left_over_one_are_told_and_put_right(tmp_path: Path) -> None:
    tree.write(tmp_path)
    canaries = tmp_path / "deploy/chart/files/crds/canaries.yaml"
    canaries.write_text(canaries.read_text().replace("stepWeight:", "stepWeigth:"))
    (tmp_path / "deploy/chart/files/crds/gone.yaml").write_text("left over\n")
    assert list(tree.stale(tmp_path)) == [
        "deploy/chart/files/crds/canaries.yaml",
        "deploy/chart/files/crds/gone.yaml",
    ]
    tree.write(tmp_path)
    assert tree.stale(tmp_path) == {}
