"""One cluster with the suite in it per session. What is missing is an error, never a skip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from tests.e2e import images, stage, usage
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.engine import Engine, engine
from tests.e2e.hello import Hello, hello_in
from tests.e2e.previous import previous
from tests.e2e.shared import Shared
from tests.e2e.stage import Stage
from tests.e2e.suite import Suite
from tests.servers.kube import Kube

T = TypeVar("T")
FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, for people."""
    figures = terminalreporter.config.stash[FIGURES]
    if figures:
        terminalreporter.section("figures")
    for line in figures:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines to show at the end of the run."""
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def node(figures: list[str]) -> Iterator[Cluster]:
    """A running cluster."""
    with cluster(Shared.find()) as running:
        yield running


@pytest.fixture(scope="session")
def archives(figures: list[str]) -> dict[str, Path]:
    """Every image by its name, as an archive; built if need be."""
    begun, shared = time.monotonic(), Shared.find()
    found = {name: images.archive(image, shared) for name, image in images.every().items()}
    figures.append(f"images at hand after {time.monotonic() - begun:.1f} s")
    return found


@pytest.fixture(scope="session")
def references(node: Cluster, archives: dict[str, Path], figures: list[str]) -> dict[str, str]:
    """The names of the images, loaded into the cluster."""
    begun = time.monotonic()
    for archive in archives.values():
        node.load(archive)
    figures.append(f"images loaded in {time.monotonic() - begun:.1f} s")
    return {name: image.reference for name, image in images.every().items()}


@pytest.fixture(scope="session")
def suite(node: Cluster, references: dict[str, str]) -> Suite:
    """The chart's release."""
    return Suite(node.kubeconfig, stage.NAMESPACE, references)


@pytest.fixture(scope="session")
def before(
    node: Cluster,
    references: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    figures: list[str],
) -> Suite:
    """The release as the version before this one has it."""
    begun, shared = time.monotonic(), Shared.find()
    found = previous(tmp_path_factory.mktemp("previous"))
    for image in found.images.values():
        node.load(images.archive(image, shared))
    figures.append(f"the version before ({found.words}): {time.monotonic() - begun:.1f} s")
    theirs = {name: image.reference for name, image in found.images.items()}
    return Suite(node.kubeconfig, stage.NAMESPACE, {**references, **theirs}, found.chart)


@pytest.fixture(scope="session")
def installed(
    node: Cluster, suite: Suite, references: dict[str, str], figures: list[str]
) -> Iterator[Stage]:
    """The suite, its surroundings, and nothing else of ours."""
    begun = time.monotonic()
    running = with_kube(node.kubeconfig, lambda kube: stage.set_up(kube, suite, references))
    figures.append(f"installed and ready in {time.monotonic() - begun:.1f} s")
    try:
        yield running
        figures += with_kube(node.kubeconfig, usage.lines)
    finally:
        with_kube(node.kubeconfig, lambda kube: stage.tear_down(kube, suite))


@pytest.fixture(scope="session")
def running_engine() -> Iterator[Engine]:
    """A container engine with Docker's API."""
    with engine(Shared.find()) as found:
        yield found


@pytest.fixture
async def hello(
    installed: Stage, node: Cluster, request: pytest.FixtureRequest
) -> AsyncIterator[Hello]:
    """A service of a user's in a namespace of its own, not deployed yet; behind the first
    front, or the one that the test names."""
    front = getattr(request, "param", stage.FRONTS[0])
    words = request.node.originalname.removeprefix("test_").replace("_", "-")
    namespace = f"{stage.PREFIX}{front}-{words}"[:60].rstrip("-")
    async with (
        Kube(node.kubeconfig) as kube,
        hello_in(kube, installed, namespace, front) as found,
    ):
        yield found


def with_kube(kubeconfig: Path, work: Callable[[Kube], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Kube(kubeconfig) as kube:
            return await work(kube)

    return asyncio.run(run())
