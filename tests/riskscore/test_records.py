"""Patients become numbers, or every problem with them is listed."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskscore.errors import InputError
from riskscore.records import checked, encode_columns, is_missing
from riskscore.records import encode_records as encode_with_problems
from riskscore.study import Predictor

SEX = Predictor("sex", "Sex", levels=("male", "female"))
ECOG = Predictor("ecog", "ECOG", levels=("0", "1", "2"))
AGE = Predictor("age", "Age", unit="year", range=(18.0, 80.0))
THREE = (SEX, ECOG, AGE)


def encode_records(records: Any, predictors: Any) -> Any:
    """Encode, and raise if there are problems, as predicting does."""
    return checked(*encode_with_problems(records, predictors))


GOOD: dict[str, Any] = {"sex": "female", "ecog": "2", "age": 61}


def test_levels_become_their_index_and_numbers_stay() -> None:
    """The reference level is 0; columns follow the predictors, not the record."""
    X = encode_records([GOOD, {"age": 18.5, "ecog": "0", "sex": "male"}], THREE)
    np.testing.assert_array_equal(X, [[1, 2, 61], [0, 0, 18.5]])


@pytest.mark.parametrize("value", [np.int64(61), np.float32(61), 61.0])
def test_numpy_numbers_are_numbers(value: Any) -> None:
    """A value straight from an array is taken as it is."""
    assert encode_records([{**GOOD, "age": value}], THREE)[0, 2] == 61


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sex", "Female", r'row 1: sex must be one of .*got \'Female\'; did you mean "female"\?'),
        ("sex", "f", r'sex must be one of "male", "female", got \'f\'; use one of'),
        ("sex", 1, r"sex must be one of"),
        ("sex", True, r"sex must be one of"),
        ("sex", ["male"], r"sex must be one of"),
        ("sex", None, r'sex must not be missing; give one of "male", "female"'),
        ("sex", "", r"sex must not be missing"),
        ("ecog", 1, r"ecog must be one of"),
        ("age", 130, r"age must be 18 to 80 years, got 130; check the value and its unit"),
        ("age", 17.999, r"age must be 18 to 80 years, got 17.999"),
        ("age", math.inf, r"age must be 18 to 80 years, got 'inf'"),
        ("age", -math.inf, r"age must be 18 to 80 years"),
        ("age", math.nan, r"age must not be missing; give 18 to 80 years"),
        ("age", "61", r"age must be a number, got '61'; write it as a plain number"),
        ("age", True, r"age must be a number, got True"),
        ("age", 10**400, r"age must be a number"),
        ("age", 3 + 4j, r"age must be a number"),
        ("age", {"value": 61}, r"age must be a number"),
        ("age", pd.NA, r"age must not be missing"),
        ("age", pd.NaT, r"age must not be missing"),
        ("weight", 70, r"weight is not a predictor of this model; the model takes sex, ecog, age"),
        ("agee", 70, r'agee is not a predictor of this model; did you mean "age"\?'),
    ],
)
def test_a_bad_value_names_row_field_rule_value_and_remedy(
    key: str, value: Any, message: str
) -> None:
    """Each rule is refused in words that say what to do."""
    with pytest.raises(InputError, match=message):
        encode_records([{**GOOD, key: value}], THREE)


@pytest.mark.parametrize("value", [3, "3", ">=3"])
def test_no_level_is_guessed_from_the_look_of_a_number(value: Any) -> None:
    """Three tumours look like ">3" and are not: the error lists the levels instead."""
    number = Predictor("tumor_number", "Tumours", levels=("<=3", ">3"))
    _, problems = encode_with_problems([{"tumor_number": value}], (number,))
    assert problems[0].remedy == 'use one of "<=3", ">3"'


def test_a_missing_predictor_is_reported_once() -> None:
    """An absent key is one problem, not a bad value as well."""
    with pytest.raises(InputError, match="row 1: age is missing; add it") as caught:
        encode_records([{"sex": "male", "ecog": "0"}], THREE)
    assert len(caught.value.problems) == 1


def test_every_problem_is_listed_by_row() -> None:
    """Three bad rows give all their problems, in order, and a count of the whole."""
    rows = [{**GOOD, "age": 5}, GOOD, {**GOOD, "sex": "x", "ecog": "9"}]
    with pytest.raises(InputError, match="3 problems") as caught:
        encode_records(rows, THREE)
    assert [(p.row, p.field) for p in caught.value.problems] == [
        (1, "age"),
        (3, "sex"),
        (3, "ecog"),
    ]


def test_a_message_spells_out_twenty_and_counts_the_rest() -> None:
    """A table of bad rows does not fill the screen; the exception still holds them all."""
    with pytest.raises(InputError, match=r"50 problems(.|\n)*- and 30 more") as caught:
        encode_records([{**GOOD, "age": 5}] * 50, THREE)
    assert len(caught.value.problems) == 50
    assert str(caught.value).count("\n- row") == 20


@pytest.mark.parametrize("record", ["patient", 5, None, ["sex"]])
def test_a_patient_that_is_no_object_is_refused(record: Any) -> None:
    """A list of anything but dictionaries says so."""
    with pytest.raises(InputError, match="row 2: patient must be an object"):
        encode_records([GOOD, record], THREE)


def test_no_patients_is_refused() -> None:
    """An empty list is an error, not an empty answer."""
    with pytest.raises(InputError, match="patients must be at least one"):
        encode_records([], THREE)


def test_columns_keep_what_the_model_does_not_name() -> None:
    """A table may have an identifier; a missing column is one problem, with the nearest name."""
    X, problems = encode_columns({"id": [1, 2], "sex": ["male"] * 2, "ages": [20, 30]}, (SEX, AGE))
    np.testing.assert_array_equal(X[:, 0], [0, 0])
    assert [str(p) for p in problems] == [
        'age column is missing; did you mean "ages"? add it, with 18 to 80 years'
    ]


def test_a_thousand_wrong_names_are_refused_without_a_search_for_each() -> None:
    """Only the problems that are spelt out get a hint; the rest name what the model takes."""
    record = {**GOOD, **{f"agee{i}": 1 for i in range(1000)}}
    _, problems = encode_with_problems([record], THREE)
    assert len(problems) == 1000
    assert sum("did you mean" in p.remedy for p in problems) <= 20


def test_a_long_value_is_cut_in_the_message() -> None:
    """A page of text in a cell does not become a page of error."""
    with pytest.raises(InputError) as caught:
        encode_records([{**GOOD, "sex": "x" * 5000}], THREE)
    assert len(str(caught.value)) < 300


@given(st.lists(st.sampled_from(["male", "female"]), min_size=1, max_size=8), st.randoms())
def test_permuting_rows_permutes_the_input(levels: list[str], random: Any) -> None:
    """Rows do not influence one another."""
    order = list(range(len(levels)))
    random.shuffle(order)
    X = encode_records([{"sex": lv} for lv in levels], (SEX,))
    shuffled = encode_records([{"sex": levels[i]} for i in order], (SEX,))
    np.testing.assert_array_equal(X[order], shuffled)


@pytest.mark.parametrize(
    ("value", "missing"),
    [(None, True), (math.nan, True), ("  ", True), (pd.NA, True), (0, False), ("0", False),
     (Decimal("NaN"), True), (np.array([1, 2]), False)],
)  # fmt: skip
def test_missing_is_nothing_and_zero_is_something(value: Any, missing: bool) -> None:
    """None, NaN of any kind and blank text are missing; zero is not."""
    assert is_missing(value) is missing
