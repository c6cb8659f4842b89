"""The pages of docs/meshes, strategies, sources, sinks and hooks, followed to the letter.

After the first release of the ordinary canary come the commands of docs/control.md.

On a real API server with the whole ring every page has a namespace of its own, and its commands are
run as they stand there. What differs: intervals are a fifth of a second, hooks and the metrics
server are stubs. Canaries on pages of sources, sinks and hooks are suspended, so that nobody calls
the addresses in them.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml
from tests.contract import manual
from tests.gen.tree import ROOT
from tests.ring import Ring
from tests.servers import crds
from tests.servers.control_plane import ControlPlane
from tests.servers.knative import knative
from tests.servers.kube import Kube
from tests.servers.kubelet import Kubelet
from tests.servers.nats import NatsServer
from tests.servers.process import of_the_environment
from tests.servers.stub import Answers, Stub

pytestmark = pytest.mark.timeout(500)

RELEASED = ("meshes", "strategies")
LOOKED_AT = ("sources", "sinks", "hooks")
# An API server serves one of App Mesh's two APIs under one name, here the newer one.
NOT_HERE = {"docs/meshes/appmesh.md"}
CRDS = ("apisix", "appmesh", "contour", "gloo", "istio", "keptn", "knative", "kuma", "smi")
AT_ONCE = 4
STUBS = re.compile(r"http://serinus-loadtester\.serinus/")


def pages(*folders: str) -> list[str]:
    mine = tuple(f"docs/{folder}/" for folder in folders)
    return [page for page in manual.pages() if page.startswith(mine) and page not in NOT_HERE]


def steps(page: str) -> list[str]:
    """The lines of the page's shell blocks for kubectl."""
    shells = [block for language, block in manual.blocks(page) if language == "sh"]
    return [line for line in "".join(shells).splitlines() if line.startswith("kubectl ")]


class Follower:
    """Somebody who types what the pages say."""

    def __init__(self, kubeconfig: Path, stub: Stub, folder: Path) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
        kubectl = Path(of_the_environment("kubectl")).parent
        self._environment["PATH"] = f"{kubectl}{os.pathsep}{os.environ['PATH']}"
        self._stub, self._folder = stub, folder
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def follow(self, page: str, *, suspended: bool) -> str:
        """What was said, "" where every command succeeded."""
        namespace = self.namespace(page)
        manifest = ROOT / "docs/examples" / page.removeprefix("docs/").replace(".md", ".yaml")
        mine = self._folder / f"{namespace}.yaml"
        mine.write_text(self._here(manifest.read_text("utf-8"), namespace, suspended=suspended))
        lines = steps(page)
        assert lines, page
        if suspended:
            apply = f"kubectl --namespace shop apply --filename {mine}"
            lines = ["kubectl create namespace shop", apply, *lines]
        script = re.sub(r"docs/examples/\S+\.yaml", str(mine), "\n".join(lines))
        script = re.sub(r"(--namespace|create namespace) shop\b", rf"\1 {namespace}", script)
        script = script.replace(" shop-web-", f" {namespace}-web-")
        text, status = await self._run(script)
        return "" if status == 0 else f"{page}\n{text[-3000:]}"

    async def decide(self, page: str, after: str) -> str:
        """Types the commands of a page about the canary that another page released."""
        typed = [str(command) for command in manual.commands(page) if command.is_whole]
        assert len(typed) > 5
        here = f'kubectl() {{ command kubectl --namespace {self.namespace(after)} "$@"; }}'
        text, status = await self._run("\n".join((here, *typed)))
        return "" if status == 0 else f"{page}\n{text[-3000:]}"

    async def _run(self, script: str) -> tuple[str, int | None]:
        async with self._turns:
            process = await asyncio.create_subprocess_exec(
                "bash", "-exc", script,
                cwd=ROOT, env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await process.communicate()
        return said.decode(), process.returncode

    def namespace(self, page: str) -> str:
        return "page-" + page.removeprefix("docs/").removesuffix(".md").replace("/", "-")

    def _here(self, text: str, namespace: str, *, suspended: bool) -> str:
        text = text.replace("namespace: shop", f"namespace: {namespace}")
        text = re.sub(r"^    interval: 1m$", "    interval: 200ms", text, flags=re.MULTILINE)
        text = STUBS.sub(f"{self._stub.url('hook', 'pages')}/", text)
        if suspended:
            text = text.replace("  targetRef: ", "  suspend: true\n  targetRef: ")
        assert all(yaml.safe_load_all(text))
        return text


@pytest.fixture
async def follower(
    control_plane: ControlPlane,
    kubelet: Kubelet,
    kube: Kube,
    own_nats: NatsServer,
    stub: Stub,
    tmp_path: Path,
) -> AsyncIterator[Follower]:
    control_plane.install_crds([file for mesh in CRDS for file in crds.of_mesh(mesh)])
    follower = Follower(control_plane.kubeconfig(), stub, tmp_path)
    answers = [("histogram_quantile|_sum", 0.1), (".", 100)]
    stub.script("pages").set_prometheus([Answers(match=m, values=(v,)) for m, v in answers])
    settings = {
        "SERINUS_METRICS_SERVER": stub.url("prometheus", "pages"),
        "SERINUS_MIN_INTERVAL_S": "0.05",
        "SERINUS_SETTLE_S": "0",
    }
    made = [follower.namespace(page) for page in pages(*RELEASED, *LOOKED_AT)]
    ring = Ring(kubeconfig=control_plane.kubeconfig, nats=own_nats.url, settings=settings)
    async with AsyncExitStack() as running:
        for page in pages(*RELEASED):
            if "knative" in page:
                await running.enter_async_context(knative(kube, follower.namespace(page)))
        await running.enter_async_context(ring)
        yield follower
    for name in made:
        await kube.delete("v1", "Namespace", None, name)
    # In no namespace, so that it would be in everybody's way.
    await kube.delete("kuma.io/v1alpha1", "TrafficRoute", None, "web")


async def test_every_page_does_what_it_says(follower: Follower) -> None:
    """Meshes and strategies release a version; sources, sinks and hooks are taken and shown."""
    released, shown = pages(*RELEASED), pages(*LOOKED_AT)
    assert len(released) >= 30
    assert len(shown) >= 36
    said = await asyncio.gather(
        *(follower.follow(page, suspended=False) for page in released),
        *(follower.follow(page, suspended=True) for page in shown),
    )
    decided = await follower.decide("docs/control.md", after="docs/strategies/canary.md")
    wrong = [text for text in (*said, decided) if text]
    assert not wrong, f"{len(wrong)} pages\n" + "\n\n".join(wrong[:5])
