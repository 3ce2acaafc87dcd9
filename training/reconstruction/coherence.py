"""What makes a cohort clinically possible: rules between columns, counted in breaches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.rows import Row
from training.reconstruction.subject import Subject

__all__ = ["coherence_rows"]

BoolArray = NDArray[np.bool_]

LARGE = 10.0
"""Diameter in cm that a tumour exceeds unless there are many."""
EVALUATIONS = (("response_1m", 1.0), ("response_3m", 3.0))
"""Each response with the time of its evaluation in months."""


def coherence_rows(cohort: Subject) -> Iterator[Row]:
    """Yield one row a rule: no patient may break it."""
    for where, rule, breaks in _rules(cohort):
        broken = int(breaks.sum())
        yield Row(where, rule, "0 breaches", str(broken), "exact", "no" if broken else "yes")


def _rules(cohort: Subject) -> Iterator[tuple[str, str, BoolArray]]:
    text = "Methods, Participants"
    ages, diameters = cohort.numbers("age"), cohort.numbers("tumor_diameter")
    few = ~cohort.has("tumor_number", ">3")
    spread = cohort.has("vascular_invasion", "yes") | cohort.has("extrahepatic_metastasis", "yes")
    advanced = spread | ~cohort.has("ecog", "0")
    yield text, "age 18 to 80", (ages < 18) | (ages > 80)
    yield "implied", "diameter above 10 cm unless > 3 tumours", few & (diameters <= LARGE)
    yield (
        "implied",
        "BCLC C: invasion, spread or ECOG >= 1",
        cohort.has("bclc_stage", "C") != advanced,
    )
    time, death = cohort.time["os"], cohort.event["os"]
    ttp, progressed = cohort.time["ttp"], cohort.event["ttp"]
    pfs, ended = cohort.time["pfs"], cohort.event["pfs"]
    for name, when in EVALUATIONS:
        progressive = cohort.has(name, "PD")
        seen = np.isin(cohort.column(name), list(cohort.published.counted(name).levels))
        by_then = progressed & (ttp <= when + 1e-9)
        yield (
            "Table 2",
            f"{name}: PD is progression by then",
            seen & (progressive != by_then),
        )
        yield "Table 2", f"{name}: evaluated only if alive", seen & (time <= when)
    yield "definition", "progression before death or censoring", ttp + progressed * 1e-9 > time
    yield "definition", "no progression: followed to the end", ~progressed & (ttp != time)
    first = np.where(progressed, ttp, time)
    yield (
        "definition",
        "PFS: earlier of progression and death",
        ((pfs != first) | (ended != (progressed | death))),
    )
    yield "resolution", "times to 0.1 month", np.abs(time * 10 - np.round(time * 10)) > 1e-6
    follow_up = cohort.published.follow_up[0]
    if follow_up.lower is not None and follow_up.upper is not None:
        yield "Results", "nobody censored before 8 months", ~death & (time < follow_up.lower.value)
        yield "Results", "nobody followed beyond 36 months", time > follow_up.upper.value
