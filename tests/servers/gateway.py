"""The Gateway `public` of a real data plane, for routes of every namespace."""

from __future__ import annotations

import json
from pathlib import Path

from tests.servers.control_plane import ControlPlane

API_VERSION = "gateway.networking.k8s.io/v1"
NAME = "public"


def make(plane: ControlPlane, folder: Path, name: str, controller: str, port: int) -> None:
    """Applies a GatewayClass `name` of this controller, and the Gateway in namespace `name`.

    Raises ServerError.
    """
    allowed = {"namespaces": {"from": "All"}}
    listener = {"name": "http", "protocol": "HTTP", "port": port, "allowedRoutes": allowed}
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {
            "apiVersion": API_VERSION,
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": controller},
        },
        {
            "apiVersion": API_VERSION,
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": name},
            "spec": {"gatewayClassName": name, "listeners": [listener]},
        },
    ]
    file = folder / "gateway.json"
    file.write_text("\n".join(map(json.dumps, manifests)))
    plane.kubectl("apply", "--server-side", f"--filename={file}")
