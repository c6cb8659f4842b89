"""The user's Ingress and the copy that becomes a canary's."""

from __future__ import annotations

import copy

from tests.builders import an_exposure
from tests.unit.router.meshes.test_nginx import a_rule, an_ingress, live

from serinus.events import ObjectRef
from serinus.router.core import ingresses
from serinus.router.core.objects import LAST_APPLIED

EXPOSURE = an_exposure("nginx", ingress=ObjectRef(kind="Ingress", name="public"))


def test_the_copy_has_everything_but_what_kubectl_noted() -> None:
    source = an_ingress(labels={"a": "1"}, annotations={"b": "2", LAST_APPLIED: "{}"})
    source["spec"]["tls"] = [{"hosts": ["a.test"]}]

    found = ingresses.copied(EXPOSURE, source)

    meta = {"name": "public-canary", "namespace": "shop", "labels": {"a": "1"}}
    assert {**meta, "annotations": {"b": "2"}} == found["metadata"]
    assert source["spec"] == found["spec"]


def test_the_copy_is_nobody_elses() -> None:
    source = an_ingress()
    before = copy.deepcopy(source)

    found = ingresses.copied(EXPOSURE, source)
    found["spec"]["rules"][0]["http"]["paths"].clear()

    assert before == source


def test_backends_are_found_wherever_they_are() -> None:
    source = an_ingress(a_rule("web"), {"host": "b.test"}, {"http": {"paths": None}})
    source["spec"]["defaultBackend"] = {"service": {"name": "other"}}

    found = list(ingresses.backends(source["spec"]))

    assert [False, True] == [ingresses.names(backend, "web") for backend in found]
    assert 3 == len(list(ingresses.paths(source["spec"])))


def test_both_are_read_where_one_is_named() -> None:
    names = [ref.name for ref in ingresses.refs(EXPOSURE)]

    assert ["public", "public-canary"] == names
    assert () == ingresses.refs(an_exposure("nginx"))
    assert ingresses.canary_of(an_exposure("nginx"), live()) is None
