"""The comparison of a job's figures between machines sees what it must."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from tests.machines import LEAST, MACHINES, differences


@pytest.mark.parametrize(
    ("first", "other", "expected"),
    [
        ({"slope": 2.0}, {"slope": 2.0}, []),
        ({"slope": 2.0}, {"slope": 2.0 + 4e-10}, [(".slope", 2e-10)]),
        # Small figures are compared as if they were larger.
        ({"p": 0.0}, {"p": 1e-13}, [(".p", 1e-13 / LEAST)]),
        ({"events": 59}, {"events": 60}, [(".events", inf)]),
        ({"chosen": "refit"}, {"chosen": "slope"}, [(".chosen", inf)]),
        ({"lower": None}, {"lower": 0.5}, [(".lower", inf)]),
        ({"curve": [0.5]}, {"curve": [0.5, 0.4]}, [(".curve", inf)]),
        # The least difference of ranks is another order.
        ({"concordance": {"value": 0.5}}, {"concordance": {"value": 0.5 + 1e-17}}, []),
        ({"auc": {"value": 0.6}}, {"auc": {"value": 0.6 + 2e-16}}, [(".auc.value", inf)]),
        ({"created": "1", "digest": "a"}, {"created": "2", "digest": "b"}, []),
    ],
)
def test_differences_are_told_with_their_place(
    first: Any, other: Any, expected: list[tuple[str, float]]
) -> None:
    """Numbers by how much, relatively; text, counts, lengths and ranks as infinity."""
    found = list(differences(first, other))
    assert [place for place, _ in found] == [place for place, _ in expected]
    # What is left of 2.0 + 4e-10 - 2.0 has seven digits.
    assert [by for _, by in found] == pytest.approx([by for _, by in expected], rel=1e-5)


def test_each_machine_is_tried_once() -> None:
    """Names and environments differ."""
    assert len({m.name for m in MACHINES}) == len(MACHINES)
    assert len({tuple(sorted(m.variables.items())) for m in MACHINES}) == len(MACHINES)
