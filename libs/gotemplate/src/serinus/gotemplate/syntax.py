"""Text to nodes: the grammar of Go's text/template, as far as queries and messages use it.

Evaluation is in `template.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from serinus.gotemplate.text import unquote

MAX_LENGTH = 16_384
MAX_DEPTH = 50


class ParseFault(Exception):
    """`<line>: <why>`."""


# --- nodes --------------------------------------------------------------------------------------


class Literal(Struct, frozen=True):
    value: Any


class Operand(Struct, frozen=True):
    """One term: a literal, a function or variable name, `.`, a field or a pipeline in brackets."""

    at: int
    source: str
    head: Any
    fields: tuple[str, ...] = ()
    end: int = 0


class Pipe(Struct, frozen=True):
    """Commands joined by `|`, each a tuple of operands.

    binds     the variables it sets
    declares  they are new (`:=`), not given another value (`=`)
    """

    commands: tuple[tuple[Operand, ...], ...]
    binds: tuple[str, ...] = ()
    declares: bool = True


class Block(Struct, frozen=True):
    """if, with or range: a pipeline, what to do, and what else."""

    word: str
    pipe: Pipe
    body: tuple[Any, ...]
    otherwise: tuple[Any, ...]


class Name(Struct, frozen=True):
    name: str


class Variable(Struct, frozen=True):
    name: str


class Dot(Struct, frozen=True):
    """The current value: what the template is about, or what range and with made of it."""


# --- parsing ------------------------------------------------------------------------------------

_ACTION = re.compile(
    r"\{\{(?P<left>- |-(?=[\t\r\n]))?"
    r"(?:(?P<comment>/\*.*?\*/)|(?P<code>(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|(?!\s-\}\}|\}\})[^\"`])*))"
    r"(?P<right>\s-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<number>[+-]?[0-9][0-9_]*(?:\.[0-9]+)?)
    |(?P<bind>:=|=)|(?P<field>\.[A-Za-z_]\w*)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[A-Za-z_]\w*)
    |(?P<mark>[|(),])""",
    re.VERBOSE,
)
_CONTROL = frozenset({"if", "range", "with"})
_WORD_VALUES = {"true": True, "false": False}


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int
    spaced: bool


