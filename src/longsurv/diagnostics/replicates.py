"""Data replicated from a posterior beside the data: would the model produce data like these?

For each of so many draws of the parameters the same patients are measured again at the same visits,
with random effects drawn from their distribution given all of the patient's data. So the replicates
have the dropout of the data, which may depend on what was measured before, and what could be wrong
is the shape of the curves and of the noise. What is compared are statistics of the values alone:
how far patients differ, how a patient's values scatter, skew and jump.

Gelman, Meng & Stern (1996), Stat Sinica 6:733-807.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design.mixed import MixedDesign
from longsurv.diagnostics.clusters import split_rows
from longsurv.diagnostics.quantile_residuals import predicted_residuals
from longsurv.errors import LongsurvError
from longsurv.inference.sample import Draws
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.counted import HIGHEST
from longsurv.likelihood.glmm.drawn import DrawnEffects, given_data, new_effects, sites_of_rows
from longsurv.likelihood.glmm.family import EXACT
from longsurv.likelihood.lmm.kernel import MixedKernel, Point
from longsurv.own_order import in_own_order

type Statistics = Mapping[str, Mapping[str, float]]
"""By part and name."""

VALUES, EVENTS = "values", "events"
COUNT, MEAN_TIME = "events", "mean time of events"
"""Statistics of events that are no curve at a time."""
COLUMNS = [
    "part", "of", "statistic", "observed", "replicated", "conf_low", "conf_high", "p_value",
]  # fmt: skip
FEWEST = 2  # draws


class DrawnMixed(Protocol):
    """What is used of the posterior of a linear mixed model."""

    @property
    def design(self) -> MixedDesign:
        """Arrays of the model."""

    @property
    def kernel(self) -> MixedKernel:
        """The likelihood that was sampled."""

    @property
    def draws(self) -> Draws:
        """Of its parameters."""


class DrawnResponses(Protocol):
    """What is used of the posterior of a generalised mixed model."""

    @property
    def data(self) -> glmm.GLMMData:
        """Its rows, sorted by patient."""

    @property
    def draws(self) -> Draws:
        """Of its parameters."""


def mixed_checks(posterior: DrawnMixed, draws: int, seed: int, level: float) -> pd.DataFrame:
    """Statistics of a measured response against those of replicates; see `compared`."""
    design, kernel = posterior.design, posterior.kernel
    rng = check_options(draws, seed, level)

    def statistics(y: np.ndarray) -> Statistics:
        return {"marker": course_statistics(y, design.group)}

    thetas = posterior.draws.spread(draws)
    drawn = [statistics(replicate(design, kernel, kernel.point(t), rng)) for t in thetas]
    return compared(statistics(design.y), drawn, level)


def replicate(
    design: MixedDesign,
    kernel: MixedKernel,
    point: Point,
    rng: np.random.Generator,
    *,
    new: bool = False,
) -> np.ndarray:
    """New values of the rows, shape (n,): of the same groups, or of `new` ones in their places."""
    y, weights = design.fixed.X @ point.beta, design.weights
    noise = in_own_order(rng.standard_normal(len(y)), design.own_order)
    if new:
        y = y + _unseen(design, kernel, point, rng)
    if design.residual is None:
        if new:
            return y + point.sigma * noise / (1.0 if weights is None else weights.root)
        if design.groupings:
            terms = design.terms
            y = y + kernel.draw_rows(
                point, [t.random.X for t in terms], [t.group for t in terms], rng
            )
        return y + point.sigma * noise / (1.0 if weights is None else weights.root)
    # Effects of nested groupings are drawn apart from one another: each as it is by itself.
    own = () if new else kernel.effects(point)
    for grouping, found in zip(design.groupings, own, strict=not new):
        half = root(found.cov)
        drawn = rng.standard_normal(found.mean.shape)
        b = found.mean + np.einsum("gqr,gr->gq", half, drawn)
        y = y + np.einsum("nq,nq->n", grouping.random.X, b[grouping.group])
    values = kernel.residual_cov(point)[design.residual.kind]
    start = 0
    for at in split_rows(design.group, len(design.labels)):
        end = start + len(at) ** 2
        R = values[start:end].reshape(len(at), len(at))
        y[at] += root(R) @ noise[at] / (1.0 if weights is None else weights.root[at])
        start = end
    return y


def _unseen(
    design: MixedDesign, kernel: MixedKernel, point: Point, rng: np.random.Generator
) -> np.ndarray:
    """The random part of the rows of groups that nobody has seen, shape (n,)."""
    own = [(D, basis) for D, basis in zip(point.D, kernel.bases, strict=True) if len(D)]
    out = np.zeros(len(design.y))
    for grouping, (D, basis) in zip(design.groupings, own, strict=True):
        Z = grouping.random.X @ np.linalg.inv(basis)
        b = rng.standard_normal((len(grouping.labels), len(D))) @ root(D).T
        out += np.einsum("nq,nq->n", Z, b[grouping.group])
    return out


def root(cov: np.ndarray) -> np.ndarray:
    """Matrices whose product with their transpose is a covariance (..., q, q), singular or not."""
    values, vectors = np.linalg.eigh(cov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def generalised_checks(
    posterior: DrawnResponses, draws: int, seed: int, level: float
) -> pd.DataFrame:
    """The same of a binary, ordinal, counted or measured response.

    A value known by limits only is drawn between them, for each draw anew (Gelman et al. 2005,
    Biometrics 61:74-85): its statistics are compared with the replicate's draw by draw.
    """
    data = posterior.data
    rng = check_options(draws, seed, level)
    group = np.repeat(np.arange(len(data.first) - 1), np.diff(data.first))
    numbers = data.family.measured or data.family.log
    of = course_statistics if numbers else category_statistics

    def statistics(y: np.ndarray) -> Statistics:
        return {"marker": of(y, group)}

    drawn: list[Statistics] = []
    whole: list[Statistics] = []
    limits = (data.kind != EXACT).any()
    for theta, z in posterior.draws.with_effects(draws):
        drawn.append(statistics(replicate_responses(data, theta, rng, sites=z)))
        if limits:
            whole.append(statistics(completed(data, glmm.to_factor(data, theta), rng, z)))
    return compared(whole or statistics(data.y), drawn, level)


def completed(
    data: glmm.GLMMData,
    theta: np.ndarray,
    rng: np.random.Generator,
    sites: np.ndarray | None = None,
) -> np.ndarray:
    """The values of the rows of `data`, shape (n,): one known by limits only is drawn given all of
    its patient's.

    Parameters
    ----------
    data : GLMMData
        Of normal values.
    theta : ndarray, shape (d,)
        As for `loglik_factor`.
    rng : Generator
    sites : ndarray, shape (J,), optional
        Effects of their sites in units of the standard deviation, where they are known.
    """
    eta, residual = predicted_residuals(data, theta, rng, sites)
    sigma = data.family.natural(theta[data.p : data.p + data.n_family])[0]
    return np.where(data.kind == EXACT, data.y, eta + sigma * residual)


def replicate_responses(
    data: glmm.GLMMData,
    theta: np.ndarray,
    rng: np.random.Generator,
    *,
    new: bool = False,
    sites: np.ndarray | None = None,
) -> np.ndarray:
    """New responses of the rows of `data` at theta (d,) as in `glmm.loglik`, shape (n,): of the
    same patients, or of `new` ones in their places; of those with the effects of their sites, in
    units of the standard deviation, where these are known."""
    at, patients = glmm.to_factor(data, theta), len(data.first) - 1
    group = np.repeat(np.arange(patients), np.diff(data.first))
    if new:
        Lam, u = glmm.random_factor(data, at), new_effects(data, rng)
        k = data.q_own
        b = DrawnEffects(u.own @ Lam[:k, :k].T, Lam[-1:, -1:].sum() * u.sites)
    else:
        b = given_data(data, at, rng, near_effects, sites)
    eta = data.offset + data.X @ at[: data.p] + b.of_rows(data.Z, group, sites_of_rows(data))
    if data.family.log:  # wide priors go where no count is
        eta = np.minimum(eta, HIGHEST)
    own, order = at[data.p : data.p + data.n_family], data.own_order
    return in_own_order(data.family.replicate(eta[order], own, data.kappa, rng), order)


def near_effects(data: glmm.GLMMData, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random effects of the patients given their data, normal with their mean and covariance."""
    if not data.q:
        return np.empty((len(data.first) - 1, 0))
    nodes, weights = glmm.conditional(data, theta)
    mean = np.einsum("nm,nmq->nq", weights, nodes)
    away = nodes - mean[:, None, :]
    cov = np.einsum("nm,nmq,nmr->nqr", weights, away, away)
    half = root(cov)
    return mean + np.einsum("nqr,nr->nq", half, rng.standard_normal(mean.shape))


