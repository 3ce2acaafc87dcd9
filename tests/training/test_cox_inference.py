"""The inference of Cox models equals R's: survival 3.5 and, for splines, rms."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from riskscore.design import Term
from riskscore.study import Predictor, load_study
from training.adapters import adapt
from training.cohort import check_cohort
from training.cox import CoxModel
from training.cox.baseline_variance import model_based
from training.cox.hypotheses import quadratic
from training.cox.model import SCALES
from training.cox.proportional_hazards import (
    ProportionalHazards,
    proportional_hazards,
    smooth,
)
from training.cox.residuals import deviance, dfbeta, martingale
from training.encoding import StudyEncoder

ORACLE = Path(__file__).parents[1] / "oracle"
PUBLISHED = Path(__file__).parents[2] / "training" / "published"
R = json.loads((ORACLE / "cox_inference.json").read_text())

TOLERANCE = 1e-8
"""Relative. Both sides solve the same equations in double precision; R iterates to 1e-14 of the
log-likelihood, which leaves 2e-10 between them here, most where a small P value multiplies it."""


def number(name: str, form: str = "linear", knots: int | None = None) -> Predictor:
    """Return a predictor that is a number."""
    return Predictor(name, name, unit="1", range=(0.01, 1e6), form=form, knots=knots)


def category(name: str, *levels: str) -> Predictor:
    """Return a predictor that is a category."""
    return Predictor(name, name, levels=levels)


PUBLIC: dict[str, tuple[tuple[str, str], tuple[Predictor, ...]]] = {
    "lung": (
        ("time", "event"),
        (category("sex", "male", "female"), number("ph.karno"), number("age", "spline", 4)),
    ),
    "veteran": (
        ("time", "event"),
        (
            category("trt", "standard", "test"),
            category("celltype", "squamous", "smallcell", "adeno", "large"),
            number("karno"),
            number("age", "log"),
        ),
    ),
    "colon": (
        ("time", "event"),
        (category("rx", "Obs", "Lev", "Lev+5FU"), number("nodes", "spline", 3), number("age")),
    ),
    "reconstructed": (
        ("os_months", "death"),
        (
            category("tumor_number", "<=3", ">3"),
            category("vascular_invasion", "no", "yes"),
            category("extrahepatic_metastasis", "no", "yes"),
            category("treatment", "deb_tace", "deb_tace_sorafenib"),
        ),
    ),
}
SPLINE_OF = {
    "hcc_tace_seg": "age",
    "survivalpath_first": "largest_diameter",
    "survivalpath_all": "largest_diameter",
}


@dataclass(frozen=True)
class Case:
    """A cohort, and the model fitted to it."""

    encoder: StudyEncoder
    model: CoxModel
    X: NDArray[np.float64]
    design: NDArray[np.float64]
    y: NDArray[Any]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Columns of each predictor."""
        return {
            p.name: [k for k, t in enumerate(self.encoder.terms_) if t.column == j]
            for j, p in enumerate(self.encoder.predictors)
        }

    @property
    def proportional(self) -> ProportionalHazards:
        """The test of proportional hazards."""
        return proportional_hazards(self.model, self.design, self.y, self.groups)


def indices(frame: pd.DataFrame, predictors: tuple[Predictor, ...]) -> NDArray[np.float64]:
    """Return a table as the model's input."""
    columns = [
        frame[p.name].map(p.index) if p.is_category else frame[p.name].astype(float)
        for p in predictors
    ]
    return np.column_stack(columns)


