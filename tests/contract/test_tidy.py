"""The source tree reads itself: what a reviewer would otherwise have to repeat."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.gen.tree import ROOT

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400
# Longer on purpose, each with its reason.
LONG_MODULES = {
    "libs/events/src/serinus/events/canary.py": "one custom resource, one list of its fields",
}
# Folders in which one file is one row of a catalog.
CATALOGS = (
    "services/router/src/serinus/router/meshes",
    "services/router/src/serinus/router/workloads",
    "services/router/src/serinus/router/scalers",
    "services/analyzer/src/serinus/analyzer/providers",
    "services/notifier/src/serinus/notifier/senders",
    "services/loadtester/src/serinus/loadtester/tasks",
)
MAY_PRINT = ("libs/cli/", "libs/sandbox/")
# Hosts that a mirror may stand in for: naming one would bind the build to it. Written in two
# halves, so that this file does not find itself.
HOSTS = tuple(
    f"{name}.{end}"
    for name, end in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
        ("registry.k8s", "io"),
        ("mcr.microsoft", "com"),
        ("proxy.golang", "org"),
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/" + r"(work|root|home/\w+|Users/\w+)/")
LEFT_OVER = re.compile("TO" + "DO|FIX" + r"ME|\bX" + "XX\\b")
IGNORE = re.compile(r"#\s*type:\s*ignore(?P<code>\[[\w, -]+\])?(?P<reason>.*)$")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository that is kept, by its path from the root."""
    argv = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return tuple(path for path in listed.splitlines() if (ROOT / path).is_file())


def text(path: str) -> str:
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def sources() -> dict[str, ast.Module]:
    """The modules of the suite: `libs/*/src` and `services/*/src`."""
    found = (p for p in tracked() if re.match(r"(libs|services)/\w+/src/.*\.py$", p))
    return {path: ast.parse(text(path)) for path in found}


def everywhere(pattern: re.Pattern[str], paths: tuple[str, ...]) -> list[str]:
    """`path:line: the line` for every line that the pattern finds."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line)
    ]


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path, module in sources().items():
        for node in ast.walk(module):
            yield path, node


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}: {lines} lines"
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_have_one_subject() -> None:
    lengths = {path: len(text(path).splitlines()) for path in sources()}
    long = {path for path, lines in lengths.items() if lines > MODULE_LINES_MAX}
    assert long - set(LONG_MODULES) == set()
    assert set(LONG_MODULES) - long == set(), "no longer too long: take it off the list"


def test_every_module_says_what_it_is_for() -> None:
    assert [path for path, module in sources().items() if not ast.get_docstring(module)] == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    assert everywhere(LEFT_OVER, tracked()) == []


def test_only_commands_print() -> None:
    printing = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and not path.startswith(MAY_PRINT)
    ]
    assert printing == []


def test_every_except_names_what_it_expects() -> None:
    bare = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert bare == []


def test_a_silenced_type_error_says_which_and_why() -> None:
    silenced = everywhere(IGNORE, tuple(sources()))
    unexplained = [
        line
        for line in silenced
        if (found := IGNORE.search(line))
        and not (found["code"] and re.match(r"\s+#\s+\w", found["reason"]))
    ]
    assert unexplained == []


def test_every_row_of_a_catalog_has_its_test() -> None:
    missing = []
    for folder in CATALOGS:
        service = folder.split("/")[1]
        for file in sorted((ROOT / folder).glob("[a-z]*.py")):
            if file.stem != "catalog":
                test = f"tests/unit/{service}/{Path(folder).name}/test_{file.stem}.py"
                missing += [] if (ROOT / test).exists() else [f"{test} for {folder}/{file.name}"]
    assert missing == []


def test_every_pure_module_has_its_test() -> None:
    missing = []
    for path, module in sources().items():
        found = re.match(r"services/(\w+)/src/serinus/\w+/core/([a-z]\w*)\.py$", path)
        acts = any(isinstance(n, ast.FunctionDef) for n in module.body)
        if found and acts:
            test = f"tests/unit/{found[1]}/core/test_{found[2]}.py"
            missing += [] if (ROOT / test).exists() else [test]
    known = (ROOT / "tests/contract/untested.txt").read_text().split()
    assert sorted(set(missing) - set(known)) == [], "a pure module without a test file of its own"


def test_every_test_is_named_after_a_source_file_that_exists() -> None:
    """`tests/unit/router/meshes/test_istio.py` is about `serinus/router/meshes/istio.py`."""
    orphans = []
    for path in tracked():
        found = re.match(r"tests/unit/(\w+)/((?:\w+/)*)test_(\w+)\.py$", path)
        if found:
            part, below, name = found.groups()
            homes = [
                ROOT / kind / part / "src/serinus" / part / below / f"{stem}.py"
                for kind in ("libs", "services")
                for stem in (name, f"_{name}")
            ]
            orphans += [] if any(home.exists() for home in homes) else [path]
    assert orphans == []


def test_no_file_depends_on_one_machine_or_one_registry() -> None:
    assert everywhere(MACHINE_PATH, tracked()) == []
    hosts = re.compile("|".join(rf"(?<![\w-]){re.escape(host)}" for host in HOSTS))
    assert everywhere(hosts, tracked()) == []


REQUIREMENT = re.compile(r"^[a-z0-9][a-z0-9._-]*==[^\s;]+( ; .+)?$")


def requirements() -> list[str]:
    """The lock file, one requirement with its hashes per string."""
    joined = text("requirements.lock").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def test_every_dependency_is_pinned_with_its_hashes() -> None:
    assert requirements()
    for line in requirements():
        pin, *hashes = re.split(r"\s+--hash=", line)
        assert REQUIREMENT.match(pin.strip()), line
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), pin


def test_the_lock_file_holds_no_address() -> None:
    assert "://" not in text("requirements.lock")
    assert "--index-url" not in text("requirements.lock")


def test_what_the_members_need_is_locked() -> None:
    locked = {line.split("==")[0] for line in requirements()}
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-")
        for line in text("requirements.in").splitlines()
        if line and not line.startswith("#")
    }
    assert wanted - locked == set()


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("x = 1  # type: ignore", True),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # type: ignore[arg-type]  # the stubs are wrong", False),
    ],
)
def test_the_rule_about_silenced_errors_knows_a_reason(line: str, is_found: bool) -> None:
    found = IGNORE.search(line)
    assert found is not None
    explained = bool(found["code"]) and bool(re.match(r"\s+#\s+\w", found["reason"]))
    assert explained != is_found
