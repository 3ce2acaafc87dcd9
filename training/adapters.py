"""Public cohorts as their owners publish them, turned into a study's columns by stated rules.

Each adapter leaves rows out by named rules and counts them; nothing is dropped in silence. The
files themselves are not part of this project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from riskscore.errors import InputError, Problem, json_safe
from riskscore.study import Study
from riskscore.tables import numeric
from training.provenance import Flow, Provenance

__all__ = ["ADAPTERS", "BELONGS", "DAYS_PER_MONTH", "POPULATION", "adapt"]

DAYS_PER_MONTH = 365.25 / 12
"""A month is a twelfth of a Julian year, 30.4375 days."""

AFP_FLOOR = 0.605
"""ng/mL: the least positive value in SurvivalPath, where undetectable AFP is recorded as 0."""

LESIONS = {1: "single", 2: "multiple", 3: "multiple", 4: "multiple"}
"""SurvivalPath's number of lesions; 4 probably means four or more."""

GET = "get the file again: the source has a number in every cell"

CHILD_CLASS = {5: "A", 6: "A"} | dict.fromkeys(range(7, 16), "B_or_C")
"""Child class by Child-Pugh score."""

CHILD_B = 9
"""The largest Child-Pugh score of class B."""

LARGE_CM = 10
"""What the study deb-tace-hcc calls large."""

BELONGS = "in_population"
"""Column that says of each row whether it is of the study's population: yes, no or unknown."""

POPULATION = (
    "age 18 to 80, Child class A or B, and a lesion above 10 cm; several smaller lesions may add "
    "up to that, but their sum is not recorded; stage and performance status were not judged"
)
"""How `BELONGS` is found for deb-tace-hcc."""

Adapted = tuple[pd.DataFrame, Flow, Provenance]


