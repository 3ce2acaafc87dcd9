"""What a cohort cannot support is refused, or warned of, by predictor and level, with a remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sksurv.util import Surv

from riskscore.errors import ModelError
from riskscore.study import Study, load_study
from tests.conftest import simulate
from training.cohort import check_cohort
from training.commands import coefficient_lines, hypothesis_lines
from training.cox import CoxModel
from training.cox.checks import NoMaximumError, extreme_effects
from training.cox.hypotheses import quadratic
from training.cox.risk_sets import RiskSets
from training.cox.solver import maximise
from training.fit import Settings, fit

REMEDY = "--penalty auto"


def outcomes(n: int = 60) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return a column of 0 and 1, and outcomes it has nothing to do with."""
    random = np.random.default_rng(0)
    z = random.integers(0, 2, n).astype(float)
    return z, Surv.from_arrays(random.random(n) < 0.8, random.exponential(10, n) + 1)


def test_a_combination_is_named_with_what_it_combines() -> None:
    """The column, and only the columns it is made of."""
    z, y = outcomes()
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, len(z)))
    with pytest.raises(ModelError, match=f"d = a - 2 c in every row.*one of d, a, c out.*{REMEDY}"):
        CoxModel(names=("a", "b", "c", "d")).fit(np.column_stack([a, b, z, a - 2 * z]), y)
    shrunken = CoxModel(names=("a", "d"), penalty=1.0).fit(np.column_stack([a, a]), y)
    assert shrunken.coef_[0] == pytest.approx(shrunken.coef_[1])  # equal columns share alike


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_is_refused(penalty: float, value: float) -> None:
    """With a penalty too: it cannot tell patients apart."""
    z, y = outcomes()
    with pytest.raises(ModelError, match="same is constant in this cohort.*--predictors"):
        CoxModel(names=("z", "same"), penalty=penalty).fit(
            np.column_stack([z, np.full(len(z), value)]), y
        )


def test_a_spline_that_is_no_curve_is_refused_as_such() -> None:
    """Its parts repeat one another: fewer knots is the remedy, not another predictor."""
    z, y = outcomes()
    x = np.linspace(0, 1, len(z))
    names = ("afp", "afp'")
    with pytest.raises(ModelError, match="the spline of afp cannot be told from.*fewer knots"):
        CoxModel(names=names).fit(np.column_stack([x, 2 * x]), y)


def test_a_separating_column_is_refused_and_a_ridge_is_the_remedy() -> None:
    """Only patients with it have an event, whatever its scale."""
    z, y = outcomes()
    y = Surv.from_arrays(z == 1, y["time"])
    for unit in (1.0, 1e-4, 1e4):
        with pytest.raises(ModelError, match="coefficient of beta .*runs away.*--penalty firth"):
            CoxModel(names=("beta",)).fit(unit * z[:, None], y)
        assert np.isfinite(CoxModel(penalty=1.0).fit(unit * z[:, None], y).coef_).all()


def test_a_term_that_no_event_can_judge_is_refused() -> None:
    """All rows with it leave before the first event: the likelihood is flat along it."""
    z, y = outcomes()
    early = (np.arange(len(z)) < 4).astype(float)
    y["event"][:4], y["time"][:4] = False, 0.5
    with pytest.raises(ModelError, match=r"coefficient of early \(4 rows, 0 events\) runs away"):
        CoxModel(names=("z", "early")).fit(np.column_stack([z, early]), y)


@pytest.mark.parametrize("rows", [1, 5, 500])
def test_a_rare_level_is_refused_only_where_it_separates(rows: int) -> None:
    """Its share of the patients decides nothing: one row with an event among 5,000 is an estimate.

    Coefficients were believed up to 15 per standard deviation, for one row in 5,000 up to 1,060.
    """
    random = np.random.default_rng(3)
    z = (np.arange(5000) < rows).astype(float)
    time, event = random.exponential(1, 5000), random.random(5000) < 0.5
    event[:rows] = np.arange(rows) == 0  # one event, at the last moment of the level
    time[0] = time[:rows].max()
    model = CoxModel(names=("rare",)).fit(z[:, None], Surv.from_arrays(event, time))
    assert np.isfinite(model.variance_).all()
    event[0] = False
    with pytest.raises(ModelError, match=rf"rare \({rows} rows, 0 events\) runs away"):
        CoxModel(names=("rare",)).fit(z[:, None], Surv.from_arrays(event, time))


