"""Residuals of the two submodels of a joint model, with the random effects integrated out.

Markers: y - X beta - Z E[b | data] (conditional) and y - X beta (marginal), as they are and over
the standard deviations of the model. Those who die early have few: a trend in the marginal
residuals of late visits is what informative dropout looks like, not a fault of the model.

Event: with H_i(t | b) the cumulative hazard,

    martingale  d_i - E[H_i(T_i | b) | all data of i]
    Cox-Snell   the integral over (entry, T_i] of E[h_i(t | b) | y_i before t, T_i > t] dt

The first are scores of the model: at the maximum they sum to 0. The second only use what was known
at each time, so that under the model they are a censored sample of a unit exponential (the
innovation theorem); they are the logs of dynamic predictions from one visit to the next, added up.

With competing causes there are both of every cause c, with d_ic, H_ic and h_ic in place of d_i, H_i
and h_i, where T_i > t still means no event of any cause: the compensator of the cause's counting
process given what was known. Both are exact but for the quadrature (`joint_innovations`). A patient
with an event of another cause is censored in the sample of unit exponentials of this one.

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data, ch. 6; Commenges & Rondeau
(2000), Lifetime Data Anal 6:207-219, for martingale residuals with random effects; Aalen et al.
(2008), Survival and Event History Analysis, ch. 2.2, for the innovation theorem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.diagnostics.joint_innovations import cause_innovations, innovations
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import JointResult, joint_spec
from longsurv.likelihood import joint
from longsurv.likelihood.arithmetic.covariance import covariance

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

STEP = 1e-4


@checked
def marker_residuals(result: JointResult) -> pd.DataFrame:
    """Residuals of every measurement.

    Parameters
    ----------
    result : JointEstimate or JointPosterior
        A posterior's residuals are those at its mean.

    Returns
    -------
    DataFrame
        The patient, marker, the time, observed, fitted (with the random effects), residual,
        standardised (over sigma), marginal (residual from the mean curve), marginal_standardised
        (over the square root of the diagonal of Z D Z' + sigma^2).
    """
    joint_spec(result, "marker_residuals", markers=True, causes=True)
    design, data, theta = result.design, result.data, point(result)
    b, _ = joint.random_effects(data, theta)
    sigma, D = sds_and_covariance(data, theta)
    tables = []
    for k, (marker, (at_x, at_z)) in enumerate(zip(design.markers, places(data), strict=True)):
        y, Z = marker.design.y, marker.design.Z
        marginal = y - marker.design.fixed.X @ theta[at_x]
        residual = marginal - np.einsum("nq,nq->n", Z, b[marker.group][:, at_z])
        spread = np.sqrt(np.einsum("nq,qr,nr->n", Z, D[at_z, at_z], Z) + sigma[k] ** 2)
        used = marker.measurements.iloc[marker.design.rows]
        columns = {
            design.group_name: used[design.group_name].to_numpy(),
            "marker": marker.name,
            design.time: used[design.time].to_numpy(dtype=float),
            "observed": y,
            "fitted": y - residual,
            "residual": residual,
            "standardised": residual / sigma[k],
            "marginal": marginal,
            "marginal_standardised": marginal / spread,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


@checked
def event_residuals(result: JointResult) -> pd.DataFrame:
    """Martingale and Cox-Snell residuals of every patient, and of every cause of several.

    Parameters
    ----------
    result : JointEstimate or JointPosterior
        A posterior's residuals are those at its mean.

    Returns
    -------
    DataFrame
        The patient, entry, exit, event, expected (E[H | all data]), martingale, cox_snell,
        deviance (of cox_snell: signed so that a sample of the model is about symmetric). With
        competing causes a row for each patient and cause, cause by cause, with a column "cause"
        after the patient's; event, expected and the residuals are those of the cause.
    """
    joint_spec(result, "event_residuals", markers=True, causes=True)
    design, data, theta = result.design, result.data, point(result)
    if len(design.causes) == 1:
        score = _score_of_level(design, data, theta, level_shift(design))
        return _of_event(design, design.status, score, innovations(design, data, theta))
    tables = []
    foreseen = cause_innovations(design, data, theta)
    for cause, cox_snell in zip(design.causes, foreseen, strict=True):
        score = _score_of_level(design, data, theta, level_shift(design, cause.name))
        table = _of_event(design, cause.status, score, cox_snell)
        table.insert(1, "cause", cause.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _of_event(
    design: JointDesign, event: np.ndarray, score: np.ndarray, cox_snell: np.ndarray
) -> pd.DataFrame:
    """The table of one cause, or of the only one."""
    martingale = event - cox_snell
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = martingale + np.where(event > 0, event * np.log(event - martingale), 0.0)
    return pd.DataFrame(
        {
            design.group_name: design.labels.to_numpy(),
            "entry": design.entry,
            "exit": design.exit,
            "event": event.astype(int),
            "expected": event - score,
            "martingale": score,
            "cox_snell": cox_snell,
            "deviance": np.sign(martingale) * np.sqrt(np.maximum(-2.0 * inner, 0.0)),
        }
    )


@checked
def cox_snell_curve(residuals: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Cumulative hazard of the Cox-Snell residuals, which is a line of slope 1 under the model.

    With competing causes each has a curve of its own.

    Parameters
    ----------
    residuals : DataFrame
        Of `event_residuals`.
    level : float

    Returns
    -------
    DataFrame
        The cause, if there are several, residual, cumulative_hazard (Nelson-Aalen), conf_low,
        conf_high (log-transformed), inside (whether the interval holds the residual itself), at
        each residual of an event.
    """
    lacking = [name for name in ("cox_snell", "event") if name not in residuals]
    if lacking:
        raise LongsurvError(f"residuals is a table of event_residuals(); this one has no {lacking}")
    if "cause" not in residuals:
        return _unit_curve(residuals, level)
    curves = [
        _unit_curve(mine, level).assign(cause=cause)
        for cause, mine in residuals.groupby("cause", sort=False)
    ]
    whole = pd.concat(curves, ignore_index=True)
    return whole[["cause", *(c for c in whole if c != "cause")]]


def _unit_curve(residuals: pd.DataFrame, level: float) -> pd.DataFrame:
    """Nelson-Aalen of the residuals of one cause."""
    from scipy.special import ndtri

    r, event = residuals["cox_snell"].to_numpy(), residuals["event"].to_numpy()
    at, count = np.unique(r[event == 1], return_counts=True)
    at_risk = len(r) - np.searchsorted(np.sort(r), at, side="left")
    hazard = np.cumsum(count / at_risk)
    error = np.sqrt(np.cumsum(count / at_risk**2))
    width = np.exp(float(ndtri(0.5 + level / 2)) * error / hazard)
    low, high = hazard / width, hazard * width
    return pd.DataFrame(
        {
            "residual": at,
            "cumulative_hazard": hazard,
            "conf_low": low,
            "conf_high": high,
            "inside": (low <= at) & (at <= high),
        }
    )


def point(result: JointResult) -> np.ndarray:
    """The estimate's parameter vector, or the mean of a posterior's, shape (d,)."""
    if result.engine == "ml":
        return np.asarray(result.theta)
    return np.asarray(result.draws.flat.mean(axis=0))


def places(data: joint.JointData) -> list[tuple[slice, slice]]:
    """Of each marker, where its coefficients are in theta and its effects among all effects."""
    out, p, q = [], 0, 0
    for marker in data.markers:
        out.append((slice(p, p + marker.p), slice(q, q + marker.q)))
        p, q = p + marker.p, q + marker.q
    return out


def sds_and_covariance(data: joint.JointData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residual SD of each marker, and the covariance matrix of all random effects (q, q)."""
    first = data.p + len(data.markers)
    tau = np.exp(theta[first : first + data.q])
    return np.exp(theta[data.p : first]), covariance(tau, theta[first + data.q : data.n_marker])


def level_shift(design: JointDesign, cause: str | None = None) -> np.ndarray:
    """Direction in theta, shape (d,), that adds a constant to the log baseline hazards.

    Splines sum to 1 at any time, as constants between knots do.

    Parameters
    ----------
    design : JointDesign
    cause : str, optional
        The only cause whose hazard is meant; otherwise all are.
    """
    meant = [one for one in design.causes if cause in (None, one.name)]
    names = {n for one in meant for n in one.baseline_names[: one.baseline.levels]}
    return np.array([float(name in names) for name in design.theta_names])


def _score_of_level(
    design: JointDesign, data: joint.JointData, theta: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """Derivative of each patient's log-likelihood in the log level of a hazard, shape (N,).

    Fisher's identity makes it d_i - E[H_i | data of i].
    """
    u = STEP * level
    far = [joint.within_patients(data, theta + k * u) for k in (-2, -1, 1, 2)]
    return (8.0 * (far[2] - far[1]) - (far[3] - far[0])) / (12.0 * STEP)
