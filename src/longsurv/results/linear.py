"""Answers of a linear model: least squares, and exact posterior draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.design import MixedDesign
from longsurv.errors import EstimationError
from longsurv.inference import Draws, Optimum
from longsurv.inference.specification import AnySpecification
from longsurv.priors import Prior
from longsurv.results import plots
from longsurv.results.arithmetic import DrawnLogs, FittedLogs, Patients, Spread
from longsurv.results.averaging import LoggedMethods
from longsurv.results.contrasts import ContrastLike, contrast_matrix
from longsurv.results.criticism import StraightLines, WithResiduals
from longsurv.results.estimate import TIDY, Estimate
from longsurv.results.means import Means
from longsurv.results.posterior import summarise
from longsurv.results.reference import NormalReference
from longsurv.tables.notebook import Readable
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False, eq=False)
class LinearEstimate(LoggedMethods, WithResiduals, StraightLines, Estimate):
    """A linear model fitted by least squares (see `Estimate`).

    Attributes
    ----------
    sigma : float
        Residual standard deviation.
    """

    sigma: float

    @classmethod
    def at(cls, spec: AnySpecification, design: MixedDesign, optimum: Optimum) -> LinearEstimate:
        """The fitted model at what `least_squares` found.

        Parameters
        ----------
        spec : Linear
        design : MixedDesign
        optimum : Optimum

        Returns
        -------
        LinearEstimate
        """
        n, p = design.fixed.X.shape
        variance = _squares(design, optimum.x) / (n - p)
        _, R, scale = _factored(design.fixed.X)
        inverse = np.linalg.inv(R) / scale[:, None]
        cov = variance * inverse @ inverse.T
        flags = [f"{name} is left out: other columns determine it" for name in design.fixed.aliased]
        if design.n_excluded:
            flags.append(
                f"{plural(design.n_excluded, 'row')} {verb(design.n_excluded, 'is', 'are')} "
                f"left out for missing values"
            )
        return cls(
            spec=spec, design=design, names=design.fixed.names, coefficients=optimum.x,
            reference=NormalReference(
                cov, "exact", root=np.sqrt(variance) * inverse, residual_df=float(n - p)
            ),
            llf=optimum.value, nobs=n, n_params=p + 1, optimum=optimum, method="least squares",
            flags=tuple(flags), sigma=float(np.sqrt(variance)),
        )  # fmt: skip

    @property
    def residual_cov(self) -> np.ndarray:
        """Variance of the residuals, shape (1,)."""
        return np.array([self.sigma**2])

    @property
    def random_cov(self) -> pd.DataFrame:
        """Covariance of the random effects, of which there are none."""
        return pd.DataFrame()

    @property
    def own_covariances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each grouping of random effects, of which there are none."""
        return []

    def _log_means(self, of: Means, base: float, patients: Patients) -> FittedLogs:
        k, v = len(of.L), self.sigma**2
        slope = v * np.sqrt(2.0 / self.reference.df(np.empty(0)))
        spread = Spread(np.full(k, v), np.full((k, 1), slope))
        return FittedLogs(of.L, self.coefficients, self.reference, spread, base)

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """The residual SD, with its exact interval from the chi-squared distribution.

        Parameters
        ----------
        level : float
            Of the interval.

        Returns
        -------
        DataFrame
        """
        from scipy.special import gammaincinv

        df = self.reference.df(np.empty(0))
        low, high = (
            self.sigma * np.sqrt(df / (2.0 * gammaincinv(df / 2.0, 0.5 + k * level / 2.0)))
            for k in (1, -1)
        )
        error = self.sigma / np.sqrt(2.0 * df)
        row = ("sigma", self.sigma, error, np.nan, np.nan, np.nan, low, high)
        return pd.DataFrame([row], columns=TIDY)


