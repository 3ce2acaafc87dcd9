"""Bundles to write cards of, and a way to damage them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_cards import Card, card_of
from model_cards.statements import DEFAULT, STATEMENTS, source_of, template
from riskscore.bundle import open_bundle
from riskscore.errors import BundleError
from riskscore.study import Study
from tests.sealing import seal
from training.cohort import check_cohort
from training.fit import Settings, fit
from training.provenance import Flow, Provenance

Edit = Callable[[dict[str, Any]], None]

AWKWARD = {
    "format": 1,
    "study": {
        "id": "awkward",
        "title": "Survival by a *stage* | and <b>two</b> numbers.",
        "population": "# Adults with anything at all.",
        "time_unit": "day",
        "time_origin": "the visit",
        "cluster": "patient",
    },
    "outcomes": {
        "os": {
            "label": "Overall survival",
            "time": "days",
            "event": "death",
            "horizons": [1, 90, 5000],
        }
    },
    "predictors": {
        "stage": {
            "label": "Stage | of `disease`",
            "levels": ["<=3", "<script>|", "a\nb", "_c_ *d* [e](f)"],
            "help": "Whatever it is",
        },
        "size": {"label": "Size", "unit": "cm", "range": [0, 40]},
        "marker": {"label": "Marker", "unit": "ng/mL", "range": [0.1, 100000], "form": "log"},
    },
}
"""A study with every character that Markdown or HTML could trip over, horizons included."""


def awkward_frame() -> pd.DataFrame:
    """Return 240 visits of 150 simulated patients of the awkward study; the last level is rare."""
    random = np.random.default_rng(7)
    n = 240
    levels = AWKWARD["predictors"]["stage"]["levels"]  # type: ignore[index]
    stage = random.choice(len(levels), n, p=[0.2, 0.47, 0.3, 0.03])
    stage[:3] = 3
    size = random.uniform(1, 20, n).round(2)
    marker = np.exp(random.normal(4, 2, n)).clip(0.2, 90000).round(3)
    hazard = np.exp(0.2 * stage + 0.05 * size + 0.2 * np.log(marker))
    death = random.exponential(900 / hazard)
    censored = random.uniform(60, 400, n)
    return pd.DataFrame(
        {
            "patient": random.integers(0, 150, n),
            "stage": np.array(levels)[stage],
            "size": size,
            "marker": marker,
            "days": np.ceil(np.minimum(death, censored)),
            "death": (death <= censored).astype(int),
        }
    )


@pytest.fixture(scope="session")
def awkward_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Cox bundle on repeated visits of (simulated) patients, with hostile names."""
    frame = awkward_frame()
    cohort = check_cohort(
        frame,
        Study.from_dict(AWKWARD),
        "os",
        flow=Flow(260, [("no <visit>", 20)], [("size | rounded", 4)]),
        provenance=Provenance("patients", "a register", "MIT", "", ("One centre.",)),
        name="visits.csv",
        sha256="cd" * 32,
    )
    path = tmp_path_factory.mktemp("awkward") / "bundle"
    fit(cohort, "cox", Settings(n_jobs=1)).write(path)
    return stated(path)


def stated(bundle: Path) -> Path:
    """Give a bundle a file of statements in which every question has an answer."""
    text = template(source_of(open_bundle(bundle))).replace(DEFAULT, "Nothing: it was simulated.")
    (bundle / STATEMENTS).write_text(text, encoding="utf-8")
    return bundle


@pytest.fixture(scope="session")
def cox(cox_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Cox bundle as if fitted from a file, whose hash a card names."""
    return stated(damaged(cox_bundle, tmp_path_factory.mktemp("card"), manifest=from_a_file))


@pytest.fixture(scope="session")
def forest(forest_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the forest bundle as if fitted from a file, whose hash a card names."""
    return stated(damaged(forest_bundle, tmp_path_factory.mktemp("card"), manifest=from_a_file))


@pytest.fixture(scope="session")
def cox_card(cox: Path) -> Card:
    """Return the card of the Cox bundle."""
    return card_of(cox)


@pytest.fixture(scope="session")
def forest_card(forest: Path) -> Card:
    """Return the card of the forest bundle."""
    return card_of(forest)


@pytest.fixture(scope="session")
def awkward_card(awkward_bundle: Path) -> Card:
    """Return the card of the awkward bundle."""
    return card_of(awkward_bundle)


def from_a_file(manifest: dict[str, Any]) -> None:
    """Give the cohort the hash of a file, which one made in memory lacks."""
    manifest["training"]["cohort"]["sha256"] = "ab" * 32


def damaged(bundle: Path, folder: Path, **edits: Edit) -> Path:
    """Return a copy of the bundle with JSON files edited and their hashes put right.

    What is left to find the damage is the card's own check.
    """
    copy = folder / "bundle"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(bundle, copy)
    for name in sorted(edits, key=lambda name: name == "manifest"):
        file = copy / f"{name}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        edits[name](content)
        file.write_text(json.dumps(content), encoding="utf-8")
    with suppress(BundleError):  # a manifest that cannot be read has no hash
        seal(copy, essentials=False)
    return copy


def read(bundle: Path, name: str) -> dict[str, Any]:
    """Return one of a bundle's JSON files."""
    content: dict[str, Any] = json.loads((bundle / f"{name}.json").read_text(encoding="utf-8"))
    return content
