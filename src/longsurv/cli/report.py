"""`longsurv report`: every model of a study, in one report."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from longsurv.cli import running
from longsurv.cli.options import add_command, add_jobs, add_quick, add_run_options, add_study, whole
from longsurv.tables.styles import STYLES


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "report",
        "fit every model of a study and write its report",
        "longsurv report study.toml -o report.html",
        "longsurv report study.toml -o report.html --seed 7 --quick",
        "longsurv report study.toml --folder results",
        "longsurv report study.toml --store fits --fresh",
    )
    add_study(command)
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the file to write (default: report.html)",
    )
    command.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="also write the report for Word, every table, figure and result, and the draws there",
    )
    command.add_argument(
        "--seed",
        type=whole(0),
        metavar="N",
        help="seed of the samplers, in place of the study file's",
    )
    command.add_argument(
        "--style",
        choices=sorted(STYLES),
        help="how the table of patients at baseline is written (default: as the study file says)",
    )
    add_quick(command)
    add_jobs(command)
    add_run_options(command, "the report")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fit every model of a study and write its report."""
    from longsurv.files import writable, writable_folder
    from longsurv.study import Study

    target = writable(arguments.output)  # asked before the work, not after
    if arguments.folder is not None:
        writable_folder(arguments.folder)
    study = Study.from_toml(arguments.study)
    running.spare_inputs(study, [target, target.with_suffix(".log")], arguments.folder)
    if arguments.seed is not None:
        study = study.with_seed(arguments.seed)
    if arguments.style is not None:
        study = replace(study, style=arguments.style)
    return running.run_study(study, target, running.open_store(arguments, target.parent), arguments)
