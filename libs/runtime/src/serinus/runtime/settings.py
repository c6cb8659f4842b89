"""Settings: the `SERINUS_*` variables of the environment as one frozen Struct per service.

A typo stops the start: every variable must have a field. Secrets may come from files
(`SERINUS_X_FILE`), and neither logs nor `--print-settings` show them.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from serinus.runtime import redact

PREFIX = "SERINUS_"
TESTS = "SERINUS_TEST_"
"""Variables of the test tools; a service started by them inherits these and must not mind."""

SettingsT = TypeVar("SettingsT", bound=Struct)


class SettingsError(ValueError):
    """The environment does not make settings; the text says which variable and why."""


class Secret:
    """A text that does not show itself: `reveal()` where it is needed, `***` everywhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***" if self._text else "''"


class RuntimeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every service needs; a service's own Settings inherit from this."""

    nats_url: Annotated[str, Meta(description="NATS servers, comma separated; empty: alone")] = (
        "nats://127.0.0.1:4222"
    )
    nats_user: Annotated[str, Meta(description="NATS user; empty: none")] = ""
    nats_password: Annotated[Secret, Meta(description="its password")] = Secret()
    nats_ca: Annotated[
        str, Meta(description="PEM file of the authority that signed the NATS certificate")
    ] = ""
    stream_replicas: Annotated[
        int, Meta(ge=1, le=5, description="copies of each stream in a NATS cluster")
    ] = 1
    kubeconfig: Annotated[
        str, Meta(description="kubeconfig; empty: KUBECONFIG, ~/.kube/config, in-cluster")
    ] = ""
    namespace: Annotated[str, Meta(description="the one namespace to look at; empty: all")] = ""
    listen: Annotated[
        str,
        Meta(
            pattern=r"^$|:[0-9]+$",
            description="host:port of health and metrics; port 0: any; empty: none",
        ),
    ] = "0.0.0.0:8080"
    port_file: Annotated[str, Meta(description="file to write the bound port to")] = ""
    log_level: Annotated[str, Meta(description="DEBUG, INFO, WARNING or ERROR")] = "INFO"
    otlp_endpoint: Annotated[
        str, Meta(description="OTLP/HTTP endpoint for traces, e.g. http://host:4318; empty: off")
    ] = ""
    drain_s: Annotated[
        float, Meta(ge=0, description="seconds to finish what was begun when told to stop")
    ] = 10.0


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def load(settings_type: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
    """The settings in `environ`. Raises SettingsError that names every variable that is wrong.

    Lists are comma separated; an empty number or switch means its default; `X_FILE` is read where
    X is a Secret.
    """
    hints = typing.get_type_hints(settings_type)
    values, problems = _values(hints, environ)
    if problems:
        raise SettingsError("\n".join(problems))
    try:
        return msgspec.convert(values, settings_type, strict=False, dec_hook=_hook)
    except msgspec.ValidationError as error:
        raise SettingsError(_in_words(str(error))) from None


def describe(settings_type: type[Struct]) -> str:
    """Every variable with its default and meaning, one per line."""
    hints = typing.get_type_hints(settings_type, include_extras=True)
    lines = []
    for field in msgspec.structs.fields(settings_type):
        name = variable(field.name)
        if _bare(hints[field.name]) is Secret:
            name += "[_FILE]"
        default = "required" if field.required else f"default {_shown(_default(field)) or 'empty'}"
        lines.append(f"  {name}  {_description(hints[field.name])} ({default})")
    return "\n".join(lines)


def show(settings: Struct) -> str:
    """The settings as `VARIABLE=value` lines, secrets masked."""
    fields = msgspec.structs.fields(type(settings))
    shown = ((variable(f.name), _shown(getattr(settings, f.name))) for f in fields)
    return "\n".join(f"{name}={redact.text(text)}" for name, text in shown)


def _values(
    hints: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    ignored = _service_links(environ)
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name.startswith(TESTS):
            continue
        field = name.removeprefix(PREFIX).lower()
        of_file = field.removesuffix("_file")
        if field in hints:
            values.update(_parsed(field, hints[field], text))
        elif field != of_file and hints.get(of_file) is Secret:
            try:
                values[of_file] = _content(name, text)
            except SettingsError as error:
                problems.append(str(error))
        elif not ignored(name):
            problems.append(_unknown(name, hints))
    return values, problems


def _parsed(field: str, hint: Any, text: str) -> dict[str, Any]:
    """The field's value as msgspec can convert it; nothing where the default shall stand."""
    origin = get_origin(hint) or hint
    if origin is tuple:
        return {field: [part.strip() for part in text.split(",") if part.strip()]}
    if origin is dict:
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {field: {key.strip(): value.strip() for key, _, value in pairs}}
    if text == "" and origin in (int, float, bool):
        return {}
    return {field: text}


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path}: {error.strerror}") from None


def _unknown(name: str, hints: Mapping[str, Any]) -> str:
    known = [variable(field) for field in hints]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{name}: no such setting; did you mean {near[0]}?"


def _service_links(environ: Mapping[str, str]) -> typing.Callable[[str], bool]:
    """Kubernetes tells every pod about Services by variables such as SERINUS_X_SERVICE_HOST."""
    hosts = (name.removesuffix("_SERVICE_HOST") for name in environ if name.startswith(PREFIX))
    stems = [h for h in hosts if f"{h}_SERVICE_HOST" in environ]
    pattern = re.compile(
        rf"({'|'.join(map(re.escape, stems))})_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)$"
    )
    return lambda name: bool(stems) and pattern.match(name) is not None


def _hook(wanted: type[Any], value: Any) -> Any:
    if wanted is Secret:
        return Secret(value)
    raise NotImplementedError(f"no way to read a {wanted}")


def _in_words(error: str) -> str:
    """msgspec's words with the variable's name in front: it knows fields, people know variables."""
    text, _, path = error.partition(" - at `$.")
    field = re.split(r"[\[.`]", path, maxsplit=1)[0]
    missing = re.search(r"missing required field `(\w+)`", text)
    if missing:
        return f"{variable(missing.group(1))}: required"
    return f"{variable(field)}: {text[:1].lower()}{text[1:]}" if field else text


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _description(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, Meta) and meta.description:
                return meta.description
    return ""


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _shown(value: Any) -> str:
    if isinstance(value, Secret):
        return "***" if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
