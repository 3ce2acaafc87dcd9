"""A forest's band is never taken for a confidence interval."""

from __future__ import annotations

from pathlib import Path

from model_cards import card_of, render_markdown
from riskscore.study import load_study
from tests.conftest import simulate
from tests.model_cards.conftest import stated
from training.cohort import check_cohort
from training.fit import Settings, fit
from training.run import CORE_FOUR


def test_a_stability_band_is_called_one_on_the_card(tmp_path: Path) -> None:
    """Examples have bounds, a limitation says what they leave out, no word claims confidence."""
    study = load_study("deb-tace-hcc")
    cohort = check_cohort(
        simulate(90, 1), study, "os", CORE_FOUR, name="simulated.csv", sha256="0" * 64
    )
    fit(cohort, "forest", Settings(stability=True, n_jobs=1)).write(tmp_path / "b")
    card = card_of(stated(tmp_path / "b"))
    assert card.intervals.kind == "forest stability"
    assert all(e.lower is not None for e in card.profiles[0].answers[0].estimates)
    text = render_markdown(card)
    assert "Every probability comes with a 95 % band of forest stability" in text
    assert "not how far it is from the truth" in text
    assert "% confidence" not in text
    assert "interval of" not in text
