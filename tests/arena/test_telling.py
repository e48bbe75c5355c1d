"""What is told changes nothing but what is told; and what is told as a placebo gives away neither itself nor the truth.

Each invented market with one agent in it is one cluster: texts of one market share their symbols and its trouble.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from functools import cache
from string import Template
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from stage import Links, asked, shaken, walk
from strategies import few

from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate, open_agent
from tradearena.arena.donors import donors, invented
from tradearena.arena.episode import Setting, play
from tradearena.arena.tally import Tally
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Span
from tradearena.panel import Array, Panel
from tradearena.policy import load
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.feedback import Desk, Feedback, desk
from tradearena.risk.sources import truth
from tradearena.values import MODES, Finding, Observation, Step

POLICY = load("standard")
MANY = 180
"""Worlds that are learned from, and as many that are judged."""

WORDING = Template("Risk desk: $changed of $count findings; altered: $altered of the last $reviews.")
FIRST = 60
RULES = [
    "single-name",
    "sector",
    "cluster",
    "gross",
    "volatility",
    "reference-risk",
    "turnover",
    "liquidity",
    "herfindahl",
    "effective-bets",
    "distance",
]


def teller(
    mode: str, panel: Panel, seed: int, decisions: int = 30, candidate: Candidate | None = None, every: int = 1
) -> Feedback:
    return desk(
        mode,
        WORDING,
        symbols=panel.symbols,
        limits=POLICY.limits,
        decisions=decisions,
        dice=hashlib.sha256(str(seed).encode()).digest(),
        donors=lambda: donors(panel, POLICY, FIRST, WORDING, candidate, every),
    )


# ---------------------------------------------------------------------- the modes differ in what is told alone


@settings(max_examples=few(8, full=25), deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 6))
def test_the_same_replies_give_the_same_books_in_all_modes(seed: int, n: int) -> None:
    """Also their accounts: whatever is told, positions, fills and cash are the same."""
    panel = walk(seed, bars=90, n=n)
    replies = np.random.default_rng(seed).dirichlet(np.full(n, 0.4), size=len(panel))
    span, reference = Span(FIRST, len(panel) - 1, 1, 1), RollingMarkowitz(panel, POLICY.reference)

    def books(mode: str) -> tuple[Any, ...]:
        seen: list[Any] = []

        def ask(observation: Observation) -> Any:
            held = observation.account
            seen.append((held.nav, held.cash, held.shares.tobytes(), held.committed.tobytes()))
            return replies[observation.t]

        agent = asked(ask).seat(Seat(0, lambda t: reference.at(t).weights))
        setting = Setting(panel, POLICY, span, reference, feedback=lambda: teller(mode, panel, seed))
        tally = Tally(panel, POLICY.execution.initial_cash)
        asyncio.run(play(agent, setting, tally))
        told = [step.told for step in tally.steps]
        assert told[0] is None
        assert all((text is None) == (mode == "hidden") for text in told[1:])
        reports = [(s.report.intent.tobytes(), s.report.approved.tobytes(), s.report.findings) for s in tally.steps]
        fills = [(fill.t, fill.quantity.tobytes(), fill.cost) for fill in tally.fills]
        return seen, reports, tally.marks, fills

    first, *others = (books(mode) for mode in MODES)
    assert all(_same(first, other) for other in others)


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return repr(a) == repr(b)  # NaN is NaN here


def test_what_is_told_is_on_record_and_in_the_hash_of_the_step_it_is_told_at() -> None:
    panel = walk(3, bars=70, n=4)
    reference = RollingMarkowitz(panel, POLICY.reference)

    def links(mode: str) -> list[bytes]:
        record = Links()
        agent = asked(lambda _o: np.array([1.0, 0, 0, 0])).seat(Seat(0, lambda t: reference.at(t).weights))
        setting = Setting(panel, POLICY, Span(FIRST, 69, 1, 1), reference, feedback=lambda: teller(mode, panel, 1))
        asyncio.run(play(agent, setting, record))
        return [step.observation for step in record.steps]

    true, hidden = links("true"), links("hidden")
    assert true[0] == hidden[0]
    assert all(a != b for a, b in zip(true[1:], hidden[1:], strict=True))


# ---------------------------------------------------------------------- a placebo


class World(NamedTuple):
    """One market, one agent in it: what its audits found while it was told the truth, what it was told, and what it
    would have been told as a placebo."""

    symbols: tuple[str, ...]
    sectors: tuple[str, ...]
    steps: list[Step]
    true: list[str]
    placebo: list[str]


@cache
def world(
    number: int, decisions: int, name: str = "organism-stubborn", *, alike: bool = True, every: int = 1, like: int = 0
) -> World:
    """A shipped agent, told the truth, in an invented market whose symbols are shuffled within their sectors. It
    decides at one bar in `every`, and its donors do, or at one in `like`."""
    base, candidate = bars(), open_agent(name)
    panel = _shuffled(invented(base, FIRST, 10_000 + number, FIRST + decisions * every + 2), number)
    reference = RollingMarkowitz(panel, POLICY.reference)
    tally = Tally(panel, POLICY.execution.initial_cash)
    span = Span(FIRST, FIRST + decisions * every + 1, every, 1)
    setting = Setting(panel, POLICY, span, reference, feedback=lambda: Desk(truth, WORDING))
    seat = Seat(number, lambda t: reference.at(t).weights, POLICY.limits)
    asyncio.run(play(candidate.seat(seat), setting, tally))
    feedback = teller("placebo", panel, number, decisions, candidate if alike else None, like or every)
    steps = tally.steps[:decisions]
    true = [step.told or "" for step in tally.steps[1:]]
    return World(panel.symbols, panel.sectors, steps, true, [feedback.tell(s.report).text or "" for s in steps])


@cache
def bars() -> Panel:
    """Of the shipped dataset."""
    return open_dataset("demo-daily").panel


def _shuffled(panel: Panel, seed: int) -> Panel:
    rng, order, sectors = np.random.default_rng(seed), np.arange(len(panel.symbols)), np.array(panel.sectors)
    for sector in sorted(set(panel.sectors)):
        places = np.flatnonzero(sectors == sector)
        order[places] = rng.permutation(places)
    fields = [field[:, order] for field in (panel.open, panel.high, panel.low, panel.close)]
    return Panel.of(
        panel.symbols,
        panel.start,
        panel.end,
        tuple(fields),  # type: ignore[arg-type]
        panel.volume[:, order],
        sectors=panel.sectors,
        bars_per_year=panel.bars_per_year,
    )


def structure(text: str) -> list[float]:
    """Numbers of a told text: length, counts, rules now and before, sizes."""
    block = json.loads(text.split("\n")[1])
    findings = block["findings"]
    sizes = [finding["proposed"] or 0.0 for finding in findings] or [0.0]
    return [
        len(text),
        len(findings) + block["more"],
        block["altered"] / block["reviews"],
        *(sum(finding["rule"] == rule for finding in findings) for rule in RULES),
        *(block["rules"].get(rule, {}).get("count", 0) for rule in RULES),
        float(np.mean(sizes)),
        max(sizes),
    ]


def by_words(texts: list[str], train: Array, test: Array, labels: Array) -> Array:
    words = TfidfVectorizer(token_pattern=r"[\w.+-]+", ngram_range=(1, 2), max_features=2000)
    seen = words.fit_transform([texts[i] for i in train])
    model = LogisticRegression(max_iter=500).fit(seen, labels[train])
    return np.asarray(model.predict(words.transform([texts[i] for i in test])))


def by_structure(texts: list[str], train: Array, test: Array, labels: Array) -> Array:
    numbers = np.array([structure(text) for text in texts])
    model = RandomForestClassifier(60, min_samples_leaf=20, random_state=0).fit(numbers[train], labels[train])
    return np.asarray(model.predict(numbers[test]))


Guess = Callable[[list[str], Array, Array, Array], Array]


def accuracy(known: list[World], fresh: list[World], guess: Guess) -> tuple[float, float]:
    """Accuracy on fresh worlds of what was learned on the known ones: mean, and half a 95 % interval over fresh worlds.

    No world is used for both. Under cross-validation the worlds judged would have taught the judge of the others: two
    that are alike by chance are then both judged rightly, and an interval over worlds is too narrow by a factor of
    about the root of two (Bengio & Grandvalet 2004: the variance of k folds cannot be estimated from them).
    """
    worlds = [*known, *fresh]
    texts = [text for each in worlds for text in (*each.true, *each.placebo)]
    labels = np.concatenate([np.repeat([1, 0], [len(each.true), len(each.placebo)]) for each in worlds])
    groups = np.repeat(np.arange(len(worlds)), [len(each.true) + len(each.placebo) for each in worlds])
    train, test = np.flatnonzero(groups < len(known)), np.flatnonzero(groups >= len(known))
    right = guess(texts, train, test, labels) == labels[test]
    each = np.array([right[groups[test] == i].mean() for i in range(len(known), len(worlds))])
    return float(each.mean()), float(1.96 * each.std(ddof=1) / np.sqrt(len(each)))


AGENTS = ("organism-stubborn", "organism-obedient", "organism-momentum", "organism-coupled")


@pytest.mark.xdist_group("worlds")
def test_a_classifier_cannot_tell_a_placebo_from_what_an_agent_is_truly_told() -> None:
    """Few worlds of one agent, wide interval: the full size, with all of them, is below."""
    worlds = [world(number, 30) for number in range(40)]
    for guess in (by_structure, by_words):
        mean, half = accuracy(worlds[20:], worlds[:20], guess)
        assert mean - half <= 0.5, f"accuracy {mean:.3f} ± {half:.3f} over 20 worlds"


@pytest.mark.xdist_group("worlds")
@pytest.mark.parametrize(
    ("guess", "n"),
    [(by_structure, 24), *(pytest.param(each, 80, marks=pytest.mark.slow) for each in (by_structure, by_words))],
)
def test_nor_where_it_decides_at_one_bar_in_ten(guess: Guess, n: int) -> None:
    """What drifts for ten bars breaks other limits: donors that decided at every bar would be known by that."""
    for like, known in ((10, False), (1, True)):
        worlds = [world(number, 30, every=10, like=like) for number in range(n)]
        mean, half = accuracy(worlds[n // 2 :], worlds[: n // 2], guess)
        said = (
            f"{guess.__name__}, donors decide at one bar in {like}: accuracy {mean:.3f} ± {half:.3f}, {n // 2} worlds"
        )
        print(said)
        assert mean - half > 0.6 if known else mean - half <= 0.5, said


def test_where_bars_are_missing_donors_miss_as_many() -> None:
    """As in the last bars before the first decision; of later ones nothing is known."""
    whole, holes = walk(3, bars=90, n=5), walk(3, bars=90, n=5, gaps=0.2)
    there, after = (invented(panel, FIRST, 7, 200) for panel in (holes, shaken(holes, FIRST)))
    assert there.digest == after.digest
    assert there.valid.mean() == pytest.approx(holes.valid[1 : FIRST + 1].mean(), abs=0.02)
    assert there.tradable.mean() == pytest.approx(holes.tradable[1 : FIRST + 1].mean(), abs=0.02)
    assert invented(whole, FIRST, 7, 200).valid.all()
    found = {}
    for name, panel in (("whole", whole), ("holes", holes)):
        made = donors(panel, POLICY, FIRST, WORDING, open_agent("organism-stubborn"))
        reports = [finding.rule for number in range(5) for report in made.reports(number, 40) for finding in report]
        found[name] = {rule: reports.count(rule) / 200 for rule in ("pinned", "no-bar")}
    reference, tally = RollingMarkowitz(holes, POLICY.reference), Tally(holes, POLICY.execution.initial_cash)
    setting = Setting(holes, POLICY, Span(FIRST, 89, 1, 1), reference, feedback=lambda: Desk(truth, WORDING))
    seat = Seat(1, lambda t: reference.at(t).weights, POLICY.limits)
    asyncio.run(play(open_agent("organism-stubborn").seat(seat), setting, tally))
    true = [finding.rule for step in tally.steps for finding in step.report.findings]
    assert found["whole"] == {"pinned": 0.0, "no-bar": 0.0}
    assert min(found["holes"].values()) > 0.0  # which of the two it is depends on what is held
    missed = (true.count("pinned") + true.count("no-bar")) / len(tally.steps)
    assert sum(found["holes"].values()) == pytest.approx(missed, rel=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.xdist_group("worlds")) for name in AGENTS[:2]),  # which the others see
        *(pytest.param(name, marks=pytest.mark.xdist_group("other worlds")) for name in AGENTS[2:]),
    ],
)
def test_a_classifier_cannot_tell_a_placebo_from_the_truth_in_many_worlds(name: str) -> None:
    worlds = [world(number, 60, name) for number in range(2 * MANY)]
    for guess in (by_words, by_structure):
        mean, half = accuracy(worlds[MANY:], worlds[:MANY], guess)
        print(f"{name}, {guess.__name__}: accuracy {mean:.3f} ± {half:.3f} (95 %), n = {MANY} worlds of 60 decisions")
        assert mean - half <= 0.5, f"accuracy {mean:.3f} ± {half:.3f} over {MANY} worlds"


@pytest.mark.xdist_group("worlds")
@pytest.mark.parametrize("guess", [by_words, pytest.param(by_structure, marks=pytest.mark.slow)])
def test_the_classifiers_are_not_blind(guess: Guess) -> None:
    """The same classifiers know a lie that always tells of less than there was."""
    worlds = [world(number, 30) for number in range(30)]
    clear = [teller("false-audit:all-clear", walk(1, n=3), 0).tell(s.report).text or "" for s in worlds[0].steps]
    lied = [each._replace(placebo=clear) for each in worlds]
    mean, half = accuracy(lied[15:], lied[:15], guess)
    assert mean - half > 0.6


SIZES = pytest.mark.parametrize(("worlds", "decisions"), [(20, 30), pytest.param(2 * MANY, 60, marks=pytest.mark.slow)])


@pytest.mark.xdist_group("worlds")
@SIZES
def test_the_lengths_of_placebos_and_truths_are_of_one_band(worlds: int, decisions: int) -> None:
    for name in AGENTS[:2]:
        seen = [world(number, decisions, name) for number in range(worlds)]
        true, placebo = (
            np.array([np.mean([len(text) for text in getattr(each, kind)]) for each in seen])
            for kind in ("true", "placebo")
        )
        apart, half = (true - placebo).mean(), 1.96 * (true - placebo).std(ddof=1) / np.sqrt(worlds)
        said = f"{name}: true {true.mean():.0f}, placebo {placebo.mean():.0f} characters, {apart:+.1f} ± {half:.1f}"
        print(f"{said} (95 %), n = {worlds} worlds of {decisions} decisions")
        assert abs(apart) <= 1.5 * half
        longest = max(len(text) for each in seen for text in each.true)
        assert max(len(text) for each in seen for text in each.placebo) <= 1.2 * longest


@pytest.mark.xdist_group("worlds")
@SIZES
def test_a_placebo_says_nothing_about_which_symbols_break_a_limit_at_any_lag(worlds: int, decisions: int) -> None:
    """Stubborn agents break the same limit on the same symbols for long. Within its sector the placebo's symbols are
    drawn at random, so the products of deviations from the mean of the sector have mean zero at every lag."""
    seen, lags = [world(number, decisions) for number in range(worlds)], range(-5, 6)
    products = np.array([[_product(each, lag) for lag in lags] for each in seen])
    scores = products.mean(axis=0) / (products.std(axis=0, ddof=1) / np.sqrt(worlds))
    print(f"lags -5 to 5, z {scores.round(2).tolist()}, n = {worlds} worlds of {decisions} decisions")
    assert np.abs(scores).max() < 3.7, dict(zip(lags, scores.round(2).tolist(), strict=True))
    persistent = [_product(each._replace(placebo=each.true), 1) for each in seen]
    assert np.mean(persistent) > 5 * np.abs(products.mean(axis=0)).max()


@pytest.mark.slow
def test_donors_of_many_kinds_would_give_the_placebo_of_an_organism_away() -> None:
    """Which is why an organism has donors like itself; a model has not."""
    worlds = [world(number, 30, "organism-momentum", alike=False) for number in range(40)]
    mean, half = accuracy(worlds[20:], worlds[:20], by_structure)
    assert mean - half > 0.6, f"accuracy {mean:.3f} ± {half:.3f} over 20 worlds"


def _product(each: World, lag: int) -> float:
    """Sum over symbols of deviation of the truth at t times deviation of what was told of t + lag, averaged over t."""
    truth = np.array([_named(each.symbols, step.report.findings) for step in each.steps])
    told = np.array([_told(each.symbols, text) for text in each.placebo])
    sectors = np.array(each.sectors)
    for marks in (truth, told):
        for sector in sorted(set(each.sectors)):
            marks[:, sectors == sector] -= marks[:, sectors == sector].mean(axis=1, keepdims=True)
    a, b = (truth[: len(truth) - lag], told[lag:]) if lag >= 0 else (truth[-lag:], told[:lag])
    return float((a * b).sum(axis=1).mean())


def _named(symbols: tuple[str, ...], findings: tuple[Finding, ...]) -> list[float]:
    named = {finding.name for finding in findings if finding.rule == "single-name"}
    return [float(symbol in named) for symbol in symbols]


def _told(symbols: tuple[str, ...], text: str) -> list[float]:
    named = {f["name"] for f in json.loads(text.split("\n")[1])["findings"] if f["rule"] == "single-name"}
    return [float(symbol in named) for symbol in symbols]
