"""The answer of a joint model by Bayes: markers, hazard, and their association."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.joint import JointDesign, NewData
from longsurv.inference import Draws
from longsurv.likelihood import joint
from longsurv.priors import Stack
from longsurv.results.assemble import sampling_flags
from longsurv.results.columns import beside, draw_columns, mixture_columns
from longsurv.results.idata import Pointwise
from longsurv.results.joint.association import OfTerm, association_table, changes
from longsurv.results.joint.flags import joint_flags, method_words
from longsurv.results.joint.identification import identification
from longsurv.results.joint.nodes import laplace_flag
from longsurv.results.joint.questions import JointPosteriorQuestions
from longsurv.results.joint.specification import LinkedSpecification
from longsurv.results.joint.terms import (
    Component,
    coefficients_of,
    component_terms,
    hazard_base,
    marker_rows,
)
from longsurv.results.joint.variances import natural_variances
from longsurv.results.log_scale import Logarithm, ratios
from longsurv.results.options import Interval
from longsurv.results.posterior import Posterior

if TYPE_CHECKING:
    from longsurv.diagnostics import Verdict


@dataclass(frozen=True, repr=False, eq=False)
class JointPosterior(Posterior, JointPosteriorQuestions):
    """Posterior of a joint model (see `Posterior`); terms are named as in `JointEstimate`.

    Attributes
    ----------
    data : JointData
    link_sd : dict of str to float
    """

    spec: LinkedSpecification
    design: JointDesign
    data: joint.JointData
    link_sd: dict[str, float]

    @classmethod
    def from_draws(
        cls, spec: LinkedSpecification, data: joint.JointData, stack: Stack, draws: Draws
    ) -> JointPosterior:
        """The posterior of JointModel `spec` under the JointPriors `stack`, which the draws are
        from, with the arrays of the random effects that those are of.

        Parameters
        ----------
        spec : JointModel
        data : JointData
        stack : JointPriors
        draws : Draws

        Returns
        -------
        JointPosterior
        """
        design, mode = spec.design, draws.mode
        assert mode is not None  # the climb before the draws
        chains, kept, _ = draws.theta.shape
        flat = draws.flat
        names, at = coefficients_of(design)
        samples = {name: draws.theta[..., j] for name, j in zip(names, at, strict=True)}
        natural = [natural_variances(row, data) for row in flat[:, data.p : data.n_marker]]
        for name, values in zip(design.variance_names, np.array(natural).T, strict=True):
            samples[name] = values.reshape(chains, kept)
        return cls(
            spec=spec,
            design=design,
            names=names,
            samples=samples,
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=method_words(design, data, "NUTS on the marginal likelihood"),
            flags=(*joint_flags(design), *laplace_flag(data, mode.x), *sampling_flags(draws)),
            data=data,
            link_sd=spec.link_sd,
        )

    def _pointwise(self) -> Pointwise:
        chains, kept, _ = self.draws.theta.shape
        values = log_likelihoods(self.design, self.data, self.draws.flat)
        return Pointwise(
            values.reshape(chains, kept, -1),
            self.design.group_name,
            self.design.labels,
            observed=np.concatenate([marker.design.y for marker in self.design.markers]),
        )

    def tidy(
        self,
        level: float = 0.95,
        component: Component = "fixed",
        *,
        exponentiate: bool | Logarithm = False,
    ) -> pd.DataFrame:
        """One row a term, in blocks (see `Posterior.tidy`).

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.
        component : {"fixed", "marker", "event", "baseline", "variance", "all"}
            Coefficients of the marker and the hazard ("fixed"), one of the blocks, or everything.
        exponentiate : bool
            Of the block "event" only: hazard ratios, std_error that of the logarithm.

        Returns
        -------
        DataFrame
            term, estimate, std_error, conf_low, conf_high, prob_positive, r_hat, ess_bulk,
            ess_tail, mcse_mean.
        """
        if exponentiate:
            return ratios(self.tidy(level, component), hazard_base(component, exponentiate))
        wanted = component_terms(self.design)[component]
        return self._marked(self._summary(wanted, level))

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
        told = changes(self.design, self.link_sd)

        def quantile(p: float) -> OfTerm:
            return lambda term, size: size * float(np.quantile(self.samples[term], p))

        def mean(term: str, size: float) -> float:
            return size * float(self.samples[term].mean())

        return association_table(told, quantile(0.5 - level / 2), mean, quantile(0.5 + level / 2))

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
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            `newdata` with estimate, std_error, conf_low, conf_high, on the scale of the response.
        """
        frame, X, at = marker_rows(self.design, newdata, marker)
        beta = self.draws.flat[:, at]
        return beside(frame, draw_columns(beta @ X.T, level))

    def diagnose(self) -> Verdict:
        """Whether the chains can be trusted, and where an association is mostly prior."""
        verdict, found = super().diagnose(), identification(self)
        more = found.loc[found["identified"] != "yes", "words"]
        return replace(verdict, words=" ".join([verdict.words, *more]))

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
            So many posterior draws, evenly spaced, are used.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            The patient's column, time, estimate, std_error, conf_low, conf_high, on the scale of
            the response. After `at` it is the curve that the patient is on: no value is claimed for
            a time that the patient does not live to see.

        References
        ----------
        Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data, section 7.2.
        """
        from longsurv.estimands.dynamic import patient_curves

        thetas = self.draws.spread(draws)
        frame, mean, variance = patient_curves(
            self.design, self.data, newdata, at, times, thetas, marker, interval == "prediction"
        )
        return beside(frame, mixture_columns(mean, variance, level))

    def predict_survival(
        self,
        newdata: NewData,
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
        level: float = 0.95,
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
            So many posterior draws, evenly spaced, are used.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            The patient's column, time, estimate, std_error, conf_low, conf_high: the probability
            of no event of any cause until `time`, averaged over the patient's random effects.
        """
        from longsurv.estimands.dynamic import conditional_survival

        thetas = self.draws.spread(draws)
        frame, S = conditional_survival(self.design, self.data, newdata, at, times, thetas)
        return beside(frame, draw_columns(S, level))

    def predict_incidence(
        self,
        newdata: NewData,
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
        level: float = 0.95,
        cause: str | None = None,
    ) -> pd.DataFrame:
        """Probability of each cause's event by later times.

        Parameters
        ----------
        newdata, at, times, draws, level
            As for `predict_survival`.
        cause : str, optional
            The only one wanted.

        Returns
        -------
        DataFrame
            The patient's column, time, cause, estimate, std_error, conf_low, conf_high.
        """
        from longsurv.estimands.dynamic import conditional_incidence

        thetas = self.draws.spread(draws)
        frame, F = conditional_incidence(self.design, self.data, newdata, at, times, thetas, cause)
        return beside(frame, draw_columns(F, level))


def log_likelihoods(design: JointDesign, data: joint.JointData, thetas: np.ndarray) -> np.ndarray:
    """Log-likelihood of each patient at each parameter vector, shape (S, N)."""
    measured = []
    for marker in design.markers:
        d, kind = marker.design, marker.kind
        exact = np.ones(len(d.y), dtype=bool) if kind is None else kind == 0
        measured.append((d.fixed.X[exact], d.y[exact], marker.group[exact]))

    near = joint.modes(data, data.own(thetas.mean(axis=0)))

    def each(theta: np.ndarray) -> np.ndarray:
        out, start = joint.within_patients(data, theta, near), 0
        for m, (X, y, group) in enumerate(measured):
            stop, log_sigma = start + X.shape[1], theta[data.p + m]
            r = (y - X @ theta[start:stop]) * np.exp(-log_sigma)
            logs = -0.5 * (r * r + joint.LOG_2PI) - log_sigma
            out += np.bincount(group, weights=logs, minlength=len(out))
            start = stop
        return out

    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(each, thetas)))
