"""The story of the demo, from an empty machine to a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from string import Template
from typing import Any

from serinus.cli.demo import manifests
from serinus.cli.demo.ring import TAP_USER, NotReady, Passwords, Ring, crds
from serinus.cli.demo.show import Screen, summary
from serinus.cli.demo.traffic import Traffic
from serinus.cli.demo.verdict import Release, checks
from serinus.cli.demo.watching import Watching
from serinus.kube.client import KubeClient, connect
from serinus.sandbox.sandbox import Sandbox
from serinus.sandbox.servers import NotStarted, program

INITIALISED_S = 40.0
RELEASE_S = 90.0
LAST_WORDS = ("Promotion completed!", "Canary failed!")
LAST_WORDS_S = 3.0
AFTERMATH_S = 4.0


class Trouble(RuntimeError):
    """The demo cannot go on; the text says why and where to look."""


async def play(*, keep: bool = False, plain: bool = False, rate: int = 200) -> int:
    """Plays the whole demo. 0 if all went as it should, 1 if not."""
    begun = time.time()
    passwords = Passwords()
    watching = Watching()
    async with contextlib.AsyncExitStack() as stack:
        screen = Screen(watching, [], plain=plain)
        try:
            screen.say("starting NATS, Traefik, a small Kubernetes API and the five services ...")
            box = await stack.enter_async_context(
                Sandbox(crds=crds(), nats_config=passwords.nats_config())
            )
            ring = Ring(box, passwords)
            await ring.start()
            client = await stack.enter_async_context(connect(str(box.kubeconfig)))
            await stack.enter_async_context(_background(watching.follow_canary(client)))
            tap = watching.follow_facts(box.nats_url, TAP_USER, passwords.of[TAP_USER])
            await stack.enter_async_context(_background(tap))
            screen.say(f"all of it is ready after {time.time() - begun:.1f} s\n")
            stage = _Stage(box, ring, client, watching, rate, plain)
            good = await stage.perform(screen)
        except (Trouble, NotReady, NotStarted) as error:
            screen.say(str(error), "bold red")
            return 1
        if keep:
            await stage.stay(screen)
        return 0 if good else 1


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Stage:
    """Everything that plays along."""

    def __init__(
        self,
        box: Sandbox,
        ring: Ring,
        client: KubeClient,
        watching: Watching,
        rate: int,
        plain: bool,
    ) -> None:
        self._box, self._ring, self._client = box, ring, client
        self._watching = watching
        self._plain = plain
        self._traffic = Traffic(box.traefik_url + "/", rate, box.logs / "traffic.log")

    async def perform(self, screen: Screen) -> bool:
        """Initialises, releases twice, sums up. Whether every promise was kept."""
        await self._apply(screen, "workload.yaml", manifests.WORKLOAD)
        host, _, port = self._box.traefik_url.removeprefix("http://").partition(":")
        values = {"loadtester": self._ring.loadtester_url, "host": host, "port": port}
        await self._apply(screen, "canary.yaml", Template(manifests.CANARY).substitute(values))
        watching = self._watching
        if not await watching.until(lambda: watching.now.phase == "Initialized", INITIALISED_S):
            raise Trouble(self._stuck("the canary was not initialised"))
        screen.say(f"initialised; sending {self._traffic.rate} requests/s\n", "dim")
        live = Screen(watching, self._traffic.slices, plain=self._plain)
        async with self._traffic.flowing():
            await asyncio.sleep(1.0)
            good = await self._release(live, "good", manifests.GOOD)
            await asyncio.sleep(AFTERMATH_S)
            bad = await self._release(live, "bad", manifests.BAD)
            await asyncio.sleep(AFTERMATH_S)
        image = await self._primary_image()
        found = checks(
            good, bad, self._traffic.slices, manifests.BAD_ERROR_RATE, image.partition(":")[2]
        )
        screen.say("")
        summary(screen.console, (good, bad), self._traffic.slices, found)
        sent = sum(sum(s.counts.values()) for s in self._traffic.slices)
        screen.say(f"\n{sent} requests sent in all", "dim")
        return all(check.ok for check in found)

    async def _release(self, screen: Screen, title: str, image: str) -> Release:
        watching = self._watching
        already, before = len(watching.moments), len(watching.told)
        words = ("set", "image", f"deployment/{manifests.NAME}", f"{manifests.NAME}={image}")
        screen.command("kubectl", *words)
        pushed_at = time.time()
        await self._kubectl(*words)
        screen.begin(f"a {title} release: {image}", image.partition(":")[2])

        def ended() -> bool:
            screen.refresh()
            fresh = watching.moments[already:]
            return bool(fresh) and fresh[-1].phase in ("Succeeded", "Failed")

        def told() -> bool:
            screen.refresh()
            return any(fact.text.startswith(LAST_WORDS) for fact in watching.told[before:])

        in_time = await watching.until(ended, RELEASE_S)
        # The status is written first and told a moment later: people want the end of the story.
        await watching.until(told, LAST_WORDS_S)
        screen.end()
        if not in_time:
            raise Trouble(self._stuck(f"the {title} release did not end"))
        return Release(title, image.partition(":")[2], pushed_at, tuple(watching.moments[already:]))

    async def _apply(self, screen: Screen, name: str, text: str) -> None:
        path = self._box.dir / name
        path.write_text(text)
        screen.command("kubectl", "apply", "-f", name)
        await self._kubectl("apply", "-f", str(path))

    async def _kubectl(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            program("kubectl"),
            f"--kubeconfig={self._box.kubeconfig}",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise Trouble(f"kubectl {' '.join(words)}: {err.decode().strip()}")
        return out.decode()

    async def _primary_image(self) -> str:
        where = "jsonpath={.spec.template.spec.containers[0].image}"
        name = f"deployment/{manifests.NAME}-primary"
        return (await self._kubectl("get", name, "-o", where)).strip()

    def _stuck(self, what: str) -> str:
        heard = "\n".join(f"  {told.text}" for told in self._watching.told[-5:]) or "  nothing"
        tails = "\n".join(
            f"--- {name}\n{child.tail()}" for name, child in self._ring.children.items()
        )
        return f"{what} in time. The last that was told:\n{heard}\n{tails}"

    async def stay(self, screen: Screen) -> None:
        """Leaves everything running until it is interrupted."""
        screen.say("\nstill running; in another terminal:", "bold")
        screen.command(f"export KUBECONFIG={self._box.kubeconfig}")
        screen.command(f"export PATH={Path(program('kubectl')).parent}:$PATH")
        screen.command("kubectl get canaries --watch")
        screen.command(f"kubectl set image deployment/{manifests.NAME} hello=hello:4.0")
        screen.say(
            f"requests: {self._box.traefik_url}/   logs: {self._box.logs}   end it with Ctrl-C"
        )
        # Some traffic, or every later release would be judged by silence.
        quiet = Traffic(self._box.traefik_url + "/", 50, self._box.logs / "traffic.log")
        while True:
            async with quiet.flowing():
                await asyncio.sleep(500)
