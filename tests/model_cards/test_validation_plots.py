"""The plots of a validation: what JSON says is what is drawn, and what is missing leaves a gap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_cards.plots import (
    draw_auc,
    draw_calibration,
    draw_decision_curve,
    draw_instability,
    save,
)


@pytest.fixture
def validation() -> dict[str, Any]:
    """Return a validation of two horizons; figures made up, a threshold without net benefit."""
    x = [0.1, 0.5, 0.9]
    at = {
        "auc": {"value": 0.7, "lower": 0.6, "upper": 0.8},
        "observed_expected": {"value": 1.25, "lower": 1.0, "upper": 1.5},
        "slope": {"value": 0.8, "lower": 0.5, "upper": 1.1},
        "ici": None,
        "calibration_curve": {
            "predicted": x, "observed": [0.2, 0.4, 0.8], "lower": [0.1, 0.3, 0.7],
            "upper": [0.3, 0.5, 0.9], "apparent": x, "histogram": [1, 3, 2, 0],
        },
        "decision_curve": {
            "thresholds": x, "treat_all": [0.3, 0.0, -2.0],
            "model": {"value": [0.3, 0.1, None], "lower": [0.2, 0.0, None],
                      "upper": [0.4, 0.2, None]},
        },
    }  # fmt: skip
    bins = [{"n": 12, "risk": 0.3, "mape": 0.02, "refits": [0.1, 0.2, 0.25, 0.4, 0.5]}]
    return {
        "method": "bootstrap",
        "calibration_follow_up": "administratively censored at each horizon",
        "horizons": [{"horizon": h} | at for h in (6.0, 12.0)],
        "instability": {
            "refits": 200, "least_in_a_bin": 10,
            "horizons": [{"horizon": h, "mape": 0.02, "bins": bins} for h in (6.0, 12.0)],
        },
    }  # fmt: skip


def lines(axes: Any) -> list[list[tuple[float, float]]]:
    """Return the points of every line."""
    return [list(zip(*map(list, line.get_data()), strict=True)) for line in axes.get_lines()]


def test_the_curves_are_those_of_the_json(validation: dict[str, Any]) -> None:
    """Observed over predicted; net benefit over threshold; refits over the model's risk."""
    figure = draw_calibration(validation, "month")
    assert figure is not None
    assert [a.get_title(loc="left") for a in figure.axes] == ["6 months", "12 months"]
    assert [(0.1, 0.2), (0.5, 0.4), (0.9, 0.8)] in lines(figure.axes[0])
    assert figure.axes[0].texts[0].get_text() == "O/E 1.25\nslope 0.80"
    del validation["calibration_follow_up"]
    older = draw_calibration(validation, "month")
    assert older is not None
    assert older.axes[0].texts[0].get_text() == "O/E 1.25"
    assert any("over the whole follow-up by an older" in text.get_text() for text in older.texts)
    figure = draw_decision_curve(validation, "month")
    assert figure is not None
    model, everybody = lines(figure.axes[0])[:2]
    assert model[:2] == [(0.1, 0.3), (0.5, 0.1)]
    assert np.isnan(model[2][1])
    assert everybody == [(0.1, 0.3), (0.5, 0.0), (0.9, -2.0)]
    figure = draw_instability(validation, "month")
    assert figure is not None
    assert lines(figure.axes[0])[1:] == [
        [(0.3, 0.1), (0.3, 0.5)],
        [(0.3, 0.2), (0.3, 0.4)],
        [(0.3, 0.25)],
    ]
    figure = draw_auc(validation, "month")
    assert figure is not None
    assert [(6.0, 0.7), (12.0, 0.7)] in lines(figure.axes[0])
    assert [(6.0, 0.6), (6.0, 0.8)] in lines(figure.axes[0])


def test_nothing_to_draw_is_no_figure(validation: dict[str, Any]) -> None:
    """A validation without curves, horizons or refits has no such plots."""
    for at in validation["horizons"]:
        at |= {"calibration_curve": None, "auc": None, "decision_curve": None}
    del validation["instability"]
    for draw in (draw_calibration, draw_decision_curve, draw_auc, draw_instability):
        assert draw(validation, "month") is None
        assert draw({"method": "iecv"}, "month") is None


def test_the_same_numbers_give_the_same_file(validation: dict[str, Any], tmp_path: Path) -> None:
    """A plot can be made again, byte for byte."""
    figure, again = (draw_calibration(validation, "month") for _ in range(2))
    assert figure is not None
    assert again is not None
    first = [path.read_bytes() for path in save(figure, tmp_path / "a")]
    assert first == [path.read_bytes() for path in save(again, tmp_path / "b")]
