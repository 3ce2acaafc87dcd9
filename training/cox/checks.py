"""What a cohort cannot support, in words a modeller can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.design import Term
from riskscore.errors import ModelError
from riskscore.study import Predictor
from training.ratios import hazard_ratio_text

__all__ = [
    "EVENTS_A_PARAMETER",
    "Aliases",
    "NoMaximumError",
    "aliases_in",
    "extreme_effects",
    "few_clusters",
    "few_events",
    "levels_without_events",
    "refuse_aliases",
    "refuse_constants",
    "refuse_no_maximum",
]

FloatArray = NDArray[np.float64]

ALIASED = 1e-7
"""Part of a term's standard deviation left by the terms before it, below which nothing is left; R's
`coxph` drops a term at about 1e-6, and its `lm` at this."""

SHARE = 0.1
"""A term takes part in a direction if it moves somebody this far of what the first one does."""

MOST_NAMED = 5
"""Terms that a message names."""

EXTREME = 100.0
"""Hazard ratio, or one over it, from which an effect is called beyond belief."""

COLLINEAR = 100.0
"""Variance inflation by the other predictors above which collinearity is named as the cause."""

FEW_CLUSTERS = 40
"""Below this many clusters a robust variance is called too small. Sources: Angrist & Pischke,
Mostly Harmless Econometrics (2009), section 8.2.3, who say 42; Cameron & Miller, J Hum Resour 50
(2015) 317, for whom few is fewer than 20 to 50."""

LARGEST_SHARE = 0.2
"""Share of the rows in one cluster from which it is said to dominate: clusters of unequal size
are worth fewer of equal size (Cameron & Miller)."""

EVENTS_A_PARAMETER = 10
"""Below this many events for each coefficient a model is called too large for its cohort. Source:
Peduzzi et al., J Clin Epidemiol 48 (1995) 1503."""


def refuse_constants(scale: FloatArray, names: Sequence[str]) -> None:
    """Refuse terms that do not vary.

    Parameters
    ----------
    scale : ndarray of shape (n_terms,)
        Standard deviations; 0 for a constant.
    names : sequence of str
    """
    constant = [name for name, s in zip(names, scale, strict=True) if not s]
    if constant:
        raise ModelError(
            f"{', '.join(constant)} is constant in this cohort and cannot tell patients apart; "
            "leave the predictor out with --predictors"
        )


def refuse_aliases(
    r: FloatArray, center: FloatArray, scale: FloatArray, names: Sequence[str]
) -> None:
    """Refuse a term that follows from those before it.

    Parameters
    ----------
    r : ndarray of shape (n_terms, n_terms)
        Of the QR decomposition of the standardised terms.
    center, scale : ndarray of shape (n_terms,)
        Their means and standard deviations.
    names : sequence of str
    """
    left = np.abs(np.diag(r)) / np.linalg.norm(r, axis=0)
    if left.min() >= ALIASED:
        return
    k = int(np.argmax(left < ALIASED))
    # In units: how much of each term before it the term is made of.
    weights = np.linalg.solve(r[:k, :k], r[:k, k]) * scale[k] / scale[:k]
    made_of = [j for j in range(k) if abs(weights[j]) * scale[j] > 1e-6 * scale[k]]
    others = [names[j] for j in made_of]
    if {_spline(name) for name in (names[k], *others)} == {_spline(names[k])}:
        raise ModelError(
            f"the spline of {_spline(names[k])} cannot be told from a simpler curve: {names[k]} is "
            f"a combination of {', '.join(others)}; ask for fewer knots in the study, or "
            'declare form = "log"'
        )
    if len(made_of) > MOST_NAMED:
        named = f"{', '.join(others[:MOST_NAMED])} and {len(others) - MOST_NAMED} more"
        raise ModelError(
            f"the predictors are collinear: {names[k]} is a combination of {named} in every row, "
            "so that no data can tell their effects apart; leave one of these predictors out with "
            "--predictors, ask for fewer knots, or share the effect among them with --penalty auto"
        )
    constant = float(center[k] - weights[made_of] @ center[made_of])
    parts = [] if abs(constant) < 1e-6 * scale[k] else [f"{constant:.4g}"]
    parts += [_multiple(weights[j], names[j]) for j in made_of]
    formula = " + ".join(parts).replace("+ -", "- ")
    raise ModelError(
        f"the predictors are collinear: {names[k]} = {formula} in every row, so that no data can "
        f"tell their effects apart; leave one of {names[k]}, {', '.join(others)} out with "
        "--predictors, merge a level that another repeats, or share the effect among them with "
        "--penalty auto"
    )


@dataclass(frozen=True)
class Aliases:
    """The terms that follow from those before them, and how.

    Attributes
    ----------
    kept, aliased : tuple of int
        Columns of the design: those that do not follow from others, and those that do.
    weights : ndarray of shape (n_kept, n_aliased)
        How much of each kept term an aliased one is made of, up to a constant.
    """

    kept: tuple[int, ...]
    aliased: tuple[int, ...]
    weights: FloatArray

    def joined(self, coef: FloatArray) -> FloatArray:
        """Return coefficients of the same model that give every aliased term none.

        Parameters
        ----------
        coef : ndarray of shape (n_terms,)
        """
        joint = np.zeros_like(coef)
        joint[list(self.kept)] = coef[list(self.kept)] + self.weights @ coef[list(self.aliased)]
        return joint


def aliases_in(design: FloatArray) -> Aliases:
    """Return which terms follow from those before them; a constant follows from none at all.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_terms)
    """
    Z = design - design.mean(axis=0)
    basis = np.empty((len(Z), 0))
    kept: list[int] = []
    aliased: list[int] = []
    for k, column in enumerate(Z.T):
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)  # once more, for what rounding left
        length = float(np.linalg.norm(left))
        if length <= ALIASED * float(np.linalg.norm(column)):
            aliased.append(k)
        else:
            kept.append(k)
            basis = np.column_stack([basis, left / length])
    weights = np.linalg.lstsq(Z[:, kept], Z[:, aliased], rcond=None)[0]
    return Aliases(tuple(kept), tuple(aliased), weights)


def _spline(name: str) -> str:
    """Return the name of the spline a term is a part of."""
    return name.rstrip("'")


def _multiple(weight: float, name: str) -> str:
    if abs(abs(weight) - 1) < 1e-6:
        return name if weight > 0 else f"-{name}"
    return f"{weight:.4g} {name}"


def refuse_no_maximum(
    design: FloatArray, event: NDArray[np.bool_], direction: FloatArray, names: Sequence[str]
) -> None:
    """Refuse a likelihood that has no maximum, by the terms along which it rises without end.

    Parameters
    ----------
    design : ndarray of shape (n_patients, n_terms)
    event : ndarray of shape (n_patients,)
    direction : ndarray of shape (n_terms,)
        Change of each coefficient, per unit of its term, in the last step of the iteration.
    names : sequence of str
    """
    # The parts of a spline cancel: what moves a patient is their sum.
    of_spline: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        of_spline.setdefault(_spline(name), []).append(k)
    moved = {
        name: float(np.nan_to_num(np.ptp(design[:, k] @ direction[k]), nan=np.inf))
        for name, k in of_spline.items()
    }
    most = max(moved.values())
    terms = [
        _counted(name, design[:, of_spline[name]], event)
        for name, span in moved.items()
        if span >= SHARE * most
    ]
    terms.sort(key=lambda term: term[1])  # the levels with fewest events first
    more = [f"{len(terms) - MOST_NAMED} more"] if len(terms) > MOST_NAMED else []
    raise NoMaximumError([text for text, _ in terms[:MOST_NAMED]] + more)


class NoMaximumError(ModelError):
    """The likelihood rises without end.

    Parameters
    ----------
    terms : list of str
        Along which it does, with the rows and events of a level.
    """

    def __init__(self, terms: list[str]) -> None:
        one = len(terms) == 1
        self.what = (
            f"the coefficient{'' if one else 's'} of {'; '.join(terms)} "
            f"run{'s' if one else ''} away"
        )
        super().__init__(
            f"{self.what}: {'it separates' if one else 'together they separate'} patients with an "
            "event from those without, and the likelihood has no maximum; merge its levels, leave "
            "the predictor out with --predictors, or keep it by Firth's penalised likelihood with "
            "--penalty firth"
        )


def _counted(name: str, columns: FloatArray, event: NDArray[np.bool_]) -> tuple[str, int]:
    """Return a term with the rows of its level and their events, and these; a number as it is."""
    if columns.shape[1] > 1 or not np.isin(columns, (0.0, 1.0)).all():
        return name, int(event.sum())
    rows = columns[:, 0] == 1
    events = int(event[rows].sum())
    return f"{name} ({int(rows.sum())} rows, {events} events)", events


def levels_without_events(
    X: FloatArray, event: NDArray[np.bool_], predictors: Sequence[Predictor]
) -> list[str]:
    """Return, in words, each level among whose patients nobody has an event.

    Parameters
    ----------
    X : ndarray of shape (n_patients, n_predictors)
        Checked input.
    """
    found = []
    for j, p in enumerate(predictors):
        if not p.is_category:
            continue
        rows = np.bincount(X[:, j].astype(int), minlength=len(p.levels))
        events = np.bincount(X[event, j].astype(int), minlength=len(p.levels))
        found += [
            f"{p.name}: none of the {n} rows with level {level} has an event"
            for level, n, died in zip(p.levels, rows, events, strict=True)
            if not died
        ]
    return found


def extreme_effects(
    contrasts: Sequence[Mapping[str, Any]], design: FloatArray, groups: Mapping[str, Sequence[int]]
) -> list[str]:
    """Return a warning for each hazard ratio that is too far from 1 to be believed.

    Parameters
    ----------
    contrasts : sequence of dict
        As `inference.json` has them.
    design : ndarray of shape (n_patients, n_terms)
    groups : dict of str to sequence of int
        Terms of each predictor.
    """
    return [
        f"{c['predictor']}: the hazard ratio of {hazard_ratio_text(c['hazard_ratio'], '.3g')} "
        f"({c['value']} against {c['reference']}) is beyond belief; "
        + _cause(c, _inflation(design, groups[c["predictor"]]))
        for c in contrasts
        if abs(c["log_hazard_ratio"]) > np.log(EXTREME)
    ]


def _cause(contrast: Mapping[str, Any], inflation: float) -> str:
    """Return what makes such a hazard ratio, the likely cause by itself."""
    if inflation > COLLINEAR:
        return (
            "the likely cause is collinearity: the other predictors all but determine this one "
            f"(variance inflation {inflation:.3g}); leave one of them out with --predictors"
        )
    level = isinstance(contrast["value"], str)
    cause = "a level with few or no events" if level else "a number with few events"
    return f"{cause} makes one, and so does a value recorded after the event"


def _inflation(design: FloatArray, own: Sequence[int]) -> float:
    """Return the largest variance inflation of a predictor's terms by other predictors' terms."""
    others = np.delete(design, list(own), axis=1)
    others = others - others.mean(axis=0)
    terms = design[:, list(own)] - design[:, list(own)].mean(axis=0)
    if not others.shape[1]:
        return 1.0
    others = others / others.std(axis=0)
    left = terms - others @ np.linalg.lstsq(others, terms)[0]
    with np.errstate(divide="ignore"):
        return float(np.max((terms**2).sum(axis=0) / (left**2).sum(axis=0)))


def few_clusters(groups: NDArray[np.int64] | None, cluster: str) -> list[str]:
    """Return the warning that a robust variance has too few clusters, or one that dominates.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,) or None
        Cluster of each row.
    cluster : str
        Column that names it.
    """
    if groups is None:
        return []
    rows = np.unique(groups, return_counts=True)[1]
    share = rows.max() / rows.sum()
    reasons = []
    if len(rows) < FEW_CLUSTERS:
        reasons.append(f"there are {len(rows)} clusters ({cluster}), fewer than {FEW_CLUSTERS}")
    if share > LARGEST_SHARE:
        reasons.append(
            f"the largest cluster ({cluster}) holds {100 * share:.0f} % of the rows, more than "
            f"{100 * LARGEST_SHARE:.0f} %"
        )
    if not reasons:
        return []
    return [
        f"{' and '.join(reasons)}: robust standard errors are then too small, intervals too "
        "narrow and P values too low"
    ]


def few_events(
    event: NDArray[np.bool_],
    patient: NDArray[np.int64] | None,
    terms: Sequence[Term],
    predictors: Sequence[Predictor],
    *,
    shrunken: bool = False,
) -> list[str]:
    """Return the warning that there are too few events for the coefficients, if there are.

    Events are those of patients, where `patient` names them: repeated rows repeat an event.
    """
    events = int(event.sum()) if patient is None else len(np.unique(patient[event]))
    if events >= EVENTS_A_PARAMETER * len(terms):
        return []
    spent = [
        f"{p.name} {n}"
        for j, p in enumerate(predictors)
        if (n := sum(t.column == j for t in terms)) > 1
    ]
    if shrunken:
        what = "even shrunken, the estimates are uncertain; use fewer with --predictors"
    else:
        what = (
            "the estimates are likely too extreme; use fewer with --predictors, or shrink them "
            "with --penalty auto"
        )
    return [
        f"{events} events for {len(terms)} coefficients"
        + (f" ({', '.join(spent)})" if spent else "")
        + f" are {events / len(terms):.1f} a coefficient, fewer than {EVENTS_A_PARAMETER}: {what}"
    ]
