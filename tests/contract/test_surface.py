"""What a third party may import from serinus.events: exactly this, on purpose."""

from __future__ import annotations

import ast
import sys

from tests.gen.tree import ROOT

import serinus.events

SURFACE = (ROOT / "tests/contract/surface.txt").read_text("utf-8").split()


def test_the_public_surface_is_what_it_was() -> None:
    """Growing it is fine: add the name to surface.txt. Removing one breaks subscribers."""
    assert sorted(serinus.events.__all__) == SURFACE


def test_every_public_name_exists_and_nothing_else_is_public() -> None:
    module = ast.parse((ROOT / "libs/events/src/serinus/events/__init__.py").read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(serinus.events.__all__)


def test_the_contract_needs_msgspec_and_nothing_else() -> None:
    used = set()
    for file in (ROOT / "libs/events/src/serinus/events").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                used.add(node.module or "")
    roots = {name if name.startswith("serinus") else name.split(".")[0] for name in used}
    foreign = roots - set(sys.stdlib_module_names)
    assert {name for name in foreign if not name.startswith("serinus.events")} == {"msgspec"}
