"""Optimism correction against R, on the same resamples; `rms::validate` on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.study import load_study
from tests.agreement import Agreement
from training.cohort import Cohort, check_cohort
from training.settings import Settings
from training.validation.centres import pooled
from training.validation.figures import AT, OVERALL
from training.validation.optimism import Optimism, optimism

R: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "oracle" / "validate.json").read_text(encoding="utf-8")
)
STUDY = """
format = 1
[study]
id = "simulated"
title = "Simulated"
population = "Nobody"
time_unit = "month"
time_origin = "start"
[outcomes.os]
label = "Survival"
time = "time"
event = "event"
horizons = [10]
[predictors.x1]
levels = ["no", "yes"]
[predictors.x2]
unit = "1"
range = [-100, 100]
[predictors.x3]
levels = ["no", "yes"]
"""

# Both sides maximise the same likelihood, R to a relative 1e-12 of it: coefficients agree to
# about 1e-7, and so do figures that are smooth in them.
AGREEMENT = 1e-6

SCORE = "a loop over riskRegression::Score"
HOW = {"patched": "its fits carried on to 1e-12", "stock": "as it is (fits to 1e-4)"}


def cohort(name: str, folder: Path) -> Cohort:
    """Return R's cohort."""
    path = folder / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    frame = pd.DataFrame(R[name]["data"])
    for column in ("x1", "x3"):
        frame[column] = np.array(["no", "yes"])[frame[column]]
    return check_cohort(frame, load_study(path), "os")


@pytest.fixture(scope="module", params=["untied", "tied"])
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of one of R's cohorts."""
    return str(request.param)


@pytest.fixture(scope="module")
def both(name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Optimism, dict[str, Any]]:
    """Return our correction on R's resamples, and R's."""
    theirs = R[name]
    draws = np.array(theirs["draws"])
    ours = optimism(
        cohort(name, tmp_path_factory.mktemp("study")), Settings(), len(draws), draws=draws
    )
    return ours, theirs["found"]


def test_the_correction_is_rs_on_the_same_resamples(
    both: tuple[Optimism, dict[str, Any]], name: str, agree: Agreement
) -> None:
    """Apparent and corrected indexes agree, overall and at the horizon, with ties and without."""
    ours, theirs = both
    for part, names, place in (("overall", OVERALL, ()), ("at", AT, (0,))):
        apparent, mean, _, _ = (figure[place] for figure in ours.corrected(part))
        for k, index in enumerate(names):
            key = "r2" if index == "r2_nagelkerke" else index
            if part == "at" and index == "slope":
                key = "slope_at_horizon"
            if key in theirs["apparent"]:
                oracle = SCORE if key in ("brier", "ipa") else "a loop over coxph"
                what = key if index == "slope" else index
                figure = f"{what.replace('_', ' ')}, optimism-corrected"
                values = (apparent[k], apparent[k] - mean[k])
                expected = (theirs["apparent"][key], theirs["corrected"][key])
                agree(figure, oracle, f"simulated, {name}", values, expected, atol=AGREEMENT)


def test_the_curve_and_the_instability_are_rs(
    both: tuple[Optimism, dict[str, Any]], name: str, agree: Agreement
) -> None:
    """The corrected calibration curve agrees at every point; so does the mean prediction error."""
    ours, theirs = both
    apparent, mean, _, _ = (figure[0] for figure in ours.corrected("curve"))
    np.testing.assert_allclose(ours.plan.points[0], theirs["points"], atol=AGREEMENT)
    data, loop = f"simulated, {name}", "a loop over coxph"
    figure = "smooth calibration, optimism-corrected"
    agree(figure, loop, data, apparent - mean, theirs["curve"], atol=AGREEMENT)
    mape = np.abs(ours.predictions - ours.survival).mean()
    agree("instability (MAPE)", loop, data, mape, theirs["mape"], atol=AGREEMENT)


@pytest.mark.parametrize(("which", "agreement"), [("patched", 1e-6), ("stock", 1e-4)])
def test_rms_agrees_on_the_same_resamples(
    which: str,
    agreement: float,
    both: tuple[Optimism, dict[str, Any]],
    name: str,
    agree: Agreement,
) -> None:
    """`rms::validate` itself: to 1e-4 as it stops its fits, to 1e-6 where they are carried on."""
    theirs = R[name]["rms_same"][which]
    apparent, mean, _, _ = both[0].corrected("overall")
    for ours, key in (("dxy", "dxy"), ("r2_nagelkerke", "r2"), ("slope", "slope")):
        k = OVERALL.index(ours)
        figure, oracle = f"{key}, optimism-corrected", f"rms::validate, {HOW[which]}"
        corrected = apparent[k] - mean[k]
        agree(figure, oracle, f"simulated, {name}", corrected, theirs[key], atol=agreement)


@pytest.mark.parametrize("name", ["untied", "tied"])
def test_rms_itself_agrees_within_chance(name: str, tmp_path: Path) -> None:
    """On resamples of its own, `rms::validate` finds the same correction."""
    theirs = R[name]["rms"]
    found = optimism(cohort(name, tmp_path), Settings(seed=5), 300)
    apparent, mean, _, _ = found.corrected("overall")
    loss = found.loss("overall")
    for ours, key in (("dxy", "dxy"), ("r2_nagelkerke", "r2"), ("slope", "slope")):
        k = OVERALL.index(ours)
        # Monte-Carlo error of the difference of two means, ours of 300 and theirs of 2,000.
        error = loss[:, k].std() * np.sqrt(1 / 300 + 1 / theirs["replicates"])
        assert apparent[k] - mean[k] == pytest.approx(theirs[key], abs=3.5 * error), key


def test_centres_are_pooled_as_r_does(agree: Agreement) -> None:
    """REML's heterogeneity, and the intervals of the mean and of a new centre."""
    theirs = R["pooled"]
    found = pooled(np.array(theirs["values"]), np.array(theirs["errors"]))
    # A minimum is found to the root of the precision of what is minimised.
    for ours, key in (
        ("value", "mean"), ("tau", "tau"), ("lower", "lower"), ("upper", "upper"),
        ("new_lower", "new_lower"),
    ):  # fmt: skip
        agree("centres pooled (REML)", "optimise", "five", found[ours], theirs[key], atol=1e-6)
