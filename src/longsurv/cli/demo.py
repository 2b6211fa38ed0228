"""`longsurv demo`: the example studies."""

from __future__ import annotations

import argparse
from pathlib import Path

from longsurv.cli import running
from longsurv.cli.options import add_command, add_jobs, add_quick, add_run_options
from longsurv.errors import LongsurvError

DEMO_FOLDER = "longsurv-demo"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "demo",
        "run the example studies and write their reports",
        "longsurv demo",
        "longsurv demo --quick --out reports",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path(DEMO_FOLDER),
        metavar="DIR",
        help=f"folder for the reports, made if needed (default: {DEMO_FOLDER})",
    )
    add_quick(command)
    add_jobs(command)
    add_run_options(command, "the reports")
    command.set_defaults(run=run, folder=None)


def run(arguments: argparse.Namespace) -> int:
    """Run the example studies and write their reports."""
    from longsurv.cohort.examples import EXAMPLES, example_path
    from longsurv.files import plainly, writable_folder
    from longsurv.study import Study

    folder: Path = arguments.out
    if folder.is_file():
        raise LongsurvError(f"{folder} is a file; give --out a folder")
    with plainly(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    writable_folder(folder)
    store = running.open_store(arguments, folder)
    codes = []
    for name in EXAMPLES:
        study = Study.from_toml(example_path(name) / "study.toml")
        codes.append(running.run_study(study, folder / f"{name}.html", store, arguments))
    return max(codes)
