"""Explaining a prediction: exact Shapley values, and the nomogram's points."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from matplotlib.figure import Figure

from riskscore import InputError, ModelError, RiskModel, load_model
from riskscore.explanation import shapley_values
from riskscore.study import load_study
from tests.conftest import PATIENT, simulate
from training.cohort import check_cohort
from training.fit import Settings, fit
from training.provenance import Provenance

STUDY = load_study("deb-tace-hcc")


@pytest.fixture(scope="module")
def with_age(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RiskModel]:
    """Return a Cox model and a forest of the core four and age, of patients."""
    folder = tmp_path_factory.mktemp("age")
    own = Provenance("patients", "a simulation", "none", "", ())
    cohort = check_cohort(simulate(200, 3), STUDY, "os", [*PATIENT, "age"], provenance=own)
    for kind in ("cox", "forest"):
        fit(cohort, kind, Settings(trees=30, n_jobs=1)).write(folder / kind)
    return {kind: load_model(folder / kind) for kind in ("cox", "forest")}


def test_two_players_worked_by_hand() -> None:
    """v(1) = 2, v(2) = 4, v(both) = 10: shares 4 and 6."""

    def worth(rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return 2 * rows[:, 0] + 4 * rows[:, 1] + 4 * rows[:, 0] * rows[:, 1]

    found = shapley_values(worth, np.array([[1.0, 1.0], [0.0, 1.0]]), np.zeros(2))
    assert found.tolist() == [[4.0, 6.0], [0.0, 4.0]]


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_shares_are_the_mean_over_every_order(kind: str, with_age: dict[str, RiskModel]) -> None:
    """All 120 orders of five predictors are walked through with `predict` itself."""
    model = with_age[kind]
    patient = PATIENT | {"tumor_number": ">3", "treatment": "deb_tace_sorafenib", "age": 41.0}
    found = model.explain(patient, time=12)
    typical = model.manifest.typical_patient
    total = dict.fromkeys(patient, 0.0)
    for order in permutations(patient):
        path = [dict(typical)]
        for name in order:
            path.append(path[-1] | {name: patient[name]})
        steps = np.diff(model.answer(path, [12]).survival[:, 0])
        for name, step in zip(order, steps, strict=True):
            total[name] += step / math.factorial(len(patient))
    # 1e-12: both are sums of the same numbers in another order.
    assert found.contributions.loc[0].to_dict() == pytest.approx(total, abs=1e-12)
    assert found.reference == typical


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_shares_sum_to_the_prediction(kind: str, with_age: dict[str, RiskModel]) -> None:
    """Within 1e-12, for every patient, in every form."""
    model = with_age[kind]
    patients = [PATIENT | {"age": age} for age in (35.0, 60.0, 79.0)]
    found = model.explain(patients, time=18)
    survival = model.predict(patients, [18]).survival[18.0]
    gained = found.contributions.sum(axis=1) + found.reference_survival
    assert gained.tolist() == pytest.approx(survival.tolist(), abs=1e-12)
    assert found.survival.tolist() == survival.tolist()
    record = model.shares(patients, 18).to_records()[2]
    assert record["contributions"] == found.contributions.loc[2].to_dict()
    assert record["reference"] == model.manifest.typical_patient
    assert "patients=3" in repr(found)


def test_on_the_log_hazard_the_shares_have_a_closed_form(with_age: dict[str, RiskModel]) -> None:
    """There a Cox model is a sum, so each share is coefficient times deviation."""
    model = with_age["cox"]
    equation = model.equation
    patient = PATIENT | {"tumor_number": ">3", "age": 41.0}
    X = model.explain(patient).shares.inputs
    typical = model.explain(model.manifest.typical_patient).shares.inputs[0]
    found = shapley_values(equation.linear_predictor, X, typical)
    rows = {c["term"]: c["coef"] for c in model.bundle.read("inference.json")["coefficients"]}
    deviation = X[0] - typical
    assert found[0].tolist() == pytest.approx(
        [b * d for b, d in zip(rows.values(), deviation, strict=True)], abs=1e-12
    )


def test_the_equation_is_the_graph(with_age: dict[str, RiskModel]) -> None:
    """Linear predictor and survival of `inference.json` are those of the exported model."""
    model = with_age["cox"]
    patients = [PATIENT | {"age": age, "treatment": t} for age in (35.0, 70.0)
                for t in ("deb_tace", "deb_tace_sorafenib")]  # fmt: skip
    answer = model.answer(patients, [3, 12])
    # 1e-12: the same sums in another order.
    assert model.equation.linear_predictor(answer.inputs) == pytest.approx(
        answer.risk_score, abs=1e-12
    )
    assert model.equation.survival(answer.inputs, np.array([3.0, 12.0])) == pytest.approx(
        answer.survival, abs=1e-12
    )


def test_the_first_horizon_is_the_default(with_age: dict[str, RiskModel]) -> None:
    """A time beyond the follow-up is refused like anywhere else."""
    patient = PATIENT | {"age": 60.0}
    assert with_age["cox"].explain(patient).shares.time == 6.0
    with pytest.raises(InputError, match="times must be 0 to"):
        with_age["cox"].explain(patient, time=999)


def test_a_forest_of_a_reconstruction_is_not_explained() -> None:
    """Equally fitting cohorts would explain the same patient otherwise."""
    with pytest.raises(ModelError, match=r"must not be a forest of a reconstructed cohort to expl"):
        load_model("deb-tace-hcc/os/forest").explain(PATIENT)


def test_too_many_predictors_are_refused() -> None:
    """The number of orders doubles with each."""
    with pytest.raises(ModelError, match="predictors must be at most 14 .* the model has 15"):
        shapley_values(lambda X: X.sum(axis=1), np.ones((1, 15)), np.zeros(15))


def test_the_drawing_ends_at_the_prediction(with_age: dict[str, RiskModel]) -> None:
    """Bars run from the typical patient to this one, the longest first, each labelled."""
    patient = PATIENT | {"tumor_number": ">3", "age": 41.0}
    found = with_age["cox"].explain(patient, time=12)
    ax = found.plot(ax=Figure().subplots())
    bars = ax.patches
    lengths = [abs(bar.get_width()) for bar in bars]  # type: ignore[attr-defined]
    assert lengths == sorted(lengths, reverse=True)
    assert sum(bar.get_width() for bar in bars) == pytest.approx(  # type: ignore[attr-defined]
        found.survival[0] - found.reference_survival
    )
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "Typical patient"
    assert labels[-1] == "This patient"
    assert "Number of tumours: more than 3" in labels
    assert "Age: 41 years" in labels
    assert found.plot().figure is not None


def test_points_add_up_to_the_prediction(with_age: dict[str, RiskModel]) -> None:
    """What a person adds up by hand has the model's own survival, there and back."""
    model = with_age["cox"]
    nomogram = model.nomogram()
    patients = [PATIENT | {"age": 35.0}, PATIENT | {"age": 70.0, "tumor_number": ">3"}]
    points = nomogram.points(patients)
    columns = [*model.manifest.study.predictors]
    assert points["total"].tolist() == pytest.approx(points[columns].sum(axis=1).tolist())
    survival = model.predict(patients, [12]).survival[12.0].to_numpy()
    # 1e-12: rounding alone.
    assert nomogram.survival(points["total"], 12) == pytest.approx(survival, abs=1e-12)
    assert nomogram.total_for(survival, 12) == pytest.approx(points["total"].to_numpy())
    assert max(scale.points.max() for scale in nomogram.scales) == pytest.approx(100)
    assert min(scale.points.min() for scale in nomogram.scales) == 0
    stated = nomogram.to_dict()["scales"][0]
    assert stated["levels"] == ["3 or fewer", "more than 3"]
    assert stated["points"][0] == 0