def test_many_aliased_terms_are_not_all_written_out() -> None:
    """Five are named, and how many more there are."""
    z, y = outcomes()
    many = np.random.default_rng(1).normal(size=(len(z), 8))
    names = (*"abcdefgh", "sum")
    with pytest.raises(ModelError, match="sum is a combination of a, b, c, d, e and 3 more in"):
        CoxModel(names=names).fit(np.column_stack([many, many.sum(axis=1)]), y)


def test_many_levels_without_events_are_told_in_few_steps() -> None:
    """Those with fewest events first, five by name.

    Every step on the way to infinity gains a third of the last; the refusal waited for the 27th.
    """
    random = np.random.default_rng(5)
    n, levels = 6000, 40
    level = np.minimum(random.geometric(0.15, n) - 1, levels - 1)
    worn = random.lognormal(0, 1, n)
    event = (random.random(n) < 0.1) & (level < levels - 12)
    time = np.ceil(random.exponential(300 / (1 + worn)))
    design = np.column_stack([*(level == k for k in range(1, levels)), worn])
    names: tuple[str, ...] = (*(f"model[{k}]" for k in range(1, levels)), "worn")
    present = design.any(axis=0)
    design, names = design[:, present].astype(float), tuple(np.array(names)[present])
    with pytest.raises(NoMaximumError, match=r"rows, 0 events\).*more run away") as refusal:
        CoxModel(names=names).fit(design, Surv.from_arrays(event, time))
    assert str(refusal.value).count("rows, 0 events") == 5
    q, _ = np.linalg.qr((design - design.mean(axis=0)) / design.std(axis=0))
    maximum = maximise(RiskSets(q * np.sqrt(n), time, event))
    assert not maximum.converged
    assert maximum.iterations < 20


def test_too_few_patients_for_a_robust_variance_are_refused() -> None:
    """Two patients cannot tell the errors of two coefficients."""
    z, y = outcomes()
    x = np.random.default_rng(2).normal(size=len(z))
    with pytest.raises(ModelError, match="2 terms needs more than 2 patients; there are 2"):
        CoxModel().fit(np.column_stack([z, x]), y, np.arange(len(z)) % 2)


