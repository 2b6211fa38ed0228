"""The answer of a joint model by maximum likelihood: markers, hazard, and their association."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.joint import NewData
from longsurv.inference import Affine, Flat, Optimum
from longsurv.likelihood import joint
from longsurv.results.assemble import undetermined_flag
from longsurv.results.columns import (
    beside,
    draw_columns,
    mixture_columns,
    normal_columns,
    ranef_table,
)
from longsurv.results.estimate import Estimate
from longsurv.results.joint.association import OfTerm, association_table, changes
from longsurv.results.joint.flags import (
    boundary_flag,
    endless_terms,
    flat_reasons,
    joint_flags,
    lost_terms,
    method_words,
)
from longsurv.results.joint.nodes import laplace_flag, with_nodes
from longsurv.results.joint.questions import JointEstimateQuestions
from longsurv.results.joint.specification import LinkedSpecification
from longsurv.results.joint.terms import (
    Component,
    coefficients_of,
    component_terms,
    hazard_base,
    marker_rows,
)
from longsurv.results.joint.variances import variances
from longsurv.results.log_scale import Logarithm, ratios
from longsurv.results.mixed.variances import VarianceEstimate
from longsurv.results.options import Interval
from longsurv.results.reference import NormalReference, estimable

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

NODES = (1, 3, 5, 7, 9)
LARGEST_GRID = 10_000


@dataclass(frozen=True, repr=False, eq=False)
class JointEstimate(Estimate, JointEstimateQuestions):
    """A fitted joint model (see `Estimate`).

    Coefficients are those of the marker under their own names, then "event." covariates of the
    hazard and "assoc." associations (log hazard ratios), then "baseline." coefficients. Of several
    markers the name comes first, as in "bili.year", and last in "assoc.value[bili]"; of several
    causes it follows the first word, as in "event[death].age" and "assoc[death].value".

    Attributes
    ----------
    variance : VarianceEstimate
    theta : ndarray, shape (d,)
        The kernel's parameter vector.
    cov_theta : ndarray, shape (d, d)
        Inverse of the observed information.
    data : JointData
    link_sd : dict of str to float
        By association parameter, standard deviation of its link across patients at their exit.
    """

    spec: LinkedSpecification
    design: JointDesign
    variance: VarianceEstimate
    theta: np.ndarray
    cov_theta: np.ndarray
    data: joint.JointData
    link_sd: dict[str, float]

    @classmethod
    def at(
        cls, spec: LinkedSpecification, data: joint.JointData, optimum: Optimum
    ) -> JointEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : JointModel
        data : JointData
        optimum : Optimum
            In the user's parameters; its Hessian in the coordinates of the climb.
        """
        design = spec.design
        names, at = coefficients_of(design)
        theta = optimum.x
        psi = data.own(theta)
        to_theta = Affine(theta, data.derivative(psi) @ spec.coordinates.factor)
        found = to_theta.identify(optimum.hessian)
        cov, flat = found.cov, found.flat
        on_boundary = np.array([name in optimum.at_boundary for name in design.variance_names])
        values, known, se = variances(theta[data.p : data.n_marker], data, found, on_boundary)
        lost = lost_terms(optimum, design, flat.determined)
        endless = endless_terms(design, spec.coordinates.inward(psi), lost)
        flat_ones = [name for name in lost if name not in endless]
        if endless:
            status = f"there is no maximum: {', '.join(endless)} can grow without end"
            optimum = replace(optimum, status=status)
        elif flat_ones:
            optimum = replace(optimum, status=f"the data do not determine {', '.join(flat_ones)}")
        return cls(
            spec=spec,
            design=design,
            names=names,
            coefficients=theta[at],
            reference=NormalReference(cov[np.ix_(at, at)], flat=flat.of(at) if flat else None),
            llf=optimum.value,
            nobs=len(design.rows),
            n_params=len(theta),
            optimum=optimum,
            method=method_words(design, data, "maximum likelihood"),
            flags=(
                *joint_flags(design),
                *laplace_flag(data, theta),
                *undetermined_flag(flat_ones, flat_reasons(design)),
                *endless.values(),
                *boundary_flag(optimum),
                *(() if optimum.converged or lost else (f"Not a maximum: {optimum.status}.",)),
            ),
            variance=VarianceEstimate(
                design.variance_names,
                np.where(known, values, np.nan),
                np.where(known & (se > 0.0), se, np.nan),
            ),
            theta=theta,
            cov_theta=cov,
            data=data,
            link_sd=spec.link_sd,
        )

    def tidy(
        self,
        level: float = 0.95,
        component: Component = "fixed",
        *,
        exponentiate: bool | Logarithm = False,
    ) -> pd.DataFrame:
        """One row a term, in blocks (see `Estimate.tidy`).

        Parameters
        ----------
        level : float
        component : {"fixed", "marker", "event", "baseline", "variance", "all"}
            Coefficients of the marker and the hazard ("fixed"), one of the blocks, or everything.
        exponentiate : bool
            Of the block "event" only: hazard ratios, std_error that of the logarithm.
        """
        if exponentiate:
            return ratios(self.tidy(level, component), hazard_base(component, exponentiate))
        wanted = component_terms(self.design)[component]
        table = super().tidy(level, "all")
        return table.set_index("term").loc[list(wanted)].reset_index()

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Residual SDs, random-effects SDs and correlations.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            In the columns of `tidy`, without tests; NaN where the data do not determine one.
        """
        return self.variance.table(level)

    def association(self, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios of the links per unit, per SD and, for a logged marker, per doubling.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            term, change (of the link, in words), hazard_ratio, conf_low, conf_high, words.
        """
        table = super().tidy(level).set_index("term")
        told = changes(self.design, self.link_sd)

        def of(column: str) -> OfTerm:
            return lambda term, size: size * table.loc[term, column]

        return association_table(told, of("conf_low"), of("estimate"), of("conf_high"))

    def node_convergence(self, nodes: Sequence[int] | None = None) -> pd.DataFrame:
        """Log-likelihood at the estimate with different numbers of Gauss-Hermite nodes.

        Parameters
        ----------
        nodes : sequence of int, optional
            By default 1, 3, 5, 7 and 9, as far as a grid of so many in each dimension is of at most
            10,000 points.

        Returns
        -------
        DataFrame
            nodes, llf, difference (from the largest number), used (the number of the fit).
        """
        q = self.data.q
        if nodes is None:
            nodes = [n for n in NODES if n**q <= LARGEST_GRID]
        values = [joint.loglik(with_nodes(self.data, n), self.theta)[0] for n in nodes]
        used = len(self.data.nodes)
        return pd.DataFrame(
            {
                "nodes": list(nodes),
                "llf": values,
                "difference": np.array(values) - values[int(np.argmax(nodes))],
                "used": [n == used for n in nodes],
            }
        )

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Random effects given a patient's measurements and survival, at the estimate.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            The patient's column, effect, estimate, std_error, conf_low, conf_high.
        """
        mean, cov = joint.random_effects(self.data, self.theta)
        se = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        design = self.design
        groups = {design.group_name: design.labels.to_numpy()}
        return ranef_table(groups, design.effect_names, mean, se, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        marker: str | None = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Mean curve of a marker at the rows of `newdata` (by default the measurements used).

        Parameters
        ----------
        newdata : DataFrame, optional
        marker : str, optional
            Which one, if there are several.
        level : float

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high, on the scale of the response.
        """
        frame, X, at = marker_rows(self.design, newdata, marker)
        estimate = X @ self.theta[at]
        se = np.sqrt(np.einsum("ip,pr,ir->i", X, self.cov_theta[at, at], X))
        weights = np.zeros((len(X), len(self.names)))
        weights[:, at] = X  # coefficients of the markers come first in both
        lost = np.where(estimable(self.reference, weights), 0.0, np.nan)
        return beside(frame, normal_columns(estimate + lost, se + lost, level))

    def _thetas(self, draws: int, seed: int) -> np.ndarray:
        """The estimate, then draws from its asymptotic normal distribution."""
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.cov_theta)
        half = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = self.theta + rng.standard_normal((draws, len(self.theta))) @ half.T
        return np.vstack([self.theta, drawn])

    def _check_known(self, newdata: NewData, at: float, times: Sequence[float]) -> None:
        """Refuse patients whose hazard depends on what the data do not determine."""
        from longsurv.estimands.dynamic import check_known

        if flat := self._flat_of_theta():
            check_known(
                self.design, self.data, newdata, at, times, self.theta, flat, self.undetermined
            )

    def _flat_of_theta(self) -> Flat:
        """Directions of all parameters that the data do not determine."""
        flat, d = self.reference.flat, len(self.theta)
        if flat is None or not flat:
            return Flat.none(d)
        _, where = coefficients_of(self.design)
        whole = Flat(np.zeros((d, flat.directions.shape[1])), np.ones(d))
        whole.directions[where], whole.scale[where] = flat.directions, flat.scale
        return whole

    def predict_marker(
        self,
        newdata: NewData,
        *,
        at: float,
        times: Sequence[float],
        marker: str | None = None,
        interval: Interval = "mean",
        draws: int = 200,
        level: float = 0.95,
        seed: int = 1,
    ) -> pd.DataFrame:
        """A patient's own curve of a marker, given the measurements and survival until `at`.

        Parameters
        ----------
        newdata : DataFrame or mapping of str to DataFrame
            As for `predict_survival`: patients alive at `at`, of the fit or not.
        at : float
            Time until which the patients are known to be alive and were measured.
        times : sequence of float
            Times of the curve, before `at` or after it.
        marker : str, optional
            Which one, if there are several.
        interval : {"mean", "prediction"}
            Of the curve, or of one new measurement about it.
        draws : int
            Parameter vectors drawn from their asymptotic normal distribution for the interval.
        level : float
            Of the intervals, between 0 and 1.
        seed : int
            Of those.

        Returns
        -------
        DataFrame
            The patient's column, time, estimate, std_error, conf_low, conf_high, on the scale of
            the response. After `at` it is the curve that the patient is on: no value is claimed for
            a time that the patient does not live to see.

        Raises
        ------
        EstimationError
            For patients of whom the curve, or the values so far, depend on coefficients of a marker
            that the data do not determine.

        References
        ----------
        Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data, section 7.2.
        """
        from longsurv.estimands.dynamic import check_curves, patient_curves

        if flat := self._flat_of_theta():
            check_curves(
                self.design, self.data, newdata, at, times, marker, flat, self.undetermined
            )
        thetas = self._thetas(draws, seed)
        frame, mean, variance = patient_curves(
            self.design, self.data, newdata, at, times, thetas, marker, interval == "prediction"
        )
        columns = mixture_columns(mean[1:], variance[1:], level) | {"estimate": mean[0]}
        return beside(frame, columns)

    def predict_survival(
        self,
        newdata: NewData,
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
        level: float = 0.95,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Survival of patients alive at `at`, given their measurements until then.

        Parameters
        ----------
        newdata : DataFrame or mapping of str to DataFrame
            Measurements with the columns of all formulas; rows after `at` are not used. Patients
            need not be among those of the fit. Of several markers either one frame, where a marker
            may be missing from a row, or a frame each by name.
        at : float
            Time until which the patients are known to be alive and were measured.
        times : sequence of float
            Later times.
        draws : int
            Parameter vectors drawn from their asymptotic normal distribution for the interval.
        level : float
        seed : int

        Returns
        -------
        DataFrame
            The patient's column, time, estimate, std_error, conf_low, conf_high: the probability
            of no event of any cause until `time`, averaged over the patient's random effects, and
            the uncertainty of that probability from the parameters.

        Raises
        ------
        EstimationError
            For patients whose hazard depends on coefficients that the data do not determine.
        """
        from longsurv.estimands.dynamic import conditional_survival

        self._check_known(newdata, at, times)
        thetas = self._thetas(draws, seed)
        frame, S = conditional_survival(self.design, self.data, newdata, at, times, thetas)
        return beside(frame, draw_columns(S[1:], level) | {"estimate": S[0]})

    def predict_incidence(
        self,
        newdata: NewData,
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
        level: float = 0.95,
        seed: int = 1,
        cause: str | None = None,
    ) -> pd.DataFrame:
        """Probability of each cause's event by later times; arguments as for `predict_survival`.

        Parameters
        ----------
        newdata, at, times, draws, level, seed
        cause : str, optional
            The only one wanted.

        Returns
        -------
        DataFrame
            The patient's column, time, cause, estimate, std_error, conf_low, conf_high.

        Raises
        ------
        EstimationError
            For patients whose hazard depends on coefficients that the data do not determine.
        """
        from longsurv.estimands.dynamic import conditional_incidence

        self._check_known(newdata, at, times)
        thetas = self._thetas(draws, seed)
        frame, F = conditional_incidence(self.design, self.data, newdata, at, times, thetas, cause)
        return beside(frame, draw_columns(F[1:], level) | {"estimate": F[0]})
