"""Google Chat's cards hold HTML."""

from __future__ import annotations

import json

from tests.unit.notifier.helpers import WEB, a_notice

from serinus.notifier.core.alerts import Field, Notice
from serinus.notifier.core.audience import Target
from serinus.notifier.senders.gchat import render


def test_texts_cannot_break_the_markup() -> None:
    notice = Notice(
        id="f",
        canary=WEB,
        severity="error",
        message='deployment "web" <b>late</b>',
        fields=(Field("Failed check m", "3, must be < 2 & > 1"),),
    )

    card = json.loads(render(notice, Target(type="gchat", address="http://x")).body)

    texts = [
        section["widgets"][0]["textParagraph"]["text"] for section in card["cards"][0]["sections"]
    ]
    assert texts == [
        '<font color=#848484><strong>deployment "web" &lt;b&gt;late&lt;/b&gt;</strong></font>',
        "Failed check m<br><font color=#848484><strong>"
        "3, must be &lt; 2 &amp; &gt; 1</strong></font>",
    ]


def test_google_takes_two_requests_of_one_id_for_one_message() -> None:
    address = "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"
    request = render(a_notice(), Target(type="gchat", address=address))

    assert f"{address}&requestId=fact-7" == request.url
