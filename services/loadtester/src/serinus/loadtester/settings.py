"""What can be set about the load tester: `SERINUS_` and the field's name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.runtime.settings import RuntimeSettings, Secret


class Settings(RuntimeSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may call, and how much runs at a time."""

    nats_url: Annotated[
        str, Meta(description="NATS servers, comma separated; empty: none, gates in memory")
    ] = ""
    web: Annotated[str, Meta(description="host:port where hooks are answered; port 0: any")] = (
        "0.0.0.0:9090"
    )
    namespace_regexp: Annotated[
        str, Meta(description="namespaces that may call, an unanchored search; empty: all")
    ] = ""
    token: Annotated[
        Secret, Meta(description="bearer token of a caller for all namespaces; empty: none")
    ] = Secret()
    callers: Annotated[
        Secret,
        Meta(
            description="JSON list of {token or certificate, name, namespaces}: callers with "
            "namespaces of theirs"
        ),
    ] = Secret()
    tls_cert: Annotated[
        str, Meta(description="PEM file with our certificate, for HTTPS; empty: HTTP")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file with its key")] = ""
    tls_client_ca: Annotated[
        str,
        Meta(
            description="PEM file of the authority whose client certificates are callers: those "
            "that SERINUS_CALLERS names, or all where it names none"
        ),
    ] = ""
    open: Annotated[
        bool,
        Meta(
            description="anybody may call and run anything in a shell, as with Flagger's load "
            "tester"
        ),
    ] = False
    rules: Annotated[
        str,
        Meta(
            description="JSON list of {namespace, canary, types, command, shell}: nothing else "
            "runs; empty: anything, but not in a shell"
        ),
    ] = ""
    timeout_s: Annotated[
        float, Meta(gt=0, description="seconds after which a task and its children are killed")
    ] = 3600.0
    max_tasks: Annotated[
        int, Meta(ge=1, description="tasks that run at the same time; more are answered 429")
    ] = 64
    max_processes: Annotated[
        int, Meta(ge=1, description="processes that one task may have; with more it is killed")
    ] = 512
    output_bytes: Annotated[
        int, Meta(ge=1024, description="how much of the end of a task's output is kept")
    ] = 262_144
