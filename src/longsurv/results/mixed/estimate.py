"""Answers of mixed-effects models: variance parameters, random effects, predictions for
patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.mixed import combined
from longsurv.errors import LongsurvError
from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.patients import RandomEffects, own_effects, random_effects
from longsurv.results.columns import (
    beside,
    draw_columns,
    normal_columns,
    ranef_table,
    wald_columns,
)
from longsurv.results.estimate import TIDY, Estimate, check_level
from longsurv.results.mixed.methods import MixedMethods, MixedPosteriorMethods
from longsurv.results.posterior import Posterior
from longsurv.results.reference import estimable, t_quantile, variances


@dataclass(frozen=True)
class VarianceEstimate:
    """Variance parameters of a fitted mixed model.

    Attributes
    ----------
    names : tuple of str
        sigma, the random effects' SDs, their correlations.
    values : ndarray
        On their natural scales; a correlation is NaN where one of its SDs is 0.
    std_error : ndarray
        NaN where a parameter is on its boundary.
    undetermined : tuple of str
        Parameters that the data do not determine: their values are NaN.
    """

    names: tuple[str, ...]
    values: np.ndarray
    std_error: np.ndarray
    undetermined: tuple[str, ...] = ()

    def table(self, level: float) -> pd.DataFrame:
        """In the grammar of `tidy`: intervals on the log scale for SDs, Fisher's z for
        correlations."""
        z = t_quantile(level, np.inf)
        rows = []
        for name, value, se in zip(self.names, self.values, self.std_error, strict=True):
            if name.startswith("cor("):
                with np.errstate(divide="ignore", invalid="ignore"):
                    centre, width = np.arctanh(value), z * se / (1.0 - value**2)
                low, high = np.tanh(centre - width), np.tanh(centre + width)
            else:
                factor = np.exp(z * se / value) if value > 0 else np.nan
                low, high = value / factor, value * factor
            rows.append((name, value, se, np.nan, np.nan, np.nan, low, high))
        return pd.DataFrame(rows, columns=TIDY)


@dataclass(frozen=True, repr=False, eq=False)
class MixedEstimate(MixedMethods, Estimate):
    """A fitted mixed-effects model (see `Estimate`).

    Attributes
    ----------
    variance : VarianceEstimate
    lam : ndarray, shape (q, q)
        Relative covariance factor in the kernel's columns of Z: D there is sigma^2 Lam Lam'.
    sigma : float
        Residual standard deviation.
    data : LMMData
        Sufficient statistics.
    """

    variance: VarianceEstimate
    lam: np.ndarray
    sigma: float
    data: lmm.LMMData

    def again(self, spec: Any) -> MixedEstimate:
        """Another LMM fitted by the same method, with the same reference distribution."""
        return spec.fit(self.method, self.reference.method.lower())  # type: ignore[no-any-return]

    @property
    def own_covariances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """D of the kernel's columns of Z, and the basis that makes Z of them."""
        return [(self.sigma**2 * self.lam @ self.lam.T, self.data.z_basis)]

    @property
    def random_cov(self) -> pd.DataFrame:
        """D, the covariance matrix of the random effects, shape (q, q)."""
        half = self.sigma * np.linalg.solve(self.data.z_basis, self.lam)
        names = list(self.design.random.names)
        return pd.DataFrame(half @ half.T, index=names, columns=names)

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Residual SD, random-effects SDs and correlations, with intervals."""
        return self.variance.table(level)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best linear unbiased predictions of the random effects.

        Returns
        -------
        DataFrame
            The patient's column, effect, estimate, std_error, conf_low, conf_high; the standard
            error is the conditional one, given the coefficients and the variances.
        """
        check_level(level)
        b = random_effects(self.data, self.lam, self.sigma, self.coefficients)
        se = np.sqrt(np.diagonal(b.cov, axis1=1, axis2=2))
        lost = np.nan if self.variance.undetermined else 0.0
        names = self.design.random.names
        return ranef_table(patients(self.design), names, b.mean + lost, se + lost, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: str = "error",
    ) -> pd.DataFrame:
        """Mean response on the scale of the formula's left-hand side.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the interval of the mean (not of a new measurement): Student's t on the degrees of
            freedom of the fit's reference, as in `means`; with `by_patient` normal.
        by_patient : bool
            Add the patient's own random effects.
        new_groups : {"error", "population"}
            What to do for a patient the model has not seen: refuse, or use the population mean.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high.
        """
        check_level(level)
        frame, X, Z, group = new_rows(self, newdata, by_patient, new_groups)
        estimate, extra = X @ self.coefficients, np.zeros(len(X))
        if by_patient:
            b = own_effects(self.data, self.lam, self.sigma, self.coefficients)
            ((D, basis),) = self.own_covariances
            Z, known = Z @ np.linalg.inv(basis), group >= 0
            g, z = group[known], Z[known]
            estimate[known] += np.einsum("iq,iq->i", z, b.mean[g])
            extra[known] = np.einsum("iq,iqr,ir->i", z, b.cov[g], z)
            X = X.copy()
            X[known] -= np.einsum("iq,iqp->ip", z, b.coupling[g])
            extra[~known] = np.einsum("iq,qr,ir->i", Z[~known], D, Z[~known])
        se = np.sqrt(variances(self.reference, X) + extra)
        if not by_patient:
            return beside(frame, wald_columns(X, estimate, se, self.reference, level))
        lost = self._lost(X)
        return beside(frame, normal_columns(estimate + lost, se + lost, level))

    def _lost(self, X: np.ndarray) -> np.ndarray:
        """NaN for predictions of patients, with coefficients X (n, p), that depend on what the data
        do not determine, and 0 for the others."""
        known = estimable(self.reference, X) & (not self.variance.undetermined)
        return np.where(known, 0.0, np.nan)


