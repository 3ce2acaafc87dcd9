"""The training room's command line: `python -m training COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from riskscore._command import run_command
from training.adapt_command import add_adapt_parser
from training.audit.command import add_audit_parser
from training.commands import add_fit_parser
from training.description.command import add_describe_parser
from training.reconstruction.command import add_reconstruct_parser
from training.results import add_results_parser
from training.run import add_run_parser
from training.ship import add_ship_parser
from training.updating.command import add_update_parser
from training.validation.command import add_validate_parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Which model does this cohort support, and how good is it?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_adapt_parser,
        add_audit_parser,
        add_fit_parser,
        add_reconstruct_parser,
        add_describe_parser,
        add_validate_parser,
        add_update_parser,
        add_run_parser,
        add_ship_parser,
        add_results_parser,
    ):
        add(commands)
    return run_command(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
