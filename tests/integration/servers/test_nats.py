"""The NATS server of the tests is the real one, and it can be killed without losing its store."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from tests.servers.nats import NatsServer, nats_server
from tests.servers.process import ServerError


async def connect(server: NatsServer) -> Client:
    client = Client()
    await client.connect(server.url)
    return client


async def test_it_keeps_what_was_published(nats: NatsServer) -> None:
    """JetStream is on: a message can be read after it was published."""
    client = await connect(nats)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="kept", subjects=["kept.>"]))
    await stream.publish("kept.one", b"1")

    found = await stream.get_last_msg("kept", "kept.one")

    assert found.data == b"1"
    await client.close()


async def test_a_killed_server_comes_back_with_its_store(own_nats: NatsServer) -> None:
    """Kill -9 and a new start: same address, same messages."""
    client = await connect(own_nats)
    await client.jetstream().add_stream(StreamConfig(name="kept", subjects=["kept.>"]))
    await client.jetstream().publish("kept.one", b"1")
    await client.close()
    before = own_nats.url

    own_nats.kill()
    own_nats.start()

    client = await connect(own_nats)
    assert before == own_nats.url
    assert (await client.jetstream().get_last_msg("kept", "kept.one")).data == b"1"
    await client.close()


def test_an_engine_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for containers is told that there is no engine, and how to do without."""
    monkeypatch.setenv("SERINUS_TEST_ENGINE", "containers")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")

    with (
        pytest.raises(
            ServerError, match=r"no image of nats-server .* or unset SERINUS_TEST_ENGINE"
        ),
        nats_server(tmp_path / "nats"),
    ):
        pass
