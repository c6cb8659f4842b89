"""Bills of materials: valid for the library that writes them, whole, and the same every time.

Of real images: tests/e2e/test_sbom.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker
from tests.gen import images
from tests.gen.settings import BESIDE
from tests.gen.tree import ROOT

from serinus.events.subjects import SERVICES

HERE = ROOT / "deploy/docker"
STATUS = """\
Package: hey
Status: install ok installed
Architecture: amd64
Version: 0.1.4-2+b4
Static-Built-Using: golang-1.19 (= 1.19.8-2), golang-golang-x-net (= 1:0.7.0+dfsg-1)
Description: a program
 Version: no field

Package: wrk
Status: install ok installed
Architecture: amd64
Version: 4.1.0-3
Built-Using: golang-1.19 (= 1.19.8-2)

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def written(service: str, status: Path, seed: str = "0") -> str:
    """What the program writes for a service, on this environment's packages."""
    site = sysconfig.get_path("purelib")
    needs, lock = HERE / f"needs/{service}.txt", ROOT / "requirements.lock"
    argv = [sys.executable, HERE / "sbom.py", service, needs, lock, site, status]
    done = subprocess.run(
        argv, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def status(tmp_path: Path) -> Path:
    file = tmp_path / "status"
    file.write_text(STATUS)
    return file


def elsewhere() -> set[str]:
    """The packages that the lock has for other platforms only."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    marked = re.findall(r"^(\S+)==\S+ ; (.+?) \\$", lock, re.MULTILINE)
    return {name for name, marker in marked if not Marker(marker).evaluate()}


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in document["components"]}


@pytest.mark.parametrize("service", [*SERVICES, *BESIDE])
def test_what_is_written_is_valid_and_names_everything(service: str, status: Path) -> None:
    text = written(service, status)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    listed = (HERE / f"needs/{service}.txt").read_text("utf-8").splitlines()
    names = [line for line in listed if not line.startswith("#")]
    wanted = {f"serinus-{n.rpartition('/')[2]}" if "/" in n else n for n in names}
    found = by_name(document)
    # What is for other platforms may be in an environment all the same, and is in no image.
    assert set(found) - elsewhere() == wanted - elsewhere() | {"hey", "wrk"}
    assert document["metadata"] == {
        "component": {
            "bom-ref": f"pkg:generic/serinus/{service}@{found[f'serinus-{service}']['version']}",
            "name": f"serinus/{service}",
            "purl": f"pkg:generic/serinus/{service}@{found[f'serinus-{service}']['version']}",
            "type": "container",
            "version": found[f"serinus-{service}"]["version"],
        }
    }


def test_packages_have_the_hashes_of_the_lock_and_their_licence(status: Path) -> None:
    found = by_name(json.loads(written("watcher", status)))
    (where,) = found["aiohttp"]["externalReferences"]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert len(where["hashes"]) > 10
    assert all(f"--hash=sha256:{one['content']}" in lock for one in where["hashes"])
    assert found["aiohttp"]["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    assert "externalReferences" not in found["serinus-watcher"]


def test_what_was_built_into_a_program_of_debian_is_in_it(status: Path) -> None:
    found = by_name(json.loads(written("watcher", status)))
    inside = [(one["name"], one["version"]) for one in found["hey"]["components"]]
    assert inside == [("golang-1.19", "1.19.8-2"), ("golang-golang-x-net", "1:0.7.0+dfsg-1")]


def test_the_same_image_gives_the_same_text(status: Path) -> None:
    assert written("watcher", status, "1") == written("watcher", status, "2")


def test_what_is_not_there_is_an_error(tmp_path: Path, status: Path) -> None:
    needs = tmp_path / "needs.txt"
    needs.write_text("services/watcher\nno-such-package\n")
    argv = [sys.executable, HERE / "sbom.py", "watcher", needs, ROOT / "requirements.lock"]
    argv += [sysconfig.get_path("purelib"), status]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no-such-package" in done.stderr


def test_who_writes_them_is_in_no_image() -> None:
    listed = (ROOT / images.COUNTER).read_text("utf-8").splitlines()
    counting = {line for line in listed if not line.startswith("#")} - {"typing-extensions"}
    for service in (*SERVICES, *BESIDE):
        assert not counting & set((HERE / f"needs/{service}.txt").read_text("utf-8").splitlines())
    stages = (HERE / "Dockerfile").read_text("utf-8").split("\nFROM ")
    assert stages[-2].startswith("filled AS counted\n")
    assert stages[-1].startswith("filled\nCOPY --from=counted /sbom.cdx.json ")
    assert stages[-1].count("COPY") == 1
