"""Joint model of markers' trajectories and an event.

    y_im(t) = m_im(t) + e_im(t),   m_im(t) = x_m(t)'beta_m + z_m(t)'b_im,   e_im ~ N(0, sigma_m^2)
    b_i = (b_i1, b_i2, ...) ~ N(0, D)
    log h_ic(t) = B_c(t)'gamma_c + w_ic'omega_c + sum_k alpha_ck f_ck(m_i, t)

Every marker m is a linear mixed model, and the markers' random effects are correlated. The hazard
of every cause c depends on the curves m_im themselves, not on their noisy and interrupted
measurements: on a current value, a slope, or the area under it. alpha is the association. So a
marker that stops when patients die is still estimated without bias, and its effect on the hazard
is not diluted by measurement error. A value below a detection limit counts as P(y < limit). The
baseline hazard B(t)'gamma is that of a patient with average covariates and markers at their means.
With delayed entry, b_i ~ N(0, D) describes those at risk at entry, or, with entry="population",
everyone at time 0: then the likelihood is that given survival to entry.

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data; Henderson, Diggle & Dobson
(2000), Biostatistics 1:465-480; Wulfsohn & Tsiatis (1997), Biometrics 53:330-339.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design.joint import JointDesign
from longsurv.design.links import Link, Links, Wanted, area, links_of, slope, value
from longsurv.design.statement import group_counts, statement
from longsurv.errors import LongsurvError
from longsurv.inference import Affine, Draws, Optimum, drawn, outward
from longsurv.inference.sample import check_run
from longsurv.inference.specification import holding
from longsurv.likelihood import joint
from longsurv.models.cox import CoxPH
from longsurv.models.glmm import GLMM
from longsurv.models.hazard import Hazard
from longsurv.models.joint_climb import draw, maximum
from longsurv.models.joint_parts import (
    build_arrays,
    build_design,
    causes_of,
    columns_needed,
    formula_of,
    markers_of,
    with_rows,
)  # fmt: skip
from longsurv.models.joint_priors import JointPriors, joint_priors
from longsurv.models.joint_smoothing import Smoothing
from longsurv.models.joint_start import coordinates, expected_events, link_sd, markers_alone, start
from longsurv.models.joint_twin import twin
from longsurv.models.lmm import LMM
from longsurv.results.joint.estimate import JointEstimate
from longsurv.results.joint.posterior import JointPosterior
from longsurv.results.mixed.estimate import MixedEstimate

if TYPE_CHECKING:
    from pymc import Model

__all__ = ["JointModel", "Link", "Links", "area", "slope", "value"]

CURRENT_VALUE = value()
USUAL_SMOOTHING = Smoothing()
LARGEST_Q_WITH_NODES = 4
"""Three nodes for each of four effects cost twice as much as one; of six, ten times as much."""


@dataclass(frozen=True, eq=False)
class JointModel:
    """Joint model.

    Parameters
    ----------
    marker : LMM, GLMM, or a sequence or mapping of them
        Their formulas and data are used, each with one random term, all grouped by the same column;
        a GLMM is of family "censored". In a sequence a marker is called after the variable of its
        response ("bili" for log(bili)); a mapping names them.
    event : CoxPH or Hazard, or a sequence or mapping of them
        Formula and data are used, one row a patient, with the column that the markers group by; the
        baseline hazard is stated here.
        Several are competing causes with the same patients and times, in a sequence called after
        their event's column.
    time : str
        Column of the markers' data with the time of each measurement, on the clock of the event.
    link : Link, Links, or a sequence or mapping of them
        What of the markers' curves the hazards depend on, as in ``value() + slope()``: the same for
        all; by marker, ``{"bili": value(), "albumin": slope()}`` or a list in their order; or by
        cause, ``{"death": {"bili": value()}, "discharge": slope()}``. What a mapping does not
        name has no link.
    baseline : str, or a mapping by cause
        Log baseline hazard: B-splines ("spline"; cubic from 9 events on), "weibull", constant
        between knots ("piecewise"), or "exponential".
    knots : sequence of float, optional
        Interior knots; by default at quantiles of the event times.
    n_knots : int, optional
        How many; 5 for splines and 6 for pieces by default, fewer with few events.
    nodes : int, optional
        Gauss-Hermite nodes a random effect: by default 3 for up to four effects a patient, and 1,
        Laplace's approximation, for more. `JointEstimate.node_convergence` shows the error.
    entry : {"at_risk", "population"}
        Whom the random effects' distribution describes when patients enter late.

    Raises
    ------
    LongsurvError
        For options that do not fit together.
    FormulaError, DataError
        When the design is first needed.
    """

    marker: LMM | GLMM | Sequence[LMM | GLMM] | Mapping[str, LMM | GLMM]
    event: Annotated[  # said by `causes_of`
        CoxPH | Hazard | Sequence[CoxPH | Hazard] | Mapping[str, CoxPH | Hazard], None
    ]
    time: str
    link: Wanted = CURRENT_VALUE
    baseline: str | Mapping[str, str] = "spline"
    knots: Sequence[float] | None = None
    n_knots: int | None = None
    nodes: int | None = None
    entry: Literal["at_risk", "population"] = "at_risk"

    def __post_init__(self) -> None:
        links_of(self.link, list(self.markers), list(self.causes))
        if self.nodes is not None and (not isinstance(self.nodes, int) or self.nodes < 1):
            raise LongsurvError(f"nodes is an integer of at least 1, not {self.nodes!r}")

    def __repr__(self) -> str:
        parts = {**markers_of(self.marker), **causes_of(self.event)}  # a scan is not read
        counts = [group_counts(one.formula, one.data) for one in parts.values()]
        rows = {name: len(one.data) for name, one in parts.items()}
        groups = {name: n for found in reversed(counts) for name, n in found.items()}
        told = ("marker", "event", "link", "baseline")
        return statement(self, self.formula, rows, groups, told)

    @cached_property
    def markers(self) -> dict[str, LMM | GLMM]:
        """The markers by name, with their rows in memory."""
        return {k: with_rows(one, self._columns) for k, one in markers_of(self.marker).items()}

    @cached_property
    def causes(self) -> dict[str, CoxPH | Hazard]:
        """The causes of the event by name, with their rows in memory."""
        return {k: with_rows(one, self._columns) for k, one in causes_of(self.event).items()}

    @property
    def _columns(self) -> frozenset[str]:
        markers, causes = markers_of(self.marker), causes_of(self.event)
        formulas = [one.formula for one in (*markers.values(), *causes.values())]
        links = links_of(self.link, list(markers), list(causes))
        return columns_needed(formulas, self.time, links)

    @property
    def formula(self) -> str:
        """All parts of the model in one line."""
        return formula_of(self)

    @cached_property
    def design(self) -> JointDesign:
        """The arrays of the model."""
        return build_design(self)

    @property
    def quadrature_nodes(self) -> int:
        """Nodes for each random effect."""
        usual = 3 if len(self.design.effect_names) <= LARGEST_Q_WITH_NODES else 1
        return self.nodes or usual

    @cached_property
    def statistics(self) -> joint.JointData:
        """Per-patient sufficient statistics and quadrature points."""
        return build_arrays(self, ())

    def arrays(self, given: Mapping[str, pr.Prior] | None) -> joint.JointData:
        """The same, with the random effects that the user's own priors are of.

        Parameters
        ----------
        given : mapping of str to Prior or None
            The user's own, by name.
        """
        return build_arrays(self, given) if given else self.statistics

    @cached_property
    def alone(self) -> tuple[MixedEstimate, ...]:
        """Each marker's mixed model by maximum likelihood, for the same patients."""
        return markers_alone(self.markers.values(), self.design)

    @cached_property
    def link_sd(self) -> dict[str, float]:
        """SD across patients at their exit of the link behind each association parameter."""
        return link_sd(self.alone, self.design)

    @cached_property
    def coordinates(self) -> Affine:
        """Unit-free coordinates to climb and sample in."""
        return coordinates(self.design, self.statistics, self.link_sd)

    @cached_property
    def start(self) -> np.ndarray:
        """Parameter vector of the markers alone and a second stage."""
        return start(self.alone, self.design, self.statistics)

    def with_data(
        self, measurements: Mapping[str, pd.DataFrame], events: Mapping[str, pd.DataFrame]
    ) -> Self:
        """The same model of other rows: those of each marker and those of each cause, by name.

        Parameters
        ----------
        measurements : mapping of str to DataFrame
            By marker.
        events : mapping of str to DataFrame
            By cause.
        """
        markers = {k: one.with_data(measurements[k]) for k, one in self.markers.items()}
        causes = {k: one.with_data(events[k]) for k, one in self.causes.items()}
        return replace(self, marker=markers, event=causes)

    def with_design(self, design: JointDesign) -> Self:
        """The same model of the arrays given in place of those of the data.

        Parameters
        ----------
        design : JointDesign
        """
        return holding(self, design=design)

    def fit(self) -> JointEstimate:
        """Maximise the likelihood; standard errors are those of the observed information."""
        return self.estimate(self.find())

    def find(self) -> Optimum:
        """Climb the likelihood."""
        return maximum(self.start, self.design, self.statistics, self.coordinates)

    def estimate(self, optimum: Optimum) -> JointEstimate:
        """Put the estimate at an optimum of `find` together.

        Parameters
        ----------
        optimum : Optimum
            From `find`.
        """
        return JointEstimate.at(self, self.statistics, optimum)

    def prior_stack(
        self, given: Mapping[str, pr.Prior] | None, eta: float, smoothing: Smoothing | None
    ) -> JointPriors:
        """The priors in the order of the parameter vector, the user's in place of the defaults.

        Parameters
        ----------
        given : mapping of str to Prior or None
            By name as in `tidy`.
        eta : float
            Of the LKJ prior of the random effects' correlation.
        smoothing : Smoothing or None
            Of a spline's second differences.
        """
        markers = self.markers.values()
        return joint_priors(self.design, markers, self.link_sd, given, eta, smoothing)

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        target_accept: float = 0.8, priors: Mapping[str, pr.Prior] | None = None,
        eta: float = 2.0, smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> JointPosterior:  # fmt: skip
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        target_accept : float
            Between 0 and 1: higher takes smaller steps, which cost more and diverge less. With many
            events 0.6 is enough, and takes a third less time (Hoffman & Gelman 2014, J Mach Learn
            Res 15:1593-1623, section 4).
        priors : mapping of str to Prior, optional
            By name as in `tidy`: "year", "sd(year|id)", "event.age", "event.drug", "assoc.value".
        eta : float
            Of the LKJ prior of the random effects' correlation.
        smoothing : Smoothing or None
            Of a spline's second differences.
        """
        found = self.draw(
            draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept,
            priors=priors, eta=eta, smoothing=smoothing,
        )  # fmt: skip
        return self.posterior(found, priors, eta, smoothing)

    def draw(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        target_accept: float = 0.8, priors: Mapping[str, pr.Prior] | None = None,
        eta: float = 2.0, smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> Draws:  # fmt: skip
        """Draw the parameters from their posterior; options are those of `sample`.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        target_accept : float
            Acceptance probability that the step size is adapted to.
        priors : mapping of str to Prior, optional
        eta : float
        smoothing : Smoothing or None
            As for `sample`.
        """
        check_run(draws=draws, tune=tune, chains=chains, target_accept=target_accept)
        stack, data = self.prior_stack(priors, eta, smoothing), self.arrays(priors)
        at = coordinates(self.design, data, self.link_sd) if priors else self.coordinates
        expected = expected_events(self.alone, self.design, data)
        found = draw(
            self.start, data, stack, at, expected, self.design.theta_names,
            draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept,
        )  # fmt: skip
        return outward(drawn(self.formula, found), data.plain)

    def posterior(
        self, draws: Draws, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0,
        smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> JointPosterior:  # fmt: skip
        """Put the posterior of `draw` together; the options are those of the draws.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        priors : mapping of str to Prior, optional
        eta : float
        smoothing : Smoothing or None
            Those of the draws.
        """
        stack = self.prior_stack(priors, eta, smoothing)
        return JointPosterior.from_draws(self, self.arrays(priors), stack, draws)

    def to_pymc(
        self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0,
        smoothing: Smoothing | None = USUAL_SMOOTHING,
    ) -> Model:  # fmt: skip
        """The same model, data, priors and times in PyMC, with explicit random effects.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
        eta : float
        smoothing : Smoothing or None
            As for `sample`.
        """
        if self.entry == "population" and (self.design.entry > 0).any():
            raise LongsurvError("to_pymc has no entry='population'")
        return twin(self.design, self.prior_stack(priors, eta, smoothing), eta)