def least_squares(formula: str, design: MixedDesign) -> Optimum:
    """The coefficients of a linear model, with its restricted log-likelihood there.

    Parameters
    ----------
    formula : str
        For messages.
    design : MixedDesign
        Its fixed part has full column rank and fewer columns than rows.

    Raises
    ------
    EstimationError
        If the model fits every value exactly, which leaves no variance to estimate.
    """
    y, (n, p) = design.y, design.fixed.X.shape
    Q, R, scale = _factored(design.fixed.X)
    beta = np.linalg.solve(R, Q.T @ y) / scale
    rss = _squares(design, beta)
    rounding = 16.0 * np.finfo(float).eps ** 2 * float((y**2).sum())
    if not rss > max(1e-20 * float(((y - y.mean()) ** 2).sum()), rounding):
        raise EstimationError(f"{formula!r} fits every value exactly: no variance is left")
    variance = rss / (n - p)
    half = R * scale  # the information is half' half / variance
    log_det = 2.0 * float(np.log(np.abs(np.diag(R)) * scale).sum())
    llf = -0.5 * ((n - p) * (np.log(2.0 * np.pi * variance) + 1.0) + log_det)
    return Optimum(
        x=beta, value=llf, gradient=np.zeros(p),
        hessian=-(half.T @ half) / variance, free=np.arange(p),
        at_boundary=(), status="converged", evaluations=1, newton_decrement=0.0,
        condition_number=1.0,  # in orthonormal columns, whatever the origin of those of X
    )  # fmt: skip


def _factored(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q (n, p), R (p, p) and the lengths of the columns (p,), with X = Q R diag(lengths)."""
    scale = np.sqrt((X**2).sum(axis=0))
    Q, R = np.linalg.qr(X / scale)
    return Q, R, scale


def _squares(design: MixedDesign, beta: np.ndarray) -> float:
    """Sum of the squared residuals."""
    return float(((design.y - design.fixed.X @ beta) ** 2).sum())


@check_methods
@dataclass(frozen=True, eq=False)
class LinearPosterior(LoggedMethods, Readable):
    """Independent draws from the posterior of a linear model.

    Attributes
    ----------
    spec : Linear
    design : MixedDesign
    names : tuple of str
        Coefficients.
    samples : mapping of str to ndarray, shape (chains, draws)
        Coefficients, then sigma.
    priors : mapping of str to Prior
    draws : Draws
        As they were made; theta, shape (chains, draws, p + 1), in the order of `samples`.
    method : str
    flags : tuple of str
    """

    engine: ClassVar[Literal["bayes"]] = "bayes"

    spec: AnySpecification
    design: MixedDesign
    names: tuple[str, ...]
    samples: Mapping[str, np.ndarray]
    priors: Mapping[str, Prior]
    draws: Draws = field(repr=False)
    method: str
    flags: tuple[str, ...]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Coefficients and sigma in the grammar of `Posterior.tidy`.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
        """
        return summarise(self.samples, level)

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the parameters with their intervals.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.rows(list(self.samples), self.tidy(level), "Coefficient", level, ax)

    def _log_means(self, of: Means, base: float, patients: Patients) -> DrawnLogs:
        mean = self.draws.theta[..., :-1] @ of.L.T
        return DrawnLogs(base * (mean + 0.5 * base * self.samples["sigma"][..., None] ** 2))

    def contrast(self, of: ContrastLike, level: float = 0.95) -> pd.DataFrame:
        """Linear combinations of coefficients (see `Estimate.contrast`).

        Parameters
        ----------
        of : str, mapping, array or DataFrame
            A coefficient's name, weights by name, an array of shape (p,) or (r, p), or a table with
            labelled rows.
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            One row a combination, in the grammar of `tidy`.
        """
        L, labels = contrast_matrix(of, self.names)
        values = np.stack([self.samples[name] for name in self.names], axis=-1) @ L.T
        return summarise({name: values[..., k] for k, name in enumerate(labels)}, level)


check_methods(LinearPosterior)
