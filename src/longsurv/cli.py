"""The command line: `longsurv init`, `demo`, `report`, `check`, `simulate` and `schema`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.console import complain, report_fault, say, survive_narrow_consoles
from longsurv.errors import DataError, LongsurvError
from longsurv.faults import libraries_silenced
from longsurv.interrupts import ignore_interrupts, interrupted, interruptible

if TYPE_CHECKING:
    from longsurv.study import Study
    from longsurv.study.store import FitStore

DONE, BAD_DATA, BAD_USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
DEMO_FOLDER = "longsurv-demo"
STORE_FOLDER = ".longsurv"
REPORT_SECONDS = 6.0
COHORTS = 500
EFFECTS = ("null", "half", "fitted", "double", "hr=0.5")

_EXIT_CODES = """\
exit codes:
    0  all went well
    1  data, files or formulas that cannot be used; the message says where and what to do
    2  wrong usage of the command line
    3  the report is written, but something in it could not be estimated; it says what and why
  130  interrupted; the same command goes on from the fits that were finished
"""

_OVERVIEW = f"""\
examples:
  longsurv demo                              both example studies, reports in ./longsurv-demo
  longsurv init patients.xlsx                draft a study from somebody's tables
  longsurv check study.toml                  read and validate; show what would be analysed
  longsurv report study.toml -o report.html  fit every model by both engines, write the report
  longsurv report study.toml --quick         the same with few posterior draws, for a first look
  longsurv simulate study.toml               what a cohort like this one could show

