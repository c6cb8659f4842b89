"""Writes what is in an image as a CycloneDX bill of materials, to stdout.

    python sbom.py SERVICE needs/<service>.txt requirements.lock SITE [DPKG_STATUS]

Python's packages are those of the list, with the hashes that the lock allows and the licence that
each says in SITE; Debian's are those that DPKG_STATUS says are installed, with the sources that
were built into them (Go's packages are). The same image gives the same text: there is no time in
it, and its number follows from its contents. It needs cyclonedx-python-lib, the images do not.
"""

import re
import sys
import uuid
from importlib.metadata import Distribution, PackageNotFoundError, distributions
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "serinus.dev")
SPDX = re.compile(r"[A-Za-z0-9.+() -]+")


def main(arguments: list[str]) -> int:
    service, needs, lock, site, *status = arguments
    bom = bill(
        service,
        Path(needs).read_text("utf-8"),
        Path(lock).read_text("utf-8"),
        {_normal(found.metadata["Name"]): found for found in distributions(path=[site])},
        Path(status[0]).read_text("utf-8") if status else "",
    )
    print(text(bom))
    return 0


def text(bom: Bom) -> str:
    """The document. Its number is a hash of it."""
    bom.serial_number = SPACE
    plain = JsonV1Dot6(bom).output_as_string(indent=1)
    bom.serial_number = uuid.uuid5(SPACE, plain)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def bill(
    service: str,
    needs: str,
    lock: str,
    installed: dict[str, Distribution],
    status: str,
) -> Bom:
    """Raises PackageNotFoundError for what is needed and not there."""
    bom = Bom()
    bom.metadata.timestamp = None
    version = installed[f"serinus-{service}"].version
    image = _component(ComponentType.CONTAINER, f"serinus/{service}", version, "generic")
    bom.metadata.component = image
    listed = [line for line in needs.splitlines() if line and not line.startswith("#")]
    members = [f"serinus-{line.rpartition('/')[2]}" for line in listed if "/" in line]
    # What the lock has for other platforms only is not there, and not missing.
    elsewhere = set(re.findall(r"^(\S+)==\S+ ; ", lock, re.MULTILINE)) - installed.keys()
    packages = [line for line in listed if "/" not in line and line not in elsewhere]
    hashes = _hashes(lock)
    found = {name: _python(installed, name, hashes.get(name, [])) for name in (*members, *packages)}
    debian = [_debian(entry) for entry in _entries(status)]
    bom.components.update(found.values())
    bom.components.update(debian)
    for name, component in found.items():
        needed = {_need(one) for one in installed[name].requires or [] if "extra ==" not in one}
        bom.register_dependency(component, [found[one] for one in needed if one in found])
    bom.register_dependency(image, [*found.values(), *debian])
    return bom


def _python(installed: dict[str, Distribution], name: str, hashes: list[str]) -> Component:
    if name not in installed:
        raise PackageNotFoundError(name)
    about = installed[name].metadata
    kind = "pypi" if hashes else "generic"
    component = _component(ComponentType.LIBRARY, name, installed[name].version, kind)
    expression = about.get("License-Expression", "")
    named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier", []) if "License ::" in c]
    if expression and SPDX.fullmatch(expression):
        component.licenses.add(LicenseExpression(expression))
    else:
        component.licenses.update(DisjunctiveLicense(name=one) for one in sorted(set(named)))
    if hashes:
        allowed = [HashType(alg=HashAlgorithm.SHA_256, content=one) for one in hashes]
        component.external_references.add(
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(component.purl)),
                comment="one of the files that requirements.lock allows",
                hashes=allowed,
            )
        )
    return component


def _debian(entry: dict[str, str]) -> Component:
    component = _component(
        ComponentType.LIBRARY,
        entry["Package"],
        entry["Version"],
        "deb",
        "debian",
        {"arch": entry.get("Architecture", "")},
    )
    built_in = ", ".join(
        entry[field] for field in ("Built-Using", "Static-Built-Using") if field in entry
    )
    for name, version in sorted(set(re.findall(r"([a-z0-9][\w.+-]*) \(= ([^)]+)\)", built_in))):
        source = _component(ComponentType.LIBRARY, name, version, "deb", "debian")
        # What is built into several packages is in each of them by a reference of its own.
        source.bom_ref.value = f"{source.purl}#in-{entry['Package']}"
        component.components.add(source)
    return component


def _component(
    type_: ComponentType,
    name: str,
    version: str,
    kind: str,
    space: str = "",
    qualifiers: dict[str, str] | None = None,
) -> Component:
    purl = PackageURL(kind, space or None, name, version, qualifiers or None)
    return Component(type=type_, name=name, version=version, purl=purl, bom_ref=str(purl))


def _entries(status: str) -> list[dict[str, str]]:
    """The packages that are installed, each with its fields of one line."""
    found = [
        dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        for paragraph in status.split("\n\n")
    ]
    return [one for one in found if one.get("Status", "").endswith(" installed")]


def _hashes(lock: str) -> dict[str, list[str]]:
    """The SHA-256 of each file that the lock allows, by package."""
    entries = re.split(r"\n(?=\S)", lock.strip())
    return {
        entry.split("==", 1)[0]: sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
        for entry in entries
    }


def _need(requirement: str) -> str:
    return _normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
