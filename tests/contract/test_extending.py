"""docs/extending.md says what works: its snippets are run, its examples are as small as it says.

That the examples do what they are for is shown on a real server (`tests/integration`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests.gen.tree import ROOT

from serinus.events.subjects import TABLE

PAGE = ROOT / "docs" / "extending.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_test_that_it_shows_is_one() -> None:
    heard: list[bytes] = []
    [block] = blocks("python")
    names = {"my_handler": heard.append}
    exec(compile(block, str(PAGE), "exec"), names)
    [test] = [found for name, found in names.items() if name.startswith("test_")]

    test()

    assert len(TABLE) == len(heard)


def test_the_permissions_that_it_shows_are_printed() -> None:
    [program] = re.findall(r"^    python -c '(.*)'$", PAGE.read_text("utf-8"), re.M)
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    found = json.loads(shown.stdout)
    assert ["_INBOX.dora.>"] == found["subscribe"]["allow"]
    assert "serinus.dead.dora" in found["publish"]["allow"]


def test_the_example_service_is_as_small_as_it_says() -> None:
    [lines] = re.findall(r"dora/__main__\.py\), (\d+) lines", PAGE.read_text("utf-8"))
    source = ROOT / "docs/examples/dora/src/dora/__main__.py"

    assert len(source.read_text("utf-8").splitlines()) <= int(lines) <= 30
