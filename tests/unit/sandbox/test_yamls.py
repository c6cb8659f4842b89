"""YAML documents."""

from __future__ import annotations

import pytest
import yaml

from serinus.sandbox.yamls import documents


def test_empty_documents_are_left_out() -> None:
    assert list(documents("a: 1\n---\n---\n# nothing\n---\n[2]\n")) == [{"a": 1}, [2]]


def test_objects_of_python_are_not_made() -> None:
    with pytest.raises(yaml.YAMLError):
        list(documents("!!python/object/apply:os.getcwd []"))