def check_options(draws: int, seed: int, level: float) -> np.random.Generator:
    """The generator of the replicates.

    Raises
    ------
    LongsurvError
        For fewer than two draws, or a level that is none.
    """
    if draws < FEWEST or not 0.0 < level < 1.0:
        raise LongsurvError(
            f"draws is at least {FEWEST} and level within 0 and 1; got {draws}, {level}"
        )
    return np.random.default_rng(seed)


def compared(
    observed: Statistics | Sequence[Statistics],
    drawn: Sequence[Statistics],
    level: float,
    events: Collection[str] = (),
) -> pd.DataFrame:
    """The observed statistics beside those of replicates.

    Parameters
    ----------
    observed : mapping of part to statistics, or sequence of such mappings
        One for each replicate where the values themselves are drawn; their mean is shown.
    drawn : sequence of such mappings
        Of the replicates. A statistic that is not finite in a replicate is left out of it.
    level : float
        Of the equal-tailed intervals.
    events : collection of str
        The parts that are about events; the others are about measured values.

    Returns
    -------
    DataFrame
        `COLUMNS`: of is "values" or "events"; replicated is the mean; p_value the share of
        replicates with at least the observed statistic, ties counted half.
    """
    rows = []
    each = [observed] * len(drawn) if isinstance(observed, Mapping) else list(observed)
    for part, statistics in each[0].items() if each else ():
        of = EVENTS if part in events else VALUES
        for name in statistics:
            values = np.array([one[part][name] for one in drawn])
            ours = np.array([one[part][name] for one in each])
            known = np.isfinite(values) & np.isfinite(ours)
            values, ours = values[known], ours[known]
            if len(values) < FEWEST:
                continue
            low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
            p = float(np.mean(values > ours) + 0.5 * np.mean(values == ours))
            value = float(ours[0] if isinstance(observed, Mapping) else ours.mean())
            rows.append((part, of, name, value, float(values.mean()), float(low), float(high), p))
    return pd.DataFrame(rows, columns=COLUMNS)


