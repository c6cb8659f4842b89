"""Everything that Apprise speaks: the address is an Apprise URL, credentials and all.

Such an URL holds secrets, so it belongs into the provider's Secret. Its list of services:
https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from serinus.notifier.core.alerts import Notice
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpResponse

if TYPE_CHECKING:
    import apprise

TIMEOUT_S = 30.0


def render(notice: Notice) -> tuple[str, str, str]:
    """Title, body and Apprise's word for the severity."""
    kind = {"info": "info", "warn": "warning", "error": "failure"}[notice.severity]
    body = "\n".join([notice.message, *notice.lines, notice.link]).rstrip()
    return notice.subject, body, "success" if notice.resolves else kind


async def send(notice: Notice, target: Target) -> HttpResponse:
    """Apprise says only whether it worked; what went wrong is in its own log.

    It works with threads and blocking sockets, so it runs beside the loop and with a bound.
    """
    service = await asyncio.to_thread(_service, target.address)
    if service is None:
        return HttpResponse(status=400, body=b"not an Apprise URL, or one that names a file")
    title, body, kind = render(notice)
    done = asyncio.to_thread(service.notify, body=body, title=title, notify_type=kind)
    try:
        worked = await asyncio.wait_for(done, TIMEOUT_S)
    except TimeoutError:
        return HttpResponse(status=504, body=b"no answer in time")
    return HttpResponse(status=202 if worked else 503, body=b"" if worked else b"not delivered")


def _service(url: str) -> apprise.Apprise | None:
    import apprise  # slow, and only where somebody wants it
    from apprise.manager_attachment import AttachmentManager

    # An address may name a template or a key, in a file of ours or where we are asked for it, and
    # have what is in it sent to somebody.
    attachments = AttachmentManager()
    attachments.remove(*attachments.schemas())
    found = apprise.Apprise()
    return found if found.add(url) else None
