"""The docs hold together: links lead somewhere, manifests are accepted, commands exist.

Beyond that most commands are run for real; `RUN` says where.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract import manual
from tests.gen.pages.play import story_of
from tests.gen.tree import ROOT
from tests.servers.process import free_ports, of_the_environment

from serinus.analyzer.core.validate import problems
from serinus.cli.main import main
from serinus.events.canary import API_VERSION
from serinus.sandbox.schema import mistakes, prune

Obj = dict[str, Any]
# Where the commands of these pages are run as they are written.
RUN = {
    "docs/install.md": "tests/e2e/test_install.py",
    "docs/operations.md": "tests/e2e/test_install.py",
    "docs/troubleshooting.md": "tests/e2e/test_trouble.py",
    "docs/migrating.md": "tests/integration/test_handover.py",
    "docs/control.md": "tests/integration/test_pages.py",
    "docs/loadtester.md": "tests/integration/test_loadtester_docs.py",
}
FOLDERS = {
    "docs/meshes": "tests/integration/test_pages.py",
    "docs/strategies": "tests/integration/test_pages.py",
    "docs/sources": "tests/integration/test_pages.py",
    "docs/sinks": "tests/integration/test_pages.py",
    "docs/hooks": "tests/integration/test_pages.py",
    "docs/runbooks": "tests/e2e/test_trouble.py",
}
OURS = {
    plural["spec"]["names"]["kind"]: plural
    for file in (ROOT / "deploy/chart/files/crds").glob("*.yaml")
    for plural in [yaml.safe_load(file.read_text("utf-8"))]
}
# What a piece of a manifest belongs to: its first key says where it goes.
PLACES = {
    "spec": (),
    "analysis": ("spec",),
    "metrics": ("spec", "analysis"),
    "webhooks": ("spec", "analysis"),
    "alerts": ("spec", "analysis"),
    "targetRef": ("spec",),
    "service": ("spec",),
}


def schema_of(kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = OURS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def wrong(obj: Obj) -> list[str]:
    """Unknown fields and what breaks the schema, in an object of ours."""
    schema = schema_of(obj["kind"])
    _, unknown = prune(obj, schema)
    return [*unknown, *(" ".join(map(str, cause)) for cause in mistakes(obj, schema))]


def pieces() -> Iterator[tuple[str, Obj]]:
    """Pieces of Canaries that pages show, each put where it belongs."""
    for page in manual.pages():
        for piece in manual.manifests(page):
            if not isinstance(piece, dict) or "apiVersion" in piece:
                continue
            first = next(iter(piece))
            if first in PLACES and "match" not in piece:
                whole: Obj = piece
                for key in reversed(PLACES[first]):
                    whole = {key: whole}
                yield page, {"apiVersion": API_VERSION, "kind": "Canary", "metadata": {}, **whole}


# --- links ----------------------------------------------------------------------------------------


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page}: {path}{'#' if anchor else ''}{anchor}"
        for page in manual.pages()
        for path, anchor in manual.links(page)
        if not (ROOT / path).exists()
        or (anchor and path.endswith(".md") and anchor not in manual.anchors(path))
    ]
    assert broken == []


def test_links_and_anchors_are_read_as_people_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "[x](y.md#z) `[no](no.md)` [w](https://e.test)"
    page = f"# A `b`: c\n\n{line}\n\n    [no](no.md)\n\n## A b c\n"
    monkeypatch.setattr(manual, "text", lambda _: page)
    manual.anchors.cache_clear()
    assert list(manual.links("docs/p.md")) == [("docs/y.md", "z")]
    assert manual.anchors("docs/p.md") == {"a-b-c", "a-b-c-1"}
    manual.anchors.cache_clear()


def test_the_index_names_every_page() -> None:
    named = {path for path, _ in manual.links("docs/README.md")}
    inner = ("docs/adr/", "docs/changes/", "docs/runbooks/")
    ours = {p for p in manual.pages() if p.startswith("docs/") and not p.startswith(inner)}
    assert ours - named == set()


def test_the_threat_model_names_tests_that_are_there() -> None:
    """Each of its tables has rows with a proof, and every proof exists."""
    text = manual.text("docs/threat-model.md")
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text))
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file()
        or (name and f"def {name}(" not in (ROOT / path).read_text("utf-8"))
    ]
    assert len(named) > 40
    assert missing == []


# --- manifests ------------------------------------------------------------------------------------


def test_every_manifest_of_ours_is_what_the_definitions_know() -> None:
    shown = [(p, m) for p in manual.pages() for m in manual.manifests(p) if isinstance(m, dict)]
    kept = [(path, obj) for path, objects in manual.examples().items() for obj in objects]
    checked = [(at, obj) for at, obj in (*shown, *kept) if obj.get("kind") in OURS]
    # A page may show the part of an object that it is about.
    parts = [(at, obj) for at, obj in checked if "apiVersion" not in obj]
    whole = [(at, obj) for at, obj in checked if "apiVersion" in obj]
    assert len(whole) > 120
    assert {at: found for at, obj in whole if (found := wrong(obj))} == {}
    assert {
        at: found for at, obj in parts if (found := prune(obj, schema_of(obj["kind"]))[1])
    } == {}


def test_every_piece_of_a_canary_is_one() -> None:
    found = list(pieces())
    assert len(found) >= 6
    assert {page: prune(obj, schema_of("Canary"))[1] for page, obj in found} == {
        page: [] for page, _ in found
    }


@pytest.mark.parametrize("path", [p for p in manual.examples() if p.count("/") > 2])
def test_every_example_can_be_released(path: str) -> None:
    """Nothing about it is refused; that each is accepted by an API server is tried there."""
    story = story_of(manual.examples()[path])
    assert problems(story.rollout) == ()


def test_an_example_with_a_mistake_is_found() -> None:
    (path, objects) = next(iter(manual.examples().items()))
    canary = json.loads(json.dumps(next(obj for obj in objects if obj["kind"] == "Canary")))
    canary["spec"]["analysis"]["stepWieght"] = 10
    assert wrong(canary) == ["spec.analysis.stepWieght"], path


# --- commands -------------------------------------------------------------------------------------


def test_kubectl_knows_every_command(tmp_path: Path) -> None:
    """Whole ones get as far as the API server, which is not there."""
    kubectl = of_the_environment("kubectl")
    server = f"http://127.0.0.1:{free_ports(1)[0]}"

    def tried(asked: tuple[tuple[str, ...], bool]) -> str:
        words, is_whole = asked
        more = ["--server", server] if is_whole else ["--help"]
        done = subprocess.run(
            [kubectl, *words, *more],
            cwd=ROOT,
            env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        reached = "refused" in done.stderr if is_whole else done.returncode == 0
        return "" if reached else f"kubectl {' '.join(words)}: {done.stderr[-300:]}"

    asked = manual.typed("kubectl")
    assert len(asked) > 60
    with ThreadPoolExecutor(4) as several:
        wrong = {
            said: pages
            for said, pages in zip(several.map(tried, asked), asked.values(), strict=True)
        }
    wrong.pop("", None)
    assert wrong == {}


def test_serinus_knows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    asked = manual.typed("serinus")
    assert len(asked) >= 5
    for words, _ in asked:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0, words
    capsys.readouterr()


def test_make_knows_every_target() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    named = {word for words, _ in manual.typed("make") for word in words if "=" not in word}
    assert named - targets == set()


def test_pages_whose_commands_are_run_say_so_in_their_tests() -> None:
    for page, test in RUN.items():
        name = page.rpartition("/")[2]
        assert name in (ROOT / test).read_text("utf-8"), page
    for folder, test in FOLDERS.items():
        assert folder.rpartition("/")[2] in (ROOT / test).read_text("utf-8"), folder
