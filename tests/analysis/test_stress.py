"""Stress: who is asked again, what is compared with what, and what is said where nobody can be."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from stage import FREE, asked, dataset, first_bars, walk

from tradearena.agents.card import open_agent
from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.blindspot import blind_spot
from tradearena.analysis.signatures.controls import CONTROLS, controlled
from tradearena.analysis.signatures.design import Design, without_draws
from tradearena.analysis.signatures.lexical_probes import HashProbe
from tradearena.analysis.signatures.partners import LIES, MUTE, Partners, noise_stress
from tradearena.analysis.signatures.stress import OF_WORDS, SAME, TOO_FEW, changes
from tradearena.analysis.signatures.study import study
from tradearena.analysis.signatures.trace import RISK, Said, Trace
from tradearena.analysis.signatures.words import words
from tradearena.analysis.signflip import sign_flip
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.errors import Interrupted, StoreError, UsageError
from tradearena.market.noise import Noise, noised
from tradearena.market.scheme import Even
from tradearena.market.window import Window as Asked

DESIGN = Design(before=4, depth=0.02, views=("plan", "intent"), primary_only=True)
LOUD = Noise(0.5)
WINDOWS = 6


def made(path, panel, *agents, modes=("true",), noise=None, windows=WINDOWS, policy=FREE):
    """A file of these agents on these bars."""
    whole = dataset(panel) if noise is None else noised(dataset(panel), noise)
    candidates = tuple(open_agent(agent) if isinstance(agent, str) else agent for agent in agents)
    plan = Plan(whole, policy, Asked(scheme=Even(windows)), candidates, (0,), modes)
    experiment.run(plan, path)
    return path


@pytest.fixture(scope="module")
def panel():
    return walk(11, bars=240, n=3)  # windows of 35 decisions: of fewer than 33 nothing could be adjusted


@pytest.fixture(scope="module")
def plain(panel, tmp_path_factory):
    """An organism, a rule, a function and a lie on the same bars."""
    path = tmp_path_factory.mktemp("plain") / "plain.duckdb"
    ask = asked(lambda seen: np.full(len(seen.symbols), 0.2), "python:mine")
    return made(path, panel, "organism-collapsing", "momentum", ask, modes=("true", LIES[0].mode))


@pytest.fixture(scope="module")
def noisy(panel, tmp_path_factory):
    """The organism on these bars with noise."""
    path = tmp_path_factory.mktemp("noisy") / "noisy.duckdb"
    return made(path, panel, "organism-collapsing", noise=LOUD)


@pytest.fixture(scope="module")
def found(plain):
    """All changes of what is in that file, by stress, agent, view, anchors and statistic."""
    partners = Partners([plain])
    partners.bases = [base for base in partners.bases if base.agent != "momentum"]
    rows = changes(partners, [HashProbe(32)], DESIGN, [LOUD])
    return {(row.stress, row.group, row.view, row.anchors, row.statistic): row for row in rows}


def of(found, stress, agent="organism-collapsing, true", view="plan", anchors="market", statistic="effective_rank"):
    return found[(stress, agent, view, anchors, statistic)]


def same(one: Trace, other: Trace) -> bool:
    return one.plan == other.plan and np.array_equal(one.intent, other.intent) and np.array_equal(one.nav, other.nav)


# ---------------------------------------------------------------------- who is asked again


def test_asked_again_in_memory_is_what_a_run_with_noise_puts_on_file(plain, noisy):
    alone, together = Partners([plain]), Partners([plain, noisy])
    assert [str(noise) for noise in together.noises] == ["0.5"]
    bases = [base for base in alone.bases if base.agent == "organism-collapsing"]
    assert len(bases) == WINDOWS
    for base in bases:
        again, on_file = (each.of(base, noise_stress(LOUD)) for each in (alone, together))
        assert isinstance(again, Trace)
        assert isinstance(on_file, Trace)
        assert same(again, on_file)
        assert not same(again, base.trace)
        assert (again.group, again.window, again.episode) == (base.trace.group, base.trace.window, base.trace.episode)


def test_a_lie_on_file_is_what_asking_again_gives(plain):
    partners = Partners([plain])
    base = partners.bases[0]
    on_file = partners.of(base, LIES[0])
    partners.held = {key: each for key, each in partners.held.items() if each.mode == "true"}
    again = partners.of(base, LIES[0])
    assert isinstance(on_file, Trace)
    assert isinstance(again, Trace)
    assert same(on_file, again)


def test_whoever_cannot_be_asked_is_said_to_need_it(plain):
    partners = Partners([plain])
    said = {
        base.agent: [
            found if isinstance(found, str) else "asked"
            for found in (partners.of(base, stress) for stress in (noise_stress(LOUD), LIES[1], MUTE))
        ]
        for base in partners.bases
    }
    assert said == {
        "organism-collapsing": ["asked"] * 3,
        "momentum": ["asked", "reads no feedback", "not asked in words"],
        "python:mine": ["needs a live agent", "needs a live agent", "not asked in words"],
    }


def test_a_script_that_answers_otherwise_than_on_record_is_not_asked(plain, tmp_path):
    path = changed(plain, tmp_path, "UPDATE episode SET card = replace(card, '\"momentum\"', '\"reversal\"')")
    partners = Partners([path])
    base = next(base for base in partners.bases if base.agent == "organism-collapsing")
    assert partners.of(base, MUTE) == "answers otherwise than on record"


def changed(path, folder, statement):
    """A copy of a file that somebody has been at."""
    copy = folder / "changed.duckdb"
    copy.write_bytes(Path(path).read_bytes())
    with duckdb.connect(str(copy)) as db:
        db.execute(statement)
    return copy


# ---------------------------------------------------------------------- what is compared


def test_a_change_is_the_mean_over_paths_with_its_sign_flip_interval(plain, found):
    partners = Partners([plain])
    bases = [base for base in partners.bases if base.agent == "organism-collapsing"]
    noise = [partners.of(base, noise_stress(LOUD)) for base in bases]
    sides = []
    for traces in ([base.trace for base in bases], noise):
        rows = study(traces, [HashProbe(32)], without_draws(DESIGN))
        (row,) = [r for r in rows if r.primary and (r.view, r.anchors) == ("plan", "market")]
        sides.append(dict(row.by_cluster))
    both = sorted(sides[0].keys() & sides[1].keys())
    effect = sign_flip([sides[1][path] - sides[0][path] for path in both])
    row = of(found, "noise 0.5")
    assert row.n == effect.n > 1
    assert row.change == pytest.approx(effect.mean)
    assert row.stressed == pytest.approx(row.base + row.change)
    assert row.interval == pytest.approx(effect.interval) if effect.interval else row.interval is None


def test_an_organism_without_words_has_no_plan_and_the_same_intents(plain, found):
    said = of(found, MUTE.name)
    assert (said.stressed, said.change, said.verdict) == (None, None, "no text")
    partners = Partners([plain])
    for base in [base for base in partners.bases if base.agent == "organism-collapsing"][:2]:
        mute = partners.of(base, MUTE)
        assert isinstance(mute, Trace)
        assert np.array_equal(mute.intent, base.trace.intent)
        assert {said.text for said in mute.plan} == {""}


def test_the_order_of_words_changes_nothing_that_counts_words(found):
    for name in ("words-only", "shuffled-words"):
        assert of(found, name).verdict == SAME
    assert of(found, "shuffled-steps").change != 0.0
    assert {row.view for row in found.values() if row.stress in CONTROLS} <= set(OF_WORDS)


def test_who_cannot_be_asked_has_the_row_with_the_reason(found):
    rows = [row for row in found.values() if (row.stress, row.group) == ("noise 0.5", "python:mine, hidden")]
    assert {(row.stressed, row.change, row.n) for row in rows} == {(None, None, 0)}
    assert {row.verdict for row in rows if row.base is not None} <= {"needs a live agent"}


def test_one_path_has_a_change_and_no_interval(panel, tmp_path):
    path = made(tmp_path / "one.duckdb", panel, "random", windows=1)
    rows = changes(Partners([path]), [], replace(DESIGN, views=("intent",)), [LOUD])
    row = next(row for row in rows if row.primary and row.anchors == "market")
    assert (row.n, row.interval, row.verdict) == (1, None, TOO_FEW)
    assert row.change == pytest.approx(row.stressed - row.base)


def test_too_few_anchors_are_not_enough_under_stress_as_well(panel, tmp_path):
    path = made(tmp_path / "calm.duckdb", first_bars(panel, 60), "random", windows=1)
    deep = replace(DESIGN, views=("intent",), depth=0.9)
    rows = list(takewhile(lambda row: row.stress == "noise 0.5", changes(Partners([path]), [], deep, [LOUD])))
    assert rows
    assert {(row.base, row.change, row.verdict) for row in rows} == {(None, None, "not enough")}


# ---------------------------------------------------------------------- what a control leaves


class Counted:
    """Words counted, each in a dimension of its own: what hashing and LSA are shadows of."""

    name, prompted, common = "counted", False, True

    def embed(self, corpora, paths):  # noqa: ARG002
        found = sorted({word for corpus in corpora for said in corpus for word in words(said.text)})
        place = {word: i for i, word in enumerate(found)}
        rows = []
        for corpus in corpora:
            row = np.zeros((len(corpus), len(place)))
            for k, said in enumerate(corpus):
                for word in words(said.text):
                    row[k, place[word]] += 1.0
            rows.append(row)
        return rows


def contracting(seed, steps=160, every=20, lead=6, length=12):
    """A trajectory whose words come from a few stock ones ahead of each fall of the market, and the falls."""
    rng = np.random.default_rng(seed)
    falls = range(every, steps, every)
    ahead = {t for fall in falls for t in range(fall - lead, fall)}
    usual, stock = [f"w{i}" for i in range(120)], [f"s{i}" for i in range(6)]
    texts = []
    for t in range(steps):
        rare = rng.choice(usual, length).tolist()
        texts.append(" ".join(rng.choice(stock, length).tolist() if t in ahead else rare))
    drift = np.full(steps, 0.002)
    for fall in falls:
        drift[fall : fall + 3] = -0.03
    level = np.exp(np.cumsum(drift + 1e-4 * rng.standard_normal(steps)))
    said = tuple(Said(text) for text in texts)
    noise = rng.standard_normal((2, steps))
    return Trace(
        f"e{seed}", "g", Window(f"p{seed}", 0, steps - 1), np.arange(steps, dtype=np.float64), said, said,
        np.zeros((steps, 2)), np.zeros((steps, len(RISK))), level, level, 0.01 + 0.001 * noise[0] ** 2, 0.01 * noise[1],
    )  # fmt: skip


def test_a_contraction_of_words_survives_what_keeps_it_and_not_what_destroys_it():
    design = without_draws(Design(before=4, depth=0.05, views=("plan",)))
    traces = [contracting(seed) for seed in range(4)]

    def value(name):
        rows = study([controlled(trace, name) for trace in traces], [Counted()], design)
        return next(row.value for row in rows if row.primary and row.anchors == "market")

    values = {name: value(name) for name in CONTROLS}
    assert values["words-only"] < -0.15
    for name in ("shuffled-words", "renamed"):
        assert values[name] == pytest.approx(values["words-only"], abs=1e-9), name
    assert values["length-matched"] == pytest.approx(values["words-only"], abs=0.02)
    assert abs(values["shuffled-steps"]) < 0.25 * abs(values["words-only"])
    assert values["synonyms"] == pytest.approx(values["words-only"], abs=0.02)  # the stock words are the usual ones
    assert abs(values["redrawn"]) < 0.1 * abs(values["words-only"])


# ---------------------------------------------------------------------- what cannot be meant


def test_a_file_named_twice_is_refused(plain):
    with pytest.raises(UsageError, match="stands in another file as well"):
        Partners([plain, plain])


def test_noise_alone_has_nothing_to_be_held_against(noisy):
    with pytest.raises(UsageError, match="there is nothing to stress"):
        Partners([noisy])


def test_bars_that_are_not_those_of_their_noise_are_refused(plain, noisy, tmp_path):
    other = changed(noisy, tmp_path, "UPDATE experiment SET dataset = replace(dataset, '\"seed\": 0', '\"seed\": 1')")
    with pytest.raises(StoreError, match=r"its bars are not those that noise 0\.5:1 makes"):
        Partners([plain, other])


def test_changed_bars_and_cards_are_refused(plain, tmp_path):
    with pytest.raises(StoreError, match="its bars were changed"):
        Partners([changed(plain, tmp_path, "UPDATE experiment SET dataset_digest = 'x'")])
    for statement in (
        "UPDATE episode SET card = replace(card, '\"signal\"', '\"sign\"')",
        "UPDATE episode SET card = '{}'",
    ):
        partners = Partners([changed(plain, tmp_path, statement)])
        with pytest.raises(StoreError, match="its card cannot be understood"):
            partners.of(partners.bases[0], noise_stress(LOUD))


def test_a_stop_is_heard_before_the_next_decision(plain):
    partners = Partners([plain], halt=lambda _bar: True)
    with pytest.raises(Interrupted):
        partners.of(partners.bases[0], MUTE)


def test_the_same_market_with_noise_is_no_second_one_for_the_blind_spot_and_no_part_of_the_same_group(plain, noisy):
    found = blind_spot([plain, noisy])
    assert len(found.paths) == 1
    groups = {each.group for each in found.watched}
    assert {"organism-collapsing, true", f"organism-collapsing, true, noise {LOUD.size:g}"} <= groups
    alone = {model.group: model.effects["excess"].n for model in blind_spot([plain]).models}
    assert {model.group: model.effects["excess"].n for model in found.models}.items() >= alone.items()