def test_a_level_without_events_is_named() -> None:
    """A hazard ratio of 0 or infinity is no estimate; the ridge gives one."""
    frame = simulate(120, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    names = ("extrahepatic_metastasis", "age")
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", names)
    message = (
        r"extrahepatic_metastasis: none of the \d+ rows with level yes has an event.*merge the "
        "level.*--penalty firth"
    )
    with pytest.raises(ModelError, match=message):
        fit(cohort, "cox")
    ratio = fit(cohort, "cox", Settings(penalty=5.0)).inference["coefficients"][0]["hazard_ratio"]
    assert 0 < ratio < 1


def test_few_events_a_coefficient_are_warned_of_and_printed() -> None:
    """Below ten; the warning says how many, and what to do."""
    names = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
    cohort = check_cohort(simulate(60, 3), load_study("deb-tace-hcc"), "os", names)
    events = int(cohort.event.sum())
    assert events < 50
    inference = fit(cohort, "cox").inference
    (warning,) = inference["warnings"]
    assert warning.startswith(f"{events} events for 5 coefficients are {events / 5:.1f} a coef")
    assert any(f"warning: {events} events" in line for line in hypothesis_lines(inference))
    few = check_cohort(simulate(60, 3), load_study("deb-tace-hcc"), "os", ("treatment",))
    assert fit(few, "cox").inference["warnings"] == []


def test_what_the_command_prints_has_every_test() -> None:
    """Whole model, each predictor's proportional hazards; with a ridge, ratios alone."""
    cohort = check_cohort(simulate(200, 3), load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    inference = fit(cohort, "cox", Settings(ties="breslow")).inference
    assert inference["ties"] == "breslow"
    assert inference["baseline"]["method"] == "Breslow"
    text = "\n".join(hypothesis_lines(inference))
    for what in ("likelihood ratio", "Wald", "score", "age: proportional", "hazards, all"):
        assert what in text
    shrunken = fit(cohort, "cox", Settings(penalty=3.0)).inference
    assert "ridge penalty 3 (given)" in "\n".join(hypothesis_lines(shrunken))
    assert all("to" not in line.split() for line in coefficient_lines(shrunken))


@pytest.mark.parametrize("penalty", [-1.0, np.inf, np.nan])
def test_an_estimator_s_settings_are_checked(penalty: float) -> None:
    """Ties, penalty and the scale of curves."""
    z, y = outcomes()
    with pytest.raises(ModelError, match='penalty must be 0 or a number above, or "firth", got'):
        CoxModel(penalty=penalty).fit(z[:, None], y)
    with pytest.raises(ModelError, match="ties must be one of efron, breslow, got 'exact'"):
        CoxModel(ties="exact").fit(z[:, None], y)  # type: ignore[arg-type]
    model = CoxModel().fit(z[:, None], y)
    with pytest.raises(ModelError, match="scale must be one of log-log, log, plain, got 'logit'"):
        model.predict_curves(z[:2, None], scale="logit")  # type: ignore[arg-type]


def test_a_direction_the_data_cannot_tell_costs_a_degree_of_freedom() -> None:
    """The same value twice, with the variance of one: a test of one, not an error."""
    found = quadratic(np.array([2.0, 2.0]), np.full((2, 2), 4.0))
    assert (found.df, found.chi_square) == (1, pytest.approx(1.0))


def of_centres(n: int, clusters: int, giant: float = 0.0) -> tuple[pd.DataFrame, Study]:
    """Return simulated patients of centres, and their study."""
    random = np.random.default_rng(5)
    table = simulate(n, 3)
    table["inst"] = np.arange(n) % clusters
    table.loc[random.random(n) < giant, "inst"] = 0
    study = load_study("deb-tace-hcc")
    return table, replace(study, cluster="inst")


@pytest.mark.parametrize(
    ("clusters", "giant", "said"),
    [
        (12, 0.0, "there are 12 clusters (inst), fewer than 40: robust"),
        (100, 0.5, "the largest cluster (inst) holds"),
        (100, 0.0, ""),
    ],
)
def test_a_robust_variance_of_few_or_unequal_clusters_is_warned_of(
    clusters: int, giant: float, said: str
) -> None:
    """The variance is named after the study's column, whatever it is."""
    table, study = of_centres(300, clusters, giant)
    cohort = check_cohort(table, study, "os", ("treatment", "age"))
    inference = fit(cohort, "cox").inference
    assert inference["variance"] == "robust, clustered on inst"
    robust = [w for w in inference["warnings"] if "robust standard errors" in w]
    assert len(robust) == bool(said)
    assert all(w.startswith(said) for w in robust)


def test_a_ridge_is_not_advised_to_who_has_one() -> None:
    """Few events are still warned of."""
    names = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
    cohort = check_cohort(simulate(60, 3), load_study("deb-tace-hcc"), "os", names)
    (warning,) = fit(cohort, "cox", Settings(penalty=3.0)).inference["warnings"]
    assert "use fewer with --predictors" in warning
    assert REMEDY not in warning


def test_the_extreme_ratio_of_a_near_collinear_number_is_put_down_to_that() -> None:
    """And is not printed with all its digits, in the warning or in the table."""
    x = np.random.default_rng(0).normal(size=100)
    design = np.column_stack([x, x + np.random.default_rng(1).normal(size=100) * 1e-5])
    contrast = {
        "predictor": "dup", "value": 1.0, "reference": 0.0, "hazard_ratio": np.inf,
        "log_hazard_ratio": 1000.0,
    }  # fmt: skip
    (warning,) = extreme_effects([contrast], design, {"x": [0], "dup": [1]})
    assert "hazard ratio of >1e6" in warning
    assert "collinearity" in warning
    assert "few or no events" not in warning
    row = {"term": "dup", "predictor": "dup", "knots": [], "hazard_ratio": 1e74, "p": 0.5}
    row |= {"lower": 1e-80, "upper": np.inf}
    table = {"contrasts": [contrast], "coefficients": [row], "penalty": None}
    assert ">1e6   <1e-6 to >1e6" in coefficient_lines(table)[1]
