"""Is an effect on an ordinal response the same at every cut?

The score test of proportional against partial proportional odds, where every column of the fixed
effects has an effect of its own at each cut (Peterson & Harrell 1990, Applied Statistics
39:205-217), in the marginal likelihood of the mixed model. With U the score of those effects at the
fit and V its variance, the expected information less what the parameters of the fit take,

    statistic(all) = U' V^-1 U,    statistic(variable) = statistic(all) - statistic(all without it),

so that neither depends on the origin or the unit of a variable, interactions included. The observed
information is cheaper and makes a test that rejects far too often where patients are few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import identify
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.cut_effects import cut_scores
from longsurv.results.generalised.quantities import with_rule
from longsurv.results.simulated import SimulatedGLMM, check_determined, simulator
from longsurv.tables.notebook import Readable

ALPHA = 0.05
DRAWN = 40_000
"""Patients drawn for the expected information: its elements are then known to about 1 %."""
AT_ONCE = 2_000
FEWEST_NODES = 5
"""Of the quadrature, for means over the random effects and not their mode."""


class FittedOrdinal(SimulatedGLMM, Protocol):
    """An estimate of a mixed model of an ordinal response."""

    @property
    def half(self) -> np.ndarray:
        """Root of the covariance of all parameters; a row of zeros is one on its boundary."""

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient."""


