"""Every image holds its bill of materials, and that tells what is in the image."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.e2e.images import SERVICES

PLACE = "usr/share/sbom/serinus.cdx.json"
STATUS = "var/lib/dpkg/status"
INSTALLED = re.compile(
    r"opt/serinus/lib/python3[.\d]*/site-packages/([^/]+)-[^-/]+\.dist-info/METADATA"
)


def layers(archive: Path) -> Iterator[tarfile.TarFile]:
    """From the lowest to the uppermost."""
    with tarfile.open(archive) as image:
        (about,) = json.load(_file(image, "manifest.json"))
        for name in about["Layers"]:
            with tarfile.open(fileobj=_file(image, name)) as layer:
                yield layer


def _file(tar: tarfile.TarFile, entry: str | tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(entry)
    assert found is not None, entry
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_it_tells_what_is_in_the_image(service: str, archives: dict[str, Path]) -> None:
    bill, status, packages = "", "", set()
    for layer in layers(archives[service]):
        for entry in layer:
            name = entry.name.removeprefix("./")
            if found := INSTALLED.fullmatch(name):
                packages.add(re.sub(r"[-_.]+", "-", found[1]).lower())
            if name == PLACE:
                bill = _file(layer, entry).read().decode()
            if name == STATUS:
                status = _file(layer, entry).read().decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    parts = json.loads(bill)["components"]
    debian = {part["name"] for part in parts if part["purl"].startswith("pkg:deb/")}
    assert {part["name"] for part in parts} - debian == packages
    there = [one for one in status.split("\n\n") if "\nStatus: install ok installed\n" in one]
    assert debian == {one.split("\n", 1)[0].removeprefix("Package: ") for one in there}
    assert len(debian) > 20
