"""An Ingress in the words of an IngressRoute, as Traefik itself reads it."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal
from serinus.router.core.traefikingress import CLASS, PREFIX, as_ingress_route


def path(text: str = "/", kind: str = "Prefix", **backend: Any) -> Obj:
    port = {"number": 80}
    return {
        "path": text,
        "pathType": kind,
        "backend": backend or {"service": {"name": "web", "port": port}},
    }


def an_ingress(*paths: Obj, host: str = "a.test", **asked: str) -> Obj:
    annotations = {f"{PREFIX}{name.replace('_', '.')}": value for name, value in asked.items()}
    return {
        "metadata": {"name": "public", "namespace": "shop", "annotations": annotations},
        "spec": {"rules": [{"host": host, "http": {"paths": list(paths)}}]},
    }


def rules(ingress: Obj) -> list[tuple[str, int]]:
    routes = as_ingress_route(ingress)["spec"]["routes"]
    return [(route["match"], route["priority"]) for route in routes]


@pytest.mark.parametrize(
    ("ingress", "match", "theirs"),
    [
        (an_ingress(path()), "Host(`a.test`) && PathPrefix(`/`)", None),
        (
            an_ingress(path("/web/")),
            "Host(`a.test`) && (Path(`/web`) || PathPrefix(`/web/`))",
            "Host(`a.test`) && PathPrefix(`/web/`)",
        ),
        (an_ingress(path("/web", "Exact")), "Host(`a.test`) && Path(`/web`)", None),
        (
            an_ingress(path("/w.b", ""), pathmatcher="PathRegexp"),
            "Host(`a.test`) && PathRegexp(`/w.b`)",
            None,
        ),
        (an_ingress(path("/web", "Exact"), host=""), "Path(`/web`)", None),
        (an_ingress(path(""), host=""), "PathPrefix(`/`)", ""),
        (
            an_ingress(path("/x", "Exact"), host="*.a.test"),
            r"HostRegexp(`^[a-zA-Z0-9-]+\.a\.test$`) && Path(`/x`)",
            None,
        ),
    ],
)
def test_a_rule_takes_no_more_than_the_ingress_and_has_the_priority_of_traefiks_own(
    ingress: Obj, match: str, theirs: str | None
) -> None:
    """Else it would stand before somebody else's longer path."""
    assert [(match, len(match if theirs is None else theirs))] == rules(ingress)


def test_a_priority_of_the_users_counts() -> None:
    assert [("Host(`a.test`) && PathPrefix(`/`)", 7)] == rules(an_ingress(path(), priority="7"))


def test_what_annotations_ask_for_is_said_by_fields() -> None:
    source = an_ingress(
        path(),
        entrypoints="web, secure",
        middlewares="shop-auth@kubernetescrd,limits@file",
        tls="true",
        tls_options="shop-strict@kubernetescrd",
        tls_certresolver="acme",
    )
    source["metadata"]["labels"] = {"l": "1"}
    source["metadata"]["annotations"] |= {CLASS: "x", "other.test/note": "1"}

    found = as_ingress_route(source)

    (route,) = found["spec"]["routes"]
    assert [{"name": "auth", "namespace": "shop"}, {"name": "limits@file"}] == route["middlewares"]
    assert [{"name": "web", "port": 80}] == route["services"]
    assert ["web", "secure"] == found["spec"]["entryPoints"]
    options = {"name": "strict", "namespace": "shop"}
    assert {"certResolver": "acme", "options": options} == found["spec"]["tls"]
    assert ({"l": "1"}, {CLASS: "x"}) == (
        found["metadata"]["labels"],
        found["metadata"]["annotations"],
    )


def test_tls_is_there_only_where_it_is_asked_for() -> None:
    assert "tls" not in as_ingress_route(an_ingress(path(), tls="false"))["spec"]
    assert {} == as_ingress_route(an_ingress(path(), tls="true"))["spec"]["tls"]


@pytest.mark.parametrize(
    ("ingress", "text"),
    [
        (an_ingress(path(), rulesyntax="v2"), "rulesyntax"),
        (an_ingress(path(), middlewares="other-auth@kubernetescrd"), "another namespace"),
        (an_ingress(path("/`")), "backtick"),
    ],
)
def test_what_cannot_be_said_is_refused(ingress: Obj, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        as_ingress_route(ingress)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"rules": [{"host": "a.test"}]},
        {"rules": [{"http": {}}], "defaultBackend": {"service": {"name": "web"}}},
        {"rules": [{"http": {"paths": [path(resource={"kind": "Bucket", "name": "b"})]}}]},
    ],
)
def test_what_leads_to_no_service_by_a_path_is_left_out(spec: Obj) -> None:
    found = as_ingress_route({"metadata": {"name": "public"}, "spec": spec})

    assert {"routes": []} == found["spec"]
