"""Knative's part, played: a Revision for every template, ready at once; traffic as asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from tests.servers.kube import ApiError, Kube, Obj

SERVICE = ("serving.knative.dev/v1", "Service")


@asynccontextmanager
async def knative(kube: Kube, namespace: str, delay_s: float = 0.0) -> AsyncIterator[None]:
    """Plays in this namespace, each answer `delay_s` late, for as long as the block runs."""
    task = asyncio.create_task(_play(kube, namespace, delay_s))
    try:
        yield
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(outcome, asyncio.CancelledError):
            assert outcome is not None
            raise outcome


async def _play(kube: Kube, namespace: str, delay_s: float) -> None:
    made: dict[str, list[Obj]] = {}
    async for change, service in kube.watch(*SERVICE, namespace):
        if change == "DELETED":
            continue
        name = service["metadata"]["name"]
        templates = made.setdefault(name, [])
        pods = service["spec"]["template"]["spec"]
        await asyncio.sleep(delay_s)
        if templates[-1:] != [pods]:
            templates.append(pods)
            await _tried(kube.apply(_revision(name, len(templates), pods), namespace))
        status = _status(service, f"{name}-{len(templates):05}")
        if status != service.get("status"):
            patch = {"status": status}
            await _tried(kube.patch(*SERVICE, namespace, name, patch, "/status"))


async def _tried(request: Awaitable[Obj]) -> None:
    """What goes while it is being answered needs no answer."""
    try:
        await request
    except ApiError as error:
        if error.status not in (403, 404):
            raise


def _revision(service: str, number: int, pods: Obj) -> Obj:
    labels = {"configuration": service, "service": service}
    return {
        "apiVersion": SERVICE[0],
        "kind": "Revision",
        "metadata": {
            "name": f"{service}-{number:05}",
            "labels": {f"serving.knative.dev/{key}": value for key, value in labels.items()},
        },
        "spec": pods,
    }


def _status(service: Obj, latest: str) -> Obj:
    wanted: list[Any] = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    return {
        "observedGeneration": service["metadata"]["generation"],
        "latestCreatedRevisionName": latest,
        "latestReadyRevisionName": latest,
        "traffic": [
            {
                "percent": one.get("percent", 0),
                "latestRevision": bool(one.get("latestRevision")),
                "revisionName": one.get("revisionName", latest),
            }
            for one in wanted
        ],
    }
