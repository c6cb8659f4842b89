"""docs/hooks: when a hook is asked is a release of the page's own example."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from tests.gen.pages import page
from tests.gen.pages.play import asked, objected, story_of

from serinus.analyzer.core.hooktext import filled
from serinus.analyzer.core.rollout import HookAsk
from serinus.analyzer.shell import hooks as asking
from serinus.events.canary import HookType, Webhook, hooks

FOLDER = "hooks"
TYPES = tuple(name for name in get_args(HookType) if name)
# Asked about a release that goes wrong.
OF_BAD = frozenset({"on-rollback"})
SHOWN = 8


def files() -> Mapping[str, str]:
    found = page.words(FOLDER, TYPES)
    return {f"docs/{FOLDER}/{name}.md": page.whole(_page(name, of)) for name, of in found.items()}


def _page(name: str, of: page.Words) -> Iterator[str]:
    objects = page.example(FOLDER, name)
    yield f"# {of.title} (`{name}`)\n"
    yield from list(page.head(FOLDER, name, of))[1:]
    yield from page.manifest(FOLDER, name)
    yield f"## What answers mean\n\n{of.answers}\n"
    yield from _objected(name, objects)
    if name != "event":
        yield from _asked(name, objects)
    yield from _sent(name, objects)
    yield from page.commands("See for yourself", _looks(objects, name))
    yield from page.bullets("Limits", of.limits)
    yield from page.more(
        [
            ("Deciding by hand", "../control.md"),
            ("The load tester", "../loadtester.md"),
            ("Tokens, methods and bodies", "../control.md#hooks-that-decide"),
        ]
    )


def _asked(name: str, objects: list[page.Obj]) -> Iterator[str]:
    which = "bad" if name in OF_BAD else "good"
    calls = asked(objects, name, is_good=name not in OF_BAD)
    yield "## When it is asked\n"
    yield f"In a release of a {which} version of this example in which every hook agrees:\n"
    rows = [(f"{c.at_s / 60:g} min", c.phase, f"{c.weight} %") for c in calls]
    yield page.table(("after", "phase", "canary"), rows[:SHOWN])
    if len(rows) > SHOWN:
        yield f"and so on, {len(rows)} times in all.\n"


def _objected(name: str, objects: list[page.Obj]) -> Iterator[str]:
    if name in ("event", "post-rollout", "on-rollback"):
        return
    texts = Counter(text.strip() for text in objected(objects, name))
    yield (
        "Events while it does not agree, until it was asked three times:\n"
        if name != "rollback"
        else "Events after a yes:\n"
    )
    yield (
        "\n".join(f"- {text}{f' ({n} times)' if n > 1 else ''}" for text, n in texts.items()) + "\n"
    )


def _sent(name: str, objects: list[page.Obj]) -> Iterator[str]:
    """The request of the example."""
    if name == "event":
        yield "## What is sent\n\nSee [event webhooks](../sinks/event-webhook.md#what-is-sent).\n"
        return
    hook = _hook(objects)
    story = story_of(objects).initialised().push("v2")
    phase = {"confirm-rollout": "Waiting", "on-rollback": "Failed"}.get(name, "Progressing")
    phase = "Succeeded" if name == "post-rollout" else phase
    hook = filled(hook, story.seen, story.status, phase)
    ask = HookAsk(key="", hook=hook, phase=phase, checksum="7b9c6f5d48")
    sent = asking.request(ask, story.seen.canary)
    yield "## What is sent\n"
    yield f"```\n{sent.method} {sent.url}\n\n{json.dumps(json.loads(sent.body), indent=2)}\n```\n"


def _hook(objects: list[page.Obj]) -> Webhook:
    (found,) = hooks(story_of(objects).spec, *TYPES)
    return found


def _looks(objects: list[page.Obj], name: str) -> list[str]:
    lines = ["kubectl --namespace shop get events --field-selector involvedObject.name=web"]
    url = "" if name == "event" else _hook(objects).url
    if "/gate/" in url:
        lines.append("serinus gate open web --namespace shop")
    if "/rollback/" in url:
        lines.append("serinus gate open web --namespace shop --rollback")
    return lines
