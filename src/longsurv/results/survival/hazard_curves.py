"""Hazards and survival curves of parametric models: who, when, and intervals on which scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.design.hazard import POINTS, POWER, HazardDesign
from longsurv.design.quadrature import time_points
from longsurv.errors import LongsurvError
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.hazard.rows import Events, Stretches
from longsurv.results.columns import beside, draw_columns
from longsurv.results.reference import t_quantile
from longsurv.results.survival.cox_curves import People, check_times, survival_limits
from longsurv.words import plural

type Kind = Literal["survival", "risk", "cumulative_hazard", "hazard"]


def check_kind(kind: Kind, times: np.ndarray) -> None:
    """Refuse hazards at time 0."""
    if kind == "hazard" and (times <= 0).any():
        raise LongsurvError("hazards are given at times above 0")


def until(hazard: HazardDesign, who: People, times: np.ndarray) -> Stretches:
    """Time at risk of each row from the first entry to each time; owners are row * T + time."""
    X, offset = np.repeat(who.X, len(times), axis=0), np.repeat(who.offset, len(times))
    start = np.full(len(X), hazard.baseline.lower)
    stop = np.maximum(np.tile(times, len(who.X)), start)
    return hazard.stretches(X, offset, start, stop)


def at(hazard: HazardDesign, who: People, times: np.ndarray) -> Events:
    """Each row at each time."""
    X, offset = np.repeat(who.X, len(times), axis=0), np.repeat(who.offset, len(times))
    return hazard.events(X, offset, np.tile(times, len(who.X)))


def cumulative(
    hazard: HazardDesign, theta: np.ndarray, who: People, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative hazards (m * T,) and their derivatives (m * T, d) by the kernel's coordinates."""
    stretches = until(hazard, who, times)
    mu, slope = hz.increments(hazard.data, stretches, theta)
    H, J = np.zeros(len(who.X) * len(times)), np.zeros((len(who.X) * len(times), len(theta)))
    np.add.at(H, stretches.owner, mu)
    np.add.at(J, stretches.owner, slope)
    return H, J


def drawn_cumulative(
    hazard: HazardDesign, theta: np.ndarray, who: People, times: np.ndarray
) -> np.ndarray:
    """Cumulative hazards for draws of the kernel's coordinates, shape (draws, m, T)."""
    m, T = len(who.X), len(times)
    form, theta = hazard.baseline.form, np.ascontiguousarray(theta)
    H = form.expected(until(hazard, who, times), theta, m * T)
    return H.reshape(-1, m, T)


def drawn_log_hazards(
    hazard: HazardDesign, theta: np.ndarray, who: People, times: np.ndarray
) -> np.ndarray:
    """Log hazards for draws of the kernel's coordinates, shape (draws, m, T)."""
    m, T = len(who.X), len(times)
    form, theta = hazard.baseline.form, np.ascontiguousarray(theta)
    found = form.event_log_hazards(at(hazard, who, times), theta, m * T)
    return found.reshape(-1, m, T)


def estimated_columns(
    hazard: HazardDesign,
    theta: np.ndarray,
    cov: np.ndarray,
    who: People,
    times: np.ndarray,
    kind: str,
    level: float,
    df: float = np.inf,
) -> dict[str, np.ndarray]:
    """Predictions (m * T,) by the delta method, with Student's t on so many degrees of freedom.

    Intervals of survival and risk are symmetric on the scale of log(-log S), those of hazards on
    the log scale.
    """
    if kind == "hazard":
        value, J = hz.log_hazards(hazard.data, at(hazard, who, times), theta)
    else:
        value, J = cumulative(hazard, theta, who, times)
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, cov, J), 0.0))
    return columns_of(value, se, kind, level, df)


def columns_of(
    H: np.ndarray, se: np.ndarray, kind: str, level: float, df: float = np.inf
) -> dict[str, np.ndarray]:
    """Columns of a prediction from cumulative hazards H, shape (m * T,), and their standard errors;
    of hazards from their logarithms and the errors of these."""
    z = t_quantile(level, df)
    if kind == "hazard":
        h = np.exp(H)
        with np.errstate(over="ignore"):
            low, high = h * np.exp(-z * se), h * np.exp(z * se)
        return {"estimate": h, "std_error": h * se, "conf_low": low, "conf_high": high}
    low, high = survival_limits(H, se, z, "log-log")
    S = np.exp(-H)
    if kind == "survival":
        return {"estimate": S, "std_error": S * se, "conf_low": low, "conf_high": high}
    if kind == "risk":
        return {"estimate": 1 - S, "std_error": S * se, "conf_low": 1 - high, "conf_high": 1 - low}
    with np.errstate(divide="ignore"):
        low, high = -np.log(high), -np.log(low)
    return {"estimate": H, "std_error": se, "conf_low": low, "conf_high": high}


