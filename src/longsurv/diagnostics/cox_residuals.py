"""Residuals of Cox models, and the robust covariance made of them.

Definitions are those of R's ``residuals.coxph`` (Therneau & Grambsch 2000, Modeling Survival Data,
ch. 4 and 7). With M_i the martingale residual, dH_l the hazard of step l of an event time (Efron's
method has one step a tied event) and m_l the mean of the covariates over the risk set there,

    score_i = event_i (x_i - mean_l m_l) - exp(eta_i) sum (x_i - m_l) (1 - c_l if i is tied) dH_l.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.names import apart
from longsurv.design.survival import SurvivalDesign
from longsurv.inference import Optimum
from longsurv.inference.specification import TableSpecification
from longsurv.likelihood.cox.data import CoxData, Floats, Integers, standardise
from longsurv.likelihood.cox.kernel import event_terms, expected_events
from longsurv.likelihood.cox.risk_sets import (
    death_sums,
    exposure,
    linear_predictor,
    relative_risks,
    risk_sums,
    scaled,
)

type ResidualKind = Literal[
    "martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld", "scaled_schoenfeld"
]


class FittedCox(Protocol):
    """What these functions need of a fitted Cox model."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model specification."""
        ...

    @property
    def design(self) -> SurvivalDesign:
        """Its SurvivalDesign."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""
        ...

    @property
    def coefficients(self) -> np.ndarray:
        """Their values, shape (p,)."""
        ...

    @property
    def optimum(self) -> Optimum:
        """Record of the climb; its `free` are the coefficients that were not held at 0."""
        ...

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coefficients that the data do not determine."""
        ...

    @property
    def data(self) -> CoxData:
        """Sorted arrays of the partial likelihood."""
        ...

    @property
    def naive_cov(self) -> np.ndarray:
        """Inverse information, shape (p, p)."""
        ...


type CoxFit = Annotated[FittedCox, "a fitted CoxPH, as of .fit()"]


@dataclass(frozen=True, eq=False)
class RiskSums:
    """Sums over the risk sets at the coefficients, on the standardised scale of the kernel.

    Attributes
    ----------
    v, e : ndarray, shape (n,)
        Weighted relative risks and their exponents.
    S, eS : ndarray, shapes (K, 1 + p), (K,)
        Sums of v and v x over each risk set, and their exponents.
    E : ndarray, shape (K, 1 + p) or (0, 1 + p)
        The same over the tied events.
    moments : ndarray, shape (K, 5)
    """

    v: Floats
    e: Integers
    S: Floats
    eS: Integers
    E: Floats
    moments: Floats


def risk_sums_at(data: CoxData, beta: np.ndarray) -> RiskSums:
    """Evaluate the risk sums at coefficients beta, shape (p,)."""
    a, b = data.arrays, standardise(data, beta)
    v, e = relative_risks(a, linear_predictor(a, b))
    S, eS = risk_sums(a, v, e, 1 + len(b))
    E = death_sums(a, v, e, eS, 1 + len(b))
    _, moments = event_terms(a, S, E, eS)
    return RiskSums(v, e, S, eS, E, moments)


def martingale(data: CoxData, beta: np.ndarray) -> np.ndarray:
    """Events less expected events, shape (n_rows,), in the order of the rows given to `prepare`.

    0 for a row at risk at no event time.
    """
    a, at = data.arrays, risk_sums_at(data, beta)
    expected = expected_events(a, at.v, at.e, at.eS, at.moments) / a.weight
    out = np.zeros(data.n_rows)
    out[data.order] = a.event - expected
    return out


