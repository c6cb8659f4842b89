"""The parts of the sandbox that need no processes."""

from __future__ import annotations

from pathlib import Path

import yaml

from serinus.sandbox.apiserver import ApiServer
from serinus.sandbox.sandbox import define, kubeconfig

DEFINITION = """\
# A comment, an empty document and something else, as they are found in real files
---
---
kind: Namespace
metadata: {name: x}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: birds.zoo.org}
spec:
  group: zoo.org
  names: {plural: birds, kind: Bird}
  versions: [{name: v1, served: true, storage: true}]
"""


def test_the_kubeconfig_names_the_api() -> None:
    config = yaml.safe_load(kubeconfig("http://127.0.0.1:7"))

    assert config["clusters"][0]["cluster"] == {"server": "http://127.0.0.1:7"}
    assert config["contexts"][0]["name"] == config["current-context"]


def test_definitions_are_read_from_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "birds.yaml").write_text(DEFINITION)

    for where in (tmp_path, tmp_path / "birds.yaml"):
        api = ApiServer()
        define(api, [where])
        assert api.kinds.by_id(("zoo.org", "birds")) is not None
