"""Arrays of hazard models: from rows of data and a baseline to stretches of time at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.design.hazard_baseline import hazard_baseline
from longsurv.design.hazards import HazardBaseline
from longsurv.design.quadrature import time_points
from longsurv.design.survival import SurvivalDesign
from longsurv.design.windows import Windows, check_known
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.rows import Between, Events, Stretches
from longsurv.words import plural

POWER = 4.0
"""Time scale t^(1/4) in which powers of time are integrated well down to 0."""
POINTS = 15
"""Gauss-Legendre points between two knots, where hazards are not proportional."""


@dataclass(frozen=True, eq=False)
class HazardDesign:
    """What a hazard model makes of a survival design.

    Attributes
    ----------
    survival : SurvivalDesign
    baseline : HazardBaseline
    varying : tuple of int
        Columns of X whose coefficient changes with log time.
    centre : ndarray, shape (p,)
        Covariates at which the level of the baseline hazard is meant: their means.
    varying_centre : ndarray, shape (v,)
        Those of `varying` at which its shape is meant: their means over the time at risk. The
        products with log time are of what is beyond them; else the model would depend on where a
        covariate is 0, as a baseline may not be able to change with log time.
    """

    survival: SurvivalDesign
    baseline: HazardBaseline
    varying: tuple[int, ...]
    centre: np.ndarray
    varying_centre: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients: of the columns, then of their products with log time."""
        names = self.survival.fixed.names
        return (*names, *(f"{names[j]}:log(t)" for j in self.varying))

    @property
    def level(self) -> float:
        """The baseline's level at which a constant hazard has as many events as there are."""
        d, base = self.survival, self.baseline
        w = np.ones(len(d.exit)) if d.weights is None else d.weights
        events = (w * d.event).sum()
        return base.level(events / (w * (d.exit - d.entry)).sum(), events / w[d.first_rows].sum())

    def columns(self, X: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Covariates of the model, shape (n, p + varying), of rows X (n, p) at times (n,)."""
        shifted = X - self.centre
        if not self.varying:
            return shifted
        log_t = np.log(t / self.baseline.unit)[:, None]
        return np.hstack([shifted, (X[:, list(self.varying)] - self.varying_centre) * log_t])

    def stretches(
        self,
        X: np.ndarray,
        offset: np.ndarray,
        start: np.ndarray,
        stop: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> Stretches:
        """Times at risk (start, stop] of n rows of covariates; a row's number is their owner."""
        weight = np.ones(len(X)) if weight is None else weight
        if self.varying:
            points = time_points(start, stop, self.baseline.breaks, POWER, POINTS)
            i, t = points.owner, points.time
            Q, w = self.baseline.basis(t), weight[i] * points.weight / self.baseline.left_out(t)
        else:
            i, sign, Q = self.baseline.spent(start, stop)
            t, w = stop[i], weight[i] * sign
        return Stretches(
            np.ascontiguousarray(self.columns(X[i], t)),
            offset[i],
            w,
            np.ascontiguousarray(Q),
            i,
            bool(self.varying) and self.baseline.form.of_stretches,
        )

    def events(
        self,
        X: np.ndarray,
        offset: np.ndarray,
        time: np.ndarray,
        weight: np.ndarray | None = None,
        owner: np.ndarray | None = None,
    ) -> Events:
        """Rows of covariates at the times (n,) of an event."""
        return Events(
            np.ascontiguousarray(self.columns(X, time)),
            offset,
            np.ones(len(X)) if weight is None else weight,
            np.ascontiguousarray(self.baseline.basis(time)),
            np.log(time),
            np.arange(len(X)) if owner is None else owner,
        )

    def _walk(self, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The random walk of a spline, turned so that data tell its axes apart.

        Returns
        -------
        walk : ndarray, shape (K, K - 1)
        information : ndarray, shape (K - 1,)
            Of the log-likelihood on each axis, at a constant hazard.
        """
        steps = self.baseline.size - 1
        walk = np.tril(np.ones((steps + 1, steps)), -1) / np.sqrt(steps)
        assert self.baseline.constant is not None  # of one that is smoothed
        share = exposure * self.baseline.constant
        share /= share.sum()
        d = self.survival
        events = d.event.sum() if d.weights is None else d.weights @ d.event
        values, axes = np.linalg.eigh(
            events * walk.T @ (np.diag(share) - np.outer(share, share)) @ walk
        )
        return walk @ axes, np.maximum(values, 0.0)

    @property
    def shape_information(self) -> np.ndarray:
        """Information on each axis of a spline's shape, at a constant hazard, shape (K - 1,)."""
        assert self.data.exposure is not None
        return self._walk(self.data.exposure)[1]

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows with time at risk that nothing happened in, with an event at a known time, and with
        one between two times."""
        d = self.survival
        if d.windows is None:
            none = np.zeros(0, dtype=np.int64)
            return np.arange(len(d.exit)), np.flatnonzero(d.event), none
        w = d.windows
        return np.flatnonzero(w.left > 0), np.flatnonzero(w.exact), np.flatnonzero(w.open)

    def _between(
        self, windows: Windows, rows: np.ndarray, offset: np.ndarray, weight: np.ndarray
    ) -> Between:
        """Events of some rows between the times of their windows."""
        X, left, right = self.survival.fixed.X[rows], windows.left[rows], windows.right[rows]
        return Between(self.stretches(X, offset[rows], left, right), weight[rows], rows)

    @cached_property
    def data(self) -> HazardData:
        """Arrays of the likelihood."""
        d = self.survival
        offset = np.zeros(len(d.exit)) if d.offset is None else d.offset
        weight = np.ones(len(d.exit)) if d.weights is None else d.weights
        seen, e, within = self._kinds
        last = d.exit if d.windows is None else d.windows.left
        constant = exposure = walk = None
        if self.baseline.smoothed:
            constant = self.baseline.constant
            spent = self.baseline.spent(d.entry, d.exit).Q
            exposure = weight @ spent / weight[d.first_rows].sum()
            walk = self._walk(exposure)[0]
        return HazardData(
            self.events(d.fixed.X[e], offset[e], d.exit[e], weight[e], e),
            _owned(
                self.stretches(
                    d.fixed.X[seen], offset[seen], d.entry[seen], last[seen], weight[seen]
                ),
                seen,
            ),
            len(d.exit),
            self.baseline.form,
            None if d.windows is None else self._between(d.windows, within, offset, weight),
            constant,
            exposure,
            walk,
        )


def _owned(stretches: Stretches, rows: np.ndarray) -> Stretches:
    """Stretches of some rows of the data, with these rows as their owners."""
    return stretches._replace(owner=rows[stretches.owner])


def hazard_design(
    survival: SurvivalDesign,
    kind: str,
    *,
    knots: Sequence[float] | None = None,
    n_knots: int | None = None,
    time_varying: Sequence[str] = (),
) -> HazardDesign:
    """Choose the baseline of a survival design and the terms that change with log time.

    Parameters
    ----------
    survival : SurvivalDesign
    kind, knots, n_knots
        See `hazard_baseline`.
    time_varying : sequence of str
        Variables or terms of the formula.

    Raises
    ------
    LongsurvError
        For a term the formula does not have, for strata, or impossible knots.
    DataError
        For times that no hazard can be defined for.
    """
    if survival.strata is not None:
        raise LongsurvError(
            f"strata() asks for a baseline hazard each, which Hazard does not fit; put "
            f"{', '.join(survival.strata.columns)} among the covariates, or use CoxPH"
        )
    surv = survival.formula.surv
    problems = []
    if (survival.entry < 0).any():
        problems.append(
            f"{surv[0]!r} is negative in {plural(int((survival.entry < 0).sum()), 'row')}"
        )
    if (survival.exit <= 0).any():
        where = ", ".join(str(i) for i in survival.rows[survival.exit <= 0][:5])
        problems.append(
            f"{surv[-2]!r} is 0 in {plural(int((survival.exit <= 0).sum()), 'row')} "
            f"(positions {where}): "
            "a hazard needs time at risk; give such patients half of the smallest unit, say"
        )
    if problems:
        raise DataError(problems)
    windows = survival.windows
    baseline = hazard_baseline(
        kind, survival.entry, survival.exit, survival.event, knots=knots, n_knots=n_knots,
        weights=survival.weights, windows=windows,
    )  # fmt: skip
    if time_varying:
        check_known(windows, "time_varying needs")
    if isinstance(time_varying, str):
        raise LongsurvError(f"time_varying is a sequence of names, as in ({time_varying!r},)")
    fixed = survival.fixed
    varying: list[int] = []
    for name in time_varying:
        terms = (name,) if name in fixed.names else fixed.variables.get(name, ())
        found = [fixed.names.index(term) for term in terms if term in fixed.names]
        if not found:
            known = [*fixed.names, *(v for v in fixed.variables if v not in fixed.names)]
            raise LongsurvError(f"time_varying: no term {name!r} in the model, which has {known}")
        varying += [j for j in found if j not in varying]
    at_risk = (survival.exit - survival.entry) * (
        1.0 if survival.weights is None else survival.weights
    )
    middle = at_risk @ fixed.X[:, varying] / at_risk.sum()
    centre = np.average(fixed.X, axis=0, weights=survival.weights)
    return HazardDesign(survival, baseline, tuple(varying), centre, middle)
