"""Missing programs and CRDs are errors that name them and say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import crds
from tests.servers.process import ServerError
from tests.tools import build, debian


def a_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_assets_of_the_environment_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KUBEBUILDER_ASSETS is taken before PATH and before anything is built."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    expected = {name: a_program(tmp_path / name) for name in build.PACKAGES}

    assert build.programs() == expected


def test_an_incomplete_assets_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that is not there is named; nothing else is tried."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    a_program(tmp_path / "etcd")
    a_program(tmp_path / "kube-apiserver")

    with pytest.raises(ServerError, match=r"has no kube-controller-manager$"):
        build.programs()


def test_programs_on_path_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them have to be there: a mixture of releases would be nobody's choice."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = {name: a_program(tmp_path / name) for name in build.PACKAGES}

    assert build.programs() == expected


def test_built_programs_are_kept_by_what_they_are_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed pin is another folder of the cache, so no stale program is ever run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = build.cache()
    pins = tmp_path / "pins"
    pins.mkdir()
    for part in ("go.mod", "go.sum"):
        (pins / part).write_bytes((build.MODULE / part).read_bytes())
    (pins / "go.sum").write_bytes((pins / "go.sum").read_bytes() + b"\n")
    monkeypatch.setattr(build, "MODULE", pins)

    assert build.cache().parent == before.parent == tmp_path / "cache" / "serinus" / "tools"
    assert build.cache() != before


def test_a_missing_folder_of_crds_names_the_mesh_and_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it knows what to put where."""
    monkeypatch.setenv("SERINUS_MESH_CRDS", str(tmp_path))

    with pytest.raises(ServerError, match=r"CRDs of traefik in .* SERINUS_MESH_CRDS is to hold"):
        crds.files()


def test_a_folder_of_crds_that_is_named_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lies beside the repository."""
    monkeypatch.setenv("SERINUS_MESH_CRDS", str(tmp_path))
    (tmp_path / "traefik").mkdir()
    (tmp_path / "traefik" / "a.yaml").write_text("")

    assert crds.of_mesh("traefik") == [tmp_path / "traefik" / "a.yaml"]


def test_without_a_folder_the_crds_come_from_their_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh clone needs nothing beside it: every kind that we use is in the Go modules."""
    monkeypatch.delenv("SERINUS_MESH_CRDS", raising=False)
    monkeypatch.setattr(crds, "BESIDE", tmp_path / "none")

    names = {file.name for mesh in crds.MESHES for file in crds.of_mesh(mesh)}

    assert {
        "traefik.io_traefikservices.yaml",
        "traefik.io_ingressroutes.yaml",
        "gateway.networking.k8s.io_httproutes.yaml",
    } <= names


def test_without_go_the_error_says_what_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to do without."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(ServerError, match=r"missing: Go .* set KUBEBUILDER_ASSETS"):
        build.go()


def test_a_package_that_cannot_be_installed_comes_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody who is not root is told what to run."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        ServerError, match=r"missing: hey. Install it: sudo apt-get install .* hey$"
    ):
        debian.program("hey")
