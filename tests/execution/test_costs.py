import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.execution.costs import costs
from tradearena.policy import Execution


def of(quantity, price, volume, **terms):
    """Commission, half spread and impact, per symbol."""
    arrays = (np.array(values, dtype=float) for values in (quantity, price, volume))
    return [part.tolist() for part in costs(*arrays, Execution(**terms))]


def test_commission_is_a_part_of_what_the_fill_is_worth():
    # 100 * 50 = 5000 at 2 bps: 1.00. Sales pay as purchases do: 40 * 25 = 1000: 0.20.
    commission, spread, impact = of([100, -40], [50, 25], [1e6, 1e6], commission_bps=2.0)
    assert commission == pytest.approx([1.00, 0.20])
    assert spread == impact == [0.0, 0.0]


def test_commission_is_at_least_its_minimum_for_what_is_filled_at_all():
    # 5000 at 2 bps is 1.00 and less than 1.50; 10,000 is 2.00 and more. What is not filled pays nothing.
    commission, *_ = of([100, 200, 0], [50, 50, 50], [1e6] * 3, commission_bps=2.0, commission_minimum=1.5)
    assert commission == pytest.approx([1.50, 2.00, 0.0])


def test_half_the_spread_is_paid_on_either_side():
    # 5000 at 4 bps: 2.00.
    assert of([100, -100], [50, 50], [1e6] * 2, half_spread_bps=4.0)[1] == pytest.approx([2.00, 2.00])


def test_linear_impact_grows_with_the_part_of_the_volume():
    # 5000 at 100 bps for all of the volume: 50. A tenth of it: 5.
    impact = of([100, 100], [50, 50], [100, 1000], impact_bps=100.0, impact="linear")[2]
    assert impact == pytest.approx([50.0, 5.0])


def test_square_root_impact_grows_with_the_root_of_the_part_of_the_volume():
    # 5000 at 100 bps for all of the volume: 50. A quarter of it: 25. A hundredth: 5.
    impact = of([100, 100, -100], [50, 50, 50], [100, 400, 10_000], impact_bps=100.0)[2]
    assert impact == pytest.approx([50.0, 25.0, 5.0])


def test_where_the_dataset_has_no_volume_there_is_no_impact():
    assert of([100], [50], [np.inf], impact_bps=100.0)[2] == [0.0]


def test_what_has_no_bar_costs_nothing():
    terms = {"commission_bps": 1.0, "commission_minimum": 1.0, "half_spread_bps": 1.0, "impact_bps": 1.0}
    assert of([0.0], [0.0], [0.0], **terms) == [[0.0], [0.0], [0.0]]


def test_total_is_the_sum_of_the_three():
    # 5000: 1 bp is 0.50, 2 bps are 1.00, 4 bps for a quarter of the volume are 2.00 * 1/2 = 1.00.
    terms = Execution(commission_bps=1.0, half_spread_bps=2.0, impact_bps=4.0)
    paid = costs(np.array([100.0]), np.array([50.0]), np.array([400.0]), terms)
    assert paid.total.tolist() == pytest.approx([0.50 + 1.00 + 1.00])


amounts = st.floats(0, 1e9)


@given(
    size=amounts,
    price=amounts,
    volume=st.floats(1e-3, 1e9),
    part=st.floats(0, 1),
    impact=st.sampled_from(("linear", "square-root")),
)
def test_a_part_of_a_fill_costs_no_more_than_its_part_and_the_minimum(size, price, volume, part, impact):
    """What the ledger relies on when it cuts purchases to the cash there is."""
    terms = Execution(commission_bps=3, commission_minimum=2, half_spread_bps=1, impact_bps=20, impact=impact)
    volume = np.array([volume])
    whole = costs(np.array([size]), np.array([price]), volume, terms).total[0]
    less = costs(np.array([size * part]), np.array([price]), volume, terms).total[0]
    assert less <= part * whole * (1 + 1e-12) + terms.commission_minimum
