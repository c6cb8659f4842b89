"""E-mail by SMTP, with aiosmtplib.

address   smtp://[user@]host[:587] (STARTTLS where the server offers it) or smtps://[user@]host[:465]
channel   the recipients, separated by commas
username  the sender's address
token     the password (of the provider's Secret), for the user in the address
"""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from serinus.notifier.core.alerts import Notice, cut
from serinus.notifier.core.audience import Target
from serinus.runtime.http import HttpResponse, Unanswered

SCHEMES = ("smtp", "smtps")
TIMEOUT_S = 10.0
SUBJECT_MAX = 200


def render(notice: Notice, target: Target) -> EmailMessage:
    """Plain text; repeats of one notice have one Message-ID, so that mail programs drop them."""
    mail = EmailMessage()
    where = f"{notice.cluster} " if notice.cluster else ""
    head = cut(next(iter(notice.message.splitlines()), ""), SUBJECT_MAX)
    mail["Subject"] = f"[{notice.severity}] {where}{notice.subject}: {head}"
    mail["From"] = target.username
    mail["To"] = target.channel
    mail["Date"] = formatdate(notice.at)
    domain = target.username.rpartition("@")[2] or "serinus"
    mail["Message-ID"] = f"<{notice.id}@{domain}>" if notice.id else make_msgid(domain=domain)
    mail["References"] = f"<{notice.thread}@{domain}>"
    mail.set_content("\n".join([notice.message, "", *notice.lines, notice.link]).rstrip() + "\n")
    return mail


async def send(mail: EmailMessage, target: Target) -> HttpResponse:
    """Hands the mail over; SMTP's answers as the HTTP status that means the same.

    Raises Unanswered.
    """
    import aiosmtplib  # only where somebody wants mail

    parts = urlsplit(target.address)
    user = unquote(parts.username or "")
    secure = parts.scheme == "smtps"
    try:
        await aiosmtplib.send(
            mail,
            hostname=parts.hostname,
            port=parts.port or (465 if secure else 587),
            use_tls=secure,
            username=user or None,
            password=target.token if user else None,
            timeout=TIMEOUT_S,
        )
    except aiosmtplib.SMTPResponseException as error:
        return _answer(error.code, str(error.message))
    except aiosmtplib.SMTPRecipientsRefused as error:
        code = max(refused.code for refused in error.recipients)
        return _answer(code, "; ".join(str(refused.message) for refused in error.recipients))
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise Unanswered(str(error) or type(error).__name__) from None
    return HttpResponse(status=202)


def _answer(code: int, text: str) -> HttpResponse:
    """4xx of SMTP is temporary, 5xx is for good (RFC 5321 section 4.2.1)."""
    return HttpResponse(status=503 if 400 <= code < 500 else 400, body=f"{code} {text}".encode())
