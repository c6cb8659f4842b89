"""What is being handled follows the work it starts."""

from __future__ import annotations

import asyncio

import pytest

from serinus.runtime import context

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def test_inside_a_handling_its_canary_cause_and_trace_are_current_and_not_after() -> None:
    with context.handling("shop/web", "id-1", TRACE):
        assert (context.canary.get(), context.cause.get()) == ("shop/web", "id-1")
        assert context.trace_id() == "a" * 32
    assert (context.canary.get(), context.cause.get(), context.trace_id()) == ("", "", "")


async def test_a_task_started_in_a_handling_keeps_it() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return context.cause.get()

    with context.handling("shop/web", "id-1", TRACE):
        task = asyncio.create_task(work())
    assert await task == "id-1"


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", TRACE + "0"],
)
def test_a_malformed_traceparent_is_none(header: str) -> None:
    assert context.extract({"traceparent": header}) == ""


def test_a_traceparent_is_taken_from_the_headers() -> None:
    assert context.extract({"traceparent": TRACE}) == TRACE


def test_a_new_trace_is_well_formed_and_its_own() -> None:
    first, second = context.new_trace(), context.new_trace()
    assert context.extract({"traceparent": first}) == first
    assert first != second
