"""docs/strategies: what happens step by step is a release of the page's own example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.gen.pages import page
from tests.gen.pages.play import Step, exposure_of, played

from serinus.router.meshes.catalog import MESHES, Ability, row_of

FOLDER = "strategies"


def files() -> Mapping[str, str]:
    rows = page.words(FOLDER)
    return {f"docs/{FOLDER}/{name}.md": page.whole(_page(name, of)) for name, of in rows.items()}


def _page(name: str, of: page.Words) -> Iterator[str]:
    objects = page.example(FOLDER, name)
    yield from page.head(FOLDER, name, of)
    yield from page.bullets("What you need", of.needs)
    yield from _who_can(objects)
    yield from page.manifest(FOLDER, name)
    yield f"{of.how}\n"
    yield "## Step by step\n"
    yield "A good version of this example, where pods are ready at once:\n"
    yield _steps(played(objects))
    bad = played(objects, is_good=False)
    if bad[-1].phase == "Failed":
        yield "A bad one, whose success rate is 91.25 %:\n"
        yield _steps(bad)
    yield from page.release(FOLDER, name, of)
    yield from page.bullets("Limits", of.limits)
    yield from page.more(of.more)


def _who_can(objects: list[page.Obj]) -> Iterator[str]:
    """Which meshes can do what this example needs."""
    exposure = exposure_of(objects)
    if not row_of(exposure.mesh).kinds or exposure.mesh == "knative":
        return
    needs = {Ability(need) for need in exposure.needs}
    able = [row.name for row in MESHES.values() if needs <= row.can]
    links = ", ".join(f"[{name}](../meshes/{page.file_name(name)}.md)" for name in able)
    yield f"It works with {links}.\n"


def _steps(steps: list[Step]) -> str:
    """A table; columns without news are left out."""
    mirrors = any(step.routes.mirror for step in steps)
    columns = ["after", "phase", "primary", "canary", *(["copied"] if mirrors else []), "events"]
    return page.table(columns, (_row(step, mirrors=mirrors) for step in steps))


def _row(step: Step, *, mirrors: bool) -> list[str]:
    routes = step.routes
    copied = f"{routes.mirror_weight or 100} %" if routes.mirror else "–"
    who = " of those who match" if routes.match and routes.canary else ""
    texts = [f"{text} ({n} times)" if n > 1 else text for text, n in Counter(step.texts).items()]
    return [
        f"{step.at_s / 60:g} min",
        step.phase,
        "all others" if who else f"{routes.primary} %",
        f"{routes.canary} %{who}",
        *([copied] if mirrors else []),
        "; ".join(texts),
    ]
