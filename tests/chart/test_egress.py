"""What pods of the suite may reach where `networkPolicy.egress` is on, as a network reads policies.

A network is asked about pods, addresses and ports: the questions here are the other pods of the
chart by the ports that they really have, the API server, a resolver, and the world.
"""

from __future__ import annotations

import json
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from tests.chart.render import Obj, pods
from tests.chart.test_settings import objects
from tests.servers.process import ServerError
from tests.tools.helm import CHART, helm

SERVICES = ("watcher", "analyzer", "router", "notifier", "loadtester", "coordinator", "nats")
API_SERVER, RESOLVER, CHAT = "10.0.0.1", "10.0.0.10", "198.51.100.7"
ON = (
    "networkPolicy.egress.enabled=true",
    f"networkPolicy.egress.apiServer.peers[0].ipBlock.cidr={API_SERVER}/32",
    "coordinator.enabled=true",
)
PORTS = (80, 443, 4222, 4333, 4334, 7422)


@cache
def made(*values: str) -> tuple[Obj, ...]:
    return tuple(objects(*values))


def rules(service: str, *values: str) -> list[Obj]:
    """The egress rules of the one policy that selects the pods of a service."""
    labels = labels_of(service, *values)
    (policy,) = (
        obj["spec"]
        for obj in made(*values)
        if obj["kind"] == "NetworkPolicy" and selects(obj["spec"]["podSelector"], labels)
    )
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    found: list[Obj] = policy["egress"]
    return found


def labels_of(service: str, *values: str) -> Obj:
    labels: Obj = pods(made(*values))[f"serinus-{service}"]["metadata"]["labels"]
    return labels


def selects(selector: Obj, labels: Obj) -> bool:
    """The chart selects by whole labels only."""
    return selector["matchLabels"].items() <= labels.items()


def reaches(service: str, to: str | Obj, port: int, *values: str, protocol: str = "TCP") -> bool:
    """Whether a policy lets a service's pods through to an address, or to a pod by its labels."""
    return any(
        any(p["port"] == port and p.get("protocol", "TCP") == protocol for p in rule["ports"])
        and ("to" not in rule or any(is_at(peer, to) for peer in rule["to"]))
        for rule in rules(service, *values)
    )


def is_at(peer: Obj, to: str | Obj) -> bool:
    if isinstance(to, str):
        return ip_address(to) in ip_network(peer.get("ipBlock", {"cidr": "192.0.2.1/32"})["cidr"])
    return selects(peer["podSelector"], to) if "podSelector" in peer else False


def port_of(service: str, name: str, *values: str) -> int:
    (container,) = pods(made(*values))[f"serinus-{service}"]["spec"]["containers"]
    (number,) = (one["containerPort"] for one in container["ports"] if one["name"] == name)
    assert isinstance(number, int)
    return number


