"""Agreement with other software: compared in the tests, and gathered into one table.

The table stands in tests/oracle/README.md. `make agreement` runs the comparisons and writes it; in
every other run a comparison that has no row there fails.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["PAGE", "Agreement"]

PAGE = Path(__file__).parent / "oracle" / "README.md"

HEAD = """# Agreement with other software

How far our figures are from those of other software on the same data: the largest difference,
relative to the figure (absolute where that is below 1), rounded up to a power of ten. Each line is
what a test compares; `make agreement` writes this page from the comparisons themselves. Below
1e-12 what differs is the order of addition.

The scripts beside this page made the numbers of R; each JSON file names the versions.

| figure | agrees with | data | largest difference |
|---|---|---|---|
"""


class Agreement:
    """Compares, and remembers the largest difference of each figure.

    Parameters
    ----------
    page : str or None
        The page whose rows must hold each figure; None when it is being written.
    """

    def __init__(self, page: str | None) -> None:
        self.page = page
        self.rows: dict[tuple[str, str], tuple[list[str], float]] = {}

    def __call__(
        self,
        figure: str,
        oracle: str,
        data: str,
        ours: ArrayLike,
        theirs: ArrayLike,
        *,
        rtol: float = 0.0,
        atol: float = 0.0,
    ) -> None:
        """Assert that two arrays agree, and remember how well."""
        a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{figure}, {data}")
        known = np.isfinite(b)
        gap = np.abs(a[known] - b[known]) / np.maximum(np.abs(b[known]), 1)
        where, largest = self.rows.get((figure, oracle), ([], 0.0))
        where = where if data in where else [*where, data]
        self.rows[figure, oracle] = where, max(largest, float(gap.max(initial=0.0)))
        if self.page is not None:
            row = f"| {figure} | {oracle} |"
            assert row in self.page, f"{PAGE.name} has no row for it: run `make agreement`"

    def write(self) -> None:
        """Write the page."""
        lines = [
            f"| {figure} | {oracle} | {'; '.join(data)} | {_power(gap)} |"
            for (figure, oracle), (data, gap) in self.rows.items()
        ]
        PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _power(gap: float) -> str:
    return f"1e{max(math.ceil(math.log10(gap)), -16)}" if gap > 0 else "0"
