"""docs/adding-a-metrics-source.md, followed to the letter."""

from __future__ import annotations

import re
import types
from functools import partial
from typing import Any

import pytest
from tests.gen.tree import ROOT
from tests.laws import test_provider_laws as laws
from tests.unit.analyzer.providers.recorded import Recorded

from serinus.analyzer.providers import catalog
from serinus.analyzer.providers.catalog import Row

TEXT = (ROOT / "docs/adding-a-metrics-source.md").read_text("utf-8")
MODULE, ROW, RECORDED = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

LAWS = [
    laws.test_a_value_is_read,
    laws.test_no_data_is_said_and_is_no_number,
    laws.test_several_values_are_no_answer,
    laws.test_no_answer_in_time_is_away,
    laws.test_every_request_is_bounded_in_time,
    laws.test_a_malformed_answer_is_an_answer,
    laws.test_a_secret_that_is_half_there_says_what_is_missing,
    laws.test_credentials_that_are_no_text_are_told,
    laws.test_no_secret_is_in_any_text,
    laws.test_the_window_comes_from_the_question,
    laws.test_online_is_a_value_and_away_is_not,
    partial(laws.test_a_refused_question_is_told_with_the_servers_words, status=422),
    partial(laws.test_a_source_that_is_away_says_so, status=503),
]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The page's example in the catalog, and its recorded answers."""
    module = types.ModuleType("example")
    exec(compile(MODULE, "example.py", "exec"), module.__dict__)
    names: dict[str, Any] = {**vars(catalog), "EXAMPLE": module.EXAMPLE}
    row: Row = eval(ROW.strip(), names)
    monkeypatch.setattr(catalog, "PROVIDERS", {**catalog.PROVIDERS, row.type: row})
    made: Recorded = eval(RECORDED.strip(), {"Recorded": Recorded})
    return made


@pytest.mark.parametrize("law", LAWS, ids=str)
async def test_the_example_obeys_the_laws(law: Any, recorded: Recorded) -> None:
    await law(recorded)


def test_what_the_page_names_is_there() -> None:
    named = re.findall(r"`([\w/<>.-]+\.py)`", TEXT)
    home = ROOT / "services/analyzer/src/serinus/analyzer/providers"
    for path in named:
        if "<" not in path:
            assert (ROOT / path).exists() or (home / path).exists() or (home.parent / path).exists()
