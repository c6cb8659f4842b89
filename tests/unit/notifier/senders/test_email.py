"""E-mail, handed to a real SMTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from tests.unit.notifier.helpers import a_notice

from serinus.notifier.core.audience import Target
from serinus.notifier.senders.email import render, send
from serinus.runtime.http import Unanswered


class Mailbox:
    """Takes mail, or answers every recipient as it is told."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answer = "250 OK"
        self.login: tuple[str, str] = ("", "")

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 taken"

    def authenticate(self, *args: Any) -> AuthResult:
        data: LoginPassword = args[4]
        self.login = (data.login.decode(), data.password.decode())
        return AuthResult(success=True)


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, int]]:
    """A mailbox and the port of its server."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, authenticator=box.authenticate, auth_require_tls=False), "127.0.0.1", 0
    )
    async with server:
        yield box, server.sockets[0].getsockname()[1]


def target(port: int, user: str = "", **fields: Any) -> Target:
    return Target(
        type="email",
        address=f"smtp://{user}127.0.0.1:{port}",
        **{"channel": "ops@shop.test, dev@shop.test", "username": "serinus@shop.test", **fields},
    )


async def test_a_mail_reaches_every_recipient(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    to = target(port)

    answer = await send(render(a_notice(), to), to)

    assert 202 == answer.status
    [mail] = box.mails
    assert ["ops@shop.test", "dev@shop.test"] == mail.rcpt_tos
    text = mail.content.decode()
    assert "Subject: [error] east-1 web.prod: Failed checks threshold reached 5" in text
    assert "Failed check latency: 700 ms, must be <= 500" in text
    assert "What next: look" in text


async def test_a_user_logs_in_with_the_token(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    to = target(port, user="bot%40shop@", token="secret")

    await send(render(a_notice(), to), to)

    assert ("bot@shop", "secret") == box.login


@pytest.mark.parametrize(("said", "status"), [("451 try later", 503), ("550 no such user", 400)])
async def test_what_the_server_refuses_for_now_is_tried_again(
    mailbox: tuple[Mailbox, int], said: str, status: int
) -> None:
    box, port = mailbox
    box.answer = said
    to = target(port)

    answer = await send(render(a_notice(), to), to)

    assert status == answer.status
    assert said[4:] in answer.text


async def test_nobody_there_is_unanswered() -> None:
    to = Target(type="email", address="smtp://127.0.0.1:1", channel="a@b.test", username="c@d.test")

    with pytest.raises(Unanswered):
        await send(render(a_notice(), to), to)


def test_a_repeat_of_a_notice_has_the_same_message_id() -> None:
    to = Target(type="email", address="smtp://x", channel="a@b.test", username="c@d.test")

    ids = {render(a_notice(), to)["Message-ID"] for _ in range(2)}

    assert {"<fact-7@d.test>"} == ids
