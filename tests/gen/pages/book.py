"""A page per strategy, mesh, metrics source, sink and hook, and the index of all pages.

What a machine can know is found: tables from the catalogs, objects by rendering the page's own
example, steps by playing a release of it on virtual time, requests by asking. What only people know
is in `*.yaml` beside this file: a row without words stops the generator, words without a row too.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.gen.pages import hooks, index, meshes, sinks, sources, strategies

FOLDERS = tuple(module.FOLDER for module in (strategies, meshes, sources, sinks, hooks))


def files() -> Mapping[str, str]:
    """Every page by its path."""
    made = index.files()
    for module in (strategies, meshes, sources, sinks, hooks):
        made |= module.files()
    return made
