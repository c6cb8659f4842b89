"""The CRDs of the meshes, out of the Go modules of the projects that define them.

Versions and sums are pinned by mesh-crds/go.mod and go.sum; nothing of these modules is built.
"""

from __future__ import annotations

from pathlib import Path

from tests.servers.process import ServerError
from tests.tools import build

MODULE = Path(__file__).parent / "mesh-crds"
# Those that a registry has. Mesh -> (module, the folder of its CRD files and their pattern)
SOURCES = {
    "contour": ("github.com/projectcontour/contour", "examples/contour/01-crds.yaml"),
    "gateway-api": (
        "sigs.k8s.io/gateway-api",
        "config/crd/standard/gateway.networking.k8s.io_*.yaml",
    ),
    "gloo": ("github.com/solo-io/gloo", "install/helm/gloo/crds/*.solo.io_v1_*.yaml"),
    "istio": ("istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"),
    "keda": ("github.com/kedacore/keda/v2", "config/crd/bases/keda.sh_*.yaml"),
    "knative": ("knative.dev/serving", "config/core/300-resources/*.yaml"),
    "prometheus-operator": (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd/monitoring.coreos.com_*.yaml",
    ),
    "traefik": (
        "github.com/traefik/traefik/v3",
        "docs/content/reference/dynamic-configuration/traefik.io_*.yaml",
    ),
}


def files(mesh: str) -> list[Path]:
    """The CRD files of one mesh, downloaded when they are not in Go's module cache.

    Raises ServerError.
    """
    module, pattern = SOURCES[mesh]
    folder = build.source(MODULE, module)
    listed = sorted(folder.glob(pattern))
    if not listed:
        raise ServerError(f"the CRDs of {mesh}: no {pattern} in {folder}")
    return listed
