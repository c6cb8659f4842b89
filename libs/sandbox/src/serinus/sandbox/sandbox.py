"""The pocket cluster: the API, a node whose pods are processes, NATS and Traefik, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from serinus.sandbox import yamls
from serinus.sandbox.addresses import Addresses
from serinus.sandbox.apiserver import ApiServer
from serinus.sandbox.controllers import Controllers
from serinus.sandbox.housekeeping import (
    EndpointsController,
    GarbageCollector,
    NamespaceController,
)
from serinus.sandbox.images import PROGRAMS, Program
from serinus.sandbox.kubelet import BACKOFF_S, Kubelet, Node
from serinus.sandbox.leash import Child, Leash
from serinus.sandbox.registry import Registry, Write
from serinus.sandbox.servers import NatsServer, Traefik
from serinus.sandbox.workloads import (
    DaemonSetController,
    DeploymentController,
    ReplicaSetController,
)


def control_plane(registry: Registry) -> Controllers:
    """The controllers of a cluster that runs workloads."""
    kinds = (
        GarbageCollector,
        NamespaceController,
        EndpointsController,
        DeploymentController,
        ReplicaSetController,
        DaemonSetController,
    )
    return Controllers(registry, [kind(registry) for kind in kinds])


def kubeconfig(url: str) -> str:
    """A kubeconfig for an API without authentication."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": {"server": url}}],
            "users": [{"name": "sandbox", "user": {}}],
            "contexts": [
                {
                    "name": "sandbox",
                    "context": {"cluster": "sandbox", "user": "sandbox", "namespace": "default"},
                }
            ],
            "current-context": "sandbox",
        },
        sort_keys=False,
    )


def define(api: ApiServer, files: Sequence[Path]) -> None:
    """Creates the CustomResourceDefinitions of YAML files (or of folders of them)."""
    resource = api.kinds.at("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    paths = [p for f in files for p in (sorted(f.glob("*.yaml")) if f.is_dir() else [f])]
    for path in paths:
        for document in yamls.documents(path.read_bytes()):
            if document.get("kind") == "CustomResourceDefinition":
                api.registry.create(resource, "", document, Write("serinus-sandbox"))


class Sandbox:
    """A cluster in a folder. Use as an async context manager; nothing outlives it.

    Once entered: `kubeconfig` (path), `api_url`, `nats_url`, `traefik_url` (where clients send
    requests), `traefik_metrics_url`, `dir`, `logs` (a folder, one file per program).
    """

    def __init__(
        self,
        directory: Path | None = None,
        crds: Sequence[Path] = (),
        programs: Mapping[str, Program] | None = None,
        nats: bool = True,
        nats_config: str = "",
        nats_env: Mapping[str, str] | None = None,
        traefik: bool = True,
        backoff_s: float = BACKOFF_S,
        single_address: bool | None = None,
    ) -> None:
        """`directory` is kept when it is given, else a temporary one is removed at the end.

        `crds` are files or folders whose schemas are enforced; `programs` adds images to those
        that come with the sandbox. `nats_config` may use the variables of `nats_env`.
        `single_address` puts all pods on 127.0.0.1 with ports of their own, which otherwise is
        done only where a machine has no other loopback addresses.
        """
        self._given = directory
        self._crds = crds
        self._programs = {**PROGRAMS, **(programs or {})}
        self._with_nats, self._with_traefik = nats, traefik
        self._nats_config, self._nats_env = nats_config, nats_env
        self._backoff_s = backoff_s
        self._single_address = single_address
        self._stack = contextlib.AsyncExitStack()
        self._children: list[Child] = []
        self.nats: NatsServer | None = None
        self.traefik: Traefik | None = None

    async def __aenter__(self) -> Sandbox:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self.dir = self._given or Path(tempfile.mkdtemp(prefix="serinus-"))
        self.dir.mkdir(parents=True, exist_ok=True)
        if self._given is None:
            self._stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.logs = self.dir / "logs"
        self.leash = self._stack.enter_context(Leash())
        addresses = Addresses(self._single_address)
        self.api = ApiServer(cluster_ips=addresses.service_addresses)
        self.api_url = await self.api.start()
        self._stack.push_async_callback(self.api.stop)
        define(self.api, self._crds)
        self.kubeconfig = self.dir / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(self.api_url))
        await self._start_node(addresses)
        if self._with_nats:
            log = self.logs / "nats.log"
            self.nats = NatsServer(
                self.leash,
                self.dir / "nats",
                log,
                config=self._nats_config,
                env=self._nats_env,
            )
            await self._stack.enter_async_context(self.nats)
        if self._with_traefik:
            log = self.logs / "traefik.log"
            self.traefik = Traefik(self.leash, self.dir / "traefik", log, self.api_url)
            await self._stack.enter_async_context(self.traefik)
        self._stack.push_async_callback(self._stop_children)

    async def _start_node(self, addresses: Addresses) -> None:
        registry = self.api.registry
        controllers = control_plane(registry)
        controllers.start()
        self._stack.push_async_callback(controllers.stop)
        pods = self.logs / "pods"
        node = Node(registry, self.leash, addresses, self._programs, pods, self._backoff_s)
        kubelet = Kubelet(node)
        self.api.log_reader = kubelet.read_log
        kubelet.start()
        self._stack.push_async_callback(kubelet.stop)

    @property
    def nats_url(self) -> str:
        """Where NATS listens."""
        assert self.nats is not None, "this sandbox has no NATS"
        return self.nats.url

    @property
    def traefik_url(self) -> str:
        """Where Traefik takes requests."""
        assert self.traefik is not None, "this sandbox has no Traefik"
        return self.traefik.url

    @property
    def traefik_metrics_url(self) -> str:
        """Where Traefik's metrics are."""
        assert self.traefik is not None, "this sandbox has no Traefik"
        return self.traefik.metrics_url

    async def spawn(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Child:
        """Starts a program beside the cluster; `env` is added to this process's environment.

        It ends with the sandbox. KUBECONFIG points at this cluster unless `env` says otherwise.
        """
        whole = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **(env or {})}
        child = await self.leash.spawn(name, argv, self.logs / f"{name}.log", whole)
        self._children.append(child)
        return child

    async def _stop_children(self) -> None:
        for child in reversed(self._children):
            if child.running:
                await child.stop()