def course_statistics(
    y: np.ndarray, group: np.ndarray, time: np.ndarray | None = None
) -> dict[str, float]:
    """Level, spread, course and shape of values.

    Changes are between successive visits of a patient; "within" is after taking off each patient's
    mean.

    Parameters
    ----------
    y : ndarray, shape (n,)
    group : ndarray of int, shape (n,)
        Patients, from 0 on.
    time : ndarray, shape (n,), optional
        Of each; by default visits are in the order of the rows, and nothing depends on time.
    """
    order = np.argsort(group, kind="stable") if time is None else np.lexsort((time, group))
    y, group = y[order], group[order]
    mean, own = _patients(y, group)
    within = y - own
    same = group[1:] == group[:-1]
    steps = np.diff(y)[same]
    out = {"mean": float(y.mean())}
    if time is not None:
        time = time[order]
        early, late = time <= np.quantile(time, 1 / 3), time > np.quantile(time, 2 / 3)
        out["mean, first third of times"] = float(y[early].mean()) if early.any() else np.nan
        out["mean, last third of times"] = float(y[late].mean()) if late.any() else np.nan
    out |= {
        "SD between patients": float(mean.std()),
        "SD within patients": float(np.sqrt(np.mean(within**2))),
        "largest change": float(np.abs(steps).max()) if len(steps) else np.nan,
        "skewness within patients": (
            _moment(within, 3) if np.bincount(group).max() > 2 else np.nan
        ),
        "kurtosis within patients": _moment(within, 4),
    }
    if time is not None:
        out["correlation of successive changes"] = _successive(y, group)
    return out


def category_statistics(y: np.ndarray, group: np.ndarray) -> dict[str, float]:
    """Level and spread of 0 and 1, or of categories 0, 1, ... in order.

    Parameters
    ----------
    y : ndarray, shape (n,)
    group : ndarray of int, shape (n,)
        Patients, from 0 on.
    """
    mean, own = _patients(y, group)
    moved = np.bincount(group, weights=np.abs(y - own))
    several = np.bincount(group) > 1
    return {
        "mean": float(y.mean()),
        "SD between patients": float(mean.std()),
        "SD within patients": float(np.sqrt(np.mean((y - own) ** 2))),
        "patients who never change": (
            float((moved[several] < 1e-9).mean()) if several.any() else np.nan
        ),
    }


def _patients(y: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each patient with a value, and of each row's patient."""
    count = np.bincount(group)
    sums = np.bincount(group, weights=y)
    with np.errstate(invalid="ignore"):
        means = sums / count
    return means[count > 0], means[group]


def _moment(x: np.ndarray, k: int) -> float:
    """Standardised central moment."""
    sd = x.std()
    return float(np.mean((x - x.mean()) ** k) / sd**k) if sd > 0 else np.nan


def _successive(y: np.ndarray, group: np.ndarray) -> float:
    """Correlation of a change with the one before it; -1/2 for noise alone."""
    steps, same = np.diff(y), group[1:] == group[:-1]
    both = same[1:] & same[:-1]
    first, second = steps[:-1][both], steps[1:][both]
    if len(first) < 3 or first.std() == 0 or second.std() == 0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])
