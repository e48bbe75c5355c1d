"""Named scenes: whose they are, what a card may say of them, and where an invented market has them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena import cards, rooms
from tradearena.errors import CardError
from tradearena.market.card import DatasetCard
from tradearena.market.dataset import open_dataset
from tradearena.market.describe import describe
from tradearena.market.design import Design
from tradearena.market.invented import invent
from tradearena.market.scenes import FALLS, SHORTEST, SceneFile, invented_scenes, scenes_of
from tradearena.market.scheme import scheme_of
from tradearena.market.synthetic import synthesise
from tradearena.market.window import Window
from tradearena.market.writing import card_text, write_synthetic


def _read(tmp_path, text):
    path = tmp_path / "card.toml"
    path.write_text(f'name = "x"\n\n{text}\n', encoding="utf-8")
    return cards.read(path, DatasetCard)


def test_a_card_names_scenes_and_is_written_as_it_was_read(tmp_path):
    card = _read(tmp_path, '[scenes]\ncovid-2020 = ["2020-02-19", "2020-04-07"]')
    assert card.scenes == {"covid-2020": ("2020-02-19", "2020-04-07")}
    for each in (card, DatasetCard(name="none", scenes={}), DatasetCard(name="silent")):
        (tmp_path / "again.toml").write_text(card_text(each), encoding="utf-8")
        assert cards.read(tmp_path / "again.toml", DatasetCard) == each
        assert DatasetCard.model_validate_json(each.model_dump_json()) == each


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('crash = ["2020-02-19", "2020-02-30"]', r"line 4: scenes.crash: '2020-02-30' is not a day"),
        ('crash = ["2020-04-07", "2020-02-19"]', "it ends on 2020-02-19, but it begins on 2020-04-07"),
        ('crash = ["2020-04-07"]', "scenes.crash"),
        ("crash = 2020-04-07", "scenes.crash"),
        ('"a,b" = ["2020-02-19", "2020-04-07"]', "'a,b' cannot name a scene"),
    ],
)
def test_a_scene_that_is_none_is_refused_with_its_line(tmp_path, line, said):
    with pytest.raises(CardError, match=said):
        _read(tmp_path, f"[scenes]\n{line}")


def test_scenes_are_the_cards_or_where_it_has_none_those_of_the_nearest_room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = cards.read(rooms.shipped() / "market_data" / "scenes.toml", SceneFile).scenes
    assert {"covid-2020", "inflation-2022", "svb-2023"} <= set(shipped)
    assert scenes_of(DatasetCard(name="x")) == shipped
    (tmp_path / "market_data").mkdir()
    mine = '[scenes]\ncovid-2020 = ["2020-02-24", "2020-03-23"]\nmine = ["2001-09-10", "2001-09-21"]\n'
    (tmp_path / "market_data" / "scenes.toml").write_text(mine)
    found = scenes_of(DatasetCard(name="x"))
    assert (found["covid-2020"], found["mine"][0]) == (("2020-02-24", "2020-03-23"), "2001-09-10")
    assert set(found) == {*shipped, "mine"}
    assert scenes_of(DatasetCard(name="x", scenes={})) == {}


@given(seed=st.integers(0, 999), scenes=st.integers(1, 3), intraday=st.booleans())
@settings(max_examples=10, deadline=None)
def test_planted_scenes_are_named_from_the_last_bar_before_the_fall_to_its_last(seed, scenes, intraday):
    design = Design(symbols=2, sectors=1, bars=200, seed=seed, scenes=scenes, frequency="1h" if intraday else "1d")
    tape = synthesise(design)
    found = invented_scenes(tape)
    assert list(found) == [f"stress-{k}" for k in range(1, scenes + 1)]
    days = np.datetime_as_string(tape.start, unit="D").tolist()
    for first, (begin, end) in zip(design.stress, found.values(), strict=True):
        assert (begin, end) == (days[first - 1], days[first + design.scene - 1])


@given(seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_where_none_is_planted_the_deepest_falls_are_named_and_none_was_deeper(seed):
    tape = synthesise(Design(symbols=3, sectors=1, bars=120, seed=seed))
    level = (tape.close / tape.close[0]).mean(axis=1)
    day = {str(start): t for t, start in enumerate(tape.start.astype("datetime64[D]"))}
    falls = [(day[first], day[last]) for first, last in invented_scenes(tape).values()]
    assert len(falls) <= FALLS
    depths = [level[last] / level[first] - 1 for first, last in falls]
    assert depths == sorted(depths)
    for first, last in falls:
        assert last - first + 1 >= SHORTEST
        assert level[first] == level[: last + 1].max()
        assert level[last] == level[first : last + 1].min()
    whole = level / np.maximum.accumulate(level) - 1
    trough = int(whole.argmin())
    if trough - int(level[: trough + 1].argmax()) + 1 >= SHORTEST:
        assert depths[0] == whole.min()


def test_every_scene_of_the_demo_fits_it_and_takes_the_market_down():
    dataset = open_dataset("demo-daily")
    assert list(dataset.scenes) == ["fall-1", "fall-2", "fall-3"]
    assert describe(dataset)["scenes"] == {name: list(days) for name, days in dataset.scenes.items()}
    level = (dataset.panel.close / dataset.panel.close[0]).mean(axis=1)
    for name, depth in (("fall-1", -0.187), ("fall-2", -0.179), ("fall-3", -0.133)):
        scheme = scheme_of([f"calendar:{name}"], dataset.scenes, dataset.card.zone)
        (span,) = Window(scheme=scheme).resolve(dataset.panel, warmup=60, latency=1)
        assert level[span.last] / level[span.first] - 1 == pytest.approx(depth, abs=0.0005)


def test_a_scene_that_the_bars_do_not_hold_is_not_described():
    assert describe(invent(Design(bars=40, start=date(2020, 1, 6))))["scenes"].keys() <= {"fall-1", "fall-2", "fall-3"}


@pytest.mark.parametrize("more", [{}, {"frequency": "1h", "start": date(2020, 3, 2)}, {"scenes": 1, "strength": 1.0}])
def test_an_invented_dataset_is_the_one_that_its_files_would_be(more, tmp_path):
    design = Design(symbols=5, sectors=2, bars=70, seed=9, **more)
    kept, read = invent(design, name="x"), open_dataset(str(write_synthetic(design, tmp_path / "x")))
    assert kept.panel.digest == read.panel.digest
    assert (kept.card, kept.warnings, kept.scenes) == (read.card, read.warnings, read.scenes)
    np.testing.assert_array_equal(kept.panel.start, read.panel.start)
