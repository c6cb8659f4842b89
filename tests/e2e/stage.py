"""The suite and its surroundings in a cluster, as an operator would install them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import aiohttp
import yaml
from tests.e2e.suite import Suite
from tests.servers import crds
from tests.servers.kube import ApiError, Kube, Obj
from tests.servers.process import ServerError
from tests.servers.waiting import eventually

NAMESPACE = "serinus-e2e"
PREFIX = "e2e-"
# Meshes whose data planes run as pods here and take users' requests. In manifests/ `<mesh>.yaml` is
# each itself, `hello-<mesh>.yaml` the user's route to the canary.
FRONTS = ("traefik", "contour")
FOLDER = Path(__file__).parent / "manifests"
# Pods that ask for more than the restricted standard allows are refused.
STRICT = {"pod-security.kubernetes.io/enforce": "restricted"}
READY_S = 90.0
ADDRESS_S = 3.0
APPS = "apps/v1"
RIGHTS = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Stage:
    """What runs: `references` are the images by name, `urls` where each front takes requests."""

    references: Mapping[str, str]
    urls: Mapping[str, str]

    async def logs(self, kube: Kube, lines: int = 12) -> str:
        """The end of every service's log."""
        return await tails(kube, NAMESPACE, lines)


def manifest(name: str, values: Mapping[str, str]) -> list[Obj]:
    """The objects of one file of manifests/, its placeholders filled in."""
    text = Template((FOLDER / f"{name}.yaml").read_text("utf-8")).substitute(values)
    return list(yaml.safe_load_all(text))


async def set_up(kube: Kube, suite: Suite, references: Mapping[str, str]) -> Stage:
    """Installs everything and returns when all of it is ready. Raises ServerError."""
    await _nobody_else(kube)
    await _custom_resources(kube)
    await _gone(kube, NAMESPACE)
    await kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": STRICT}}
    )
    for name in ("prometheus", *FRONTS):
        await _apply(kube, name, {**references, "namespace": NAMESPACE})
    try:
        await suite.install()
    except ServerError as error:
        raise ServerError(f"{error}\n{await tails(kube, NAMESPACE, 20)}") from None
    for deployment in await kube.list(APPS, "Deployment", NAMESPACE):
        await _ready(kube, deployment["metadata"]["name"])
    return Stage(references, {front: await _address(kube, front) for front in FRONTS})


async def tear_down(kube: Kube, suite: Suite) -> None:
    """Removes what was installed; the definitions of custom resources stay."""
    await suite.uninstall()
    for namespace in await kube.list("v1", "Namespace"):
        name = namespace["metadata"]["name"]
        if name == NAMESPACE or name.startswith(PREFIX):
            await kube.delete("v1", "Namespace", None, name)
    for front in FRONTS:
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            await kube.delete(f"{RIGHTS}/v1", kind, None, f"{NAMESPACE}-{front}")


async def _nobody_else(kube: Kube) -> None:
    """The suite would take over whatever Canaries there are: a cluster with some is not for us."""
    definition = (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
        "canaries.flagger.app",
    )
    if await kube.find(*definition) is None:
        return
    found = await kube.list("flagger.app/v1beta1", "Canary")
    names = [f"{c['metadata']['namespace']}/{c['metadata']['name']}" for c in found]
    foreign = [name for name in names if not name.startswith(PREFIX)]
    if foreign:
        raise ServerError(f"this cluster has Canaries that are not ours: {', '.join(foreign)}")


async def _custom_resources(kube: Kube) -> None:
    objs = [
        obj
        for front in FRONTS
        for file in crds.of_mesh(front)
        for obj in yaml.safe_load_all(file.read_text("utf-8"))
        if obj
    ]
    for obj in objs:
        await kube.apply(obj)

    async def established() -> bool:
        found = await kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        done = {o["metadata"]["name"] for o in found if _is(o, "Established")}
        return {obj["metadata"]["name"] for obj in objs} <= done

    await eventually(established, "custom resources established", 30)


async def _apply(kube: Kube, name: str, values: Mapping[str, str]) -> None:
    for obj in manifest(name, values):
        await kube.apply(obj, NAMESPACE)


async def _ready(kube: Kube, name: str) -> None:
    async def available() -> bool:
        found = await kube.get(APPS, "Deployment", NAMESPACE, name)
        status = found.get("status") or {}
        return status.get("availableReplicas", 0) >= 1 and not status.get("unavailableReplicas")

    try:
        await eventually(available, f"deployment {name} ready", READY_S)
    except TimeoutError as late:
        raise ServerError(f"{late}\n{await tails(kube, NAMESPACE, 20, app=name)}") from None


async def tails(kube: Kube, namespace: str, lines: int, app: str = "") -> str:
    """Pods with what they wait for and the end of their logs."""
    parts = []
    for pod in await kube.list("v1", "Pod", namespace):
        meta = pod["metadata"]
        if app and meta["labels"].get("app") != app:
            continue
        states = [s.get("state") for s in pod["status"].get("containerStatuses", ())]
        parts.append(f"--- {meta['name']}: {pod['status'].get('phase')} {json.dumps(states)}")
        for container in pod["spec"]["containers"]:
            log = f"log?tailLines={lines}&container={container['name']}"
            try:
                text = await kube.text(f"/api/v1/namespaces/{namespace}/pods/{meta['name']}/{log}")
            except ApiError as error:
                text = str(error)
            parts.append(text)
    return "\n".join(parts)


async def _gone(kube: Kube, namespace: str) -> None:
    """Of a run before that was cut off."""

    async def gone() -> bool:
        return await kube.find("v1", "Namespace", None, namespace) is None

    await kube.delete("v1", "Namespace", None, namespace)
    await eventually(gone, f"namespace {namespace} is gone", 60)


async def _address(kube: Kube, front: str) -> str:
    """Where a front can be reached from here: its Service, else a node's port.

    Raises ServerError that lists what was tried.
    """
    service = await kube.get("v1", "Service", NAMESPACE, front)
    web = next(port for port in service["spec"]["ports"] if port["name"] == "web")
    nodes = [
        f"http://{address['address']}:{web['nodePort']}/"
        for node in await kube.list("v1", "Node")
        for address in node["status"]["addresses"]
        if address["type"] in ("ExternalIP", "InternalIP")
    ]
    candidates = [f"http://{service['spec']['clusterIP']}:{web['port']}/", *nodes]
    found: list[str] = []

    async def answers() -> bool:
        found[:] = [url for url in candidates if await status(url) == 404]  # has no route for this
        return bool(found)

    try:
        await eventually(answers, f"{front} answers", READY_S)
    except TimeoutError:
        tried = ", ".join(candidates)
        raise ServerError(f"{front} does not answer from here: tried {tried}") from None
    return found[0]


async def status(url: str, host: str = "") -> int:
    """Of the answer to one request; 0 when there is none."""
    timeout = aiohttp.ClientTimeout(total=ADDRESS_S)
    headers = {"Host": host} if host else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0


def _is(obj: Obj, condition: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)
