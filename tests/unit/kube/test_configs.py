"""Which configs a template uses, what they are worth, and the names of their copies."""

from __future__ import annotations

import base64

import pytest

from serinus.kube.configs import (
    ConfigSeen,
    checksum,
    go_json,
    is_tracked,
    is_unchanged,
    references,
    rename,
    seen,
    track,
    undo_rename,
)
from serinus.kube.refs import Obj


def a_template() -> Obj:
    """Every place of a pod template that can name a config, each with a name of its own."""
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "volumes": [
                {"name": "a", "configMap": {"name": "volume-map"}},
                {"name": "b", "secret": {"secretName": "volume-secret", "optional": True}},
                {
                    "name": "c",
                    "projected": {
                        "sources": [
                            {"configMap": {"name": "projected-map", "optional": True}},
                            {"secret": {"name": "projected-secret"}},
                            {"serviceAccountToken": {"path": "token"}},
                        ]
                    },
                },
                {"name": "d", "emptyDir": {}},
            ],
            "initContainers": [{"name": "init", "env": [env("configMapKeyRef", "init-map")]}],
            "containers": [
                {
                    "name": "web",
                    "env": [
                        {"name": "PLAIN", "value": "1"},
                        env("configMapKeyRef", "env-map", optional=True),
                        env("secretKeyRef", "env-secret"),
                    ],
                    "envFrom": [
                        {"configMapRef": {"name": "from-map"}},
                        {"secretRef": {"name": "from-secret", "optional": True}},
                    ],
                }
            ],
            "imagePullSecrets": [{"name": "pull"}],
        },
    }


def env(kind: str, name: str, **more: bool) -> Obj:
    return {"name": "X", "valueFrom": {kind: {"name": name, "key": "k", **more}}}


REQUIRED = {
    "configmap/volume-map",
    "secret/projected-secret",
    "configmap/init-map",
    "secret/env-secret",
    "configmap/from-map",
}
OPTIONAL = {
    "secret/volume-secret",
    "configmap/projected-map",
    "configmap/env-map",
    "secret/from-secret",
}


def test_every_place_that_names_a_config_is_found() -> None:
    """Volumes, projected volumes, env and envFrom, init containers too; pull secrets not."""
    found = references(a_template())

    assert {key for key, required in found.items() if required} == REQUIRED
    assert {key for key, required in found.items() if not required} == OPTIONAL


def test_a_config_that_is_required_once_is_required() -> None:
    """The order does not matter: the kubelet will not start the pod without it."""
    optional, required = env("configMapKeyRef", "x", optional=True), env("configMapKeyRef", "x")

    for order in ([optional, required], [required, optional]):
        template = {"spec": {"containers": [{"name": "web", "env": order}]}}
        assert references(template) == {"configmap/x": True}


def test_a_template_without_configs_refers_to_none() -> None:
    assert references({}) == {}
    assert references({"spec": {"containers": [{"name": "web"}]}}) == {}


def test_tracking_tells_checksums_and_what_is_missing() -> None:
    """Opted-out configs count for nothing; missing optional ones are no problem."""
    cluster = {
        "configmap/volume-map": ConfigSeen("1111"),
        "secret/env-secret": ConfigSeen("2222", tracked=False),
        "configmap/env-map": ConfigSeen("3333"),
    }

    tracking = track(a_template(), cluster.get)

    assert tracking.checksums == {"configmap/volume-map": "1111", "configmap/env-map": "3333"}
    assert set(tracking.missing) == REQUIRED - cluster.keys()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"color": "blue"}, "f234cb93c08ad64e"),
        ({"color": "green"}, "b1c0d2a81c6839b3"),
        ({"password": base64.b64encode(b"one").decode()}, "b8e0563cd69e1d73"),
        (None, "74234e98afe7498f"),
        ({}, "74234e98afe7498f"),
    ],
)
def test_checksums_are_those_that_flagger_records(
    data: dict[str, str] | None, expected: str
) -> None:
    """Recorded from the real one (`config-change-configmap`); a Secret's data is base64 already.

    No data is Go's nil map, `null`.
    """
    assert checksum({"kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}) == expected


def test_binary_data_adds_to_the_checksum_and_leaves_flaggers_part() -> None:
    """Flagger does not look at it, so its record stays recognisable, but a change is a change."""
    plain: Obj = {"data": {"color": "blue"}}

    one = checksum(plain | {"binaryData": {"bin": "AAEC"}})
    two = checksum(plain | {"binaryData": {"bin": "AAED"}})

    assert one.startswith("f234cb93c08ad64e+")
    assert one != two
    assert is_unchanged("f234cb93c08ad64e", one)
    assert is_unchanged(one, one)
    assert not is_unchanged(one, two)
    assert not is_unchanged("b1c0d2a81c6839b3", one)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"b": "1", "a": "2"}, '{"a":"2","b":"1"}'),
        ({"k": "<a>&"}, r'{"k":"\u003ca\u003e\u0026"}'),
        ({"k": "\u2028\u2029"}, r'{"k":"\u2028\u2029"}'),
        ({"k": 'tab\t line\n quote" back\\'}, r'{"k":"tab\t line\n quote\" back\\"}'),
        ({"k": "\b\f\x01\x1f\x7f"}, '{"k":"\\b\\f\\u0001\\u001f\x7f"}'),
        ({"k": "grün 😀"}, '{"k":"grün 😀"}'),
        (None, "null"),
    ],
)
def test_json_is_written_as_go_writes_it(data: dict[str, str] | None, text: str) -> None:
    """Sorted, compact, HTML characters and line separators escaped, other text as it is."""
    assert go_json(data) == text


@pytest.mark.parametrize(
    ("secret_type", "tracked"),
    [
        ("Opaque", True),
        ("kubernetes.io/basic-auth", True),
        ("kubernetes.io/ssh-auth", True),
        ("kubernetes.io/tls", True),
        ("kubernetes.io/service-account-token", False),
        ("helm.sh/release.v1", False),
    ],
)
def test_secrets_are_tracked_by_type(secret_type: str, tracked: bool) -> None:
    secret: Obj = {"kind": "Secret", "metadata": {"name": "x"}, "type": secret_type}

    assert is_tracked(secret) is tracked


@pytest.mark.parametrize(
    ("value", "tracked"), [("disabled", False), ("disable", False), ("enabled", True), ("", True)]
)
def test_a_config_can_opt_out(value: str, tracked: bool) -> None:
    annotations = {"flagger.app/config-tracking": value}
    config: Obj = {"kind": "ConfigMap", "metadata": {"name": "x", "annotations": annotations}}

    assert seen(config).tracked is tracked


def test_renaming_touches_only_the_named_configs_and_not_the_original() -> None:
    template = a_template()

    renamed = rename(template, {"configmap/volume-map", "secret/projected-secret"})

    assert template == a_template()
    changed = references(renamed).keys() - references(template).keys()
    assert changed == {"configmap/volume-map-primary", "secret/projected-secret-primary"}


def test_renaming_everything_and_back_changes_nothing() -> None:
    template = a_template()
    everything = references(template)

    renamed = rename(template, everything)

    assert all(key.endswith("-primary") for key in references(renamed))
    assert undo_rename(renamed, everything) == template