class _Sieve:
    """A table losing rows by named rules."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.flow = Flow(len(frame))

    def drop(self, rule: str, rows: pd.Series[bool]) -> None:
        """Leave out the rows, counted under the rule even when there are none."""
        self.flow.excluded.append((rule, int(rows.sum())))
        self.frame = self.frame[~rows]

    def change(self, rule: str, rows: pd.Series[bool]) -> None:
        """Count rows that a rule changed and kept."""
        self.flow.changed.append((rule, int(rows.sum())))


def adapt(name: str, frame: pd.DataFrame, study: Study) -> Adapted:
    """Turn a public table into the study's columns.

    Returns
    -------
    frame : DataFrame
        With the columns of the study, and `patient`.
    flow : Flow
        Rows read, left out and changed, by rule.
    provenance : Provenance

    Raises
    ------
    InputError
        If there is no such adapter, it is for another study, or the table is not the one it knows.
    """
    if name not in ADAPTERS:
        remedy = f"choose one of {', '.join(ADAPTERS)}"
        raise InputError([Problem(None, "adapter", "must be known", name, remedy)])
    adapter, columns, study_id = ADAPTERS[name]
    problems = []
    if study.id != study_id:
        remedy = f"use --study {study_id}"
        problems.append(Problem(None, "study", f"must be {study_id} for {name}", study.id, remedy))
    problems += [
        Problem(None, column, "column is missing", None, f"{name} reads the file as published")
        for column in columns
        if column not in frame
    ]
    if problems:
        raise InputError(problems, name)
    return adapter(frame)


def _hcc_tace_seg(frame: pd.DataFrame) -> Adapted:
    """105 patients treated by TACE at one centre; times are in weeks."""
    sieve = _Sieve(frame)
    time = _numbers(frame["OS"])
    sieve.drop("survival time of 0 weeks", time == 0)
    kept = sieve.frame
    adapted = pd.DataFrame(
        {
            "patient": kept["TCIA_ID"],
            "tumor_number": _known(
                kept["tumor_nodul"], {"uninodular": "single", "multinodular": "multiple"}
            ),
            "vascular_invasion": _yes_no(kept["Vascular invasion"]),
            "metastasis": _yes_no(kept["Metastasis"]),
            "largest_diameter": _numbers(kept["Tr_Size"]),
            "child_class": _known(kept["CPS"], {"A": "A", "B": "B_or_C", "C": "B_or_C"}),
            "afp": _numbers(kept["AFP"]),
            "age": _numbers(kept["age"]),
            # "NA" is what the source writes in 17 rows: a value like the others, not a gap.
            "chemotherapy": kept["chemotherapy"].astype(str),
            "os_months": _numbers(kept["OS"]) * 7 / DAYS_PER_MONTH,
            "death": _numbers(kept["Death_1_StillAliveorLostToFU_0"]),
        }
    )
    provenance = Provenance(
        kind="patients",
        source="HCC-TACE-Seg, The Cancer Imaging Archive (Moawad et al., Scientific Data 2023)",
        licence="CC BY 4.0",
        statement="Fitted on patients of one centre: for method review, not for care.",
        limits=(
            "The glossary does not state the time origin of survival.",
            "Tumour diameter is missing in 52 of 105 patients.",
            "Treatment was conventional or drug-eluting TACE without sorafenib.",
        ),
    )
    return adapted, sieve.flow, provenance


def _survivalpath(frame: pd.DataFrame, *, first_visits: bool, embolised: bool = False) -> Adapted:
    """2,360 patients with 11,684 visits at one centre; each visit counts survival from itself."""
    numbers = frame.apply(_numbers)
    _refuse_text(frame, numbers)
    sieve = _Sieve(numbers)
    if first_visits:
        sieve.drop("a later visit of the same patient", numbers["day"] > 0)
    repeated = sieve.frame.duplicated(["patient", "day"], keep="first")
    sieve.drop("a second visit of the patient on the same day", repeated)
    sieve.drop("survival time of 0 days", sieve.frame["OStime_day"] == 0)
    age = sieve.frame["Age"]
    sieve.drop("age under 18 years", age < 18)
    sieve.drop("age above 100 years (implausible)", sieve.frame["Age"] > 100)
    lesions = sieve.frame["Amount.of.Hepatic.Lesions"]
    sieve.drop("no liver lesion at the visit", lesions == 0)
    diameter = sieve.frame["Largest.Diameter.of.Hepatic.Lesions"]
    sieve.drop("a lesion with diameter 0", diameter == 0)
    if embolised:
        sieve.drop("no embolisation at the visit", sieve.frame["Embolization"] != 1)
        sieve.drop("resection at the visit", sieve.frame["Resection"] == 1)
    kept = sieve.frame
    undetectable = (kept["AFP"] >= 0) & (kept["AFP"] < AFP_FLOOR)
    sieve.change(f"AFP below {AFP_FLOOR} ng/mL raised to it", undetectable)
    top = kept["AFP"] >= 121_000
    sieve.change("AFP top-coded at 121,000 ng/mL by the source, kept", top)
    adapted = pd.DataFrame(
        {
            "patient": kept["patient"],
            "tumor_number": _known(kept["Amount.of.Hepatic.Lesions"], LESIONS),
            "vascular_invasion": _yes_no(kept["Vascular.Invasion"]),
            "metastasis": _yes_no(kept["Distant.Metastasis"]),
            "largest_diameter": kept["Largest.Diameter.of.Hepatic.Lesions"] / 10,
            "child_class": _known(kept["Child_pugh_score"], CHILD_CLASS),
            "afp": kept["AFP"].mask(undetectable, AFP_FLOOR),
            "age": kept["Age"],
            "os_months": kept["OStime_day"] / DAYS_PER_MONTH,
            "death": kept["Status_of_death"],
            "first_year": kept["first_year"],
            "embolization": _yes_no(kept["Embolization"]),
            "resection": _yes_no(kept["Resection"]),
        }
    )
    provenance = Provenance(
        kind="patients",
        source="DTSDHCC of the R package SurvivalPath 1.3.2",
        licence="MIT",
        statement=f"Fitted on patients of one centre, {_UNTREATED[first_visits]}: for "
        "method review, not for care.",
        limits=(
            "Missing values were imputed by the source's authors before publication.",
            *(_OF_FIRST_VISITS if first_visits else _OF_VISITS),
            "AFP is top-coded at 121,000 ng/mL.",
            FILLED_IN,
        ),
    )
    return adapted, sieve.flow, provenance


def _survivalpath_first(frame: pd.DataFrame) -> Adapted:
    return _survivalpath(frame, first_visits=True)


def _survivalpath_embolised(frame: pd.DataFrame) -> Adapted:
    return _survivalpath(frame, first_visits=True, embolised=True)


def _survivalpath_all(frame: pd.DataFrame) -> Adapted:
    return _survivalpath(frame, first_visits=False)


def _deb_tace_of_seg(frame: pd.DataFrame) -> Adapted:
    adapted, flow, provenance = _hcc_tace_seg(frame)
    multiple = adapted["tumor_number"] == "multiple"
    belongs = _belongs(
        adapted["age"], adapted["largest_diameter"], multiple, frame["CPS"].isin(["A", "B"])
    )
    return _as_deb_tace(adapted, multiple, belongs), flow, provenance


def _deb_tace_of_embolised(frame: pd.DataFrame) -> Adapted:
    adapted, flow, provenance = _survivalpath_embolised(frame)
    lesions = _numbers(frame["Amount.of.Hepatic.Lesions"].loc[adapted.index])
    child = _numbers(frame["Child_pugh_score"].loc[adapted.index]) <= CHILD_B
    belongs = _belongs(adapted["age"], adapted["largest_diameter"], lesions > 1, child)
    return _as_deb_tace(adapted, lesions > 3, belongs), flow, provenance


def _belongs(
    age: pd.Series[float],
    diameter: pd.Series[float],
    several: pd.Series[bool],
    child_a_or_b: pd.Series[bool],
) -> pd.Series[Any]:
    """Return whether each row is of deb-tace-hcc's population: "yes", "no" or "unknown".

    The rule is `POPULATION`. Without a diameter, or with several lesions of at most 10 cm each,
    whose sum is not recorded, it is unknown.
    """
    other = age.between(18, 80) & child_a_or_b
    size = (diameter > LARGE_CM).map({True: "yes", False: "no"})
    unknown = diameter.isna() | ((diameter <= LARGE_CM) & several)
    return size.mask(unknown, "unknown").mask(~other, "no")


def _as_deb_tace(
    adapted: pd.DataFrame, above_3: pd.Series[bool], belongs: pd.Series[Any]
) -> pd.DataFrame:
    """Give the study deb-tace-hcc's columns; nobody counts as treated by sorafenib."""
    return pd.DataFrame(
        {
            BELONGS: belongs,
            "patient": adapted["patient"],
            "tumor_number": above_3.map({True: ">3", False: "<=3"}),
            "vascular_invasion": adapted["vascular_invasion"],
            "extrahepatic_metastasis": adapted["metastasis"],
            "treatment": "deb_tace",
            "os_months": adapted["os_months"],
            "death": adapted["death"],
        }
    )


