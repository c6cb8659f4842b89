"""The `{{ name }}` language of metric templates.

Functions are called without a dot (reference 5.3): `{{ target }}`, `{{ variables.code }}`. A key
that is missing is an error. What more there is of Go's text/template is in `serinus.gotemplate`.
"""

from __future__ import annotations

from collections.abc import Mapping

from serinus import gotemplate


class TemplateError(ValueError):
    """The text does not parse or does not render; the message is Flagger's (typo included)."""


def render(text: str, words: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """`text` with its actions carried out.

    words      values of the functions name, namespace, target, service, ingress, route, interval
    variables  the map behind `{{ variables.x }}`
    Raises TemplateError.
    """
    try:
        return gotemplate.render(text, words={**words, "variables": variables})
    except gotemplate.ParseError as error:
        raise TemplateError(f"template parsing failed: {error}") from None
    except gotemplate.ExecError as error:
        # The misspelling is part of the text people search for.
        raise TemplateError(f"template excution failed: {error}") from None
