"""Many cohorts of one study: how they are made, and what they are said to leave open.

Draws at the ends of the plausible death counts take minutes to search for, so the files of three
draws in the middle are made once for the module.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sksurv.nonparametric import nelson_aalen_estimator

from riskscore.errors import ModelError
from riskscore.study import load_study
from training.__main__ import main
from training.cohort import read_cohort
from training.cox import efron_pass
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction import compare, reconstruct
from training.reconstruction import draw_command as command
from training.reconstruction.draw_report import CAUTION, markdown, to_dict
from training.reconstruction.draws import Draw, is_valid, make_draws, plan_draws, write_cohort
from training.reconstruction.sensitivity import (
    COLUMNS,
    column_survival,
    figures,
    profiles,
)
from training.reconstruction.span import Span
from training.run import CORE_FOUR

MIDDLE = (58, 60, 62)


def easy(seed: int, draws: int, folder: Path) -> tuple[Draw, ...]:
    """Plan draws whose death counts are quick to search for."""
    planned = plan_draws(seed, draws, folder)
    return tuple(replace(draw, deaths=MIDDLE[k % len(MIDDLE)]) for k, draw in enumerate(planned))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three draws of seed 5."""
    made = tmp_path_factory.mktemp("draws")
    assert make_draws(easy(5, 3, made), jobs=1) == 3
    return made


@pytest.fixture(scope="module")
def report(folder: Path) -> Any:
    """Return the report on them."""
    return command.report_on(easy(5, 3, folder), 5, jobs=1)


def test_the_plan_spans_the_plausible_deaths_and_grows_without_changing(tmp_path: Path) -> None:
    """Two draws hold the extremes, a cycle every count once, and more draws keep the first."""
    plan = plan_draws(7, 50, tmp_path)
    deaths = [draw.deaths for draw in plan]
    assert deaths[:2] == [53, 71]
    assert sorted(deaths[:19]) == list(range(53, 72)) == sorted(deaths[19:38])
    assert plan_draws(7, 3, tmp_path) == plan[:3]
    assert len({draw.seed for draw in plan}) == 50
    assert {draw.seed for draw in plan}.isdisjoint(
        draw.seed for draw in plan_draws(8, 50, tmp_path)
    )


def test_draws_have_their_deaths_every_figure_and_patterns_of_their_own(folder: Path) -> None:
    """Each file is a cohort of the study, and no two are alike."""
    published, patterns = load_published(DEB_TACE), set()
    for draw in easy(5, 3, folder):
        frame = pd.read_csv(draw.path, dtype={"ecog": str})
        assert frame["death"].sum() == draw.deaths
        assert not [row for row in compare(frame, published) if row.agrees == "no"]
        patterns.add(tuple(frame.groupby(list(CORE_FOUR)).size().items()))
        provenance = read_cohort(draw.path, load_study("deb-tace-hcc"), "os", CORE_FOUR).provenance
        assert provenance.kind == "reconstructed"
    assert len(patterns) == 3


