"""The real istiod with a real Envoy as its ingress gateway.

The Envoy is the plain one, not Istio's own build: what only that build has (its telemetry, the
exchange of metadata between peers, mutual TLS by itself) is switched off in istiod.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers.control_plane import ControlPlane
from tests.servers.envoy import envoy
from tests.servers.process import Child, answers, free_ports
from tests.tools import build

NAMESPACE = "istio-system"
GATEWAY = "public"
LABELS = {"istio": "gateway"}
NODE = f"router~127.0.0.1~gateway.{NAMESPACE}~{NAMESPACE}.svc.cluster.local"
MESH = {"enableAutoMtls": False, "accessLogFile": ""}
SWITCHES = {
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "ENABLE_CA_SERVER": "false",
    "INJECT_ENABLED": "false",
    "POD_NAME": "istiod",
    "POD_NAMESPACE": NAMESPACE,
}


class Istio:
    """A running istiod and its gateway: `url` takes traffic.

    It serves what belongs to the Gateway `public` in NAMESPACE, which it makes.
    """

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        self.folder = folder
        self._plane = plane
        self._web, self._admin, self._http, self._xds, self._monitoring = free_ports(5)
        self._program = build.tool("pilot-discovery")
        self._children: list[Child] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web}"

    def start(self) -> None:
        """Returns when the gateway has its listeners; routes follow. Raises ServerError."""
        self._make_gateway()
        argv = [
            self._program,
            "discovery",
            f"--kubeconfig={self._plane.kubeconfig()}",
            f"--namespace={NAMESPACE}",
            "--clusterID=Kubernetes",
            f"--meshConfig={self._written('mesh', MESH)}",
            f"--networksConfig={self._written('networks', {'networks': {}})}",
            f"--httpAddr=127.0.0.1:{self._http}",
            "--httpsAddr=",
            f"--grpcAddr=127.0.0.1:{self._xds}",
            "--secureGRPCAddr=",
            f"--monitoringAddr=127.0.0.1:{self._monitoring}",
            "--ctrlz_port=0",
            "--profile=false",
        ]
        environment = {"HOME": str(self.folder), **SWITCHES}
        istiod = Child("istiod", argv, self.folder / "istiod.log", environment, self.folder)
        self._children.append(istiod)
        istiod.wait_until(answers(f"http://127.0.0.1:{self._http}/ready"), "is ready")
        bootstrap = self._written("bootstrap", self._bootstrap())
        ready = f"http://127.0.0.1:{self._admin}/ready"
        self._children.append(envoy(self.folder, bootstrap, ready, NODE))

    def stop(self) -> None:
        for child in reversed(self._children):
            child.kill()

    def _written(self, name: str, document: Any) -> Path:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(document))
        return file

    def _make_gateway(self) -> None:
        port = {"number": self._web, "name": "http", "protocol": "HTTP"}
        manifests = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {
                "apiVersion": "networking.istio.io/v1beta1",
                "kind": "Gateway",
                "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
                "spec": {"selector": LABELS, "servers": [{"port": port, "hosts": ["*"]}]},
            },
        ]
        file = self.folder / "gateway.json"
        file.write_text("\n".join(map(json.dumps, manifests)))
        self._plane.kubectl("apply", "--server-side", f"--filename={file}")

    def _bootstrap(self) -> dict[str, Any]:
        def address(port: int) -> dict[str, Any]:
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        endpoint = {"endpoint": {"address": address(self._xds)}}
        http2 = {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        xds = {
            "name": "xds",
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": "xds",
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
            },
        }
        from_istiod = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
        return {
            "node": {
                "cluster": "gateway",
                "metadata": {
                    "NAMESPACE": NAMESPACE,
                    "CLUSTER_ID": "Kubernetes",
                    "LABELS": LABELS,
                    "ISTIO_VERSION": "1.31.0",
                },
            },
            "admin": {"address": address(self._admin)},
            "dynamic_resources": {
                "lds_config": from_istiod,
                "cds_config": from_istiod,
                "ads_config": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                },
            },
            "static_resources": {"clusters": [xds]},
        }


@contextlib.contextmanager
def istio(folder: Path, plane: ControlPlane) -> Iterator[Istio]:
    """A running istiod that reads its routes as the administrator of `plane`, and its gateway."""
    server = Istio(folder, plane)
    try:
        server.start()
        yield server
    finally:
        server.stop()
