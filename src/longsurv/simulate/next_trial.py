"""What a next trial would show, if the effect is what this study leaves possible.

Power asks what a trial shows under one effect. *Assurance* (O'Hagan, Stevens & Campbell 2005, Pharm
Stat 4:187-201) averages it over what is believed: the log hazard ratio is drawn from the posterior
of this study under each named prior, and the reference group's risk from its own. A trial of n
patients, half of them in either group, is followed to the horizon, so that competing events hide
no death, and is analysed by Cox's model: the log-rank test, and the posterior under `ANALYSIS`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked, choice
from longsurv.errors import LongsurvError
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.incidence_posterior import two_hazards
from longsurv.priors import TREATMENT, Normal, Prior
from longsurv.simulate.characteristics import check_scheduler
from longsurv.tables.notebook import Readable
from longsurv.times import snapped
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.analyses.mortality.mortality import Mortality
    from longsurv.study import Study

TRIALS = 1000
SIZES = (100, 200, 400, 800)
ANALYSIS = Normal(0.0, 1.0)
"""Prior of the log hazard ratio with which the next trial is analysed."""
CONVINCED, SIGNIFICANT = 0.95, 0.05
SMALLEST, LARGEST = 10, 100_000
_POINTS = 81
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False, repr=False)
class NextTrial(Readable):
    """Assurance of a next trial, by its size and by what is believed before it.

    Attributes
    ----------
    table : DataFrame
        A row a prior and size: prior (of this study's effect), n, trials (simulated), events (mean
        of a trial), prob_benefit (that the true hazard ratio is below 1), assurance (of P(hazard
        ratio < 1) > 0.95 with `ANALYSIS`), assurance_p (of p < 0.05 by the log-rank test, with the
        group faring better), each with `_mcse`; interval (median ratio of the upper to the lower
        95 % limit of the hazard ratio), type_s (of the trials with p < 0.05, how many have the
        wrong sign), type_m (in those, the mean size of the estimated log hazard ratio over that of
        the true one), separated (share of the trials with deaths in one group only, which have no
        finite estimate and are left out of type_m).
    group, reference : str
    horizon : float
    risk : float
        Median risk of the reference group.
    title, note : str
    seed : int
    seconds : float
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    table: pd.DataFrame
    group: str
    reference: str
    horizon: float
    risk: float
    title: str = ""
    note: str = ""
    seed: int = 1
    seconds: float = field(default=0.0, compare=False)

    def __repr__(self) -> str:
        return str(self.summary())

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw assurance by the size of the trial, a line a prior.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.figures.next_trial import next_trial_axes
        from longsurv.figures.place import described, place_of

        said = "; ".join(
            f"{row['prior']}, n = {row['n']}: {100 * row['assurance']:.0f} %"
            for row in self.table.to_dict("records")
        )
        return described(next_trial_axes(self.table, ax=place_of(ax)), f"Assurance: {said}.")


