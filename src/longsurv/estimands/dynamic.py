"""Survival of a patient from the measurements so far, by a joint model.

    P(T > u | T > t, y until t) = E[S(u | b) | y] / E[S(t | b) | y]

Numerator and denominator are survival factors of the joint likelihood
(`longsurv.likelihood.joint`) of a patient censored at u and at t: the random effects are
integrated out, nothing is simulated.

Rizopoulos (2011), Biometrics 67:819-829.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.design.fixed import response
from longsurv.design.joint import JointDesign
from longsurv.design.quadrature import normal_grid
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood import joint, lmm

LEAST_NODES = 7


def conditional_survival(
    design: JointDesign,
    data: joint.JointData,
    newdata: pd.DataFrame,
    at: float,
    times: Sequence[float],
    thetas: np.ndarray,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Survival of patients alive at `at`, given their measurements until then.

    Parameters
    ----------
    design : JointDesign
    data : JointData
        Of the fit, for its coordinates.
    newdata : DataFrame
        Measurements with the columns of both formulas; what is constant within a patient is taken
        from the patient's first row. Rows after `at` only tell the covariates.
    at : float
    times : sequence of float
        Not before `at`.
    thetas : ndarray, shape (S, d)
        Parameter vectors.

    Returns
    -------
    frame : DataFrame
        The patient's column and "time", a row for each patient and time.
    survival : ndarray, shape (S, rows of the frame)
    """
    grid = _check(design, newdata, at, times)
    name, time = design.marker.group_name, design.time
    codes, labels = pd.factorize(newdata[name], sort=True)
    first = newdata.iloc[np.unique(codes, return_index=True)[1]]
    n, m = len(labels), 1 + len(grid)
    exits = np.tile(np.concatenate([[at], grid]), n)
    rows = first.iloc[np.repeat(np.arange(n), m)]
    surv = design.event.formula.surv
    entry = rows[surv[0]].to_numpy(dtype=float) if len(surv) == 3 else np.zeros(n * m)
    if (entry > at).any():
        raise LongsurvError(f"some patients enter after {at:g}, the time from which to predict")
    points = design.hazard_points(rows, rows, entry, exits)
    before = newdata[time].to_numpy(dtype=float) <= at
    marker = _in_coordinates(data.marker, design, newdata.loc[before], codes[before], n)
    censored = joint.JointData(
        marker=replace(
            marker, ztz=np.repeat(marker.ztz, m, axis=0), ztw=np.repeat(marker.ztw, m, axis=0)
        ),
        event=np.zeros(n * m),
        covariates=design.event.fixed.rebuild(rows) - design.covariate_means,
        **vars(points),
        **vars(normal_grid(max(LEAST_NODES, len(data.nodes)), data.marker.q)),
    )
    logs = np.array([joint.log_survival_factors(censored, theta) for theta in thetas])
    logs = logs.reshape(len(thetas), n, m)
    survival = np.exp(np.minimum(logs[:, :, 1:] - logs[:, :, :1], 0.0)).reshape(len(thetas), -1)
    frame = pd.DataFrame({name: np.repeat(labels, m - 1), "time": np.tile(grid, n)})
    return frame, survival


def _check(
    design: JointDesign, newdata: pd.DataFrame, at: float, times: Sequence[float]
) -> np.ndarray:
    missing = [c for c in (design.marker.group_name, design.time) if c not in newdata]
    if missing:
        raise LongsurvError(f"the new data need the columns {missing}")
    if newdata.empty:
        raise DataError("the new data have no rows")
    grid = np.atleast_1d(np.asarray(times, dtype=float))
    if (
        grid.ndim != 1
        or len(grid) == 0
        or not np.isfinite(grid).all()
        or (grid < at).any()
        or at < 0
    ):
        raise LongsurvError(f"times must be finite and not before at={at:g}; got {times!r}")
    if max(at, grid.max()) > design.baseline.upper * (1 + 1e-9):
        raise LongsurvError(
            f"follow-up ended at {design.baseline.upper:g}: nothing is known about the hazard "
            f"after it, so survival to {grid.max():g} cannot be predicted"
        )
    return grid


def _in_coordinates(
    fitted: lmm.LMMData, design: JointDesign, rows: pd.DataFrame, group: np.ndarray, n: int
) -> lmm.LMMData:
    """Sufficient statistics of new measurements in the coordinates of the fitted ones."""
    p, q = fitted.p, fitted.q
    ztz, ztw = np.zeros((n, q, q)), np.zeros((n, q, p + 1))
    if len(rows):
        y = response(design.marker.formula.response, rows)
        if np.isnan(y).any():
            raise DataError(
                f"{int(np.isnan(y).sum())} rows of the new data have no "
                f"{design.marker.formula.response}; leave them out"
            )
        X = design.marker.fixed.rebuild(rows)
        Z = design.marker.random.rebuild(rows) / fitted.z_scale
        W = np.column_stack([np.linalg.solve(fitted.r.T, X.T).T, y - X @ fitted.beta_ols])
        np.add.at(ztz, group, Z[:, :, None] * Z[:, None, :])
        np.add.at(ztw, group, Z[:, :, None] * W[:, None, :])
    return replace(fitted, ztz=ztz, ztw=ztw)