def deviance(martingale_residuals: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Martingale residuals made more symmetric: sign(M) sqrt(-2 (M + d log(d - M)))."""
    M = martingale_residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        log_expected = np.where(event > 0, np.log(event - M), 0.0)
    return np.sign(M) * np.sqrt(np.maximum(-2.0 * (M + event * log_expected), 0.0))


def score(data: CoxData, beta: np.ndarray) -> np.ndarray:
    """Score residuals, shape (n_rows, p); times the case weights they sum to the gradient."""
    a, at = data.arrays, risk_sums_at(data, beta)
    S1, E1, m = at.S[:, 1:], at.E[:, 1:], at.moments
    expected = expected_events(a, at.v, at.e, at.eS, m)
    drift = m[:, 2:3] * S1 - (m[:, 3:4] * E1 if a.efron else 0.0)
    own_mean = _mean_at_events(data, at)
    expected_mean = at.v[:, None] * exposure(a, at.e, drift, at.eS)
    dead = np.flatnonzero(a.event)
    k = a.last[dead] - 1
    if a.efron:
        tied = m[k, 3:4] * S1[k] - m[k, 4:5] * E1[k]
        lift = np.array([scaled(gap) for gap in (at.e[dead] - at.eS[k])])
        expected_mean[dead] -= (at.v[dead] * lift)[:, None] * tied
    residual = -(a.X * expected[:, None] - expected_mean) / a.weight[:, None]
    residual[dead] += a.X[dead] - own_mean[k]
    out = np.zeros((data.n_rows, data.n_columns))
    out[data.order] = residual * data.scale
    return out


def schoenfeld(data: CoxData, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Schoenfeld residuals: an event's covariates less their mean over its risk set.

    Returns
    -------
    rows : ndarray of int, shape (events,)
        Original rows of the events, by stratum and time.
    residuals : ndarray, shape (events, p)
    """
    a = data.arrays
    own_mean = _mean_at_events(data, risk_sums_at(data, beta))
    dead = np.flatnonzero(a.event)
    order = np.lexsort((data.order[dead], a.last[dead]))
    dead = dead[order]
    return data.order[dead], (a.X[dead] - own_mean[a.last[dead] - 1]) * data.scale


def _mean_at_events(data: CoxData, at: RiskSums) -> np.ndarray:
    """Mean of the covariates over each risk set, over the steps of its tied events, (K, p)."""
    a, m = data.arrays, at.moments
    total = m[:, :1] * at.S[:, 1:]
    if a.efron:
        total -= m[:, 1:2] * at.E[:, 1:]
    return total / a.death_weight[:, None]


def dfbeta(
    data: CoxData, beta: np.ndarray, cov: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Approximate change of the coefficients by each row, shape (n_rows, p).

    Parameters
    ----------
    data : CoxData
    beta : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
        Inverse information.
    weights : ndarray, shape (n_rows,), optional
        Case weights.
    """
    residual = score(data, beta) @ cov
    return residual if weights is None else residual * weights[:, None]


def robust_covariance(
    data: CoxData,
    beta: np.ndarray,
    cov: np.ndarray,
    weights: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
) -> np.ndarray:
    """Sandwich covariance of the coefficients: cross product of `dfbeta` summed by cluster.

    Lin & Wei (1989), J Am Stat Assoc 84:1074-1078; without clusters every row is one of its own.

    Parameters
    ----------
    data, beta, cov, weights
        See `dfbeta`.
    cluster : ndarray of int, shape (n_rows,), optional

    Returns
    -------
    ndarray, shape (p, p)
    """
    return crossed(dfbeta(data, beta, cov, weights), cluster)


def crossed(score: np.ndarray, cluster: np.ndarray | None) -> np.ndarray:
    """Cross product, shape (d, d), of the rows of score (n, d), those of a cluster added up first.

    Parameters
    ----------
    score : ndarray, shape (n, d)
    cluster : ndarray of int, shape (n,), optional
    """
    if cluster is not None:
        score = summed(score, cluster, int(cluster.max()) + 1)
    return score.T @ score


def summed(rows: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """The rows of each group added up, shape (count, d).

    Parameters
    ----------
    rows : ndarray, shape (n, d)
    group : ndarray of int, shape (n,)
        From 0.
    count : int
        Of the groups.
    """
    found = np.empty((count, rows.shape[1]))
    for j, column in enumerate(rows.T):
        found[:, j] = np.bincount(group, column, count)
    return found


@checked
def residuals(fit: CoxFit, kind: ResidualKind = "martingale") -> pd.DataFrame:
    """Residuals of a fitted Cox model.

    Parameters
    ----------
    fit : SurvivalEstimate
    kind : str
        One of "martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld" and
        "scaled_schoenfeld". dfbeta and dfbetas include the case weights, dfbetas in units of the
        standard error; the scaled Schoenfeld residuals are centred at the coefficients: their trend
        over time is that of the log hazard ratio.

    Returns
    -------
    DataFrame
        With the index of the rows fitted to. Martingale and deviance: one column of that name.
        Score, dfbeta, dfbetas: one a coefficient. Schoenfeld: one row an event, by stratum and
        time, with "time" before the coefficients; one of that name is "time_variable".

    Raises
    ------
    LongsurvError
        For an unknown kind.
    """
    data, b, design = fit.data, fit.coefficients, fit.design
    index, names = fit.spec.data.index[design.rows], list(fit.names)
    if kind in ("martingale", "deviance"):
        M = martingale(data, b)
        values = M if kind == "martingale" else deviance(M, design.event)
        return pd.DataFrame({kind: values}, index=index)
    if "schoenfeld" in kind:
        rows, values = schoenfeld(data, b)
        if kind == "scaled_schoenfeld":
            values = len(rows) * values @ fit.naive_cov + b
        table = pd.DataFrame(values, columns=names, index=index[rows])
        if kind == "scaled_schoenfeld":
            table[list(fit.undetermined)] = np.nan
        table = apart(table, ["time"], "_variable")
        table.insert(0, "time", design.exit[rows])
        return table
    if kind == "score":
        return pd.DataFrame(score(data, b), columns=names, index=index)
    values = dfbeta(data, b, fit.naive_cov, design.weights)
    values[:, np.isin(names, fit.undetermined)] = np.nan
    if kind == "dfbetas":
        with np.errstate(invalid="ignore"):
            values = values / np.sqrt(np.diag(fit.naive_cov))
    return pd.DataFrame(values, columns=names, index=index)
