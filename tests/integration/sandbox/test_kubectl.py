"""The real kubectl against the emulator, unchanged and with its usual validation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.sandbox.conftest import emulator
from tests.servers.process import of_the_environment

Run = Callable[..., Awaitable[str]]

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: demo}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis: {interval: 10s, threshold: 2, stepWeight: 10, maxWeight: 50}
"""
MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "hello:1.0", env: [{name: A, value: "1"}, {name: B, value: "2"}]}
"""


class Refused(Exception):
    """kubectl failed; the message is what it said."""


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Run]:
    """Runs kubectl; its output. Raises Refused with its complaints."""
    async with emulator(tmp_path) as kubeconfig:

        async def run(*words: str, stdin: str = "") -> str:
            process = await asyncio.create_subprocess_exec(
                of_the_environment("kubectl"),
                f"--kubeconfig={kubeconfig}",
                f"--cache-dir={tmp_path / 'cache'}",
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            said, complained = await process.communicate(stdin.encode())
            if process.returncode:
                raise Refused(complained.decode())
            return said.decode()

        yield run


async def deployment(kubectl: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        await kubectl("-n", "demo", "get", "deployment", "web", "-o", "json")
    )
    return found


async def test_apply_creates_then_has_nothing_to_do(kubectl: Run) -> None:
    first = await kubectl("apply", "-f", "-", stdin=MANIFEST)
    second = await kubectl("apply", "-f", "-", stdin=MANIFEST)

    assert first.splitlines() == ["namespace/demo created", "deployment.apps/web created"]
    assert second.splitlines() == ["namespace/demo unchanged", "deployment.apps/web unchanged"]


async def test_apply_removes_what_the_manifest_leaves_out(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("-n", "demo", "set", "env", "deployment/web", "C=3")

    await kubectl("apply", "-f", "-", stdin=MANIFEST.replace(', {name: B, value: "2"}', ""))

    (container,) = (await deployment(kubectl))["spec"]["template"]["spec"]["containers"]
    assert [entry["name"] for entry in container["env"]] == ["A", "C"]


async def test_an_image_can_be_set_and_replicas_scaled(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)

    await kubectl("-n", "demo", "set", "image", "deployment/web", "web=hello:2.0")
    await kubectl("-n", "demo", "scale", "deployment/web", "--replicas=5")
    await kubectl("-n", "demo", "rollout", "restart", "deployment/web")

    spec = (await deployment(kubectl))["spec"]
    assert spec["replicas"] == 5
    assert spec["template"]["spec"]["containers"][0]["image"] == "hello:2.0"
    assert "kubectl.kubernetes.io/restartedAt" in spec["template"]["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"spec": {"replicas": 7}}'),
        ("merge", '{"spec": {"replicas": 7}}'),
        ("json", '[{"op": "replace", "path": "/spec/replicas", "value": 7}]'),
    ],
)
async def test_every_kind_of_patch_works(kubectl: Run, kind: str, patch: str) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)

    await kubectl("-n", "demo", "patch", "deployment", "web", f"--type={kind}", "-p", patch)

    assert (await deployment(kubectl))["spec"]["replicas"] == 7


async def test_server_side_apply_tells_conflicts(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("-n", "demo", "scale", "deployment/web", "--replicas=5")

    with pytest.raises(Refused, match=r"conflict with \"kubectl\".*\.spec\.replicas"):
        await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MANIFEST)

    assert (await deployment(kubectl))["spec"]["replicas"] == 2


async def test_a_mistyped_field_is_refused(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    wrong = CANARY.replace("stepWeight", "stepWight")

    with pytest.raises(Refused, match=r'unknown field "spec.analysis.stepWight"'):
        await kubectl("apply", "-f", "-", stdin=wrong)


async def test_canaries_are_shown_with_their_columns(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("apply", "-f", "-", stdin=CANARY)
    status = '{"status": {"phase": "Progressing", "canaryWeight": 20}}'
    await kubectl(
        "-n", "demo", "patch", "canary", "web", "--subresource=status", "--type=merge", "-p", status
    )

    shown = (await kubectl("get", "canaries", "-A")).splitlines()

    assert shown[0].split()[:4] == ["NAMESPACE", "NAME", "STATUS", "WEIGHT"]
    assert shown[1].split()[:4] == ["demo", "web", "Progressing", "20"]


async def test_waiting_ends_when_the_condition_is_met(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("apply", "-f", "-", stdin=CANARY)
    status = '{"status": {"phase": "Succeeded"}}'

    waiting = asyncio.create_task(
        kubectl("-n", "demo", "wait", "canary/web", "--for=jsonpath={.status.phase}=Succeeded")
    )
    await kubectl(
        "-n", "demo", "patch", "canary", "web", "--subresource=status", "--type=merge", "-p", status
    )

    assert await waiting == "canary.flagger.app/web condition met\n"


async def test_a_description_has_its_events(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    uid = (await deployment(kubectl))["metadata"]["uid"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1", "namespace": "demo"},
        "involvedObject": {"kind": "Deployment", "name": "web", "namespace": "demo", "uid": uid},
        "reason": "Synced",
        "message": "New revision detected",
        "type": "Normal",
    }
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(event))

    described = await kubectl("-n", "demo", "describe", "deployment", "web")

    assert "New revision detected" in described
    assert "hello:1.0" in described


async def test_deleting_a_namespace_waits_until_it_is_gone(kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)

    await kubectl("delete", "namespace", "demo")

    with pytest.raises(Refused, match="NotFound"):
        await kubectl("get", "namespace", "demo")


async def test_a_definition_can_be_brought_along(kubectl: Run) -> None:
    names = {"plural": "birds", "kind": "Bird", "singular": "bird"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "birds.zoo.org"},
        "spec": {"group": "zoo.org", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    bird = {"apiVersion": "zoo.org/v1", "kind": "Bird", "metadata": {"name": "b"}, "colour": "red"}

    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(definition))
    await kubectl("wait", "--for=condition=Established", "crd/birds.zoo.org")
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(bird))

    assert await kubectl("get", "bird", "b", "-o", "jsonpath={.colour}") == "red"
