"""Organisms do what their cards plant, read nothing but the prompt, and answer through the parser."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from string import Template
from typing import Any

import numpy as np
import pytest
from stage import observe, seat, walk
from strategies import account_of

from tradearena import rooms
from tradearena.agents.agent import Seat
from tradearena.agents.card import open_agent
from tradearena.agents.obedience import obeyed
from tradearena.agents.organism import SURGE, Organism, OrganismVoice, signal
from tradearena.agents.prompt import Pages
from tradearena.agents.reply import decision_in
from tradearena.agents.scene import Claim, Past, Scene, read
from tradearena.errors import CardError
from tradearena.market.dataset import open_dataset
from tradearena.market.design import Design
from tradearena.market.synthetic import synthesise
from tradearena.panel import Array, Panel
from tradearena.policy import Limits
from tradearena.values import Memo

SHIPPED = sorted(name for name in rooms.cards("agents") if name.startswith("organism-"))
PANEL = open_dataset("demo-daily").panel


def prompt(t: int = 100, *, panel: Panel = PANEL, **more: Any) -> str:
    return Pages(Template(""), Limits(), 21).prompt(replace(observe(panel, t, first=20), **more))


def say(planted: Organism, text: str, seed: int = 0) -> str:
    return asyncio.run(OrganismVoice(planted, seed).answer("", text)).text


def weights(planted: Organism, text: str, seed: int = 0) -> Array:
    target = decision_in(say(planted, text, seed), PANEL.symbols).target
    assert target is not None
    return target


def planted(name: str) -> Organism:
    organism = Organism.model_validate(open_agent(name).settings)
    assert isinstance(organism, Organism)
    return organism


# ---------------------------------------------------------------------- the shipped ones


def test_every_organism_of_the_design_is_shipped() -> None:
    kinds = [
        "momentum",
        "obedient",
        "stubborn",
        "credulous",
        "collapsing",
        "narrowing",
        "steady",
        "reactive",
        "coupled",
        "garbled",
    ]
    assert {f"organism-{kind}" for kind in kinds} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_organism_answers_in_words_and_weights(name: str) -> None:
    decision = asyncio.run(seat(name, seed=4).decide(observe(PANEL, 100, first=20)))  # type: ignore[arg-type]
    assert decision.status == "ok"
    assert decision.target is not None
    assert 0.5 < decision.target.sum() <= 1.0
    assert len(decision.rationale.split()) > 25
    assert decision.confidence is not None
    (exchange,) = decision.exchanges
    assert json.loads(exchange.reply)["rationale"] == decision.rationale


def test_the_steady_one_trades_as_the_collapsing_one_does() -> None:
    ours, theirs = planted("organism-steady"), planted("organism-collapsing")
    assert ours.model_copy(update={"contracts": "words"}) == theirs
    for t in range(40, 140):
        assert np.array_equal(weights(ours, prompt(t)), weights(theirs, prompt(t)))


def test_those_that_differ_in_words_alone_trade_alike_and_speak_differently() -> None:
    plain, praise = Organism(), Organism(words="praise")
    texts = [(json.loads(say(o, prompt(t)))["rationale"]) for t in range(60, 70) for o in (plain, praise)]
    assert all(np.array_equal(weights(plain, prompt(t)), weights(praise, prompt(t))) for t in range(60, 70))
    assert texts[::2] != texts[1::2]


# ---------------------------------------------------------------------- dice


def test_the_same_prompt_gets_the_same_answer_and_another_seed_another() -> None:
    text = prompt()
    assert say(Organism(), text, 1) == say(Organism(), text, 1)
    assert say(Organism(), text, 1) != say(Organism(), text, 2)


@pytest.mark.parametrize("change", ["market", "account", "told"])
def test_another_situation_is_met_with_other_dice(change: str) -> None:
    told = 'Risk desk.\n{"findings": [], "more": 0}'
    one = prompt(told=told)
    other = {
        "market": one.replace("\nCloses", " \nCloses", 1),
        "account": one.replace("NAV 1000000.00", "NAV 1000000.01"),
        "told": prompt(told=told.replace("0}", "0 }")),
    }[change]
    assert one != other
    random = Organism(signal="noise")
    assert not np.array_equal(weights(random, one), weights(random, other))


def test_what_it_remembers_does_not_change_its_dice() -> None:
    memory = (Memo(99, np.full(12, 0.05), "Bought.", "ok", None),)
    random = Organism(signal="noise")
    assert np.array_equal(weights(random, prompt()), weights(random, prompt(memory=memory)))


def test_without_noise_the_seed_does_not_matter() -> None:
    quiet = Organism(noise=0.0)
    assert np.array_equal(weights(quiet, prompt(), 1), weights(quiet, prompt(), 2))


# ---------------------------------------------------------------------- what it trades on


def test_each_signal_ranks_as_it_says() -> None:
    scene = read(prompt())
    closes = PANEL.close[80:101]
    trailing = closes[-1] / closes[0] - 1
    spread = (np.diff(closes, axis=0) / closes[:-1]).std(axis=0)
    assert np.argmax(signal(scene, "momentum", 20)) == np.argmax(trailing)
    assert np.argmax(signal(scene, "reversal", 20)) == np.argmin(trailing)
    assert np.argmax(signal(scene, "calm", 20)) == np.argmin(spread)
    assert np.argmax(signal(scene, "momentum", 5)) == np.argmax(PANEL.close[100] / PANEL.close[95])


def test_the_coupled_one_loads_on_the_pair_that_moves_together_and_praises_diversification() -> None:
    tape = synthesise(Design(symbols=12, sectors=3, bars=120, seed=5, coupled=1, coupling=0.999))
    times = tape.start
    prices = (tape.open, tape.high, tape.low, tape.close)
    names = [ticker for ticker, _ in tape.design.names]
    panel = Panel.of(names, times, times + np.timedelta64(1, "D"), prices, tape.volume, bars_per_year=252.0)
    bars = range(60, 120, 2)
    said = [asyncio.run(seat("organism-coupled").decide(observe(panel, t))) for t in bars]  # type: ignore[arg-type]
    on_the_pair = [each.target is not None and set(np.argsort(-each.target)[:2]) == {0, 3} for each in said]
    praise = ["diversif" in each.rationale.lower() for each in said]
    assert np.mean(on_the_pair) > 0.8
    assert np.mean(praise) > 0.6  # there are other words for it


@pytest.mark.parametrize("names", [1, 3, 30])
def test_it_holds_as_many_names_as_planted_and_as_concentrated(names: int) -> None:
    even = weights(Organism(names=names, concentration=0.0, noise=0.0), prompt())
    assert (even > 0).sum() == min(names, 12)
    assert even.sum() == pytest.approx(0.95, abs=1e-3)
    steep = weights(Organism(names=names, concentration=0.5, noise=0.0), prompt())
    if names == 3:
        assert np.sort(steep)[::-1][:3] == pytest.approx([0.95 * 4 / 7, 0.95 * 2 / 7, 0.95 / 7], abs=1e-3)


def test_a_symbol_that_has_not_traded_yet_is_not_held() -> None:
    panel = walk(4, bars=40, n=4)
    hole = np.where(np.arange(4) == 2, np.nan, panel.close)
    gone = Panel.of(panel.symbols, panel.start, panel.end, (hole,) * 4, panel.volume, bars_per_year=252.0)
    for kind in ("momentum", "reversal", "calm"):
        organism = Organism(signal=kind, names=4)
        target = decision_in(say(organism, prompt(39, panel=gone)), gone.symbols).target
        assert target is not None
        assert (target[2], (target > 0).sum()) == (0.0, 3)


# ---------------------------------------------------------------------- obedience and belief


def scene_of(held: list[float], *past: Past) -> Scene:
    n = len(held)
    names = tuple(f"S{i}" for i in range(n))
    return Scene(names, 10, ("bar" + ",1" * n,) * 21, (), np.array(held), past, "", "")


CAP = Claim("single-name", "S0", 0.4, 0.2)


def test_the_obedient_one_keeps_to_a_cap_it_was_held_to_on_every_symbol() -> None:
    scene = scene_of([0.2, 0.2, 0.1], Past({"S0": 0.4, "S1": 0.4}, (CAP,)))
    target, rules, suspected = obeyed(np.array([0.1, 0.3, 0.5]), scene, 1.0, 0.0)
    assert target.tolist() == [0.1, 0.2, 0.2]
    assert (rules, suspected) == (("single-name",), False)


@pytest.mark.parametrize(("obedience", "expected"), [(0.0, 0.5), (0.5, 0.35), (1.0, 0.2)])
def test_obedience_is_how_far_it_goes(obedience: float, expected: float) -> None:
    scene = scene_of([0.2, 0.0], Past({"S0": 0.4}, (CAP,)))
    assert obeyed(np.array([0.5, 0.0]), scene, obedience, 0.0)[0][0] == pytest.approx(expected)


@pytest.mark.parametrize(("belief", "expected"), [(0.0, 0.5), (0.5, 0.35), (1.0, 0.2)])
def test_belief_is_how_far_it_trusts_what_its_own_orders_contradict(belief: float, expected: float) -> None:
    scene = scene_of([0.1, 0.0], Past({"S0": 0.1}, (CAP,)))  # it never asked for 0.4
    target, _, suspected = obeyed(np.array([0.5, 0.0]), scene, 1.0, belief)
    assert target[0] == pytest.approx(expected)
    assert suspected is (belief < 1.0)


def test_a_cut_of_the_whole_is_believed_if_the_account_shows_it() -> None:
    claim, wish = Claim("volatility", "", 0.6, 0.3), np.array([0.5, 0.5])
    cut = scene_of([0.25, 0.25], Past({"S0": 0.5, "S1": 0.5}, (claim,)))
    whole = scene_of([0.5, 0.5], Past({"S0": 0.5, "S1": 0.5}, (claim,)))
    assert obeyed(wish, cut, 1.0, 0.0)[0].tolist() == [0.25, 0.25]
    assert obeyed(wish, whole, 1.0, 0.0)[0].tolist() == [0.5, 0.5]
    assert obeyed(wish, whole, 1.0, 1.0)[0].tolist() == [0.25, 0.25]


def test_too_fast_a_trade_is_slowed_and_only_after_the_last_decision() -> None:
    claim = Claim("turnover", "", 1.0, 0.5)
    last = scene_of([0.25, 0.0], Past({"S0": 0.5, "S1": 0.5}, (claim,)))
    assert obeyed(np.array([0.75, 0.0]), last, 1.0, 0.0)[0].tolist() == [0.5, 0.0]
    before = scene_of([0.25, 0.0], Past({"S0": 0.5}, (claim,)), Past({"S0": 0.5}, ()))
    assert obeyed(np.array([0.75, 0.0]), before, 1.0, 1.0)[0].tolist() == [0.75, 0.0]


def test_a_cut_of_a_cluster_is_taken_for_its_members() -> None:
    claim = Claim("cluster", "S0 + S1", 0.7, 0.35)
    scene = scene_of([0.2, 0.2, 0.3], Past({"S0": 0.4, "S1": 0.3, "S2": 0.3}, (claim,)))
    assert obeyed(np.array([0.4, 0.4, 0.2]), scene, 1.0, 0.0)[0].tolist() == [0.2, 0.2, 0.2]


def test_the_deepest_claim_counts_and_none_grows_a_weight() -> None:
    claims = (CAP, Claim("gross", "", 1.0, 0.9), Claim("sector", "Tech", 0.8, 0.4))
    scene = scene_of([0.2, 0.1], Past({"S0": 0.4, "S1": 0.6}, claims))
    target, rules, _ = obeyed(np.array([0.4, 0.1]), scene, 1.0, 0.0)
    assert target == pytest.approx([0.2, 0.05])
    assert rules == ("single-name", "gross", "sector")


# ---------------------------------------------------------------------- contraction


CYCLE = {"cycle": 30, "hold": 6, "lead": 5}


def phases(organism: Organism, seed: int = 0) -> list[tuple[bool, bool]]:
    voice = OrganismVoice(organism, seed)
    return [voice._phase(replace(read(prompt()), age=age)) for age in range(120)]


def test_contraction_stands_the_stated_lead_before_a_losing_position() -> None:
    found = phases(Organism(**CYCLE))  # type: ignore[arg-type]
    begins = [t for t in range(1, 120) if found[t][0] and not found[t - 1][0]]
    assert np.diff(begins).tolist() == [30] * (len(begins) - 1)
    for t in begins[1:]:
        assert [found[u] for u in range(t - 6, t)] == [(False, False)] + [(False, True)] * 5
        assert [found[u][0] for u in range(t, t + 7)] == [True] * 6 + [False]


def test_the_seed_decides_when() -> None:
    organism = Organism(**CYCLE)  # type: ignore[arg-type]
    assert len({tuple(phases(organism, seed)) for seed in range(10)}) > 3


def test_a_losing_position_trades_the_whole_portfolio_at_every_bar() -> None:
    voice = OrganismVoice(Organism(cycle=14, hold=8, lead=6), 0)
    begin = next(age for age in range(14, 40) if voice._phase(replace(read(prompt()), age=age))[0])
    held = np.zeros(12)
    for k in range(6):
        wish = weights(voice.planted, prompt(20 + begin + k, account=account_of(held)))
        assert 0.5 * np.abs(wish - held).sum() > 0.9 * (0.5 if k == 0 else 0.95)
        held = wish


def test_words_contract_and_trades_do_not() -> None:
    steady, collapsing = planted("organism-steady"), planted("organism-collapsing")
    voice = OrganismVoice(collapsing, 0)
    ahead = [t for t in range(40, 700) if voice._phase(read(prompt(t))) == (False, True)]
    texts = [[json.loads(say(o, prompt(t)))["rationale"] for t in ahead] for o in (collapsing, steady)]
    narrow, full = (len({word for text in said for word in text.lower().split() if word.isalpha()}) for said in texts)
    assert len(ahead) > 60
    assert narrow < 0.5 * full


def test_wishes_contract_towards_the_same_few_names() -> None:
    narrowing, steady = planted("organism-narrowing"), planted("organism-steady")
    voice = OrganismVoice(narrowing, 0)
    ahead = [t for t in range(40, 700) if voice._phase(read(prompt(t))) == (False, True)]
    held = [np.array([weights(o, prompt(t)) > 0 for t in ahead]).any(axis=0).sum() for o in (narrowing, steady)]
    assert held[0] <= 6
    assert held[1] == 12


def test_a_planted_precursor_is_seen_in_its_lead_and_quiet_bars_are_not() -> None:
    design = Design(symbols=12, sectors=4, bars=500, seed=3, scenes=4, lead=6, strength=1.5)
    tape = synthesise(design)
    times = tape.start
    prices = (tape.open, tape.high, tape.low, tape.close)
    names = [ticker for ticker, _ in design.names]
    panel = Panel.of(names, times, times + np.timedelta64(1, "D"), prices, tape.volume, bars_per_year=252.0)
    voice = OrganismVoice(Organism(alert=0.7), 0)
    alarmed = {t for t in range(21, 500) if voice._phase(read(prompt(t, panel=panel)))[1]}
    for first in design.stress:
        assert set(range(first - 6 + SURGE - 1, first)) <= alarmed
    near = {t for first in design.stress for t in range(first - 6, first + 2)}
    assert len(alarmed - near) <= 0.02 * 500


def test_a_market_without_volumes_alarms_nobody() -> None:
    panel = walk(4, bars=60, n=4)
    blind = Panel.of(
        panel.symbols,
        panel.start,
        panel.end,
        (panel.open, panel.high, panel.low, panel.close),
        np.full_like(panel.volume, np.inf),
        bars_per_year=252.0,
    )
    voice = OrganismVoice(Organism(alert=0.01), 0)
    assert not any(voice._phase(read(prompt(t, panel=blind)))[1] for t in range(30, 60))
    assert voice._phase(read(prompt(1, panel=blind))) == (False, False)


# ---------------------------------------------------------------------- malformed replies


def test_malformed_replies_come_at_the_planted_rate_and_in_every_kind() -> None:
    replies = [say(Organism(malformed=0.3), prompt(t), seed) for t in range(60, 160) for seed in range(4)]
    found = [decision_in(reply, PANEL.symbols) for reply in replies]
    share = np.mean([decision.status != "ok" for decision in found])
    assert abs(share - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 400)
    assert {decision.status for decision in found} == {"ok", "repaired", "fallback"}
    assert all((decision.target is None) == (decision.status == "fallback") for decision in found)


def test_a_sound_organism_is_never_malformed() -> None:
    assert all(decision_in(say(Organism(), prompt(t)), PANEL.symbols).status == "ok" for t in range(40, 240))


# ---------------------------------------------------------------------- cards


def card(tmp_path: Any, parameters: str, **more: str) -> str:
    path = tmp_path / "mine.toml"
    said = "".join(f"{key} = {value}\n" for key, value in more.items())
    path.write_text(f'name = "mine"\nkind = "organism"\n{said}[parameters]\n{parameters}', encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("obedience = 1.5\n", "line 4: parameters.obedience: Input should be less than or equal to 1"),
        ("colour = 1\n", "line 4: parameters.colour: Extra inputs are not permitted; known keys: signal"),
        ("cycle = 10\nhold = 8\nlead = 6\n", "a cycle of 10 bars cannot hold 6 of lead and 8 of loss"),
        ('signal = "tea-leaves"\n', "line 4: parameters.signal: Input should be 'momentum'"),
    ],
)
def test_a_card_that_plants_nonsense_is_refused(tmp_path: Any, parameters: str, complaint: str) -> None:
    with pytest.raises(CardError, match=r"mine\.toml") as caught:
        open_agent(card(tmp_path, parameters))
    assert complaint in str(caught.value)


def test_a_longer_lookback_is_shown_more_bars_and_waits_for_them(tmp_path: Any) -> None:
    opened = open_agent(card(tmp_path, "lookback = 50\n"))
    assert opened.warmup == 50
    text = asyncio.run(opened.seat(Seat(0, lambda _t: np.zeros(0))).decide(observe(PANEL, 100))).exchanges[0].prompt  # type: ignore
    assert len(read(text).closes) == 51


def test_a_voice_has_its_seed_and_its_card_and_knows_nothing_else() -> None:
    assert set(vars(OrganismVoice(Organism(), 3))) == {"planted", "seed", "offset"}
