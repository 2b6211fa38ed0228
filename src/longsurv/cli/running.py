"""A study run and reported with its fits kept, for the commands that do so."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.cli.options import DONE, INCOMPLETE, STORE_FOLDER
from longsurv.console import complain, say
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from longsurv.study import Study
    from longsurv.study.store import FitStore

REPORT_SECONDS = 6.0


def open_store(arguments: argparse.Namespace, beside: Path) -> FitStore:
    """The store of finished fits that the options ask for, kept for an interrupt's message."""
    from longsurv.files import plainly
    from longsurv.study.store import FitStore

    folder = arguments.store or beside / STORE_FOLDER
    with plainly(folder, "a store"):
        there = folder.exists()
    if there and not folder.is_dir():
        raise LongsurvError(f"{folder} is a file; give --store a folder")
    store = FitStore(
        None if arguments.no_store else folder,
        fresh=arguments.fresh,
        tell=complain,
    )
    arguments.opened = store
    return store


def run_study(study: Study, target: Path, store: FitStore, arguments: argparse.Namespace) -> int:
    """Run a study, write what was asked for, and say what became of it: an exit code."""
    from longsurv.report.export import write_all
    from longsurv.report.terminal import reported, unestimated
    from longsurv.study import Progress
    from longsurv.study.helpers import at_hand, processes

    begun = time.monotonic()
    shown = Progress([("Report", REPORT_SECONDS)], quiet=arguments.quiet)
    jobs = processes(arguments.jobs)
    with at_hand(jobs):
        results = study.run(progress=shown, quick=arguments.quick, store=store, n_jobs=jobs)
        shown.begin()
        path = write_all(results, target, arguments.folder, n_jobs=jobs)
        shown.end()
    say(reported(results, path, arguments.folder, store.folder, time.monotonic() - begun))
    return INCOMPLETE if unestimated(results) else DONE


def spare_inputs(study: Study, written: Sequence[Path], folder: Path | None = None) -> None:
    """Refuse to write over the study file or one of its tables.

    Parameters
    ----------
    study : Study
    written : sequence of Path
        The files to be written.
    folder : Path, optional
        Where everything is to be exported.

    Raises
    ------
    LongsurvError
        Naming the input.
    """
    taken = {path.resolve() for path in written}
    inside = set() if folder is None else {folder.resolve()}
    inside |= {place / part for place in inside for part in ("tables", "figures", "draws")}
    for file in study.files:
        if file.resolve() in taken or file.resolve().parent in inside:
            raise LongsurvError(
                f"{file} is an input of this study and would be overwritten; write somewhere else"
            )
