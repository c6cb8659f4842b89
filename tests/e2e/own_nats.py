"""A NATS of the user's in the cluster, set up as docs/operations.md asks for it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.e2e.images import ROOT
from tests.e2e.stage import APPS, NAMESPACE, manifest
from tests.servers.certificates import Authority
from tests.servers.kube import Kube, Obj
from tests.servers.waiting import eventually

CONFIG = ROOT / "deploy" / "nats" / "nats-server.conf"
TLS = 'tls { cert_file: "/etc/nats/tls.crt", key_file: "/etc/nats/tls.key" }\n'
SECRET = "users-of-the-bus"
READY_S = 60


class OwnNats:
    """One server with JetStream, TLS and a user for each service, in a namespace of the user's."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self.users = re.findall(r"\$SERINUS_(\w+)_PASSWORD", CONFIG.read_text("utf-8"))

    @property
    def values(self) -> str:
        """What the chart is told, for `helm --set`. That server knows the users of the ring."""
        url = f"tls://nats.{self._namespace}:4222"
        external = f"nats.external.url={url},nats.external.ca=true"
        secret = f"nats.auth.existingSecret={SECRET}"
        return f"nats.enabled=false,{external},{secret},coordinator.enabled=false"

    async def start(self, image: str, folder: Path) -> None:
        """Returns when it is ready; the suite's namespace has a Secret with the passwords then."""
        passwords = {user.lower(): f"p-{user.lower()}" for user in self.users}
        authority = Authority(folder)
        pair = authority.issue("nats", f"DNS:nats.{self._namespace}")
        trust = authority.cert.read_text("ascii")
        files = {
            "nats-server.conf": CONFIG.read_text("utf-8") + TLS,
            "tls.crt": pair.cert.read_text("ascii"),
            "tls.key": pair.key.read_text("ascii"),
        }
        env = [{"name": f"SERINUS_{u.upper()}_PASSWORD", "value": p} for u, p in passwords.items()]
        values = {"nats": image, "files": json.dumps(files), "env": json.dumps(env)}
        for obj in manifest("own-nats", values):
            await self._kube.apply(obj, self._namespace)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}}
        await self._kube.apply({**secret, "stringData": {**passwords, "ca.crt": trust}}, NAMESPACE)

        async def ready() -> bool:
            found = await self._kube.get(APPS, "Deployment", self._namespace, "nats")
            return bool((found.get("status") or {}).get("readyReplicas"))

        await eventually(ready, "a NATS of the user's is ready", READY_S)

    async def clients(self) -> set[tuple[str, bool]]:
        """Who is connected: user, and whether encrypted."""
        found = await self._monitor("connz?auth=true")
        return {(c["authorized_user"], "tls_version" in c) for c in found["connections"]}

    async def streams(self) -> set[str]:
        """What it keeps."""
        accounts = (await self._monitor("jsz?streams=true"))["account_details"]
        return {s["name"] for a in accounts for s in a.get("stream_detail", ())}

    async def _monitor(self, path: str) -> Obj:
        pods = await self._kube.list("v1", "Pod", self._namespace)
        (pod,) = [one for one in pods if one["metadata"]["labels"].get("app") == "nats"]
        where = f"/api/v1/namespaces/{self._namespace}/pods/{pod['metadata']['name']}:8222/proxy"
        return await self._kube.request("GET", f"{where}/{path}")
