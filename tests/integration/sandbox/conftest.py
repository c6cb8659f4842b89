"""The two servers that the contract is for, and a namespace per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.sandbox.api import Api
from tests.servers import crds

from serinus.sandbox import ApiServer, Controllers, define, kubeconfig
from serinus.sandbox.housekeeping import GarbageCollector, NamespaceController

FOREIGN = ("traefik.io_", "gateway.networking.k8s.io_")


@asynccontextmanager
async def emulator(folder: Path) -> AsyncIterator[Path]:
    """The kubeconfig of an emulator that tidies up but runs nothing."""
    server = ApiServer()
    url = await server.start()
    # Of the other kinds the sandbox knows what it needs; reading all of them takes half a second.
    define(server, [file for file in crds.files() if not file.name.startswith(FOREIGN)])
    registry = server.registry
    controllers = Controllers(registry, [GarbageCollector(registry), NamespaceController(registry)])
    controllers.start()
    path = folder / "emulator.kubeconfig"
    path.write_text(kubeconfig(url))
    try:
        yield path
    finally:
        await controllers.stop()
        await server.stop()


@pytest.fixture(params=["emulator", "kube-apiserver"])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    """Each API server in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "emulator":
            path = await stack.enter_async_context(emulator(tmp_path))
        else:
            path = request.getfixturevalue("control_plane").kubeconfig()
        client = await stack.enter_async_context(Api(path))
        made = await client.create("namespaces", {"metadata": {"generateName": "contract-"}})
        assert made.code == 201, made
        client.namespace = made.meta["name"]
        yield client
        await client.delete("namespaces", made.meta["name"])
