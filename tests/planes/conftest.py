"""Real data planes: one of each per session, in a network in which pods have addresses."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.conftest import kube, kubelet
from tests.planes.catalog import Plane
from tests.planes.site import Site, a_site
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.control_plane import control_plane as running_control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.network import own_network

__all__ = ["kube", "kubelet"]

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """As in the integration tests; with it everything that is started is in that network."""
    files = [file for mesh in ("contour", "istio") for file in crds.of_mesh(mesh)]
    folder = tmp_path_factory.mktemp("control-plane")
    with own_network(), running_control_plane(folder, crds=files) as plane:
        yield plane
        plane.check()


class Running:
    """A row, where it takes traffic, and where its counters are, if it has some."""

    def __init__(self, row: Plane, url: str, metrics: str) -> None:
        self.row = row
        self.url = url
        self.metrics = metrics


@pytest.fixture(scope="session")
def plane(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """The data plane of the test's parameter."""
    row: Plane = request.param
    with row.runs(tmp_path_factory.mktemp(row.name), control_plane) as server:
        yield Running(row, server.url, getattr(server, "metrics", ""))


@pytest.fixture
async def namespace(kube: Kube, plane: Running) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    name = await kube.namespace(f"{plane.row.name}-{next(NUMBERS)}")
    yield name
    await kube.delete("v1", "Namespace", None, name)


@pytest.fixture
async def site(
    plane: Running, control_plane: ControlPlane, kube: Kube, kubelet: Kubelet, namespace: str
) -> AsyncIterator[Site]:
    """A canary behind the data plane, all on its primary."""
    async with a_site(plane.row, plane.url, control_plane, kube, namespace) as made:
        yield made
