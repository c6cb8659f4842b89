"""Istio's words in those of the Gateway API (reference 4.4)."""

from __future__ import annotations

import pytest

from serinus.events.canary import (
    CorsPolicy,
    HeaderOperations,
    Headers,
    HttpMatch,
    MirrorBackendRef,
    Rewrite,
    ServiceSpec,
    SessionAffinity,
    StaticMirror,
    StringMatch,
)
from serinus.kube.refs import Obj
from serinus.router.core.httproute import (
    check_rewrites,
    filters_of,
    matches_of,
    overriding,
    set_cookie,
)
from serinus.router.core.objects import Refusal

EXACT, PREFIX = StringMatch(exact="x"), StringMatch(prefix="/web")
REGEX, SUFFIX = StringMatch(regex="a.*"), StringMatch(suffix="z")


def filters(*, with_cors: bool = True, **service: object) -> list[Obj]:
    spec = ServiceSpec(port=80, **service)  # type: ignore[arg-type]
    return filters_of(spec, with_cors=with_cors)


def test_no_match_is_everything() -> None:
    assert [{"path": {"type": "PathPrefix", "value": "/"}}] == matches_of(())


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (StringMatch(exact="/a"), {"type": "Exact", "value": "/a"}),
        (PREFIX, {"type": "PathPrefix", "value": "/web"}),
        (REGEX, {"type": "RegularExpression", "value": "a.*"}),
    ],
)
def test_paths(uri: StringMatch, expected: Obj) -> None:
    (found,) = matches_of([HttpMatch(uri=uri)])

    assert expected == found["path"]


def test_methods_headers_and_parameters() -> None:
    match = HttpMatch(
        method=StringMatch(exact="GET"),
        headers={"b": REGEX, "a": EXACT},
        query_params={"q": EXACT},
    )

    (found,) = matches_of([match])

    assert "GET" == found["method"]
    assert [("a", "Exact"), ("b", "RegularExpression")] == [
        (h["name"], h["type"]) for h in found["headers"]
    ]
    assert [{"type": "Exact", "name": "q", "value": "x"}] == found["queryParams"]


@pytest.mark.parametrize(
    ("match", "what"),
    [
        (HttpMatch(uri=SUFFIX), "path"),
        (HttpMatch(method=REGEX), "method"),
        (HttpMatch(headers={"a": PREFIX}), "header"),
        (HttpMatch(query_params={"a": SUFFIX}), "query"),
    ],
)
def test_what_the_api_cannot_match_is_refused_in_flaggers_words(
    match: HttpMatch, what: str
) -> None:
    text = f"Gateway API doesn't support the specified {what} matching selector"

    with pytest.raises(Refusal, match=text):
        matches_of([match])


def test_conditions_are_combined_with_each_service_match_and_win() -> None:
    service = matches_of(
        [HttpMatch(uri=PREFIX, headers={"a": EXACT}), HttpMatch(uri=StringMatch(exact="/b"))]
    )
    conditions = [HttpMatch(headers={"x": EXACT}), HttpMatch(query_params={"q": EXACT})]

    found = overriding(service, conditions)

    assert ["/web", "/b", "/web", "/b"] == [m["path"]["value"] for m in found]
    assert ["x"] == [h["name"] for h in found[0]["headers"]]
    assert ["a"] == [h["name"] for h in found[2]["headers"]]
    assert "queryParams" in found[3]


def test_filters_come_in_one_order() -> None:
    operations = HeaderOperations(add={"b": "1", "a": "2"}, set={"c": "3"}, remove=("d",))
    audit = StaticMirror(backend_ref=MirrorBackendRef(name="audit", port=80, namespace="ops"))

    found = filters(
        headers=Headers(request=operations, response=HeaderOperations(remove=("server",))),
        rewrite=Rewrite(uri="/", authority="example.test"),
        mirror=(audit,),
        cors_policy=CorsPolicy(allow_origin=("*",)),
    )

    assert [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "URLRewrite",
        "RequestMirror",
        "CORS",
    ] == [f["type"] for f in found]
    request = found[0]["requestHeaderModifier"]
    assert ["a", "b"] == [h["name"] for h in request["add"]]
    assert ["d"] == request["remove"]
    assert {"group": "", "kind": "Service", "name": "audit", "namespace": "ops", "port": 80} == (
        found[3]["requestMirror"]["backendRef"]
    )


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("ReplacePrefixMatch", {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}),
        ("", {"type": "ReplaceFullPath", "replaceFullPath": "/"}),
        ("Other", {"type": "ReplaceFullPath", "replaceFullPath": "/"}),
    ],
)
def test_rewrites_of_the_path(type_: str, expected: Obj) -> None:
    (found,) = filters(rewrite=Rewrite(uri="/", type=type_))

    assert expected == found["urlRewrite"]["path"]


def test_empty_operations_are_no_filter() -> None:
    assert [] == filters(headers=Headers(request=HeaderOperations()), rewrite=Rewrite())


def test_cors_is_written_with_the_apis_own_default() -> None:
    """Without maxAge the API fills in 5: left out, every read-back would look like drift."""
    policy = CorsPolicy(
        allow_origin=("https://a.test",),
        allow_origins=(StringMatch(exact="https://b.test"),),
        allow_credentials=True,
    )

    (found,) = filters(cors_policy=policy)

    assert {
        "allowOrigins": ["https://a.test", "https://b.test"],
        "allowCredentials": True,
        "maxAge": 5,
    } == found["cors"]


@pytest.mark.parametrize(("max_age", "seconds"), [("24h", 86400), ("90s", 90), ("", 5)])
def test_the_age_of_a_cors_answer(max_age: str, seconds: int) -> None:
    (found,) = filters(cors_policy=CorsPolicy(max_age=max_age))

    assert seconds == found["cors"]["maxAge"]


def test_an_origin_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(Refusal, match=r"corsPolicy\.allowOrigins"):
        filters(cors_policy=CorsPolicy(allow_origins=(REGEX,)))


def test_v1beta1_has_no_cors() -> None:
    assert [] == filters(with_cors=False, cors_policy=CorsPolicy(allow_origin=("*",)))


def test_the_cookie_has_every_attribute_in_flaggers_order() -> None:
    """TRACE affinity-istio."""
    settings = SessionAffinity(
        cookie_name="c",
        max_age=3600,
        domain="example.com",
        http_only=True,
        partitioned=True,
        path="/",
        same_site="Strict",
        secure=True,
    )

    text = "c=v; Max-Age=3600; Domain=example.com; HttpOnly; Partitioned; Path=/; SameSite=Strict"
    assert f"{text}; Secure" == set_cookie("c=v", settings)
    assert "c=v; Max-Age=86400" == set_cookie("c=v", SessionAffinity(cookie_name="c"))


def a_rewriting_rule(*kinds: str) -> Obj:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    matches = [{"path": {"type": kind, "value": "/a"}} for kind in kinds]
    return {"matches": matches, "filters": [{"urlRewrite": {"path": path}}]}


def test_a_prefix_is_replaced_where_it_is_the_only_match() -> None:
    """TRACE of reference 4.4: every API server refuses the others, at every try."""
    check_rewrites([a_rewriting_rule("PathPrefix"), {"matches": []}])
    for kinds in ((), ("Exact",), ("PathPrefix", "PathPrefix")):
        with pytest.raises(Refusal, match=f"exactly one match.* these would have {len(kinds)}"):
            check_rewrites([a_rewriting_rule(*kinds)])
