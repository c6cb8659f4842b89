"""What the client does with bytes; its requests are tested against a real API server."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from serinus.kube.client import LARGEST_PAGE, SMALLEST_PAGE, _lines, _next_page, counting
from serinus.runtime.telemetry import PrometheusMetrics


async def a_stream(*chunks: bytes) -> aiohttp.StreamReader:
    """A response body that arrives in these pieces."""
    loop = asyncio.get_running_loop()
    protocol = aiohttp.base_protocol.BaseProtocol(loop)
    reader = aiohttp.StreamReader(protocol, limit=2**16, loop=loop)
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(
    "chunks",
    [
        (b'{"a":1}\n{"b":2}\n',),
        (b'{"a"', b":1}", b'\n{"b":', b"2}\n"),
        (b'{"a":1}\n', b"\n", b'{"b":2}\n'),
        (b'{"a":1}', b"\n", b'{"b":2}', b"\n"),
    ],
)
async def test_lines_are_put_together_whatever_the_pieces(chunks: tuple[bytes, ...]) -> None:
    lines = [line async for line in _lines(await a_stream(*chunks))]

    assert lines == [b'{"a":1}', b'{"b":2}']


async def test_a_line_that_was_cut_off_is_no_line() -> None:
    """The connection broke in the middle of an object."""
    lines = [line async for line in _lines(await a_stream(b'{"a":1}\n{"b"'))]

    assert lines == [b'{"a":1}']


def test_pages_grow_while_they_are_light_and_shrink_when_heavy() -> None:
    kilobyte, megabyte = 1 << 10, 1 << 20

    assert _next_page(100, kilobyte) == 200
    assert _next_page(LARGEST_PAGE, kilobyte) == LARGEST_PAGE
    assert _next_page(200, 4 * megabyte) == 200
    assert _next_page(200, 9 * megabyte) == 100
    assert _next_page(SMALLEST_PAGE, 90 * megabyte) == SMALLEST_PAGE


def test_requests_are_counted_by_verb_resource_and_code() -> None:
    metrics = PrometheusMetrics()

    count = counting(metrics)
    count("get", "pods", "200")
    count("get", "pods", "200")

    text = metrics.exposition().decode()
    assert 'serinus_kube_requests_total{code="200",resource="pods",verb="get"} 2' in text
