"""Every declared difference from Flagger has a test that stands for it."""

from __future__ import annotations

from tests.gen import compatibility
from tests.gen.tree import ROOT


def test_every_difference_has_its_proof() -> None:
    assert [row.proof for row in compatibility.general() if not (ROOT / row.proof).exists()] == []


def test_every_difference_has_a_reason() -> None:
    assert [row.topic for row in compatibility.general() if not row.reason.strip()] == []
