"""How a marker's values enter its model: as measured, or beyond a limit as lying beyond it.

A value beyond a limit of detection is known to lie beyond, and nothing else. The censored model
says so: such a row counts with P(y < limit) or P(y > limit), under the mean and the random effects
of the linear one. Taken at the limit, as if that had been measured, it draws the groups together
and makes intervals too narrow (docs/detection_limits_coverage.md).

A kind says which model is fitted, what that has no room for, and how it joins a hierarchy of
markers; no caller asks which kind it has.

Hughes (1999), Biometrics 55:625-629.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial, singledispatch
from types import MappingProxyType
from typing import ClassVar, NamedTuple, override

import numpy as np
import pandas as pd

from longsurv.arguments import choice
from longsurv.cohort.schema import BeyondLimit
from longsurv.design import Residual
from longsurv.design.expression import Functions
from longsurv.errors import LongsurvError
from longsurv.estimands.baseline_adjusted import SITE, covariance_of
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.site_coordinates import SiteCoordinates
from longsurv.likelihood.glmm.start import to_unconstrained
from longsurv.models.glmm import GLMM
from longsurv.models.linear import Linear
from longsurv.models.lmm import LMM

type MarkerModel = LMM | GLMM

LEAST_SPREAD = 0.05
"""Of the SD of a value's residual: a random effect's, where a hierarchy begins."""


class InHierarchy(NamedTuple):
    """What a hierarchy of markers needs of one.

    Attributes
    ----------
    loglik : callable
        Log likelihood and its gradient at the model's own vector, the coefficients first.
    start : ndarray, shape (d,)
        That vector near the estimate, away from any boundary.
    cov : ndarray, shape (p, p)
        Covariance of the estimated coefficients.
    n_drawn : int
        Effects of sites at the vector's end: `loglik` has their density, and costs a twentieth of
        the one without them.
    """

    loglik: Callable[[np.ndarray], tuple[float, np.ndarray]]
    start: np.ndarray
    cov: np.ndarray
    n_drawn: int = 0


class Response(ABC):
    """One way in which a marker's values enter its model.

    Attributes
    ----------
    first_known : bool
        Whether a first value is known, so that it can be a covariate of the later ones.
    spreads : bool
        Whether its residuals may be correlated, or spread by group.
    words : str
        Where a value beyond a limit stands, in words.
    instead : str
        What to do about a formula that its model refuses; empty if that is plain.
    """

    first_known: ClassVar[bool]
    spreads: ClassVar[bool]
    words: ClassVar[str]
    instead: ClassVar[str] = ""

    @property
    @abstractmethod
    def other(self) -> MarkerResponse:
        """What a marker with values beyond a limit is compared with."""

    @abstractmethod
    def model(
        self,
        trajectory: str,
        data: pd.DataFrame,
        residual: Residual | None = None,
        functions: Functions | None = None,
    ) -> MarkerModel:
        """The model of a marker's values.

        Parameters
        ----------
        trajectory : str
            Right-hand side, as "phase * treatment + (1 | patient)".
        data : DataFrame
            Rows of `Cohort.marker_data`: y and censored among their columns.
        residual : Residual, optional
            Independent and of one spread by default.
        functions : mapping of str to callable, optional
            That the trajectory may call by name.

        Raises
        ------
        LongsurvError
            For a residual that the model has no room for.
        """

    @abstractmethod
    def of_visits(self, formula: str, rows: pd.DataFrame) -> MarkerModel | Linear:
        """The model of a formula without random effects, of rows that may be several a patient.

        Parameters
        ----------
        formula : str
        rows : DataFrame
            Of `ComparedRows`.
        """


class AtTheLimit(Response):
    """As measured; a value beyond a limit as if the limit had been measured: a linear model."""

    first_known: ClassVar[bool] = True
    spreads: ClassVar[bool] = True
    words: ClassVar[str] = "at the limit"

    @property
    @override
    def other(self) -> MarkerResponse:
        return CENSORED

    @override
    def model(
        self,
        trajectory: str,
        data: pd.DataFrame,
        residual: Residual | None = None,
        functions: Functions | None = None,
    ) -> LMM:
        return LMM(f"y ~ {trajectory}", data, residual or Residual(), functions=functions)

    @override
    def of_visits(self, formula: str, rows: pd.DataFrame) -> LMM | Linear:
        term, residual = covariance_of(rows)
        if not term and residual.trivial:
            return Linear(formula, rows, "patient")
        return LMM(formula + term, rows, residual)


class BeyondTheLimit(Response):
    """A value beyond a limit as lying beyond it: a linear model of what was seen."""

    first_known: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    words: ClassVar[str] = "beyond the limit"
    instead: ClassVar[str] = (
        '; markers with values beyond a limit have a censored model. beyond_limit = "at the limit"'
        " under [models] takes these values at the limit, in a linear one"
    )

    @property
    @override
    def other(self) -> MarkerResponse:
        return AT_THE_LIMIT

    @override
    def model(
        self,
        trajectory: str,
        data: pd.DataFrame,
        residual: Residual | None = None,
        functions: Functions | None = None,
    ) -> GLMM:
        if residual is not None and not residual.trivial:
            raise LongsurvError(
                "a marker with values beyond a limit has one residual spread for all; take"
                " beyond_limit='at the limit' for residuals of another kind"
            )
        return GLMM(
            f"y ~ {trajectory}", data, family="censored", censored="censored", functions=functions
        )

    @override
    def of_visits(self, formula: str, rows: pd.DataFrame) -> GLMM:
        site = f" + (1 | {SITE})" if SITE in rows else ""
        text = f"{formula} + (1 | patient){site}"
        return GLMM(text, rows, family="censored", censored="censored")


@singledispatch
def in_hierarchy(spec: MarkerModel) -> InHierarchy:
    """What a hierarchy of markers needs of one; a function a kind of model.

    Parameters
    ----------
    spec : LMM or GLMM
    """
    raise NotImplementedError(type(spec).__name__)


@in_hierarchy.register
def _of_linear(spec: LMM) -> InHierarchy:
    cov = spec.fit(df="normal").cov_params().to_numpy()
    return InHierarchy(spec.sampled.loglik, spec.start, cov)


@in_hierarchy.register
def _of_generalised(spec: GLMM) -> InHierarchy:
    fit, data = spec.fit(), spec.arrays
    begin, cov = _interior(fit.theta, data), fit.cov_params().to_numpy()
    if not data.shared:
        return InHierarchy(partial(glmm.loglik, data), begin, cov)
    coordinates = SiteCoordinates.near(data, begin, data.n_sites)
    drawn = len(coordinates.estimate)
    return InHierarchy(coordinates.log_likelihood, coordinates.begin, cov, drawn)


def _interior(theta: np.ndarray, data: glmm.GLMMData) -> np.ndarray:
    """A vector of `glmm.loglik` near theta of `glmm.loglik_factor`, random effects apart and with
    a spread."""
    begin, (rows, columns) = theta.copy(), data.entries
    sigma = float(data.family.natural(theta[data.p : data.p + data.n_family])[0])
    factor = begin[data.p + data.n_family :]
    apart = np.maximum(np.abs(factor), LEAST_SPREAD * sigma)
    begin[data.p + data.n_family :] = np.where(rows == columns, apart, 0.0)
    return to_unconstrained(data, begin)


AT_THE_LIMIT, CENSORED = AtTheLimit(), BeyondTheLimit()
type MarkerResponse = AtTheLimit | BeyondTheLimit

RESPONSES: Mapping[str, MarkerResponse] = MappingProxyType(
    {"censored": CENSORED, "at the limit": AT_THE_LIMIT}
)
"""What values beyond a limit may be taken for; of a marker without any all are as measured."""


def response_of(data: pd.DataFrame, beyond_limit: BeyondLimit = "censored") -> MarkerResponse:
    """How a marker's values enter its model.

    Parameters
    ----------
    data : DataFrame
        Rows of `Cohort.marker_data`.
    beyond_limit : {"censored", "at the limit"}
        What a value beyond a limit counts as.

    Raises
    ------
    LongsurvError
        For another word.
    """
    choice("beyond_limit", beyond_limit, RESPONSES)
    return RESPONSES[beyond_limit] if has_limits(data) else AT_THE_LIMIT


def has_limits(data: pd.DataFrame) -> bool:
    """Whether some of a marker's values lie beyond a limit.

    Parameters
    ----------
    data : DataFrame
        Rows of `Cohort.marker_data`.
    """
    return bool((data["censored"] != "none").any())
