"""docs/install.md, operations.md and migrating.md, followed to the letter."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

from tests.e2e import judge
from tests.e2e.cluster import Cluster
from tests.e2e.hello import CANARY, NAME, Hello
from tests.e2e.images import ROOT, SERVICES
from tests.e2e.load import RATE
from tests.e2e.stage import NAMESPACE, PREFIX, RIGHTS, Stage, manifest
from tests.e2e.suite import RELEASE, Suite
from tests.servers.kube import Kube
from tests.servers.process import of_the_environment
from tests.tools import build

PAGE = ROOT / "docs/install.md"
OPERATIONS = ROOT / "docs/operations.md"
MIGRATING = ROOT / "docs/migrating.md"
FLAGGER = "flagger-system"
IMAGE = "nginxinc/nginx-unprivileged:1.29"
# The page's namespaces, as those of the tests.
OURS = {"serinus": f"{PREFIX}install", "shop": f"{PREFIX}shop"}

AFTERMATH = 8 * RATE
PATIENT = 10
LATEST_S = 240
# Before each command, when it began.
TOLD = "PS4='+ $SECONDS s: '"
# Images come from no registry here: helm gets them as one more file of values.
HELM = """\
#!/bin/sh
case "$1" in install) exec {helm} "$@" --values {values};; *) exec {helm} "$@";; esac
"""


async def test_the_page_leads_to_a_release_and_to_a_refused_one(
    installed: Stage, suite: Suite, node: Cluster, tmp_path: Path, figures: list[str]
) -> None:
    """Every command of it succeeds, and says what the page says."""
    program = tmp_path / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(HELM.format(helm=build.tool("helm"), values=tmp_path / "images.yaml"))
    program.chmod(0o755)
    (tmp_path / "images.yaml").write_text(suite.images())
    await suite.uninstall()
    begun = time.monotonic()
    try:
        said = await _run(_commands(installed, tmp_path), program.parent, node.kubeconfig)
    finally:
        # A second suite would act on everybody's canaries, so it goes whatever came of it.
        gone = f"helm uninstall serinus --namespace {OURS['serinus']} --ignore-not-found --wait"
        await _run(gone, program.parent, node.kubeconfig)
        await suite.install()
    figures.append(
        f"docs/install.md: {_begun('helm test', said)} s to the suite, "
        f"{_begun('describe canary hello', said)} s to the first release promoted, "
        f"{time.monotonic() - begun:.0f} s for all of its commands"
    )
    assert re.search(r"Phase: +Succeeded", said), said[-6000:]
    assert "Promotion completed! Scaling down hello." in said
    assert 'release "serinus" uninstalled' in said


async def test_passwords_are_renewed_as_operations_say(
    installed: Stage, node: Cluster, tmp_path: Path
) -> None:
    """The commands of its section, then until everybody is ready with a new one."""
    lines = _lines(OPERATIONS, "Passwords")
    assert len(lines) == 4
    commands = "\n".join(lines).replace("--namespace serinus", f"--namespace {NAMESPACE}")
    names = [f"deployment/{RELEASE}-{name}" for name in SERVICES]
    ready = [f"kubectl --namespace {NAMESPACE} rollout status {name}" for name in names]
    (tmp_path / "helm").symlink_to(build.tool("helm"))
    async with Kube(node.kubeconfig) as kube:
        before = await kube.get("v1", "Secret", NAMESPACE, f"{RELEASE}-nats")
        await _run("\n".join([commands, *ready]), tmp_path, node.kubeconfig)
        after = await kube.get("v1", "Secret", NAMESPACE, f"{RELEASE}-nats")
    assert not set(before["data"].values()) & set(after["data"].values())


async def test_a_run_of_flaggers_goes_on_from_its_weight_and_no_request_fails(
    hello: Hello, suite: Suite, node: Cluster, tmp_path: Path, figures: list[str]
) -> None:
    """The commands of docs/migrating.md in the middle of a rollout, then `helm install`."""
    await suite.uninstall()
    namespace = await hello.kube.namespace(FLAGGER)
    values = {
        "flagger": hello.stage.references["flagger"],
        "metrics": f"http://prometheus.{NAMESPACE}:9090",
        "namespace": namespace,
    }
    try:
        for obj in manifest("flagger", values):
            await hello.kube.apply(obj, namespace)
        await hello.deploy()
        await hello.canary(threshold=PATIENT)
        await hello.until("Initialized", within_s=LATEST_S)
        async with hello.traffic() as traffic:
            await hello.push("2.0")
            await hello.until_weight(20, within_s=LATEST_S)
            theirs = await hello.kube.get(CANARY, "Canary", hello.namespace, NAME)
            await _run("\n".join(_lines(MIGRATING, "From Flagger")), tmp_path, node.kubeconfig)
            await suite.install()
            await hello.until("Succeeded", within_s=LATEST_S)
            await traffic.enough(AFTERMATH)
    finally:
        await hello.kube.delete(f"{RIGHTS}/v1", "ClusterRoleBinding", None, f"{NAMESPACE}-flagger")
        await hello.kube.delete("v1", "Namespace", None, namespace)
        await suite.install()
    figures.append(f"taken over from Flagger in mid-rollout: {len(traffic.requests)} requests")
    assert "history" not in theirs["status"], "a run of ours"
    assert not judge.failures(traffic.requests), judge.when(hello.moments, traffic.requests)
    assert judge.path(hello.moments) == [0, 20, 40, 60], hello.moments
    assert await hello.version_of(f"{NAME}-primary") == "2.0"


def _lines(page: Path, heading: str) -> list[str]:
    """The commands below a heading that are set in."""
    part = page.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (.*)$", part, re.MULTILINE)


def _begun(command: str, said: str) -> str:
    """After how many seconds of the page a command began."""
    found = re.search(rf"^\+ (\d+) s: .*{re.escape(command)}", said, re.MULTILINE)
    assert found is not None, command
    return found[1]


def _commands(stage: Stage, folder: Path) -> str:
    text = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    example = re.search(r"--filename (\S+first-release\.yaml)", text)
    assert example is not None
    manifest = (ROOT / example[1]).read_text("utf-8")
    assert IMAGE in manifest
    manifest = manifest.replace(IMAGE, stage.references["hello"])
    for theirs, ours in OURS.items():
        text = re.sub(rf"(--namespace|create namespace) {theirs}\b", rf"\1 {ours}", text)
        manifest = re.sub(rf"(loadtester|hello-canary)\.{theirs}/", rf"\1.{ours}/", manifest)
    (folder / "first-release.yaml").write_text(manifest)
    return text.replace(example[1], str(folder / "first-release.yaml"))


async def _run(commands: str, programs: Path, kubeconfig: Path) -> str:
    """What they print. Stops at the first that fails, and fails with what was said so far."""
    kubectl = str(Path(of_the_environment("kubectl")).parent)
    path = os.pathsep.join((str(programs), kubectl, os.environ["PATH"]))
    process = await asyncio.create_subprocess_exec(
        "bash", "-exc", f"{TOLD}\n{commands}",
        cwd=ROOT,
        env=os.environ | {"PATH": path, "KUBECONFIG": str(kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    text = said.decode()
    assert process.returncode == 0, text[-6000:]
    return text