{_EXIT_CODES}"""


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
            with libraries_silenced():
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
    _add_demo(commands)
    _add_report(commands)
    _add_init(commands)
    _add_check(commands)
    _add_simulate(commands)
    _add_schema(commands)
    return root


def _add(
    commands: argparse._SubParsersAction, name: str, summary: str, *examples: str
) -> argparse.ArgumentParser:
    listed = "\n".join(f"  {example}" for example in examples)
    title = "example" if len(examples) == 1 else "examples"
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"{title}:\n{listed}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_run_options(command: argparse.ArgumentParser, beside: str) -> None:
    command.add_argument("-q", "--quiet", action="store_true", help="say nothing while working")
    command.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="folder that keeps finished fits, so that an interrupted run goes on where it stopped"
        f" (default: {STORE_FOLDER} beside {beside}; it holds no patient's data)",
    )
    command.add_argument("--no-store", action="store_true", help="keep nothing, reuse nothing")
    command.add_argument(
        "--fresh", action="store_true", help="compute everything again, whatever is stored"
    )


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")


def _add_demo(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "demo",
        "run the two example studies and write their reports",
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
    _add_quick(command)
    _add_run_options(command, "the reports")
    command.set_defaults(run=_demo, folder=None)


def _add_report(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "report",
        "fit every model of a study and write its report",
        "longsurv report study.toml -o report.html",
        "longsurv report study.toml -o report.html --seed 7 --quick",
        "longsurv report study.toml --folder results",
        "longsurv report study.toml --store fits --fresh",
    )
    _add_study(command)
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
        type=_whole(0),
        metavar="N",
        help="seed of the samplers, in place of the study file's",
    )
    _add_quick(command)
    _add_run_options(command, "the report")
    command.set_defaults(run=_report)


def _add_quick(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--quick",
        action="store_true",
        help="few posterior draws and no extras, for a first look; the report says so",
    )


def _add_init(commands: argparse._SubParsersAction) -> None:
    command = _add(
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
    command.set_defaults(run=_init)


def _add_check(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "check",
        "read and validate a study, and show what would be analysed",
        "longsurv check study.toml",
    )
    _add_study(command)
    command.set_defaults(run=_check)


def _add_schema(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "schema",
        "print the JSON schema of study files, for editors that complete and check them",
        "longsurv schema > study.schema.json",
    )
    words = "print the reference page of the keys instead, as Markdown"
    command.add_argument("--page", action="store_true", help=words)
    command.set_defaults(run=_schema)


def _add_simulate(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands,
        "simulate",
        "show what a cohort like this one could show: power, coverage, bias, and errors of sign"
        " and size, from cohorts simulated under the fitted models",
        "longsurv simulate study.toml",
        "longsurv simulate study.toml --cohorts 2000 --jobs 4 --out simulation.html",
        "longsurv simulate study.toml --effect null --effect hr=0.5 --effect sd=0.8",
        "longsurv simulate study.toml --scheduler tcp://head-node:8786",
    )
    _add_study(command)
    words = f"cohorts to simulate (default: {COHORTS})"
    command.add_argument("--cohorts", type=_whole(1), default=COHORTS, metavar="N", help=words)
    command.add_argument("--seed", type=_whole(0), metavar="N", help="in place of the study file's")
    command.add_argument(
        "--effect",
        action="append",
        metavar="SIZE",
        help="a true effect to simulate: null, half, fitted, double, a number (times the fitted"
        " one), hr=0.5 (a hazard ratio), sd=0.8 (standard deviations of a marker at baseline); may"
        f" be given several times (default: {', '.join(EFFECTS)})",
    )
    command.add_argument(
        "--jobs",
        type=_whole(1),
        metavar="N",
        help="processes to work in (default: one a processor); the results do not depend on it",
    )
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on a Dask cluster instead: the address of its scheduler",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="also write the table: .csv, or .html with a figure and the words",
    )
    _add_run_options(command, "the file of --out, or in the working folder")
    command.set_defaults(run=_simulate)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number, {least} or more, not {text!r}")
        return int(text)

    return read


def _open_store(arguments: argparse.Namespace, beside: Path) -> FitStore:
    from longsurv.report.files import plainly
    from longsurv.study.store import FitStore

    folder = arguments.store or beside / STORE_FOLDER
    with plainly(folder, "a store"):
        there = folder.exists()
    if there and not folder.is_dir():
        raise LongsurvError(f"{folder} is a file; give --store a folder")
    arguments.opened = FitStore(
        None if arguments.no_store else folder,
        fresh=arguments.fresh,
        tell=complain,
    )
    return arguments.opened


def _demo(arguments: argparse.Namespace) -> int:
    from longsurv.cohort.examples import EXAMPLES, example_path
    from longsurv.report.files import plainly, writable_folder
    from longsurv.study import Study

    folder: Path = arguments.out
    if folder.is_file():
        raise LongsurvError(f"{folder} is a file; give --out a folder")
    with plainly(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    writable_folder(folder)
    store = _open_store(arguments, folder)
    codes = []
    for name in EXAMPLES:
        study = Study.from_toml(example_path(name) / "study.toml")
        codes.append(_run(study, folder / f"{name}.html", store, arguments))
    return max(codes)


def _report(arguments: argparse.Namespace) -> int:
    from longsurv.report.files import spare_inputs, writable, writable_folder
    from longsurv.study import Study

    target = writable(arguments.output)  # asked before the work, not after
    if arguments.folder is not None:
        writable_folder(arguments.folder)
    study = Study.from_toml(arguments.study)
    spare_inputs(study, [target, target.with_suffix(".log")], arguments.folder)
    if arguments.seed is not None:
        study = study.with_seed(arguments.seed)
    return _run(study, target, _open_store(arguments, target.parent), arguments)


def _run(study: Study, target: Path, store: FitStore, arguments: argparse.Namespace) -> int:
    from longsurv.report.terminal import reported, unestimated
    from longsurv.study import Progress

    shown = Progress([("Report", REPORT_SECONDS)], quiet=arguments.quiet)
    results = study.run(progress=shown, quick=arguments.quick, store=store)
    shown.begin()
    path = results.report(target)
    if arguments.folder is not None:
        from longsurv.report.export import export

        export(results, arguments.folder)
    shown.end()
    say(reported(results, path, arguments.folder, store.folder))
    return INCOMPLETE if unestimated(results) else DONE


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from longsurv.cohort.reference import json_schema, reference_page

    text = reference_page() if arguments.page else json.dumps(json_schema(), indent=2)
    say(text.rstrip("\n").split("\n"))
    return DONE


def _init(arguments: argparse.Namespace) -> int:
    from longsurv.draft.command import init

    say(init(arguments.files, arguments.output))
    return DONE


def _check(arguments: argparse.Namespace) -> int:
    from longsurv.report.terminal import checked
    from longsurv.study import Study

    study = Study.from_toml(arguments.study)
    problems = study.formula_problems()
    if problems:
        raise DataError([f"{arguments.study.name}: {problem}" for problem in problems])
    say(checked(study))
    return DONE


def _simulate(arguments: argparse.Namespace) -> int:
    from longsurv.report.files import spare_inputs, writable
    from longsurv.report.simulation import simulation_lines, write_simulation
    from longsurv.simulate.simulate import Effect, simulate
    from longsurv.study import Study

    target = None
    if arguments.out is not None:
        target = writable(arguments.out)
        if target.suffix.lower() not in (".csv", ".html"):
            raise LongsurvError(f"{target}: --out is a .csv or .html file")
    effects = [Effect.parse(text) for text in arguments.effect or EFFECTS]
    study = Study.from_toml(arguments.study)
    if arguments.seed is not None:
        study = study.with_seed(arguments.seed)
    spare_inputs(study, [target] if target else [])
    store = _open_store(arguments, target.parent if target else Path())
    simulation = simulate(
        study,
        effects,
        cohorts=arguments.cohorts,
        jobs=arguments.jobs,
        scheduler=arguments.scheduler,
        store=store,
        progress=not arguments.quiet,
    )
    lines = simulation_lines(simulation)
    if target is not None:
        lines.append(f"\n  {write_simulation(simulation, target).resolve()}")
    say(lines)
    return INCOMPLETE if simulation.failures else DONE


if __name__ == "__main__":
    process()