@dataclass(frozen=True, repr=False, eq=False)
class MixedPosterior(MixedPosteriorMethods, Posterior):
    """Posterior of a mixed-effects model (see `Posterior`).

    Attributes
    ----------
    data : LMMData
        Sufficient statistics.
    """

    data: lmm.LMMData

    def _own_effects(self) -> Iterator[tuple[np.ndarray, RandomEffects]]:
        """A factor of D and the conditional distribution of the random effects, draw by draw, both
        in the kernel's columns of Z."""
        data, theta = self.data, self.draws.theta.reshape(-1, self.draws.theta.shape[-1])
        p, end = data.p, data.p + 1 + data.q
        for row in np.ascontiguousarray(theta):
            lam, _ = lmm.relative_factor(row[p], row[p + 1 : end], row[end:], data.z_scale)
            sigma = float(np.exp(row[p]))
            yield sigma * lam, own_effects(data, lam, sigma, row[:p])

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior means and SDs of the random effects, from the draws' exact conditionals.

        Returns
        -------
        DataFrame
            The patient's column, effect, estimate, std_error, conf_low, conf_high (normal
            intervals).
        """
        check_level(level)
        count = self.samples["sigma"].size
        mean = square = variance = np.zeros(
            (len(self.design.labels), len(self.design.random.names))
        )
        back = np.linalg.inv(self.data.z_basis)
        for _, own in self._own_effects():
            b = own.mapped(back)
            mean = mean + b.mean / count
            square = square + b.mean**2 / count
            variance = variance + np.diagonal(b.cov, axis1=1, axis2=2) / count
        se = np.sqrt(np.maximum(square - mean**2, 0.0) + variance)
        return ranef_table(patients(self.design), self.design.random.names, mean, se, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: str = "error",
    ) -> pd.DataFrame:
        """Posterior of the mean response; arguments and result as for `MixedEstimate.predict`."""
        check_level(level)
        frame, X, Z, group = new_rows(self, newdata, by_patient, new_groups)
        beta = self.coefficients.reshape(-1, len(self.names))
        values = beta @ X.T
        if by_patient:
            rng = np.random.default_rng(self.draws.seed)
            known, unseen = np.flatnonzero(group >= 0), np.flatnonzero(group < 0)
            needed, back = np.unique(group[known], return_inverse=True)
            people = groups_of(frame, self.design.group_name)[unseen].astype(str)
            _, person = np.unique(people, return_inverse=True)
            Z = Z @ np.linalg.inv(self.data.z_basis)
            for s, (half, b) in enumerate(self._own_effects()):
                own = b.mean[needed] + _normal(rng, b.cov[needed])
                values[s, known] += np.einsum("iq,iq->i", Z[known], own[back])
                if len(unseen):
                    own = rng.standard_normal((int(person.max()) + 1, len(half))) @ half.T
                    values[s, unseen] += np.einsum("iq,iq->i", Z[unseen], own[person])
        return beside(frame, draw_columns(values, level))


def _normal(rng: np.random.Generator, cov: np.ndarray) -> np.ndarray:
    """Normal vectors with mean 0, one for each covariance of shape (m, q, q)."""
    half = np.linalg.cholesky(cov)
    return np.einsum("nqr,nr->nq", half, rng.standard_normal(half.shape[:2]))


def groups_of(frame: pd.DataFrame, name: str) -> pd.Index:
    """The group of each row in a grouping: of the column of that name, or of the several that are
    joined by colons in it, as in (1 | site:id)."""
    columns = [name] if name in frame else name.split(":")
    missing = [c for c in columns if c not in frame]
    if missing:
        several = len(missing) > 1
        listed = f"columns {missing}" if several else f"column {missing[0]!r}"
        raise LongsurvError(f"by_patient needs the {listed} in the new data")
    return pd.Index(frame[name]) if len(columns) == 1 else combined(frame, columns)


def patients(design: Any) -> dict[Any, Any]:
    """The patients of a design, as `ranef_table` takes them."""
    return {design.group_name: design.labels.to_numpy()}


def new_rows(
    result: Any, newdata: pd.DataFrame | None, by_patient: bool, new_groups: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Rows to predict: the frame, X, Z and the patient's index (-1 for one not seen)."""
    design = result.design
    if new_groups not in ("error", "population"):
        raise LongsurvError(f"new_groups is 'error' or 'population', not {new_groups!r}")
    if newdata is None:
        frame = result.spec.data.iloc[design.rows]
        return frame, design.fixed.X, design.Z, design.group
    frame, X = newdata.copy(), design.fixed.rebuild(newdata)
    if not by_patient:
        return frame, X, np.empty((len(X), 0)), np.full(len(X), -1)
    labels = groups_of(newdata, design.group_name)
    group = design.labels.get_indexer(labels)
    if new_groups == "error" and (group < 0).any():
        unknown = sorted({str(v) for v in labels[group < 0]})
        raise LongsurvError(
            f"the model has not seen {design.group_name} {unknown[:5]}; new_groups='population' "
            "predicts their population mean"
        )
    return frame, X, design.random.rebuild(newdata), group
