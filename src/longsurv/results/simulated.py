"""Other responses in place of those of a fitted mixed model: drawn from it, or given."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.design.generalised import CODED, GeneralisedDesign, check_values
from longsurv.design.mixed import MixedDesign
from longsurv.diagnostics.influence import Fitted
from longsurv.errors import LongsurvError
from longsurv.likelihood.glmm.drawn import new_effects
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.own_order import in_own_order
from longsurv.results.generalised.quantities import factor
from longsurv.results.mixed.variances import VarianceEstimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from longsurv.diagnostics.clusters import FittedMixed
    from longsurv.likelihood import glmm

type Draw = Callable[[np.random.Generator], np.ndarray]


class Simulated(Fitted, Protocol):
    """What is used of a fitted mixed model, linear or generalised."""

    @property
    def params(self) -> pd.Series:
        """Coefficients by name."""

    @property
    def variance(self) -> VarianceEstimate:
        """The variance parameters."""


class SimulatedGLMM(Simulated, Protocol):
    """What is used of a fitted generalised mixed model besides."""

    @property
    def design(self) -> GeneralisedDesign:
        """Its arrays."""

    @property
    def theta(self) -> np.ndarray:
        """Vector of `likelihood.glmm.loglik_factor`, shape (d,)."""

    @property
    def data(self) -> glmm.GLMMData:
        """Its rows, sorted by patient."""


def simulate(fit: Simulated, n: int, seed: int) -> pd.DataFrame:
    """See `Simulating.simulate`."""
    if n < 1:
        raise LongsurvError(f"n is the number of data sets, at least 1, not {n}")
    check_determined(fit, "simulated from")
    draw, rows = simulator(fit), fit.spec.data.index[fit.design.rows]
    streams = np.random.SeedSequence(seed).spawn(n)
    values = [draw(np.random.default_rng(stream)) for stream in streams]
    if (labels := _labels(fit)) is not None:
        values = [labels[y.astype(np.int64)] for y in values]
    names = [f"simulation_{k}" for k in range(1, n + 1)]
    return pd.DataFrame(dict(zip(names, values, strict=True)), index=rows)


def check_determined(fit: Simulated, what: str) -> None:
    """Refuse a fit without an estimate of all that its values are drawn with.

    Raises
    ------
    LongsurvError
    """
    lost = (*fit.variance.undetermined, *(() if fit.converged else ("what has not converged",)))
    if lost:
        raise LongsurvError(
            f"{fit.spec.formula!r} cannot be {what}: there is no estimate of {', '.join(lost)}"
        )


def simulator(fit: Simulated) -> Draw:
    """Draws new responses of the same patients from the fitted model, shape (n,): categories of an
    ordinal one by number, measurements as they would be without limits."""
    return _simulator(fit.design, fit)


@singledispatch
def _simulator(design: MixedDesign, fit: Simulated) -> Draw:
    """The same; a function a kind of design."""
    from longsurv.diagnostics.clusters import clusters

    mean, order = design.fixed.X @ fit.coefficients, design.own_order
    rank, parts = np.argsort(order), []
    for cluster in clusters(cast("FittedMixed", fit)):
        own = np.argsort(rank[cluster.rows])
        parts.append((cluster.rows[own], np.linalg.cholesky(cluster.V[np.ix_(own, own)])))

    def draw(rng: np.random.Generator) -> np.ndarray:
        noise = in_own_order(rng.standard_normal(len(mean)), order)
        y = mean.copy()
        for rows, L in parts:
            y[rows] += L @ noise[rows]
        return y

    return draw


@_simulator.register
def _of_generalised(design: GeneralisedDesign, fit: SimulatedGLMM) -> Draw:
    data, theta = fit.data, fit.theta
    mean = design.offsets + design.fixed.X @ theta[: data.p]
    Z, own = design.effects.X @ factor(data, theta), theta[data.p : data.p + data.n_family]
    site, order = design.site_of_row, design.own_order

    def draw(rng: np.random.Generator) -> np.ndarray:
        eta = mean + new_effects(data, rng).of_rows(Z, design.group, site)
        return in_own_order(data.family.replicate(eta[order], own, data.kappa, rng), order)

    return draw


def measured(fit: Simulated, new_y: ArrayLike | pd.Series) -> np.ndarray:
    """Responses to put in place of those of a fit, shape (n,), checked."""
    index, design = fit.spec.data.index[fit.design.rows], fit.design
    if isinstance(new_y, pd.Series) and not new_y.index.equals(index):
        raise LongsurvError(
            "new_y is indexed otherwise than the rows of the fit; simulate() gives columns that "
            "are indexed as they are, and an array is taken in their order"
        )
    labels = _labels(fit)
    y = _numbers(new_y) if labels is None else _codes(new_y, labels)
    if y.shape != (len(index),):
        raise LongsurvError(
            f"new_y has the shape {y.shape}, but the fit has {len(index)} measurements"
        )
    if not np.isfinite(y).all():
        where = index[int(np.flatnonzero(~np.isfinite(y))[0])]
        raise LongsurvError(f"new_y is missing or not finite at index {where!r}")
    if isinstance(design, GeneralisedDesign):
        check_values(FAMILIES[design.family], y, "new_y", index)
    return y


def _numbers(new_y: ArrayLike | pd.Series) -> np.ndarray:
    try:
        return np.asarray(new_y, dtype=float)
    except (TypeError, ValueError):
        raise LongsurvError(
            "new_y is one number a measurement, as a column of simulate(); got "
            f"{type(new_y).__name__}"
        ) from None


def _codes(new_y: ArrayLike | pd.Series, labels: pd.Index) -> np.ndarray:
    """Categories by number, NaN where missing."""
    given = pd.Series(new_y).reset_index(drop=True)
    codes = labels.get_indexer(pd.Index(given.astype(object))).astype(float)
    codes[given.isna().to_numpy()] = np.nan
    if (codes < 0).any():
        raise LongsurvError(
            f"new_y holds {given[codes < 0].iloc[0]!r}, which is no category of the fit; those are "
            f"{', '.join(map(str, labels))}"
        )
    return codes


def _labels(fit: Simulated) -> pd.Index | None:
    """The categories of an ordinal response as the data have them, by number; else None."""
    design = fit.design
    if not isinstance(design, GeneralisedDesign) or not design.levels:
        return None
    if design.merged:
        return pd.Index(design.levels, dtype=object)
    column = fit.spec.data[design.response_column]
    # By the data's own numbers: those of the design may be of responses put in their place.
    codes = CODED["ordered"](column)[0][design.rows]
    first = np.unique(codes, return_index=True)[1]
    return pd.Index(column.iloc[design.rows].astype(object).iloc[first].to_numpy(), dtype=object)


def refit[F: Simulated](fit: F, y: np.ndarray) -> F:
    """The same model of other responses y (n,), as `simulator` draws them, on the same design.

    Raises
    ------
    LongsurvError
        For responses of which the fit does not say what would have been seen of them.
    """
    return cast("F", fit.again(fit.spec.with_design(fit.design.with_values(y))))
