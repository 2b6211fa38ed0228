"""`longsurv warm`: compile the kernels before anybody waits for them."""

from __future__ import annotations

import argparse
import time

from longsurv.cli.options import DONE, add_command, add_jobs
from longsurv.console import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "warm",
        "compile the kernels now, so that no first fit waits for it",
        "longsurv warm",
    )
    command.add_argument("-q", "--quiet", action="store_true", help="say nothing while working")
    add_jobs(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run an example study with few draws and keep nothing of it but the compiled kernels."""
    from longsurv.cohort.examples import example_path
    from longsurv.study import Progress, Study
    from longsurv.study.store import FitStore

    began = time.perf_counter()
    Study.from_toml(example_path("ivig_sepsis") / "study.toml").quickened().run(
        progress=Progress(quiet=arguments.quiet),
        store=FitStore(None),
        n_jobs=arguments.jobs,
    )
    say([f"What a study needs is compiled ({time.perf_counter() - began:.0f} s)."])
    return DONE
