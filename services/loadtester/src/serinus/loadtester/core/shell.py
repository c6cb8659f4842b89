"""Commands without a shell: split into words, and refused where only a shell would do.

A shell's quoting is understood. What a shell would do beyond that (pipes, redirections, variables)
is not done, and not passed on as words either: `curl web | grep ok` would succeed and test nothing.
"""

from __future__ import annotations

import re
import shlex

_OPERATORS = frozenset("|&;<>()$`\n")
_IN_QUOTES = frozenset("$`")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# Single quotes, in which a backslash is only itself; double quotes; what is escaped outside.
_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_ESCAPED = re.compile(r"\\.", re.DOTALL)


def shell_sign(command: str) -> str:
    """The first thing in a command that only a shell can do; "": there is none."""
    text = _joined(command)
    if _ASSIGNMENT.match(text):
        return "="
    quote, escaped = "", False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif letter == quote:
            quote = ""
        elif quote:
            if quote == '"' and letter in _IN_QUOTES:
                return letter
        elif letter in "'\"":
            quote = letter
        elif letter in _OPERATORS:
            return "a new line" if letter == "\n" else letter
    return ""


def words(command: str) -> tuple[str, ...] | None:
    """A command as words, with a shell's quoting; None: it does not parse."""
    try:
        return tuple(shlex.split(_joined(command))) or None
    except ValueError:
        return None


def _joined(command: str) -> str:
    """Lines that end in a backslash go on; space around the command is none of it."""

    def joined(found: re.Match[str]) -> str:
        text = found.group()
        return text if text.startswith("'") else _ESCAPED.sub(_not_a_line_end, text)

    return _QUOTED.sub(joined, command).strip()


def _not_a_line_end(pair: re.Match[str]) -> str:
    return "" if pair.group() == "\\\n" else pair.group()
