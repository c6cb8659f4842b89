"""docs/sources: the request is the one that the source makes of the page's own example."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import msgspec
from tests.gen.pages import page
from tests.gen.pages.play import NAMESPACE, story_of
from tests.unit.analyzer.doubles import FakeHttp, reply, toolbox
from tests.unit.analyzer.providers.recorded import AT, RECORDED, TOKEN_URI, served, service_account

from serinus.analyzer.core.queries import names_of
from serinus.analyzer.core.template import render
from serinus.analyzer.providers.catalog import PROVIDERS, Row, provider_of
from serinus.analyzer.providers.source import Question, Source
from serinus.events import MetricTemplateSpec
from serinus.runtime.http import HttpRequest

FOLDER = "sources"
# Not asked by a request: read from the proxy, from an object, in a dialogue.
UNSHOWN = frozenset({"scrape", "keptn", "splunk"})
# Where the stand-in of the API server is.
API = "https://api.test"
_ELSE = """\
An error of the server or none at all (5xx, 429, 401, 403, no answer) is no verdict: the release
waits where it is. No data is a failed check. [Both can be
set](../metrics.md#what-a-check-amounts-to).
"""
SECRET = re.compile("key|token|authorization", re.IGNORECASE)


def files() -> Mapping[str, str]:
    found = page.words(FOLDER, tuple(PROVIDERS))
    return {
        f"docs/{FOLDER}/{name}.md": page.whole(_page(row, found[name]))
        for name, row in PROVIDERS.items()
    }


def _page(row: Row, of: page.Words) -> Iterator[str]:
    yield from page.opening(FOLDER, row.type, of, [page.facts(_facts(row))])
    yield from _asked(row)
    yield f"## What is read\n\n{of.reads}\n"
    yield _ELSE
    yield from page.commands("See for yourself", _looks(row))
    yield from page.bullets("Limits", of.limits)
    yield from page.more(of.more or [("Metrics and verdicts", "../metrics.md")])


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    if row.type == "scrape":
        yield "`metricsServer`", "`scrape:<address>[,<address>]`"
    else:
        yield "`spec.provider.type`", f"`{row.type}`"
    if row.apis:
        yield (
            "`spec.provider.api`",
            ", ".join(f"`{api}`" for api in row.apis) + "; the first when left out",
        )
    keys = ", ".join(f"`{key}`" for key in row.secret_keys)
    yield "keys of its Secret", keys or "it has none"


def _looks(row: Row) -> list[str]:
    template = (
        [] if row.type == "scrape" else ["kubectl --namespace shop get metrictemplate errors"]
    )
    return [
        *template,
        "kubectl --namespace shop get canary web --output jsonpath='{.status.canaryAnalysis}'",
        "kubectl --namespace shop get events --field-selector involvedObject.name=web",
    ]


def _asked(row: Row) -> Iterator[str]:
    """What goes out for the example; whatever it carries to prove who asks is only named."""
    if row.type in UNSHOWN:
        return
    yield "## What is asked\n"
    yield "At a check of this example, decoded; the window ends at the time of the check:\n"
    yield "```"
    for sent in requests(row.type):
        yield f"{sent.method} {unquote(sent.url.replace('+', ' ')).removeprefix(API)}"
        yield from (f"{name}: ..." for name in sent.headers if SECRET.search(name))
        if sent.body:
            yield f"\n{sent.body.decode()}"
    yield "```\n"


def requests(kind: str) -> list[HttpRequest]:
    """What is sent for the check of an example, without what fetches a token."""
    objects = page.example(FOLDER, kind)
    (template,) = (obj for obj in objects if obj["kind"] == "MetricTemplate")
    spec = msgspec.convert(template["spec"], MetricTemplateSpec)
    secret = next((obj["stringData"] for obj in objects if obj["kind"] == "Secret"), {})
    held = {key: str(value).encode() for key, value in secret.items()}
    if "serviceAccountKey" in held:
        held["serviceAccountKey"] = service_account()
    words = names_of(NAMESPACE, "web", story_of(objects).spec).words("1m")
    question = Question(
        query=render(spec.query, words, {}),
        body=render(spec.provider.http.body, words, {}) if spec.provider.http else "",
        at=AT,
        window_s=60.0,
    )
    answer = next(one.value for one in RECORDED if (one.type, one.api) == (kind, spec.provider.api))
    return asyncio.run(_sent(Source(provider=spec.provider, credentials=held), question, answer))


async def _sent(source: Source, question: Question, answer: str) -> list[HttpRequest]:
    http = FakeHttp(served(reply(200, answer)))
    await provider_of(source, toolbox(http)).value(question)
    return [sent for sent in http.sent if sent.url != TOKEN_URI]
