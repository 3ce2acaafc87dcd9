"""Equal rows get equal answers to the last bit, whatever their order, number and company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from riskscore import curves, load_model
from riskscore.design import linear_predictor, row_products
from riskscore.patients import read_patients
from tests.conftest import simulate

pytestmark = pytest.mark.numeric

FloatArray = NDArray[np.float64]

BATCHES = (1, 2, 3, 7, 128)


def rows_of(seed: int, n_profiles: int, n: int, p: int) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return profiles, and which of them each of n patients has."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n_profiles, p)) * 10, random.integers(0, n_profiles, n)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    p=st.integers(1, 12),
    fortran=st.booleans(),
)
def test_a_linear_predictor_depends_on_the_row_alone(
    seed: int, n: int, p: int, fortran: bool
) -> None:
    """Rows permuted, repeated, alone, in either memory layout: the same bits."""
    profiles, which = rows_of(seed, 14, n, p)
    coef = np.random.default_rng(seed + 1).normal(size=p)
    alone = np.array([linear_predictor(row[None], coef)[0] for row in profiles])
    design = np.asarray(profiles[which], order="F" if fortran else "C")
    assert np.array_equal(linear_predictor(design, coef), alone[which])
    assert np.array_equal(row_products(design, coef[:, None])[:, 0], alone[which])
    # The sum of at most 12 products, each rounded to 1e-16 of at most a few hundred.
    np.testing.assert_allclose(alone, profiles @ coef, rtol=0, atol=1e-12)


def test_a_linear_predictor_of_many_rows_has_the_bits_of_one() -> None:
    """More rows than are computed at once."""
    profiles, which = rows_of(0, 14, 20_000, 5)
    coef = np.array([0.31, -1.7, 0.003, 11.1, 0.9])
    assert len(set(linear_predictor(profiles[which], coef).tolist())) == 14


def test_a_restricted_mean_depends_on_the_curve_alone() -> None:
    """Of one curve and of many."""
    random = np.random.default_rng(3)
    many = np.sort(random.uniform(size=(90, 87)), axis=1)[:, ::-1]
    widths = random.uniform(size=88)
    whole = curves.restricted_mean(many, widths)
    alone = [curves.restricted_mean(curve[None], widths)[0] for curve in many]
    assert whole.tolist() == alone


@pytest.mark.parametrize("kind", ["cox_bundle", "forest_bundle"])
def test_an_answer_depends_on_the_patient_alone(kind: str, request: pytest.FixtureRequest) -> None:
    """Curves, bounds and scores of the exported graph: in any batch, order and company."""
    bundle: Path = request.getfixturevalue(kind)
    model = load_model(bundle)
    frame = simulate(200, seed=5)
    X = read_patients(frame, model.manifest.predictors)[0]
    whole = model.curves(X)
    order = np.random.default_rng(6).permutation(len(X))
    for batch in BATCHES:
        parts = [model.curves(X[order][i : i + batch]) for i in range(0, len(X), batch)]
        for expected, part in zip(whole, zip(*parts, strict=True), strict=True):
            assert np.array_equal(np.concatenate(part), expected[order], equal_nan=True)
