"""The program: its commands, and what becomes of an error or an interrupt."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from longsurv.cli import check, demo, init, report, schema, simulate, warm
from longsurv.cli.options import BAD_DATA, BAD_USAGE, EXIT_CODES, INTERRUPTED
from longsurv.console import complain, report_fault, say, survive_narrow_consoles
from longsurv.errors import LongsurvError
from longsurv.faults import libraries_silenced
from longsurv.interrupts import ignore_interrupts, interrupted, interruptible

if TYPE_CHECKING:
    from longsurv.study.store import FitStore

_OVERVIEW = f"""\
examples:
  longsurv demo                              the example studies, reports in ./longsurv-demo
  longsurv init patients.xlsx                draft a study from somebody's tables
  longsurv check study.toml                  read and validate; show what would be analysed
  longsurv report study.toml -o report.html  fit every model by both engines, write the report
  longsurv report study.toml --quick         the same with few posterior draws, for a first look
  longsurv simulate study.toml               what a cohort like this one could show

{EXIT_CODES}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 for data or files that cannot be used, 2 for wrong usage, 3 if the
        report is written but something could not be estimated, 130 if interrupted.
    """
    survive_narrow_consoles()
    arguments = argparse.Namespace()
    with interruptible():
        try:
            arguments = parser().parse_args(argv)
            with libraries_silenced(complain):
                code: int = arguments.run(arguments)
            return code
        except BaseException as error:  # noqa: BLE001 - the last place that makes words of it
            if interrupted() or isinstance(error, KeyboardInterrupt):
                ignore_interrupts()
                complain(f"interrupted; {_how_to_resume(arguments)}", alone=True)
                return INTERRUPTED
            if isinstance(error, SystemExit):  # argparse's; callers of main want a number
                say([])
                return error.code if isinstance(error.code, int) else BAD_USAGE
            if isinstance(error, LongsurvError):
                complain(str(error))
            else:
                report_fault(error)
    return BAD_DATA


def process() -> None:
    """The program `longsurv`: `main`, and then the end of the process, which nothing interrupts."""
    # Most objects of a run live long: searching them for circles as often as Python does by itself
    # takes a twelfth of the time.
    gc.set_threshold(20_000)
    code = main()
    ignore_interrupts()
    raise SystemExit(code)


def _how_to_resume(arguments: argparse.Namespace) -> str:
    store: FitStore | None = getattr(arguments, "opened", None)
    if store is None or store.folder is None or not store.computed + store.reused:
        return "nothing was written"
    again = "without --fresh " if arguments.fresh else ""
    return (
        f"{store.computed + store.reused} finished results are in {store.folder}. Run the same"
        f" command again {again}to go on from there"
    )


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from longsurv.version import __version__

    root = argparse.ArgumentParser(
        prog="longsurv",
        epilog=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Marker trajectories and survival by treatment group, by maximum likelihood and"
        " by Bayes, in one report.",
    )
    root.add_argument("--version", action="version", version=f"longsurv {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in (demo, report, init, check, simulate, schema, warm):
        verb.add(commands)
    return root
