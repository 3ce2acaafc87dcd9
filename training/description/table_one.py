"""Table 1: who was in each arm, and what was reported of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.study import Predictor
from training.description.contrasts import (
    Comparison,
    compare_counts,
    compare_means,
    compare_ranks,
    count_difference,
    largest_difference,
    mean_difference,
)
from training.description.reports import (
    ABSENT,
    EVENT_PREFIX,
    GRADES,
    RESPONSE_PREFIX,
    RESPONSES,
    UNGRADED,
    UNRECORDED,
)
from training.description.sample import Sample

__all__ = ["adverse_events", "responses", "table_one", "wilson"]

FloatArray = NDArray[np.float64]

RATES = {"ORR": 2, "DCR": 3}
"""Objective response and disease control: how many of `RESPONSES` count, from the best."""


def table_one(sample: Sample) -> list[dict[str, Any]]:
    """Return each predictor's distribution, overall and by arm, with tests and differences.

    The predictor that makes the arms is left out. `smd` is the largest standardised difference
    between any two arms; tests and differences leave missing values out.
    """
    rows = []
    for j, predictor in enumerate(sample.predictors):
        if sample.by is None or predictor.name != sample.by.name:
            groups = [sample.X[sample.arm == a, j] for a in range(len(sample.arms))]
            rows.append(_row(predictor, groups))
    return rows


def responses(sample: Sample) -> list[dict[str, Any]]:
    """Return responses by arm, with objective response and disease control of those evaluated."""
    rows = []
    for name, codes in sample.reports.responses.items():
        groups = [codes[sample.arm == a] for a in range(len(sample.arms))]
        counts = [[int((g == i).sum()) for i in range(len(RESPONSES))] for g in groups]
        evaluated = [sum(c) for c in counts]
        rates = []
        for label, reach in RATES.items():
            hits = [sum(c[:reach]) for c in counts]
            shares = [_share(h, n) for h, n in zip(hits, evaluated, strict=True)]
            rates.append({"name": label, "groups": shares, "test": _binary_test(hits, evaluated)})
        rows.append(
            {
                "name": name,
                "label": name.removeprefix(RESPONSE_PREFIX),
                "evaluated": evaluated,
                "missing": [len(g) - n for g, n in zip(groups, evaluated, strict=True)],
                "counts": [dict(zip(RESPONSES, c, strict=True)) for c in counts],
                "rates": rates,
            }
        )
    return rows


def adverse_events(sample: Sample) -> list[dict[str, Any]]:
    """Return adverse events by arm and grade; arms where nobody was recorded are not compared."""
    rows = []
    for name, codes in sample.reports.adverse_events.items():
        groups = [codes[sample.arm == a] for a in range(len(sample.arms))]
        recorded = [int((g != UNRECORDED).sum()) for g in groups]
        counts = [int(((g != UNRECORDED) & (g != ABSENT)).sum()) for g in groups]
        grades = [{str(k): int((g == k).sum()) for k in GRADES} for g in groups]
        shown = [
            {**_share(count, n), "ungraded": int((g == UNGRADED).sum()), "grades": by_grade}
            for count, n, g, by_grade in zip(counts, recorded, groups, grades, strict=True)
        ]
        label = name.removeprefix(EVENT_PREFIX).replace("_", " ")
        test = _binary_test(counts, recorded)
        rows.append({"name": name, "label": label, "groups": shown, "test": test})
    return rows


def wilson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share (1927, doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> [round(limit, 3) for limit in wilson(0, 10)]
    [0.0, 0.278]
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = count / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At the ends the limit is the share itself, but for the last bit.
    lower = 0.0 if count == 0 else float(middle - reach)
    return lower, 1.0 if count == n else float(middle + reach)


def _row(predictor: Predictor, groups: Sequence[FloatArray]) -> dict[str, Any]:
    known = [g[~np.isnan(g)] for g in groups]
    everybody = np.concatenate(groups)
    summary = _levels if predictor.is_category else _numbers
    row: dict[str, Any] = {
        "name": predictor.name,
        "label": predictor.label,
        "kind": "category" if predictor.is_category else "number",
        "unit": predictor.unit_words,
        "form": predictor.form,
        "overall": summary(everybody, predictor),
        "groups": [summary(g, predictor) for g in groups],
    }
    if predictor.is_category:
        counts = [np.bincount(g.astype(int), minlength=len(predictor.levels)) for g in known]
        table = [[int(n) for n in level] for level in np.transpose(counts)]
        row["test"] = _as_dict(compare_counts(table))
        shares = [c.astype(np.float64) for c in counts]
        row["smd"] = largest_difference(shares, count_difference)
    else:
        row["test"] = _as_dict(compare_means(known))
        row["rank_test"] = _as_dict(compare_ranks(known))
        row["smd"] = largest_difference(known, mean_difference)
    return row


def _levels(values: FloatArray, predictor: Predictor) -> dict[str, Any]:
    known = values[~np.isnan(values)].astype(int)
    counts = np.bincount(known, minlength=len(predictor.levels)).tolist()
    return {
        "n": len(known),
        "missing": len(values) - len(known),
        "counts": dict(zip(predictor.levels, counts, strict=True)),
    }


def _numbers(values: FloatArray, predictor: Predictor) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    found: dict[str, Any] = {"n": len(known), "missing": len(values) - len(known)}
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    if not len(known):
        return {**found, "mean": None, "sd": None, **dict.fromkeys(names)}
    quantiles = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist()
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return {
        **found,
        "mean": float(known.mean()),
        "sd": sd,
        **dict(zip(names, quantiles, strict=True)),
    }


def _share(count: int, n: int) -> dict[str, Any]:
    lower, upper = wilson(count, n) if n else (None, None)
    share = count / n if n else None
    return {"count": count, "n": n, "share": share, "lower": lower, "upper": upper}


def _binary_test(hits: Sequence[int], of: Sequence[int]) -> dict[str, Any] | None:
    return _as_dict(compare_counts([hits, [n - h for h, n in zip(hits, of, strict=True)]]))


def _as_dict(test: Comparison | None) -> dict[str, Any] | None:
    return None if test is None else asdict(test)
