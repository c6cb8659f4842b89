"""Who comes in and what may run, as the settings say; and the certificates of both sides."""

from __future__ import annotations

import logging
import ssl

from serinus.loadtester.core.callers import Caller, Callers, Rule, parsed_callers, parsed_rules
from serinus.loadtester.core.payload import Namespaces
from serinus.loadtester.settings import Settings
from serinus.runtime.clock import Clock
from serinus.runtime.settings import SettingsError

log = logging.getLogger(__name__)

RENEWED_EVERY_S = 600.0


def callers(settings: Settings) -> Callers:
    """The callers of the settings; nobody may come in where there are none and it is not open.

    Raises SettingsError.
    """
    known: tuple[Caller, ...] = ()
    if settings.callers.reveal():
        try:
            known = parsed_callers(settings.callers.reveal().encode())
        except ValueError as error:
            raise SettingsError(f"SERINUS_CALLERS: {error}") from None
    if settings.token.reveal():
        known = (*known, Caller(token=settings.token.reveal(), name="token"))
    named = any(caller.certificate for caller in known)
    if named and not settings.tls_client_ca:
        raise SettingsError("SERINUS_CALLERS names a certificate: set SERINUS_TLS_CLIENT_CA")
    any_certificate = bool(settings.tls_client_ca) and not named
    if settings.open and (known or any_certificate):
        raise SettingsError("SERINUS_OPEN=true lets everybody in: leave it out, or the callers")
    if settings.open:
        log.warning("open: whoever reaches this port may run commands and open gates")
    elif not known and not any_certificate:
        log.warning(
            "nobody may call: set SERINUS_TOKEN, SERINUS_CALLERS, SERINUS_TLS_CLIENT_CA or "
            "SERINUS_OPEN=true"
        )
    return Callers(known, is_open=settings.open, any_certificate=any_certificate)


def rules(settings: Settings) -> tuple[Rule, ...]:
    """What may run. Raises SettingsError."""
    if not settings.rules:
        return (Rule(shell=settings.open),)
    try:
        return parsed_rules(settings.rules.encode())
    except ValueError as error:
        raise SettingsError(f"SERINUS_RULES: {error}") from None


def namespaces(settings: Settings) -> Namespaces:
    """Which namespaces may call at all. Raises SettingsError."""
    try:
        return Namespaces(settings.namespace_regexp)
    except ValueError as error:
        raise SettingsError(f"SERINUS_NAMESPACE_REGEXP: {error}") from None


def tls(settings: Settings) -> ssl.SSLContext | None:
    """How connections are taken; None: plain HTTP. Raises SettingsError.

    A client need not show a certificate: it may be a probe, or have a token.
    """
    if not settings.tls_cert:
        if settings.tls_client_ca:
            raise SettingsError("SERINUS_TLS_CLIENT_CA needs SERINUS_TLS_CERT and SERINUS_TLS_KEY")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
        if settings.tls_client_ca:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:
        raise SettingsError(
            f"SERINUS_TLS_CERT, SERINUS_TLS_KEY or SERINUS_TLS_CLIENT_CA: {error}"
        ) from None
    return context


async def renew(context: ssl.SSLContext, settings: Settings, clock: Clock) -> None:
    """Reads our certificate again now and then: who issues it replaces the file in time."""
    while True:
        await clock.sleep(RENEWED_EVERY_S)
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
        except OSError as error:
            log.warning("the certificate could not be read again", extra={"reason": str(error)})