@dataclass(frozen=True, eq=False, repr=False)
class ProportionalOdds(Readable):
    """Tests of proportional odds.

    Attributes
    ----------
    table : DataFrame
        term, statistic (chi-squared), df, p_value: one row a variable, all its columns together,
        then "GLOBAL". NaN where the data are too few to show a difference between cuts.
    cuts : DataFrame
        cut, term, estimate, std_error, conf_low, conf_high: the effects on a response above each
        cut, by a binary model of that cut alone; NaN where covariates separate its two sides.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table", "cuts")
    no_plot: ClassVar[str] = "tests have no figure; `cuts` has the effects at each cut"

    table: pd.DataFrame
    cuts: pd.DataFrame

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        whole = self.table.iloc[-1]
        if np.isnan(whole["p_value"]):
            return (
                "Proportional odds cannot be tested: the responses are too few, or too alike, to "
                "show an effect that differs between the cuts."
            )
        low = list(self.table.iloc[:-1].query("p_value < @ALPHA")["term"])
        verdict = (
            f"Proportional odds: chi-squared {whole['statistic']:.3g} on {whole['df']:.0f} df, "
            f"p = {whole['p_value']:.2g}"
        )
        if low:
            return (
                f"{verdict}; the odds ratio of {', '.join(low)} seems to differ between the cuts."
            )
        return f"{verdict}; no sign that an odds ratio differs between the cuts."


def proportional_odds(fit: FittedOrdinal, level: float, seed: int) -> ProportionalOdds:
    """See `GeneralisedMethods.proportional_odds`."""
    design = fit.design
    if len(design.levels) < 3:
        raise LongsurvError(
            "proportional odds are asked of a response with three ordered categories or more; "
            f"{design.response_column!r} is of the family {design.family!r}"
            + (" with two" if design.levels else "")
        )
    if not design.fixed.names:
        raise LongsurvError("a model without covariates has no odds ratios to test")
    if design.crossed:
        raise LongsurvError(
            f"the test adds up the scores of independent {design.group_name}s, and those of "
            f"{fit.spec.formula!r} share values of {design.units.name}; fit the model without "
            f"(1 | {design.units.name}) to test proportional odds"
        )
    check_determined(fit, "tested for proportional odds")
    return ProportionalOdds(_tests(fit, seed), _by_cut(fit, level))


def _tests(fit: FittedOrdinal, seed: int) -> pd.DataFrame:
    from scipy.stats import chi2

    data, theta, to_basis = _in_a_basis(fit)
    score = cut_scores(data, theta).sum(axis=0)
    information = _information(fit, data, theta, seed)
    gammas = len(score) - (data.levels - 2) * data.p
    # A random effect on its boundary is none.
    kept = np.flatnonzero(np.abs(fit.half).max(axis=1) > 0.0)
    null = score[kept] @ identify(information[np.ix_(kept, kept)]).cov @ score[kept]

    def statistic(columns: np.ndarray) -> tuple[float, int]:
        """Of these columns of X having effects that differ."""
        span = np.linalg.qr(to_basis[:, columns])[0]
        T = np.zeros((len(score), len(kept) + (data.levels - 2) * len(columns)))
        T[kept, np.arange(len(kept))] = 1.0
        T[gammas:, len(kept) :] = np.kron(np.eye(data.levels - 2), span)
        found = identify(T.T @ information @ T)
        u, df = T.T @ score, T.shape[1] - len(kept)
        return (float(u @ found.cov @ u - null) if found.flat.determined.all() else np.nan), df

    whole, df = statistic(np.arange(data.p))
    rows = []
    for variable in _variables(fit):
        rest, fewer = statistic(np.setdiff1d(np.arange(data.p), _columns_of(fit, variable)))
        rows.append((variable, whole - rest, df - fewer))
    table = pd.DataFrame([*rows, ("GLOBAL", whole, df)], columns=["term", "statistic", "df"])
    return table.assign(p_value=chi2.sf(table["statistic"], table["df"]))


def _in_a_basis(fit: FittedOrdinal) -> tuple[glmm.GLMMData, np.ndarray, np.ndarray]:
    """The fit in orthonormal columns around their means, which depend on no origin and no unit:
    its rows, its parameters, and what turns coefficients of X into those of these columns."""
    data, theta = fit.data, fit.theta.copy()
    if len(data.nodes) < FEWEST_NODES:
        data = with_rule(data, FEWEST_NODES)
    beta, n = fit.theta[: data.p], len(data.y)
    mean = data.X.mean(axis=0)
    basis, to_basis = np.linalg.qr(data.X - mean)
    to_basis = to_basis / np.sqrt(n)
    theta[: data.p] = to_basis @ beta
    theta[data.p] -= float(mean @ beta)
    return replace(data, X=np.ascontiguousarray(basis * np.sqrt(n))), theta, to_basis


def _information(
    fit: FittedOrdinal, data: glmm.GLMMData, theta: np.ndarray, seed: int
) -> np.ndarray:
    """The expected information, by scores of responses drawn from the fit."""
    draw, order = simulator(fit), np.argsort(fit.design.group, kind="stable")
    rng, patients = np.random.default_rng(seed), len(data.first) - 1
    together = -(-AT_ONCE // patients)
    many, total, drawn = _repeated(data, together), 0.0, 0
    units = np.arange(len(many.first) - 1) if many.site is None else many.site
    order_of_units = np.argsort(units, kind="stable")
    first = np.unique(units[order_of_units], return_index=True)[1]
    while drawn * patients < DRAWN:
        y = np.concatenate([draw(rng)[order] for _ in range(together)])
        scores = cut_scores(replace(many, y=y), theta)
        # Patients of one site are not independent.
        scores = np.add.reduceat(scores[order_of_units], first, axis=0)
        total, drawn = total + scores.T @ scores, drawn + together
    return np.asarray(total) / drawn


def _repeated(data: glmm.GLMMData, times: int) -> glmm.GLMMData:
    """The same patients several times over."""
    size, site = np.tile(np.diff(data.first), times), data.site
    if site is not None:
        site = (np.arange(times)[:, None] * (site.max() + 1) + site).ravel()
    return replace(
        data, y=np.tile(data.y, times), extent=np.tile(data.extent, times),
        X=np.tile(data.X, (times, 1)), Z=np.tile(data.Z, (times, 1)),
        first=np.append(0, np.cumsum(size)), offset=np.tile(data.offset, times), site=site,
    )  # fmt: skip


def _variables(fit: FittedOrdinal) -> list[str]:
    """Columns of the data that the fixed effects are made of."""
    found = fit.design.fixed.recipe.variable_indices
    names = [str(v) for v in found if str(v) in fit.spec.data.columns]
    return [name for name in names if len(_columns_of(fit, name))]


def _columns_of(fit: FittedOrdinal, variable: str | None) -> np.ndarray:
    """The columns of X with this variable."""
    recipe, names = fit.design.fixed.recipe, list(fit.design.fixed.names)
    found = {str(v): where for v, where in recipe.variable_indices.items()}.get(str(variable), [])
    of_it = [str(recipe.column_names[k]) for k in found]
    return np.array([names.index(name) for name in of_it if name in names], dtype=int)


def _by_cut(fit: FittedOrdinal, level: float) -> pd.DataFrame:
    """The effects on a response above each cut."""
    design, parts = fit.design, []
    with_level = np.column_stack([np.ones(len(design.y)), design.fixed.X])
    fixed = replace(design.fixed, X=with_level, names=("Intercept", *design.fixed.names))
    for k, cut in enumerate(design.family_names):
        binary = replace(
            design, y=(design.y > k).astype(float), fixed=fixed, family="bernoulli", levels=(),
            family_names=(),
        )  # fmt: skip
        rows = pd.DataFrame({"cut": cut, "term": list(design.fixed.names)})
        columns = ["estimate", "std_error", "conf_low", "conf_high"]
        try:
            alone = cast("FittedOrdinal", fit.again(fit.spec.with_design(binary)))
        except EstimationError:
            parts.append(rows.assign(**dict.fromkeys(columns, np.nan)))
            continue
        effects = alone.tidy(level).iloc[1:].reset_index(drop=True)
        parts.append(pd.concat([rows, effects[columns]], axis=1))
    return pd.concat(parts, ignore_index=True)
