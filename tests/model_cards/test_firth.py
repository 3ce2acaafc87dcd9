"""A card says plainly what Firth's penalised likelihood is; a model of numbers alone has a card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from model_cards import card_of, render_markdown
from model_cards.rendering import render_all
from riskscore.study import load_study
from tests.conftest import simulate
from tests.model_cards.conftest import stated
from training.cohort import check_cohort
from training.fit import Settings, fit

NAMES = ("extrahepatic_metastasis", "treatment", "age")
HASH = "0" * 64


def test_the_card_says_what_was_maximised_and_where_the_intervals_come_from(tmp_path: Path) -> None:
    """Hazard ratios have their profile intervals; predictions have none, and the card says why."""
    frame = simulate(120, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    study = load_study("deb-tace-hcc")
    cohort = check_cohort(frame, study, "os", NAMES, name="simulated.csv", sha256=HASH)
    fit(cohort, "cox", Settings(penalty="firth", n_jobs=1)).write(tmp_path / "b")
    card = card_of(stated(tmp_path / "b"))
    text = " ".join(render_markdown(card).split())
    assert "Estimated by Firth's penalised likelihood. Where nobody with a level has" in text
    assert "come from the profile of the penalised likelihood" in text
    assert "Heinze &amp; Schemper" in text
    ratio = card.model.contrasts[0]
    assert ratio.lower is not None
    assert ratio.lower < ratio.hazard_ratio < ratio.upper < 1
    assert "Predictions have no interval" in text


def test_repeated_rows_have_ratios_without_intervals_and_the_reason(tmp_path: Path) -> None:
    """No robust variance is known where a level has no events."""
    frame = simulate(120, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    study = load_study("deb-tace-hcc")
    study = replace(study, cluster="patient")
    frame["patient"] = frame.index // 2
    cohort = check_cohort(frame, study, "os", NAMES, name="simulated.csv", sha256=HASH)
    fit(cohort, "cox", Settings(penalty="firth", n_jobs=1)).write(tmp_path / "b")
    text = " ".join(render_markdown(card_of(stated(tmp_path / "b"))).split())
    assert "Estimated by Firth's penalised likelihood" in text
    assert "have no robust variance" in text
    assert "come from the profile" not in text


def test_too_few_resamples_leave_a_card_without_that_interval(tmp_path: Path) -> None:
    """No card accepted the bundle: "card.performance.judged.lower is not a number"."""
    cohort = check_cohort(
        simulate(120, 3), load_study("deb-tace-hcc"), "os", ("treatment", "age"),
        name="simulated.csv", sha256=HASH,
    )  # fmt: skip
    fit(cohort, "cox", Settings(n_jobs=1, replicates=5)).write(tmp_path / "b")
    card = card_of(stated(tmp_path / "b"))
    assert card.performance.judged is not None
    assert card.performance.judged.lower is None
    for name, content in render_all(card).items():
        text = content.decode() if isinstance(content, bytes) else str(content)
        if name.endswith((".md", ".html")):
            assert "(no interval)" in text
            assert "No interval: only 5 resamples could be used, and it takes 20" in text
            assert "nan" not in text.lower().split()


def test_a_model_of_numbers_alone_has_a_card(tmp_path: Path) -> None:
    """It was refused: no level to count, so that the table of levels "must not be empty"."""
    cohort = check_cohort(
        simulate(120, 3), load_study("deb-tace-hcc"), "os", ("age",),
        name="simulated.csv", sha256=HASH,
    )  # fmt: skip
    fit(cohort, "cox", Settings(n_jobs=1)).write(tmp_path / "b")
    assert "Age" in render_markdown(card_of(stated(tmp_path / "b")))
