"""Fitted mixed-effects models: variance parameters, random effects, predictions for patients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from longsurv.design.random_columns import origin_flags
from longsurv.errors import LongsurvError
from longsurv.inference import Flat, Optimum
from longsurv.inference.specification import Specification
from longsurv.likelihood.lmm.kernel import MixedData, MixedKernel, Point
from longsurv.results.assemble import crossing_flags, design_flags
from longsurv.results.columns import beside, normal_columns, wald_columns
from longsurv.results.estimate import Estimate
from longsurv.results.mixed.fitted import MixedSpecification
from longsurv.results.mixed.methods import MixedMethods
from longsurv.results.mixed.rows import (
    check_random,
    fixed_rows,
    random_rows,
    ranef,
    spread_of_new,
    unseen_rows,
)
from longsurv.results.mixed.small_sample import MixedReference, resolve_df, small_sample
from longsurv.results.mixed.undetermined import FlatDirections, constant_rows, undetermined
from longsurv.results.mixed.variances import (
    RandomCovariance,
    VarianceEstimate,
    boundary_flags,
    variance_estimate,
)
from longsurv.results.options import Interval, NewGroups
from longsurv.results.reference import combination_variances, estimable, normal_reference

if TYPE_CHECKING:
    from longsurv.design.mixed import MixedDesign
    from longsurv.results.arithmetic import LogMeans, Patients
    from longsurv.results.means import Means

LARGEST_CLUSTER = 3000
"""Rows of a cluster up to which small-sample inference works with its whole covariance matrix."""


@dataclass(frozen=True, repr=False, eq=False)
class MixedEstimate(MixedMethods, Estimate):
    """A fitted mixed-effects model (see `Estimate`).

    Attributes
    ----------
    variance : VarianceEstimate
    kernel : MixedKernel
        The likelihood that was climbed.
    point : Point
        Where the climb ended, in the kernel's columns of Z.
    """

    spec: MixedSpecification
    design: MixedDesign
    variance: VarianceEstimate
    kernel: MixedKernel
    point: Point

    @classmethod
    def at(
        cls, spec: MixedSpecification, kernel: MixedKernel, optimum: Optimum, method: str, df: str
    ) -> MixedEstimate:
        """The fitted model at an optimum of the kernel's criterion.

        Parameters
        ----------
        spec : LMM
        kernel : MixedKernel
        optimum : Optimum
        method : {"REML", "ML"}
        df : {"auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal"}

        Raises
        ------
        LongsurvError
            If clusters are too large for these degrees of freedom.
        """
        reml, design = method == "REML", spec.design
        peak = kernel.peak(optimum.x, reml)
        flags = [*design_flags(design), *crossing_flags(design), *origin_flags(design)]
        flags += constant_rows(design)
        to_beta = np.linalg.inv(kernel.data.r)
        terms = [
            RandomCovariance(peak.sigma2 * lam @ lam.T, basis, free)
            for lam, basis, free in zip(
                peak.point.lams, kernel.bases, kernel.free_elements, strict=True
            )
            if len(lam)
        ]
        reference: MixedReference = normal_reference(peak.phi, to_beta)
        information, lost = None, FlatDirections(Flat.none(0), None)
        if kernel.largest_cluster <= LARGEST_CLUSTER:
            curvature = kernel.curvature(peak, reml)
            lost = undetermined(curvature, to_beta)
            df = resolve_df(df, reml, min(len(grouping.labels) for grouping in design.terms))
            reference = small_sample(df, curvature, to_beta)
            # On a boundary only structured models have standard errors, of what is away from it.
            if design.structured or all(term.inner.all() for term in terms):
                information = curvature.observed
        elif df not in ("auto", "normal"):
            raise LongsurvError(
                f"df={df!r} works with the covariance of all rows of a cluster, here "
                f"{kernel.largest_cluster} rows; more than {LARGEST_CLUSTER} are too many. Use "
                "df='normal'"
            )
        else:
            flags.append(
                "Clusters are too large for standard errors of the variances and for small-sample "
                "degrees of freedom; tests are normal."
            )
        variance = variance_estimate(
            design.variance_names, terms, peak.eta, kernel.shown, information, lost.variances
        )
        flags += [*boundary_flags(design, variance, terms), *kernel.flags(peak.point)]
        fit = cls(
            spec=spec,
            design=design,
            names=design.fixed.names,
            coefficients=peak.point.beta,
            reference=replace(reference, flat=lost.coefficients),
            llf=peak.llf,
            nobs=kernel.data.nobs,
            n_params=kernel.data.p + 1 + len(optimum.x),
            optimum=lost.optimum(optimum, variance.undetermined),
            method=method,
            flags=tuple(flags),
            variance=variance,
            kernel=kernel,
            point=peak.point,
        )
        return replace(fit, flags=(*flags, *lost.flags(fit.undetermined, variance.undetermined)))

    def again[S](self, spec: Specification[S, object]) -> S:
        """Another LMM fitted by the same method, with the same reference distribution.

        Parameters
        ----------
        spec : LMM
            As `self.spec.with_data(...)`.

        Raises
        ------
        LongsurvError
            For anything else.
        """
        return self._of_family(spec).fit(self.method, self.reference.method.lower())

    @property
    def sigma(self) -> float:
        """Residual standard deviation, of a row of weight 1; at the first visit if each has its
        own, the geometric mean of all where groups have."""
        return self.point.sigma

    @property
    def lam(self) -> np.ndarray:
        """Relative covariance factor of the patients' own random effects in the kernel's columns of
        Z, shape (q, q): D there is sigma^2 Lam Lam'."""
        return self.point.lams[0]

    @property
    def data(self) -> MixedData:
        """The arrays that the kernel works on."""
        return self.kernel.data

    @property
    def own_covariances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each grouping D of the kernel's columns of Z, and the basis that makes Z of them."""
        pairs = zip(self.point.D, self.kernel.bases, strict=True)
        return [(D, basis) for D, basis in pairs if len(D)]

    @property
    def residual_cov(self) -> np.ndarray:
        """Residual covariance of each kind of pair of rows of a patient, shape (K,)."""
        return self.kernel.residual_cov(self.point)

    @property
    def random_cov(self) -> pd.DataFrame:
        """D, the covariance matrix of the random effects, shape (q, q); with several groupings or
        correlated residuals by grouping and effect, and 0 between groupings."""
        pairs = zip(self.point.lams, self.kernel.bases, strict=True)
        halves = [self.sigma * np.linalg.solve(basis, lam) for lam, basis in pairs if len(lam)]
        names = [(g.name, name) for g in self.design.groupings for name in g.random.names]
        labels = pd.Index([name for _, name in names])
        if self.design.structured:
            labels = pd.MultiIndex.from_tuples(names, names=["grouping", "effect"])
        D = block_diag(*(half @ half.T for half in halves)) if halves else np.empty((0, 0))
        return pd.DataFrame(D, index=labels, columns=labels)

    @property
    def visit_cov(self) -> pd.DataFrame:
        """Covariance matrix of one patient's residuals over the visits, shape (M, M), of a row of
        weight 1; where groups have their own, of each group, one below the other.

        Raises
        ------
        LongsurvError
            If the model has no visits, or their times are too many to be tabulated.
        """
        residual = self.design.residual
        size = 0 if residual is None else len(residual.levels)
        if residual is None or residual.spec.visit is None or residual.times:
            raise LongsurvError("visit_cov needs a residual structure over visits")
        count, levels = len(residual.names_of_groups), residual.levels
        own = self.residual_cov[: count * size**2].reshape(-1, size)
        if residual.groups is None:
            return pd.DataFrame(own, index=levels, columns=levels)
        names = [residual.spec.by, residual.spec.visit]
        index = pd.MultiIndex.from_product([residual.names_of_groups, levels], names=names)
        return pd.DataFrame(own, index=index, columns=levels)

    def _log_means(self, of: Means, base: float, patients: Patients) -> LogMeans:
        from longsurv.results.mixed.logs import fitted_logs

        return fitted_logs(self, of, base, patients)

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Residual SD, random-effects SDs and correlations, with intervals.

        Parameters
        ----------
        level : float
            Of the intervals: on the log scale for SDs, Fisher's z for correlations.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df, p_value, conf_low, conf_high; a parameter on
            its boundary has no standard error, and there are no tests.
        """
        return self.variance.table(level)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best linear unbiased predictions of the random effects.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The patient's column (with several groupings or correlated residuals: grouping and
            group), effect, estimate, std_error, conf_low, conf_high; the standard error is the
            conditional one, given the coefficients and the variances. NaN where the data do not
            determine the variances.

        Raises
        ------
        LongsurvError
            If the model has no random effects.
        """
        check_random(self)
        lost = np.nan if self.variance.undetermined else 0.0
        found = []
        for effects in self.kernel.effects(self.point):
            variance = np.diagonal(effects.cov, axis1=1, axis2=2)
            found.append((effects.mean + lost, np.sqrt(np.maximum(variance, 0.0)) + lost))
        return ranef(self.design, found, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: NewGroups = "error",
        interval: Interval = "mean",
    ) -> pd.DataFrame:
        """Mean response on the scale of the formula's left-hand side.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the interval: Student's t on the degrees of freedom of the fit's reference, as in
            `means`; with `by_patient`, and of a new measurement, normal.
        by_patient : bool
            Add the random effects of the row's patient and of all it is nested in.
        new_groups : {"error", "population"}
            What to do for a patient, or another group, the model has not seen: refuse, or leave its
            effects at their mean of 0 with their full variance. A new patient of a known site has
            the site's effects.
        interval : {"mean", "prediction"}
            Of the mean, or of one new measurement: with `by_patient` of the row's own patient,
            otherwise of a patient (and a group of every other grouping) that nobody has seen. It
            takes the estimated variances as known.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error (of a new measurement its standard deviation about
            the estimate), conf_low, conf_high.

        Raises
        ------
        LongsurvError
            If the model has no random effects and `by_patient` asks for them, for an unseen group,
            or for a new measurement where residuals are correlated.
        """
        frame, X = fixed_rows(self, newdata)
        estimate, variance = X @ self.coefficients, np.zeros(len(X))
        if by_patient:
            check_random(self)
            rows = random_rows(self.design, newdata, new_groups)
            mean, variance, coupling = self.kernel.predict_rows(self.point, *rows)
            estimate, X = estimate + mean, X - coupling
        if interval == "prediction":
            residual = spread_of_new(self, newdata, self.kernel)(self.point)
            if not by_patient:
                _, variance, _ = self.kernel.predict_rows(
                    self.point, *unseen_rows(self.design, newdata)
                )
            variance = variance + residual
        se = np.sqrt(combination_variances(self.reference, X) + variance)
        if not by_patient and interval == "mean":
            return beside(frame, wald_columns(X, estimate, se, self.reference, level))
        known = estimable(self.reference, X) & (not self.variance.undetermined)
        lost = np.where(known, 0.0, np.nan)
        return beside(frame, normal_columns(estimate + lost, se + lost, level))
