"""The command line: `longsurv demo`, `longsurv report`, `longsurv check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.errors import DataError, LongsurvError

if TYPE_CHECKING:
    from longsurv.study import Study

BAD_DATA, BAD_USAGE = 1, 2
DEMO_FOLDER = "longsurv-demo"

_OVERVIEW = """\
examples:
  longsurv demo                              both example studies, reports in ./longsurv-demo
  longsurv check study.toml                  read and validate; show what would be analysed
  longsurv report study.toml -o report.html  fit every model by both engines, write the report
  longsurv report study.toml --quick         the same with few posterior draws, for a first look
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 for data or files that cannot be used, 2 for wrong usage.
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:  # argparse ends the process; callers of main want a number
        return stop.code if isinstance(stop.code, int) else BAD_USAGE
    try:
        return arguments.run(arguments)
    except LongsurvError as error:
        print(f"longsurv: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("longsurv: interrupted; nothing was written", file=sys.stderr)
        return 130
    return BAD_DATA


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from longsurv import __version__

    root = argparse.ArgumentParser(
        prog="longsurv",
        epilog=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Marker trajectories and survival by treatment group, by maximum likelihood and"
        " by Bayes, in one report.",
    )
    root.add_argument("--version", action="version", version=f"longsurv {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_report(commands)
    _add_check(commands)
    return root


def _add(
    commands: argparse._SubParsersAction, name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_fit_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--quick", action="store_true", help="few posterior draws, for a first look"
    )
    command.add_argument("--no-progress", action="store_true", help="show no progress bar")


def _add_demo(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "demo",
        "run the two example studies and write their reports",
        "longsurv demo --quick --out reports",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path(DEMO_FOLDER),
        metavar="DIR",
        help=f"folder for the reports, made if needed (default: {DEMO_FOLDER})",
    )
    _add_fit_options(command)
    command.set_defaults(run=_demo)


def _add_report(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "report",
        "fit every model of a study and write its report",
        "longsurv report study.toml -o report.html --seed 7",
    )
    command.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the file to write (default: report.html)",
    )
    command.add_argument(
        "--seed", type=_seed, metavar="N", help="seed of the samplers, in place of the study file's"
    )
    _add_fit_options(command)
    command.set_defaults(run=_report)


def _add_check(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "check",
        "read and validate a study, and show what would be analysed",
        "longsurv check study.toml",
    )
    command.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")
    command.set_defaults(run=_check)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number, 0 or more, not {text!r}")
    return int(text)


def _demo(arguments: argparse.Namespace) -> int:
    from longsurv.cohort.examples import EXAMPLES, example_path
    from longsurv.study import Study

    folder: Path = arguments.out
    if folder.exists() and not folder.is_dir():
        raise LongsurvError(f"{folder} is a file; give --out a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LongsurvError(f"the folder {folder} cannot be made: {error.strerror}") from error
    for name in EXAMPLES:
        study = Study.from_toml(example_path(name) / "study.toml")
        _run(study, folder / f"{name}.html", arguments)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from longsurv.report.page import writable
    from longsurv.study import Study

    target = writable(arguments.output)  # asked before the work, not after
    study = Study.from_toml(arguments.study)
    if arguments.seed is not None:
        study = study.with_seed(arguments.seed)
    _run(study, target, arguments)
    return 0


def _run(study: Study, target: Path, arguments: argparse.Namespace) -> None:
    from longsurv.report.numbers import seconds

    results = study.run(progress=not arguments.no_progress, quick=arguments.quick)
    path = results.report(target)
    print(f"{study.cohort.title or 'Study'}: {seconds(results.seconds)}\n  {path.resolve()}")
    if study.cohort.reconstructed:
        print("  Reconstructed data: no real patient is in them.")


def _check(arguments: argparse.Namespace) -> int:
    from longsurv.study import Study

    study = Study.from_toml(arguments.study)
    problems = study.formula_problems()
    if problems:
        raise DataError(problems)
    print(study.cohort.describe())
    for unit, part in study.cohort.flow.groupby("unit", sort=False):
        print(f"\n{str(unit).capitalize()}, from file to model")
        for row in part.to_dict("records"):
            removed = f", {row['removed']:,} removed" if row["removed"] else ""
            reason = f" ({row['reason']})" if row["reason"] else ""
            print(f"  {row['kept']:>9,}  {row['step']}{removed}{reason}")
    print(f"\nModels\n  each marker:  y ~ {study.models.trajectory}")
    print(f"  mortality:    Surv(entry, exit, event) ~ {study.models.mortality}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
