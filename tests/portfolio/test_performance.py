import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.portfolio import performance as p

# Returns +10 %, -20 %, +25 %: mean 0.05, deviations 0.05, -0.25, 0.20, sum of squares 0.105, variance 0.0525.
PATH = np.array([100.0, 110.0, 88.0, 110.0])
YEAR = 252.0

ANNUALISED = [p.annual_return, p.annual_volatility, p.sharpe, p.sortino, p.calmar]
paths = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60).map(
    lambda returns: 100 * np.concatenate(([1.0], np.cumprod(1 + np.array(returns))))
)


def test_total_return_of_the_worked_case():
    assert p.total_return(PATH) == pytest.approx(0.1)


def test_annual_return_of_the_worked_case():
    # 1.1 in 3 bars; in a year of 6 bars 1.1^2.
    assert p.annual_return(PATH, 6.0) == pytest.approx(0.21)


def test_annual_volatility_of_the_worked_case():
    # sqrt(0.0525) = 0.229129 a bar; a year of 4 bars doubles it.
    assert p.annual_volatility(PATH, 4.0) == pytest.approx(2 * np.sqrt(0.0525))


def test_sharpe_of_the_worked_case():
    # 0.05 / 0.229129 * 2.
    assert p.sharpe(PATH, 4.0) == pytest.approx(0.4364357804719847)


def test_sortino_of_the_worked_case():
    # One of three returns is negative: sqrt(0.04 / 3) = 0.115470; 0.05 / 0.115470 * 2.
    assert p.sortino(PATH, 4.0) == pytest.approx(0.8660254037844386)


def test_drawdowns_of_the_worked_case():
    np.testing.assert_allclose(p.drawdowns(PATH), [0, 0, 0.2, 0], atol=1e-15)
    assert p.max_drawdown(PATH) == pytest.approx(0.2)


def test_calmar_of_the_worked_case():
    # 0.21 / 0.2.
    assert p.calmar(PATH, 6.0) == pytest.approx(1.05)


def test_tracking_error_of_the_worked_case():
    # The other path returns +10 %, +10 %, +10 %: differences 0, -0.3, 0.15, mean -0.05, squares of deviations
    # 0.0025 + 0.0625 + 0.04 = 0.105, variance 0.0525; a year of 4 bars doubles its root.
    other = 50 * 1.1 ** np.arange(4)
    assert p.tracking_error(PATH, other, 4.0) == pytest.approx(2 * np.sqrt(0.0525))


def test_a_drawdown_is_measured_from_the_peak_before_it():
    np.testing.assert_allclose(p.drawdowns(np.array([4.0, 2.0, 8.0, 6.0])), [0, 0.5, 0, 0.25])
    assert p.max_drawdown(np.array([4.0, 2.0, 8.0, 6.0])) == 0.5


@settings(max_examples=500, deadline=None)
@given(nav=paths, power=st.integers(-30, 30))
def test_the_currency_does_not_matter(nav, power):
    for metric in ANNUALISED:
        assert metric(nav * 2.0**power, YEAR) == metric(nav, YEAR)
    assert p.total_return(nav * 2.0**power) == p.total_return(nav)
    assert p.max_drawdown(nav * 2.0**power) == p.max_drawdown(nav)


@settings(max_examples=500, deadline=None)
@given(nav=paths)
def test_risk_grows_with_the_square_root_of_the_bars_in_a_year(nav):
    assert p.annual_volatility(nav, 4 * YEAR) == pytest.approx(2 * p.annual_volatility(nav, YEAR))
    for ratio in (p.sharpe, p.sortino):
        if ratio(nav, YEAR) is not None:
            assert ratio(nav, 4 * YEAR) == pytest.approx(2 * ratio(nav, YEAR))


@settings(max_examples=500, deadline=None)
@given(nav=paths)
def test_drawdowns_lie_between_none_and_all(nav):
    falls = p.drawdowns(nav)
    assert ((falls >= 0) & (falls < 1)).all()
    assert p.max_drawdown(nav) == falls.max()
    assert falls[0] == 0


