"""`predict` answers correctly, says what it does not know, and refuses what it cannot."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import onnx
import pandas as pd
import pytest

import riskscore
from riskscore import BundleError, InputError, ModelError, load_model
from riskscore.graph import ROWS_AT_ONCE
from riskscore.model import RiskModel
from riskscore.prediction import FEW, nullable
from tests.sealing import seal

mpl.use("Agg")


@pytest.fixture(scope="session")
def cox(cox_bundle: Path) -> RiskModel:
    """Return the Cox model on the core four."""
    return load_model(cox_bundle)


@pytest.fixture(scope="session")
def forest(forest_bundle: Path) -> RiskModel:
    """Return the forest on the core four and age."""
    return load_model(forest_bundle)


def test_the_public_names_are_pinned() -> None:
    """The door has ten names."""
    assert riskscore.__all__ == [
        "BundleError", "InputError", "Manifest", "ModelError", "Prediction", "Problem",
        "RiskModel", "RiskscoreError", "StudyError", "load_model",
    ]  # fmt: skip


def test_a_cox_prediction_is_the_equation(cox: RiskModel, patient: dict[str, str]) -> None:
    """Survival is exp(-H0(t) exp(lp)), by hand from the coefficients in inference.json."""
    inference = cox.bundle.read("inference.json")
    baseline = inference["baseline"]
    carried = {"tumor_number[>3]": 0, "vascular_invasion[yes]": 1,
               "extrahepatic_metastasis[yes]": 0, "treatment[deb_tace_sorafenib]": 0}  # fmt: skip
    lp = sum(c["coef"] * carried[c["term"]] for c in inference["coefficients"])
    centred = sum(
        c["coef"] * (carried[c["term"]] - baseline["at"][c["term"]])
        for c in inference["coefficients"]
    )
    last = max(i for i, t in enumerate(baseline["times"]) if t <= 12)
    expected = np.exp(-baseline["cumulative_hazard"][last] * np.exp(centred))
    found = cox.predict(patient, times=[12])
    np.testing.assert_allclose(found.survival.loc[0, 12.0], expected, rtol=1e-12)  # same sums
    np.testing.assert_allclose(found.risk_score[0], lp, rtol=1e-12)  # same sums
    np.testing.assert_allclose(found.risk.loc[0, 12.0], 1 - expected, rtol=1e-12)


def test_the_three_kinds_of_input_agree(cox: RiskModel, patient: dict[str, str]) -> None:
    """A dictionary, a list of them and a DataFrame give the same answer."""
    other = {**patient, "treatment": "deb_tace_sorafenib"}
    listed = cox.predict([patient, other])
    table = cox.predict(pd.DataFrame([patient, other], index=["a", "b"]).assign(ward="7"))
    np.testing.assert_array_equal(listed.survival, table.survival)
    assert list(table.survival.index) == ["a", "b"]
    assert list(table.survival.columns) == [6.0, 12.0, 18.0, 24.0]
    pd.testing.assert_frame_equal(cox.predict(patient).survival, listed.survival.iloc[:1])


def test_the_direction_of_every_quantity(cox: RiskModel, patient: dict[str, str]) -> None:
    """A worse patient has lower survival, higher risk score, shorter median and mean."""
    better = {**patient, "vascular_invasion": "no"}
    p = cox.predict([better, patient])
    assert (p.survival.loc[0] > p.survival.loc[1]).all()
    assert p.risk_score[0] < p.risk_score[1]
    assert p.rmst[0] > p.rmst[1]
    assert p.median[0] > p.median[1]
    assert ((p.lower < p.survival) & (p.survival < p.upper)).all(axis=None)
    labels = cox.manifest.risk_groups["labels"]
    assert labels.index(p.risk_group[0]) <= labels.index(p.risk_group[1])


@pytest.mark.parametrize("which", ["cox", "forest"])
def test_curves_start_at_one_and_never_rise(which: str, request: pytest.FixtureRequest) -> None:
    """Survival on the whole grid is a falling step between 1 and 0."""
    model: RiskModel = request.getfixturevalue(which)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (50, len(model.manifest.predictors))).astype(float)
    if which == "forest":
        X[:, 4] = rng.integers(18, 80, 50)
    survival, lower, upper, _ = model.curves(X)
    assert (survival <= 1).all()
    assert (survival >= 0).all()
    assert (np.diff(survival, axis=1) <= 1e-7).all()  # float32 means of falling curves
    if which == "cox":
        assert (lower <= survival).all()
        assert (survival <= upper).all()
    assert model.answer_encoded(X, [0.0]).survival.tolist() == [[1.0]] * 50


def test_rows_do_not_depend_on_their_neighbours(forest: RiskModel) -> None:
    """Permuting rows permutes answers, also across the chunks that the graph is fed."""
    rng = np.random.default_rng(1)
    n = 2 * ROWS_AT_ONCE + 7
    X = np.column_stack([rng.integers(0, 2, (n, 4)), rng.integers(18, 80, n)]).astype(float)
    order = rng.permutation(n)
    whole, shuffled = forest.answer_encoded(X), forest.answer_encoded(X[order])
    np.testing.assert_array_equal(whole.survival[order], shuffled.survival)
    np.testing.assert_array_equal(whole.risk_score[order], shuffled.risk_score)
    np.testing.assert_array_equal(forest.curves(X)[0][order], forest.curves(X[order])[0])
    assert len(whole) == n


def test_a_forest_has_no_interval_and_says_so(forest: RiskModel, patient: dict[str, Any]) -> None:
    """Bounds are NaN in tables and None in JSON, and the manifest gives the reason."""
    p = forest.predict({**patient, "age": 60})
    assert p.lower.isna().all(axis=None)
    assert p.upper.isna().all(axis=None)
    assert p.answer.to_records()[0]["survival_lower"] == [None] * 4
    assert forest.manifest.intervals["available"] is False
    assert "stability" in forest.manifest.intervals["reason"]
    assert "demonstrates the software" in forest.manifest.statement


def test_records_are_json(cox: RiskModel, patient: dict[str, str]) -> None:
    """What HTTP sends is plain, finite JSON, equal to the arrays."""
    answer = cox.answer([patient], [6, 12])
    record = json.loads(json.dumps(answer.to_records()[0], allow_nan=False))
    assert record["survival"] == answer.survival[0].tolist()
    assert set(record) == {
        "survival", "survival_lower", "survival_upper", "median", "rmst", "risk_score",
        "risk_group", "notes",
    }  # fmt: skip


@pytest.mark.parametrize("rows", [1, FEW], ids=["few", "many"])
def test_what_is_not_a_number_is_none_and_infinite_is_an_error(rows: int) -> None:
    """Few values and many go different ways to the same end."""
    values = np.tile([0.25, np.nan, 1.0], (rows, 1))
    assert nullable(values) == [[0.25, None, 1.0]] * rows
    assert nullable(values[:, 0]) == [0.25] * rows
    for infinite in (np.inf, -np.inf):
        values[-1, 2] = infinite
        with pytest.raises(ModelError, match="infinite"):
            nullable(values)


def test_a_patient_unlike_any_in_training_is_told_so(forest: RiskModel, cox: RiskModel) -> None:
    """Outside the training ages, or with levels nobody had together, there is a note."""
    low, high = forest.manifest.envelope["ranges"]["age"]
    base = {"tumor_number": "<=3", "vascular_invasion": "no",
            "extrahepatic_metastasis": "no", "treatment": "deb_tace"}  # fmt: skip
    notes = forest.predict([{**base, "age": low}, {**base, "age": 18}]).notes
    assert notes[0] == ""
    assert notes[1] == (
        f"no such patient in the training data: age 18 is outside {low:g} to {high:g} years"
    )
    seen = {tuple(c) for c in cox.manifest.envelope["combinations"]}
    unseen = next(
        c for c in np.ndindex(2, 2, 2, 2) if c not in seen
    )  # 90 patients do not fill 16 profiles
    answer = cox.answer_encoded(np.array([unseen], float))
    assert "nobody had these levels together" in answer.notes[0][0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [-1],
            r"times must be 0 to [\d.]+ months, .*got -1; give times in months, such as \[6, 12",
        ),
        ([1e9], r"got 1000000000.0; leave it out: nothing is known beyond the follow-up"),
        ([float("nan")], "got 'nan'"),
        ([float("inf")], "got 'inf'"),
        (["12"], "got '12'"),
        ([True], "got True"),
        ([12, 12.0], "times must not repeat, got 12.0; drop one"),
        ([], "times must be a list of numbers"),
        ("12", "times must be a list of numbers, got '12'"),
        (12, "times must be a list of numbers, got 12; give times in months"),
    ],
)
def test_a_time_that_cannot_be_answered_is_refused(
    cox: RiskModel, patient: dict[str, str], times: Any, message: str
) -> None:
    """Beyond the follow-up there is no extrapolation, and the error names the limit."""
    with pytest.raises(InputError, match=message):
        cox.predict(patient, times)


def test_problems_of_patients_and_times_come_together(
    cox: RiskModel, patient: dict[str, str]
) -> None:
    """One answer lists everything that must be mended."""
    with pytest.raises(InputError) as caught:
        cox.predict({**patient, "treatment": "x"}, [900, "6"])
    assert [p.field for p in caught.value.problems] == ["times", "times", "treatment"]


def test_one_patient_gets_the_answer_a_batch_would_give(
    forest: RiskModel, patient: dict[str, Any]
) -> None:
    """Company does not change a prediction, to the last bit."""
    batch = [{**patient, "age": 30 + i % 50} for i in range(300)]
    together = forest.answer(batch).survival
    alone = np.vstack([forest.answer([p]).survival for p in batch])
    np.testing.assert_array_equal(together, alone)


def test_the_longest_follow_up_itself_can_be_asked(cox: RiskModel, patient: dict[str, str]) -> None:
    """The limit is inclusive, and the curve holds its last value up to it."""
    limit = cox.manifest.follow_up_limit
    p = cox.predict(
        patient, [cox.manifest.times[-1], limit] if limit > cox.manifest.times[-1] else [limit]
    )
    assert p.survival.iloc[0, -1] == cox.curves(p.answer.inputs)[0][0, -1]


@pytest.mark.parametrize("patients", [5, "patient", None, np.zeros((1, 4))])
def test_what_is_no_table_is_refused(cox: RiskModel, patients: Any) -> None:
    """Neither a number nor a bare matrix says which predictor is which."""
    with pytest.raises(InputError, match="patients must be a table|must be an object"):
        cox.predict(patients)


def test_an_empty_table_is_refused(cox: RiskModel, patient: dict[str, str]) -> None:
    """No rows is an error, whichever way it comes."""
    for empty in (pd.DataFrame([patient]).iloc[:0], []):
        with pytest.raises(InputError, match="patients must be at least one"):
            cox.predict(empty)


def test_an_off_grid_time_of_a_thinned_forest_says_so(
    forest_bundle: Path, tmp_path: Path, patient: dict[str, Any]
) -> None:
    """A thinned grid knows the curve only at its own times."""
    copy = Path(shutil.copytree(forest_bundle, tmp_path / "b"))
    manifest = json.loads((copy / "manifest.json").read_text()) | {"grid": "thinned"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    seal(copy)
    model = load_model(copy)
    on, off = model.manifest.times[3], model.manifest.times[3] + 0.01
    who = {**patient, "age": 60}
    assert "survival at" not in model.predict(who, [on]).notes[0]
    text = f"survival at month {off:g} is read from the thinned grid, at month {on:g}"
    found = model.predict(who, [on, off])
    assert text in found.notes[0]
    before = model.manifest.times[model.manifest.times.index(found.median[0]) - 1]
    text = f"the median lies between month {before:g} and {found.median[0]:g} (thinned grid)"
    wide = found.median[0] - before > 0.01 * model.manifest.follow_up_limit
    assert (text in found.notes[0]) == wide
    # Before the first event and after the last the answer is exact.
    ends = [model.manifest.times[0] / 2, model.manifest.follow_up_limit]
    assert "survival at" not in model.predict(who, ends).notes[0]


def test_a_graph_of_another_shape_is_refused(cox_bundle: Path, tmp_path: Path) -> None:
    """Another ONNX file with a right hash is not a model of ours; nor is a broken one."""
    copy = Path(shutil.copytree(cox_bundle, tmp_path / "b"))
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])], "g",
        [value("x", 11, [1])], [value("y", 11, [1])],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 8
    for data, message in (
        (model.SerializeToString(), "model.onnx must take x and give survival.*it gives y"),
        (b"not a graph", "model.onnx must not have field 13 in a model, which no export writes"),
    ):
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["files"]["model.onnx"] = sha256(data).hexdigest()
        (copy / "manifest.json").write_text(json.dumps(manifest))
        (copy / "model.onnx").write_bytes(data)
        with pytest.raises(BundleError, match=message):
            load_model(copy)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.update(statement=""), "its statement"),
        (lambda c: c.update(id="deb-tace-hcc/os/other"), "its id"),
        (lambda c: c["study"]["study"].update(time_unit="day"), "its time_unit"),
        (lambda c: (c["times"].pop(), c["at_risk"].pop()), "its times"),
        (lambda c: c["study"]["predictors"]["treatment"]["levels"].reverse(), "its predictors"),
        (lambda c: c["risk_groups"]["cut_points"].__setitem__(-1, 9.0), "its hash"),
    ],
)
def test_a_manifest_of_another_graph_is_refused(
    cox_bundle: Path, tmp_path: Path, change: Any, named: str
) -> None:
    """What would mislabel an answer is compared with what the graph says of itself."""
    copy = Path(shutil.copytree(cox_bundle, tmp_path / "b"))
    content = json.loads((copy / "manifest.json").read_text())
    change(content)
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=f"does not describe model.onnx .{named}"):
        load_model(copy)


def test_a_graph_with_parts_elsewhere_is_refused(cox_bundle: Path, tmp_path: Path) -> None:
    """A tensor in another file would not be covered by any hash."""
    copy = Path(shutil.copytree(cox_bundle, tmp_path / "b"))
    model = onnx.load(copy / "model.onnx")
    onnx.save(
        model, copy / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = sha256((copy / "model.onnx").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="must not keep part of itself in another file"):
        load_model(copy)


def test_a_frame_with_a_repeated_column_is_refused(cox: RiskModel, patient: dict[str, str]) -> None:
    """Which of the two was meant cannot be known."""
    frame = pd.DataFrame([patient])
    with pytest.raises(InputError, match="treatment column stands twice"):
        cox.predict(pd.concat([frame, frame[["treatment"]]], axis=1))


def test_to_frame_holds_everything(cox: RiskModel, patient: dict[str, str]) -> None:
    """One row a patient, columns named by quantity and time."""
    p = cox.predict(patient, [6, 12.5])
    frame = p.to_frame()
    assert list(frame) == [
        "survival_6", "survival_lower_6", "survival_upper_6", "survival_12.5",
        "survival_lower_12.5", "survival_upper_12.5", "median", "rmst", "risk_score",
        "risk_group", "notes",
    ]  # fmt: skip
    assert frame.loc[0, "survival_12.5"] == p.survival.loc[0, 12.5]
    assert "patients=1" in repr(p)
    assert cox.digest[:15] in repr(cox)


def test_the_plot_draws_the_curve_that_is_predicted(
    cox: RiskModel, forest: RiskModel, patient: dict[str, Any]
) -> None:
    """The line starts at 1 and passes through the predicted survival; bands where there are any."""
    p = cox.predict([patient, {**patient, "vascular_invasion": "no"}], [12])
    ax = p.plot()
    line = ax.lines[0]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (x[0], y[0]) == (0, 1)
    assert y[np.searchsorted(x, 12, side="right") - 1] == p.survival.loc[0, 12.0]
    assert len(ax.collections) == 2
    assert ax.get_xlabel() == "Months since first DEB-TACE session"
    assert ax.get_legend() is not None
    many = forest.predict([{**patient, "age": a} for a in range(40, 60)])
    ax = many.plot(mpl.figure.Figure().subplots())
    assert len(ax.lines) == 20
    assert not ax.collections
    assert ax.get_legend() is None
