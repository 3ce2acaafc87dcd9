"""Hazard ratios as text."""

from __future__ import annotations

import math

__all__ = ["hazard_ratio_text"]

LEAST, MOST = 1e-6, 1e6
"""Hazard ratios outside these are printed as beyond them: their digits say nothing."""


def hazard_ratio_text(ratio: float, digits: str = ".3f") -> str:
    """Return a hazard ratio in the format given, or that it is beyond what has a meaning.

    >>> hazard_ratio_text(0.5), hazard_ratio_text(1e74), hazard_ratio_text(0.0)
    ('0.500', '>1e6', '<1e-6')
    """
    if math.isnan(ratio) or LEAST <= ratio <= MOST:
        return format(ratio, digits)
    return "<1e-6" if ratio < LEAST else ">1e6"
