"""Acts out a recorded run: does to the API server and to the outside world what Flagger did.

It decides nothing. With it the stage, the recorder and the comparison are tested without our ring:
a run that is acted out faithfully must be found equal to its recording.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import aiohttp
from tests.peer.scenario import Scenario
from tests.servers.kube import Kube
from tests.servers.stub import EVENTS, Stub
from tests.servers.waiting import eventually

Obj = dict[str, Any]

CANARY = ("flagger.app/v1beta1", "Canary")
STATUS = (
    "phase",
    "canaryWeight",
    "failedChecks",
    "iterations",
    "lastAppliedSpec",
    "trackedConfigs",
    "conditions",
)
PATIENCE_S = 30.0


class Puppet:
    """One run's actor; `act` returns when it has done the last thing that is recorded."""

    def __init__(self, scenario: Scenario, lines: Sequence[Obj], kube: Kube, stub: Stub) -> None:
        self._scenario = scenario
        self._lines = lines
        self._kube = kube
        self._stub = stub
        self._canary: Obj = {}
        self._target: Obj = {}

    async def act(self) -> None:
        async with aiohttp.ClientSession() as http:
            for line in self._lines:
                match line["src"]:
                    case "stimulus":
                        await self._wait_for(line)
                    case "kube" if line["op"] in ("ADDED", "MODIFIED"):
                        await self._change(line)
                    case "event":
                        await self._tell(http, line)
                    case "webhook":
                        address = self._stub.url("hook", self._scenario.name) + line["path"]
                        await self._post(http, address, line["body"])
                    case "prometheus":
                        await self._ask(http, line)

    async def _wait_for(self, stimulus: Obj) -> None:
        """The recorder's stimuli are the replayer's to repeat; here they are only awaited."""
        namespace, name = self._scenario.name, stimulus.get("name", "")
        if stimulus["action"] == "apply":
            api_version = "apps/v1" if stimulus["kind"] == "Deployment" else CANARY[0]

            async def applied() -> bool:
                found = await self._kube.find(api_version, stimulus["kind"], namespace, name)
                if found is not None:
                    kept = "_target" if stimulus["kind"] == "Deployment" else "_canary"
                    setattr(self, kept, found)
                return found is not None

            await eventually(applied, f"{stimulus['kind']} {name} is there", PATIENCE_S)
        elif stimulus["action"] == "patch":
            image = stimulus["patch"][0]["value"]

            async def patched() -> bool:
                self._target = await self._kube.get("apps/v1", "Deployment", namespace, name)
                return bool(_containers(self._target)[0]["image"] == image)

            await eventually(patched, f"{name} runs {image}", PATIENCE_S)

    async def _change(self, line: Obj) -> None:
        namespace, kind, name = self._scenario.name, line["kind"], line["name"]
        where = (line["apiVersion"], kind, namespace, name)
        if kind == "Canary":
            status = {key: line[key] for key in STATUS if key in line}
            if status:
                await self._kube.patch(*CANARY, namespace, name, {"status": status}, "/status")
        elif kind == "Deployment" and name == self._target["metadata"]["name"]:
            if "replicas" in line.get("changed", ()):
                await self._kube.patch(*where, {"spec": {"replicas": line["replicas"]}})
        elif line["op"] == "ADDED":
            await self._kube.apply(self._made(line), namespace)
        elif kind == "Deployment":
            await self._kube.patch(*where, {"spec": self._made(line)["spec"]})
        else:
            await self._kube.patch(*where, {"spec": line["spec"]})

    def _made(self, line: Obj) -> Obj:
        """An object as the recording shows it, owned by the Canary."""
        meta = {key: line[key] for key in ("labels", "annotations") if key in line}
        owner = {key: self._canary["metadata"][key] for key in ("name", "uid")}
        owner |= {"apiVersion": CANARY[0], "kind": CANARY[1], "controller": True}
        made = {"apiVersion": line["apiVersion"], "kind": line["kind"]}
        made["metadata"] = meta | {"name": line["name"], "ownerReferences": [owner]}
        return made | {"spec": line.get("spec") or self._primary(line)}

    def _primary(self, line: Obj) -> Obj:
        spec: Obj = copy.deepcopy(self._target["spec"])
        spec["replicas"] = line["replicas"]
        spec["selector"]["matchLabels"] = line["templateLabels"]
        spec["template"]["metadata"] = {"labels": line["templateLabels"]}
        for container in spec["template"]["spec"]["containers"]:
            container["image"] = line["images"][container["name"]]
        return spec

    async def _tell(self, http: aiohttp.ClientSession, line: Obj) -> None:
        metadata = {"eventMessage": line["message"], "eventType": line["type"], "timestamp": "1"}
        body = {"name": self._canary["metadata"]["name"], "namespace": self._scenario.name}
        body |= {"phase": line["phase"], "checksum": line["checksum"]}
        await self._post(http, self._stub.url("hook", EVENTS), body | {"metadata": metadata})

    @staticmethod
    async def _post(http: aiohttp.ClientSession, address: str, body: Obj) -> None:
        async with http.post(address, json=body):
            pass

    async def _ask(self, http: aiohttp.ClientSession, line: Obj) -> None:
        address = self._stub.url("prometheus", self._scenario.name) + line["path"]
        async with http.get(address, params={"query": line["query"]}):
            pass


def _containers(workload: Obj) -> list[Obj]:
    found: list[Obj] = workload["spec"]["template"]["spec"]["containers"]
    return found
