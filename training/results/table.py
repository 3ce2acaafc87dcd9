"""The page of results: a table with one row a run, and what follows from it for what is shipped."""

from __future__ import annotations

import textwrap
from typing import Any

__all__ = ["page", "rows"]

METHODS = {
    "bootstrap": "the same, optimism-corrected",
    "oob": "the same, out-of-bag",
    "632plus": "the same, .632+",
    "cv": "the same, 10-fold cross-validation, 5 times",
    "temporal": "2016 on, fitted before 2016",
    "external": "HCC-TACE-Seg",
}

COHORTS = {"survivalpath-embolised": "first visits", "survivalpath-all": "all visits"}

WIDTH = 100

PAGE = """# Results on public cohorts

Overall survival in hepatocellular carcinoma, by Cox model and by forest (500 trees). All of this
page and the JSON file of each run are made in about two minutes by

    python -m training results --cohorts DIR --out training/results

DIR holds two public cohorts, which are not part of this project: `survivalpath-hcc-visits.csv`
(DTSDHCC of the R package SurvivalPath 1.3.2, MIT), on which everything is fitted, and
`hcc-tace-seg.csv` (HCC-TACE-Seg, The Cancer Imaging Archive, CC BY 4.0), which are other patients.

{cohorts}

- Rows: visits judged, and after how many of them the patient's death was seen.
- Concordance: of two patients, how often the one who dies first has the higher risk, equal risks
  counted as half; 0.5 is a guess.
- Slope of the calibration at the last horizon, of follow-up up to it: below 1, risks lie farther
  apart than observed.
- O/E: deaths observed over expected by that month; below 1, too many were predicted.
- IPA: how much better than one curve for everybody; below 0, worse.

Intervals are 95 %.

{table}

## What we ship, and why

{choice}

The shipped model's validation on HCC-TACE-Seg lies in its bundle too, as
`external/hcc-tace-seg.json`; `python -m training ship` makes it.
"""


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the page, from each run's figures by name."""
    return PAGE.format(
        cohorts=_wrapped(_cohorts(found)),
        table="\n".join(rows(found)),
        choice="\n\n".join(_wrapped(text) for text in _choice(found)),
    )


def rows(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the table's lines."""
    horizons = [f"{h['horizon']:g}" for h in next(iter(found.values()))["horizons"]]
    heads = ["run", "model, fitted on", "judged on", "patients", "rows (deaths)"]
    heads += ["concordance", f"slope at {horizons[-1]}", *(f"O/E at {h}" for h in horizons)]
    heads += [f"IPA at {h}" for h in horizons]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, run in found.items():
        who, at = _judged(run), {f"{h['horizon']:g}": h for h in run["horizons"]}
        cells = [
            f"`{name}`",
            f"{run['model'].replace('cox', 'Cox')}, {COHORTS[run['adapter']]}",
            METHODS[run["method"]],
            str(who["patients"]),
            f"{who['rows']} ({who['events']})",
            _with(run["concordance"], 3),
            _with(at[horizons[-1]]["slope"], 2) if horizons[-1] in at else "-",
            *(_with(at[h]["observed_expected"], 2) if h in at else "-" for h in horizons),
            *(_with(at[h]["ipa"], 3) if h in at else "-" for h in horizons),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cohorts(found: dict[str, dict[str, Any]]) -> str:
    few = ", ".join(f"`{name}`" for name in found["first-cox-bootstrap"]["predictors"])
    split = found["all-cox-temporal"]["split"]
    return (
        f"First visits: those with embolisation and without resection, by {few}. Tumour number, "
        "vascular invasion and metastasis are left out there: before 2016 each has one value in "
        "all of them, and in all years 10 patients have invasion and 10 metastasis; those patients "
        "stay in. All visits: by every predictor of the study; resampling, folds and errors take a "
        "patient's visits together. The temporal split is by the year of a patient's first visit, "
        "which all of a patient's rows bear, so nobody is on both sides (a split that would put "
        f"somebody there is refused): of all visits {split['fitted_patients']} patients are fitted "
        f"and {split['judged_patients']} judged."
    )


def _choice(found: dict[str, dict[str, Any]]) -> list[str]:
    cox, forest = found["first-cox-cv"], found["first-forest-cv"]
    elsewhere, few = found["all-cox-elsewhere"], found["first-cox-elsewhere"]
    less, later = few["less_the_other_kind"], found["all-cox-temporal"]
    months = " and ".join(f"{h['horizon']:g}" for h in later["horizons"][1:3])
    drift = " and ".join(_with(h["observed_expected"], 2) for h in later["horizons"][1:3])
    last = elsewhere["horizons"][-1]
    return [
        "**Shipped: the Cox model of all visits, `hcc-tace/os/cox`.** It alone has learnt vascular "
        "invasion and metastasis. Its patients are other than those of first visits, so its "
        "concordance is not to be compared with theirs.",
        "**Not shipped: a forest.** On the same first visits, cross-validated, its concordance is "
        f"{_with(forest['concordance'], 3)}, the Cox model's {_with(cox['concordance'], 3)}; its "
        f"slope at {forest['horizons'][-1]['horizon']:g} months {_last(forest, 'slope')}, the Cox "
        f"model's {_last(cox, 'slope')}. At {cox['horizons'][0]['horizon']:g} months the forest is "
        f"calibrated better: its slope is {_with(forest['horizons'][0]['slope'], 2)}, the Cox "
        f"model's {_with(cox['horizons'][0]['slope'], 2)}, whose early risks lie too close "
        "together, since it takes effects as constant over time. The forest's .632+ figures "
        "are above its out-of-bag and cross-validated ones, since they count in part the patients "
        "that a fit has seen; we do not choose by them. On HCC-TACE-Seg "
        "they cannot be told apart by concordance: Cox less forest, of the same patients, "
        f"{_with(less['concordance'], 3)}.",
        "**It predicts too many deaths for later patients.** Fitted before 2016, its O/E at "
        f"{months} months is {drift} from 2016 on. It orders those patients no worse: concordance "
        f"{_with(later['concordance'], 3)}, corrected and of all years "
        f"{_with(found['all-cox-bootstrap']['concordance'], 3)}. Deaths were rarer from 2016 on; "
        "whether by treatment, by who was referred, or by what was recorded, the cohort does not "
        "tell. The shipped model is fitted on all years together. Do not rely on its absolute "
        "risks where you work before `python -m training update` has compared them with your own "
        "patients.",
        f"**On other patients it is weak.** HCC-TACE-Seg has {elsewhere['judged_on']['patients']} "
        "patients with every predictor: concordance "
        f"{_with(elsewhere['concordance'], 3)}, at {last['horizon']:g} months slope "
        f"{_last(elsewhere, 'slope')} and O/E {_with(last['observed_expected'], 2)}. That file "
        "does not say from when survival is counted, which alone could move O/E.",
    ]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def _judged(run: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of those whom the figures are of."""
    split = run.get("split")
    if split:
        return {name: split[f"judged_{name}"] for name in ("patients", "rows", "events")}
    judged: dict[str, Any] = run.get("judged_on", run)
    return judged


def _last(run: dict[str, Any], name: str) -> str:
    return _with(run["horizons"][-1][name], 2)


def _with(index: dict[str, Any] | None, digits: int) -> str:
    if not index or index["value"] is None:
        return "-"
    if index["lower"] is None:
        return _printed(index["value"], digits)
    limits = " to ".join(_printed(index[limit], digits) for limit in ("lower", "upper"))
    return f"{_printed(index['value'], digits)} ({limits})"


def _printed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0 leaves no "-0.000"
