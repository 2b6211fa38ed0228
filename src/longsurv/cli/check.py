"""`longsurv check`: a study read and validated."""

from __future__ import annotations

import argparse

from longsurv.cli.options import DONE, add_command, add_study
from longsurv.console import say
from longsurv.errors import DataError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "check",
        "read and validate a study, and show what would be analysed",
        "longsurv check study.toml",
    )
    add_study(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read and validate a study, and say what would be analysed."""
    from longsurv.report.terminal import checked
    from longsurv.study import Study

    study = Study.from_toml(arguments.study)
    problems = study.formula_problems()
    if problems:
        raise DataError([f"{arguments.study.name}: {problem}" for problem in problems])
    say(checked(study))
    return DONE
