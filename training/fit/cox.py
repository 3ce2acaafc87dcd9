"""Fitting a Cox model: the pipeline, its inference and its evaluation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats
from sklearn.pipeline import Pipeline

from training.cohort import Cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.evaluate import evaluate_cox
from training.fit.fitted import Fitted, Settings
from training.fit.manifest import manifest_of

__all__ = ["fit_cox"]


def fit_cox(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    """Fit a Cox model and judge it."""
    encoder = StudyEncoder(cohort.predictors)
    names = tuple(encoder.fit(cohort.X).get_feature_names_out().tolist())
    pipeline = Pipeline([("encode", encoder), ("model", CoxModel(names=names))])
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    model: CoxModel = pipeline["model"]
    method = "pointwise 95 % interval, log(-log) scale, variance as in R's survfit of a coxph"
    intervals = {"available": True, "level": 0.95, "method": method}
    recorded = {"ties": "efron", "seed": settings.seed}
    manifest = manifest_of(
        cohort, "cox", name, pipeline, model.sums_.times, False, intervals, recorded
    )
    return Fitted(
        pipeline, cohort, manifest, _inference(pipeline, cohort),
        evaluate_cox(pipeline, cohort, settings.seed),
    )  # fmt: skip


def _inference(pipeline: Pipeline, cohort: Cohort) -> dict[str, Any]:
    model: CoxModel = pipeline["model"]
    names = model.names
    statistic = 2 * (model.sums_.loglik - model.loglik_null_)
    robust = cohort.groups is not None
    return {
        "kind": "cox",
        "ties": "efron",
        "variance": "robust, clustered on the patient" if robust else "inverse information",
        "coefficients": [asdict(c) for c in model.coefficients(names)],
        "covariance": model.variance_.tolist(),
        "se_model_based": np.sqrt(np.diag(model.information_variance_)).tolist(),
        "log_likelihood": {"model": model.sums_.loglik, "null": model.loglik_null_},
        "likelihood_ratio_test": {
            "chi_square": statistic,
            "df": len(names),
            "p": float(stats.chi2.sf(statistic, len(names))),
        },
        "baseline": {
            "method": "Efron",
            "at": dict(zip(names, model.center_.tolist(), strict=True)),
            "times": model.sums_.times.tolist(),
            "cumulative_hazard": model.sums_.hazard.tolist(),
        },
    }