def _refuse_text(frame: pd.DataFrame, numbers: pd.DataFrame) -> None:
    """Refuse cells that are no numbers, in a file that holds nothing else."""
    problems = [
        Problem(
            int(row) + 1, str(column), "must be a number", json_safe(frame.loc[row, column]), GET
        )
        for column in _VISIT_COLUMNS
        for row in numbers.index[numbers[column].isna()]
    ]
    if problems:
        raise InputError(problems)


def _known(series: pd.Series, values: Mapping[Any, str]) -> pd.Series:
    """Translate the values the source documents; any other stays, for the check to refuse."""
    return series.map(values).where(series.isin(list(values)), series)


def _yes_no(series: pd.Series) -> pd.Series:
    return _known(_numbers(series), {1: "yes", 0: "no"})


def _numbers(series: pd.Series) -> pd.Series:
    return pd.to_numeric(pd.Series(numeric(series), index=series.index), errors="coerce")


_UNTREATED = {
    True: "not all of whom had embolisation at the first visit",
    False: "a third of whom never had embolisation at these visits",
}
"""Who was not treated, by whether first visits alone are kept."""

_OF_FIRST_VISITS = ("Not every patient was treated by TACE; embolisation is recorded by visit.",)

_OF_VISITS = (
    "Survival is counted from any visit, first or later; a patient's visits are not independent.",
    "Embolisation was recorded at 36 % of these visits; 68 % of these patients had it at one.",
)

FILLED_IN = (
    "None of the 1,173 patients who came before 2016 has a single tumour or vascular invasion at "
    "the first visit analysed, while of their second visits 22 % and 8 % have: these values look "
    "filled in."
)
"""What the public file shows; a test counts it again where the file is there."""
_SEG_COLUMNS = (
    "TCIA_ID", "tumor_nodul", "Vascular invasion", "Metastasis", "Tr_Size", "CPS", "AFP", "age",
    "chemotherapy", "OS", "Death_1_StillAliveorLostToFU_0",
)  # fmt: skip
_VISIT_COLUMNS = (
    "patient", "first_year", "day", "Age", "Amount.of.Hepatic.Lesions",
    "Largest.Diameter.of.Hepatic.Lesions", "Vascular.Invasion", "Distant.Metastasis",
    "Child_pugh_score", "AFP", "Embolization", "Resection", "OStime_day",
    "Status_of_death",
)  # fmt: skip

ADAPTERS: dict[str, tuple[Callable[[pd.DataFrame], Adapted], tuple[str, ...], str]] = {
    "hcc-tace-seg": (_hcc_tace_seg, _SEG_COLUMNS, "hcc-tace"),
    "survivalpath-first": (_survivalpath_first, _VISIT_COLUMNS, "hcc-tace"),
    "survivalpath-embolised": (_survivalpath_embolised, _VISIT_COLUMNS, "hcc-tace"),
    "survivalpath-all": (_survivalpath_all, _VISIT_COLUMNS, "hcc-tace"),
    "hcc-tace-seg-as-deb-tace": (_deb_tace_of_seg, _SEG_COLUMNS, "deb-tace-hcc"),
    "survivalpath-as-deb-tace": (_deb_tace_of_embolised, _VISIT_COLUMNS, "deb-tace-hcc"),
}
"""Adapter, columns it needs, and the study it is for, by name."""
