"""Seven rollouts, each of which can be held in a phase of its own until it is let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from tests.servers.kube import Obj

INTERVAL_S = 2.0
VERSION_1, VERSION_2 = "example.test/web:1", "example.test/web:2"

Status = tuple[str, int]
BEGUN: tuple[Status, ...] = (("Initializing", 0), ("Initialized", 0), ("Progressing", 0))
STEPS: tuple[Status, ...] = (("Progressing", 20), ("Progressing", 40))
PROMOTED: tuple[Status, ...] = (("Promoting", 40), ("Finalising", 0), ("Succeeded", 0))


class Hook(msgspec.Struct, frozen=True):
    """A hook of a canary. Those at the load tester are its own; the others the test answers."""

    type: str
    path: str = ""
    at_loadtester: bool = False


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout.

    held      the status in which it waits for somebody to be killed
    statuses  what its status must say, in this order, nothing twice and nothing left out
    shares    the same of the canary's share in the route object
    moving    it changes at about the time of the kill: what a dying analyzer had on its lips (but
              not the outcome) may get lost
    """

    name: str
    held: Status
    statuses: tuple[Status, ...] = (*BEGUN, *STEPS, *PROMOTED)
    shares: tuple[int, ...] = (0, 20, 40, 0)
    mesh: str = "traefik"
    hooks: Sequence[Hook] = ()
    moving: bool = False


TRAFFIC_GATE = Hook("confirm-traffic-increase", "/traffic")
LANES = {
    lane.name: lane
    for lane in (
        Lane(name="initialising", held=("Initializing", 0), statuses=BEGUN[:2], shares=(0,)),
        Lane(name="stepping", held=("Progressing", 0), hooks=(TRAFFIC_GATE,), moving=True),
        Lane(
            name="asking",
            held=("Progressing", 0),
            hooks=(TRAFFIC_GATE, Hook("rollout", "/slow")),
            moving=True,
        ),
        Lane(
            name="waiting",
            held=("WaitingPromotion", 40),
            statuses=(*BEGUN, *STEPS, ("WaitingPromotion", 40), *PROMOTED),
            hooks=(
                Hook("confirm-promotion", "/gate/check", at_loadtester=True),
                Hook("pre-rollout", "/", at_loadtester=True),
            ),
        ),
        Lane(name="promoting", held=("Promoting", 40), hooks=(Hook("post-rollout", "/after"),)),
        Lane(name="finalising", held=("Finalising", 0), mesh="gatewayapi:v1"),
        Lane(
            name="rolling-back",
            held=("Progressing", 20),
            statuses=(*BEGUN, STEPS[0], ("Failed", 0)),
            shares=(0, 20, 0),
            hooks=(TRAFFIC_GATE, Hook("post-rollout", "/after")),
            moving=True,
        ),
    )
}


def deployment(image: str) -> Obj:
    labels = {"app": "web"}
    container = {"name": "web", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def canary(lane: Lane, metrics: str, hooks: str, loadtester: str) -> Obj:
    """The manifest; the addresses are those of the metrics server and of whoever answers hooks."""
    webhooks = [
        {
            "name": hook.type,
            "type": hook.type,
            "url": (loadtester if hook.at_loadtester else hooks) + hook.path,
            "timeout": "5s",
            "metadata": {"type": "bash", "cmd": "echo tested"},
        }
        for hook in lane.hooks
    ]
    service: dict[str, Any] = {"port": 80, "targetPort": 8080}
    if lane.mesh.startswith("gatewayapi"):
        service["gatewayRefs"] = [{"name": "gateway", "namespace": "ingress"}]
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {
            "provider": lane.mesh,
            "metricsServer": metrics,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": service,
            "analysis": {
                "interval": f"{INTERVAL_S:g}s",
                "threshold": 3,
                "stepWeight": 20,
                "maxWeight": 40,
                "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
                "webhooks": webhooks,
            },
        },
    }
