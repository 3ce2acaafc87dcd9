"""What a bundle of a reconstructed cohort carries of its source."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from riskscore import load_model
from riskscore.bundle import open_bundle
from riskscore.errors import InputError
from riskscore.study import load_study
from training.audit import audit
from training.cohort import read_cohort
from training.fit import Settings, fit
from training.fit.attachments import attachments
from training.provenance import read_provenance
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction.carried import Curves, combinations, curves_of, table
from training.run import CORE_FOUR

STUDY = load_study("deb-tace-hcc")


def curves(times: list[float], survival: list[list[float]]) -> Curves:
    """Return made-up curves of a model of the treatment alone, bounds 0.1 around."""
    values = np.array(survival)
    p = (STUDY.predictors["treatment"],)
    return Curves(p, {"ties": "efron"}, 5, np.array(times), values, values - 0.1, values + 0.1)


def test_a_table_spans_the_draws_at_every_step_of_any() -> None:
    """Two draws with steps of their own, worked by hand; 1 before a draw's first step."""
    found = table(
        [curves([2, 4], [[0.8, 0.5], [0.9, 0.6]]), curves([3], [[0.7], [0.75]])], "by hand", None
    )
    assert found["times"] == [2, 3, 4]
    assert found["survival"]["least"] == [[0.8, 0.7, 0.5], [0.9, 0.75, 0.6]]
    assert found["survival"]["most"] == [[1.0, 0.8, 0.7], [1.0, 0.9, 0.75]]
    assert found["survival"]["lowest_lower"] == [[0.7, 0.6, 0.4], [0.8, 0.65, 0.5]]
    gained = found["differences"]["deb_tace_sorafenib"]
    # At 3 months the first draw gains 0.9 - 0.8, the second 0.75 - 0.7: 0.05 to 0.1.
    assert gained["least"] == [[0.0, 0.05, 0.05]] * 2
    assert gained["most"] == [[0.1, 0.1, 0.1]] * 2
    assert found["events"] == {"least": 5.0, "median": 5.0, "most": 5.0}


def test_rounding_never_shuts_a_draw_out() -> None:
    """The low ends are rounded down, the high ends up."""
    found = table([curves([2], [[0.80007], [0.80003]])], "by hand", None)
    assert found["survival"]["least"] == [[0.8], [0.8]]
    assert found["survival"]["most"] == [[0.8001], [0.8001]]
    gained = found["differences"]["deb_tace_sorafenib"]
    assert gained["least"] == [[-0.0001]] * 2
    assert gained["most"] == [[0.0]] * 2


def test_curves_are_those_of_the_exported_model(tmp_path: Path) -> None:
    """What the table spans is what `load_model` answers, in the order of the combinations."""
    cohort = read_cohort(DEB_TACE_COHORT, STUDY, "os", CORE_FOUR)
    fitted = fit(cohort, "cox")
    fitted.write(tmp_path / "b")
    found = curves_of(fitted)
    model = load_model(tmp_path / "b")
    patients = [
        {p.name: p.levels[int(i)] for p, i in zip(found.predictors, row, strict=True)}
        for row in combinations(found.predictors)
    ]
    answer = model.answer(patients, found.times.tolist())
    assert np.array_equal(found.survival, answer.survival)
    assert np.array_equal(found.lower, answer.lower)
    assert found.events == 59


def test_the_bundle_carries_the_audit_and_the_draws_of_its_own_model(tmp_path: Path) -> None:
    """The committed cohort's companions become files of the bundle, hashed like the rest."""
    cohort = read_cohort(DEB_TACE_COHORT, STUDY, "pfs", ("treatment",))
    fit(cohort, "cox", Settings(seed=7)).write(tmp_path / "b")
    bundle = open_bundle(tmp_path / "b")
    found = audit(load_published(DEB_TACE))
    assert len(bundle.read("audit.json")["findings"]) == len(found.findings) > 50
    carried = bundle.read("sensitivity.json")
    assert carried["draws"] == 50
    assert carried["events"]["least"] < cohort.event.sum() < carried["events"]["most"]


def test_the_draws_of_another_model_are_not_carried() -> None:
    """Other predictors make another model, of which the draws say nothing."""
    cohort = read_cohort(DEB_TACE_COHORT, STUDY, "os", CORE_FOUR[:3])
    assert set(attachments(cohort, fit(cohort, "cox").manifest)) == {"audit.json"}


def test_the_coefficient_column_is_carried_with_the_model_it_contradicts() -> None:
    """Sixteen profiles at four horizons by either column; sorafenib's effect doubles on the log."""
    content = json.loads(
        DEB_TACE_COHORT.with_suffix(".sensitivity.json").read_text(encoding="utf-8")
    )
    tables = content["models"]
    assert [name for name, t in tables.items() if "columns" in t] == ["deb-tace-hcc/os/cox"]
    rows = tables["deb-tace-hcc/os/cox"]["columns"]["committed"]
    assert len(rows) == 64
    for untreated, treated in zip(rows[:4], rows[4:8], strict=True):
        assert treated["profile"]["treatment"] == "deb_tace_sorafenib"
        ratio = np.log(treated["coefficient"]) / np.log(untreated["coefficient"])
        assert ratio == pytest.approx(np.exp(-1.405))
        span = treated["over_draws"]["coefficient"]
        assert span["least"] < treated["coefficient"] < span["most"]


def test_a_companion_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The key, the name and the remedy are told."""
    for path in DEB_TACE_COHORT.parent.glob("deb-tace-2021.*"):
        shutil.copy(path, tmp_path)
    cohort = tmp_path / DEB_TACE_COHORT.name
    assert read_provenance(cohort).published == tmp_path / "deb-tace-2021.toml"
    (tmp_path / "deb-tace-2021.toml").unlink()
    with pytest.raises(InputError, match="published must be a file beside deb-tace-2021.source"):
        read_provenance(cohort)


def test_a_companion_elsewhere_is_refused(tmp_path: Path) -> None:
    """A path leads out of the folder that was handed over."""
    source = DEB_TACE_COHORT.with_suffix(".source.toml").read_text(encoding="utf-8")
    moved = source.replace('published = "', 'published = "../')
    (tmp_path / "c.source.toml").write_text(moved, encoding="utf-8")
    with pytest.raises(InputError, match="give its name alone"):
        read_provenance(tmp_path / "c.csv")


def test_another_draw_states_its_source_without_the_files_beside_it(tmp_path: Path) -> None:
    """A companion that is written again says the same, and names no file."""
    stated = read_provenance(DEB_TACE_COHORT)
    (tmp_path / "c.source.toml").write_text(stated.to_toml(), encoding="utf-8")
    again = read_provenance(tmp_path / "c.csv")
    assert again.to_dict() == stated.to_dict()
    assert again.published is None
