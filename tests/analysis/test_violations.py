"""Violations, repeats and lags: worked by hand, and within their ranges whatever happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import finding, path_of
from strategies import case

from tradearena.analysis.violations import HORIZON, NOT_WISHES, UNSEEN, WISHES, breaches, compliance_lag, repeats
from tradearena.risk.audit import audit
from tradearena.values import Decision

A, B, G = ("single-name", "AAA"), ("single-name", "BBB"), ("gross", "")


def broken(*steps):
    return [None if step is None else frozenset(step) for step in steps]


# ---------------------------------------------------------------------- what is a violation


def test_a_violation_is_a_rule_that_changed_a_wish_and_the_name_it_did_so_for():
    path = path_of(
        [
            [finding("single-name", "AAA"), finding("gross"), finding("herfindahl", severity="flag")],
            [finding("pinned", "AAA"), finding("no-bar", "BBB"), finding("validity", "ZZZ")],
            [finding("single-name", "AAA"), finding("confidence")],
            [finding("drawdown", severity="flag")],
            [finding("turnover"), finding("reply", "error")],
            [],
            [finding("single-name", "AAA")],
        ],
        statuses=("ok", "repaired", "ok", "ok", "error", "ok", "fallback"),
    )
    assert breaches(path) == broken([A, G], [], None, None, None, [], None)


def test_findings_of_a_decision_that_is_not_there_are_nobodys():
    path = path_of([[finding("gross")], [finding("gross")]])
    lost = replace(path, found_at=path.found_at + 1)
    assert breaches(lost) == broken([], [G])


def test_every_rule_of_the_audit_is_one_or_the_other():
    rng = np.random.default_rng(0)
    spoke = set()
    for k in range(300):
        decision, state, limits = case(rng, 6, shorts=k % 3 == 0, stuck=k % 2 == 0)
        found = audit(decision, state, limits).findings
        spoke |= {each.rule for each in found if each.severity != "flag"}
    for odd in (Decision(None, status="error"), Decision(None, stray=(("ZZZ", "0.1"),))):
        spoke |= {each.rule for each in audit(odd, state, limits).findings if each.severity != "flag"}
    assert spoke <= set(WISHES) | set(NOT_WISHES)
    assert set(WISHES) <= spoke
    assert set(UNSEEN) < set(NOT_WISHES)
    assert not set(WISHES) & set(NOT_WISHES)


# ---------------------------------------------------------------------- repeats


def test_repeats_by_hand():
    # AAA, AAA again and the gross; then only the gross again; nothing; BBB at last, with nothing after it
    found = repeats(broken([A], [A, G], [G], [], [B]))
    assert (found.repeated, found.at_risk, found.rate) == (2, 4, 0.5)  # A and G repeat; A and G (the second) do not
    assert (found.violations, found.decisions, found.violating, found.violation_rate) == (5, 5, 4, 0.8)


def test_another_symbol_another_rule_or_a_decision_later_is_no_repeat():
    assert repeats(broken([A], [B])).rate == 0.0
    assert repeats(broken([A], [("sector", "AAA")])).rate == 0.0
    assert repeats(broken([A], [], [A])).rate == 0.0


def test_a_decision_that_was_not_looked_at_ends_the_risk_and_starts_none():
    found = repeats(broken([A], None, [A], [A]))
    assert (found.rate, found.at_risk, found.decisions, found.violation_rate) == (1.0, 1, 3, 1.0)


def test_without_a_violation_that_is_followed_there_is_no_rate():
    assert repeats(broken([], [], [A])).rate is None
    assert (repeats(broken([], [])).rate, repeats(broken([], [])).violation_rate) == (None, 0.0)
    assert (repeats(broken(None)).rate, repeats(broken(None)).violation_rate) == (None, None)
    assert repeats([]).violation_rate is None


def test_repeats_go_up_while_violations_go_down_where_the_easy_ones_are_prevented():
    """Why the rate does not stand alone: the second agent is better by every count."""
    careless = repeats(broken([A, B], [A], [A, B], [A], [A, B], [A], [A, B], [A]))
    careful = repeats(broken(*[[A]] * 8))
    assert careful.rate > careless.rate
    assert careful.violations < careless.violations


# ---------------------------------------------------------------------- lags


def test_lags_by_hand():
    # A for two decisions, G for one, both seen to end: S(1) = 1/2, S(2) = 0; 1 + 0.5
    found = compliance_lag(broken([A, G], [A], []))
    assert (found.mean, found.spells, found.open) == (1.5, 2, 0)
    # complied with at once
    assert compliance_lag(broken([A], [], [B], [])).mean == 1.0


def test_a_spell_that_is_still_open_counts_for_as_long_as_it_was_seen():
    # one ends after 1; one is seen for 2 and then not any more: S(1) = 1/2, and stays
    found = compliance_lag(broken([A], [B], [B]))
    assert (found.spells, found.open) == (2, 1)
    assert found.mean == 1 + (HORIZON - 1) * 0.5
    # seen for three, ended after one, two: S(1) = 2/3, S(2) = 1/3
    three = compliance_lag(broken([A, B, G], [B, G], [G], None), horizon=3)
    assert three.mean == pytest.approx(1 + 2 / 3 + 1 / 3)


def test_who_never_complies_has_the_horizon_and_who_never_offends_has_none():
    assert compliance_lag(broken(*[[A]] * 30)).mean == HORIZON
    assert compliance_lag(broken([], [])) == (None, 0, 0)
    assert compliance_lag([]) == (None, 0, 0)


def test_a_limit_that_is_broken_again_later_is_a_second_spell():
    found = compliance_lag(broken([A], [], [A], [A], []))
    assert (found.spells, found.open, found.mean) == (2, 0, 1.5)


steps = st.lists(st.one_of(st.none(), st.frozensets(st.sampled_from([A, B, G]))), max_size=25)


@given(steps)
def test_rates_lie_in_their_ranges_and_counts_add_up(found):
    counted, lag = repeats(found), compliance_lag(found)
    assert counted.rate is None or 0.0 <= counted.rate <= 1.0
    assert counted.repeated <= counted.at_risk <= counted.violations
    assert counted.violating <= counted.decisions <= len(found)
    assert lag.mean is None or 1.0 <= lag.mean <= HORIZON
    assert (lag.mean is None) == (counted.violations == 0)
    # every violation begins a spell, or repeats the one before it
    assert lag.spells == counted.violations - counted.repeated
    assert lag.open <= lag.spells


@given(steps)
def test_names_do_not_matter(found):
    turned = [None if step is None else frozenset({A: G, G: B, B: A}[each] for each in step) for step in found]
    assert (repeats(turned), compliance_lag(turned)) == (repeats(found), compliance_lag(found))