def test_nothing_that_goes_out_is_restricted_unless_somebody_says_so() -> None:
    policies = [obj["spec"] for obj in made() if obj["kind"] == "NetworkPolicy"]
    assert len(policies) == len(SERVICES) - 1, "without the coordinator"
    assert {kind for one in policies for kind in one["policyTypes"]} == {"Ingress"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_resolves_names_and_finds_the_bus(service: str) -> None:
    assert reaches(service, RESOLVER, 53, *ON, protocol="UDP")
    assert reaches(service, RESOLVER, 53, *ON)
    door = "routes" if service == "nats" else "nats"
    bus = labels_of("nats", *ON)
    assert reaches(service, bus, port_of("nats", door, *ON), *ON)


@pytest.mark.parametrize("service", SERVICES)
def test_the_api_server_is_for_those_with_rights_there(service: str) -> None:
    with_rights = pods(made(*ON))[f"serinus-{service}"]["spec"]["automountServiceAccountToken"]
    for port in (443, 6443):
        assert reaches(service, API_SERVER, port, *ON) == with_rights
    assert with_rights == (service not in ("loadtester", "nats"))


def test_a_load_tester_that_was_given_rights_reaches_it_too() -> None:
    assert reaches("loadtester", API_SERVER, 443, *ON, "loadtester.rbac.create=true")


@pytest.mark.parametrize("service", SERVICES)
def test_the_world_is_nobodys(service: str) -> None:
    assert not reaches(service, CHAT, 443, *ON)
    assert not reaches(service, "169.254.169.254", 80, *ON)


@pytest.mark.parametrize("service", SERVICES)
def test_hooks_and_metrics_of_the_suite_are_for_the_analyzer(service: str) -> None:
    values = (*ON, "prometheus.install=true")
    for other, door in (("loadtester", "hooks"), ("coordinator", "hooks"), ("prometheus", "web")):
        there = labels_of(other, *values)
        assert reaches(service, there, port_of(other, door, *values), *values) == (
            service == "analyzer"
        )


def test_what_is_listed_is_opened_for_whom_it_is_listed() -> None:
    """Each lists an address of its own."""
    theirs = {name: f"198.51.100.{at}" for at, name in enumerate((*SERVICES, "all"))}
    values = [*ON]
    for name, address in theirs.items():
        path = f"networkPolicy.egress.to.{name}[0]"
        values += [f"{path}.to[0].ipBlock.cidr={address}/32", f"{path}.ports[0].port=443"]
    for service in SERVICES:
        open_to = {name for name, at in theirs.items() if reaches(service, at, 443, *values)}
        assert open_to == {service, "all"}
        assert not reaches(service, theirs[service], 80, *values)


@pytest.mark.parametrize(
    ("value", "service", "ports"),
    [
        (r"nats.external.url=tls://a:4333\,nats://b\,wss://c", "watcher", {4333, 4222, 443}),
        ("nats.external.url=ws://a", "loadtester", {80}),
        (r"coordinator.fleet.url=tls://a:4333\,tls://b:4334", "coordinator", {4333, 4334}),
        ("fleet.leaf.url=tls://a", "nats", {7422}),
    ],
)
def test_a_bus_of_somebody_elses_is_reached_at_its_ports(
    value: str, service: str, ports: set[int]
) -> None:
    """Where it is can be said by address only; until somebody does, it may be anywhere."""
    values = [*ON, value, "networkPolicy.egress.dns.ports={5353}"]
    if value.startswith("nats"):
        values += ["nats.enabled=false", "nats.auth.existingSecret=users"]
    if value.startswith("fleet"):
        values += ["coordinator.cluster=eu", "fleet.leaf.existingSecret=fleet"]
    assert {port for port in PORTS if reaches(service, CHAT, port, *values)} == ports
    values += ["networkPolicy.egress.bus.peers[0].ipBlock.cidr=10.8.0.0/16"]
    assert {port for port in PORTS if reaches(service, "10.8.0.9", port, *values)} == ports
    assert not any(reaches(service, CHAT, port, *values) for port in PORTS)


REFUSED = [
    ("to.anlyzer[0].ports[0].port=1", "additional properties 'anlyzer' not allowed"),
    ("to.analyzer[0]=monitoring", "'/networkPolicy/egress/to/analyzer/0': got string, want object"),
    ("to.analyzer[0].port=1", "/to/analyzer/0': additional properties 'port' not allowed"),
    ("to.analyzer[0].ports[0].prot=1", "/to/analyzer/0/ports/0'"),
    ("to.analyzer[0].ports[0].port=70000", "/ports/0/port': maximum: got 70,000, want 65,535"),
    ("to.analyzer[0].ports[0].protocol=tcp", "/ports/0/protocol': value must be one of"),
    (
        "apiServer.peers[0].ipBlock.cidr=10.0.0.1",
        "/apiServer/peers/0/ipBlock/cidr': '10.0.0.1' does",
    ),
    ("apiServer.peers[0].ipBlock.cidr=10.0.0.1/33", "/ipBlock/cidr': '10.0.0.1/33' does not match"),
    ("apiServer.peers[0].cidr=10.0.0.1/32", "additional properties 'cidr' not allowed"),
    ("apiServer.ports={https}", "/apiServer/ports/0': got string, want integer"),
    ("apiServer.ports={0}", "/apiServer/ports/0': minimum: got 0, want 1"),
    ("dns.peers[0].podSelector.app=dns", "/podSelector': additional properties 'app' not allowed"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_what_no_network_could_read_is_refused_with_its_place(value: str, message: str) -> None:
    with pytest.raises(ServerError) as refused:
        helm("template", "serinus", str(CHART), "--set", f"networkPolicy.egress.{value}")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("to.notifier", [{}]),
        ("to.notifier", [{"to": []}]),
        ("to.notifier", [{"ports": []}]),
        ("apiServer.ports", []),
        ("dns.ports", []),
        ("bus.peers", [{}]),
    ],
)
def test_what_would_open_everything_by_saying_nothing_is_refused(path: str, value: Any) -> None:
    words = ("--set-json", f"networkPolicy.egress.{path}={json.dumps(value)}")
    with pytest.raises(ServerError, match=f"/networkPolicy/egress/{path.replace('.', '/')}"):
        helm("template", "serinus", str(CHART), *words)


def test_there_is_no_egress_without_policies() -> None:
    with pytest.raises(ServerError, match=r"networkPolicy\.egress\.enabled: needs"):
        made("networkPolicy.enabled=false", "networkPolicy.egress.enabled=true")
