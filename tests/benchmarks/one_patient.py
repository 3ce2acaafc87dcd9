"""One patient, checks included, against scikit-survival's forest on the same 90 patients."""

from __future__ import annotations

import statistics
import tempfile
import timeit
from collections.abc import Callable, Iterator

from sksurv.ensemble import RandomSurvivalForest

from riskscore import load_model
from riskscore.study import load_study
from tests.conftest import PATIENT, simulate
from training.cohort import check_cohort
from training.encoding import StudyEncoder
from training.fit import Settings, fit

__all__ = ["measure"]


def measure() -> Iterator[str]:
    """Yield a line a figure: median over 15 repeats."""
    cohort = check_cohort(simulate(90, 1), load_study("deb-tace-hcc"), "os", tuple(PATIENT))
    encoder = StudyEncoder(cohort.predictors, forms=False).fit(cohort.X)
    reference = RandomSurvivalForest(
        500, min_samples_leaf=15, min_samples_split=30, random_state=0
    ).fit(encoder.transform(cohort.X), cohort.y)
    row = encoder.transform(cohort.X[:1])
    theirs = _seconds(lambda: reference.predict_survival_function(row), 5)
    yield f"scikit-survival forest, 500 trees, predict_survival_function   {theirs * 1e3:9.2f} ms"
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("cox", "forest"):
            fit(cohort, kind, Settings(trees=500)).write(f"{folder}/{kind}")
            model = load_model(f"{folder}/{kind}")
            x = model.answer([PATIENT]).inputs
            calls: dict[str, Callable[[], object]] = {
                "the ONNX call alone": lambda m=model, x=x: m._session.run(None, {"x": x}),
                "the core, without pandas": lambda m=model: m.answer([PATIENT]),
                "predict": lambda m=model: m.predict(PATIENT),
                "predict with DataFrames": lambda m=model: _frames(m.predict(PATIENT)),
            }
            for name, call in calls.items():
                ours = _seconds(call, 500)
                yield f"{kind:<7}{name:<26}{ours * 1e3:9.4f} ms, {theirs / ours:7.0f} times faster"


def _frames(p) -> tuple[object, ...]:  # type: ignore[no-untyped-def]
    return p.survival, p.lower, p.upper, p.median, p.rmst, p.risk_score, p.risk_group, p.notes


def _seconds(call: Callable[[], object], number: int) -> float:
    call()
    return statistics.median(timeit.repeat(call, number=number, repeat=15)) / number
