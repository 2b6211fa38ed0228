"""Marginal means of generalised mixed models on the scale of the response.

A probability can be that of a typical patient, whose random effects are zero, or the share expected
among all patients, averaged over the distribution of the random effects. The second is nearer to
one half, and so its odds ratios are nearer to 1: the two answer different questions (Zeger, Liang &
Albert 1988, Biometrics 44:1049-1060), and every table says which it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from longsurv.arguments import check_methods
from longsurv.design.expression import logarithm_of
from longsurv.design.merging import label_of
from longsurv.errors import LongsurvError
from longsurv.results import plots
from longsurv.results.arithmetic import (
    ArithmeticMeans,
    LogMeans,
    Patients,
    arithmetic_means,
    beside_cells,
    shown,
)
from longsurv.results.differences import Kind
from longsurv.results.estimate import t_rows
from longsurv.results.generalised.answers import GeneralisedAnswer, degrees_of_predictors
from longsurv.results.generalised.logs import generalised_logs, logarithm_undone
from longsurv.results.generalised.quantities import AskedRows, population_means, spread
from longsurv.results.log_scale import SCALED, Logarithm
from longsurv.results.means import Means
from longsurv.results.means import means as predictor_means
from longsurv.results.posterior import summarise
from longsurv.results.reference_grid import Weights, averaged, with_random
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.generalised import GeneralisedDesign

type Measure = Literal["difference", "ratio", "odds_ratio"]
SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "difference": lambda v: v,
    "ratio": np.log,
    "odds_ratio": logit,
}


@check_methods
@dataclass(frozen=True, eq=False, repr=False)
class ResponseMeans(Readable):
    """Marginal means on the scale of the response.

    Attributes
    ----------
    means : Means
        Of the linear predictor.
    Z : ndarray, shape (k, q)
        Columns of the random effects of each mean.
    patients : {"population", "typical"}
        Averaged over the random effects, or with random effects of zero.
    quantity : str
        What the mean is, as in "P(score >= 4)".
    worth : ndarray, shape (levels,), or None
        What each category of an ordinal response counts for in it.
    """

    means: Means
    Z: np.ndarray
    patients: str
    quantity: str
    worth: np.ndarray | None

    @property
    def is_probability(self) -> bool:
        """Whether odds can be made of it."""
        return self.quantity.startswith("P(")

    @property
    def table(self) -> pd.DataFrame:
        """The means with 95 % intervals (see `tidy`)."""
        return self.tidy()

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a mean: the variables, quantity, patients, then the columns of the result's
        `tidy`.

        The interval of a probability from a fit is made on the logit scale, that of an expected
        count on the logarithmic one. There is no test.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
        """
        k = len(self.means.cells)
        table = self._summary(np.eye(k), self.means.labels, level, "difference")
        if self.result.engine == "ml":
            table[["statistic", "p_value"]] = np.nan
            limits = ["conf_low", "conf_high"]
            if self.is_probability:
                odds = self._summary(np.eye(k), self.means.labels, level, "odds_ratio")
                table[limits] = expit(odds[limits])
            elif self.result.design.family_is_log:
                logs = self._summary(np.eye(k), self.means.labels, level, "ratio")
                table[limits] = np.exp(logs[limits])
        return self._framed(self.means.cells, table)

    def contrast(
        self,
        *along: str,
        kind: Kind = "pairwise",
        measure: Measure = "difference",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Differences along one variable, or differences of differences along several.

        Parameters
        ----------
        *along, kind, level
            As for `Means.contrast`.
        measure : {"difference", "ratio", "odds_ratio"}
            Differences of the means, of their logarithms or of their logits; the last two are
            reported as ratios, with std_error that of the logarithm. Along several variables it is
            the ratio of ratios. Odds ratios are for probabilities.

        Returns
        -------
        DataFrame
            The variables, quantity, patients, measure, then the columns of the result's `tidy`.
            From a posterior a ratio's estimate is the exponential of the mean logarithm, and
            prob_positive the probability of a ratio above 1.
        """
        if measure == "odds_ratio" and not self.is_probability:
            raise LongsurvError(f"odds are made of probabilities, not of the {self.quantity}")
        frame, weights, labels = self.means.differences(along, kind)
        table = self._summary(weights, labels, level, measure)
        if measure != "difference":
            table[SCALED] = np.exp(table[SCALED])
        return self._framed(frame, table, measure)

    @property
    def result(self) -> GeneralisedAnswer:
        """Whose means they are."""
        return cast("GeneralisedAnswer", self.means.result)

    def values(self, theta: np.ndarray) -> np.ndarray:
        """The means, shape (k,), at a parameter vector of `likelihood.glmm.loglik_factor`.

        Parameters
        ----------
        theta : ndarray, shape (d,)

        Returns
        -------
        ndarray, shape (k,)
        """
        return self._at(theta[None, :])[0]

    def _at(self, thetas: np.ndarray) -> np.ndarray:
        """The means at many parameter vectors (S, d), shape (S, k)."""
        k = len(self.Z)
        Z = self.Z if self.patients == "population" else np.zeros_like(self.Z)
        rows = AskedRows(self.means.L, Z, np.full(k, -1), np.zeros(k))
        found = population_means(self.result.data, thetas, rows)
        return found if self.worth is None else found @ self.worth

    @cached_property
    def _drawn(self) -> np.ndarray:
        """The means at every draw of a posterior, shape (S, k)."""
        result = self.result
        assert result.engine == "bayes"
        return self._at(np.array(list(result.thetas())))

    def _summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: str
    ) -> pd.DataFrame:
        """Weighted sums of the means on the scale of a measure, in the grammar of `tidy`."""
        scale, result = SCALES[measure], self.result

        def at(theta: np.ndarray) -> np.ndarray:
            return weights @ scale(self.values(theta))

        if result.engine == "ml":
            estimate, se = at(result.theta), spread(at, result.theta, result.half)
            slope = 1.0 if measure == "difference" else 1.0 / self.values(result.theta)[:, None]
            df = degrees_of_predictors(result, weights @ (slope * self.means.L))
            table = t_rows(labels, estimate, se, df, level)
            lost = ~result.estimable(self.means.L, link=False)
            table.loc[(weights[:, lost] != 0.0).any(axis=1), table.columns != "term"] = np.nan
        else:
            chains, kept = result.draws.theta.shape[:2]
            drawn = (scale(self._drawn) @ weights.T).reshape(chains, kept, -1)
            table = summarise({name: drawn[..., k] for k, name in enumerate(labels)}, level)
        table.loc[self.means.undetermined(weights), table.columns != "term"] = np.nan
        return table

    def _framed(
        self, frame: pd.DataFrame, table: pd.DataFrame, measure: str | None = None
    ) -> pd.DataFrame:
        return beside_cells(frame, table, self.quantity, self.patients, measure)

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the means with their intervals.

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
        return plots.rows(self.means.labels, self.tidy(level), self.quantity, level, ax)

    def __repr__(self) -> str:
        return shown(self.table, self.quantity, self.patients)


def response_means(
    result: GeneralisedAnswer,
    specs: str | Sequence[str],
    at: Mapping[str, object] | None = None,
    *,
    patients: Patients = "population",
    at_least: Hashable | None = None,
    logarithm: bool | Logarithm = True,
    weights: Weights = "equal",
) -> ResponseMeans | ArithmeticMeans:
    """Estimated marginal means on the scale of the response.

    Parameters
    ----------
    result : GeneralisedEstimate or GeneralisedPosterior
    specs, at, weights
        As for `results.means.means`. Factors not named are averaged over on the scale of the
        predictor.
    patients : {"population", "typical"}
        Average over the distribution of the random effects, or set them to zero.
    at_least : number or str, optional
        For an ordinal response: the probability of this category or a higher one. By default the
        mean score, which needs categories that are numbers.
    logarithm : bool or {"log", "log2", "log10"}
        Of a measurement, whether to undo the logarithm that the formula takes of it, or which one.

    Returns
    -------
    ResponseMeans, or ArithmeticMeans where a logarithm is undone

    Raises
    ------
    LongsurvError
        For a category that does not occur, or one asked of another family.
    """
    design, m = result.design, predictor_means(result, specs, at, weights)
    quantity, worth = _quantity(design, at_least)
    Z, undo = _random_columns(result, m), logarithm_undone(design, logarithm)
    if undo is None:
        return ResponseMeans(m, Z, patients, quantity, worth)

    def logs(of: Means, base: float) -> LogMeans:
        return generalised_logs(result, of.L, Z, base, patients)

    return arithmetic_means(result, m, logs, patients, undo)


def _quantity(
    design: GeneralisedDesign, at_least: Hashable | None
) -> tuple[str, np.ndarray | None]:
    """The name of what is averaged, and what each category counts for."""
    name = design.formula.response
    if not design.levels:
        if at_least is not None:
            raise LongsurvError(f"at_least={at_least!r} is for an ordinal response")
        return (f"P({name} = 1)" if design.family_is_logit else f"mean {name}{_unit(design)}"), None
    if at_least is not None:
        label = label_of(at_least)
        own = design.merged.of(label)
        if label == own[0]:
            label = design.merged.label(label)
        elif len(own) > 1:
            raise LongsurvError(
                f"the category {label!r} is merged with {own[0]!r}, so nothing is known of {name} "
                f">= {label}; at_least={own[0]!r} is of both"
            )
        if label not in design.levels:
            raise LongsurvError(f"{name!r} has no category {label!r}; it has {list(design.levels)}")
        first = design.levels.index(label)
        return f"P({name} >= {label})", (np.arange(len(design.levels)) >= first).astype(float)
    try:
        return f"mean {name}", np.array([float(label) for label in design.levels])
    except ValueError:
        if design.merged:
            raise LongsurvError(
                f"categories of {name} are merged, {list(design.levels)}, so it has no mean; "
                "at_least= gives the probability of one or a higher one"
            ) from None
        raise LongsurvError(
            f"the categories {list(design.levels)} are not numbers, so {name} has no mean; "
            "at_least='category' gives the probability of one or a higher one"
        ) from None


def _unit(design: GeneralisedDesign) -> str:
    """What a mean is per, where the model has an offset: it is taken as 0."""
    term = design.offset_term
    if not term:
        return ""
    found = logarithm_of(term)
    if design.family_is_log and found is not None and found[0] == "log":
        return f" per 1 {found[1]}"
    return f" at {term} = 0"


def _random_columns(result: GeneralisedAnswer, m: Means) -> np.ndarray:
    """Z of each mean, averaged over its rows of the grid as the predictor is, shape (k, q)."""
    random, data = result.design.effects, result.spec.data.iloc[result.design.rows]
    Z = random.rebuild(with_random(m.grid, random.parts, data))
    return averaged(Z, m.weights)
