"""One figure of a published study beside the cohort's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.published import Printed

__all__ = ["Agreement", "Row", "asked", "counted"]

Agreement = Literal["yes", "no", "not asked"]


@dataclass(frozen=True)
class Row:
    """A published figure and what the cohort gives.

    Attributes
    ----------
    where : str
        Where the figure stands in the source, or "implied".
    quantity : str
        What it is; "a / b" in the next fields are the arms in the published order.
    published, reproduced, tolerance : str
        As shown to a reader. The tolerance is empty where nothing is asked.
    agrees : str
        "yes", "no", or "not asked" for a figure that is reported and not pursued.
    note : str
        Why a figure is not pursued, or cannot be met.
    """

    where: str
    quantity: str
    published: str
    reproduced: str
    tolerance: str = ""
    agrees: Agreement = "not asked"
    note: str = ""


def asked(
    where: str, quantity: str, published: Sequence[Printed], reproduced: Sequence[float]
) -> Row:
    """Return a row of numbers that must round to the printed digits."""
    agrees = all(p.agrees(r) for p, r in zip(published, reproduced, strict=True))
    return Row(
        where,
        quantity,
        " / ".join(str(p) for p in published),
        " / ".join(f"{r:.{p.decimals + 1}f}" for p, r in zip(published, reproduced, strict=True)),
        " / ".join(dict.fromkeys(f"{p.half_unit:g}" for p in published)),
        "yes" if agrees else "no",
    )


def counted(where: str, quantity: str, published: Sequence[int], reproduced: Sequence[int]) -> Row:
    """Return a row of counts that must be the same."""
    same: Agreement = "yes" if list(published) == list(reproduced) else "no"
    return Row(
        where,
        quantity,
        " / ".join(map(str, published)),
        " / ".join(map(str, reproduced)),
        "exact",
        same,
    )
