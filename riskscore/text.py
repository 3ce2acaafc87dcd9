"""Figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["in_100", "pairs_in_words"]


def pairs_in_words(right: float, wrong: float, same: float) -> str:
    """Return comparable pairs in 100, by order, in whole numbers that add up to 100.

    Parameters
    ----------
    right, wrong, same : float
        Pairs, or shares of them, whose higher score has the event first, second, or whose scores
        are equal.

    Examples
    --------
    >>> pairs_in_words(174353, 112148, 358838)
    '27 right, 17 wrong, 56 the same'
    >>> pairs_in_words(2, 1, 0)
    '67 right, 33 wrong'
    """
    counts = in_100((right, wrong, same))
    words = [f"{n} {word}" for n, word in zip(counts, ("right", "wrong", "the same"), strict=True)]
    return ", ".join(words if counts[2] else words[:2])


def in_100(parts: Sequence[float]) -> tuple[int, ...]:
    """Return parts of a whole as whole numbers that add up to 100, by the largest remainders.

    Examples
    --------
    >>> in_100((1, 1, 1))
    (34, 33, 33)
    """
    shares = [100 * part / sum(parts) for part in parts]
    whole = [math.floor(share) for share in shares]
    # A remainder is rounded first, so that no last bit decides between two alike.
    order = sorted(range(len(parts)), key=lambda k: (-round(shares[k] - whole[k], 6), k))
    for k in order[: 100 - sum(whole)]:
        whole[k] += 1
    return tuple(whole)
