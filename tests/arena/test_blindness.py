"""No agent can see or use what has not happened yet, and none can change what has."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import FREE, TIGHT, episode, first_bars, shaken, walk, with_latency
from strategies import few

from tradearena import rooms

MODELS = ("llm", "llm-team")  # they would need a key
CARDS = sorted(path for name, path in rooms.cards("agents").items() if name not in MODELS)
BARS, FIRST = 60, 20

worlds = st.tuples(
    st.integers(0, 10_000), st.integers(FIRST, BARS - 6), st.sampled_from((0.0, 0.1)), st.integers(1, 3)
)  # fmt: skip


def test_every_shipped_card_is_looked_at():
    assert {card.stem for card in CARDS} >= {"cash", "buy-and-hold", "equal-weight", "momentum", "markowitz", "random"}


def _past(record, t):
    """Everything on record up to the close of bar t, bit by bit."""
    steps = [step for step in record.steps if step.t <= t]
    return [
        record.links[: len(steps)],
        [(step.decision.rationale, None if step.decision.target is None else step.decision.target.tobytes())
         for step in steps],
        [(step.report.approved.tobytes(), step.reference.tobytes(), repr(step.report.findings)) for step in steps],
        [step.account.shares.tobytes() for step in steps],
        [mark for mark in record.marks if mark.t <= t],
        [(fill.t, fill.quantity.tobytes(), fill.ordered.tobytes()) for fill in record.fills if fill.t <= t],
    ]  # fmt: skip


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
@settings(max_examples=few(3, full=6))
@given(world=worlds)
def test_another_future_changes_nothing_up_to_today(card, world):
    seed, today, gaps, latency = world
    panel, policy = walk(seed, BARS, gaps=gaps), with_latency(TIGHT if seed % 2 else FREE, latency)
    told = episode(card, panel, policy, first=FIRST)
    otherwise = episode(card, shaken(panel, today, seed), policy, first=FIRST)
    assert _past(told, today) == _past(otherwise, today)


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_a_market_that_ends_sooner_changes_nothing_until_then(card):
    panel = walk(5, BARS, gaps=0.05)
    whole, cut = episode(card, panel, TIGHT, first=FIRST), episode(card, first_bars(panel, 45), TIGHT, first=FIRST)
    last = cut.steps[-1].t
    assert last == 43
    assert _past(whole, last) == _past(cut, last)


@pytest.mark.parametrize("card", [card for card in CARDS if card.stem != "cash"], ids=lambda card: card.stem)
def test_the_comparison_would_notice_another_past(card):
    panel = walk(5, BARS)
    told, otherwise = (episode(card, each, TIGHT, first=FIRST) for each in (panel, shaken(panel, 39)))
    assert _past(told, 39) == _past(otherwise, 39)
    assert _past(told, 40) != _past(otherwise, 40)


def test_an_agent_that_peeks_is_caught_by_the_same_comparison():
    panel = walk(5, BARS)

    def peeking(bars):
        return lambda seen: np.where(bars.close[seen.t + 1] > bars.close[seen.t], 0.2, 0.0)

    other = shaken(panel, 39)
    told, otherwise = (episode(peeking(each), each, FREE, first=FIRST) for each in (panel, other))
    assert _past(told, 38) == _past(otherwise, 38)
    assert _past(told, 39) != _past(otherwise, 39)


# ---------------------------------------------------------------------- what an agent is handed


def _arrays(value, path="observation"):
    """Every array that can be reached from a value through its fields."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _arrays(getattr(value, field.name), f"{path}.{field.name}")


def _seen(policy=TIGHT, **options):
    seen = []

    def ask(observation):
        seen.append(observation)
        return {"S0": 0.2, "S1": 0.1}

    record = episode(ask, walk(3, BARS), policy, first=FIRST, **options)
    return seen, record


def test_every_array_an_agent_sees_refuses_to_be_written():
    seen, _ = _seen()
    reached = {path: array for observation in seen for path, array in _arrays(observation)}
    assert {"observation.bars.close", "observation.account.shares", "observation.account.fill.quantity"} <= set(reached)
    for path, array in reached.items():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
        with pytest.raises(ValueError, match="read-only"):
            array += array
        assert not array.flags.writeable, path


def test_no_field_of_an_observation_can_be_replaced():
    seen, _ = _seen()
    last = seen[-1]
    for value in (last, last.bars, last.account, last.account.fill):
        for field in dataclasses.fields(value):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(value, field.name, 0)


@pytest.mark.parametrize("every", [1, 4])
def test_an_observation_ends_at_its_bar_and_names_the_decision_before(every):
    seen, record = _seen(every=every)
    assert [observation.t for observation in seen] == [step.t for step in record.steps] == [*range(FIRST, 59, every)]
    before = None
    for observation in seen:
        bars, t = observation.bars, observation.t
        assert {len(array) for _, array in _arrays(bars)} == {len(bars)} == {t + 1}
        assert (observation.first, observation.previous) == (FIRST, before)
        assert observation.symbols == ("S0", "S1", "S2", "S3", "S4")
        before = t


def test_the_account_an_agent_sees_is_the_account_on_record():
    seen, record = _seen()
    marks = {mark.t: mark for mark in record.marks}
    for observation, step in zip(seen, record.steps, strict=True):
        account = observation.account
        for field in ("shares", "in_flight", "weights", "committed"):
            np.testing.assert_array_equal(getattr(account, field), getattr(step.account, field))
        assert (account.nav, account.cash, account.owed) == marks[step.t][1:4]
        value = account.shares * observation.bars.mark[-1]
        np.testing.assert_allclose(account.weights, value / account.nav, rtol=1e-12)
        if account.fill is not None:
            assert account.fill.t <= step.t


def test_an_agent_that_reuses_its_answer_does_not_rewrite_the_record():
    buffer = np.zeros(5)

    def ask(observation):
        buffer[:] = 0.01 * (observation.t - FIRST)
        return buffer

    record = episode(ask, walk(3, BARS), FREE, first=FIRST)
    assert [step.decision.target[0] for step in record.steps[:3]] == [0.0, 0.01, 0.02]


def test_the_memory_behind_a_view_holds_no_bar_that_has_not_ended():
    seen = []

    def ask(observation):
        behind = observation.bars.close.base
        seen.append(np.isfinite(behind[observation.t + 1 :]).any() or np.isfinite(behind[: observation.t + 1]).all())
        ahead = [array.base[observation.t + 1 :] for path, array in _arrays(observation.bars)]
        assert all(not np.isfinite(rows).any() for rows in ahead if rows.dtype.kind == "f")
        assert all(np.isnat(rows).all() for rows in ahead if rows.dtype.kind == "M")
        assert not any(rows.any() for rows in ahead if rows.dtype.kind == "b")

    episode(ask, walk(3, BARS), FREE, first=FIRST)
    assert len(seen) == 39


def test_an_agent_that_breaks_into_what_it_is_handed_changes_nothing_but_its_own_copy():
    def honest(_observation):
        return {"S0": 0.3, "S1": 0.3}

    def thief(observation):
        for _, array in _arrays(observation):
            own = array
            while isinstance(own.base, np.ndarray):
                own = own.base
            own.flags.writeable = True
            own[...] = np.zeros(1, dtype=own.dtype)
        return honest(observation)

    panel = walk(3, BARS)
    told, robbed = (episode(ask, panel, TIGHT, first=FIRST) for ask in (honest, thief))
    assert told.links == robbed.links
