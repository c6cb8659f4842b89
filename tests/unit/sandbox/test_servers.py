"""How the servers are told to be."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.sandbox.servers import NotStarted, free_port, program, traefik_config


def test_traefik_listens_on_loopback_only_and_tells_nobody() -> None:
    config: dict[str, Any] = traefik_config("http://127.0.0.1:1", 2, 3)

    addresses = {point["address"] for point in config["entryPoints"].values()}
    assert addresses == {"127.0.0.1:2", "127.0.0.1:3"}
    assert config["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}


def test_traefik_reads_its_routes_from_the_api() -> None:
    config: dict[str, Any] = traefik_config("http://127.0.0.1:1", 2, 3)

    assert config["providers"]["kubernetesCRD"]["endpoint"] == "http://127.0.0.1:1"
    assert config["metrics"]["prometheus"]["addServicesLabels"] is True


def test_a_missing_program_is_named() -> None:
    with pytest.raises(NotStarted, match="no-such-server"):
        program("no-such-server")


def test_free_ports_can_be_used() -> None:
    assert 1024 <= free_port() < 65536
