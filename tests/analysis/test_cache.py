"""Vectors on file are used where they are right, made anew where they are not, and kept where nobody is in the way."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import duckdb
import numpy as np
import pytest
from stage import dataset, walk

from tradearena.agents.card import open_agent
from tradearena.analysis.signatures import cache
from tradearena.analysis.signatures.cache import Cached, cached
from tradearena.analysis.signatures.lexical_probes import HashProbe, LsaProbe
from tradearena.analysis.signatures.trace import Said
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.arena.verify import verify
from tradearena.market.window import Window
from tradearena.policy import load
from tradearena.store import files


class Dear:
    """Hashes the text, with the prompt where it is `prompted`, and remembers which texts it was asked for."""

    def __init__(self, size=16, *, prompted=False):
        self.hash, self.prompted, self.asked = HashProbe(size), prompted, []
        self.common = True
        self.name = self.identity = f"dear{size}{'p' if prompted else ''}"

    def embed(self, corpora, paths):
        self.asked.extend(said.text for corpus in corpora for said in corpus)
        return self.hash.embed(
            [[Said(f"{s.prompt} {s.text}" if self.prompted else s.text) for s in c] for c in corpora], paths
        )


class Made(NamedTuple):
    """What came of an embedding: the rows, the texts that were computed, and what was said."""

    rows: list
    asked: list
    said: list


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "run.duckdb"
    plan = Plan(dataset(walk(4, bars=40, n=4)), load("standard"), Window(steps=3), (open_agent("equal-weight"),))
    assert experiment.run(plan, path).failure is None
    return path


@pytest.fixture
def path(written, tmp_path):
    copy = tmp_path / "mine.duckdb"
    shutil.copyfile(written, copy)
    return copy


def corpora(n=30):
    """Two trajectories that share half of their texts; some steps say nothing."""
    texts = [
        [f"step {i} sell {i % 7} hold" if i % 5 else " " for i in range(begin, begin + n)] for begin in (0, n // 2)
    ]
    return [[Said(text, f"prompt {k}") for text in each] for k, each in enumerate(texts)]


def made(path, *, probe=None, fresh=False, of=None):
    probe, said, of = probe or Dear(), [], of or corpora()
    rows = Cached(probe, path, fresh=fresh, warn=said.append).embed(of, [0] * len(of))
    return Made(rows, probe.asked, said)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.rows, b.rows, strict=True))


def change(path, statement):
    with duckdb.connect(str(path)) as db:
        db.execute(statement)


def test_each_text_is_computed_once_and_the_next_time_eight_are_tried(path):
    first, second = made(path), made(path)
    distinct = {said.text for corpus in corpora() for said in corpus if said.text.strip()}
    assert sorted(first.asked) == sorted(distinct)
    assert len(second.asked) == 8
    assert set(second.asked) < distinct
    assert same(first, second)
    assert first.said == second.said == []
    for corpus, rows, plain in zip(corpora(), first.rows, Dear().embed(corpora(), [0, 0]), strict=True):
        assert rows.dtype == np.float64
        np.testing.assert_array_equal(rows, plain.astype(np.float32))
        assert [bool(row.any()) for row in rows] == [bool(said.text.strip()) for said in corpus]


def test_a_text_that_is_new_is_computed_along_and_kept_with_the_others(path):
    made(path)
    more = [*corpora(), [Said("never said before")]]
    assert sorted(made(path, of=more).asked)[:1] == ["never said before"]
    assert "never said before" not in made(path).asked
    assert len(made(path, of=[[Said("never said before")]]).asked) == 1  # tried
    with duckdb.connect(str(path), read_only=True) as db:
        ((n,),) = db.execute("SELECT count(*) FROM embedding").fetchall()
    assert n == len({said.text for corpus in corpora() for said in corpus if said.text.strip()}) + 1


def test_the_vectors_of_one_probe_are_none_of_another_and_a_prompt_counts_where_it_is_read(path):
    made(path)
    other = made(path, probe=Dear(32))
    assert len(other.asked) > 8
    assert other.rows[0].shape == (30, 32)
    prompted = made(path, probe=Dear(prompted=True))
    spoken = sum(bool(said.text.strip()) for corpus in corpora() for said in corpus)
    assert len(prompted.asked) == spoken  # a text said to two prompts is two
    assert same(prompted, made(path, probe=Dear(prompted=True)))


def test_vectors_that_are_not_what_the_probe_gives_are_all_thrown_away_in_a_sentence(path):
    first = made(path)
    made(path, probe=Dear(32))
    change(path, "UPDATE embedding SET vector = list_transform(vector, lambda x: x * 1.01) WHERE probe = 'dear16'")
    again = made(path)
    (said,) = again.said
    assert (
        said
        == f"{path}: vectors of dear16 on file are not what it gives (8 of 8 that were tried differ); all are made anew"
    )
    assert same(first, again)
    assert set(again.asked) == set(first.asked)
    assert made(path).said == []
    assert len(made(path).asked) == len(made(path, probe=Dear(32)).asked) == 8


def test_a_difference_of_the_last_digits_is_none(path):
    made(path)
    change(path, "UPDATE embedding SET vector = list_transform(vector, lambda x: x * 1.0001)")
    assert made(path).said == []


def test_a_probe_that_computes_in_few_digits_says_itself_what_is_near(path):
    probe = Dear()
    probe.near = 0.02
    made(path)
    change(path, "UPDATE embedding SET vector = list_transform(vector, lambda x: x * 1.01)")
    assert made(path, probe=probe).said == []


def test_a_probe_that_costs_nothing_is_left_as_it_is(path):
    cheap, dear = HashProbe(), Dear()
    assert cached(cheap, path) is cheap
    wrapped = cached(dear, path)
    assert (wrapped.name, wrapped.prompted, wrapped.probe) == (dear.name, dear.prompted, dear)


def test_a_few_changed_vectors_are_found_as_often_as_the_lot_falls_on_them(path):
    """Half of them changed: seen but for a chance of 1 in 256 a time; three times running unseen, 1 in 16 million."""
    first = made(path)
    change(path, "UPDATE embedding SET vector = list_transform(vector, lambda x: -x) WHERE rowid % 2 = 0")
    again = [made(path) for _ in range(3)]
    assert [said for each in again for said in each.said]
    assert same(first, again[-1])


@pytest.mark.parametrize(
    "statement",
    ["UPDATE embedding SET vector = [1.0]", "UPDATE embedding SET vector = NULL WHERE rowid = 3",
     "ALTER TABLE embedding DROP COLUMN probe"],
)  # fmt: skip
def test_whatever_stands_there_instead_the_vectors_are_right(path, statement):
    first = made(path)
    change(path, statement)
    again = made(path)
    assert same(first, again)
    assert "are not what it gives" in again.said[0]


def test_fresh_takes_nothing_from_the_file_and_puts_what_is_computed_there(path):
    first = made(path)
    change(path, "UPDATE embedding SET vector = list_transform(vector, lambda x: -x)")
    again = made(path, fresh=True)
    assert again.said == []
    assert set(again.asked) == set(first.asked)
    assert same(first, again)
    assert same(first, made(path))
    assert made(path).said == []


def test_of_a_file_that_is_being_written_all_is_computed_and_nothing_kept_which_is_said_once(path):
    whole, said, probe = path.read_bytes(), [], Dear()
    cached = Cached(probe, path, warn=said.append)
    with files.writing(path):
        rows = [cached.embed(corpora(), [0, 0]) for _ in range(2)]
    assert path.read_bytes() == whole
    assert said == [f"vectors of dear16 are not kept for the next time: {path}: another run is writing this file"]
    assert all(np.array_equal(a, b) for a, b in zip(*rows, strict=True))
    assert same(made(path), Made(rows[0], [], []))


def test_what_was_computed_before_a_break_is_on_file(path, monkeypatch):
    monkeypatch.setattr(cache, "TOGETHER", 10)

    class Broken(Dear):
        def embed(self, corpora, paths):
            if len(self.asked) >= 20:
                raise KeyboardInterrupt
            return super().embed(corpora, paths)

    with pytest.raises(KeyboardInterrupt):
        made(path, probe=Broken())
    rest = made(path)
    assert len(rest.asked) == len({said.text for corpus in corpora() for said in corpus if said.text.strip()}) - 20 + 8


def test_nothing_said_is_nothing_kept(path):
    found = made(path, of=[[Said(""), Said(" ")], []])
    assert [rows.shape for rows in found.rows] == [(2, 16), (0, 16)]
    assert not found.rows[0].any()


def test_a_probe_that_looks_at_other_texts_cannot_be_cached(path):
    class Fitted(LsaProbe):
        identity = "lsa"

    with pytest.raises(ValueError, match="lsa32 depends on other texts"):
        made(path, probe=Fitted())


def test_the_record_is_sound_whatever_becomes_of_the_cache(path):
    for statement in (None, "UPDATE embedding SET vector = [1.0]", "DELETE FROM embedding", "DROP TABLE embedding"):
        if statement:
            change(path, statement)
        else:
            made(path)
        for fast in (False, True):
            whole, (verdict,) = verify(path, fast=fast)
            assert (whole, verdict.wrong, verdict.sealed) == ([], None, True)
