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

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data, ch. 6; Commenges & Rondeau
(2000), Lifetime Data Anal 6:207-219, for martingale residuals with random effects; Aalen et al.
(2008), Survival and Event History Analysis, ch. 2.2, for the innovation theorem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.quadrature import normal_grid
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import joint_spec
from longsurv.likelihood import joint
from longsurv.likelihood.covariance import covariance

STEP = 1e-4
LEAST_NODES = 7
PATIENTS_AT_ONCE = 1000


def marker_residuals(result: Any) -> pd.DataFrame:
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
    sigma, D = variances(data, theta)
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


def event_residuals(result: Any) -> pd.DataFrame:
    """Martingale and Cox-Snell residuals of every patient.

    Parameters
    ----------
    result : JointEstimate or JointPosterior
        A posterior's residuals are those at its mean.

    Returns
    -------
    DataFrame
        The patient, entry, exit, event, expected (E[H | all data]), martingale, cox_snell,
        deviance (of cox_snell: signed so that a sample of the model is about symmetric).
    """
    joint_spec(result, "event_residuals", markers=True)
    design, data, theta = result.design, result.data, point(result)
    event = design.status
    score = _score_of_level(design, data, theta)
    cox_snell = _cox_snell(design, data, theta)
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


def cox_snell_curve(residuals: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Cumulative hazard of the Cox-Snell residuals, which is a line of slope 1 under the model.

    Parameters
    ----------
    residuals : DataFrame
        Of `event_residuals`.
    level : float

    Returns
    -------
    DataFrame
        residual, cumulative_hazard (Nelson-Aalen), conf_low, conf_high (log-transformed), inside
        (whether the interval holds the residual itself), at each residual of an event.
    """
    from scipy.special import ndtri

    if not 0.0 < level < 1.0:
        raise LongsurvError(f"level is a probability between 0 and 1, such as 0.95; got {level!r}")
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


def point(result: Any) -> np.ndarray:
    """The estimate's parameter vector, or the mean of a posterior's, shape (d,)."""
    if hasattr(result, "cov_theta"):
        return np.asarray(result.theta)
    return np.asarray(result.draws.theta.reshape(-1, result.draws.theta.shape[-1]).mean(axis=0))


def places(data: joint.JointData) -> list[tuple[slice, slice]]:
    """Of each marker, where its coefficients are in theta and its effects among all effects."""
    out, p, q = [], 0, 0
    for marker in data.markers:
        out.append((slice(p, p + marker.p), slice(q, q + marker.q)))
        p, q = p + marker.p, q + marker.q
    return out


def variances(data: joint.JointData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residual SD of each marker, and the covariance matrix of all random effects (q, q)."""
    first = data.p + len(data.markers)
    tau = np.exp(theta[first : first + data.q])
    return np.exp(theta[data.p : first]), covariance(tau, theta[first + data.q : data.n_marker])


def level_shift(design: Any) -> np.ndarray:
    """Direction in theta, shape (d,), that adds a constant to the log baseline hazard.

    Splines sum to 1 at any time, as constants between knots do.
    """
    names = {n for n in design.baseline_names if not n.endswith("shape_minus_1")}
    return np.array([float(name in names) for name in design.theta_names])


def _score_of_level(design: Any, data: joint.JointData, theta: np.ndarray) -> np.ndarray:
    """Derivative of each patient's log-likelihood in the log level of the hazard, shape (N,).

    Fisher's identity makes it d_i - E[H_i | data of i].
    """
    u = STEP * level_shift(design)
    far = [joint.within_patients(data, theta + k * u) for k in (-2, -1, 1, 2)]
    return (8.0 * (far[2] - far[1]) - (far[3] - far[0])) / (12.0 * STEP)


def _cox_snell(design: Any, data: joint.JointData, theta: np.ndarray) -> np.ndarray:
    out = np.zeros(len(design.labels))
    for first in range(0, len(out), PATIENTS_AT_ONCE):
        some = np.arange(first, min(first + PATIENTS_AT_ONCE, len(out)))
        out[some] = _innovations(design, data, theta, some)
    return out


def _innovations(
    design: Any, data: joint.JointData, theta: np.ndarray, some: np.ndarray
) -> np.ndarray:
    """-log of P(T > visit k + 1 | T > visit k, y until visit k), summed over each patient's visits.

    Every stretch from one visit to the next makes two patients of the likelihood, censored at its
    ends, with the measurements until its start.
    """
    cause, n = design.causes[0], len(some)
    place = np.full(len(design.labels), -1)
    place[some] = np.arange(n)
    rows = [_Rows.of(design, marker, place) for marker in design.markers]
    entry, exit = design.entry[some], design.exit[some]
    starts = pd.DataFrame({"owner": np.arange(n), "start": entry})
    visits = [pd.DataFrame({"owner": one.owner, "start": one.time}) for one in rows]
    starts = pd.concat([starts, *visits]).drop_duplicates().sort_values(["owner", "start"])
    owner, start = starts["owner"].to_numpy(), starts["start"].to_numpy()
    inside = (start >= entry[owner]) & (start < exit[owner])
    owner, start = owner[inside], start[inside]
    stop = np.where(np.r_[owner[1:] != owner[:-1], True], exit[owner], np.r_[start[1:], 0.0])

    twice, end, known = np.r_[owner, owner], np.r_[start, stop], np.r_[start, start]
    # The hazard has no value at its origin, where survival is 1.
    origin = np.zeros(n) if design.from_zero else entry
    there = end > origin[twice]
    patient = some[twice]
    points = design.points(
        cause,
        [marker.curve.patients.iloc[patient] for marker in design.markers],
        cause.rows.iloc[patient],
        origin[twice],
        np.where(there, end, exit[twice]),
    )
    copies = joint.JointData(
        tuple(
            one.until(known, twice, n, marker.design, whole)
            for one, marker, whole in zip(rows, design.markers, data.markers, strict=True)
        ),
        (joint.CauseData(np.zeros(len(twice)), cause.covariates[patient], **vars(points)),),
        **vars(normal_grid(max(LEAST_NODES, len(data.nodes)), data.q)),
    )
    logs = np.where(there, joint.log_survival_factors(copies, theta), 0.0)
    steps = np.maximum(logs[: len(owner)] - logs[len(owner) :], 0.0)
    return np.bincount(owner, weights=steps, minlength=n)


@dataclass(frozen=True)
class _Rows:
    """Measurements of some patients by one marker, patient by patient in time.

    Attributes
    ----------
    row : ndarray of int, shape (r,)
        Their positions in the marker's design.
    owner : ndarray of int, shape (r,)
        Position of the patient among those chosen.
    time : ndarray, shape (r,)
    """

    row: np.ndarray
    owner: np.ndarray
    time: np.ndarray

    @classmethod
    def of(cls, design: Any, marker: Any, place: np.ndarray) -> _Rows:
        """Those of the patients with a place, shape (N,), of at least 0."""
        used = marker.measurements.iloc[marker.design.rows]
        time, owner = used[design.time].to_numpy(dtype=float), place[marker.group]
        row = np.flatnonzero(owner >= 0)
        row = row[np.lexsort((time[row], owner[row]))]
        return cls(row, owner[row], time[row])

    def until(
        self, known: np.ndarray, owner: np.ndarray, n: int, design: Any, whole: joint.MarkerData
    ) -> joint.MarkerData:
        """Of copies of the patients `owner`, (c,), the measurements until `known`, (c,)."""
        counts = np.bincount(self.owner, minlength=n)
        each = counts[owner]
        copy = np.repeat(np.arange(len(owner)), each)
        nth = np.arange(len(copy)) - np.repeat(np.cumsum(each) - each, each)
        at = (np.cumsum(counts) - counts)[owner[copy]] + nth
        seen = self.time[at] <= known[copy]
        copy, row = copy[seen], self.row[at[seen]]
        exact = np.zeros(len(row), dtype=np.int64)
        X, y, Z = design.fixed.X[row], design.y[row], design.Z[row]
        return whole.of(X, y, Z, copy, len(owner), exact)
