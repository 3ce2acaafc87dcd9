"""What stops a card from being made."""

from __future__ import annotations

from collections.abc import Iterable

from riskscore.errors import Problem, RiskscoreError

__all__ = ["CardError"]


class CardError(RiskscoreError):
    """A card would have blanks; `problems` lists every one, `field` being its dotted path.

    Unlike riskscore's own lists this one is never cut: who mends a card wants all of them.
    """

    def __init__(self, problems: Iterable[Problem], where: str) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"{where}: no card, {count} blank{'' if count == 1 else 's'}\n{lines}")
