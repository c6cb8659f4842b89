"""The real servers, one of each per session. What is missing is an error, never a skip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.servers.control_plane import ControlPlane
from tests.servers.control_plane import control_plane as running_control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.nats import nats_server as running_nats
from tests.servers.stub import Stub


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager with every CRD; namespaces are per test."""
    with running_control_plane(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane
        plane.check()


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    """The API server as its administrator sees it."""
    async with Kube(control_plane.kubeconfig()) as client:
        yield client


@pytest.fixture
async def namespace(kube: Kube, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A namespace of the test's own, named after it."""
    words = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    name = await kube.namespace(words.removeprefix("test-")[:55].strip("-"))
    yield name
    await kube.delete("v1", "Namespace", None, name)


@pytest.fixture
async def kubelet(control_plane: ControlPlane) -> AsyncIterator[Kubelet]:
    """Makes pods Ready a tenth of a second after they are bound; rules are per namespace."""
    async with (
        Kube(control_plane.kubeconfig("kubelet")) as client,
        Kubelet(client, ready_after_s=0.1) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The session's NATS server with JetStream; subjects and streams are per test."""
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server for one test, to kill and to start again."""
    with running_nats(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """Metrics server, webhook receivers and chat services with scripted answers."""
    async with Stub() as running:
        yield running
