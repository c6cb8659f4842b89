"""docs/sinks: the message is the one that the sender makes of a promotion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace
from tests.gen import messages
from tests.gen.pages import page

from serinus.events import Webhook
from serinus.notifier.senders import eventhook
from serinus.notifier.senders.catalog import SENDERS, Row

FOLDER = "sinks"
# Told without an AlertProvider.
BESIDE = ("kubernetes-events", "event-webhook")


def files() -> Mapping[str, str]:
    found = page.words(FOLDER, (*SENDERS, *BESIDE))
    return {f"docs/{FOLDER}/{name}.md": page.whole(_page(name, of)) for name, of in found.items()}


def _page(name: str, of: page.Words) -> Iterator[str]:
    row = next((row for row in SENDERS.values() if row.name == name), None)
    facts = [page.facts(_facts(row))] if row is not None else []
    yield from page.opening(FOLDER, name, of, facts)
    yield from _sent(name, row)
    yield from page.commands("See for yourself", _looks(name, row))
    yield from page.bullets("Limits", of.limits)
    yield from page.more(
        [
            ("What a message says, and in whose words", "../alerts.md"),
            ("Nobody was told", "../runbooks/SerinusNotTold.md"),
        ]
    )


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    needs = row.needs
    yield "`spec.type`", f"`{row.name}`"
    address = f"{needs.address} when left out" if needs.address else "needed"
    if needs.token_address:
        address = f"needed, unless there is a token: then {needs.token_address}"
    yield "`address`", address
    yield "schemes", ", ".join(needs.schemes) or "any"
    yield "`token`", "needed" if needs.token else "where the service wants one"
    yield "fifty canaries at once", "one message" if row.groups else "one message each"
    yield "the end of an incident", "is always told" if row.resolves else "is a message like others"


def _sent(name: str, row: Row | None) -> Iterator[str]:
    if name == "kubernetes-events":
        return
    yield "## What is sent\n"
    if row is None:
        fact = replace(
            messages.FACTS["promoted"],
            text="Promotion completed! Scaling down web.shop",
            severity="Normal",
        )
        hook = Webhook(
            name="journal",
            url="https://journal.example.com/releases",
            type="event",
            metadata={"environment": "production"},
        )
        shown = messages.document(eventhook.render(fact, hook))
        yield "At a promotion:\n"
    else:
        occasion = "condemned" if row.resolves else "promoted"
        shown = messages.rendered(name, messages.told(occasion))
        yield f"At a {'rollback' if row.resolves else 'promotion'}:\n"
    # The address is the reader's own.
    shown = {key: value for key, value in shown.items() if key != "url"}
    yield f"```yaml\n{page.dumped([shown])}```\n"
    if row is not None:
        every = f"../../{messages.FOLDER}/{name}.yaml"
        yield f"[Every message]({every}) of this kind, as tests have it.\n"


def _looks(name: str, row: Row | None) -> list[str]:
    events = "kubectl --namespace shop get events --field-selector involvedObject.name=web"
    if row is None:
        return [events]
    return [
        f"kubectl --namespace shop wait alertprovider/{name} --for=condition=Ready --timeout=1m",
        f"kubectl --namespace shop describe alertprovider {name}",
        events,
    ]
