"""The figures of a Cox model: every predictor, every number, from the JSON alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from model_cards.plots import draw_hazard_ratios, draw_schoenfeld, save
from tests.model_cards.conftest import read


@pytest.fixture
def inference(cox: Path) -> dict[str, Any]:
    """Return a Cox model's inference, to change at will."""
    return copy.deepcopy(read(cox, "inference"))


def shrunken(inference: dict[str, Any]) -> dict[str, Any]:
    """Return the inference as a ridge leaves it."""
    rows = [c | dict.fromkeys(("se", "lower", "upper", "p")) for c in inference["contrasts"]]
    return inference | {"penalty": {"value": 3.0}, "proportional_hazards": None, "contrasts": rows}


def test_the_forest_plot_shows_each_contrast(inference: dict[str, Any]) -> None:
    """Label, contrast, ratio with interval and P of each, and its square at its ratio."""
    figure = draw_hazard_ratios(inference)
    texts = [t.get_text() for t in figure.texts]
    squares = [
        float(line.get_xdata()[0])  # type: ignore[index, arg-type]
        for line in figure.axes[0].lines
        if line.get_marker() == "s"
    ]
    rows = inference["contrasts"]
    assert squares == [row["hazard_ratio"] for row in rows]
    for row in rows:
        assert row["label"] in texts
        ratio = f"{row['hazard_ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
        assert ratio in texts


def test_an_interval_beyond_the_axis_ends_in_an_arrow(inference: dict[str, Any]) -> None:
    """Whatever the interval, the axis stays readable."""
    inference["contrasts"][0] |= {"lower": 1e-9, "upper": 1e9}
    figure = draw_hazard_ratios(inference)
    markers = [line.get_marker() for line in figure.axes[0].lines]
    assert markers.count("<") == markers.count(">") == 1
    assert figure.axes[0].get_xlim() == (0.01, 100.0)


def test_a_shrunken_model_has_ratios_alone(inference: dict[str, Any]) -> None:
    """No interval, no P value, no Schoenfeld plot."""
    figure = draw_hazard_ratios(shrunken(inference))
    texts = [t.get_text() for t in figure.texts]
    assert "P" not in texts
    assert not any(" to " in t for t in texts if t[:1].isdigit())
    assert draw_schoenfeld(shrunken(inference), "month") is None


def test_the_schoenfeld_plot_has_a_panel_a_predictor(inference: dict[str, Any]) -> None:
    """The curve is the stored one, the dashed line the coefficient, the ticks are round times."""
    figure = draw_schoenfeld(inference, "month")
    assert figure is not None
    found = inference["proportional_hazards"]
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == len(found["terms"])
    for axes, test in zip(panels, found["terms"], strict=True):
        name = test["predictor"]
        curves = [list(line.get_ydata()) for line in axes.lines]  # type: ignore[arg-type]
        assert found["residuals"]["scaled"][name] in curves
        assert found["smooth"][name]["effect"] in curves
        (coef,) = [c["coef"] for c in inference["coefficients"] if c["predictor"] == name]
        assert [coef, coef] in curves
        ticks = [float(t.get_text()) for t in axes.get_xticklabels()]
        assert ticks == sorted(set(ticks))
        assert len(ticks) >= 3


def test_equal_numbers_give_equal_files(inference: dict[str, Any], tmp_path: Path) -> None:
    """No date, no random names."""
    for stem in ("a", "b"):
        save(draw_hazard_ratios(inference), tmp_path / stem)
    for suffix in (".svg", ".png"):
        one, two = ((tmp_path / stem).with_suffix(suffix).read_bytes() for stem in "ab")
        assert one == two
