"""`longsurv init`: a study file drafted from tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from longsurv.cli.options import DONE, add_command
from longsurv.console import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "init",
        "draft a study file from tables as they are exported; nothing is asked or overwritten",
        "longsurv init cohort.xlsx",
        "longsurv init patients.csv labs.csv -o sepsis.toml",
    )
    words = ".csv, .tsv, .txt, .xlsx, .parquet, or of Stata, SPSS, SAS or R"
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help=words)
    words = "the study file to write (default: study.toml)"
    command.add_argument(
        "-o", "--output", type=Path, default=Path("study.toml"), metavar="FILE", help=words
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draft a study file from tables."""
    from longsurv.draft.command import init

    say(init(arguments.files, arguments.output))
    return DONE