def test_any_number_of_workers_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    """Two workers write, byte for byte, what one wrote."""
    assert make_draws(easy(5, 3, tmp_path), jobs=2) == 3
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_whole_files_are_kept_and_spoilt_ones_made_again(folder: Path, tmp_path: Path) -> None:
    """A second run searches only for what is missing or not what it should be."""
    planned = easy(5, 3, tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole, cut, wrong = planned
    cut.path.write_bytes(cut.path.read_bytes()[:2000])
    frame = pd.read_csv(wrong.path, dtype=str, keep_default_na=False)
    frame["age"] = "50"
    frame.to_csv(wrong.path, index=False)
    before = whole.path.stat().st_mtime_ns
    told: list[int] = []
    assert make_draws(planned, jobs=1, progress=told.append) == 2
    assert told == [1, 2, 3]
    assert whole.path.stat().st_mtime_ns == before
    assert wrong.path.read_bytes() == (folder / wrong.path.name).read_bytes()


@pytest.mark.parametrize("spoil", ["other deaths", "a column less", "no table", "no file"])
def test_a_file_that_is_not_the_draw_is_not_taken_for_it(
    folder: Path, tmp_path: Path, spoil: str
) -> None:
    """What is there counts only if it is the draw."""
    good = easy(5, 1, folder)[0]
    assert is_valid(good)
    draw = replace(good, path=tmp_path / "draw.csv")
    if spoil == "other deaths":
        draw = replace(draw, deaths=59)
        draw.path.write_bytes(good.path.read_bytes())
    elif spoil == "a column less":
        pd.read_csv(good.path, dtype=str).drop(columns="sex").to_csv(draw.path, index=False)
    elif spoil == "no table":
        draw.path.write_text("")
    assert not is_valid(draw)


def test_draws_that_are_not_found_are_named(tmp_path: Path) -> None:
    """Without time nothing is found, and the error says which draws are missing."""
    with pytest.raises(ModelError, match=r"2 of 2 draws were not found.*draw 1 with 58 deaths"):
        make_draws(easy(5, 2, tmp_path), jobs=1, time_limit=0.0)
    assert list(tmp_path.iterdir()) == []


def test_deaths_beyond_what_the_source_allows_are_refused() -> None:
    """The plausible counts are the published file's."""
    with pytest.raises(ValueError, match="deaths must be 53 to 71, got 72"):
        reconstruct(1, deaths=72)


def test_the_command_is_silent_when_piped_and_writes_the_report(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Draws that are there are reported on; the report repeats itself byte for byte."""
    monkeypatch.setattr(command, "plan_draws", easy)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    order = ["reconstruct", "--draws", "3", "--jobs", "1", "--seed", "5", "--out", str(tmp_path)]
    assert main(order) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert CAUTION in told.out
    assert "0 draws searched for" in told.out
    first = (tmp_path / "draws.json").read_bytes()
    assert (tmp_path / "draws.md").read_text(encoding="utf-8") in told.out
    assert json.loads(first)["draws"] == 3
    assert main(order) == 0
    assert (tmp_path / "draws.json").read_bytes() == first


def test_an_output_that_is_a_file_or_no_draws_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every draw is a file in a folder, and there is at least one."""
    path = tmp_path / "cohort.csv"
    path.write_text("")
    assert main(["reconstruct", "--draws", "2", "--out", str(path)]) == 2
    assert "--out must be a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["reconstruct", "--draws", "0", "--out", str(tmp_path)])
    assert "'0' is not a whole number of 1 or more" in capsys.readouterr().err


def test_ctrl_c_keeps_the_whole_files_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by hand, the command leaves whole draws, no traceback, and status 130."""
    monkeypatch.setattr(command, "plan_draws", easy)
    found = reconstruct(3, deaths=58)

    def stopped(planned: tuple[Draw, ...], *_: Any, **__: Any) -> int:
        write_cohort(found.cohort, planned[0].path)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "make_draws", stopped)
    assert main(["reconstruct", "--draws", "2", "--out", str(tmp_path / "new")]) == 130
    told = capsys.readouterr()
    assert "stopped: 1 of 2 draws are kept" in told.err
    assert told.out == ""
    assert is_valid(easy(2022, 1, tmp_path / "new")[0])


def test_the_envelope_holds_every_draw(report: Any, folder: Path) -> None:
    """Least and most are those of the draws one by one, and the envelope is their outermost."""
    study, published = load_study("deb-tace-hcc"), load_published(DEB_TACE)
    found = [figures(draw.path, study, published) for draw in easy(5, 3, folder)]
    named, horizons = profiles(study), (6.0, 12.0, 18.0, 24.0)
    assert len(named) == 16
    assert len(report.ranges) == 64
    for n, r in enumerate(report.ranges):
        i, h = divmod(n, 4)
        assert (r.profile, r.horizon) == (named[i], horizons[h])
        survival = [f.cox[0, i, h] for f in found]
        assert r.cox == Span(min(survival), sorted(survival)[1], max(survival))
        assert r.cox_lowest_lower == min(f.cox[1, i, h] for f in found) <= r.cox.least
        assert r.cox_highest_upper == max(f.cox[2, i, h] for f in found) >= r.cox.most
        assert 0 <= r.forest.least <= r.forest.median <= r.forest.most <= 1
        assert sum(f.patients.sum() for f in found) == 270


def test_the_models_are_the_shipped_ones(report: Any) -> None:
    """What is said of the committed cohort is what the shipped bundles answer."""
    from riskscore import load_model

    named = list(profiles(report.study))
    for kind in ("cox", "forest"):
        answer = load_model(f"deb-tace-hcc/os/{kind}").answer(named, times=[6, 12, 18, 24])
        mine = report.committed.cox[0] if kind == "cox" else report.committed.forest
        # 1e-6: a graph adds a forest's leaves in float32.
        assert mine == pytest.approx(answer.survival, abs=1e-6)
        if kind == "cox":
            assert report.committed.cox[1] == pytest.approx(answer.lower, abs=1e-9)


def test_the_report_says_what_it_is_not(report: Any) -> None:
    """No reader takes the envelope for an interval, nor the draws for a posterior's."""
    text, record = markdown(report), to_dict(report)
    assert record["caution"] == CAUTION
    assert "not an interval" in text
    assert "not pooled by Rubin's rules" in text
    assert record["deaths"]["draws_by_deaths"] == {"58": 1, "60": 1, "62": 1}
    spans = record["spans"]
    assert spans["deaths"] == {"least": 58.0, "median": 60.0, "most": 62.0}
    se = spans["standard error, treatment[deb_tace_sorafenib]"]
    assert 0.266 <= se["least"] <= se["most"] <= 0.286
    hr = spans["hazard ratio, treatment[deb_tace_sorafenib]"]
    # 0.0005: half a unit of the third printed decimal.
    assert [hr["least"], hr["most"]] == pytest.approx([0.561, 0.561], abs=0.0005)
    assert record["joint_patterns"] == 3


def test_the_hazard_ratio_column_is_the_fitted_model(report: Any) -> None:
    """The cohort has the printed hazard ratios, so its own Cox model says nearly the same."""
    column = report.committed.columns[COLUMNS.index("hazard_ratio")]
    # 0.0005: hazard ratios within half a unit of their third decimal move survival no further.
    assert column == pytest.approx(report.committed.cox[0], abs=0.0005)


def test_the_coefficient_column_moves_profiles_and_not_the_mean(report: Any) -> None:
    """Mean survival follows Kaplan-Meier by either column; the treatment's contrast does not."""
    found = report.committed
    # 0.04: a Cox model's mean curve is not Kaplan-Meier's, only near it.
    assert found.columns_mean == pytest.approx(np.tile(found.kaplan_meier, (2, 1)), abs=0.04)
    for c, ratio in enumerate((0.561, math.exp(-1.405))):
        log_survival = np.log(found.columns[c])
        # Profiles alternate between the treatment's levels; the study's first is the reference.
        assert log_survival[1::2] / log_survival[::2] == pytest.approx(ratio)


def test_the_baseline_given_no_effects_is_nelson_aalens() -> None:
    """With every effect at nought the offset baseline is the cohort's own hazard, up to ties."""
    cohort = read_cohort(DEB_TACE_COHORT, load_study("deb-tace-hcc"), "os", CORE_FOUR)
    time = cohort.time + 1e-6 * np.arange(len(cohort.time))  # without ties both are the same
    found = efron_pass(np.zeros((len(time), 1)), time, cohort.event, np.zeros(1))
    times, hazard = nelson_aalen_estimator(cohort.event, time)
    assert found.hazard == pytest.approx(hazard[np.isin(times, found.times)])


def test_expected_deaths_are_the_observed_ones_by_either_column() -> None:
    """The baseline is re-estimated so that a column cannot change how many die."""
    published = load_published(DEB_TACE)
    cohort = read_cohort(DEB_TACE_COHORT, load_study("deb-tace-hcc"), "os", CORE_FOUR)
    # Horizons at every time: survival where each patient's follow-up ends gives the expected.
    times = tuple(sorted(set(cohort.time.tolist())))
    outcome = replace(cohort.outcome, horizons=times)
    dense = replace(cohort, study=replace(cohort.study, outcomes={"os": outcome}))
    index = cohort.X @ np.array([8, 4, 2, 1])
    for column in COLUMNS:
        survival = column_survival(dense, published, column)
        at = np.searchsorted(times, cohort.time)
        expected = -np.log(survival[index.astype(int), at]).sum()
        # 2 %: Efron's tied deaths are exposed to their own step only in part.
        assert expected == pytest.approx(cohort.event.sum(), rel=0.02)
