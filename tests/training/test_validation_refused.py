"""What `validate` cannot judge is refused by name, rule, value and remedy, before any fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskscore.errors import ModelError
from tests.conftest import simulate
from tests.training.test_validation import cohort_of
from training.__main__ import main
from training.fit import Settings, fit
from training.validation import resampling, validating
from training.validation.validating import validate

Change = Callable[[pd.DataFrame], pd.DataFrame]


def same(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cohort as it is: the options are wrong."""
    return frame


CASES: dict[str, tuple[Change, str, tuple[str, ...]]] = {
    "nobody had the event": (
        lambda f: f.assign(death=0), "",
        ("death has no event", "every row is 0", "check the coding"),
    ),
    "one had": (
        lambda f: f.assign(death=[1] + [0] * (len(f) - 1)), "",
        ("1 of the 80 patients has an event", "wait for longer follow-up"),
    ),
    "no event by any horizon": (
        lambda f: f.assign(os_months=40 + f["os_months"]), "",
        ("needs an event up to it", "first event is at 40.6", "got horizons 6, 12, 18, 24",
         "declare others in the study's outcomes"),
    ),
    "every horizon beyond the follow-up": (
        lambda f: f.assign(os_months=f["os_months"].clip(upper=5)), "",
        ("outcomes.os must have a horizon within the follow-up, which ends at 5", "got '[6.0, 12.0",
         "declare an earlier horizon"),
    ),
    "a level that nobody has": (
        lambda f: f.assign(vascular_invasion="no"), "--predictors age,vascular_invasion",
        ("vascular_invasion must have two levels present", "got 'only no'", "leave it out with"),
    ),
    "a split after the last year": (
        same, "--split year 3000",
        ("split must be above 2000 and at most 2009, the range of year", "got 3000",
         "all rows are before it", "choose a value in between"),
    ),
    "a split that leaves nobody to fit": (
        same, "--split year 2000", ("split must be above 2000", "got 2000: all rows are from it"),
    ),
    "a split that is no number": (
        same, "--split year nan", ("split must be a number", "got 'nan'", "give a year"),
    ),
    "a column of words to split": (
        same, "--split word 3", ("word must be numbers", "got 'a'", "a column such as a year"),
    ),
    "a column with infinity to split": (
        lambda f: f.assign(year=[np.inf, *f["year"][1:]]), "--split year 2005",
        ("year must have a number in every row", "got inf", "leave those rows out"),
    ),
    "a column of one year": (
        same, "--split one 3", ("one must have two values or more to be split", "got 1 in every"),
    ),
    "one centre": (
        same, "--by centre",
        ("centre must have two values or more", "got 'Ulm' in every row", "--method cv"),
    ),
    "no replicate": (
        same, "--method 632plus --replicates 0",
        ("replicates must be at least 2, got 0", "give --replicates 200"),
    ),
    "centres for another method": (
        same, "--method cv --by centre",
        ("--by is of iecv only", "got 'cv'", "leave it out, or use --method iecv"),
    ),
    "a split and centres": (
        same, "--by centre --split year 2005", ("--split is of temporal only", "got 'iecv'"),
    ),
    "a folder that is not there": (
        same, "--out nowhere/found.json",
        ("--out must be in a folder that exists", "got 'nowhere'", "make the folder"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["cox", "forest"])
@pytest.mark.parametrize("case", CASES)
def test_the_command_refuses(
    case: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Status 2 and the words on standard error; no replicate was done and no file is left."""

    def never(one: object, number: int) -> None:
        raise AssertionError("a replicate was done")

    monkeypatch.setattr(resampling, "_try", never)
    monkeypatch.chdir(tmp_path)
    change, options, words = CASES[case]
    frame = simulate(80, 6)
    frame["year"], frame["one"] = np.arange(80) // 8 + 2000, 1
    frame["word"], frame["centre"] = ["a", "b"] * 40, "Ulm"
    change(frame).to_csv("patients.csv", index=False)
    asked = "--study deb-tace-hcc --cohort patients.csv --outcome os --predictors age --trees 20"
    if kind == "cox":
        asked = asked.removesuffix(" --trees 20")
    assert main(["validate", *asked.split(), "--model", kind, *options.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for word in words:
        assert word in err
    assert "np." not in err
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]


@pytest.mark.parametrize("replicates", [1, 0, -3])
@pytest.mark.parametrize("method", ["bootstrap", "632plus"])
def test_fewer_than_two_replicates_are_refused_before_the_cohort_is_looked_at(
    method: str, replicates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One resample has no spread."""
    monkeypatch.setattr(validating, "refuse_hopeless", pytest.fail)
    cohort = cohort_of(simulate(60, 3), ["age"])
    with pytest.raises(ModelError, match=f"at least 2, got {replicates}; give --replicates"):
        validate(cohort, "cox", Settings(), method, replicates=replicates)


@pytest.mark.parametrize("kind", ["cox", "forest"])
@pytest.mark.parametrize("n", [17, 20])
def test_a_fit_judges_as_few_patients_as_validate_does(kind: str, n: int) -> None:
    """It printed corrected figures of 17 patients, whom `validate` refused to resample."""
    cohort = cohort_of(simulate(n, 3), ["age"])
    settings = Settings(replicates=3, trees=20 if kind == "forest" else None, min_leaf=3, n_jobs=1)
    if n == 20:
        assert "validation" in fit(cohort, kind, settings).evaluation
        return
    with pytest.raises(ModelError, match="17 patients are too few to resample: at least 20"):
        validate(cohort, kind, settings)
    with pytest.raises(ModelError, match=r"17 patients are too few.*--replicates 0"):
        fit(cohort, kind, settings)
    without = fit(cohort, kind, replace(settings, replicates=0))
    assert "validation" not in without.evaluation


def test_a_split_without_its_value_is_refused() -> None:
    """In Python nothing makes the two come together."""
    cohort = cohort_of(simulate(60, 3), ["age"])
    with pytest.raises(ModelError, match=r"split must be a number, got None; give --split"):
        validate(cohort, "cox", Settings(), "temporal", column=np.arange(60))
