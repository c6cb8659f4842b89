"""Anything that a mesh may be asked for, drawn at random, within what the row claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from serinus.events import Cookies, Routes
from serinus.events.canary import (
    CorsPolicy,
    ExtraMetadata,
    GatewayRef,
    HeaderOperations,
    Headers,
    HttpMatch,
    Retries,
    Rewrite,
    ServiceSpec,
    SessionAffinity,
    StringMatch,
)
from serinus.router.meshes.catalog import Ability, Row

names = st.text("abcdefghij-", min_size=1, max_size=8).map(lambda text: f"x{text}x")
texts = st.text("abc/1", min_size=1, max_size=5)
string_matches = st.one_of(
    texts.map(lambda text: StringMatch(exact=text)), texts.map(lambda text: StringMatch(regex=text))
)
conditions = st.builds(
    HttpMatch,
    headers=st.dictionaries(names, string_matches, min_size=1, max_size=3),
    query_params=st.dictionaries(names, string_matches, max_size=2),
)
by_header = st.builds(
    HttpMatch, headers=st.dictionaries(names, string_matches, min_size=1, max_size=3)
)
# What meshes can test of an A/B condition where it is not everything.
MATCHES: Mapping[str, st.SearchStrategy[list[HttpMatch]]] = {
    "nginx": st.lists(
        st.builds(
            HttpMatch, headers=st.dictionaries(names, string_matches, min_size=1, max_size=1)
        ),
        min_size=1,
        max_size=1,
    ),
    "skipper": st.lists(conditions, min_size=1, max_size=1),
    **dict.fromkeys(
        ("appmesh", "appmesh:v1beta2", "contour", "gloo", "kuma"),
        st.lists(by_header, min_size=1, max_size=2),
    ),
}
# Meshes that give the canary all requests that match, or none.
ALL_OR_NOTHING = ("nginx",)

operations = st.builds(
    HeaderOperations,
    add=st.dictionaries(names, texts, max_size=3),
    set=st.dictionaries(names, texts, max_size=3),
    remove=st.lists(names, max_size=2, unique=True).map(tuple),
)
service_specs = st.builds(
    ServiceSpec,
    port=st.integers(1, 65535),
    mesh_name=st.just("global"),
    hosts=st.lists(names, max_size=2).map(tuple),
    gateway_refs=st.lists(names, min_size=1, max_size=2, unique=True).map(
        lambda found: tuple(GatewayRef(name=name) for name in found)
    ),
    match=st.lists(conditions, max_size=2).map(tuple),
    timeout=st.sampled_from(["", "12s"]),
    gateways=st.lists(names, max_size=2).map(tuple),
    port_discovery=st.booleans(),
    retries=st.none() | st.builds(Retries, attempts=st.integers(0, 3), retry_on=st.just("5xx")),
    traffic_policy=st.none() | st.just({"tls": {"mode": "ISTIO_MUTUAL"}}),
    headers=st.none() | st.builds(Headers, request=operations, response=operations),
    rewrite=st.none() | st.builds(Rewrite, uri=texts),
    cors_policy=st.none()
    | st.builds(CorsPolicy, allow_origin=st.just(("https://a.test",)), max_age=st.just("1h")),
    apex=st.none()
    | st.builds(
        ExtraMetadata,
        labels=st.dictionaries(names, names, max_size=2),
        annotations=st.dictionaries(names, texts, max_size=2),
    ),
)

PLAIN = ServiceSpec(port=80, mesh_name="global", gateway_refs=(GatewayRef(name="g"),))


@st.composite
def routes_for(draw: Any, row: Row) -> Routes:
    """Any routes that the mesh claims to be able to make."""
    weight = draw(st.integers(0, 100)) if row.kinds else 0
    routes = Routes(primary=100 - weight, canary=weight)
    extra = draw(st.sampled_from(sorted({None, *row.can - {Ability.WEIGHT}}, key=str)))
    match extra:
        case Ability.MATCH:
            some = MATCHES.get(row.name, st.lists(conditions, min_size=1, max_size=2))
            if row.name in ALL_OR_NOTHING:
                weight = draw(st.sampled_from([0, 100]))
                routes = Routes(primary=100 - weight, canary=weight)
            return msgspec.structs.replace(routes, match=tuple(draw(some)))
        case Ability.MIRROR:
            percent = draw(st.sampled_from([0, 40]))
            return msgspec.structs.replace(routes, mirror=True, mirror_weight=percent)
        case Ability.STICKY:
            sticky = SessionAffinity(cookie_name="c", primary_cookie_name=draw(st.just("") | names))
            given = {"canary": "c=abc", "primary": "p=def"} if weight else {"previous": "c=old"}
            return msgspec.structs.replace(routes, cookies=Cookies(settings=sticky, **given))
    return routes
