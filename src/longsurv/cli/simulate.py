"""`longsurv simulate`: what a cohort like this one could show."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.cli import running
from longsurv.cli.options import DONE, INCOMPLETE, add_command, add_run_options, add_study, whole
from longsurv.console import say
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from longsurv.simulate.characteristics import Effect
    from longsurv.study import Study

COHORTS = 500
EFFECTS = ("null", "half", "fitted", "double", "hr=0.5")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "simulate",
        "show what a cohort like this one could show: power, coverage, bias, and errors of sign"
        " and size, from cohorts simulated under the fitted models",
        "longsurv simulate study.toml",
        "longsurv simulate study.toml --cohorts 2000 --jobs 4 --out simulation.html",
        "longsurv simulate study.toml --effect null --effect hr=0.5 --effect sd=0.8",
        "longsurv simulate study.toml --next 100,200,400,800 --out next.html",
        "longsurv simulate study.toml --scheduler tcp://head-node:8786",
    )
    add_study(command)
    words = f"cohorts to simulate (default: {COHORTS})"
    command.add_argument("--cohorts", type=whole(1), default=COHORTS, metavar="N", help=words)
    command.add_argument("--seed", type=whole(0), metavar="N", help="in place of the study file's")
    command.add_argument(
        "--effect",
        action="append",
        metavar="SIZE",
        help="a true effect to simulate: null, half, fitted, double, a number (times the fitted"
        " one), hr=0.5 (a hazard ratio), sd=0.8 (standard deviations of a marker at baseline); may"
        f" be given several times (default: {', '.join(EFFECTS)})",
    )
    command.add_argument(
        "--next",
        type=sizes_of,
        metavar="N,N,...",
        help="instead: what a randomised trial of so many patients would show, the effect drawn"
        " from this study's posterior under each named prior; --cohorts is the number of trials",
    )
    command.add_argument(
        "--jobs",
        type=whole(1),
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
    add_run_options(command, "the file of --out, or in the working folder")
    command.set_defaults(run=run)


def sizes_of(text: str) -> tuple[int, ...]:
    """Sizes of trials from "100,200"."""
    try:
        return tuple(whole(1)(part.strip()) for part in text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(
            f"expected numbers of patients, as 100,200,400, not {text!r}"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    """Simulate cohorts like a study's, or trials after it, and say what they could show."""
    from longsurv.files import writable
    from longsurv.study import Study

    target = None
    if arguments.out is not None:
        target = writable(arguments.out)
        if target.suffix.lower() not in (".csv", ".html"):
            raise LongsurvError(f"{target}: --out is a .csv or .html file")
    if arguments.next and arguments.effect:
        raise LongsurvError(
            "--next draws the effect from this study's posterior: leave out --effect"
        )
    effects = () if arguments.next else _effects(arguments.effect)
    study = Study.from_toml(arguments.study)
    if arguments.seed is not None:
        study = study.with_seed(arguments.seed)
    running.spare_inputs(study, [target] if target else [])
    if arguments.next:
        return _next(arguments, study, target)
    return _cohorts(arguments, study, target, effects)


def _effects(given: list[str] | None) -> Sequence[Effect]:
    from longsurv.simulate.characteristics import Effect

    return [Effect.parse(text) for text in given or EFFECTS]


def _cohorts(
    arguments: argparse.Namespace, study: Study, target: Path | None, effects: Sequence[Effect]
) -> int:
    from longsurv.report.simulation import simulation_lines, write_simulation
    from longsurv.simulate.characteristics import operating_characteristics

    store = running.open_store(arguments, target.parent if target else Path())
    simulation = operating_characteristics(
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


def _next(arguments: argparse.Namespace, study: Study, target: Path | None) -> int:
    from longsurv.report.next_trial import next_trial_lines, write_next_trial
    from longsurv.simulate.next_trial import next_trials

    trials = next_trials(
        study,
        arguments.next,
        trials=arguments.cohorts,
        jobs=arguments.jobs,
        scheduler=arguments.scheduler,
    )
    found = list(trials.values())
    lines = next_trial_lines(found)
    if target is not None:
        lines.append(f"\n  {write_next_trial(found, target).resolve()}")
    say(lines)
    return DONE
