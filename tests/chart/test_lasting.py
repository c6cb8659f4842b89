"""What an API server refuses to change in an object that is there: an upgrade must not try.

`lasting.yaml` says what is installed at users'. To write it anew would be to ask them to remove the
release and install it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.render import Obj, rendered

FILE = Path(__file__).with_name("lasting.yaml")
INSTALLED: dict[str, dict[str, Obj]] = yaml.safe_load(FILE.read_text("utf-8"))
# By kind: fields below spec, or beside it.
FIELDS = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    "Service": ("clusterIP",),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Secret": ("type",),
}


def lasting(name: str) -> dict[str, Any]:
    """Such fields of one set of values, by object."""
    found = {}
    for obj in rendered(name):
        whole = {**obj.get("spec", {}), **obj}
        names = (field for field in FIELDS.get(obj["kind"], ()) if field in whole)
        if fields := {field: whole[field] for field in names}:
            found[f"{obj['kind']} {obj['metadata']['name']}"] = fields
    return found


@pytest.mark.parametrize("name", INSTALLED)
def test_an_upgrade_changes_nothing_that_cannot_be_changed(name: str) -> None:
    now = lasting(name)
    assert {key: now.get(key) for key in INSTALLED[name]} == INSTALLED[name]
