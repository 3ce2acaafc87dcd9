"""`evaluate`: every metric at once, the same as each alone."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from riskscore import metrics
from riskscore.metrics import (
    brier_score,
    calibration,
    concordance,
    d_calibration,
    evaluate,
    integrated_brier,
    net_benefit,
    royston_d,
    time_dependent_auc,
)
from tests.riskscore.simulated import simulated


def test_the_door() -> None:
    """The public names are these."""
    assert metrics.__all__ == [
        "brier_score", "calibration", "concordance", "cumulative_incidence",
        "d_calibration", "evaluate", "integrated_brier", "kaplan_meier", "net_benefit", "royston_d",
        "time_dependent_auc",
    ]  # fmt: skip


def test_evaluate_gathers_what_the_functions_say() -> None:
    """Every part is the function's own answer, and JSON can hold it all."""
    data = simulated(100, 11)
    time, event, horizons = data["time"], data["event"], data["horizons"]
    own = np.exp(-time / 10 * np.exp(data["risk_score"]))
    found = evaluate(
        **data, grid=horizons, grid_survival=data["survival"], survival_at_time=own,
        thresholds=[0.2, 0.4], n_bootstrap=50, seed=3,
    )  # fmt: skip
    given = time, event, data["survival"], horizons
    assert found.harrell == concordance(time, event, data["risk_score"])
    assert found.uno == concordance(
        time, event, data["risk_score"], weighting="uno", tau=horizons[-1]
    )
    assert [at.brier for at in found.horizons] == brier_score(*given, n_bootstrap=50, seed=3)
    assert [at.calibration for at in found.horizons] == calibration(*given, n_bootstrap=50, seed=3)
    assert [at.decision for at in found.horizons] == net_benefit(*given, thresholds=[0.2, 0.4])
    assert found.integrated_brier == integrated_brier(*given, n_bootstrap=50, seed=3)
    assert found.d_calibration == d_calibration(time, event, own)
    assert found.royston == royston_d(time, event, data["risk_score"])
    for k, at in enumerate(found.horizons):
        [auc] = time_dependent_auc(time, event, 1 - data["survival"][:, k], horizons[k])
        assert at.auc == auc
        assert at.events == (event & (time <= at.horizon)).sum()
        assert at.beyond == (time > at.horizon).sum()
    assert found.notes == ()
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_seed_decides_the_bootstrap() -> None:
    """The same seed gives the same intervals, another one others; the values never change."""
    data = simulated(80, 12)
    one, same, other = (evaluate(**data, n_bootstrap=40, seed=s) for s in (1, 1, 2))
    assert one.to_dict() == same.to_dict()  # NaN is None there, and equals itself
    ipa, its = one.horizons[0].brier.ipa, other.horizons[0].brier.ipa
    assert ipa.value == its.value
    assert ipa.lower != its.lower
    curve = one.horizons[0].calibration.curve
    assert curve is not None
    assert all(low <= high for low, high in zip(curve.lower, curve.upper, strict=True))


def test_median_follow_up_is_the_reverse_kaplan_meier() -> None:
    """Censored at 2 of 3, at 4 of 1 after the event at 3 left: 2/3, then 0."""
    data: dict[str, Any] = {
        "time": [1, 2, 3, 4], "event": [1, 0, 1, 0], "survival": [0.2, 0.5, 0.4, 0.8],
        "risk_score": [4, 2, 3, 1], "horizons": 2.5,
    }  # fmt: skip
    assert evaluate(**data, n_bootstrap=0).median_follow_up == 4
    data["event"] = [1, 0, 1, 1]
    assert evaluate(**data, n_bootstrap=0).median_follow_up is None


def test_the_order_of_patients_changes_nothing() -> None:
    """Rows shuffled, every figure the same to the last few bits."""
    data = simulated(90, 7)
    shuffled = np.random.default_rng(1).permutation(90)
    other = {k: v if k == "horizons" else v[shuffled] for k, v in data.items()}
    one, two = (_flat(evaluate(**d, n_bootstrap=0).to_dict()) for d in (data, other))
    assert one == pytest.approx(two, rel=1e-8, abs=1e-10)  # sums in another order


def _flat(value: object, path: str = "") -> dict[str, float]:
    """Return every number under its path."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = ((str(k), inner) for k, inner in enumerate(value))  # type: ignore[assignment]
    else:
        return {path: float(value)} if isinstance(value, int | float) else {}
    return {k: v for key, inner in pairs for k, v in _flat(inner, f"{path}/{key}").items()}


def test_flat_finds_every_number() -> None:
    """The helper above would otherwise let a comparison of nothing pass."""
    assert _flat({"a": [1, {"b": 2.5}], "c": None}) == {"/a/0": 1.0, "/a/1/b": 2.5}
    assert len(_flat(evaluate(**simulated(90, 7), n_bootstrap=0).to_dict())) > 1000
    assert math.isfinite(evaluate(**simulated(90, 7), n_bootstrap=0).harrell.value)  # type: ignore[union-attr]
