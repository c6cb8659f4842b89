"""What the notifier's tests share: its recorded messages and a world for it to speak to."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from serinus.events import (
    AlertProviderSpec,
    CanaryObserved,
    CanaryRef,
    CanarySpec,
    CanaryStatus,
    RolloutNoted,
)
from serinus.events.facts import Alert
from serinus.kube.errors import Conflict, NotFound
from serinus.kube.refs import Obj, Ref, ref_of
from serinus.notifier.core.alerts import Field, Notice
from serinus.runtime.http import HttpRequest, HttpResponse, Unanswered

RECORDED = Path(__file__).parent / "recorded"
WEB = CanaryRef("prod", "web", "uid-1")
T0 = 1_767_225_600.0


class Said(msgspec.Struct, frozen=True):
    """One alert that the reference implementation sent, and every POST it made of it."""

    scenario: str
    spec: CanarySpec
    providers: dict[str, AlertProviderSpec]
    secrets: dict[str, dict[str, str]]
    message: str
    severity: str
    metadata: bool
    posts: list[dict[str, Any]]

    @property
    def alert(self) -> Alert:
        return Alert(self.severity, self.message, self.metadata)  # type: ignore[arg-type]

    @property
    def canary(self) -> CanaryRef:
        return CanaryRef(self.scenario, "web", "uid-1")

    def bodies(self, *path: str) -> list[Any]:
        """The recorded bodies, by the path they were posted to."""
        return [post["body"] for post in self.posts if post["path"] in path]


def recorded_alerts() -> list[Said]:
    found = []
    for scenario in json.loads((RECORDED / "alerts.json").read_text()):
        shared = {k: scenario[k] for k in ("scenario", "spec", "providers", "secrets")}
        found.extend(
            msgspec.convert(shared | notice, Said, strict=False) for notice in scenario["notices"]
        )
    return found


def recorded_events() -> tuple[CanarySpec, list[dict[str, Any]]]:
    """The spec and the POSTs to its two event hooks, in order."""
    recording = json.loads((RECORDED / "events.json").read_text())
    return msgspec.convert(recording["spec"], CanarySpec), recording["posts"]


def a_spec(**analysis: Any) -> CanarySpec:
    return msgspec.convert(
        {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "analysis": {"interval": "1m", "threshold": 5, **analysis},
        },
        CanarySpec,
    )


def observed(spec: CanarySpec, canary: CanaryRef = WEB) -> CanaryObserved:
    return CanaryObserved(canary=canary, resource_version="1", spec=spec, status=CanaryStatus())


def a_fact(id: str = "fact-1", text: str = "", **more: Any) -> RolloutNoted:
    return RolloutNoted(canary=more.pop("canary", WEB), id=id, text=text, at=T0, **more)


class FakeCluster:
    """Objects by reference; counts requests. Only what the notifier asks of an API server."""

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {ref_of(o): o for o in objects}
        self.requests: list[str] = []
        self.failures: list[Exception] = []

    def of_kind(self, kind: str) -> list[Obj]:
        return [o for ref, o in self.objects.items() if ref.kind == kind]

    def _count(self, verb: str, kind: str) -> None:
        self.requests.append(f"{verb} {kind}")
        if self.failures:
            raise self.failures.pop(0)

    async def get(self, ref: Ref) -> Obj:
        self._count("get", ref.kind)
        if ref not in self.objects:
            raise NotFound(f"{ref.kind} {ref.name} not found")
        return copy.deepcopy(self.objects[ref])

    async def create(self, obj: Obj) -> Obj:
        self._count("create", obj["kind"])
        if ref_of(obj) in self.objects:
            raise Conflict("already exists")
        self.objects[ref_of(obj)] = copy.deepcopy(obj)
        return obj

    async def patch(
        self,
        ref: Ref,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Obj:
        self._count("patch", ref.kind)
        if ref not in self.objects:
            raise NotFound(f"{ref.kind} {ref.name} not found")
        assert isinstance(patch, Mapping)
        self.objects[ref].update(patch)
        return self.objects[ref]


class FakeHttp:
    """Answers by URL, 200 where nothing is scripted; keeps what was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []
        self.answers: dict[str, list[HttpResponse | Unanswered]] = {}
        self.hangs_s: dict[str, float] = {}

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        await asyncio.sleep(self.hangs_s.get(request.url, 0.0))
        scripted = self.answers.get(request.url)
        if not scripted:
            return HttpResponse(status=200)
        answer = scripted.pop(0) if len(scripted) > 1 else scripted[0]
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    def bodies(self, url: str = "") -> list[Any]:
        return [json.loads(r.body) for r in self.asked if url in ("", r.url)]


def provider(name: str, namespace: str = "prod", **spec: Any) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "webhook", "address": f"http://{name}.test/", **spec},
    }


def a_notice(**fields: Any) -> Notice:
    """A rollback with everything that a notice can hold, unless a field says otherwise."""
    defaults: dict[str, Any] = {
        "id": "fact-7",
        "kind": "rollout.condemned",
        "canary": WEB,
        "severity": "error",
        "message": "Failed checks threshold reached 5",
        "fields": (Field("Failed check latency", "700 ms, must be <= 500"),),
        "details": (Field("What next", "look"),),
        "cluster": "east-1",
        "phase": "Failed",
        "revision": "r2",
        "link": "https://grafana.test/d/x",
        "at": T0,
    }
    return Notice(**{**defaults, **fields})


PROMOTED = {
    "kind": "rollout.promoted",
    "severity": "info",
    "message": "Canary analysis completed successfully, promotion finished.",
    "phase": "Succeeded",
}
