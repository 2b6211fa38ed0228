"""Fine and Gray's model of the cumulative incidence of one of several competing events.

    1 - F_i(t) = exp(-H_0(t) exp(x_i' b))

F is the probability of the event by t, others having left by competing events, which is never
more than 1 less their share. The hazard behind it is that of the subdistribution: among those who
have not had *this* event, who left by another included. So a covariate's coefficient says which
way it moves the incidence, and not whether it acts on the event or on what competes with it; a
Cox model with competing events as censoring says how it acts on the rate of the event.

Fine & Gray (1999), J Am Stat Assoc 94:496-509; Geskus (2011), Biometrics 67:39-49, for entry times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import pandas as pd

from longsurv.design import SurvivalDesign, survival_design
from longsurv.design.expression import Functions
from longsurv.design.formula import parse
from longsurv.design.outcome import read_numbers, status_problem
from longsurv.design.owned import owned
from longsurv.design.statement import of_table
from longsurv.design.subdistribution import Subdistribution, subdistribution
from longsurv.design.survival import PlacedTimes
from longsurv.errors import DataError
from longsurv.inference import Optimum
from longsurv.likelihood import cox
from longsurv.models.cox_climb import check_covariates, maximum, statistics
from longsurv.results.options import Ties
from longsurv.results.survival.fine_gray import FineGrayEstimate
from longsurv.times import Clock


@dataclass(frozen=True, eq=False)
class FineGray:
    """Fine and Gray's model.

    It has no likelihood, so no `sample`: the Bayesian answer about an incidence is that of the
    hazards of all causes (`Mortality(...).competing()`, `incidence_posterior`).

    Parameters
    ----------
    formula : str
        As in ``"Surv(exit, status) ~ drug + age"`` or ``"Surv(entry, exit, status) ~ drug"``, with
        a status of 0 for censored and another number for each kind of event. ``strata(site)``
        gives every site a baseline and a curve of censoring of its own, ``cluster(id)`` a
        covariance robust to dependence within id, ``offset(z)`` a known part of the log hazard.
    data : DataFrame
        One row a patient. Rows with a missing value in a column of the formula are left out, and
        the result says how many.
    cause : int
        Status of the event; every other above 0 competes with it.
    ties : {"efron", "breslow"}
    weights : str, optional
        Column of case weights, of which the curve of censoring takes account too, as if patients
        stood in the table so many times; R's ``finegray(weights=)`` estimates that curve without
        them, and gives other coefficients. The covariance is robust, whole numbers or not: a row
        of weight 3 is one patient who counts for three.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame = field(repr=False)
    cause: int = 1
    ties: Ties = "efron"
    weights: str | None = None
    functions: Functions | None = None

    def __post_init__(self) -> None:
        own = owned(self.data, self.formula, self.weights, None)
        object.__setattr__(self, "data", own)

    def __repr__(self) -> str:
        return of_table(self)

    @cached_property
    def design(self) -> SurvivalDesign:
        """The arrays of the model, a row a patient; `event` is the cause."""
        parsed, data = parse(self.formula, self.functions), self.data
        surv = parsed.surv
        if surv and not parsed.between and surv[-1] in data:
            codes = self._codes
            if not (codes == self.cause).any():
                found = ", ".join(f"{c:g}" for c in np.unique(codes[~np.isnan(codes)]))
                raise DataError(
                    f"nobody has an event of cause {self.cause}: column {surv[-1]!r} holds {found}"
                )
            event = np.where(np.isnan(codes), np.nan, codes == self.cause)
            data = data.assign(**{surv[-1]: event})
        return survival_design(self.formula, data, weights=self.weights, functions=self.functions)

    @cached_property
    def status(self) -> np.ndarray:
        """Status of each row used."""
        rows = self.design.rows  # first, since it says what is wrong with the formula
        return self._codes[rows].astype(np.int64)

    @cached_property
    def _codes(self) -> np.ndarray:
        """The status of every row, NaN where it is missing."""
        name = parse(self.formula, self.functions).surv[-1]
        codes = read_numbers(self.data[name], name)
        wrong = ~np.isnan(codes) & ((codes < 0) | (codes != np.floor(codes)))
        problem = status_problem(self.data[name], name)
        if wrong.any():
            raise DataError(
                f"column {name!r} must hold 0 (censored), 1, 2, ... (a kind of event each); it has"
                f" {codes[wrong][0]:g}"
            )
        if problem:
            raise DataError(problem)
        return codes

    @cached_property
    def made(self) -> Subdistribution:
        """Rows of the weighted Cox model that this one is."""
        d = self.design
        n, late = len(d.rows), len(d.formula.surv) == 3
        return subdistribution(
            d.entry, d.exit, self.status, self.cause,
            np.ones(n) if d.weights is None else d.weights,
            np.zeros(n, dtype=int) if d.stratum is None else d.stratum, late,
        )  # fmt: skip

    @cached_property
    def stretched(self) -> SurvivalDesign:
        """The arrays of those rows."""
        d, made = self.design, self.made
        source = made.source
        surv = d.formula.surv if len(d.formula.surv) == 3 else ("", *d.formula.surv)

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[source]

        # Stretches begin and end at times of patients, which are merged already.
        times = np.unique(np.concatenate([d.entry, d.exit]))
        timed = Clock(
            times, np.searchsorted(times, made.exit), np.searchsorted(times, made.entry), None
        )
        placed = PlacedTimes(made.entry, made.exit, timed)
        return replace(
            d, formula=replace(d.formula, surv=surv), entry=made.entry, exit=made.exit,
            event=made.event, fixed=replace(d.fixed, X=d.fixed.X[source]), rows=d.rows[source],
            weights=made.weight, stratum=of(d.stratum), cluster=source, patient=source,
            offset=of(d.offset), placed=placed,
        )  # fmt: skip

    @cached_property
    def statistics(self) -> cox.CoxData:
        """Sorted arrays of the weighted partial likelihood."""
        return statistics(self.formula, self.stretched, self.ties)

    def with_data(self, data: pd.DataFrame) -> Self:
        """The same model of other rows, with the columns of the formula.

        Parameters
        ----------
        data : DataFrame
            One row a patient.
        """
        return replace(self, data=data)

    def fit(self, censoring: Literal["estimated", "known"] = "estimated") -> FineGrayEstimate:
        """Maximise the weighted partial likelihood.

        Where it has no maximum (separated groups), Firth's is maximised and the result says so.

        Parameters
        ----------
        censoring : {"estimated", "known"}
            Whether the robust covariance accounts for the curve of censoring being estimated, as
            R's cmprsk does, or takes it as known, as its survival does. With entry times it is
            always taken as known.
        """
        return self.estimate(self.find(), censoring)

    def find(self) -> Optimum:
        """Climb the weighted partial likelihood."""
        check_covariates(self.formula, self.design)
        return maximum(self.formula, self.stretched, self.statistics, None)

    def estimate(
        self, optimum: Optimum, censoring: Literal["estimated", "known"] = "estimated"
    ) -> FineGrayEstimate:
        """Put the estimate at an optimum of `find` together; the option is that of `fit`.

        Parameters
        ----------
        optimum : Optimum
            From `find`.
        censoring : {"estimated", "known"}
            As for `fit`.
        """
        return FineGrayEstimate.at(self, self.statistics, optimum, censoring == "known")
