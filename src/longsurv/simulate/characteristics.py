"""What a cohort like this one could show.

Cohorts are simulated under the models fitted to the study (the parametric bootstrap), with the
patients, groups, visits and gaps of the real one, for several sizes of the true effect; each is
analysed as the study was. Over many of them

    power     how often the 95 % interval is clear of no effect (with no effect: the false alarms)
    coverage  how often the interval holds the true effect
    bias      the mean of the estimates less the truth, on the scale of the model
    type S    of the estimates clear of no effect, how many have the wrong sign
    type M    how many times too large those are on average

Gelman & Carlin (2014), Perspect Psychol Sci 9:641-651, for the errors of sign and magnitude;
Morris, White & Crowther (2019), Stat Med 38:2074-2102, for the Monte Carlo standard errors.

Markers are simulated one by one: what one marker can show does not depend on the others.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import views
from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.simulate.deaths import SurvivalWorld
from longsurv.simulate.worlds import Effect, MarkerWorld, World
from longsurv.study.store import FitStore, environment, fingerprint
from longsurv.tables.frame import framed
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import Study

COHORTS = 500
STANDARD_EFFECTS = ("null", "half", "fitted", "double", "hr=0.5")
BATCH = 25
"""Cohorts simulated as one piece of work; fixed, so that stored pieces fit whatever is asked."""

COLUMNS = [
    "name", "label", "estimand", "level", "effect", "truth", "truth_is_null", "cohorts",
    "estimated", "power", "power_mcse", "coverage", "coverage_mcse", "bias", "bias_mcse", "spread",
    "type_s", "type_m",
]  # fmt: skip

SHOWN = (
    "effect", "truth", "power", "power_mcse", "coverage", "bias", "spread", "type_s", "type_m",
)  # fmt: skip
"""Columns of a summary."""


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Result):
    """What cohorts like this one showed.

    Attributes
    ----------
    table : DataFrame
        A row an estimand and true effect: name, label, estimand, level, effect; truth (a ratio, or
        a difference), and whether it is no effect; cohorts, and how many could be estimated; power
        (those that could not are not clear of no effect), coverage, bias (of the log of a ratio)
        with their Monte Carlo standard errors; spread (the SD of the estimates); type_s and type_m
        (NaN where no effect is the truth, or no estimate was clear of it).
    cohorts, seed : int
    title, note : str
        Of the cohort.
    failures : mapping of str to str
        What could not be simulated, and why.
    seconds : float
    """

    table: pd.DataFrame
    cohorts: int
    seed: int
    title: str
    note: str
    failures: Mapping[str, str]
    seconds: float = 0.0

    def __repr__(self) -> str:
        return str(self.summary())

    def summary(self) -> Summary:
        """Power, coverage, bias and the errors of sign and size, one row an estimand and effect."""
        several = self.table["level"].nunique() > 1
        table = self.table.assign(label=self.table["label"] + ": " + self.table["estimand"])
        shown = ["label", *(["level"] if several else []), *SHOWN]
        facts = (
            ("Cohorts", f"{self.cohorts:,}"), ("Seed", str(self.seed)),
            ("Analysed as", "the study was"),
        )  # fmt: skip
        return Summary(
            title=self.title or "Simulated cohorts",
            tables=(framed(table[shown], headers={"label": "", "level": "group"}),),
            facts=facts,
            notes=(
                *([self.note] if self.note else []),
                "Power is the share of cohorts whose 95 % interval is clear of no effect; where the"
                " truth is none, these are false alarms.",
                *(f"{what} was not simulated: {why}" for what, why in self.failures.items()),
            ),
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the power of each estimand, one mark a size of the true effect.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.figures.place import described, place_of
        from longsurv.figures.simulation import simulation_axes

        said = "; ".join(
            f"{row['label']}, {row['estimand']}, {row['effect']} {100 * row['power']:.0f} %"
            for row in self.table.to_dict("records")
        )
        drawn = simulation_axes(self.table, ax=place_of(ax))
        return described(drawn, f"Power by the size of the true effect: {said}.")

    def _repr_html_(self) -> str:
        return views.report().simulation_html(self)


@checked
def operating_characteristics(
    study: Study,
    effects: Sequence[Effect | str] = STANDARD_EFFECTS,
    *,
    cohorts: int = COHORTS,
    jobs: int | None = 1,
    scheduler: str | None = None,
    store: FitStore | None = None,
    progress: bool = False,
) -> Simulation:
    """Power, coverage and errors of sign and size of a study, from cohorts simulated like its own.

    Cohorts are simulated under the models fitted to the study, for several sizes of the true
    effect, and each is analysed as the study was. It is what ``longsurv simulate`` calls.

    Parameters
    ----------
    study : Study
        Its seed is that of the simulation.
    effects : sequence of Effect or str
        Sizes of the true effect, as "null", "fitted", "1.5" (times the fitted one), "hr=0.5" (a
        hazard ratio), "sd=0.8" (baseline standard deviations of a marker).
    cohorts : int
    jobs : int or None
        Processes; None for one a processor. The results do not depend on it.
    scheduler : str, optional
        Address of a Dask scheduler to work on instead.
    store : FitStore, optional
        Keeps finished pieces, so that an interrupted simulation goes on where it stopped.
    progress : bool
        Say how far it is on standard error.

    Returns
    -------
    Simulation

    Raises
    ------
    LongsurvError
        For a wrong effect, or if neither markers nor mortality can be simulated.
    """
    from longsurv.study import Progress

    began = time.perf_counter()
    check_scheduler(scheduler)
    if cohorts < 2:
        raise LongsurvError(f"at least 2 cohorts are needed, not {cohorts}")
    sizes = [e if isinstance(e, Effect) else Effect.parse(e) for e in effects]
    worlds, failures = study_worlds(study)
    if not worlds:
        raise LongsurvError(
            "nothing can be simulated: " + "; ".join(f"{k}: {v}" for k, v in failures.items())
        )
    seed, store = study.sampling.seed, store or FitStore(None)
    pieces = [(at, min(at + BATCH, cohorts)) for at in range(0, cohorts, BATCH)]
    keys = {
        piece: fingerprint("simulate", seed, piece, sizes, [w.identity for w in worlds],
                           environment())
        for piece in pieces
    }  # fmt: skip
    done: dict[tuple[int, int], Mapping[str, np.ndarray]] = {}
    for piece in pieces:
        kept = store.get(keys[piece], f"cohorts {piece[0] + 1} to {piece[1]}")
        if kept is not None:
            done[piece] = kept.value
    todo = [piece for piece in pieces if piece not in done]
    shown = Progress([(f"{cohorts:,} cohorts", 0.005 * len(worlds) * cohorts)], quiet=not progress)
    shown.begin()
    if done:
        shown.step("from the store", len(done) / len(pieces), reused=True)
    for piece, result, seconds in _work(worlds, sizes, seed, todo, jobs, scheduler):
        done[piece] = result
        store.put(keys[piece], f"cohorts {piece[0] + 1} to {piece[1]}", dict(result), seconds)
        shown.step(f"{sum(b - a for a, b in done):,} done", 1 / len(pieces))
    shown.end(f"{len(pieces) - len(todo)} of {len(pieces)} pieces reused" if done and len(todo) <
              len(pieces) else "")  # fmt: skip
    outcomes = {
        world.name: np.concatenate([done[piece][world.name] for piece in pieces])
        for world in worlds
    }
    return Simulation(
        table=summarise(worlds, sizes, outcomes),
        cohorts=cohorts,
        seed=seed,
        title=study.cohort.title,
        note=study.cohort.note,
        failures=failures,
        seconds=time.perf_counter() - began,
    )


def study_worlds(study: Study) -> tuple[list[World], dict[str, str]]:
    """What can be simulated: every marker, then mortality; and for the rest, why it cannot."""
    from longsurv.study.stages import unusable

    worlds: list[World] = []
    failures: dict[str, str] = {}
    for name, marker in study.cohort.endpoints.items():
        data = study.marker_data(name)
        reason = unusable(data, study.cohort.schema.patient)
        try:
            if reason:
                raise LongsurvError(reason)
            worlds.append(MarkerWorld.from_study(study, marker, data))
        except LongsurvError as error:
            failures[marker.label] = str(error)
    try:
        worlds.append(SurvivalWorld.from_study(study))
    except LongsurvError as error:
        failures["Mortality"] = str(error)
    return worlds, failures


def outcomes_of(
    worlds: Sequence[World], effects: Sequence[Effect], seed: int, first: int, last: int
) -> dict[str, np.ndarray]:
    """Estimates and intervals of the cohorts first, first + 1, ..., last - 1.

    Every cohort and world has a random stream of its own, so it matters neither which process
    works on it nor what else is simulated.

    Returns
    -------
    dict of str to ndarray, shape (cohorts, effects, estimands, 3)
        By world: estimate, lower and upper limit; NaN where it could not be estimated.
    """
    found: dict[str, np.ndarray] = {}
    for world in worlds:
        stream = zlib.crc32(world.name.encode())
        seeds = [np.random.SeedSequence(seed, spawn_key=(k, stream)) for k in range(first, last)]
        found[world.name] = world.replicates(map(np.random.default_rng, seeds), effects)
    return found


def summarise(
    worlds: Sequence[World], effects: Sequence[Effect], outcomes: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """The table of a `Simulation` from what `outcomes_of` returned for all cohorts."""
    rows = []
    for world in worlds:
        for i, effect in enumerate(effects):
            for j, estimand in enumerate(world.estimands):
                truth = world.truth(effect)[j]
                if np.isnan(truth):  # a hazard ratio says nothing about a marker
                    continue
                answers = outcomes[world.name][:, i, j]
                rows.append(
                    {
                        "name": world.name,
                        "label": world.label,
                        "estimand": estimand.name,
                        "level": estimand.level,
                        "effect": effect.label,
                        **performance(answers, float(truth)),
                        "truth": float(np.exp(truth) if estimand.ratio else truth),
                        "truth_is_null": bool(truth == 0.0),
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def performance(answers: np.ndarray, truth: float) -> dict[str, float]:
    """Operating characteristics of estimates with intervals, shape (cohorts, 3).

    An answer that could not be had is not clear of no effect; coverage, bias and the errors of
    sign and magnitude are of those that could.
    """
    n = len(answers)
    known = ~np.isnan(answers).any(axis=1)
    estimate, low, high = answers[known].T
    m = len(estimate)
    clear = (low > 0) | (high < 0)
    power = clear.sum() / n
    found = {"cohorts": n, "estimated": m, "power": power, "power_mcse": _mcse(power, n)}
    nothing = dict.fromkeys(
        ("coverage", "coverage_mcse", "bias", "bias_mcse", "spread", "type_s", "type_m"), np.nan
    )
    if m < 2:
        return found | nothing
    coverage, spread = float(((low <= truth) & (truth <= high)).mean()), float(estimate.std(ddof=1))
    found |= nothing | {
        "coverage": coverage,
        "coverage_mcse": _mcse(coverage, m),
        "bias": float(estimate.mean() - truth),
        "bias_mcse": spread / np.sqrt(m),
        "spread": spread,
    }
    if truth != 0.0 and clear.any():
        found["type_s"] = float((np.sign(estimate[clear]) != np.sign(truth)).mean())
        found["type_m"] = float(np.abs(estimate[clear]).mean() / abs(truth))
    return found


def _mcse(share: float, n: int) -> float:
    return float(np.sqrt(share * (1.0 - share) / n))


Piece = tuple[int, int]


def _piece(
    worlds: Sequence[World], effects: Sequence[Effect], seed: int, piece: Piece
) -> tuple[Piece, dict[str, np.ndarray], float]:
    began = time.perf_counter()
    result = outcomes_of(worlds, effects, seed, *piece)
    return piece, result, time.perf_counter() - began


def _work(
    worlds: Sequence[World],
    effects: Sequence[Effect],
    seed: int,
    todo: Sequence[Piece],
    jobs: int | None,
    scheduler: str | None,
) -> Iterator[tuple[Piece, dict[str, np.ndarray], float]]:
    """The pieces still to do, as they are finished."""
    if scheduler is None and (jobs == 1 or len(todo) <= 1):
        for piece in todo:
            yield _piece(worlds, effects, seed, piece)
        return
    from joblib import Parallel, delayed, parallel_config

    if scheduler is None:
        backend = parallel_config(backend="loky")
    else:
        backend = parallel_config(backend="dask", scheduler_host=scheduler)
    with backend:
        parallel = Parallel(n_jobs=jobs or -1, return_as="generator_unordered")
        yield from parallel(delayed(_piece)(worlds, effects, seed, piece) for piece in todo)


def check_scheduler(scheduler: str | None) -> None:
    """Refuse a Dask scheduler where Dask is not installed.

    Raises
    ------
    LongsurvError
        Saying what to install.
    """
    from importlib.util import find_spec

    if scheduler is not None and find_spec("distributed") is None:
        raise LongsurvError(
            "working on a Dask cluster needs the package 'distributed' here, and longsurv on every"
            " worker: pip install 'dask[distributed]'. Without --scheduler the simulation runs on"
            " this computer"
        )
