"""Answers of mixed models with nested groups or correlated residuals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from longsurv.design.mixed import Grouping
from longsurv.errors import LongsurvError
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.dense.patients import group_effects, predict_rows
from longsurv.results.columns import (
    beside,
    draw_columns,
    normal_columns,
    ranef_table,
    wald_columns,
)
from longsurv.results.estimate import TIDY, check_level
from longsurv.results.mixed.estimate import (
    MixedEstimate,
    MixedPosterior,
    VarianceEstimate,
    groups_of,
)
from longsurv.results.reference import t_quantile, variances


@dataclass(frozen=True)
class StructuredVariance(VarianceEstimate):
    """Variance parameters of residuals and groupings (see `VarianceEstimate`)."""

    def table(self, level: float) -> pd.DataFrame:
        """As for `tidy`: intervals on the log scale for SDs, Fisher's z for correlations."""
        z = t_quantile(level, np.inf)
        sd = np.array([name.startswith(("sd(", "sigma")) for name in self.names])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(z * self.std_error / self.values)
            centre, width = np.arctanh(self.values), z * self.std_error / (1.0 - self.values**2)
            low = np.where(sd, self.values / factor, np.tanh(centre - width))
            high = np.where(sd, self.values * factor, np.tanh(centre + width))
        empty = np.full(len(sd), np.nan)
        columns = [self.names, self.values, self.std_error, empty, empty, empty, low, high]
        return pd.DataFrame(dict(zip(TIDY, columns, strict=True)))


