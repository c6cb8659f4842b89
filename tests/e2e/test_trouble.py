"""docs/troubleshooting.md and the runbooks: what people type in trouble works on the suite."""

from __future__ import annotations

import asyncio
import os

from tests.contract import manual
from tests.e2e.cluster import Cluster
from tests.e2e.stage import NAMESPACE, Stage
from tests.servers.process import of_the_environment

WAIT_S = 30
# Nobody has been started again here.
NO_EARLIER_ONE = "previous terminated container"


def typed() -> list[list[str]]:
    """The whole commands of kubectl on these pages that name nothing of the reader's."""
    trouble = ("docs/troubleshooting.md", "docs/runbooks/")
    found = [
        command.words[1:]
        for page in manual.pages()
        if page.startswith(trouble)
        for command in manual.commands(page)
        if command.is_whole and command.words[0] == "kubectl" and "name" not in command.words
    ]
    return [[_here(word) for word in words] for words in dict.fromkeys(found)]


def _here(word: str) -> str:
    """The page's namespace as that of the tests; a free port of this machine."""
    if word == "8080":
        return ":8080"
    word = NAMESPACE if word == "serinus" else word
    return word.replace("serviceaccount:serinus:", f"serviceaccount:{NAMESPACE}:")


async def test_every_command_for_trouble_works(installed: Stage, node: Cluster) -> None:
    assert len(typed()) >= 9
    wrong = [said for words in typed() if (said := await _tried(words, node))]
    assert wrong == []


async def _tried(words: list[str], node: Cluster) -> str:
    """What went wrong."""
    process = await asyncio.create_subprocess_exec(
        of_the_environment("kubectl"), *words,
        env={**os.environ, "KUBECONFIG": str(node.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S):
        if "port-forward" in words:
            said = await process.stdout.readline()
            if is_fine := said.startswith(b"Forwarding from"):
                process.terminate()
            await process.wait()
        else:
            said, _ = await process.communicate()
            is_fine = process.returncode == 0 or NO_EARLIER_ONE in said.decode()
    return "" if is_fine else f"kubectl {' '.join(words)}: {said.decode()[-500:]}"