@settings(max_examples=500, deadline=None)
@given(nav=paths)
def test_a_path_does_not_deviate_from_itself_and_deviates_from_cash_by_its_volatility(nav):
    assert p.tracking_error(nav, 3 * nav, YEAR) == pytest.approx(0.0, abs=1e-12)
    cash = np.ones_like(nav)
    assert p.tracking_error(nav, cash, YEAR) == pytest.approx(p.annual_volatility(nav, YEAR))
    assert p.tracking_error(nav, cash, YEAR) == p.tracking_error(cash, nav, YEAR)


@settings(max_examples=500, deadline=None)
@given(nav=paths)
def test_what_is_defined_is_finite(nav):
    for metric in ANNUALISED:
        value = metric(nav, YEAR)
        assert value is None or (isinstance(value, float) and np.isfinite(value))


@pytest.mark.parametrize("nav", [np.array([]), np.array([100.0])], ids=["empty", "one bar"])
def test_a_path_without_a_return_has_no_figures(nav):
    for metric in ANNUALISED:
        assert metric(nav, YEAR) is None
    assert p.total_return(nav) is None
    assert p.max_drawdown(nav) is None
    assert p.tracking_error(nav, nav, YEAR) is None


def test_one_return_has_no_deviation():
    nav = np.array([100.0, 90.0])
    for metric in (p.annual_volatility, p.sharpe, p.sortino):
        assert metric(nav, YEAR) is None
    assert p.tracking_error(nav, nav, YEAR) is None
    assert p.total_return(nav) == pytest.approx(-0.1)
    assert p.annual_return(nav, 2.0) == pytest.approx(-0.19)
    assert p.max_drawdown(nav) == pytest.approx(0.1)


@pytest.mark.parametrize("growth", [1.0, 1.001, 1.1, 0.99], ids=["cash", "interest", "boom", "decay"])
def test_a_ratio_to_no_risk_is_undefined_even_after_rounding(growth):
    nav = 100 * growth ** np.arange(50)
    assert p.sharpe(nav, YEAR) is None
    assert p.annual_volatility(nav, YEAR) == pytest.approx(0.0, abs=1e-12)
    if growth >= 1:
        assert p.sortino(nav, YEAR) is None
        assert p.calmar(nav, YEAR) is None
        assert p.max_drawdown(nav) == 0.0


def test_a_path_may_end_in_ruin():
    nav = np.array([100.0, 50.0, -10.0])
    assert p.total_return(nav) == pytest.approx(-1.1)
    assert p.max_drawdown(nav) == pytest.approx(1.1)
    assert p.annual_return(nav, YEAR) is None
    assert p.calmar(nav, YEAR) is None
    # Returns -0.5 and -1.2: mean -0.85, variance 0.245.
    assert p.sharpe(nav, 1.0) == pytest.approx(-0.85 / np.sqrt(0.245))


def test_a_path_that_ends_at_nothing_lost_everything():
    nav = np.array([100.0, 50.0, 0.0])
    assert p.total_return(nav) == -1.0
    assert p.annual_return(nav, YEAR) == -1.0
    assert p.max_drawdown(nav) == 1.0
    assert p.calmar(nav, YEAR) == -1.0


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan, np.inf], ids=["nothing", "debt", "unknown", "infinite"])
def test_a_path_that_goes_on_after_ruin_has_no_figures(bad):
    nav = np.array([100.0, bad, 50.0])
    for metric in ANNUALISED:
        assert metric(nav, YEAR) is None
    assert p.total_return(nav) is None
    assert p.max_drawdown(nav) is None
    assert p.tracking_error(PATH[:3], nav, YEAR) is None


def test_a_growth_beyond_all_numbers_is_undefined():
    assert p.annual_return(np.array([1.0, 1e10]), 1e6) is None
    assert p.calmar(np.array([2.0, 1.0, 1e10]), 1e6) is None


def test_drawdowns_without_a_positive_peak_are_unknown():
    np.testing.assert_array_equal(p.drawdowns(np.array([0.0, 2.0, 1.0])), [np.nan, 0.0, 0.5])


def test_paths_of_unequal_length_cannot_be_paired():
    with pytest.raises(ValueError, match="4 and 3 bars"):
        p.tracking_error(PATH, PATH[:3], YEAR)
