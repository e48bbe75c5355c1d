"""How many requests run at a time: few at first, more while all is well, fewer when there are too many."""

from __future__ import annotations

import asyncio

import pytest

from tradearena.agents.lines import FIRST, Lines


async def requests(lines, *fates):
    """Requests at the same time, which end so; returns the most there were at once."""
    most = 0

    async def one(fate):
        nonlocal most
        async with lines.connection() as told:
            most = max(most, lines.open)
            await asyncio.sleep(0)
            told.append(fate)

    await asyncio.gather(*(one(fate) for fate in fates))
    return most


def test_there_are_few_connections_at_first_and_one_more_with_each_answer():
    lines = Lines()
    assert asyncio.run(requests(lines, *["well"] * 3)) == 3
    assert lines.allowed == FIRST + 3
    asyncio.run(requests(lines, *["well"] * 1000))
    assert lines.allowed == lines.most


def test_there_are_never_more_than_asked_for():
    lines = Lines(most=2)
    assert asyncio.run(requests(lines, *["well"] * 50)) == 2
    assert (lines.allowed, lines.open) == (2, 0)


def test_too_many_requests_halve_them_once_a_round_and_then_they_grow_slowly():
    lines = Lines()
    asyncio.run(requests(lines, *["busy"] * FIRST))  # all were under way when the first complaint came
    assert lines.allowed == FIRST // 2
    asyncio.run(requests(lines, *["well"] * (FIRST // 2)))
    assert lines.allowed == FIRST // 2 + 1
    asyncio.run(requests(lines, *["well"] * (FIRST // 2)))
    assert lines.allowed == FIRST // 2 + 1
    for _ in range(20):
        asyncio.run(requests(lines, "busy"))
    assert lines.allowed == 1


def test_a_failure_of_the_service_changes_nothing():
    lines = Lines()
    asyncio.run(requests(lines, *["failed"] * 30))
    assert lines.allowed == FIRST


def test_requests_are_served_in_the_order_in_which_they_come():
    lines, served = Lines(most=1), []

    async def one(number):
        async with lines.connection():
            served.append(number)
            await asyncio.sleep(0)

    async def several():
        await asyncio.gather(*(one(number) for number in range(6)))

    asyncio.run(several())
    assert served == list(range(6))


@pytest.mark.parametrize("when", ["before its turn", "at its turn"])
def test_one_that_gives_up_waiting_keeps_nobody_else_waiting(when):
    lines = Lines(most=1)

    async def hold(seconds):
        async with lines.connection():
            await asyncio.sleep(seconds)

    async def run():
        first = asyncio.create_task(hold(0.02))
        await asyncio.sleep(0)
        second, third = asyncio.create_task(hold(0)), asyncio.create_task(hold(0))
        await asyncio.sleep(0)
        if when == "at its turn":
            await first  # the turn of the second has come, and it has not noticed yet
        second.cancel()
        await asyncio.wait_for(asyncio.gather(first, third), 5)

    asyncio.run(run())
    assert lines.open == 0
