"""Coverage of the difference's interval in simulated cohorts of 90 patients."""

from __future__ import annotations

from tests.benchmarks.difference_coverage import coverage


def test_the_interval_of_a_difference_holds_the_true_one() -> None:
    """400 cohorts, four profiles at three horizons; the benchmark measures 2,000 of three sizes."""
    figures = coverage(90, 400)
    assert figures.cohorts > 390
    # Four standard errors of a share of 0.95 in 400 cohorts are 0.044.
    assert figures.held.min() >= 0.95 - 0.044
    assert 0.93 <= figures.held.mean() <= 0.97
    assert figures.contradicted == 0
    # The symmetric interval, of about the same width, where survival is low.
    low = figures.survival < 0.01
    assert figures.symmetric_held[low].max() < 0.88
    assert figures.symmetric_contradicted > 500
    middle = (figures.survival > 0.2) & (figures.survival < 0.8)
    ratio = figures.width[middle] / figures.symmetric_width[middle]
    assert 0.9 < ratio.min() <= ratio.max() < 1.1
