"""Answers of generalised mixed models: thresholds, variance parameters, predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from longsurv.errors import LongsurvError
from longsurv.likelihood import glmm
from longsurv.results.columns import beside, draw_columns, normal_columns, ranef_table
from longsurv.results.estimate import Estimate, check_level
from longsurv.results.generalised.methods import GeneralisedMethods, GeneralisedPosteriorMethods
from longsurv.results.generalised.quantities import (
    Rows,
    conditional,
    factor,
    means,
    moments,
    response,
    spread,
)
from longsurv.results.mixed.estimate import VarianceEstimate, groups_of, new_rows, patients
from longsurv.results.posterior import Posterior
from longsurv.results.reference import estimable, t_quantile


def _checked_rows(
    result: Any, newdata: pd.DataFrame | None, by_patient: bool, new_groups: str, type: str
) -> tuple[pd.DataFrame, Rows]:
    if type not in ("link", "response"):
        raise LongsurvError(f"type is 'link' or 'response', not {type!r}")
    frame, X, Z, group = new_rows(result, newdata, by_patient, new_groups)
    if not by_patient:
        Z = result.design.random.rebuild(newdata) if newdata is not None else Z
        group = np.full(len(X), -1)
    return frame, (X, Z, group)


def _by_category(frame: pd.DataFrame, design: Any, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """The frame with its answers, one row a category where they have a second axis."""
    if next(iter(columns.values())).ndim == 1:
        return beside(frame, columns)
    times = len(design.levels)
    repeated = frame.iloc[np.repeat(np.arange(len(frame)), times)]
    category = np.tile(np.array(design.levels, dtype=object), len(frame))
    return beside(repeated, {"category": category} | {k: v.ravel() for k, v in columns.items()})


@dataclass(frozen=True, repr=False, eq=False)
class GeneralisedEstimate(GeneralisedMethods, Estimate):
    """A fitted generalised mixed model (see `Estimate`); an ordinal one has thresholds after beta.

    Attributes
    ----------
    variance : VarianceEstimate
    theta : ndarray, shape (d,)
        beta, family parameters and random-effects factor, as for `likelihood.glmm.loglik_factor`.
    half : ndarray, shape (d, f)
        half @ half.T is the covariance of theta; a parameter on its boundary counts as known.
    data : GLMMData
    """

    variance: VarianceEstimate
    theta: np.ndarray
    half: np.ndarray
    data: glmm.GLMMData

    @property
    def random_cov(self) -> pd.DataFrame:
        """D, the covariance matrix of the random effects, shape (q, q)."""
        Lam, names = factor(self.data, self.theta), list(self.design.random.names)
        known = ~np.isnan(self._deviations[-len(names) :])
        D = np.where(np.outer(known, known), Lam @ Lam.T, np.nan)
        return pd.DataFrame(D, index=names, columns=names)

    @property
    def _deviations(self) -> np.ndarray:
        """Family parameters and standard deviations, NaN where the data do not determine one."""
        pairs = zip(self.variance.names, self.variance.values, strict=True)
        return np.array([value for name, value in pairs if not name.startswith("cor(")])

    def estimable(self, X: np.ndarray, link: bool = True) -> np.ndarray:
        """Whether the data determine the predictor of each row of X, shape (m, p), or its mean
        response, which has thresholds too where the response is ordinal."""
        X = np.atleast_2d(np.asarray(X, dtype=float))
        if X.shape[1] != len(self.design.fixed.names):
            raise LongsurvError(
                f"X needs a column for each of {list(self.design.fixed.names)}, not {X.shape[1]}"
            )
        known = np.ones(len(X), dtype=bool)
        cuts = np.eye(max(self.data.levels - 1, 0))
        for cut in np.zeros((1, len(cuts))) if link or not len(cuts) else cuts:
            rows = np.hstack([-X, np.broadcast_to(cut, (len(X), len(cut)))])
            known &= estimable(self.reference, rows)
        return known

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Family parameters, random-effects SDs and correlations, with intervals."""
        return self.variance.table(level)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Conditional means of the random effects, by the quadrature of the fit.

        Returns
        -------
        DataFrame
            The patient's column, effect, estimate, std_error, conf_low, conf_high; the standard
            error is the conditional one, given the coefficients and the variances. NaN where the
            data do not determine the variances.
        """
        check_level(level)
        mean, cov = moments(*conditional(self.data, self.theta))
        se = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        if np.isnan(self._deviations).any():
            mean, se = np.full_like(mean, np.nan), np.full_like(se, np.nan)
        return ranef_table(patients(self.design), self.design.random.names, mean, se, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: str = "error",
        type: str = "link",
    ) -> pd.DataFrame:
        """Linear predictor, or mean response averaged over patients.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the interval of the mean; for probabilities it is made on the logit scale.
        by_patient : bool
            Use the patient's own random effects.
        new_groups : {"error", "population"}
            What to do for a patient the model has not seen.
        type : {"link", "response"}
            "link" is x'beta (without the thresholds of an ordinal response). "response" is the mean
            over the distribution of the random effects: the share of patients expected to be
            positive, which is nearer to one half than the probability of a patient whose random
            effects are zero. For an ordinal response it has one row a category.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high.
        """
        check_level(level)
        frame, rows = _checked_rows(self, newdata, by_patient, new_groups, type)
        data, link = self.data, type == "link"
        estimate, extra = means(data, self.theta, rows, link)
        se = spread(lambda theta: means(data, theta, rows, link)[0], self.theta, self.half)
        if by_patient:
            se = np.sqrt(se**2 + extra)
        known = self.estimable(rows[0], link)
        if by_patient and np.isnan(self._deviations).any():
            known[:] = False
        estimate[~known], se[~known] = np.nan, np.nan
        columns = normal_columns(estimate, se, level)
        if self.design.family_is_logit and not link:
            with np.errstate(divide="ignore", invalid="ignore"):
                centre = np.log(estimate) - np.log1p(-estimate)
                width = t_quantile(level, np.inf) * se / (estimate * (1.0 - estimate))
            columns |= {"conf_low": expit(centre - width), "conf_high": expit(centre + width)}
        return _by_category(frame, self.design, columns)


@dataclass(frozen=True, repr=False, eq=False)
class GeneralisedPosterior(GeneralisedPosteriorMethods, Posterior):
    """Posterior of a generalised mixed model (see `Posterior`).

    Attributes
    ----------
    data : GLMMData
    """

    data: glmm.GLMMData

    def thetas(self) -> Iterator[np.ndarray]:
        """The draws as vectors of `likelihood.glmm.loglik_factor`, chain after chain."""
        for theta in self.draws.theta.reshape(-1, self.draws.theta.shape[-1]):
            yield glmm.to_factor(self.data, theta)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior means and SDs of the random effects, over the draws' conditional distributions.

        Returns
        -------
        DataFrame
            The patient's column, effect, estimate, std_error, conf_low, conf_high (normal
            intervals).
        """
        check_level(level)
        each = [moments(*conditional(self.data, theta)) for theta in self.thetas()]
        centre = np.stack([mean for mean, _ in each])
        within = np.mean([np.diagonal(cov, axis1=1, axis2=2) for _, cov in each], axis=0)
        se = np.sqrt(centre.var(axis=0) + within)
        mean = centre.mean(axis=0)
        return ranef_table(patients(self.design), self.design.random.names, mean, se, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: str = "error",
        type: str = "link",
    ) -> pd.DataFrame:
        """Posterior of the predictor or the mean response; see `GeneralisedEstimate.predict`.

        A patient's own random effects are drawn from the normal distribution with the mean and the
        covariance they have at each draw of the parameters, those of a patient the model has not
        seen from the distribution of the population.
        """
        check_level(level)
        frame, (X, Z, group) = _checked_rows(self, newdata, by_patient, new_groups, type)
        data, link, rng = self.data, type == "link", np.random.default_rng(self.draws.seed)
        known = np.flatnonzero(group >= 0)
        unseen = np.flatnonzero(group < 0) if by_patient else np.empty(0, dtype=np.int64)
        people = groups_of(frame, self.design.group_name)[unseen] if by_patient else unseen
        _, person = np.unique(np.asarray(people).astype(str), return_inverse=True)
        values = []
        for theta in self.thetas():
            value, _ = means(data, theta, (X, Z, np.full(len(X), -1)), link)
            parts = []
            if len(known):
                parts.append((known, self._own_effects(theta, rng)[group[known]]))
            if len(unseen):
                parts.append((unseen, self._new_effects(theta, rng, person)[person]))
            for rows, b in parts:
                eta = X[rows] @ theta[: data.p] + np.einsum("mq,mq->m", Z[rows], b)
                value[rows] = eta if link else response(data, theta, eta)
            values.append(value)
        columns = draw_columns(np.stack(values), level)
        return _by_category(frame, self.design, columns)

    def _own_effects(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random effects of the patients given their data, shape (N, q)."""
        mean, cov = moments(*conditional(self.data, theta))
        half = np.linalg.cholesky(cov + 1e-300 * np.eye(self.data.q))
        return mean + np.einsum("nqr,nr->nq", half, rng.standard_normal(mean.shape))

    def _new_effects(
        self, theta: np.ndarray, rng: np.random.Generator, person: np.ndarray
    ) -> np.ndarray:
        """Random effects of as many new patients as `person` counts."""
        count = int(person.max()) + 1
        return rng.standard_normal((count, self.data.q)) @ factor(self.data, theta).T
