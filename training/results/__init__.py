"""How the procedures do on public cohorts: kind against kind, by every method, later, elsewhere."""

from training.results.making import RUNS, Run, add_results_parser

__all__ = ["RUNS", "Run", "add_results_parser"]
