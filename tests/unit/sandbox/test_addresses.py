"""Places for pods."""

from __future__ import annotations

from itertools import islice

from serinus.sandbox.addresses import Addresses, Place


def test_with_one_address_ports_are_moved() -> None:
    place = Addresses(single=True).place([9898, 9797])

    assert place.host == "127.0.0.1"
    assert set(place.ports) == {9898, 9797}
    assert place.port(9898) == place.ports[9898] != 9898


def test_a_place_without_moved_ports_keeps_them() -> None:
    assert Place("127.1.0.1", {}).port(9898) == 9898


def test_services_and_pods_never_share_an_address() -> None:
    addresses = Addresses(single=False)

    services = list(islice(addresses.service_addresses, 300))

    assert len(set(services)) == 300
    assert all(int(address.split(".")[2]) >= 128 for address in services)
