"""Answers of mixed models with nested groups or correlated residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.likelihood import lmm_dense
from longsurv.likelihood.lmm_dense_patients import group_effects, predict_rows
from longsurv.results.estimate import TIDY, Estimate, check_level
from longsurv.results.mixed import VarianceEstimate
from longsurv.results.posterior import Posterior
from longsurv.results.reference import t_quantile


@dataclass(frozen=True)
class StructuredVariance(VarianceEstimate):
    """Variance parameters of residuals and groupings (see `VarianceEstimate`)."""

    def table(self, level: float) -> pd.DataFrame:
        """In the grammar of `tidy`: intervals on the log scale for SDs, Fisher's z for correlations."""
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


@dataclass(frozen=True, repr=False, eq=False)
class StructuredEstimate(Estimate):
    """A fitted mixed model with nested groups or correlated residuals (see `Estimate`).

    Attributes
    ----------
    variance : StructuredVariance
    sigma : float
        Residual standard deviation; at the first visit if each has its own.
    scaled_cov : tuple of ndarray
        Covariance of the random effects of each term of the kernel, in scaled columns of Z.
    residual_cov : ndarray, shape (K,)
        Residual covariance of each kind of pair of rows.
    kernel : DenseKernel
    """

    variance: StructuredVariance
    sigma: float
    scaled_cov: tuple[np.ndarray, ...]
    residual_cov: np.ndarray
    kernel: lmm_dense.DenseKernel

    @property
    def data(self) -> lmm_dense.DenseData:
        """What the kernel works on."""
        return self.kernel.data

    @property
    def gamma(self) -> np.ndarray:
        """Coefficients in the kernel's coordinates, shape (p,)."""
        return self.data.r @ (self.coefficients - self.data.beta_ols)

    @property
    def random_cov(self) -> dict[str, pd.DataFrame]:
        """Covariance matrix of the random effects of each grouping."""
        out = {}
        for grouping, D, scale in self._terms():
            names = list(grouping.random.names)
            out[grouping.name] = pd.DataFrame(D / np.outer(scale, scale), index=names, columns=names)
        return out

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

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Residual parameters, then SDs and correlations of each grouping, with intervals."""
        return self.variance.table(level)

    def _terms(self):
        """Grouping, scaled covariance and scales of each term that has random effects."""
        kernel_terms = zip(self.scaled_cov, self.data.scales, strict=True)
        present = [(D, scale) for D, scale in kernel_terms if len(D)]
        return [(g, *term) for g, term in zip(self.design.groupings, present, strict=True)]

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best linear unbiased predictions of the random effects of every grouping.

        Returns
        -------
        DataFrame
            grouping, group, effect, estimate, std_error, conf_low, conf_high; the standard error is the
            conditional one, given the coefficients and the variances.

        Raises
        ------
        LongsurvError
            If the model has no random effects.
        """
        check_level(level)
        self._needs_random_effects()
        z = t_quantile(level, np.inf)
        found = group_effects(self.data, self.scaled_cov, self.residual_cov, self.gamma)
        parts = []
        for grouping, effects in zip(
            self.design.groupings, [e for e in found if e.mean.shape[1]], strict=True
        ):
            names = grouping.random.names
            estimate = effects.mean.ravel()
            variance = np.diagonal(effects.cov, axis1=1, axis2=2).ravel()
            error = np.sqrt(np.maximum(variance, 0.0))
            parts.append(
                pd.DataFrame(
                    {
                        "grouping": grouping.name,
                        "group": np.repeat(grouping.labels.to_numpy(), len(names)),
                        "effect": list(names) * len(grouping.labels),
                        "estimate": estimate,
                        "std_error": error,
                        "conf_low": estimate - z * error,
                        "conf_high": estimate + z * error,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def _needs_random_effects(self) -> None:
        if not self.design.groupings:
            raise LongsurvError(
                f"{self.spec.formula!r} has no random effects; its patients differ in their residuals only"
            )

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
            Of the interval of the mean (not of a new measurement).
        by_patient : bool
            Add the random effects of the row's patient and of all it is nested in.
        new_groups : {"error", "population"}
            What to do for a group the model has not seen: refuse, or leave its effects at their mean of
            0 with their full variance. A new patient of a known site has the site's effects.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high.

        Raises
        ------
        LongsurvError
            If the model has no random effects and `by_patient` asks for them, or for an unseen group.
        """
        check_level(level)
        if new_groups not in ("error", "population"):
            raise LongsurvError(f"new_groups is 'error' or 'population', not {new_groups!r}")
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
        se = np.sqrt(np.einsum("ip,pr,ir->i", X, self.reference.cov, X) + variance)
        width = t_quantile(level, np.inf) * se
        return frame.assign(
            estimate=estimate, std_error=se, conf_low=estimate - width, conf_high=estimate + width
        )

    def _new_groups(
        self, newdata: pd.DataFrame | None, new_groups: str, count: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Z and group of new rows in each term of the kernel."""
        design = self.design
        Z, group = [], []
        if not design.random.names:
            Z.append(np.empty((count, 0)))
            group.append(np.full(count, -1))
        for grouping in design.groupings:
            if newdata is None:
                Z.append(grouping.random.X)
                group.append(grouping.group)
                continue
            columns = grouping.name.split(":")
            missing = [c for c in columns if c not in newdata]
            if missing:
                raise LongsurvError(f"by_patient needs the columns {missing} in the new data")
            codes = grouping.labels.get_indexer(_keys(newdata, columns))
            if new_groups == "error" and (codes < 0).any():
                rows = [str(v) for v in newdata.index[codes < 0][:5]]
                raise LongsurvError(
                    f"the model has not seen the {grouping.name} of the rows with index {rows}; "
                    "new_groups='population' leaves their effects at 0"
                )
            Z.append(grouping.random.rebuild(newdata))
            group.append(codes)
        return Z, group


def _keys(data: pd.DataFrame, columns: Sequence[str]) -> pd.Index:
    if len(columns) == 1:
        return pd.Index(data[columns[0]])
    rows = data[list(columns)].astype(object).to_numpy()
    return pd.Index([":".join(map(str, row)) for row in rows])


@dataclass(frozen=True, repr=False, eq=False)
class StructuredPosterior(Posterior):
    """Posterior of a mixed model with nested groups or correlated residuals (see `Posterior`).

    Attributes
    ----------
    kernel : DenseKernel
    """

    kernel: lmm_dense.DenseKernel

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
    ) -> pd.DataFrame:
        """Posterior of the population mean of each row.

        Raises
        ------
        LongsurvError
            With `by_patient`: posteriors of this model predict the population; its `fit` also predicts
            patients.
        """
        check_level(level)
        if by_patient:
            raise LongsurvError(
                "posteriors of models with nested groups or correlated residuals predict the population "
                "mean; use fit().predict(by_patient=True) for patients"
            )
        design = self.design
        if newdata is None:
            frame, X = self.spec.data.iloc[design.rows], design.fixed.X
        else:
            frame, X = newdata.copy(), design.fixed.rebuild(newdata)
        values = self.coefficients.reshape(-1, len(self.names)) @ X.T
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return frame.assign(
            estimate=values.mean(axis=0),
            std_error=values.std(axis=0, ddof=1),
            conf_low=low,
            conf_high=high,
        )
