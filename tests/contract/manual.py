"""The docs as tests read them: pages, links, blocks of code, commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from msgspec import Struct
from tests.gen.tree import ROOT

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PROGRAMS = ("kubectl", "helm", "serinus", "make", "docker", "nats")


class Command(Struct, frozen=True, order=True):
    """One simple command of a page, without what it is piped into.

    is_whole  it stands in a block, to be typed as it is; others are named in a sentence
    """

    page: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return shlex.join(self.words)


@cache
def pages() -> tuple[str, ...]:
    """Every page of the repository, by its path from the root."""
    argv = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run([*argv, "*.md"], capture_output=True, text=True, check=True).stdout
    return tuple(path for path in listed.splitlines() if (ROOT / path).is_file())


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """The page without its blocks of code and its spans: what links and headings are in."""
    return _SPAN.sub("`code`", _indented(_FENCE.sub("", text(page)))[0])


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of each block; indented ones have no language."""
    for found in _FENCE.finditer(text(page)):
        yield found["language"], found["text"]
    for block in _indented(_FENCE.sub("", text(page)))[1]:
        yield "", block


def _indented(source: str) -> tuple[str, list[str]]:
    """What is left of a page, and its indented blocks. Lines below a list's dash are no block."""
    kept: list[str] = []
    found: list[str] = []
    is_code = False
    for line in source.splitlines():
        after_space = not kept or not kept[-1].strip()
        if line.startswith("    ") and (is_code or after_space):
            found = (
                [*found[:-1], f"{found[-1]}{line[4:]}\n"] if is_code else [*found, f"{line[4:]}\n"]
            )
            is_code = True
        elif is_code and not line.strip():
            found[-1] += "\n"
        else:
            is_code = False
            kept.append(line)
    return "\n".join(kept), found


def links(page: str) -> Iterator[tuple[str, str]]:
    """(path from the root, anchor) of every link to something of ours.

    Fragments of the changelog become part of a page at the root.
    """
    home = ROOT if page.startswith("docs/changes/") else (ROOT / page).parent
    for target in _LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        full = (home / path).resolve() if path else ROOT / page
        yield str(full.relative_to(ROOT)) if full.is_relative_to(ROOT) else target, anchor


@cache
def anchors(page: str) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", text(page))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return frozenset(found)


def manifests(page: str) -> Iterator[Any]:
    """Every YAML document that a page shows."""
    for language, block in blocks(page):
        if language == "yaml" or (not language and re.match(r"[a-zA-Z]+:( |$)", block)):
            yield from filter(None, yaml.load_all(block, Loader=LOADER))


def commands(page: str) -> Iterator[Command]:
    """Every command of a known program, from blocks and from spans."""
    for language, block in blocks(page):
        if language not in ("", "sh", "console"):
            continue
        joined = block.replace("\\\n", " ")
        for line in joined.splitlines():
            yield from _simple(page, line.removeprefix("$ "), is_whole=True)
    for span in _SPAN.findall(_FENCE.sub("", text(page))):
        if " " in span:
            yield from _simple(page, span, is_whole=False)


def _simple(page: str, line: str, *, is_whole: bool) -> Iterator[Command]:
    if not re.search(rf"\b({'|'.join(PROGRAMS)}) ", line):
        return
    lexer = shlex.shlex(re.sub(r"<[^<>]*>", "name", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;()"):
            while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("do", "then", "in")):
                words.pop(0)
            if words and words[0] in PROGRAMS and len(words) > 1:
                yield Command(page, tuple(words), is_whole)
            words = []
        else:
            words.append(word)


@cache
def examples() -> dict[str, list[Any]]:
    """The manifests of the docs that are files: documents by path."""
    files = sorted((ROOT / "docs/examples").rglob("*.yaml"))
    return {
        file.relative_to(ROOT).as_posix(): list(
            yaml.load_all(file.read_text("utf-8"), Loader=LOADER)
        )
        for file in files
    }


def typed(program: str) -> dict[tuple[tuple[str, ...], bool], list[str]]:
    """The commands of one program with the pages that have them."""
    found: defaultdict[tuple[tuple[str, ...], bool], list[str]] = defaultdict(list)
    for page in pages():
        for command in commands(page):
            if command.words[0] == program:
                found[command.words[1:], command.is_whole].append(page)
    return dict(found)