def test_points_are_in_proportion_to_the_coefficients(with_age: dict[str, RiskModel]) -> None:
    """A level's points are its coefficient's share of the widest range, by hand."""
    model = with_age["cox"]
    rows = {c["term"]: c["coef"] for c in model.bundle.read("inference.json")["coefficients"]}
    low, high = model.manifest.envelope["ranges"]["age"]
    widths = [abs(b) * (high - low if term == "age" else 1) for term, b in rows.items()]
    nomogram = model.nomogram()
    for scale, width in zip(nomogram.scales, widths, strict=True):
        assert np.ptp(scale.points) == pytest.approx(100 * width / max(widths))


def test_the_nomogram_is_drawn_with_every_scale(with_age: dict[str, RiskModel]) -> None:
    """Points, five predictors, their sum and four horizons, each with its marks."""
    figure = with_age["cox"].nomogram().plot()
    titles = [ax.get_ylabel() for ax in figure.axes]
    assert titles[0] == "Points"
    assert titles[5] == "Age\n(years)"
    assert titles[6] == "Total points"
    assert titles[-1] == "Overall survival\nat month 24, %"
    assert [t.get_text() for t in figure.axes[1].texts] == ["3 or fewer", "more than 3"]


def test_only_a_cox_model_has_points(with_age: dict[str, RiskModel]) -> None:
    """A forest adds nothing up."""
    with pytest.raises(ModelError, match="must be a Cox model to have an equation"):
        with_age["forest"].nomogram()
    with pytest.raises(InputError, match="vascular_invasion"):
        with_age["cox"].nomogram().points(PATIENT | {"age": 60.0, "vascular_invasion": "?"})
