"""What becomes of a write that the API server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import REF

from serinus.kube.cluster import Listing
from serinus.kube.errors import Conflict, Denied, Invalid, NoKind, Unreachable
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.router.core.steps import Write
from serinus.router.executor import Executor
from serinus.runtime.errors import Refuse

ROUTE = Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", "web")
LIVE: Obj = {"metadata": {"resourceVersion": "7"}}


class Refusing:
    """An API server that wants nothing of ours."""

    async def apply(self, obj: Obj, **_: Any) -> Obj:
        raise Invalid('"web" is invalid')

    async def patch(self, ref: Ref, patch: Any, **_: Any) -> Obj:
        raise Denied("forbidden")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            Write(verb="apply", ref=ROUTE, why="routes 100/0"),
            'HTTPRoute web.shop create error: "web" is invalid',
        ),
        (
            Write(
                verb="patch", ref=ROUTE, why="routes 90/10", whole={**LIVE, "spec": {}}, live=LIVE
            ),
            "HTTPRoute web.shop update error: forbidden",
        ),
    ],
)
async def test_a_refusal_says_which_object_and_what_was_tried(step: Write, text: str) -> None:
    """Reference 4.4: people look for these words."""
    cluster: Any = Refusing()
    executor = Executor(cluster, watch=lambda *_: None, on_change=lambda _: None)

    with pytest.raises(Refuse) as refused:
        await executor.write(step, REF)

    assert refused.value.reason == text


class Deleting:
    """An API server that has one object and may have got another one of its name."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.deleted: list[Ref] = []

    async def delete(self, ref: Ref, *, uid: str = "", **_: Any) -> None:
        if uid != self.uid:
            raise Conflict("the uid differs")
        self.deleted.append(ref)

    async def get(self, ref: Ref) -> Obj:
        return a_route("theirs")


def a_route(uid: str) -> Obj:
    meta = {"name": ROUTE.name, "namespace": ROUTE.namespace, "uid": uid, "resourceVersion": "8"}
    return {"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "metadata": meta}


@pytest.mark.parametrize(("uid", "deleted", "left"), [("ours", [ROUTE], None), ("", [], "theirs")])
async def test_only_the_object_that_was_looked_at_is_deleted(
    uid: str, deleted: list[Ref], left: str | None
) -> None:
    cluster = Deleting(uid)
    anything: Any = cluster
    executor = Executor(anything, watch=lambda *_: None, on_change=lambda _: None)

    await executor.write(
        Write(verb="delete", ref=ROUTE, why="canary route away", whole=a_route("ours")), REF
    )

    found = executor.live([ROUTE]).get(ROUTE)
    assert (deleted, left) == (cluster.deleted, found and found["metadata"]["uid"])


@pytest.mark.parametrize(
    ("own", "watched"),
    [("", ["", "", ""]), ("shop", ["shop", "gloo-system", ""])],
)
def test_what_a_canary_refers_to_is_followed_where_it_is(own: str, watched: list[str]) -> None:
    """In other namespaces and in none, however few the service works for."""
    asked: list[str] = []
    anything: Any = None
    executor = Executor(
        anything,
        watch=lambda _, __, namespace, ___: asked.append(namespace),
        on_change=lambda _: None,
        namespace=own,
    )

    executor.live(
        Ref("v1", kind, namespace, "web")
        for kind, namespace in (("A", "shop"), ("B", "gloo-system"), ("C", ""))
    )

    assert watched == asked


class WithPods(Deleting):
    """An API server with pods, and how they were asked for."""

    def __init__(self) -> None:
        super().__init__("ours")
        self.asked: list[tuple[str, ...]] = []

    async def list(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> Listing:
        self.asked.append((api_version, kind, namespace, selector))
        return Listing((a_pod(),), "8")


def a_pod() -> Obj:
    meta = {"name": "web-2", "namespace": "shop", "uid": "ours", "resourceVersion": "8"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


async def test_pods_are_looked_at_when_they_are_needed_and_never_followed() -> None:
    """A cluster has more pods than anything else; a few are deleted, once in a while."""
    cluster, followed = WithPods(), list[str]()
    anything: Any = cluster
    executor = Executor(
        anything, watch=lambda _, kind, *__: followed.append(kind), on_change=lambda _: None
    )

    found = await executor.contents("pods/app=web,tier=data", "shop")
    pod = a_pod()
    write = Write(verb="delete", ref=ref_of(pod), why="pod back", whole=pod)
    await executor.write(write, REF)
    cluster.uid = "another"
    await executor.write(write, REF)

    assert found == {"items": [a_pod()]}
    assert cluster.asked == [("v1", "Pod", "shop", "app=web,tier=data")]
    assert (cluster.deleted, followed) == ([ref_of(pod)], [])


class WithSlices:
    """An API server that answers about EndpointSlices, or does not."""

    def __init__(self, answer: Listing | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, ...]] = []

    async def list(self, *asked: str) -> Listing:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


A_SLICE: Obj = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (Listing((A_SLICE,), "8"), 1),
        (Listing((), "8"), None),
        (NoKind("the API server does not serve EndpointSlice"), None),
        (Denied("forbidden"), None),
        (Invalid("not here"), None),
    ],
)
async def test_addresses_are_those_of_one_service_where_somebody_can_tell(
    answer: Listing | Exception, known: int | None
) -> None:
    """Who upgrades the image without the chart has no right to them, and no less of a release."""
    cluster, followed = WithSlices(answer), list[str]()
    anything: Any = cluster
    executor = Executor(
        anything, watch=lambda *asked: followed.append(asked[1]), on_change=lambda _: None
    )

    assert known == await executor.addresses("web-canary", "shop")

    label = "kubernetes.io/service-name=web-canary"
    assert [("discovery.k8s.io/v1", "EndpointSlice", "shop", label)] == cluster.asked
    assert [] == followed


async def test_an_api_server_that_does_not_answer_is_no_answer_about_addresses() -> None:
    anything: Any = WithSlices(Unreachable("no answer"))
    executor = Executor(anything, watch=lambda *_: None, on_change=lambda _: None)

    with pytest.raises(Unreachable):
        await executor.addresses("web-canary", "shop")
