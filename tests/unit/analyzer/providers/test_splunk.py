"""SignalFlow: the dialogue, and the binary form of its data."""

import json

import pytest
from tests.unit.analyzer.doubles import FakeHttp, reply
from tests.unit.analyzer.providers.recorded import RECORDED, served, signalflow

from serinus.analyzer.core.rollout import Unreachable, Value
from serinus.analyzer.providers.splunk import Splunk

(ROW,) = [row for row in RECORDED if row.type == "splunk"]


async def test_it_says_who_it_is_before_it_asks() -> None:
    http = FakeHttp(served(reply(200, ROW.value)))

    await Splunk(ROW.source(), http).value(ROW.question())

    assert http.sent[0].url == "wss://stream.us1.test/v2/signalflow"
    first, second = (json.loads(text) for text in http.said)
    assert first == {"type": "authenticate", "token": "s3cret-sf"}
    assert (second["type"], second["program"]) == ("execute", "q")


@pytest.mark.parametrize("value", [3, -1, 0.25, 2**40])
async def test_longs_and_doubles_are_read(value: float) -> None:
    http = FakeHttp(served(reply(200, signalflow(("a", value)))))

    assert await Splunk(ROW.source(), http).value(ROW.question()) == Value(
        key="", value=float(value)
    )


async def test_data_as_json_is_read_and_the_newest_counts() -> None:
    data = [{"type": "data", "data": [{"tsId": "a", "value": v}]} for v in (1.0, 2.0)]
    end = {"type": "control-message", "event": "END_OF_CHANNEL"}
    frames = [{"type": "authenticated"}, *data, end]
    http = FakeHttp(served(reply(200, "\n".join(map(json.dumps, frames)))))

    assert await Splunk(ROW.source(), http).value(ROW.question()) == Value(key="", value=2.0)


@pytest.mark.parametrize(
    ("frames", "why", "away"),
    [
        ([{"type": "error", "error": 401, "message": "bad token"}], "401 bad token", True),
        (
            [{"type": "authenticated"}, {"type": "error", "error": 400, "message": "line 1"}],
            "400 line 1",
            False,
        ),
        (
            [
                {"type": "authenticated"},
                {"event": "ABORT_CHANNEL", "abortInfo": {"sf_job_abortReason": "too much"}},
            ],
            "too much",
            False,
        ),
    ],
)
async def test_a_refusal_is_told(frames: list[object], why: str, away: bool) -> None:
    http = FakeHttp(served(reply(200, "\n".join(map(json.dumps, frames)))))

    found = await Splunk(ROW.source(), http).value(ROW.question())

    assert found == Unreachable(key="", why=f"error response: {why}", away=away)
