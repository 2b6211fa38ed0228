"""Joint model of a marker's trajectory and an event.

    y_i(t) = m_i(t) + e_i(t),   m_i(t) = x(t)'beta + z(t)'b_i,   b_i ~ N(0, D),   e_i ~ N(0,
    sigma^2) log h_i(t) = B(t)'gamma + w_i'omega + sum_k alpha_k f_k(m_i, t)

The marker is a linear mixed model; the hazard depends on the curve m_i itself, not on its noisy
and interrupted measurements: on its current value, its slope, or the area under it. alpha_k is the
association. So a marker that stops when patients die is still estimated without bias, and its
effect on the hazard is not diluted by measurement error. The baseline hazard B(t)'gamma is that of
a patient with average covariates and the marker at its mean. With delayed entry, b_i ~ N(0, D)
describes those at risk at entry.

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data; Henderson, Diggle & Dobson
(2000), Biostatistics 1:465-480; Wulfsohn & Tsiatis (1997), Biometrics 53:330-339.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from longsurv import priors as pr
from longsurv.design.baseline import baseline
from longsurv.design.joint import JointDesign, joint_design
from longsurv.design.links import Link, Links, area, as_links, slope, value
from longsurv.design.quadrature import normal_grid
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Optimum, added, sample, whiten
from longsurv.inference.density import LogDensity
from longsurv.likelihood import joint, lmm
from longsurv.models.cox import CoxPH
from longsurv.models.joint_priors import JointPriors, Smoothing, joint_priors
from longsurv.models.joint_start import climb, link_sd, start
from longsurv.models.lmm import LMM
from longsurv.results.assemble_joint import joint_estimate, joint_posterior
from longsurv.results.joint import JointEstimate, JointPosterior
from longsurv.results.mixed import MixedEstimate

__all__ = ["JointModel", "Link", "Links", "area", "slope", "value"]

LARGEST_Q = 3
CURRENT_VALUE = value()
USUAL_SMOOTHING = Smoothing()


@dataclass(frozen=True, eq=False)
class JointModel:
    """Joint model.

    Parameters
    ----------
    marker : LMM
        Its formula and data are used, with one random term of up to three effects.
    event : CoxPH
        Its formula and data are used, one row a patient, with the column that the marker groups by.
    time : str
        Column of the marker's data with the time of each measurement, on the clock of the event.
    link : Link or Links
        What of the marker's curve the hazard depends on, as in ``value() + slope()``.
    baseline : {"spline", "weibull", "piecewise", "exponential"}
        Log baseline hazard: cubic B-splines, Weibull, constant between knots, or constant.
    knots : sequence of float, optional
        Interior knots; by default at quantiles of the event times.
    n_knots : int, optional
        How many; 5 for splines and 6 for pieces by default, fewer with few events.
    nodes : int
        Gauss-Hermite nodes a random effect; `JointEstimate.node_convergence` shows whether they
        are enough.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    marker: LMM
    event: CoxPH
    time: str
    link: Link | Links = CURRENT_VALUE
    baseline: str = "spline"
    knots: Sequence[float] | None = None
    n_knots: int | None = None
    nodes: int = 3

    def __post_init__(self) -> None:
        as_links(self.link)
        if not isinstance(self.nodes, int) or self.nodes < 1:
            raise LongsurvError(f"nodes is an integer of at least 1, not {self.nodes!r}")

    @property
    def formula(self) -> str:
        """All parts of the model in one line."""
        links = " + ".join(
            f"{one.kind}({f'by={one.by!r}' if one.by else ''})" for one in as_links(self.link).links
        )
        return f"{self.marker.formula}; {self.event.formula}; {links}; {self.baseline} baseline"

    @cached_property
    def design(self) -> JointDesign:
        """The arrays of the model."""
        event = self.event.design
        shape = baseline(
            self.baseline, event.exit, event.event, knots=self.knots, n_knots=self.n_knots
        )
        design = joint_design(
            self.marker.design, self.marker.data, event, self.event.data, self.time,
            as_links(self.link), shape,
        )  # fmt: skip
        if len(design.marker.random.names) > LARGEST_Q:
            raise LongsurvError(f"a joint model takes up to {LARGEST_Q} random effects a patient")
        return design

    @cached_property
    def statistics(self) -> joint.JointData:
        """Per-patient sufficient statistics and quadrature points."""
        d, m = self.design, self.design.marker
        return joint.JointData(
            marker=lmm.prepare(m.fixed.X, m.y, m.Z, d.group, len(d.labels)),
            event=d.status,
            covariates=d.covariates,
            **vars(d.points),
            **vars(normal_grid(self.nodes, len(m.random.names))),
        )

    @cached_property
    def alone(self) -> MixedEstimate:
        """The mixed model alone, by maximum likelihood, for the same patients."""
        return replace(self.marker, data=self.design.measurements).fit(method="ML", df="normal")

    @cached_property
    def link_sd(self) -> dict[str, float]:
        """SD of each link across patients at their exit, as the mixed model alone predicts them."""
        return link_sd(self.alone, self.design)

    def _climb(self, density: LogDensity) -> Optimum:
        data = self.statistics
        first = start(self.alone, self.design, data)
        optimum = climb(density, first, self.design, data.n_marker)
        if not np.isfinite(optimum.value):
            raise EstimationError(f"{self.formula!r} cannot be estimated: {optimum.status}")
        return optimum

    def fit(self) -> JointEstimate:
        """Maximise the likelihood; standard errors are those of the observed information."""
        data = self.statistics
        optimum = self._climb(partial(joint.loglik, data))
        return joint_estimate(self, data, optimum)

    def prior_stack(
        self, given: Mapping[str, pr.Prior] | None, eta: float, smoothing: Smoothing | None
    ) -> JointPriors:
        """The priors in the order of the parameter vector, the user's in place of the defaults."""
        parts = ("event.", "assoc.", "baseline.")
        hazard = {k: v for k, v in (given or {}).items() if k.startswith(parts)}
        marker = {k: v for k, v in (given or {}).items() if k not in hazard}
        stack = replace(self.marker, data=self.design.measurements).prior_stack(marker, eta)
        covariates = self.event.default_priors()
        return joint_priors(self.design, stack, covariates, self.link_sd, hazard, smoothing)

    def sample(
        self,
        *,
        draws: int = 1000,
        tune: int = 300,
        chains: int = 2,
        seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None,
        eta: float = 2.0,
        smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> JointPosterior:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By name as in `tidy`: "year", "sd(year|id)", "event.age", "event.drug", "assoc.value".
        eta : float
            Of the LKJ prior of the random effects' correlation.
        smoothing : Smoothing or None
            Of a spline's second differences.
        """
        data, stack = self.statistics, self.prior_stack(priors, eta, smoothing)
        log_posterior = added(partial(joint.loglik, data), stack.value_and_gradient)
        mode = self._climb(log_posterior)
        whitening = whiten(mode.x, mode.hessian)
        drawn = sample(log_posterior, whitening, draws=draws, tune=tune, chains=chains, seed=seed)
        return joint_posterior(self, data, stack, mode, drawn)

    def to_pymc(
        self,
        priors: Mapping[str, pr.Prior] | None = None,
        eta: float = 2.0,
        smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> Any:
        """The same model, data, priors and times in PyMC, with explicit random effects."""
        import pymc as pm

        d, pt = self.design, self.design.points
        if not d.labels.equals(d.marker.labels):
            raise LongsurvError("to_pymc needs at least one measurement of every patient")
        stack = self.prior_stack(priors, eta, smoothing)
        growth = replace(self.marker, data=d.measurements)
        owner = np.repeat(np.arange(len(d.labels)), np.diff(pt.start))
        with growth.to_pymc(
            dict(zip(stack.marker.names, stack.marker.priors, strict=True)), eta
        ) as model:
            beta = pm.math.stack([model[name] for name in d.marker.fixed.names])
            terms = dict(zip(stack.hazard.names, stack.hazard.priors, strict=True))
            free = {name: prior.to_pymc(name) for name, prior in terms.items()}
            gamma, omega, alpha = (
                pm.math.stack([free[name] for name in names]) if names else np.zeros(0)
                for names in (d.baseline_names, d.covariate_names, d.association_names)
            )
            if stack.smoothing is not None:
                pm.Potential("smoothing", stack.smoothing.to_pymc(gamma))
            eta_t = pt.basis.T @ gamma + (d.covariates @ omega)[owner]
            for k in range(len(d.association_names)):
                own = (pt.link_z[k].T * model["b"][owner]).sum(axis=-1)
                eta_t += alpha[k] * (pt.link_x[k].T @ beta + own - pt.link_centre[k])
            pm.Potential("events", (d.status * eta_t[pt.start[:-1]]).sum())
            pm.Potential("survival", -(pt.weight * pm.math.exp(eta_t)).sum())
        return model