class Parser:
    """Text to nodes; `names` are the functions that may be called."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        if len(text) > MAX_LENGTH:
            raise ParseFault(f"1: longer than {MAX_LENGTH} characters")
        self.text = text
        self.names = names
        self.pieces = self._split()
        self.at = 0
        self.variables: list[str] = ["$"]
        self.depth = 0

    def parse(self) -> tuple[Any, ...]:
        nodes, end = self._list()
        if end:
            raise self._fault(self.pieces[self.at - 1][1], f"unexpected {{{{{end}}}}}")
        return nodes

    def _fault(self, at: int, why: str) -> ParseFault:
        return ParseFault(f"{self.text.count(chr(10), 0, at) + 1}: {why}")

    def _split(self) -> list[tuple[str | list[_Token], int]]:
        """The text as plain pieces and token lists, white space trimmed where markers say so."""
        pieces: list[tuple[str | list[_Token], int]] = []
        position, trim = 0, False
        while True:
            start = self.text.find("{{", position)
            plain = self.text[position : start if start >= 0 else None]
            plain = plain.lstrip() if trim else plain
            if start < 0:
                pieces.append((plain, position))
                return pieces
            found = _ACTION.match(self.text, start)
            if found is None:
                raise self._fault(start, "unclosed action")
            pieces.append((plain.rstrip() if found["left"] else plain, position))
            if found["comment"] is None:
                pieces.append((self._tokens(found["code"], found.start("code")), start))
            position, trim = found.end(), found["right"] is not None

    def _tokens(self, code: str, offset: int) -> list[_Token]:
        tokens: list[_Token] = []
        position, spaced = 0, True
        while position < len(code):
            found = _TOKEN.match(code, position)
            if found is None:
                char = code[position]
                raise self._fault(offset + position, f'unexpected "{char}" in command')
            kind = str(found.lastgroup)
            if kind != "space":
                tokens.append(_Token(kind, found[0], offset + position, spaced))
            spaced, position = kind == "space", found.end()
        return tokens

    def _list(self) -> tuple[tuple[Any, ...], str]:
        """Nodes up to `else`, `end` or the end of the text, and which of them it was."""
        nodes: list[Any] = []
        while self.at < len(self.pieces):
            piece, at = self.pieces[self.at]
            self.at += 1
            if isinstance(piece, str):
                nodes.append(piece)
                continue
            if not piece:
                raise self._fault(at, "missing value for command")
            word = piece[0].text if piece[0].kind == "word" else ""
            if word in ("else", "end"):
                return tuple(nodes), " ".join(token.text for token in piece)
            nodes.append(
                self._block(word, piece[1:], at) if word in _CONTROL else self._pipe(piece, at)
            )
        return tuple(nodes), ""

    def _block(self, word: str, tokens: list[_Token], at: int) -> Block:
        known = len(self.variables)
        pipe = self._pipe(tokens, at)
        self.depth += 1
        body, end = self._list()
        otherwise: tuple[Any, ...] = ()
        if end.startswith("else "):
            piece, below = self.pieces[self.at - 1]
            assert not isinstance(piece, str)
            inner = piece[1].text
            if inner not in ("if", "with"):
                raise self._fault(below, f"unexpected {{{{{end}}}}}")
            # An `else if` shares the `end` of the block that it continues.
            otherwise = (self._block(inner, piece[2:], below),)
        elif end == "else":
            otherwise, end = self._list()
            if end != "end":
                raise self._fault(at, f"unexpected {end or 'EOF'}")
        elif end != "end":
            raise self._fault(len(self.text), "unexpected EOF")
        del self.variables[known:]
        self.depth -= 1
        return Block(word, pipe, body, otherwise)

    def _pipe(self, tokens: Sequence[_Token], at: int) -> Pipe:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._fault(at, "nested too deep")
        binds, declares, rest = self._binds(list(tokens))
        commands: list[tuple[Operand, ...]] = []
        while True:
            command: list[Operand] = []
            while rest and rest[0].text != "|":
                operand, rest = self._operand(rest)
                command.append(operand)
            if not command:
                raise self._fault(at, "missing value for command")
            commands.append(tuple(command))
            if not rest:
                break
            rest = rest[1:]
        self.variables.extend(binds if declares else ())
        self.depth -= 1
        return Pipe(tuple(commands), binds, declares)

    def _binds(self, tokens: list[_Token]) -> tuple[tuple[str, ...], bool, list[_Token]]:
        """`$x :=`, `$x =` or `$k, $v :=` in front of a pipeline."""
        for index, token in enumerate(tokens[:4]):
            if token.kind == "bind":
                names = tuple(t.text for t in tokens[:index] if t.kind == "variable")
                return names, token.text == ":=", tokens[index + 1 :]
        return (), True, tokens

    def _operand(self, tokens: list[_Token]) -> tuple[Operand, list[_Token]]:
        token, rest = tokens[0], tokens[1:]
        source = token.text
        end = token.at + len(source)
        head, fields = self._head(token)
        if token.text == "(":
            depth, size = 1, 0
            while depth:
                if size == len(rest):
                    raise self._fault(token.at, "unclosed left paren")
                depth += {"(": 1, ")": -1}.get(rest[size].text, 0)
                size += 1
            head = self._pipe(rest[: size - 1], token.at)
            end = rest[size - 1].at + 1
            source = self.text[token.at : end]
            rest = rest[size:]
        while rest and rest[0].kind == "field" and not rest[0].spaced:
            end = rest[0].at + len(rest[0].text)
            fields, rest = (*fields, rest[0].text[1:]), rest[1:]
        return Operand(token.at, source, head, fields, end), rest

    def _head(self, token: _Token) -> tuple[Any, tuple[str, ...]]:
        match token.kind:
            case "string":
                return Literal(unquote(token.text)), ()
            case "number":
                number = token.text.replace("_", "")
                return Literal(float(number) if "." in number else int(number)), ()
            case "word" if token.text in _WORD_VALUES:
                return Literal(_WORD_VALUES[token.text]), ()
            case "word" if token.text == "nil":
                return Literal(None), ()
            case "word" if token.text not in self.names:
                raise self._fault(token.at, f'function "{token.text}" not defined')
            case "word":
                return Name(token.text), ()
            case "variable" if token.text not in self.variables:
                raise self._fault(token.at, f'undefined variable "{token.text}"')
            case "variable":
                return Variable(token.text), ()
            case "field":
                return Dot(), (token.text[1:],)
            case "dot":
                return Dot(), ()
            case _ if token.text == "(":
                return None, ()
            case _:
                raise self._fault(token.at, f'unexpected "{token.text}" in command')
