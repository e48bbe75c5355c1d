"""What a run may spend is held before it is spent, and never exceeded by what was known."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.agents.allowance import Allowance, Estimate
from tradearena.errors import Limited
from tradearena.values import Call

MOST = Estimate(100, 0.5)


def took(tokens=None, cost=None, error=None):
    half = None if tokens is None else tokens // 2
    other = None if tokens is None else tokens - tokens // 2
    return Call("m", "{}", input_tokens=half, output_tokens=other, cost=cost, error=error)


async def spend(allowance, call, most=MOST, seconds=0.0):
    async with allowance.reserved(most) as made:
        await asyncio.sleep(seconds)
        made.append(call)


def test_without_limits_everything_goes_and_is_counted():
    allowance = Allowance()
    asyncio.run(spend(allowance, took(70, 0.25)))
    assert allowance.spent == Estimate(70, 0.25)
    assert allowance.held == Estimate(0, 0)
    assert not allowance.bounded


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"tokens": 150}, "the token limit of 150 leaves no room for another request: 70 spent"),
        ({"cost": 0.7}, r"the cost limit of 0.7 USD leaves no room for another request: 0.2500 spent"),
    ],
)
def test_a_request_that_might_exceed_a_limit_is_not_made(limits, said):
    allowance = Allowance(**limits)
    assert allowance.bounded
    asyncio.run(spend(allowance, took(70, 0.25)))
    with pytest.raises(Limited, match=said):
        asyncio.run(spend(allowance, took(1, 0.01)))


def test_a_request_waits_for_what_others_hold_and_may_not_need():
    allowance = Allowance(tokens=170)

    async def both():
        await asyncio.gather(spend(allowance, took(60), seconds=0.01), spend(allowance, took(60)))

    asyncio.run(both())
    assert allowance.spent.tokens == 120


def test_an_answer_that_does_not_say_is_taken_to_have_cost_the_most_and_none_nothing():
    allowance = Allowance()
    asyncio.run(spend(allowance, took()))
    assert allowance.spent == MOST
    asyncio.run(spend(allowance, took(error="refused")))
    assert allowance.spent == MOST


def test_what_is_broken_off_is_held_no_longer():
    allowance = Allowance(tokens=100)

    async def cancelled():
        task = asyncio.create_task(spend(allowance, took(), seconds=60))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    assert allowance.held == Estimate(0, 0)


def test_time_is_up_when_it_is_up():
    now = [100.0]
    allowance = Allowance(seconds=60, clock=lambda: now[0])
    allowance.in_time()
    now[0] = 159.9
    asyncio.run(spend(allowance, took(1)))
    now[0] = 160.0
    for late in (allowance.in_time, lambda: asyncio.run(spend(allowance, took(1)))):
        with pytest.raises(Limited, match="the time limit of 60 s is reached"):
            late()


@settings(max_examples=50)
@given(
    limit=st.integers(50, 400),
    requests=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 3)), min_size=1, max_size=12),
)
def test_no_order_of_requests_exceeds_a_limit(limit, requests):
    allowance = Allowance(tokens=limit)

    async def one(tokens, turns):
        async with allowance.reserved(Estimate(90, 0.0)) as made:
            for _ in range(turns):
                await asyncio.sleep(0)
            assert allowance.spent.tokens + allowance.held.tokens <= limit
            made.append(took(tokens))

    async def all_of_them():
        return await asyncio.gather(*(one(*each) for each in requests), return_exceptions=True)

    ends = asyncio.run(all_of_them())
    assert all(end is None or isinstance(end, Limited) for end in ends)
    assert allowance.spent.tokens == sum(r[0] for r, end in zip(requests, ends, strict=True) if end is None) <= limit
    assert any(isinstance(end, Limited) for end in ends) == (len([e for e in ends if e is None]) < len(requests))
