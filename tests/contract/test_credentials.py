"""Credentials of the users' Secrets are read in one place, which keeps to `labelledSecretsOnly`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gen.rbac import rules
from tests.gen.tree import ROOT

# These read Secrets for what pods mount: a checksum each, and the primaries' copies.
OF_PODS = {"watcher", "router"}
SOURCES = ROOT / "services"


def readers() -> set[str]:
    """The services whose account may read Secrets."""
    return {
        service
        for service, found in rules().items()
        if any("secrets" in rule["resources"] for rule in found)
    }


def test_who_may_read_secrets_is_known() -> None:
    """A new one belongs to OF_PODS, or is looked at below by itself."""
    assert readers() - OF_PODS == {"analyzer", "notifier"}


@pytest.mark.parametrize("service", sorted(readers() - OF_PODS))
def test_nobody_asks_for_a_secret_around_the_place_that_minds_its_label(service: str) -> None:
    assert list(around(SOURCES / service / "src")) == []


def around(folder: Path) -> Iterator[str]:
    """Where a kind or a path of the API says Secret; text for people is another matter."""
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Constant(value=str(said)) if said in ("Secret", "secret"):
                    yield f"{file.name}:{node.lineno}: {said}"
                case ast.Constant(value=str(said)) if "/secrets" in said:
                    yield f"{file.name}:{node.lineno}: {said}"
                case ast.ImportFrom(module="serinus.kube.configs"):
                    yield f"{file.name}:{node.lineno}: its table of kinds"


@pytest.mark.parametrize(
    "line",
    [
        'await cluster.get(Ref("v1", "Secret", namespace, name))',
        'await cluster.list("v1", kind="Secret")',
        'await cluster.read(f"/api/v1/namespaces/{namespace}/secrets/{name}")',
        "from serinus.kube.configs import KINDS",
    ],
)
def test_a_reader_of_its_own_would_be_noticed(tmp_path: Path, line: str) -> None:
    (tmp_path / "reader.py").write_text(f"async def look(cluster, name):\n    {line}\n")
    assert len(list(around(tmp_path))) == 1
