"""Fitted generalised mixed models: thresholds, variance parameters, predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from longsurv.design.random_columns import origin_flags
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Optimum, identify
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import Coordinates
from longsurv.results.assemble import crossing_flags, design_flags, undetermined_flag
from longsurv.results.columns import normal_columns, wald_columns
from longsurv.results.estimate import Estimate
from longsurv.results.generalised.flags import (
    boundaries,
    dispersion_flags,
    laplace_flags,
    quadrature_flags,
    quadrature_name,
    site_flags,
)
from longsurv.results.generalised.methods import GeneralisedMethods
from longsurv.results.generalised.quantities import (
    coefficient_jacobian,
    effect_moments,
    factor,
    natural_coefficients,
    row_means,
    spread,
    variance_parameters,
)
from longsurv.results.generalised.rows import by_category, rows_of
from longsurv.results.generalised.specification import GeneralisedSpecification
from longsurv.results.generalised.undetermined import undetermined
from longsurv.results.mixed.rows import ranef
from longsurv.results.mixed.variances import VarianceEstimate
from longsurv.results.options import NewGroups
from longsurv.results.reference import (
    Degrees,
    NormalReference,
    StudentReference,
    estimable,
    t_quantile,
)

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign

DIFFERENCES = 1e-6
"""Scaled eigenvalues below this are not told from the error of a Hessian by differences."""


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

    spec: GeneralisedSpecification
    design: GeneralisedDesign
    variance: VarianceEstimate
    theta: np.ndarray
    half: np.ndarray
    data: glmm.GLMMData

    @classmethod
    def at(
        cls,
        spec: GeneralisedSpecification,
        data: glmm.GLMMData,
        optimum: Optimum,
        coordinates: Coordinates,
        nodes: int,
        degrees: Degrees | None = None,
    ) -> GeneralisedEstimate:
        """The fitted model of `data` where its climb, in `coordinates`, ended.

        Parameters
        ----------
        spec : GLMM
        data : GLMMData
        optimum : Optimum
        coordinates : Coordinates
        nodes : int
            Quadrature nodes for each random effect.
        degrees : Degrees, optional
            Of freedom, for tests and intervals by Student's t; normal ones by default.

        Raises
        ------
        EstimationError
            If the data determine no coefficient.
        """
        design, theta = spec.design, coordinates.outward(optimum.x)
        found = identify(
            -optimum.hessian, rounding=np.full(len(optimum.free), DIFFERENCES), flat=DIFFERENCES
        )
        half = coordinates.T[:, optimum.free] @ _root(found.cov)
        lost = undetermined(design, data, coordinates, theta, found, optimum.free)
        if lost and not lost.flat.determined.any():
            why = lost.why
            if not optimum.converged:  # what looks flat may be where it stopped
                why = f"The climb has not arrived at a maximum: {optimum.status}."
            raise EstimationError(f"{spec.formula!r} has no coefficient to estimate. {why}")
        names, jacobian = design.coefficient_names, coefficient_jacobian(data, theta) @ half
        variances = variance_parameters(data, theta)
        with np.errstate(invalid="ignore"):
            se = spread(lambda t: variance_parameters(data, t), theta, half)
        boundary = boundaries(design, data, theta, variances)
        # Nothing is known about the precision of a parameter on its boundary.
        inside = [name not in boundary for name in design.variance_names] & ~lost.variances
        shown = np.where(lost.variances, np.nan, variances)
        cov, flat = jacobian @ jacobian.T, lost.flat if lost.flat else None
        return cls(
            spec=spec,
            design=design,
            names=names,
            coefficients=natural_coefficients(data, theta),
            reference=(
                NormalReference(cov, flat=flat)
                if degrees is None
                else StudentReference(cov, degrees, flat)
            ),
            llf=optimum.value,
            nobs=len(data.y),
            n_params=len(theta),
            optimum=lost.record(optimum),
            method=f"maximum likelihood, {quadrature_name(design, nodes)}",
            flags=(
                *design_flags(design),
                *crossing_flags(design),
                *design.notes,
                *origin_flags(design),
                *site_flags(design),
                *undetermined_flag(lost.names, lost.why),
                *(words for name, words in boundary.items() if name not in lost.names),
                *laplace_flags(design, data, theta, half),
                *quadrature_flags(data, theta, optimum.value, nodes),
                *dispersion_flags(data, theta),
            ),
            variance=VarianceEstimate(design.variance_names, shown, np.where(inside, se, np.nan)),
            theta=theta,
            half=half,
            data=data,
        )

    @property
    def random_cov(self) -> pd.DataFrame:
        """D, the covariance matrix of the random effects, shape (q, q); with sites by grouping and
        effect, and 0 between groupings."""
        Lam, design = factor(self.data, self.theta), self.design
        known = ~np.isnan(self._deviations[-len(Lam) :])
        D = np.where(np.outer(known, known), Lam @ Lam.T, np.nan)
        labels = pd.Index(design.effects.names)
        if design.outer:
            pairs = [(g.name, name) for g in design.terms for name in g.random.names]
            labels = pd.MultiIndex.from_tuples(pairs, names=["grouping", "effect"])
        return pd.DataFrame(D, index=labels, columns=labels)

    @property
    def _deviations(self) -> np.ndarray:
        """Family parameters and standard deviations, NaN where the data do not determine one."""
        pairs = zip(self.variance.names, self.variance.values, strict=True)
        return np.array([value for name, value in pairs if not name.startswith("cor(")])

    def estimable(self, X: np.ndarray, link: bool = True) -> np.ndarray:
        """Whether the data determine the predictor of each row of X, shape (m, p), or its mean
        response, which has thresholds too where the response is ordinal.

        Parameters
        ----------
        X : ndarray, shape (m, p)
        link : bool
            Of the predictor, or else of the mean response.

        Returns
        -------
        ndarray of bool, shape (m,)
        """
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
        """Family parameters, random-effects SDs and correlations, with intervals.

        Parameters
        ----------
        level : float
            Of the intervals: on the log scale for scales, Fisher's z for correlations.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df, p_value, conf_low, conf_high; a parameter on
            its boundary has no standard error, and there are no tests.
        """
        return self.variance.table(level)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Conditional means of the random effects, by the quadrature of the fit; where patients are
        seen at several sites, by weighted points around the mode of the sites' effects.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The patient's column (with sites: grouping and group), effect, estimate, std_error,
            conf_low, conf_high; the standard error is the conditional one, given the coefficients
            and the variances. NaN where the data do not determine the variances.
        """
        found = effect_moments(self.data, self.theta)
        lost = np.nan if np.isnan(self._deviations).any() else 0.0
        each = [(mean + lost, np.sqrt(variance) + lost) for mean, variance in found]
        return ranef(self.design, each, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: NewGroups = "error",
        type: Literal["link", "response"] = "link",
    ) -> pd.DataFrame:
        """Linear predictor, or mean response averaged over patients.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the interval of the mean; for probabilities it is made on the logit scale, for
            expected counts on the logarithmic one.
        by_patient : bool
            Use the random effects of the patient, and of the site of the row.
        new_groups : {"error", "population"}
            What to do for a patient, or a site, the model has not seen: refuse, or average over all
            of them. A new patient of a known site has the site's effect.
        type : {"link", "response"}
            "link" is x'beta and the offset (without the thresholds of an ordinal response).
            "response" is the mean
            over the distribution of the random effects: the share of patients expected to be
            positive, which is nearer to one half than the probability of a patient whose random
            effects are zero. For an ordinal response it has one row a category.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high.
        """
        frame, rows = rows_of(self, newdata, by_patient, new_groups)
        data, link = self.data, type == "link"
        estimate, extra = row_means(data, self.theta, rows, link)
        se = spread(lambda theta: row_means(data, theta, rows, link)[0], self.theta, self.half)
        if by_patient:
            se = np.sqrt(se**2 + extra)
        known = self.estimable(rows[0], link)
        if by_patient and np.isnan(self._deviations).any():
            known[:] = False
        estimate[~known], se[~known] = np.nan, np.nan
        of_predictor = self.design.mean_is_predictor or (link and not self.design.levels)
        if of_predictor and not by_patient:
            columns = wald_columns(rows[0], estimate, se, self.reference, level)
            return by_category(frame, self.design, columns)
        columns = normal_columns(estimate, se, level)
        if self.design.family_is_logit and not link:
            with np.errstate(divide="ignore", invalid="ignore"):
                centre = np.log(estimate) - np.log1p(-estimate)
                width = t_quantile(level, np.inf) * se / (estimate * (1.0 - estimate))
            columns |= {"conf_low": expit(centre - width), "conf_high": expit(centre + width)}
        elif self.design.family_is_log and not link:
            with np.errstate(divide="ignore", invalid="ignore"):
                times = np.exp(t_quantile(level, np.inf) * se / estimate)
            columns |= {"conf_low": estimate / times, "conf_high": estimate * times}
        return by_category(frame, self.design, columns)


def _root(cov: np.ndarray) -> np.ndarray:
    """A square root of a covariance matrix that may be singular."""
    scale = np.sqrt(np.diag(cov))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    return scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
