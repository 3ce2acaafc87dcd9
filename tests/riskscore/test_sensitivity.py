"""The sensitivity envelope: read from the bundle's table, told apart from the interval."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from riskscore import load_model
from riskscore.bundle import open_bundle, write_bundle
from riskscore.errors import BundleError
from riskscore.sensitivity import Sensitivity
from riskscore.study import load_study

STUDY = load_study("deb-tace-hcc")
CATEGORIES = (STUDY.predictors["tumor_number"], STUDY.predictors["treatment"])

# Two predictors of two levels, two steps: at 2 and at 5 months. Rows: few tumours on DEB-TACE, few
# on both, many on DEB-TACE, many on both.
TABLE: dict[str, Any] = {
    "format": 1,
    "draws": 3,
    "how": "worked by hand",
    "predictors": ["tumor_number", "treatment"],
    "levels": [["<=3", ">3"], ["deb_tace", "deb_tace_sorafenib"]],
    "times": [2.0, 5.0],
    "survival": {
        "least": [[0.8, 0.5], [0.9, 0.7], [0.6, 0.2], [0.7, 0.4]],
        "most": [[0.9, 0.6], [0.95, 0.8], [0.7, 0.3], [0.8, 0.5]],
        "lowest_lower": [[0.7, 0.4], [0.8, 0.6], [0.5, 0.1], [0.6, 0.3]],
        "highest_upper": [[0.95, 0.7], [0.97, 0.9], [0.8, 0.4], [0.9, 0.6]],
    },
    "differences": {
        "deb_tace_sorafenib": {
            "least": [[0.02, 0.1], [0.02, 0.1], [-0.01, 0.05], [-0.01, 0.05]],
            "most": [[0.1, 0.25], [0.1, 0.25], [0.12, 0.3], [0.12, 0.3]],
        }
    },
}


def with_table(bundle: Path, target: Path, table: dict[str, Any]) -> Path:
    """Return a copy of a bundle that carries a table."""
    found = open_bundle(bundle)
    files = {name: (bundle / name).read_bytes() for name in found.manifest.files}
    write_bundle(target, found.manifest, {**files, "sensitivity.json": json.dumps(table).encode()})
    return target


def of_four() -> dict[str, Any]:
    """Return a table over the four core predictors, in which every combination has its number."""
    predictors = [STUDY.predictors[name] for name in ("tumor_number", "vascular_invasion",
                  "extrahepatic_metastasis", "treatment")]  # fmt: skip
    number = (np.arange(16) / 100)[:, None] + np.zeros((16, 2))
    rows = {"least": 0.5 + number, "most": 0.6 + number}
    bounds = {"lowest_lower": 0.4 + number, "highest_upper": 0.7 + number}
    listed = {name: values.tolist() for name, values in (rows | bounds).items()}
    return {
        **TABLE,
        "predictors": [p.name for p in predictors],
        "levels": [list(p.levels) for p in predictors],
        "survival": listed,
        "differences": {"deb_tace_sorafenib": {"least": listed["least"], "most": listed["most"]}},
    }


def test_an_envelope_is_a_step_function_that_starts_at_one() -> None:
    """Each patient finds the row of their levels; before the first step both bounds are 1."""
    found = Sensitivity(TABLE, CATEGORIES)
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    lower, upper = found.envelope(X, np.array([1.0, 2.0, 4.9, 5.0, 30.0]))
    assert lower.tolist() == [[1, 0.8, 0.8, 0.6, 0.6], [1, 0.5, 0.5, 0.1, 0.1]]
    assert upper.tolist() == [[1, 0.97, 0.97, 0.9, 0.9], [1, 0.8, 0.8, 0.4, 0.4]]


def test_a_difference_is_of_each_draw_and_starts_at_zero() -> None:
    """The stored range of differences is given, not the difference of the stored ranges."""
    found = Sensitivity(TABLE, CATEGORIES)
    X = np.array([[1.0, 0.0]])
    least, most = found.difference(X, np.array([0.0, 2.0, 6.0]), "deb_tace_sorafenib")
    assert least.tolist() == [[0, -0.01, 0.05]]
    assert most.tolist() == [[0, 0.12, 0.3]]


def test_predictions_carry_the_envelope_beside_the_interval(
    cox_bundle: Path, tmp_path: Path, patient: dict[str, str]
) -> None:
    """Python, records and tables show it, under a name of its own; the interval stays as it was."""
    model = load_model(with_table(cox_bundle, tmp_path / "b", of_four()))
    plain = load_model(cox_bundle)
    patients = [patient, patient | {"treatment": "deb_tace_sorafenib"}]
    found, before = model.predict(patients, [1, 3]), plain.predict(patients, [1, 3])
    assert found.lower.equals(before.lower)
    # Invasion is the third-fastest of four two-level predictors: combination 4, and 5 treated.
    assert found.sensitivity_lower.to_numpy() == pytest.approx(np.array([[1, 0.44], [1, 0.45]]))
    assert found.sensitivity_upper.to_numpy() == pytest.approx(np.array([[1, 0.74], [1, 0.75]]))
    assert found.to_frame()["sensitivity_upper_3"].tolist() == pytest.approx([0.74, 0.75])
    assert found.answer.to_records()[1]["sensitivity_lower"] == pytest.approx([1, 0.45])


def test_a_model_without_a_table_shows_none(cox_bundle: Path, patient: dict[str, str]) -> None:
    """No column, no key, and NaN where a DataFrame is asked for."""
    found = load_model(cox_bundle).predict(patient)
    assert not [name for name in found.to_frame() if name.startswith("sensitivity")]
    assert "sensitivity_lower" not in found.answer.to_records()[0]
    assert found.sensitivity_lower.isna().all(axis=None)
    assert found.sensitivity_upper.isna().all(axis=None)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("format", 2, "format must be 1, got 2"),
        ("predictors", ["treatment", "tumor_number"], "its predictors must be the model's"),
        ("times", [2.0], "must have 16 combinations by 1 times"),
        ("survival", {}, "'least'"),
    ],
)
def test_a_table_of_another_model_is_refused(
    key: str, value: object, complaint: str, cox_bundle: Path, tmp_path: Path
) -> None:
    """The message names the file and what is wrong with it."""
    table = copy.deepcopy(of_four())
    table[key] = value
    if key == "predictors":
        table["levels"] = table["levels"][:2]
    bundle = with_table(cox_bundle, tmp_path / "b", table)
    with pytest.raises(BundleError, match=f"sensitivity.json cannot be read: .*{complaint}"):
        load_model(bundle)


def test_a_number_has_no_combinations() -> None:
    """A table can be of categories alone."""
    age = STUDY.predictors["age"]
    table = TABLE | {"predictors": ["age"], "levels": [[]]}
    with pytest.raises(ValueError, match="categories all"):
        Sensitivity(table, (age,))


@pytest.mark.parametrize("model", ["os/cox", "os/forest", "pfs/cox", "ttp/cox"])
def test_every_shipped_model_lies_within_its_envelope(model: str) -> None:
    """Fitted on one of the cohorts that fit the figures, it is not outside what they allow."""
    loaded = load_model(f"deb-tace-hcc/{model}")
    assert loaded.sensitivity is not None
    assert loaded.sensitivity.draws == 50
    X = np.array(np.meshgrid(*[np.arange(len(p.levels)) for p in loaded.manifest.predictors]))
    answer = loaded.answer_encoded(X.reshape(len(loaded.manifest.predictors), -1).T.astype(float))
    lower, upper = answer.sensitivity_lower, answer.sensitivity_upper
    assert lower is not None
    assert upper is not None
    assert (lower < answer.survival).all()
    assert (answer.survival < upper).all()
    # Between the draws the interval of the committed cohort is one of many like it.
    if not np.isnan(answer.lower).any():
        assert (lower <= answer.lower + 0.05).all()
        assert (upper >= answer.upper - 0.05).all()


def test_the_plot_draws_the_envelope_at_its_own_steps(patient: dict[str, str]) -> None:
    """Dotted lines pass through the envelope that `predict` returns."""
    model = load_model("deb-tace-hcc/os/cox")
    found = model.predict(patient, times=[12])
    lines = found.plot(Figure().subplots()).get_lines()
    dotted = [line for line in lines if line.get_linestyle() == ":"]
    assert len(dotted) == 2
    for line, bound in zip(dotted, (found.sensitivity_lower, found.sensitivity_upper), strict=True):
        times, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert values[np.searchsorted(times, 12.0, side="right") - 1] == bound.loc[0, 12.0]
