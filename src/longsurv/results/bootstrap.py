"""Parametric bootstrap of a mixed model: intervals for anything that can be computed from a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.diagnostics.influence import Found
from longsurv.errors import LongsurvError
from longsurv.results import plots
from longsurv.results.estimate import TIDY
from longsurv.results.simulated import Simulated, check_determined, refit, simulator
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

type Estimand = Callable[..., Found]
type Kind = Literal["percentile", "basic"]


@check_methods
@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Readable):
    """Estimates from data simulated under a fitted model.

    Attributes
    ----------
    estimate : Series
        The estimand of the fit itself, by term.
    draws : DataFrame, shape (replicates that could be fitted, terms)
    failures : tuple of str
        What went wrong in each of the others.
    seed : int
    """

    estimate: pd.Series
    draws: pd.DataFrame
    failures: tuple[str, ...]
    seed: int

    @property
    def replicates(self) -> int:
        """Data sets simulated, the failures included."""
        return len(self.draws) + len(self.failures)

    def tidy(self, level: float = 0.95, kind: Kind = "percentile") -> pd.DataFrame:
        """Intervals, in the grammar of `Estimate.tidy`.

        Parameters
        ----------
        level : float
        kind : {"percentile", "basic"}
            Quantiles of the draws, or the estimate reflected at them, 2 estimate - quantile
            (Davison & Hinkley 1997, Bootstrap Methods and their Application, section 5.2-5.3).

        Returns
        -------
        DataFrame
            std_error is the standard deviation of the draws; statistic, df and p_value are NaN.
        """
        values, estimate = self.draws.to_numpy(), self.estimate.to_numpy()
        low, high = np.nanquantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        if kind == "basic":
            low, high = 2.0 * estimate - high, 2.0 * estimate - low
        table = pd.DataFrame(np.nan, index=range(len(estimate)), columns=TIDY).astype(
            {"term": object}
        )
        return table.assign(
            term=list(self.estimate.index),
            estimate=estimate,
            std_error=np.nanstd(values, axis=0, ddof=1),
            conf_low=low,
            conf_high=high,
        )

    @property
    def bias(self) -> pd.Series:
        """Mean of the draws less the estimate they were simulated from, by term."""
        return self.draws.mean() - self.estimate

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the estimates with their intervals.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.rows(list(self.estimate.index), self.tidy(level), "Estimate", level, ax)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} of which could not be fitted" if self.failures else ""
        head = f"Parametric bootstrap: {self.replicates} replicates{failed}; seed {self.seed}"
        return f"{head}\n95 % percentile intervals\n{self.tidy().to_string(index=False)}"


def parameters(fit: Simulated) -> pd.Series:
    """Coefficients and variance parameters: the estimand of `bootstrap` by default."""
    return pd.concat([fit.params, pd.Series(fit.variance.values, index=list(fit.variance.names))])


def bootstrap(
    fit: Simulated,
    estimand: Estimand = parameters,
    *,
    replicates: int = 999,
    seed: int = 1,
    n_jobs: int = 1,
) -> Bootstrap:
    """Simulate data from a fitted mixed model, refit, and compute the estimand again, many times.

    Parameters
    ----------
    fit : MixedEstimate or GeneralisedEstimate
    estimand : callable
        Takes a fit and returns a number, a Series or mapping of numbers by term, or a table with
        columns term and estimate.
    replicates : int
    seed : int
        The draws are the same whatever n_jobs is.
    n_jobs : int
        Processes (joblib's; -1 for one a processor). With more than one, the estimand must be a
        function of a module or a notebook that can be sent to another process.

    Returns
    -------
    Bootstrap

    Raises
    ------
    LongsurvError
        If fewer than half of the replicates can be fitted, or there is no estimate of some
        variance.
    """
    from joblib import Parallel, delayed

    if replicates < 2:
        raise LongsurvError(f"replicates is at least 2, got {replicates}")
    check_determined(fit, "simulated from")
    estimate = _named(estimand(fit))
    seeds = np.random.SeedSequence(seed).spawn(replicates)
    # A few batches a process: the fit is sent to each once.
    batches = np.array_split(
        np.arange(replicates), min(replicates, 4 * abs(n_jobs) if n_jobs != 1 else 1)
    )
    done = Parallel(n_jobs=n_jobs)(
        delayed(_replicate)(fit, estimand, [seeds[k] for k in batch]) for batch in batches
    )
    outcomes = [outcome for part in done for outcome in part]
    draws = [o for o in outcomes if not isinstance(o, str)]
    failures = tuple(o for o in outcomes if isinstance(o, str))
    if len(draws) < max(2, replicates // 2):
        raise LongsurvError(
            f"{len(failures)} of {replicates} simulated data sets could not be fitted; the first "
            f"says: {failures[0]}"
        )
    table = pd.DataFrame(draws).reset_index(drop=True)
    if list(table.columns) != list(estimate.index):
        raise LongsurvError(
            f"the estimand names other terms from one data set to another: "
            f"{list(estimate.index)} and {list(table.columns)}"
        )
    return Bootstrap(estimate, table, failures, seed)


def _replicate(
    fit: Simulated, estimand: Estimand, seeds: list[np.random.SeedSequence]
) -> list[pd.Series | str]:
    """The estimand of one simulated data set a seed, or what went wrong."""
    draw = simulator(fit)
    out: list[pd.Series | str] = []
    for seed in seeds:
        try:
            again = refit(fit, draw(np.random.default_rng(seed)))
        except (LongsurvError, np.linalg.LinAlgError) as error:
            out.append(str(error))
            continue
        out.append(_named(estimand(again)) if again.converged else again.optimum.status)
    return out


def _named(answer: Found) -> pd.Series:
    """The estimand's answer as numbers by term."""
    if isinstance(answer, pd.DataFrame):
        if not {"term", "estimate"} <= set(answer.columns):
            raise LongsurvError("a table from the estimand needs the columns term and estimate")
        answer = answer.set_index("term")["estimate"]
    elif isinstance(answer, Mapping):
        answer = pd.Series(dict(answer))
    elif not isinstance(answer, pd.Series):
        answer = pd.Series({"estimate": answer})
    try:
        return answer.astype(float).rename("estimate")
    except (TypeError, ValueError):
        raise LongsurvError(
            "the estimand is a function of a fit that returns a number, numbers by name or a "
            f"table; it returned {type(answer.iloc[0]).__name__}"
        ) from None
