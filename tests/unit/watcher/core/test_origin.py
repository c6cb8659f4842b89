"""What a workload says of where its revision comes from."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.watcher.core import trim
from serinus.watcher.core.origin import VALUE_MAX, origin, template_writer


def a_workload(
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    template: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": annotations or {}, "labels": labels or {}},
        "spec": {"template": {"metadata": template or {}}},
    }


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("kubernetes.io/change-cause", "cause"),
        ("org.opencontainers.image.revision", "commit"),
        ("example.com/git-commit", "commit"),
        ("deployed-by", "author"),
        ("ci.example.com/pipeline-url", "build"),
        ("team", "team"),
    ],
)
def test_words_that_tools_and_teams_use_are_known(key: str, word: str) -> None:
    assert {word: "x"} == origin(a_workload({key: "x"}))


def test_everything_else_does_not_travel() -> None:
    assert {} == origin(a_workload({"vault.example.com/token": "s3cret", "checksum/config": "1"}))


def test_the_pod_template_goes_before_the_workload_and_annotations_before_labels() -> None:
    workload = a_workload(
        {"example.com/commit": "old", "example.com/author": "ann"},
        {"app.kubernetes.io/version": "1", "author": "label"},
        {"annotations": {"example.com/commit": "new"}, "labels": {"version": "2"}},
    )

    assert {"commit": "new", "author": "ann", "version": "2"} == origin(workload)


def test_user_information_of_addresses_stays_behind() -> None:
    found = origin(a_workload({"org.opencontainers.image.source": "https://u:pw@git.test/x"}))

    assert {"source": "https://git.test/x"} == found


def test_values_are_bounded() -> None:
    assert VALUE_MAX == len(origin(a_workload({"commit": "x" * 5000}))["commit"])


def managed(manager: str, time: str, *fields: str, **more: str) -> dict[str, Any]:
    spec = {f"f:{field}": {} for field in fields}
    return {"manager": manager, "time": time, "fieldsV1": {"f:spec": spec}, **more}


def test_who_wrote_the_pod_template_last_is_kept_when_the_rest_is_trimmed() -> None:
    entries = [
        managed("helm", "2026-01-01T00:00:00Z", "template", "replicas"),
        managed("argocd-controller", "2026-01-02T00:00:00Z", "template"),
        managed("kube-controller-manager", "2026-01-03T00:00:00Z", "replicas"),
        managed("someone", "2026-01-04T00:00:00Z", "template", subresource="status"),
    ]
    obj = a_workload()
    obj["metadata"]["managedFields"] = entries

    assert "argocd-controller" == template_writer(entries)
    kept = trim.slim(obj)["metadata"]
    assert "argocd-controller" == kept["changedBy"]
    assert "managedFields" not in kept


def test_nobody_is_named_where_nobody_is_known() -> None:
    assert "" == template_writer([])
    assert "changedBy" not in trim.slim(a_workload())["metadata"]
