"""What happens to clusters: pods are killed, nodes drained, servers paused, clocks set wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import yaml
from tests.e2e.images import SERVICES
from tests.e2e.shared import Shared
from tests.e2e.stage import NAMESPACE
from tests.e2e.suite import RELEASE
from tests.servers.kube import ApiError, Kube, Obj
from tests.servers.process import ServerError, of_the_environment
from tests.tools import debian

from serinus.kube.share import owner

PARTS = (*SERVICES, "nats")
NAME, PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
LIBRARY = "libfaketimeMT.so.1"
CLOCKS = "clocks"
SET = "/tmp/clock"
COMMAND_S = 240
DEFAULT = "storageclass.kubernetes.io/is-default-class"


async def pods(kube: Kube, part: str = "") -> list[Obj]:
    """Pods of the suite, or of one part of it, that nobody has told to end; the oldest first."""
    found = [
        pod
        for pod in await kube.list("v1", "Pod", NAMESPACE)
        if pod["metadata"]["labels"].get(PART_OF) == "serinus"
        and pod["metadata"]["labels"][NAME] in ((part,) if part else PARTS)
        and "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


async def kill(kube: Kube, part: str) -> bool:
    """The oldest running pod of a service is gone without a farewell; False where none runs."""
    running = [pod for pod in await pods(kube, part) if pod["status"].get("phase") == "Running"]
    if not running:
        return False
    await end(kube, running[0]["metadata"]["name"])
    return True


async def end(kube: Kube, pod: str) -> None:
    """The same for this pod; one that is gone already is no error."""
    with contextlib.suppress(ApiError):
        path = await kube.path("v1", "Pod", NAMESPACE, pod)
        # A volume has one server at a time: the next may come when this one is known to be gone.
        grace_s = 1 if pod == f"{RELEASE}-nats-0" else 0
        await kube.request("DELETE", path, {"gracePeriodSeconds": grace_s})


class Reaper:
    """Kills pods of one service after the other; `killed` counts them."""

    def __init__(self, kube: Kube) -> None:
        self.killed = Counter[str]()
        self._kube = kube
        self._turn = 0

    async def strike(self) -> None:
        """One pod of the next service that has one."""
        for _ in PARTS:
            part = PARTS[self._turn % len(PARTS)]
            self._turn += 1
            if await kill(self._kube, part):
                self.killed[part] += 1
                return


async def kubectl(kubeconfig: Path, *words: str) -> str:
    """What it says, errors that it lived through included. Raises ServerError."""
    process = await asyncio.create_subprocess_exec(
        of_the_environment("kubectl"), "--kubeconfig", str(kubeconfig), *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(COMMAND_S):
        said = (await process.communicate())[0].decode()
    if process.returncode:
        raise ServerError(f"kubectl {' '.join(words)}: exit {process.returncode}\n{said[-3000:]}")
    return said


async def drain(kubeconfig: Path, node: str) -> str:
    """`kubectl drain`, of the suite's pods only: the stage has no other node for the rest."""
    words = ("--pod-selector", f"{PART_OF}=serinus", "--delete-emptydir-data")
    return await kubectl(kubeconfig, "drain", node, *words, f"--timeout={COMMAND_S}s")


@contextlib.contextmanager
def paused(program: str, kubeconfig: Path) -> Iterator[None]:
    """A program of the control plane hangs while the block runs. Raises ServerError."""
    shared = Shared.find()
    if shared is None or not shared.is_up() or not Path(shared.up()).samefile(kubeconfig):
        raise ServerError(f"missing: ../shared/cluster, as its {program} can be paused")
    process = shared.process(program)
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextlib.asynccontextmanager
async def volumes(kube: Kube) -> AsyncIterator[None]:
    """Claims of NATS get a volume while the block runs: of the cluster's default class, else a
    folder of this machine, whose cluster it then is."""
    classes = await kube.list("storage.k8s.io/v1", "StorageClass")
    if any(DEFAULT in one["metadata"].get("annotations", {}) for one in classes):
        yield
        return
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        os.chmod(folder, 0o777)
        spec = {
            "capacity": {"storage": "4Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": folder, "type": "Directory"},
        }
        meta = {"name": f"{NAMESPACE}-nats"}
        await kube.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}
        )
        try:
            yield
        finally:
            for claim in await kube.list("v1", "PersistentVolumeClaim", NAMESPACE):
                name = claim["metadata"]["name"]
                await kube.delete("v1", "PersistentVolumeClaim", NAMESPACE, name)
            await kube.delete("v1", "PersistentVolume", None, meta["name"])


# --- clocks --------------------------------------------------------------------------------------


async def settable_clocks(kube: Kube) -> str:
    """Values with which processes of the services see the time that `set_clock` says.

    libfaketime of Debian answers for the system's clock; the monotonic one stays as it is, as when
    a clock is set.
    """
    meta = {"name": CLOCKS}
    content = {LIBRARY: base64.b64encode(_library()).decode()}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": content}
    await kube.apply(config, NAMESPACE)
    where = f"/opt/{CLOCKS}"
    env = {
        "LD_PRELOAD": f"{where}/{LIBRARY}",
        "FAKETIME_TIMESTAMP_FILE": SET,
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    values = {
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "additionalVolumes": [{"name": CLOCKS, "configMap": meta}],
        "additionalVolumeMounts": [{"name": CLOCKS, "mountPath": where}],
    }
    return yaml.safe_dump(values)


def _library() -> bytes:
    debian.program("faketime")
    return next(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}")).read_bytes()


async def set_clock(kubeconfig: Path, pod: str, offset: str) -> None:
    """Sets a pod's clock: `+5m`, or `-3m`."""
    await _python(kubeconfig, pod, f"open({SET!r}, 'w').write({offset!r})")


async def astray_s(kubeconfig: Path, pod: str) -> float:
    """How far ahead a pod's clock is."""
    return float(await _python(kubeconfig, pod, "import time; print(time.time())")) - time.time()


async def _python(kubeconfig: Path, pod: str, program: str) -> str:
    words = ("exec", "--namespace", NAMESPACE, pod, "--", "python", "-c", program)
    return await kubectl(kubeconfig, *words)


async def shares(kube: Kube, service: str) -> dict[str, str]:
    """The pods of a service that keep a Lease, by the name under which they share canaries."""
    names = [pod["metadata"]["name"] for pod in await pods(kube, service)]
    leases = await kube.list("coordination.k8s.io/v1", "Lease", NAMESPACE)
    held = {lease["spec"]["holderIdentity"] for lease in leases}
    found = {f"serinus-{service}-{name}": name for name in names}
    return {identity: name for identity, name in found.items() if identity in held}


async def in_charge(kube: Kube, service: str, canary: str) -> str:
    """The pod of a service whose canary (`namespace/name`) this is."""
    found = await shares(kube, service)
    return found[owner(canary, found)]


async def replicas_seen(kube: Kube, service: str) -> dict[str, float]:
    """How many living replicas each pod of a service sees."""
    found = {}
    for pod in await pods(kube, service):
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics"
        lines = (await kube.text(path)).splitlines()
        found[name] = next(float(t.split()[1]) for t in lines if t.startswith("serinus_replicas "))
    return found