def case(
    X: NDArray[np.float64],
    time: NDArray[Any],
    event: NDArray[Any],
    groups: Any,
    predictors: tuple[Predictor, ...],
    ties: Any,
) -> Case:
    """Fit."""
    y = np.empty(len(X), dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = event, time
    encoder = StudyEncoder(predictors).fit(X)
    design = encoder.transform(X)
    return Case(encoder, CoxModel(ties=ties).fit(design, y, groups), X, design, y)


def public(name: str, ties: str) -> Case:
    """Fit to a cohort that is part of the project."""
    (time, event), predictors = PUBLIC[name]
    folder, file = (PUBLISHED, "deb-tace-2021") if name == "reconstructed" else (ORACLE, name)
    frame = pd.read_csv(folder / f"{file}.csv")
    groups = frame["patient"].to_numpy() if name == "colon" else None
    X = indices(frame, predictors)
    return case(X, frame[time], frame[event], groups, predictors, ties)


def real(name: str, ties: str, folder: Path) -> Case:
    """Fit to a real cohort, with one predictor's form changed to a spline."""
    adapter = name.replace("_", "-")
    file = "hcc-tace-seg.csv" if name == "hcc_tace_seg" else "survivalpath-hcc-visits.csv"
    declared = load_study("hcc-tace").to_dict()
    declared["predictors"][SPLINE_OF[name]] |= {"form": "spline", "knots": 4}
    study = type(load_study("hcc-tace")).from_dict(declared)
    frame, _, _ = adapt(adapter, pd.read_csv(folder / file, low_memory=False), study)
    names = list(study.predictors)
    if name == "hcc_tace_seg":
        names.remove("largest_diameter")
    cohort = check_cohort(frame, study, "os", names)
    return case(cohort.X, cohort.time, cohort.event, cohort.groups, cohort.predictors, ties)


def compared(c: Case, oracle: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, our value and R's, of everything R printed."""
    model, event, time = c.model, c.y["event"], c.y["time"]
    yield "events", [len(event), event.sum()], [oracle["rows"], oracle["events"]]
    yield "coefficient", model.coef_, oracle["coef"]
    table = model.coefficients(tuple(t.name for t in c.encoder.terms_))
    columns = zip(*(astuple(row)[2:] for row in table), strict=True)
    for name, found in zip(("se", "hazard_ratio", "lower", "upper", "p"), columns, strict=True):
        yield name, found, oracle[name]
    naive = np.sqrt(np.diag(model.information_variance_))
    yield "model-based se", naive, oracle["se_model_based"]
    yield "log-likelihood", [model.loglik_null_, model.sums_.loglik], oracle["loglik"]
    assert set(model.tests_) == set(oracle["tests"])
    for name, theirs in oracle["tests"].items():
        yield name, astuple(model.tests_[name]), list(theirs.values())
    z = c.proportional
    tests = [*z.tests.values(), z.overall]
    for key in ("chi_square", "df", "p"):
        yield f"zph {key}", [getattr(t, key) for t in tests], oracle["zph"][key]
    yield "Schoenfeld residuals", sums(z.residuals, z.time), oracle["zph_residuals"]
    curve = smooth(z.transformed, z.residuals[:, 0], z.variance[0])
    assert curve is not None
    yield "Schoenfeld smooth", curve.effect, oracle["zph_smooth"]["effect"]
    yield "Schoenfeld band", curve.standard_error, oracle["zph_smooth"]["se"]
    residuals = {
        "martingale": martingale(model, event),
        "deviance": deviance(model, event),
        "score": model.sums_.score_residuals,
        "dfbeta": dfbeta(model),
    }
    for name, found in residuals.items():
        yield f"{name} residuals", sums(found, time), oracle[name]
    new = c.encoder.transform(indices(pd.DataFrame(oracle["newdata"]), c.encoder.predictors))
    times = model.sums_.times
    at = np.searchsorted(times, np.array(oracle["times"]) * (1 + 1e-12), side="right") - 1
    # R takes the baseline's rows as independent, repeated or not; see test_cox_clusters for ours.
    of_r = copy.copy(model)
    of_r.baseline_variance_ = model_based(model.sums_, model.variance_)
    for scale in SCALES:
        curves = of_r.predict_curves(new, scale=scale)
        for name, found in zip(("survival", "lower", "upper"), curves, strict=True):
            yield f"curve {name}, {scale}", found[:, at], oracle["curves"][scale][name]
    if "spline" in oracle:
        yield from spline(c, oracle["spline"])


def spline(c: Case, oracle: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the knots, and rms's Wald tests."""
    columns = c.groups[oracle["predictor"]]
    terms: tuple[Term, ...] = c.encoder.terms_
    yield "knots", terms[columns[0]].knots, oracle["knots"]
    for name, chosen in (("association", columns), ("nonlinear", columns[1:])):
        found = quadratic(c.model.coef_[chosen], c.model.variance_[np.ix_(chosen, chosen)])
        yield f"spline {name}", astuple(found), list(oracle[name].values())


def sums(residuals: NDArray[np.float64], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the figures R wrote of residuals: squares, those above 0, and weighted by time."""
    r = residuals if residuals.ndim == 2 else residuals[:, None]
    squares, above = (r**2).sum(axis=0), (np.maximum(r, 0) ** 2).sum(axis=0)
    return np.vstack([squares, above, (r**2 * time[:, None]).sum(axis=0)])


def relative(found: Any, expected: Any) -> float:
    """Return the largest relative difference, in parts of the larger of the two values."""
    a, b = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert a.shape == b.shape
    return float(np.max(np.abs(a - b) / np.maximum(np.maximum(abs(a), abs(b)), 1e-300)))


def agree(c: Case, oracle: dict[str, Any]) -> None:
    """Assert that all that R printed is found again; list all that is not."""
    found = {name: relative(ours, theirs) for name, ours, theirs in compared(c, oracle)}
    assert {n: d for n, d in found.items() if not d <= TOLERANCE} == {}


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", list(PUBLIC))
def test_public_cohorts_agree_with_r(name: str, ties: str) -> None:
    """Three of R's data sets (one with two rows a patient) and the reconstructed cohort."""
    agree(public(name, ties), R[name][ties])


@pytest.mark.cohorts
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", list(SPLINE_OF))
def test_real_cohorts_agree_with_r(name: str, ties: str, cohorts: Path) -> None:
    """105 patients, 1,355 first visits, and all visits clustered on the patient."""
    agree(real(name, ties, cohorts), R[name][ties])


def test_every_residual_agrees_with_r() -> None:
    """137 patients: each residual by itself, and each point of the Schoenfeld plot."""
    oracle = R["veteran"]["efron"]["each"]
    c = public("veteran", "efron")
    event, z = c.y["event"], c.proportional
    each: dict[str, Callable[[], Any]] = {
        "martingale": lambda: martingale(c.model, event),
        "deviance": lambda: deviance(c.model, event),
        "dfbeta": lambda: dfbeta(c.model),
        "zph": lambda: z.residuals,
        "zph_time": lambda: z.time,
        "zph_transformed": lambda: z.transformed,
    }
    for name, values in each.items():
        expected = np.array(oracle[name])
        scale = np.abs(expected).max()  # single residuals may lie anywhere near 0
        np.testing.assert_allclose(values(), expected, rtol=TOLERANCE, atol=TOLERANCE * scale)