class _Groups:
    """What estimates and posteriors know of the groups of their rows."""

    design: Any
    spec: Any

    def _needs_random_effects(self) -> None:
        if not self.design.groupings:
            raise LongsurvError(
                f"{self.spec.formula!r} has no random effects; its patients differ in their "
                "residuals only"
            )

    def _new_groups(
        self, newdata: pd.DataFrame | None, new_groups: str, count: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Z and group of new rows in each term of the kernel."""
        design = self.design
        if new_groups not in ("error", "population"):
            raise LongsurvError(f"new_groups is 'error' or 'population', not {new_groups!r}")
        Z, group = [], []
        if not design.random.names:
            Z.append(np.empty((count, 0)))
            group.append(np.full(count, -1))
        for grouping in design.groupings:
            if newdata is None:
                Z.append(grouping.random.X)
                group.append(grouping.group)
                continue
            labels = groups_of(newdata, grouping.name)
            codes = grouping.labels.get_indexer(labels)
            if new_groups == "error" and (codes < 0).any():
                levels = [str(level) for level in labels[codes < 0].unique()[:5]]
                rows = [str(v) for v in newdata.index[codes < 0][:5]]
                raise LongsurvError(
                    f"the model has not seen the {grouping.name} {levels} (index {rows}); "
                    "new_groups='population' leaves their effects at 0"
                )
            Z.append(grouping.random.rebuild(newdata))
            group.append(codes)
        return Z, group


@dataclass(frozen=True, repr=False, eq=False)
class StructuredEstimate(_Groups, MixedEstimate):
    """A fitted mixed model with nested groups or correlated residuals (see `MixedEstimate`).

    Attributes
    ----------
    sigma : float
        Residual standard deviation; at the first visit if each has its own.
    lam : ndarray, shape (q, q)
        Of the patients' own random effects.
    data : DenseData
        What the kernel works on.
    scaled_cov : tuple of ndarray
        Covariance of the random effects of each term, in the kernel's columns of Z.
    residual_cov : ndarray, shape (K,)
        Residual covariance of each kind of pair of rows.
    kernel : DenseKernel
    """

    data: Any
    scaled_cov: tuple[np.ndarray, ...]
    residual_cov: np.ndarray
    kernel: DenseKernel

    @property
    def gamma(self) -> np.ndarray:
        """Coefficients in the kernel's coordinates, shape (p,)."""
        return self.data.r @ (self.coefficients - self.data.beta_ols)

    @property
    def own_covariances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each grouping D of the kernel's columns, and the basis that makes Z of them."""
        return [(D, basis) for _, D, basis in self._terms()]

    @property
    def random_cov(self) -> pd.DataFrame:
        """Covariance matrix of the random effects by grouping and effect, 0 between groupings."""
        terms = self._terms()
        labels = pd.MultiIndex.from_tuples(
            [(g.name, name) for g, _, _ in terms for name in g.random.names],
            names=["grouping", "effect"],
        )
        backs = [np.linalg.inv(basis) for _, _, basis in terms]
        D = block_diag(*(B @ D @ B.T for B, (_, D, _) in zip(backs, terms, strict=True)))
        return pd.DataFrame(D, index=labels, columns=labels)

    @property
    def visit_cov(self) -> pd.DataFrame:
        """Covariance matrix of one patient's residuals over the visits, shape (M, M).

        Raises
        ------
        LongsurvError
            If the model has no visits, or their times are too many to be tabulated.
        """
        residual = self.design.residual
        size = 0 if residual is None else len(residual.levels)
        if residual is None or len(residual.lag) != size**2:
            raise LongsurvError("visit_cov needs a residual structure over visits")
        return pd.DataFrame(
            self.residual_cov.reshape(size, size), index=residual.levels, columns=residual.levels
        )

    def _terms(self) -> list[tuple[Grouping, np.ndarray, np.ndarray]]:
        """Grouping, covariance and basis of each term that has random effects."""
        kernel_terms = zip(self.scaled_cov, self.data.bases, strict=True)
        present = [(D, basis) for D, basis in kernel_terms if len(D)]
        return [(g, *term) for g, term in zip(self.design.groupings, present, strict=True)]

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best linear unbiased predictions of the random effects of every grouping.

        Returns
        -------
        DataFrame
            grouping, group, effect, estimate, std_error, conf_low, conf_high; the standard error is
            the conditional one, given the coefficients and the variances.

        Raises
        ------
        LongsurvError
            If the model has no random effects.
        """
        check_level(level)
        self._needs_random_effects()
        found = group_effects(self.data, self.scaled_cov, self.residual_cov, self.gamma)
        parts = []
        for grouping, effects in zip(
            self.design.groupings, [e for e in found if e.mean.shape[1]], strict=True
        ):
            variance = np.diagonal(effects.cov, axis1=1, axis2=2)
            groups = {"grouping": grouping.name, "group": grouping.labels.to_numpy()}
            lost = np.nan if self.variance.undetermined else 0.0
            se = np.sqrt(np.maximum(variance, 0.0)) + lost
            mean = effects.mean + lost
            parts.append(ranef_table(groups, grouping.random.names, mean, se, level))
        return pd.concat(parts, ignore_index=True)

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
            Add the random effects of the row's patient and of all it is nested in.
        new_groups : {"error", "population"}
            What to do for a group the model has not seen: refuse, or leave its effects at their
            mean of 0 with their full variance. A new patient of a known site has the site's
            effects.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high.

        Raises
        ------
        LongsurvError
            If the model has no random effects and `by_patient` asks for them, or for an unseen
            group.
        """
        check_level(level)
        design = self.design
        if newdata is None:
            frame, X = self.spec.data.iloc[design.rows], design.fixed.X
        else:
            frame, X = newdata.copy(), design.fixed.rebuild(newdata)
        estimate, variance = X @ self.coefficients, np.zeros(len(X))
        if by_patient:
            self._needs_random_effects()
            Z, group = self._new_groups(newdata, new_groups, len(X))
            mean, variance, coupling = predict_rows(
                self.data, self.scaled_cov, self.residual_cov, self.gamma, Z, group
            )
            estimate = estimate + mean
            X = X - coupling @ self.data.r
        se = np.sqrt(variances(self.reference, X) + variance)
        if not by_patient:
            return beside(frame, wald_columns(X, estimate, se, self.reference, level))
        lost = self._lost(X)
        return beside(frame, normal_columns(estimate + lost, se + lost, level))


class State(NamedTuple):
    """Coefficients, scaled covariances, residual covariances by kind and gamma of one draw."""

    beta: np.ndarray
    D: tuple[np.ndarray, ...]
    by_kind: np.ndarray
    gamma: np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class StructuredPosterior(_Groups, MixedPosterior):
    """Posterior of a mixed model with nested groups or correlated residuals (see `MixedPosterior`).

    Attributes
    ----------
    data : DenseData
    kernel : DenseKernel
    """

    data: Any
    kernel: DenseKernel

    def _states(self) -> Iterator[State]:
        """Every draw as the kernel's functions of patients take it, chain after chain."""
        data, structure = self.data, self.data.structure
        for theta in self.draws.theta.reshape(-1, self.draws.theta.shape[-1]):
            beta, _, _, psi = self.kernel.unpack(theta)
            sigma = float(np.exp(theta[data.p]))
            D = tuple(sigma**2 * lam @ lam.T for lam in self.kernel.factors(theta))
            by_kind = structure.covariance(structure.covariance_parameters(sigma, psi))
            yield State(beta, D, by_kind, data.r @ (beta - data.beta_ols))

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior means and SDs of the random effects of every grouping, from the draws' exact
        conditionals.

        Returns
        -------
        DataFrame
            grouping, group, effect, estimate, std_error, conf_low, conf_high (normal intervals).

        Raises
        ------
        LongsurvError
            If the model has no random effects.
        """
        check_level(level)
        self._needs_random_effects()
        totals = [np.zeros((3, len(g.labels), len(g.random.names))) for g in self.design.groupings]
        count = self.samples[self.names[0]].size
        for state in self._states():
            found = group_effects(self.data, state.D, state.by_kind, state.gamma)
            effects = [e for e in found if e.mean.shape[1]]
            for total, e in zip(totals, effects, strict=True):
                total += np.stack([e.mean, e.mean**2, np.diagonal(e.cov, axis1=1, axis2=2)]) / count
        parts = []
        for grouping, (mean, square, within) in zip(self.design.groupings, totals, strict=True):
            groups = {"grouping": grouping.name, "group": grouping.labels.to_numpy()}
            se = np.sqrt(np.maximum(square - mean**2, 0.0) + np.maximum(within, 0.0))
            parts.append(ranef_table(groups, grouping.random.names, mean, se, level))
        return pd.concat(parts, ignore_index=True)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: str = "error",
    ) -> pd.DataFrame:
        """Posterior of the mean response; arguments and result as for `StructuredEstimate.predict`.

        At each draw a row's random effects are drawn from their distribution given the data.
        """
        if not by_patient:
            return super().predict(newdata, level=level)
        check_level(level)
        self._needs_random_effects()
        design = self.design
        if newdata is None:
            frame, X = self.spec.data.iloc[design.rows], design.fixed.X
        else:
            frame, X = newdata.copy(), design.fixed.rebuild(newdata)
        Z, group = self._new_groups(newdata, new_groups, len(X))
        rng = np.random.default_rng(self.draws.seed)
        values = []
        for state in self._states():
            mean, variance, _ = predict_rows(
                self.data, state.D, state.by_kind, state.gamma, Z, group
            )
            noise = rng.standard_normal(len(X))
            values.append(X @ state.beta + mean + np.sqrt(variance) * noise)
        return beside(frame, draw_columns(np.stack(values), level))
