"""The study as a whole: silent on no effect as often as it says, and not where one is planted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from traces import prattle, trace, walk

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.design import KINDS, Design
from tradearena.analysis.signatures.lexical_probes import HashProbe, LsaProbe
from tradearena.analysis.signatures.measures import BLOCKWISE, MEASURES
from tradearena.analysis.signatures.study import MINIMUM, judged, study
from tradearena.analysis.signatures.views import clouds

QUICK = Design(draws=99, blockwise=19, primary_only=True)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def wandering(dice: np.random.Generator, steps: int, d: int = 5) -> np.ndarray:
    """[K, d] an autocorrelated series that knows of nothing."""
    noise = dice.standard_normal((steps, d))
    made = np.zeros_like(noise)
    for k in range(1, steps):
        made[k] = 0.9 * made[k - 1] + noise[k]
    return made


def falls(steps: int, every: int = 25) -> np.ndarray:
    """A level that falls by a fifth every so many steps, the first time at step `every`."""
    k = np.arange(steps)
    return 1.0 + 0.002 * k - 0.2 * ((k % every) < every // 3) * (k >= every)


def narrowing(steps: int, every: int, before: int, seed: int) -> np.ndarray:
    """Vectors that point all over the place, but one way in the steps before each fall."""
    made = rng(seed).standard_normal((steps, 6))
    k = np.arange(steps)
    made[(k % every >= every - before) | (k % every == every)] = np.arange(6.0)
    return made


def planted(steps: int = 260, **over):
    return trace(
        prattle(rng(1), steps), falls(steps), market=falls(steps), intent=narrowing(steps, 25, 6, seed=2), **over
    )


def rows_of(traces, probes=(), design=QUICK):
    return {(r.group, r.view, r.probe, r.anchors, r.statistic): r for r in study(traces, probes, design)}


def test_p_is_as_small_as_it_should_be_as_often_as_it_should_be():
    ps = {kind: [] for kind in KINDS}
    for seed in range(150):
        dice = rng(seed)
        one = trace([""] * 240, walk(dice, 240), market=walk(dice, 240), intent=wandering(dice, 240))
        for row in study([one], (), replace(QUICK, before=3, spacing=8)):
            if row.p is not None:
                ps[row.anchors].append(row.p)
    for held in ps.values():
        assert len(held) > 100
        assert binomtest(sum(p <= 0.05 for p in held), len(held), 0.05).pvalue > 0.01
        assert 0.4 < np.mean(held) < 0.6


def test_wishes_that_narrow_before_every_fall_are_found_and_of_ones_own_nav_are_called_mechanical():
    found = rows_of([planted()])
    for kind in KINDS:
        row = found["a, hidden", "intent", "weights", kind, "effective_rank"]
        assert row.p == pytest.approx(0.01)
        assert row.value < row.interval[1] < row.null_mean
        assert row.verdict == ("mechanical" if kind == "own" else "contraction before trouble")
        assert row.primary is (kind == "market")
        assert row.n_anchors == 9
        assert row.n_clusters == 1
        if kind == "own":
            continue
        lead = dict(zip(row.lead.steps, row.lead.value, strict=True))
        assert lead[0] == pytest.approx(row.value)
        assert min(lead, key=lead.get) == 0
        assert lead[-12] > 0.3 * row.value
    assert all(row.p is None or row.p > 0.01 for key, row in found.items() if key[1] == "plan")


def test_too_few_anchors_are_not_enough_and_no_text_is_no_text():
    few = replace(planted(), market=falls(260, 100), nav=np.ones(260))
    found = rows_of([few], [HashProbe()])
    own = found["a, hidden", "plan", "hash256", "own", "effective_rank"]
    market = found["a, hidden", "intent", "weights", "market", "effective_rank"]
    assert (own.verdict, own.n_anchors, own.n_clusters, own.value) == ("not enough", 0, 0, None)
    assert market.verdict == "not enough"
    assert 0 < market.n_anchors < MINIMUM
    silent = rows_of([planted(reflect=None)], [HashProbe()])
    assert silent["a, hidden", "reflect", "hash256", "market", "effective_rank"].verdict == "no text"


class Widths:
    """Turns texts into vectors that are wider with each trajectory, as the states of different models are."""

    name, prompted, common = "widths", False, True

    def embed(self, corpora, _paths):
        return [
            None if corpus is None else rng(i).standard_normal((len(corpus), 4 + i)) for i, corpus in enumerate(corpora)
        ]


def test_vectors_of_different_widths_are_told_apart_within_each_trajectory():
    paths = [replace(planted(), episode=f"e{i}", window=Window(f"path {i}", 0, 259)) for i in range(2)]
    paths[1] = replace(paths[1], intent=np.hstack([paths[1].intent, paths[1].intent[:, :1]]))
    found = rows_of(paths, [Widths()], replace(QUICK, primary_only=False))
    for view, probe in (("plan", "widths"), ("intent", "weights")):
        row = found["a, hidden", view, probe, "market", "auc"]
        assert row.n_clusters == 2
        assert 0.0 <= row.value <= 1.0


def test_every_statistic_is_there_and_only_the_declared_one_is_adjusted_for_how_often_was_asked():
    found = study([planted()], [HashProbe()], replace(QUICK, primary_only=False))
    assert {row.statistic for row in found} == {*MEASURES, *BLOCKWISE}
    primary = [row for row in found if row.primary]
    assert {row.statistic for row in primary} == {"effective_rank"}
    mechanical = 3  # intent, reflect and fused, at anchors of one's own
    assert len(primary) == 2 * len(list(clouds([planted()], [HashProbe()]))) - mechanical
    assert not any(row.anchors == "own" and row.view in ("intent", "reflect", "fused") for row in primary)
    assert all((row.p_adjusted is None) == (not row.primary or row.p is None) for row in found)
    assert all(row.p_adjusted >= row.p for row in primary if row.p is not None)


def test_the_same_traces_give_the_same_bits():
    both = [planted(), replace(planted(), episode="f", group="b, true", intent=narrowing(260, 25, 6, seed=9))]
    assert study(both, [HashProbe()], QUICK) == study(both, [HashProbe()], QUICK)


def test_windows_that_overlap_are_one_cluster_and_others_are_more():
    one, other = planted(), planted(episode="f")
    later = replace(other, window=Window("p", 150, 410), decided=other.decided + 130)
    apart = replace(other, window=Window("q", 20, 280))
    key = ("a, hidden", "intent", "weights", "market", "effective_rank")
    assert rows_of([one, later])[key].n_clusters == 1
    assert rows_of([one, apart])[key].n_clusters == 2
    assert len(rows_of([one, apart])[key].by_cluster) == 2


def test_a_trajectory_that_begins_later_on_the_path_is_placed_where_it_is():
    one = planted()
    part = slice(50, 260)
    cut = replace(
        one,
        episode="f",
        window=Window("p", 70, 280),
        **{name: getattr(one, name)[part] for name in (
            "decided", "plan", "reflect", "intent", "risk", "nav", "market", "volatility", "momentum")},
    )  # fmt: skip
    row = rows_of([one, cut])["a, hidden", "intent", "weights", "market", "effective_rank"]
    assert row.n_clusters == 1
    assert row.verdict == "contraction before trouble"


def test_lsa_is_judged_by_other_trajectories_only():
    alone = rows_of([planted()], [LsaProbe(4)])
    assert alone["a, hidden", "plan", "lsa4", "market", "effective_rank"].verdict == "nothing to fit on"


def test_p_and_interval_by_hand():
    draws = np.array([3.0, 1.0, -1.0, 0.0, 2.0, -2.0, 1.0, -1.0, 0.0, -3.0])
    value, mean, interval, p = judged(draws)
    assert (value, mean, p) == (3.0, 0.0, pytest.approx(0.2))
    assert interval == pytest.approx((0.0, 6.0))  # nine in ten are no further from 0 than 3
    assert judged(np.array([np.nan, 1.0])) == (None, None, None, None)
    assert judged(np.array([1.0])) == (1.0, None, None, None)


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_leaves_out_the_null_where_p_is_small_and_only_there(seed):
    draws = np.concatenate(([2.0 + 0.02 * seed], rng(seed).standard_normal(999)))
    _, mean, interval, p = judged(draws)
    if abs(p - 0.05) > 0.002:
        assert (interval[0] <= mean <= interval[1]) == (p > 0.05)


@pytest.mark.parametrize("spoken", [lambda k: k % 10 == 5, lambda k: k < 60])
def test_anchors_before_which_nothing_was_said_are_no_evidence_on_what_is_said(spoken):
    """Of ten falls the words of few windows are known: a p of these would be printed as one of ten."""
    whole = planted()
    quiet = [said if spoken(k) else said._replace(text="") for k, said in enumerate(whole.plan)]
    probe = HashProbe(16)
    known, lost = (rows_of([each], [probe]) for each in (whole, replace(whole, plan=tuple(quiet))))
    name = "a, hidden", "plan", probe.name, "market", "effective_rank"
    assert known[name].n_anchors >= MINIMUM
    assert known[name].p is not None
    assert lost[name].n_anchors < MINIMUM
    assert (lost[name].p, lost[name].verdict) == (None, "not enough")
    intent = "a, hidden", "intent", "weights", "market", "effective_rank"
    assert lost[intent].n_anchors == known[intent].n_anchors
