"""The whole procedure of a fit, ready to be repeated on any rows: encoding, choices, fitting.

It gives what the fit of a bundle gives, without inference: a refit is asked for predictions alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from riskscore.design import linear_predictor
from riskscore.study import Predictor
from training.cohort import Cohort
from training.cox.fit import Penalty, fit_coefficients
from training.cox.penalty import choose_penalty
from training.cox.risk_sets import Ties
from training.encoding import StudyEncoder
from training.forest import CompactForest
from training.forest.leaf_curves import leaf_numbers
from training.forest.out_of_bag import curves_out_of_bag, scores_out_of_bag
from training.forest.tuning import tune
from training.settings import Settings

__all__ = [
    "CoxProcedure", "CoxRefit", "ForestProcedure", "ForestRefit", "Procedure", "choices",
    "procedure",
]  # fmt: skip

FloatArray = NDArray[np.float64]


def choices(kind: str, settings: Settings) -> tuple[str, ...]:
    """Return the names of what a fit chooses on its own rows; none where all is given."""
    if kind == "cox":
        return ("penalty",) if settings.penalty == "auto" else ()
    return ("min_leaf", "max_features") if settings.tune else ()


def _nothing() -> FloatArray:
    return np.empty(0)


class Refit(Protocol):
    """A model that was fitted once more."""

    @property
    def chosen(self) -> FloatArray:
        """What was chosen on its rows, in the order of `choices`."""

    def score(self, X: FloatArray) -> FloatArray:
        """Return the risk score of checked input, of shape (n,); higher is worse."""

    def survival(self, X: FloatArray, times: FloatArray) -> FloatArray:
        """Return survival at the times, of shape (n, n_times)."""


class Procedure(Protocol):
    """What is repeated."""

    def fit(self, cohort: Cohort, rows: NDArray[np.intp], times: FloatArray) -> Refit:
        """Fit on the rows; the refit will be asked for survival at the times."""


def procedure(kind: str, predictors: tuple[Predictor, ...], settings: Settings) -> Procedure:
    """Return the procedure of a kind of model."""
    if kind == "cox":
        return CoxProcedure(predictors, settings.alone())
    return ForestProcedure(predictors, settings.alone())


@dataclass(frozen=True)
class CoxRefit:
    """A Cox model's coefficients, origin and baseline.

    Attributes
    ----------
    coef, center : ndarray of shape (n_terms,)
    times, hazard : ndarray of shape (n_event_times,)
        Cumulative baseline hazard at the center.
    likelihood_ratio, null : float
        Likelihood-ratio statistic, and log partial likelihood without predictors.
    chosen : ndarray of shape (n_choices,)
    """

    encoder: StudyEncoder
    coef: FloatArray
    center: FloatArray
    times: FloatArray
    hazard: FloatArray
    likelihood_ratio: float
    null: float
    chosen: FloatArray = field(default_factory=_nothing)

    def score(self, X: FloatArray) -> FloatArray:
        """Return the linear predictor."""
        return linear_predictor(self.encoder.transform(X), self.coef)

    def survival(self, X: FloatArray, times: FloatArray) -> FloatArray:
        """Return survival at the times."""
        return self.survival_of(self.score(X), times)

    def survival_of(self, score: FloatArray, times: FloatArray) -> FloatArray:
        """Return survival at the times of patients with these scores."""
        place = np.searchsorted(self.times, times, side="right")
        hazard = np.concatenate(([0.0], self.hazard))[place]
        score = score - linear_predictor(self.center[None], self.coef)
        with np.errstate(over="ignore"):  # an infinite hazard is a survival of 0
            found: FloatArray = np.exp(-np.exp(score)[:, None] * hazard)
        return found


@dataclass(frozen=True)
class CoxProcedure:
    """Encode, choose the penalty where that is asked for, and fit.

    `start` holds coefficients near which a refit's are sought: the maximum is the same, and found
    in fewer steps.
    """

    predictors: tuple[Predictor, ...]
    settings: Settings
    start: FloatArray | None = None

    def fit(self, cohort: Cohort, rows: NDArray[np.intp], times: FloatArray) -> CoxRefit:
        """Fit on the rows.

        Raises
        ------
        ModelError
            If the rows do not support the model.
        """
        X, time, event = cohort.X[rows], cohort.time[rows], cohort.event[rows]
        encoder = StudyEncoder(self.predictors).fit(X)
        design = encoder.transform(X)
        penalty: Penalty
        if self.settings.penalty != "auto":
            penalty = self.settings.penalty
        else:
            # The copies of a patient must share a fold.
            who = rows if cohort.groups is None else cohort.groups[rows]
            y = cohort.y[rows]
            penalty = choose_penalty(
                design, y, who.astype(np.int64), seed=self.settings.seed, ties=self.settings.ties
            ).penalty
        refit = fit_lean(encoder, design, time, event, self.settings.ties, penalty, self.start)
        if self.settings.penalty != "auto":
            return refit
        return replace(refit, chosen=np.array([penalty], dtype=np.float64))


def fit_lean(
    encoder: StudyEncoder,
    design: FloatArray,
    time: FloatArray,
    event: NDArray[np.bool_],
    ties: Ties,
    penalty: Penalty,
    start: FloatArray | None = None,
) -> CoxRefit:
    """Fit a Cox model as `CoxModel` does, for its predictions alone."""
    names = [term.name for term in encoder.terms_]
    fit = fit_coefficients(
        design, time, event, names=names, ties=ties, penalty=penalty, start=start
    )
    loglik, null = fit.sets.loglik(fit.coef), fit.sets.loglik(np.zeros_like(fit.coef))
    hazard = fit.sets.baseline(fit.coef)
    times = fit.sets.times
    return CoxRefit(encoder, fit.coef, fit.center, times, hazard, 2 * (loglik - null), null)


@dataclass(frozen=True)
class ForestRefit:
    """A forest and its encoding."""

    encoder: StudyEncoder
    forest: CompactForest
    chosen: FloatArray = field(default_factory=_nothing)

    def score(self, X: FloatArray) -> FloatArray:
        """Return the expected number of events."""
        return self.forest.predict(self.encoder.transform(X))

    def survival(self, X: FloatArray, times: FloatArray) -> FloatArray:
        """Return survival at the times."""
        columns, begun = self._columns(times)
        X32 = self.encoder.transform(X).astype(np.float32)
        table = self.forest.table_[:, columns]
        total = np.zeros((len(X32), len(times)))
        for tree, offset in zip(self.forest.trees_, self.forest.offsets_, strict=True):
            total += table[leaf_numbers(tree)[tree.apply(X32)] + offset]
        found: FloatArray = np.where(begun, total / len(self.forest.trees_), 1.0)
        return found

    def out_of_bag(self, X: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return score and survival of the training rows by the trees that never drew them."""
        columns, begun = self._columns(times)
        design = self.encoder.transform(X)
        curves = curves_out_of_bag(self.forest, design, columns=columns)
        score = scores_out_of_bag(self.forest, design)
        return score, np.where(begun | np.isnan(curves), curves, 1.0)

    def _columns(self, times: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the grid's place of each time, and whether anything has happened by then."""
        place = np.searchsorted(self.forest.times_, times, side="right") - 1
        return np.maximum(place, 0), place >= 0


@dataclass(frozen=True)
class ForestProcedure:
    """Encode, tune where that is asked for, and grow."""

    predictors: tuple[Predictor, ...]
    settings: Settings

    def fit(self, cohort: Cohort, rows: NDArray[np.intp], times: FloatArray) -> ForestRefit:
        """Grow on the rows; the curves are kept at the times that will be asked for."""
        X, y = cohort.X[rows], cohort.y[rows]
        encoder = StudyEncoder(self.predictors, forms=False).fit(X)
        design = encoder.transform(X)
        who = None if cohort.groups is None else cohort.groups[rows]
        forest, chosen = self._forest(times), _nothing()
        if self.settings.tune:
            copies = rows if who is None else who  # out-of-bag means that no copy was drawn
            forest, record = tune(forest, design, y, copies, float(times[-1]))
            chosen = np.array(
                [record["chosen"][name] for name in choices("forest", self.settings)], np.float64
            )
        forest.fit(design, y, groups=who)
        return ForestRefit(encoder, forest, chosen)

    def _forest(self, times: FloatArray) -> CompactForest:
        s = self.settings
        parameters: dict[str, Any] = {
            "n_estimators": s.n_trees,
            "splitting": s.splitting,
            "min_samples_leaf": -(-s.min_leaf // 2) if s.stability else s.min_leaf,
            "max_features": s.max_features,
            "stability": s.stability,
        }
        return CompactForest(
            **parameters,
            max_times=len(times) + 2,
            horizons=tuple(times.tolist()),
            n_jobs=1,
            random_state=s.seed,
        )
