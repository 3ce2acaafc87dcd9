"""Coverage of the difference's interval in simulated cohorts of 90 patients."""

from __future__ import annotations

from tests.benchmarks.difference_coverage import coverage


def test_the_interval_of_a_difference_holds_the_true_one() -> None:
    """400 cohorts, four profiles at three horizons; the benchmark measures 2,000 of three sizes."""
    found = coverage(90, 400)
    assert found.cohorts > 390
    # Four standard errors of a share of 0.95 in 400 cohorts are 0.044.
    assert found.held.min() >= 0.95 - 0.044
    assert 0.93 <= found.held.mean() <= 0.97
    assert found.contradicted == 0
    # The symmetric interval, of about the same width, where survival is low.
    low = found.survival < 0.01
    assert found.symmetric_held[low].max() < 0.88
    assert found.symmetric_contradicted > 500
    middle = (found.survival > 0.2) & (found.survival < 0.8)
    ratio = found.width[middle] / found.symmetric_width[middle]
    assert 0.9 < ratio.min() <= ratio.max() < 1.1
