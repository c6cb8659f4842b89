"""The NATS server of the rendered chart as a process of this machine, given what its pod would get.

Its configuration, variables and mounted Secrets are those of the rendered objects; only addresses
and folders are put where a test may have them.
"""

from __future__ import annotations

import base64
import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.chart.render import CHART, NAMESPACE, Obj
from tests.servers.process import Child, answers, free_ports, of_the_environment
from tests.tools.helm import helm

Secrets = dict[str, dict[str, str]]
NAME = "serinus-nats"


def objects(values: Mapping[str, Any]) -> list[Obj]:
    """The chart rendered with these values. Raises ServerError."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        words = ("template", "serinus", str(CHART), "--namespace", NAMESPACE)
        text = helm(*words, "--values", file.name)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def secrets_of(objs: Sequence[Obj]) -> Secrets:
    """Every Secret's texts, by name and key."""
    return {
        obj["metadata"]["name"]: {
            key: base64.b64decode(value).decode() for key, value in obj["data"].items()
        }
        for obj in objs
        if obj["kind"] == "Secret" and "data" in obj
    }


class Bus:
    """One server. `secrets` are those of the namespace, made by the chart or brought there."""

    def __init__(self, objs: Sequence[Obj], secrets: Secrets, folder: Path) -> None:
        self.secrets = secrets
        self.folder = folder
        self.port, self.leaf_port, self._monitor = free_ports(3)
        pod = _one(objs, "StatefulSet", NAME)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        self._environment = self._variables(container["env"])
        text = _one(objs, "ConfigMap", NAME)["data"]["nats-server.conf"]
        self._config = folder / "nats-server.conf"
        self._mount(pod, container)
        self._config.write_text(self._placed(text))

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = [of_the_environment("nats-server"), "--config", self._config]
        self._child = Child("nats-server", argv, self.folder / "nats.log", env=self._environment)
        health = f"http://127.0.0.1:{self._monitor}/healthz?js-enabled-only=true"
        self._child.wait_until(answers(health), "its health")

    def stop(self) -> None:
        self._child.kill()

    def log(self) -> str:
        """What it told so far."""
        return (self.folder / "nats.log").read_text()

    def password(self, user: str) -> str:
        """Of a user of the bus."""
        return self.secrets[NAME][user]

    def _variables(self, listed: Sequence[Obj]) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in listed:
            source = one.get("valueFrom", {})
            if "secretKeyRef" in source:
                where = source["secretKeyRef"]
                found[one["name"]] = self.secrets[where["name"]][where["key"]]
            elif "fieldRef" in source:
                found[one["name"]] = f"{NAME}-0"
            else:
                # As Kubernetes expands what was named before.
                found[one["name"]] = re.sub(
                    r"\$\((\w+)\)", lambda match: found[match[1]], one["value"]
                )
        return found

    def _mount(self, pod: Obj, container: Obj) -> None:
        places = {m["name"]: m["mountPath"].lstrip("/") for m in container["volumeMounts"]}
        for volume in pod["volumes"]:
            place = self.folder / places[volume["name"]]
            place.mkdir(parents=True, exist_ok=True)
            if "secret" in volume:
                for key, text in self.secrets[volume["secret"]["secretName"]].items():
                    (place / key).write_text(text)

    def _placed(self, text: str) -> str:
        ports = {"4222": self.port, "8222": self._monitor, "7422": self.leaf_port}
        for inside, outside in ports.items():
            text = text.replace(f'"0.0.0.0:{inside}"', f'"127.0.0.1:{outside}"')
        return text.replace('"/etc/', f'"{self.folder}/etc/').replace(
            '"/data"', f'"{self.folder}/data"'
        )


def _one(objs: Sequence[Obj], kind: str, name: str) -> Obj:
    (found,) = (o for o in objs if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


@contextlib.contextmanager
def hub(folder: Path, cluster: str, others: Sequence[str]) -> Iterator[Bus]:
    """A running hub, whose `secrets` are there to be brought to the others."""
    values = {
        "coordinator": {"enabled": True, "cluster": cluster},
        "fleet": {"hub": {"clusters": [*others], "tls": {"hosts": ["localhost"]}}},
    }
    objs = objects(values)
    with _running(Bus(objs, secrets_of(objs), folder)) as bus:
        yield bus


@contextlib.contextmanager
def leaf(folder: Path, cluster: str, of: Bus, port: int = 0) -> Iterator[Bus]:
    """A running leaf with the Secret that the hub made for it; `port` is the way there."""
    values = {
        "coordinator": {"enabled": True, "cluster": cluster},
        "fleet": {
            "leaf": {
                "url": f"tls://localhost:{port or of.leaf_port}",
                "existingSecret": "fleet",
            }
        },
    }
    objs = objects(values)
    brought = {"fleet": of.secrets[f"serinus-fleet-{cluster}"]}
    with _running(Bus(objs, secrets_of(objs) | brought, folder)) as bus:
        yield bus


@contextlib.contextmanager
def _running(bus: Bus) -> Iterator[Bus]:
    bus.start()
    try:
        yield bus
    finally:
        bus.stop()
