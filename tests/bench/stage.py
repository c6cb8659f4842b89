"""Where a benchmark plays: a real API server, pods that never run, invented metrics, and the suite
as five processes of its own beside a real NATS server.

What is counted comes from the API server's audit log, where every service has a name of its own,
and from /proc.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from nats import connect
from tests.bench.journal import Journal, Obj
from tests.ring import Ring
from tests.servers.control_plane import ControlPlane, Request, control_plane
from tests.servers.kube import Kube
from tests.servers.kubelet import Health, Kubelet, Rule
from tests.servers.nats import LocalNats, NatsServer, nats_server
from tests.servers.stub import Answers, Series, Stub

from serinus.analyzer.providers.groups import PART
from serinus.events import API_VERSION
from serinus.events.subjects import SERVICES

NAMESPACE = "bench"
SPACE = "metrics"
GOOD = (
    Answers(match="histogram_quantile", values=(0.02,)),
    Answers(match="", values=(99.9,)),
)
ASKED_FOR = re.compile(rf"{NAMESPACE}-(app-[0-9]+)-canary-")
PODS_READY_AFTER_S = 1.0
# As few as the measurements of Flagger had, and the one that makes EndpointSlices: the router asks
# for them, and every cluster has it.
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "daemonset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "endpointslice-controller",
)
# Events are left out: the API server ends them an hour after they were written.
MADE = (
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("traefik.io/v1alpha1", "TraefikService"),
    ("coordination.k8s.io/v1", "Lease"),
)
# Requests of ours under way at one time while many objects are made or changed.
AT_ONCE = 16
NEW_AT_ONCE = 40
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def name_of(number: int) -> str:
    """Of equal length, so that none is the beginning of another."""
    return f"app-{number:05}"


def names(count: int, first: int = 0) -> list[str]:
    return [name_of(number) for number in range(first, first + count)]


class Stage:
    """Everything that a scenario acts on and reads from."""

    def __init__(
        self,
        plane: ControlPlane,
        kube: Kube,
        kubelet: Kubelet,
        stub: Stub,
        nats: NatsServer,
        ring: Ring,
        journal: Journal,
    ) -> None:
        self.plane = plane
        self.kube = kube
        self.stub = stub
        self.nats = nats
        self.ring = ring
        self.journal = journal
        self._kubelet = kubelet
        self._interval_s: dict[str, int] = {}
        self._version = 1
        self._bad: set[str] = set()
        stub.script(SPACE).set_prometheus(GOOD)
        stub.script(SPACE).set_series(self._series)

    def _series(self, query: str) -> Series | None:
        """What a query about many canaries gets: the same as each would get alone."""
        if "by (service" not in query:
            return None
        found: list[tuple[dict[str, str], float]] = []
        for name in ASKED_FOR.findall(query):
            label = {"service": f"{NAMESPACE}-{name}-canary-80@kubernetescrd"}
            if PART in query:
                good = 50.0 if name in self._bad else 99.9
                found += [({**label, PART: "all"}, 100.0), ({**label, PART: "good"}, good)]
            else:
                found += [({**label, "le": le}, 100.0) for le in ("0.025", "+Inf")]
        return found

    # --- what a user does ------------------------------------------------------------------------

    async def have(self, count: int, interval_s: int) -> list[str]:
        """So many canaries with this interval, all of them initialised or promoted."""
        wanted = names(count)
        new = [name for name in wanted if name not in self._interval_s]
        other = [name for name in wanted if self._interval_s.get(name, interval_s) != interval_s]
        for what in (config_map, partial(deployment, version=self._version)):
            await _all(self.kube.apply(what(name), NAMESPACE) for name in new)
        # The API server gives out addresses of Services one by one: a crowd makes it slower.
        for some in (new[at : at + NEW_AT_ONCE] for at in range(0, len(new), NEW_AT_ONCE)):
            ready = self.journal.expect(some, lambda seen: seen.phase == "Initialized")
            await _all(self.kube.apply(canary(name, interval_s), NAMESPACE) for name in some)
            await self.journal.until(ready, 120)
        patch = {"spec": {"analysis": {"interval": f"{interval_s}s"}}}
        await _all(self.kube.patch(API_VERSION, "Canary", NAMESPACE, name, patch) for name in other)
        self._interval_s |= dict.fromkeys(wanted, interval_s)
        await self.quiet()
        return wanted

    async def push(self, chosen: Iterable[str]) -> dict[str, float]:
        """A new version of these; when each was sent."""
        self._version += 1
        sent: dict[str, float] = {}

        async def push_one(name: str) -> None:
            template = deployment(name, self._version)["spec"]["template"]
            patch = {"spec": {"template": {"spec": template["spec"]}}}
            sent[name] = time.monotonic()
            await self.kube.patch("apps/v1", "Deployment", NAMESPACE, name, patch)

        await _all(push_one(name) for name in chosen)
        return sent

    async def skip_analysis(self, chosen: Iterable[str], skip: bool) -> None:
        patch = {"spec": {"skipAnalysis": skip}}
        await _all(
            self.kube.patch(API_VERSION, "Canary", NAMESPACE, name, patch) for name in chosen
        )

    async def set_analysis(self, chosen: Iterable[str], analysis: Obj) -> None:
        patch = {"spec": {"analysis": analysis}}
        await _all(
            self.kube.patch(API_VERSION, "Canary", NAMESPACE, name, patch) for name in chosen
        )

    def turn_bad(self, chosen: Iterable[str]) -> float:
        """From now on half of these canaries' requests fail; returns now."""
        self._bad = set(chosen)
        bad = [Answers(match=f"{name}.*-canary", values=(50.0,)) for name in chosen]
        self.stub.script(SPACE).set_prometheus((GOOD[0], *bad, GOOD[1]))
        return time.monotonic()

    def turn_good(self) -> None:
        """Metrics are good again and pods run."""
        self._bad = set()
        self.stub.script(SPACE).set_prometheus(GOOD)
        self._kubelet.set_rules(NAMESPACE, ())

    def crash(self, chosen: Iterable[str]) -> float:
        """The canary pods of these enter CrashLoopBackOff; returns now."""
        pods = "|".join(chosen)
        rule = Rule(pods=rf"({pods})-(?!primary)", health=Health.CRASHING)
        self._kubelet.set_rules(NAMESPACE, (rule,))
        return time.monotonic()

    async def kill_everything(self) -> None:
        """kill -9 of the five services and of NATS, and all of them started again."""
        self.ring.kill(*SERVICES)
        self.nats.kill()
        await asyncio.to_thread(self.nats.start)
        await self.ring.start(*SERVICES)

    async def quiet(self) -> None:
        """Until the services have asked nothing of the API server for two seconds."""
        size = -1
        while size != (size := self.mark()):  # noqa: ASYNC110  (a file cannot tell us)
            await asyncio.sleep(2)

    # --- what is counted -------------------------------------------------------------------------

    def mark(self) -> int:
        """A place in the audit log, for `requests`."""
        return self.plane.audit_log.stat().st_size

    def requests(self, since: int) -> list[Request]:
        """What the services asked of the API server since `mark`; health checks are none."""
        return [one for one in self.plane.requests(since=since) if one.user.username in SERVICES]

    def memory_mib(self) -> dict[str, float]:
        """Resident memory by service."""
        return {name: _resident(p.pid) / 2**20 for name, p in self.ring.processes.items()}

    async def objects(self) -> dict[str, int]:
        """How many objects of each kind that the suite or its canaries make there are."""
        return {
            kind: len(await self.kube.list(api_version, kind, NAMESPACE))
            for api_version, kind in MADE
        }

    async def streams(self) -> dict[str, int]:
        """Messages and bytes of each stream of NATS that nothing else bounds: by age, by size."""
        client = await connect(self.nats.url)
        try:
            found = await client.jetstream().streams_info()
        finally:
            await client.close()
        held = {one.config.name: one.state for one in found if not one.config.max_age}
        return {
            f"{name} {what}": number
            for name, state in held.items()
            for what, number in (("messages", state.messages), ("bytes", state.bytes))
        }

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by service, and of what is around them."""
        pids = {name: p.pid for name, p in self.ring.processes.items()}
        for program in ("kube-apiserver", "kube-controller-manager", "etcd"):
            pids[program] = self.plane.child(program).pid
        if isinstance(self.nats, LocalNats):
            pids["nats-server"] = self.nats.child.pid
        pids["benchmark"] = os.getpid()
        return {name: _cpu_s(pid) for name, pid in pids.items()}


@asynccontextmanager
async def stage(folder: Path, log_level: str = "warning") -> AsyncIterator[Stage]:
    """A stage with no canaries on it; everything ends with the block."""
    async with AsyncExitStack() as stack:
        plane = stack.enter_context(control_plane(folder / "plane", CONTROLLERS))
        nats = stack.enter_context(nats_server(folder / "nats"))
        kube = await stack.enter_async_context(Kube(plane.kubeconfig()))
        pods = await stack.enter_async_context(Kube(plane.kubeconfig("kubelet")))
        kubelet = await stack.enter_async_context(Kubelet(pods, PODS_READY_AFTER_S))
        stub = await stack.enter_async_context(Stub())
        await kube.namespace(NAMESPACE)
        ring = Ring(
            kubeconfig=plane.kubeconfig,
            nats=nats.url,
            settings={
                "SERINUS_METRICS_SERVER": stub.url("prometheus", SPACE),
                "SERINUS_MESH_PROVIDER": "traefik",
                "SERINUS_LOG_LEVEL": log_level,
            },
            folder=folder / "logs",
        )
        await stack.enter_async_context(ring)
        journal = await stack.enter_async_context(Journal(kube, NAMESPACE))
        yield Stage(plane, kube, kubelet, stub, nats, ring, journal)
        plane.check()


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """Does all of it, a bounded number at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(act: Awaitable[object]) -> None:
        async with free:
            await act

    await asyncio.gather(*(one(act) for act in work))


def kinds(requests: Sequence[Request]) -> Counter[str]:
    """How often each service asked what: `analyzer patch canaries/status`."""
    return Counter(
        f"{one.user.username} {one.verb} {one.object_ref.resource}"
        + (f"/{one.object_ref.subresource}" if one.object_ref.subresource else "")
        for one in requests
    )


def reads(requests: Sequence[Request]) -> int:
    return sum(one.verb in ("get", "list", "watch") for one in requests)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def _cpu_s(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def config_map(name: str) -> Obj:
    data = {"GREETING": "hello"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, version: int) -> Obj:
    """One pod with its environment from one ConfigMap."""
    container = {
        "name": "app",
        "image": f"example/app:{version}.0.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": name}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container]},
            },
        },
    }


def canary(name: str, interval_s: int) -> Obj:
    """Three steps to 60 %, two built-in metrics, two failed checks to roll back."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": f"{interval_s}s",
                "threshold": 2,
                "stepWeight": 20,
                "maxWeight": 60,
                "metrics": [
                    {
                        "name": "request-success-rate",
                        "thresholdRange": {"min": 99},
                        "interval": "1m",
                    },
                    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
                ],
            },
        },
    }