@checked
def next_trial(
    study: Study,
    sizes: Sequence[int] = SIZES,
    *,
    priors: Mapping[str, Prior] = TREATMENT,
    trials: int = TRIALS,
    jobs: int | None = 1,
    scheduler: str | None = None,
    comparison: str | None = None,
) -> NextTrial:
    """Assurance of a randomised trial after this study, by size and prior.

    It is what ``longsurv simulate --next`` calls.

    Parameters
    ----------
    study : Study
        Its mortality model, with the covariates it is adjusted for; its seed is that of the
        simulation.
    sizes : sequence of int
        Patients of the trial, both groups together.
    priors : mapping of str to Prior
        Of the log hazard ratio before this study, by name.
    trials : int
        Simulated for each prior and size.
    jobs : int or None
        Processes; None for one a processor. The results do not depend on it.
    scheduler : str, optional
        Address of a Dask scheduler to work on instead.
    comparison : str, optional
        Of a study of several arms the two that the trial has, as "high - control": the effect is
        drawn from this study's posterior in one model of all its arms. See `next_trials` for all.

    Returns
    -------
    NextTrial

    Raises
    ------
    LongsurvError
        For sizes that are no trial's, or a study that cannot be asked about mortality (one group,
        several comparisons and none named, no horizon, nothing known of the effect).
    """
    from longsurv.study.deaths import question

    began = time.perf_counter()
    check_scheduler(scheduler)
    wrong = [n for n in sizes if not SMALLEST <= n <= LARGEST]
    if wrong or not sizes:
        raise LongsurvError(
            f"a trial has {SMALLEST} to {LARGEST:,} patients, not {wrong[0] if wrong else 'none'}"
        )
    one = _named(study, comparison)
    asked, seed = question(study, one), study.sampling.seed
    grid = asked.prior_grid(priors, draws=max(500, trials // 2), chains=2, seed=seed)
    risks = _reference_risks(asked, study.cohort.schema.treatment, trials, seed)
    pieces = []
    for k, (name, post) in enumerate(grid.posteriors.items()):
        draws = np.ravel(post.draw(grid.term))
        truth = np.random.default_rng([seed, k]).choice(draws, trials)
        pieces += [(name, int(n), truth, risks, (seed, k, int(n))) for n in sizes]
    rows = list(_work(pieces, jobs, scheduler))
    return NextTrial(
        table=pd.DataFrame(rows), group=str(one.group), reference=str(one.reference),
        horizon=float(asked.horizon or 0.0), risk=float(np.median(risks)),
        title=study.cohort.title, note=study.cohort.note, seed=seed,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


@checked
def next_trials(
    study: Study,
    sizes: Sequence[int] = SIZES,
    *,
    priors: Mapping[str, Prior] = TREATMENT,
    trials: int = TRIALS,
    jobs: int | None = 1,
    scheduler: str | None = None,
) -> dict[str, NextTrial]:
    """A next trial of each comparison of a study's arms, by its name, as "high - control".

    Parameters
    ----------
    study : Study
        Its comparisons are of every other arm with the reference, or of all pairs if it says so.
    sizes, priors, trials, jobs, scheduler
        As for `next_trial`; every comparison has the same random numbers.

    Raises
    ------
    LongsurvError
        As for `next_trial`.
    """
    from longsurv.study.comparisons import comparisons, only_comparison

    return {
        one.name: next_trial(
            study, sizes, priors=priors, trials=trials, jobs=jobs, scheduler=scheduler,
            comparison=one.name,
        )
        for one in comparisons(study) or [only_comparison(study)]
    }  # fmt: skip


def _reference_risks(asked: Mortality, treatment: str, trials: int, seed: int) -> np.ndarray:
    """Draws of the reference group's risk by the horizon: Jeffreys' posterior of the share, or that
    of the hazards where some entered late or were lost before, whom a share counts as alive."""
    assert asked.horizon is not None
    _, _, reference, seen = two_groups(asked.pair, treatment)
    lost = (seen.status == 0) & (seen.exit < snapped(asked.horizon, seen.exit))
    if lost.any() or np.ptp(seen.entry) > 0.0:
        sides = two_hazards(asked.pair, treatment, asked.horizon, cause=1, draws=trials, seed=seed)
        return sides[reference].incidence(1)
    counts = asked.counts
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    return rng.beta(
        counts.reference_events + 0.5, counts.reference_n - counts.reference_events + 0.5, trials
    )


def _named(study: Study, comparison: str | None) -> Comparison:
    """The comparison of that name, or the only one."""
    from longsurv.study.comparisons import comparisons, only_comparison

    found = {one.name: one for one in comparisons(study)}
    if comparison is None:
        if len(found) < 2:
            return only_comparison(study)
        raise LongsurvError(
            f"this study has the comparisons {listed(list(found))}, and a next trial has one: name"
            " it with comparison="
        )
    choice("comparison", comparison, list(found))
    return found[comparison]


type Piece = tuple[str, int, np.ndarray, np.ndarray, tuple[int, int, int]]


def _work(
    pieces: Sequence[Piece], jobs: int | None, scheduler: str | None
) -> Iterator[dict[str, object]]:
    """A row of the table for each piece, in order."""
    if scheduler is None and jobs == 1:
        yield from map(_row, pieces)
        return
    from joblib import Parallel, delayed, parallel_config

    if scheduler is None:
        backend = parallel_config(backend="loky")
    else:
        backend = parallel_config(backend="dask", scheduler_host=scheduler)
    with backend:
        yield from Parallel(n_jobs=jobs or -1)(delayed(_row)(piece) for piece in pieces)


def _row(piece: Piece) -> dict[str, object]:
    name, n, truth, risks, seed = piece
    rng = np.random.default_rng(list(seed))
    step = max(1, _CELLS // (n * _POINTS))
    parts = [
        two_group_trials(truth[at : at + step], risks[at : at + step], n, rng)
        for at in range(0, len(truth), step)
    ]
    found = pd.concat(parts, ignore_index=True)
    m = len(found)
    better = (found["p"] < SIGNIFICANT) & (found["score"] < 0.0)
    convinced = found["prob_positive"] < 1.0 - CONVINCED
    clear = found[found["p"] < SIGNIFICANT]
    finite = clear[np.isfinite(clear["estimate"])]
    size = float(finite["truth"].abs().mean()) if len(finite) else np.nan
    wrong = np.sign(clear["score"]) != np.sign(clear["truth"])
    return {
        "prior": name, "n": n, "trials": m, "events": float(found["events"].mean()),
        "prob_benefit": float((truth < 0.0).mean()),
        "assurance": float(convinced.mean()), "assurance_mcse": _mcse(convinced),
        "assurance_p": float(better.mean()), "assurance_p_mcse": _mcse(better),
        "interval": float(np.exp((found["high"] - found["low"]).median())),
        "type_s": float(wrong.mean()) if len(clear) else np.nan,
        "type_m": float(finite["estimate"].abs().mean()) / size if size > 0.0 else np.nan,
        "separated": float((~np.isfinite(found["estimate"])).mean()),
    }  # fmt: skip


def _mcse(shares: pd.Series) -> float:
    share = float(shares.mean())
    return float(np.sqrt(share * (1.0 - share) / len(shares)))


def two_group_trials(
    log_ratio: np.ndarray, risk: np.ndarray, n: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Simulate trials of two equal groups and analyse each by Cox's model.

    With proportional hazards only the order of deaths matters, so their times are exponential, and
    follow-up ends at 1.

    Parameters
    ----------
    log_ratio, risk : ndarray, shape (b,)
        True log hazard ratio, and risk of the reference group, of each trial.
    n : int
    rng : Generator

    Returns
    -------
    DataFrame
        truth, events, score and p (log-rank test), estimate (log hazard ratio by maximum partial
        likelihood; infinite or NaN where deaths are in one group only or none), prob_positive, low,
        high (95 %, posterior under `ANALYSIS`).
    """
    treated = np.arange(n) < n // 2
    rate = -np.log1p(-risk)[:, None] * np.where(treated, np.exp(log_ratio)[:, None], 1.0)
    times = rng.exponential(size=rate.shape) / rate
    order = np.argsort(times, axis=1)
    dead = np.take_along_axis(times, order, axis=1) < 1.0
    mine = treated[order]
    at_risk = n // 2 - np.cumsum(mine, axis=1) + mine
    others = (n - n // 2) - np.cumsum(~mine, axis=1) + ~mine
    events, own = dead.sum(axis=1), (dead & mine).sum(axis=1)
    share = at_risk / (at_risk + others)
    score = own - (dead * share).sum(axis=1)
    variance = (dead * share * (1.0 - share)).sum(axis=1)
    z = np.divide(score, np.sqrt(variance), out=np.zeros(len(score)), where=variance > 0.0)
    ratio = np.log(np.maximum(at_risk, 1e-300)) - np.log(np.maximum(others, 1e-300))
    estimate = _maximum(own, dead, ratio, np.inf)
    mode = _maximum(own, dead, ratio, ANALYSIS.sd)
    p = special.expit(mode[:, None] + ratio)
    sd = 1.0 / np.sqrt((dead * p * (1.0 - p)).sum(axis=1) + ANALYSIS.sd**-2)
    grid = mode[:, None] + sd[:, None] * np.linspace(-8.0, 8.0, _POINTS)
    logs = own[:, None] * grid - 0.5 * (grid / ANALYSIS.sd) ** 2
    for j in range(_POINTS):
        logs[:, j] -= (dead * np.logaddexp(0.0, grid[:, j, None] + ratio)).sum(axis=1)
    mass = np.exp(logs - logs.max(axis=1, keepdims=True))
    below = np.cumsum(0.5 * (mass[:, 1:] + mass[:, :-1]), axis=1)
    below = np.column_stack([np.zeros(len(below)), below]) / below[:, -1:]
    ends = [[np.interp(q, below[i], grid[i]) for q in (0.025, 0.975)] for i in range(len(grid))]
    return pd.DataFrame({
        "truth": log_ratio, "events": events, "score": z, "p": 2.0 * special.ndtr(-np.abs(z)),
        "estimate": estimate,
        "prob_positive": [1.0 - np.interp(0.0, grid[i], below[i]) for i in range(len(grid))],
        "low": [low for low, _ in ends], "high": [high for _, high in ends],
    })  # fmt: skip


def _maximum(own: np.ndarray, dead: np.ndarray, ratio: np.ndarray, sd: float) -> np.ndarray:
    """Maximum of the partial likelihood with a prior Normal(0, sd), by Newton's method."""
    events = dead.sum(axis=1)
    b = np.zeros(len(own))
    for _ in range(60):
        p = special.expit(b[:, None] + ratio)
        slope = own - (dead * p).sum(axis=1) - b / sd**2
        bend = (dead * p * (1.0 - p)).sum(axis=1) + sd**-2
        step = np.divide(slope, bend, out=np.zeros_like(b), where=bend > 1e-12)
        b = b + np.clip(step, -1.0, 1.0)
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
    if np.isfinite(sd):
        return b
    b = np.where(own == 0, -np.inf, np.where(own == events, np.inf, b))
    return np.where(events == 0, np.nan, b)
