"""The primary's copies of ConfigMaps and Secrets (reference 3.8)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF, a_config_map

from serinus.events import CanaryRef
from serinus.kube.configs import checksum
from serinus.kube.refs import Obj, Ref
from serinus.router import configs

OTHER = CanaryRef("shop", "other", "uid-of-another-canary")


def a_secret(type_: str = "Opaque", **fields: Any) -> Obj:
    found = a_config_map("creds", {"password": "eA=="}, **fields)
    return found | {"kind": "Secret", "type": type_}


def test_a_copy_holds_everything_that_pods_can_read() -> None:
    """BUG 15: Flagger copies neither binaryData nor immutable."""
    source = a_config_map("settings", {"a": "1"}, binaryData={"b": "AAEC"}, immutable=True)

    found = configs.copy_of(source, REF, ())

    assert "settings-primary" == found["metadata"]["name"]
    assert ({"a": "1"}, {"b": "AAEC"}, True) == (
        found["data"],
        found["binaryData"],
        found["immutable"],
    )
    assert checksum(source) == checksum(found)


def test_a_copy_has_labels_by_prefix_and_no_annotations() -> None:
    meta = {"labels": {"app": "web", "team": "a"}, "annotations": {"note": "x"}}
    source = a_config_map("settings", {}, metadata=meta)

    assert "labels" not in configs.copy_of(source, REF, ())["metadata"]
    found = configs.copy_of(source, REF, ("team",))["metadata"]
    assert {"team": "a"} == found["labels"]
    assert "annotations" not in found


def test_the_copy_of_a_secret_has_its_type() -> None:
    assert "kubernetes.io/tls" == configs.copy_of(a_secret("kubernetes.io/tls"), REF, ())["type"]


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [("configmap/a.b", "ConfigMap", "a.b"), ("secret/creds", "Secret", "creds")],
)
def test_keys_name_objects(key: str, kind: str, name: str) -> None:
    assert Ref("v1", kind, "shop", name) == configs.ref_of_key(key, "shop")


def test_the_patch_of_a_sole_owner_replaces_all_content() -> None:
    """Whatever was in the copy and is not in the source any more must not reach the primary."""
    wanted = configs.copy_of(a_config_map("settings", {"a": "2"}), REF, ())

    patch = configs.sole_owner_patch(wanted)

    assert ("test", wanted["metadata"]["ownerReferences"]) == (patch[0]["op"], patch[0]["value"])
    written = {operation["path"]: operation["value"] for operation in patch[1:]}
    assert {"/metadata/labels": {}, "/data": {"a": "2"}, "/binaryData": {}} == written


def test_the_patch_of_a_secret_knows_no_binary_data() -> None:
    patch = configs.sole_owner_patch(configs.copy_of(a_secret(), REF, ()))

    assert "/binaryData" not in [operation["path"] for operation in patch]


def test_a_shared_copy_keeps_its_other_owners() -> None:
    source = a_config_map("settings", {"a": "2"})
    live = configs.copy_of(a_config_map("settings", {"a": "1", "b": "1"}), OTHER, ())

    found = configs.joined(live, configs.copy_of(source, REF, ()), REF)

    owners = {o["uid"]: o["controller"] for o in found["metadata"]["ownerReferences"]}
    assert {OTHER.uid: False, REF.uid: True} == owners
    assert {"a": "2"} == found["data"]


def test_joining_twice_is_joining_once() -> None:
    live = configs.copy_of(a_config_map("settings", {"a": "1"}), OTHER, ())
    wanted = configs.copy_of(a_config_map("settings", {"a": "2"}), REF, ())

    once = configs.joined(live, wanted, REF)

    assert once == configs.joined(once, wanted, REF)


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"immutable": True}, {}, True),
        ({}, {"immutable": True}, False),
        ({"immutable": True, "data": {"a": "2"}}, {"immutable": True}, False),
    ],
)
def test_an_immutable_copy_is_made_anew_when_its_content_changes(
    live: Obj, wanted: Obj, expected: bool
) -> None:
    old = configs.copy_of(a_config_map("settings", {"a": "1"}), REF, ()) | live
    new = configs.copy_of(a_config_map("settings", {"a": "2"}), REF, ()) | wanted

    assert expected == configs.must_be_remade(old, new)


def test_a_secret_of_another_type_is_made_anew() -> None:
    old = configs.copy_of(a_secret(), REF, ())
    new = configs.copy_of(a_secret("kubernetes.io/basic-auth"), REF, ())

    assert configs.must_be_remade(old, new)
