"""Our CustomResourceDefinitions before a real API server."""

from __future__ import annotations

from tests.contract import manifests
from tests.servers.kube import ApiError, Kube


async def test_the_api_server_takes_every_manifest_without_an_unknown_field(
    kube: Kube, namespace: str
) -> None:
    """Strict validation refuses what it would prune; a dry run stores nothing."""
    refused = {}
    whole = [*manifests.of_flagger(), *manifests.of_the_guide(), *manifests.recorded()]
    for manifest in whole:
        path = await kube.path(manifest["apiVersion"], manifest["kind"], namespace)
        try:
            await kube.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
        except ApiError as error:
            refused[f"{manifest['kind']} {manifest['metadata']['name']}"] = str(error)
    assert refused == {}


async def test_defaults_of_references_are_filled_in_as_flagger_fills_them(
    kube: Kube, namespace: str
) -> None:
    (manifest,) = [m for m in manifests.of_flagger() if m["metadata"]["name"] == "ab-testing"]
    path = await kube.path(manifest["apiVersion"], manifest["kind"], namespace)
    stored = await kube.request("POST", f"{path}?dryRun=All", manifest)
    service = stored["spec"]["service"]
    assert service["gatewayRefs"][0]["kind"] == "Gateway"
    assert service["gatewayRefs"][0]["group"] == "gateway.networking.k8s.io"
    assert service["mirror"][0]["backendRef"] == {
        "group": "",
        "kind": "Service",
        "name": "shadow",
        "port": 80,
    }
