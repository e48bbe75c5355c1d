"""Rationales: rich where they should be, narrow where that is planted, and true everywhere."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.agents.rationale import RETURNS, SIGNALS, Facts, compose

SYMBOLS = ("TECH1", "BANK2", "RETL3", "UTIL1", "600519.SH", "BRK.B", "AAPL", "FIN4", "ENRG2", "BTC-USD")
PATTERNS = {
    "momentum": "momentum|strength|strong|trend|leader|winner|front|performer|has led|done best|out in front",
    "reversal": "revers|reversion|weak|laggard|stretched|overshot|overdone|oversold|bounce|slip|dip|contrarian|lagged"
    "|slide|selling",
    "loser": "loser|loss|weak|worst|fall|underperform|damage|hardest hit|beaten|drops|wreckage|dump|bargain|bottom",
    "calm": "calm|volatility|quiet|stead|slow|small|smooth|moves least",
    "coupled": "co-move|correlat|coupl|together|joint|cluster|lockstep|relatives|group|as one",
    "noise": "random|chance|draw|drawn|coin|lot|luck|toss|lottery|dice|blind|arbitrary|throw"
    "|nothing repeats|no theory|no opinion",
}
TURMOIL = {"calm": 1.6, "market": -0.045, "breadth": 0.2, "volatility": 0.018}
QUIET = {"calm": 0.7, "market": 0.035, "breadth": 0.75, "volatility": 0.006}


def _measure():
    """The measure of the docs, so that tests and documentation cannot drift apart."""
    path = Path(__file__).resolve().parents[2] / "docs" / "examples" / "rationales.py"
    spec = importlib.util.spec_from_file_location("rationales", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


measure = _measure()


def dice(*of):
    return hashlib.sha256(repr(of).encode()).digest()


def some_facts(chance, **fixed):
    """Facts as they come, one decision at a time."""
    signal = fixed.get("signal", chance.choice(SIGNALS))
    symbols = chance.sample(SYMBOLS, len(SYMBOLS))
    n, gone = chance.choice((1, 2, 3, 4, 5, 5, 5)), chance.choice((0, 0, 1, 2, 3))
    cash = chance.choice((0.0, chance.uniform(0.0, 0.5)))
    sizes = sorted((chance.uniform(1.0, 3.0) for _ in range(n)), reverse=True)
    centre = {"momentum": 0.03, "reversal": 0.04, "loser": -0.04, "calm": -0.012, "coupled": 0.7, "noise": 0.0}[signal]
    facts = Facts(
        signal=signal,
        lookback=chance.choice((5, 8, 10, 11, 20, 60)),
        names=tuple(symbols[:n]),
        weights=tuple((1.0 - cash) * size / sum(sizes) for size in sizes),
        scores=tuple(centre + chance.gauss(0.0, abs(centre) or 1.0) * 0.5 for _ in range(n)),
        dropped=tuple(symbols[n : n + gone]),
        cash=cash,
        market=chance.gauss(0.0, 0.02),
        breadth=chance.randint(0, 40) / 40,
        volatility=chance.uniform(0.002, 0.03),
        calm=chance.uniform(0.5, 1.8),
        obeyed=(),
        suspected=False,
        size=n,
    )
    return replace(facts, **fixed)


def random_texts(n, *, seed=0, **fixed):
    chance = random.Random(seed)
    return [(facts := some_facts(chance, **fixed), compose(facts, dice(seed, i))) for i in range(n)]


def steps_of(signal, n=1_000, *, facts=None, **how):
    """The rationales of one organism: facts that drift, or with some of them fixed."""
    walk = measure.walk(signal, n, seed=1)
    return [compose(replace(step, **(facts or {})), dice(signal, t), **how) for t, step in enumerate(walk)]


def distinct_words(texts, size=1_000):
    counts = [len({word for part in block for word in part}) for block in measure.blocks(texts, size)]
    return sum(counts) / len(counts)


def mean_length(texts):
    return sum(len(text.split()) for text in texts) / len(texts)


# Richness -------------------------------------------------------------------------------------------------------------


def test_the_vocabulary_exceeds_400_words_over_random_facts():
    assert measure.vocabulary(text for _, text in random_texts(2_000)) > 400


@pytest.mark.parametrize("signal", ["momentum", "noise"])  # the usual, and the one with the fewest sentences
def test_one_organism_has_more_than_400_words_and_no_sentence_in_more_than_5_percent_of_its_steps(signal):
    texts = steps_of(signal)
    assert measure.vocabulary(texts) > 400
    assert measure.commonest(texts) <= 0.05
    assert len(set(texts)) > 0.99 * len(texts)


def test_no_sentence_is_frequent_where_every_step_obeys_suspects_and_praises():
    facts = {"obeyed": ("single-name",), "suspected": True}
    assert measure.commonest(steps_of("momentum", facts=facts, praise=True)) <= 0.05


def test_distinct_trigrams_are_at_least_half_those_of_real_rationales(real_data):
    real = measure.real_texts(real_data / "llm_trajectories_astock_hourly.parquet", real_data / "raw_llm_outputs.jsonl")
    for size in (1_000, 3_000):
        assert measure.trigrams(steps_of("momentum", 300), size) >= 0.5 * measure.trigrams(real, size) > 0


def test_the_order_of_topics_varies():
    opening = Counter(text.split(maxsplit=2)[0] for text in steps_of("momentum"))
    assert len(opening) > 40
    assert max(opening.values()) < 150


def test_texts_are_of_a_length_to_be_read():
    texts = [text for _, text in random_texts(1_000)]
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[0] >= 30
    assert lengths[50] >= 43
    assert lengths[-1] <= 110


# Truth ----------------------------------------------------------------------------------------------------------------


def score_said(facts, place):
    score = -facts.scores[place] if facts.signal == "reversal" else facts.scores[place]
    if facts.signal in RETURNS:
        return f"{abs(score) * 100:.1f}%"
    return f"{abs(score) * 100:.2f}%" if facts.signal == "calm" else f"{abs(score):.2f}"


def test_the_first_name_its_score_the_signal_and_the_lookback_are_always_there():
    for facts, text in random_texts(1_500, seed=1):
        assert facts.names[0] in text
        assert score_said(facts, 0) in text
        assert re.search(PATTERNS[facts.signal], text.lower()), text
        assert re.search(rf"\b{facts.lookback}(-bar| bars)\b", text), text


@pytest.mark.parametrize(("signal", "score", "rises"), [
    ("momentum", 0.0432, True), ("momentum", -0.0432, False), ("loser", -0.0432, False), ("loser", 0.0432, True),
    ("reversal", 0.0432, False), ("reversal", -0.0432, True),
])  # fmt: skip
def test_a_return_is_said_with_its_direction(signal, score, rises):
    """The score of the reversal signal is a return with its sign turned."""
    up = re.compile(r"\b(up|ahead|gain|gained|rise|climb|climbed|advanced?|added|put on|made|higher)\b|\+$")
    down = re.compile(r"\b(down|off|loss|fall|decline|slide|shed|lost|gave|slipped|dropped|fell|lower)\b|-$")
    right, wrong = (up, down) if rises else (down, up)
    three = {"names": SYMBOLS[:3], "weights": (0.3, 0.2, 0.1), "scores": (score,) * 3, "market": 0.0}
    for _, text in random_texts(200, signal=signal, **three):
        before = re.findall(r"([^.,;:()]{0,25})4\.3%", text)
        assert before, text
        assert all(right.search(words) and not wrong.search(words) for words in before), text


@pytest.mark.parametrize(("market", "right", "wrong"), [
    (0.0123, "gained|added|rose|put on|advanced|climbed|made", "lost|shed|fell|gave up|declined|dropped|surrendered"),
    (-0.0123, "lost|shed|fell|gave up|declined|dropped|surrendered", "gained|added|rose|put on|advanced|climbed|made"),
])  # fmt: skip
def test_the_market_goes_the_way_it_went(market, right, wrong):
    texts = [
        text for _, text in random_texts(500, market=market, scores=(0.05,) * 5, names=SYMBOLS[:5], weights=(0.1,) * 5)
    ]
    assert any(re.search(rf"({right}) 1\.2%", text) for text in texts)
    assert not any(re.search(rf"({wrong}) 1\.2%", text) for text in texts)


def test_every_number_is_a_fact():
    for facts, text in random_texts(1_500, seed=2):
        for symbol in facts.names + facts.dropped:
            text = text.replace(symbol, "")
        percents = {*facts.weights, facts.market, facts.breadth, facts.cash, 1.0 - facts.cash, facts.volatility}
        percents |= {sum(facts.weights[:2]), *facts.scores}
        shown = {f"{abs(100 * value):.{digits}f}%" for value in percents for digits in (0, 1, 2)}
        shown |= {f"{abs(score):.2f}" for score in facts.scores} | {f"{facts.calm:.1f}", str(facts.lookback)}
        for number in re.findall(r"\d+(?:\.\d+)?%?", text):
            assert number in shown, (number, text)


def test_what_is_given_up_is_named_and_agrees_with_its_verb():
    one = [text for _, text in random_texts(600, dropped=("GONE1",))]
    two = [text for _, text in random_texts(600, dropped=("GONE1", "GONE2"))]
    assert any("GONE1 leaves" in text for text in one)
    assert any("GONE1 and GONE2 leave " in text for text in two)
    assert not any(re.search("GONE1 (leave|have|no longer rank) ", text) for text in one)
    assert not any(re.search("GONE2 (leaves|has|no longer ranks) ", text) for text in two)
    assert not any("GONE" in text for _, text in random_texts(100))


def test_it_says_what_it_obeyed_and_what_it_did_not_believe_and_only_then():
    for facts, text in random_texts(400, seed=3, obeyed=("single-name", "odd-rule")):
        assert "the single-name cap and the odd-rule limit" in text.lower(), facts
    believed = re.compile(
        "does not|match|contradict|clash|squared|disagree|hold up|wrong|mistaken|errs|believe|confirm|no weight"
    )
    for _, text in random_texts(400, seed=3, suspected=True):
        assert re.search("report|risk|finding", text)
        assert re.search("book|account|positions|records", text)
        assert believed.search(text), text
    assert not any(re.search("report|limit|risk desk", text) for _, text in random_texts(400, seed=3))


def test_it_praises_diversification_if_and_only_if_told_to():
    praise = re.compile("diversif|independen|uncorrelated", re.IGNORECASE)
    chance = random.Random(4)
    for i in range(600):
        facts, reactive = some_facts(chance), bool(i % 2)
        assert praise.search(compose(facts, dice(i), praise=True, reactive=reactive))
        assert not praise.search(compose(facts, dice(i), reactive=reactive))


def test_who_wants_nothing_says_so():
    nothing = {"names": (), "weights": (), "scores": (), "size": 0, "cash": 1.0}
    for facts, text in random_texts(300, seed=5, **nothing):
        assert re.search("nothing|empty|no position|not one position|cash|stays", text.lower())
        assert f"{facts.lookback}-bar" in text


# Contraction and mood -------------------------------------------------------------------------------------------------


def test_a_text_narrows_smoothly_and_stays_as_long():
    levels = [steps_of("momentum", 400, narrow=narrow) for narrow in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for fewer in (distinct_words, lambda texts: measure.trigrams(texts, 1_000)):
        rates = [fewer(texts) for texts in levels]
        assert all(after < 0.97 * before for before, after in pairwise(rates)), rates
        assert rates[-1] < 0.25 * rates[0]
    lengths = [mean_length(texts) for texts in levels]
    assert max(lengths) / min(lengths) < 1.15, lengths


def test_a_narrow_text_is_still_true():
    chance = random.Random(6)
    for i in range(500):
        facts = some_facts(chance)
        text = compose(facts, dice(i), narrow=1.0)
        assert facts.names[0] in text
        assert score_said(facts, 0) in text
        assert re.search(PATTERNS[facts.signal], text.lower()), text


@pytest.mark.parametrize("reactive", [True, False])
def test_no_state_of_the_market_makes_words_fewer(reactive):
    rates = [
        distinct_words(steps_of("momentum", 300, facts=state, reactive=reactive)) for state in (TURMOIL, QUIET, {})
    ]
    assert max(rates) / min(rates) < 1.10, rates


def test_a_reactive_text_talks_of_danger_in_turmoil_and_of_openings_in_quiet():
    danger = re.compile("drawdown|wary|danger|guard|what can be lost, |punish|losses|rather miss|rather be late|hurt")
    opening = re.compile(
        "opening|profit|opportunity|eager|potential|what can be made, |reward|gains? come|rather be early|pay"
    )
    shares = {}
    for state, facts in (("turmoil", TURMOIL), ("quiet", QUIET)):
        for reactive in (True, False):
            texts = [text.lower() for text in steps_of("momentum", 300, facts=facts, reactive=reactive)]
            shares[state, reactive] = [sum(bool(p.search(t)) for t in texts) / len(texts) for p in (danger, opening)]
    assert shares["turmoil", True][0] > 0.35 > 0.07 > shares["quiet", True][0], shares
    assert shares["quiet", True][1] > 0.35 > 0.07 > shares["turmoil", True][1], shares
    assert max(shares["turmoil", False] + shares["quiet", False]) < 0.07, shares


# Form -----------------------------------------------------------------------------------------------------------------


def test_the_same_facts_and_dice_give_the_same_text_and_other_dice_another():
    facts = some_facts(random.Random(7))
    assert compose(facts, dice(1)) == compose(replace(facts), bytes(dice(1)))
    assert len({compose(facts, dice(i)) for i in range(200)}) == 200


def test_texts_are_well_formed():
    for facts, text in random_texts(2_000, seed=8, obeyed=("volatility",), suspected=True):
        assert text.endswith(".")
        for symbol in facts.names + facts.dropped:
            text = text.replace(symbol, "Q")
        assert not re.search(
            r"[\[\]{}<>|_]|  | [.,;:)]|\( |\.\.|,,|[,;:]\.|\ba (8|11)-bar|\ban (5|10|20|60)-bar", text
        ), text
        assert not re.search(r"\b(the|a|of|to|in|and|is) \1\b", text, re.IGNORECASE), text
        assert all(re.match(r"[A-Z\d+]", sentence) for sentence in re.split(r"(?<=\.) ", text)), text
        assert 3 <= len(re.split(r"(?<=\.) ", text)) <= 8


def test_nothing_gives_away_that_it_is_scripted():
    giveaway = re.compile(
        r"organism|experiment|seed|script|feedback|placebo|simulat|planted|llm|language model", re.IGNORECASE
    )
    assert not any(giveaway.search(text) for _, text in random_texts(1_000, seed=9, obeyed=("gross",)))


@settings(max_examples=100)
@given(
    symbols=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True),
    signal=st.sampled_from(SIGNALS),
    salt=st.integers(0, 1_000),
)
def test_any_symbol_is_put_in_as_it_stands(symbols, signal, salt):
    """Whatever the symbols are made of, they change nothing but themselves."""
    wanted, gone = symbols[:5], symbols[5:8]
    stand_ins = [chr(0xE000 + i) for i in range(len(symbols))]
    n = len(wanted)
    facts = some_facts(random.Random(salt), signal=signal, names=tuple(wanted), dropped=tuple(gone), size=n)
    facts = replace(facts, weights=(0.1,) * n, scores=(0.02,) * n)
    plain = replace(facts, names=tuple(stand_ins[:n]), dropped=tuple(stand_ins[n:]))
    text = compose(plain, dice(salt))
    assert compose(facts, dice(salt)) == "".join(symbols[ord(c) - 0xE000] if c in stand_ins else c for c in text)


def test_an_unknown_signal_or_degree_is_refused():
    facts = some_facts(random.Random(10))
    with pytest.raises(ValueError, match="'astrology'"):
        compose(replace(facts, signal="astrology"), dice(0))
    with pytest.raises(ValueError, match=r"1\.5"):
        compose(facts, dice(0), narrow=1.5)
