"""What a parent model says of a new cohort, and the pipeline that keeps its coefficients."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.pipeline import Pipeline

from riskscore.bundle import Bundle
from riskscore.design import design_matrix
from riskscore.equation import CoxEquation
from riskscore.errors import InputError, Problem
from training.cohort import Cohort
from training.cox import CoxModel
from training.cox.hypotheses import chi_square
from training.cox.model import cluster_sums
from training.encoding import StudyEncoder
from training.updating.clusters import score_test_of_original
from training.updating.testing import poisson_maximum

__all__ = ["EVENTS_AN_INTERVAL", "LEAST_EVENTS", "Exposure", "Parent", "kept_pipeline"]

FloatArray = NDArray[np.float64]

LEAST_EVENTS = 10
"""Events below which nothing is updated: a baseline of fewer is mostly chance."""

EVENTS_AN_INTERVAL = 10
"""Fewer events than this and an interval of time joins its neighbour."""


@dataclass(frozen=True)
class Exposure:
    """The parent's expected events against those that happened, in intervals of time.

    Attributes
    ----------
    edges : tuple of float
        Ends of the intervals, the first of which begins at 0.
    expected : ndarray of shape (n_patients, n_intervals)
        Predicted cumulative hazard gained in each interval while followed.
    happened : ndarray of shape (n_patients, n_intervals), bool
    cluster : ndarray of shape (n_patients,) or None
        The patient of each row, where rows are repeated.
    """

    edges: tuple[float, ...]
    expected: FloatArray
    happened: NDArray[np.bool_]
    cluster: NDArray[np.int64] | None = None

    def in_the_large(self) -> dict[str, Any]:
        """Return observed over expected events in all and by interval, with the test of the whole.

        The interval is symmetric for the logarithm, whose standard error is one over the root of
        the events: the expected are the parent's, taken as known. Where rows are repeated, error
        and test are of sums over patients. Source: Crowson et al., Statistical Methods in Medical
        Research 25 (2016) 1692.
        """
        nothing = np.empty((len(self.expected), 0))
        each, event = self.expected.sum(axis=1), self.happened.sum(axis=1) > 0
        observed, expected = int(event.sum()), float(each.sum())
        ratio = observed / expected
        if self.cluster is None:
            error = 1 / np.sqrt(observed)
            gained = poisson_maximum(nothing, each[:, None], event[:, None]).gained
            test = chi_square(2 * gained, 1)
        else:
            beyond = cluster_sums((event - ratio * each)[:, None], self.cluster)
            error = np.sqrt((beyond**2).sum()) / observed
            test = score_test_of_original(nothing, each[:, None], event[:, None], self.cluster)
        half = float(stats.norm.ppf(0.975) * error)
        return {
            "observed": observed,
            "expected": expected,
            "observed_expected": ratio,
            "lower": ratio * float(np.exp(-half)),
            "upper": ratio * float(np.exp(half)),
            "test": asdict(test),
            "intervals": [
                {"until": edge, "observed": int(o), "expected": float(e)}
                for edge, o, e in zip(
                    self.edges, self.happened.sum(axis=0), self.expected.sum(axis=0), strict=True
                )
            ],
        }


class Parent:
    """A Cox bundle that is to be updated.

    Parameters
    ----------
    bundle : Bundle
        Of kind "cox".
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest = bundle.manifest
        self.inference = bundle.read("inference.json")
        self.equation = CoxEquation(self.inference, self.manifest.predictors)
        self.names = tuple(t.name for t in self.equation.terms)
        self.ties = self.inference["ties"]

    def design(self, cohort: Cohort) -> FloatArray:
        """Return the parent's terms, of shape (n_patients, n_terms)."""
        return design_matrix(cohort.X, cohort.predictors, self.equation.terms)

    def linear_predictor(self, cohort: Cohort) -> FloatArray:
        """Return the parent's risk score, of shape (n_patients,)."""
        return self.equation.linear_predictor(cohort.X)

    def exposure(self, cohort: Cohort) -> Exposure:
        """Return expected and observed events between the parent's horizons.

        Follow-up beyond the parent's own is left out: it says nothing there. Intervals with too few
        events to tell a change of the baseline's shape are joined.

        Raises
        ------
        InputError
            If too few events happened within the parent's follow-up.
        """
        limit = self.manifest.follow_up_limit
        time = np.minimum(cohort.time, limit)
        event = cohort.event & (cohort.time <= limit)
        if event.sum() < LEAST_EVENTS:
            rule = f"must happen {LEAST_EVENTS} times within the model's follow-up, {limit:g}"
            remedy = "follow more patients"
            problem = Problem(None, cohort.outcome.event, rule, int(event.sum()), remedy)
            raise InputError([problem], cohort.name)
        end = float(time.max())
        patient = np.arange(len(time)) if cohort.groups is None else cohort.groups
        edges = _joined(self.manifest.outcome.horizons, time[event], patient[event], end)
        expected = self._expected(cohort, time, edges)
        if not expected.sum(axis=0).all():  # before the parent's first event it expects none
            edges = (end,)
            expected = self._expected(cohort, time, edges)
        interval = np.searchsorted(np.array(edges), time, side="left")
        happened = event[:, None] & (interval[:, None] == np.arange(len(edges)))
        return Exposure(edges, expected, happened, cohort.groups)

    def _expected(self, cohort: Cohort, time: FloatArray, edges: tuple[float, ...]) -> FloatArray:
        relative = np.exp(self.linear_predictor(cohort) - self.equation.center_score)
        until = np.minimum(time[:, None], np.array([0.0, *edges]))
        hazard = self.equation.cumulative_hazard(until.ravel()).reshape(until.shape)
        gained: FloatArray = np.diff(hazard, axis=1) * relative[:, None]
        return gained


def kept_pipeline(parent: Parent, cohort: Cohort, slope: float) -> Pipeline:
    """Return the parent with a new baseline, its coefficients multiplied by `slope`.

    The knots of splines stay the parent's too.
    """
    encoder = StudyEncoder(cohort.predictors)
    encoder.n_features_in_ = len(cohort.predictors)
    encoder.terms_ = parent.equation.terms
    model = CoxModel(
        names=parent.names, ties=parent.ties, coef=tuple((slope * parent.equation.coef).tolist())
    )
    model.fit(encoder.transform(cohort.X), cohort.y)
    return Pipeline([("encode", encoder), ("model", model)])


def _joined(
    horizons: tuple[float, ...], events: FloatArray, patient: NDArray[np.int64], end: float
) -> tuple[float, ...]:
    """Return ends of intervals, each with the event of enough patients; the last is `end`."""
    edges: list[float] = []
    since = 0.0

    def enough(until: float) -> bool:
        return len(np.unique(patient[(events > since) & (events <= until)])) >= EVENTS_AN_INTERVAL

    for horizon in (h for h in horizons if h < end):
        if enough(horizon):
            edges.append(horizon)
            since = horizon
    if edges and not enough(end):
        edges.pop()
    return (*edges, end)
