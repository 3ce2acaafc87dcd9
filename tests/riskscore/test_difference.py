"""Interval of a difference of survival: its quantiles, its sign, and that nothing is random."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from riskscore.difference import difference_interval, normal_cdf, survival_difference

FloatArray = NDArray[np.float64]

Z = 1.959963984540054


def cases(seed: int, n: int) -> tuple[FloatArray, ...]:
    """Return log hazards, effects and their joint variance, from small to large cohorts."""
    random = np.random.default_rng(seed)
    a, d = random.uniform(-6, 1.5, n), random.normal(0, 0.8, n)
    sa, sd = random.uniform(0.03, 0.6, n), random.uniform(0.03, 0.7, n)
    return a, d, sa**2, random.uniform(-0.95, 0.95, n) * sa * sd, sd**2


def below(q: float, a: float, d: float, va: float, cov: float, vd: float) -> float:
    """Return the probability of a difference below q, by sums over 40,001 values of a."""
    u = np.linspace(-8, 8, 40_001)
    survival = np.exp(-np.exp(a + np.sqrt(va) * u))
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.log(-np.log(survival + q)) - (a + np.sqrt(va) * u)
    least = np.where(survival + q >= 1, -np.inf, np.where(survival + q <= 0, np.inf, least))
    mean, sd = d + cov / np.sqrt(va) * u, np.sqrt(vd - cov**2 / va)
    above = stats.norm.cdf((least - mean) / sd)
    return float(1 - (above * stats.norm.pdf(u)).sum() * (u[1] - u[0]))


def test_bounds_are_quantiles_of_the_joint_distribution() -> None:
    """2.5 % of the distribution lies beyond each bound, unless the bound is the estimate."""
    drawn = cases(1, 150)
    lower, upper = difference_interval(*drawn)
    for i, case in enumerate(zip(*(v.tolist() for v in drawn), strict=True)):
        # 1e-4 of a probability: what the quadrature leaves where the integrand is steepest.
        assert below(float(lower[i]), *case) == pytest.approx(0.025, abs=1e-4)
        assert below(float(upper[i]), *case) == pytest.approx(0.975, abs=1e-4)


@settings(max_examples=300, deadline=None)
@given(
    a=st.floats(-12, 3),
    d=st.floats(-4, 4),
    sa=st.floats(1e-3, 2),
    sd=st.floats(1e-3, 2),
    correlation=st.floats(-1, 1),
    level=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_excludes_0_where_the_hazard_ratio_s_interval_excludes_1(
    a: float, d: float, sa: float, sd: float, correlation: float, level: float
) -> None:
    """Whatever the joint distribution, degenerate ones included."""
    z = float(stats.norm.ppf(0.5 + level / 2))
    arrays = (np.array([v]) for v in (a, d, sa**2, correlation * sa * sd, sd**2))
    lower, upper = (float(v[0]) for v in difference_interval(*arrays, level=level))
    point = float(np.exp(-np.exp(a + d)) - np.exp(-np.exp(a)))
    assert -1 <= lower <= upper <= 1
    assert lower - 1e-15 <= point <= upper + 1e-15  # the last bit of the subtraction
    if abs(abs(d) - z * sd) > 1e-9 * sd:  # nearer, rounding decides which side it is
        assert (lower > 0) == (d + z * sd < 0)
        assert (upper < 0) == (d - z * sd > 0)


@settings(max_examples=300, deadline=None)
@given(
    a=st.floats(-30, 30),
    d=st.floats(-12, 12),
    sa=st.floats(0, 3),
    sd=st.floats(1e-3, 3),
    correlation=st.floats(-1, 1),
)
@example(a=8, d=-0.5, sa=0.3, sd=0.25, correlation=0.0)
@example(a=7, d=-0.8, sa=0.3, sd=0.25, correlation=0.0)
@example(a=30, d=-12, sa=3, sd=3, correlation=1.0)
@example(a=30, d=-60, sa=0.1, sd=0.1, correlation=0.0)
def test_bounds_are_finite_and_ordered_where_survival_is_0_or_1_in_doubles(
    a: float, d: float, sa: float, sd: float, correlation: float
) -> None:
    """exp(-H) * expm1(-H * expm1(d)) was 0 * inf where survival underflows and d is negative."""
    arrays = [np.array([v]) for v in (a, d, sa**2, correlation * sa * sd, sd**2)]
    lower, upper = (float(v[0]) for v in difference_interval(*arrays))
    point = float(survival_difference(arrays[0], arrays[1])[0])
    assert -1 <= lower <= point <= upper <= 1
    if point == 0:  # both survivals are the same in doubles: which is higher cannot be told
        return
    if abs(abs(d) - Z * sd) > 1e-9 * sd:  # nearer, rounding decides which side it is
        assert (lower > 0) == (d + Z * sd < 0)
        assert (upper < 0) == (d - Z * sd > 0)


def test_the_difference_itself_from_ordinary_to_extreme() -> None:
    """Against decimals of 60 digits; with an underflow it is 0, never NaN."""
    getcontext().prec = 60
    a, d = (
        v.ravel() for v in np.meshgrid([-30, -6, -1, 0, 1.5, 4, 8, 30], [-40, -0.5, -1e-9, 0.3, 40])
    )
    exact = [
        float((-(Decimal(x) + Decimal(y)).exp()).exp() - (-Decimal(x).exp()).exp())
        for x, y in zip(a.tolist(), d.tolist(), strict=True)
    ]
    # 1e-13 of the figure: exp(-H) magnifies H's last bit by H, which is below 60 where it is not 0.
    np.testing.assert_allclose(survival_difference(a, d), exact, rtol=1e-13, atol=1e-300)
    none = survival_difference(
        np.array([-np.inf, -np.inf, 900.0]), np.array([-2.0, 900.0, -1000.0])
    )
    assert none.tolist() == [0.0, 0.0, 1.0]


def test_exchanging_the_two_treatments_changes_the_sign_alone() -> None:
    """The reference's log hazard and the effect, seen from the other treatment."""
    a, d, va, cov, vd = cases(2, 400)
    lower, upper = difference_interval(a, d, va, cov, vd)
    other_lower, other_upper = difference_interval(a + d, -d, va + 2 * cov + vd, -(cov + vd), vd)
    # 1e-11: the iteration ends when what remains is about 1e-14 of the bound's logarithm.
    np.testing.assert_allclose(lower, -other_upper, rtol=0, atol=1e-11)
    np.testing.assert_allclose(upper, -other_lower, rtol=0, atol=1e-11)


