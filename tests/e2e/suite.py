"""The suite in the cluster, by its Helm chart."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template

import yaml
from tests.e2e.images import PARTS, SERVICES
from tests.tools.helm import CHART, helm

RELEASE = "serinus"
VALUES = Path(__file__).parent / "manifests" / "values.yaml"
READY_S = 180
TEST_S = 240


class Suite:
    """One release of a chart in one namespace."""

    def __init__(
        self, kubeconfig: Path, namespace: str, references: Mapping[str, str], chart: Path = CHART
    ) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._chart = chart
        parts = {name: reference.rpartition(":") for name, reference in references.items()}
        self._images = {
            f"{name}_{word}": parts[name][place]
            for name in (*PARTS, "nats")
            for word, place in (("repository", 0), ("tag", 2))
        }

    @property
    def version(self) -> str:
        """What its pods are labelled with."""
        about = yaml.safe_load((self._chart / "Chart.yaml").read_text("utf-8"))
        return str(about["appVersion"])

    async def install(self, *words: str) -> None:
        """Installs or upgrades it and returns when all of it is ready. Raises ServerError."""
        text = self.values()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
            values.write(text)
            values.flush()
            wait = ("--wait", "--timeout", f"{READY_S}s")
            chart = ("upgrade", "--install", RELEASE, str(self._chart), "--values", values.name)
            await self._helm(*chart, *wait, *words)

    def values(self) -> str:
        """Those of an operator of this cluster, as far as the chart knows them: an older one has
        no coordinator."""
        whole = yaml.safe_load(Template(VALUES.read_text("utf-8")).substitute(self._images))
        known = yaml.safe_load((self._chart / "values.yaml").read_text("utf-8"))
        return yaml.safe_dump({name: one for name, one in whole.items() if name in known})

    def images(self) -> str:
        """The part of them that says which images there are."""
        whole = yaml.safe_load(self.values())
        parts = {name: {"image": whole[name]["image"]} for name in (*SERVICES, "nats")}
        return yaml.safe_dump(parts)

    async def uninstall(self) -> None:
        """Takes it away; the definitions of custom resources and their objects stay."""
        await self._helm("uninstall", RELEASE, "--wait", "--ignore-not-found")

    async def roll_back(self) -> None:
        """To what was installed before, and returns when all of it is ready. Raises ServerError."""
        await self._helm("rollback", RELEASE, "--wait", "--timeout", f"{READY_S}s")

    async def test(self) -> str:
        """`helm test`: what it prints. Raises ServerError."""
        return await self._helm("test", RELEASE, "--timeout", f"{TEST_S}s")

    async def install_load_tester(self, release: str, namespace: str) -> None:
        """The load tester's own chart, as it comes but for its image. Raises ServerError."""
        image = yaml.safe_load(self.values())["loadtester"]["image"]
        values = ",".join(f"image.{word}={image[word]}" for word in ("repository", "tag"))
        words = ("--set-string", values, "--wait", "--timeout", f"{READY_S}s")
        chart = str(CHART / "charts" / "loadtester")
        await self._helm("install", release, chart, *words, namespace=namespace)

    async def uninstall_load_tester(self, release: str, namespace: str) -> None:
        await self._helm("uninstall", release, "--wait", namespace=namespace)

    async def _helm(self, *words: str, namespace: str = "") -> str:
        argv = (*words, "--namespace", namespace or self._namespace)
        return await asyncio.to_thread(helm, *argv, kubeconfig=self._kubeconfig)
