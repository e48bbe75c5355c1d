"""The glance at the state limits against the map C: where it says yes, C has nothing to do."""

import numpy as np
from hypothesis import given, settings
from strategies import EXAMPLES, case, cases, seeds

from tradearena.risk.approval import MAPS, approve
from tradearena.risk.audit import audit
from tradearena.risk.limits import LimitSet
from tradearena.risk.trail import Trail

often = settings(max_examples=2 * EXAMPLES)


@often
@given(cases())
def test_what_is_met_at_a_glance_is_left_as_it_is_to_the_bit(case):
    decision, state, limits = case
    rules, both = LimitSet(state, limits), (state.current, decision.target)
    if rules.met(*both):
        trail = Trail()
        for weights in both:
            assert MAPS[limits.method](rules, weights, trail) is weights
        assert trail.findings == trail.clips == []


class Mapped(LimitSet):
    """Never trusts a glance."""

    def met(self, one, two):  # noqa: ARG002
        return False


@often
@given(cases(pins=False))
def test_the_glance_changes_nothing_of_what_is_approved_or_found(case):
    decision, state, limits = case
    glanced, mapped = Trail(), Trail()
    approved = approve(LimitSet(state, limits), decision.target, glanced)
    assert approved.tobytes() == approve(Mapped(state, limits), decision.target, mapped).tobytes()
    assert glanced.findings == mapped.findings
    assert [(rule, moved.tobytes()) for rule, moved in glanced.clips] == [(r, m.tobytes()) for r, m in mapped.clips]


@settings(max_examples=200)
@given(seeds)
def test_what_lies_within_every_limit_is_met_at_a_glance(seed):
    """A glance that never said yes would save nothing."""
    decision, state, limits = case(np.random.default_rng(seed), 6, shorts=False, stuck=False, trade_limits=False)
    approved = 0.999 * audit(decision, state, limits).approved
    alone = [np.bincount(state.clusters)[label] == 1 for label in state.clusters]
    if limits.cluster is None or not (approved[alone] > limits.cluster).any():
        assert LimitSet(state, limits).met(approved, approved)