def test_the_last_bits_of_the_input_stay_last_bits() -> None:
    """Another machine's input differs by rounding; so must its bounds: 1e-9 is promised."""
    drawn = cases(3, 1000)
    random = np.random.default_rng(4)
    moved = (v * (1 + 1e-15 * random.integers(-4, 5, len(v))) for v in drawn)
    for one, other in zip(difference_interval(*drawn), difference_interval(*moved), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def test_a_patient_s_bounds_do_not_depend_on_the_others() -> None:
    """Alone, or among 1,000 that iterate longer or take more nodes."""
    drawn = cases(5, 1000)
    together = difference_interval(*drawn)
    for i in range(0, 1000, 97):
        alone = difference_interval(*(v[i : i + 1] for v in drawn))
        for one, all_of_them in zip(alone, together, strict=True):
            # 1e-14: sums over nodes may be blocked differently.
            assert one[0] == pytest.approx(all_of_them[i], rel=0, abs=1e-14)


def test_the_bound_moves_smoothly_through_0() -> None:
    """As the hazard ratio's bound passes 1, the difference's passes 0 without a jump."""
    sd, n = 0.25, 401
    d = np.linspace(-Z * sd - 0.01, -Z * sd + 0.01, n)
    one = np.ones(n)
    lower, _ = difference_interval(-0.5 * one, d, 0.02 * one, -0.01 * one, sd**2 * one)
    steps = np.diff(lower)
    assert steps.max() < 0
    assert steps.min() / steps.max() < 1.05


def test_no_effect_for_certain_is_no_difference() -> None:
    """A patient compared with itself."""
    zero, one = np.zeros(1), np.ones(1)
    assert [float(b[0]) for b in difference_interval(-one, zero, one, zero, zero)] == [0.0, 0.0]


def test_the_normal_distribution_function_is_scipy_s() -> None:
    """Hart's rational function is good to double precision, and stays flat beyond 7."""
    x = np.linspace(-7, 7, 4001)
    np.testing.assert_allclose(normal_cdf(x), stats.norm.cdf(x), rtol=0, atol=5e-16)
    far = normal_cdf(np.array([-np.inf, -9, 9, np.inf]))
    np.testing.assert_allclose(far, [0, 0, 1, 1], atol=1e-12)
