"""Which parents a route has, which port each is for, and what they say of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import an_exposure

from serinus.events.canary import GatewayRef, ServiceSpec
from serinus.kube.refs import Obj
from serinus.router.core.objects import Refusal
from serinus.router.core.parents import by_port, check_ports, not_accepted, unresolved, written

GATEWAY = GatewayRef(name="public", namespace="ingress", section_name="https")
ADMIN = GatewayRef(name="public", section_name="admin", backend_port=9090)


def itself(**more: Any) -> GatewayRef:
    return GatewayRef(group="", kind="Service", name="web", **more)


def ports(*parents: GatewayRef) -> dict[int, tuple[GatewayRef, ...]]:
    return dict(by_port(ServiceSpec(port=80, gateway_refs=parents), "web"))


def test_a_parent_leads_to_the_port_of_the_manifest_unless_it_says_another() -> None:
    listener = GatewayRef(name="public", port=8443)

    assert {80: (GATEWAY, listener), 9090: (ADMIN,)} == ports(ADMIN, GATEWAY, listener)
    assert [80, 9090] == list(ports(ADMIN, GATEWAY))


def test_a_port_of_the_service_itself_is_the_same_port_of_the_others() -> None:
    """In a mesh the Service is the parent, as with Linkerd."""
    main, metrics, other = itself(port=80), itself(port=9090), itself(port=1, backend_port=80)
    stranger = GatewayRef(group="", kind="Service", name="api", port=7)

    found = ports(main, metrics, other, stranger, itself())

    assert {80: (main, other, stranger, itself()), 9090: (metrics,)} == found


def test_a_port_that_the_services_do_not_have_is_refused() -> None:
    service = ServiceSpec(port=80, gateway_refs=(ADMIN,))

    check_ports(service, an_exposure(ports={"admin": 9090}))
    with pytest.raises(Refusal, match=r"9090 is no port of web: service\.portDiscovery"):
        check_ports(service, an_exposure())


def test_defaults_are_written_out_and_what_is_ours_is_not() -> None:
    group = "gateway.networking.k8s.io"
    section = {"sectionName": "admin"}
    assert {"group": group, "kind": "Gateway", "name": "public", **section} == written(ADMIN)
    assert {"group": "", "kind": "Service", "name": "web", "port": 80} == written(itself(port=80))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"status": "True", "observedGeneration": 3}, ""),
        ({"status": "True", "observedGeneration": 2}, "observed generation: 2"),
        ({"status": "False", "observedGeneration": 3}, "status: False"),
    ],
)
def test_a_parent_that_reports_must_have_accepted_this_generation(
    condition: Obj, said: str
) -> None:
    parent = written(GATEWAY)
    route = {
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "generation": 3},
        "spec": {"parentRefs": [parent]},
        "status": {
            "parents": [
                {"parentRef": {**parent, "sectionName": "other"}, "conditions": []},
                {"parentRef": parent, "conditions": [{"type": "Accepted", **condition}]},
            ]
        },
    }

    found = not_accepted(route, "shop")

    assert said in found
    assert bool(said) == bool(found)


def test_a_parent_that_cannot_reach_a_backend_says_so() -> None:
    missing = {"type": "ResolvedRefs", "status": "False", "message": "service web-canary is away"}
    route: Obj = {
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "generation": 3},
        "status": {"parents": [{"parentRef": {"name": "public"}, "conditions": [missing]}]},
    }
    assert "" == unresolved(route, "shop")  # of an older generation

    missing["observedGeneration"] = 3
    said = "HTTPRoute web.shop parent public cannot reach its backends: service web-canary is away"
    assert said == unresolved(route, "shop")
    missing["status"] = "True"
    assert "" == unresolved(route, "shop")