def drawn_columns(
    hazard: HazardDesign,
    theta: np.ndarray,
    who: People,
    times: np.ndarray,
    kind: str,
    level: float,
) -> dict[str, np.ndarray]:
    """Posterior predictions (m * T,): means, SDs and equal-tailed intervals."""
    if kind == "hazard":
        values = np.exp(drawn_log_hazards(hazard, theta, who, times))
    else:
        values = of_kind(drawn_cumulative(hazard, theta, who, times), kind)
    return draw_columns(values.reshape(len(theta), -1), level)


def of_kind(H: np.ndarray, kind: str) -> np.ndarray:
    """Cumulative hazards as what is predicted, all but hazards."""
    if kind == "cumulative_hazard":
        return H
    return np.exp(-H) if kind == "survival" else -np.expm1(-H)


def on_grid(who: People, times: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Each row of a frame for every time, with the columns of a prediction."""
    rows = np.repeat(np.arange(len(who.frame)), len(times))
    frame = who.frame.iloc[rows].reset_index(drop=True)
    return beside(frame, {"time": np.tile(times, len(who.frame))} | columns)


def shares(m: int, weights: np.ndarray | None) -> np.ndarray:
    """What each of m rows is of their mean, shape (m,)."""
    return np.full(m, 1.0 / m) if weights is None else weights / weights.sum()


def typical(hazard: HazardDesign) -> People:
    """Somebody of average covariates and a median offset: whose hazard the baseline is."""
    X = hazard.centre[None, :].copy()
    X[:, list(hazard.varying)] = hazard.varying_centre
    return People(pd.DataFrame(index=[0]), X, np.zeros(1), np.zeros(1, dtype=int))


def baseline_grid(hazard: HazardDesign, times: Sequence[float] | None) -> np.ndarray:
    """The times asked for, or 25 from the first entry to the end of follow-up."""
    if times is not None:
        return check_times(times)
    return np.linspace(hazard.baseline.lower, hazard.baseline.upper, 26)[1:]


def area_rule(hazard: HazardDesign, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and weights with which a weighted sum of survival is its area up to the horizon."""
    start = np.array([hazard.baseline.lower])
    points = time_points(start, np.array([horizon]), hazard.baseline.breaks, POWER, POINTS)
    return points.time, points.weight


def ratio_rows(
    hazard: HazardDesign, times: Sequence[float]
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Contrasts (r, p) that are log hazard ratios at the times (T,): every term at every time."""
    grid = check_times(times)
    if hazard.varying and (grid <= 0).any():
        raise LongsurvError("hazard ratios that change with log time are given at times above 0")
    terms, p = hazard.survival.fixed.names, len(hazard.survival.fixed.names)
    L = np.zeros((len(terms) * len(grid), len(hazard.names)))
    for j in range(p):
        rows = slice(j * len(grid), (j + 1) * len(grid))
        L[rows, j] = 1.0
        if j in hazard.varying:
            L[rows, p + hazard.varying.index(j)] = np.log(grid / hazard.baseline.unit)
    return L, list(np.repeat(terms, len(grid))), np.tile(grid, p)


def linear_predictor(hazard: HazardDesign, who: People) -> np.ndarray:
    """Rows (m, p) whose product with the coefficients is the log relative hazard at `unit`."""
    return np.hstack([who.X, np.zeros((len(who.X), len(hazard.varying)))])


def describe(hazard: HazardDesign) -> str:
    """The baseline in words."""
    base = hazard.baseline
    at_knots = f" (knots {', '.join(f'{k:.4g}' for k in base.knots)})" if base.knots else ""
    words, windows = f"{base.words} baseline{at_knots}", hazard.survival.windows
    if windows is None:
        return words
    return f"{words}, {plural(int(windows.open.sum()), 'event')} between two times"


def hazard_table(
    grid: np.ndarray, hazard: dict[str, np.ndarray], cumulative: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Hazard and cumulative hazard with their limits at the times of a grid."""
    table = {"time": grid}
    for name, columns in (("hazard", hazard), ("cumulative_hazard", cumulative)):
        table[name] = columns["estimate"]
        table |= {f"{name}_{end}": columns[f"conf_{end}"] for end in ("low", "high")}
    return pd.DataFrame(table)
