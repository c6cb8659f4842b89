"""Texts without secrets, whatever form a secret takes in them."""

import base64
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from serinus.analyzer.core.rollout import NoData, Reading, Unreachable, Value
from serinus.analyzer.providers.discreet import Discreet
from serinus.analyzer.providers.source import Question, Source
from serinus.events.canary import MetricProvider

ASKED = Question(query="q", at=1.0, window_s=60.0)


class Quoting:
    """A provider that answers with this."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    async def value(self, question: Question) -> Reading:
        return self.reading

    async def probe(self, at: float) -> Reading:
        return self.reading


def discreet(reading: Reading, headers: dict[str, tuple[str, ...]], **held: str) -> Discreet:
    provider = MetricProvider(type="prometheus", headers=headers)
    credentials = {key: value.encode() for key, value in held.items()}
    return Discreet(Quoting(reading), Source(provider=provider, credentials=credentials))


async def test_a_secret_is_masked_in_each_of_its_forms() -> None:
    secret = "pä ss/w0rd"
    pair = base64.b64encode(f"ann:{secret}".encode()).decode()
    text = f"user ann: {secret} {quote(secret, safe='')} Basic {pair} end"

    found = await discreet(
        Unreachable(key="", why=text), {}, username="ann", password=secret
    ).value(ASKED)

    assert isinstance(found, Unreachable)
    assert found.why == "user ann: *** *** Basic *** end"


async def test_headers_are_secrets_too() -> None:
    headers = {"X-Api-Key": ("abcdef",), "Authorization": ("Bearer xyz123",)}

    found = await discreet(NoData(key="", cause="got abcdef and xyz123"), headers).probe(1.0)

    assert found == NoData(key="", cause="got *** and ***")


async def test_tokens_made_on_the_way_are_masked() -> None:
    found = await discreet(Unreachable(key="", why="sent Bearer ya29.abc: denied"), {}).value(ASKED)

    assert found == Unreachable(key="", why="sent Bearer *** denied")


@given(st.floats(allow_nan=False))
async def test_a_value_passes(value: float) -> None:
    assert await discreet(Value(key="", value=value), {}).value(ASKED) == Value(key="", value=value)
