"""What can be set about the coordinator: `SERINUS_` and the field's name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from serinus.runtime.settings import RuntimeSettings, Secret


class Settings(RuntimeSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who we are in the fleet, and how the others are reached."""

    cluster: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            description="name of this cluster, unique in the fleet",
        ),
    ] = "local"
    web: Annotated[
        str, Meta(pattern=r":[0-9]+$", description="host:port where hooks are answered")
    ] = "0.0.0.0:8090"
    fleet_url: Annotated[
        str, Meta(description="NATS servers on which clusters meet, comma separated; empty: alone")
    ] = ""
    fleet_user: Annotated[str, Meta(description="NATS user there; empty: none")] = ""
    fleet_password: Annotated[Secret, Meta(description="its password")] = Secret()
    fleet_ca: Annotated[
        str, Meta(description="PEM file of the authority that signed that server's certificate")
    ] = ""
    wait_s: Annotated[
        float,
        Meta(
            ge=0,
            description="seconds that a confirm hook which must wait is kept before it is "
            "answered; its own timeout must be longer",
        ),
    ] = 8.0
    check_wait_s: Annotated[
        float,
        Meta(
            ge=0,
            description="the same for hooks that ask whether another canary is done; one that "
            "says no fails a check, so it waits as long as their timeouts",
        ),
    ] = 595.0
