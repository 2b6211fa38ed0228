"""Repeated measurements imputed from a mixed model, analysed in every completed data set, pooled.

    theta_k ~ p(theta | what was seen),   y_missing,k ~ p(y | what was seen, theta_k),   k = 1..n

The model is a mixed model for repeated measures (unstructured residuals) or one with random
effects, also of a marker of which some values lie beyond a limit of detection (`limited`). What is
missing is taken as missing at random, moved by delta, or, in a randomised trial, as in the
reference group (`strategies`).

Rubin (1987), Multiple Imputation for Nonresponse in Surveys; Carpenter, Roger & Kenward (2013),
J Biopharm Stat 23:1352-1371; Cro et al. (2020), Stat Med 39:2815-2842; Wolbers et al. (2022),
Pharm Stat 21:1246-1257.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.analyses.imputation.answers import (
    JACKKNIFE,
    Analysis,
    ImputedAnswer,
    TippingPoint,
    tipping,
)
from longsurv.analyses.imputation.arrays import RowArrays, row_arrays, under_reference
from longsurv.analyses.imputation.checks import check_determined, check_reference
from longsurv.analyses.imputation.jackknife import jackknifed, without_each
from longsurv.analyses.imputation.limited import LimitedConditional, LimitedRows, check_limited
from longsurv.analyses.imputation.means import means_by
from longsurv.analyses.imputation.rows import (
    Columns,
    ImputedRows,
    imputed_rows,
    moved_by,
    residual_of,
)
from longsurv.analyses.imputation.strategies import STRATEGIES, Method, Strategy
from longsurv.analyses.imputation.values import Conditional
from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference.specification import holding
from longsurv.models.glmm import GLMM
from longsurv.models.lmm import LMM
from longsurv.results.estimate import Estimate
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.generalised.posterior import GeneralisedPosterior
from longsurv.results.mixed.estimate import MixedEstimate
from longsurv.results.mixed.posterior import MixedPosterior
from longsurv.results.pooled import pool
from longsurv.results.posterior import Posterior
from longsurv.results.prior_share import all_prior_flag
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHAINS = 4
FEWEST_DRAWS = 250
"""Of a chain, where the posterior is sampled here."""


@checked
@dataclass(frozen=True, repr=False, eq=False)
class Imputation(Readable):
    """Missing values of a marker, imputed from the posterior of a mixed model of it.

    Parameters
    ----------
    model : LMM, GLMM or a posterior of one
        Of the marker as a column of its data, which has a row without a value for each visit that
        was missed; or the posterior of such a model, sampled already. A GLMM is of the family
        "censored": values known by limits only are then drawn too, each within its limit, together
        with those that the patient lacks.
    n : int
        Completed data sets.
    seed : int
        Of the posterior, if it is sampled here, and of the values.
    method : {"mar", "jump_to_reference", "copy_increments", "copy_reference"}
        What is assumed of a value after the patient's last one: missing at random, or, in a
        randomised trial, with the mean of the reference group from there on ("jump"), with that
        group's steps from where the patient's own group was ("increments"), or as if the patient
        had been of that group all along ("copy"). Values missing between others are missing at
        random, except under "copy_reference", where everything a patient lacks is as in the
        reference group.
    delta : float or mapping of group to float
        Added to every value imputed where there was none, in the unit of the response: of
        everybody, or of the groups named.
    treatment : str, optional
        Column of the groups.
    reference : str or number, optional
        The group others are compared with.
    randomised : bool
        Whether treatment was allocated at random; without, reference-based imputation is refused.
    visit : str, optional
        Column with the order of a patient's rows; by default the visits of the model's `Residual`.
    dead : str, optional
        Column that is true where the patient had died before the visit: no value is imputed there.

    Raises
    ------
    LongsurvError
        If nothing is missing; the rows seen do not determine what the missing ones need; or for a
        reference-based method without a randomised trial, its groups or the order of visits.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import longsurv as ls
    >>> from longsurv.models import LMM
    >>> rng = np.random.default_rng(1)
    >>> y = rng.normal(size=(40, 1)) + rng.normal(size=(40, 3))
    >>> rows = pd.DataFrame({"id": np.repeat(np.arange(40), 3), "visit": np.tile([1, 2, 3], 40),
    ...                      "y": y.ravel()})
    >>> rows.loc[rows["id"] % 5 + rows["visit"] > 6, "y"] = np.nan
    >>> within = ls.Residual("unstructured", visit="visit", patient="id")
    >>> imputed = ls.Imputation(LMM("y ~ C(visit)", rows, within), n=5)
    >>> sum(one["y"].isna().sum() for one in imputed.completed())
    np.int64(0)
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "imputed_means")

    model: LMM | GLMM | MixedPosterior | GeneralisedPosterior
    n: int = 50
    seed: int = 1
    method: Method = "mar"
    delta: float | Mapping[Hashable, float] = 0.0
    treatment: str | None = None
    reference: Hashable = None
    randomised: bool = False
    visit: str | None = None
    dead: str | None = None

    def __post_init__(self) -> None:
        if self.n < 1:
            raise LongsurvError(f"n is the number of completed data sets, 1 or more, not {self.n}")
        values = self.delta.values() if isinstance(self.delta, Mapping) else [self.delta]
        if not np.isfinite([float(value) for value in values]).all():
            raise LongsurvError("delta is finite: what is added to imputed values")
        if isinstance(self.model, Posterior) and self.n > self.model.draws.flat.shape[0]:
            count = self.model.draws.flat.shape[0]
            raise LongsurvError(f"the posterior has {count:,} draws, fewer than n = {self.n:,}")
        if self.strategy.needs_reference:
            check_reference(self.method, self.treatment, self.reference, self.randomised, self.rows)
        other = None if self._reference is None else self._reference[0]
        check_determined(self.estimate, self.arrays.X, other)

    @property
    def strategy(self) -> Strategy:
        """What is assumed of the values after a patient's last one."""
        return STRATEGIES[self.method]

    @property
    def spec(self) -> LMM | GLMM:
        """The model that values are imputed from."""
        found = self.model.spec if isinstance(self.model, Posterior) else self.model
        if isinstance(found, GLMM):
            check_limited(found)
        elif not isinstance(found, LMM):
            raise LongsurvError("values are imputed from the posterior of an LMM or a GLMM")
        return found

    @property
    def _visit(self) -> str | None:
        return self.visit or residual_of(self.spec).visit

    @cached_property
    def estimate(self) -> MixedEstimate | GeneralisedEstimate:
        """The model's estimate, by REML if it is an LMM."""
        spec = self.spec
        return spec.fit(df="normal") if isinstance(spec, LMM) else spec.fit()

    @cached_property
    def rows(self) -> ImputedRows:
        """The rows that were seen and those to impute."""
        return imputed_rows(self.spec, Columns(self.visit, self.dead, self.treatment))

    @cached_property
    def arrays(self) -> RowArrays | LimitedRows:
        """What the model has of them."""
        spec, rows = self.spec, self.rows
        return row_arrays(spec, rows) if isinstance(spec, LMM) else LimitedRows.of(spec, rows)

    @cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray] | None:
        if not self.strategy.needs_reference:
            return None
        assert self.treatment is not None
        return under_reference(self.spec, self.rows, self.treatment, self.reference)

    @cached_property
    def conditional(self) -> Conditional | LimitedConditional:
        """The distribution of what is missing given what was seen."""
        reference, other = self._reference or (None, np.zeros(len(self.rows.y), dtype=bool))
        if isinstance(self.arrays, LimitedRows):
            return LimitedConditional(self.rows, self.arrays, self.strategy, reference, other)
        return Conditional(self.rows, self.arrays, self.strategy, reference, other)

    @cached_property
    def posterior(self) -> MixedPosterior | GeneralisedPosterior:
        """The posterior that values are imputed from."""
        found: MixedPosterior | GeneralisedPosterior
        if isinstance(self.model, Posterior):
            found = self.model
        else:
            draws = max(FEWEST_DRAWS, -(-self.n // CHAINS))
            found = self.model.sample(draws=draws, chains=CHAINS, seed=self.seed)
        if found.all_prior:
            raise EstimationError(all_prior_flag(found.stack, found.all_prior))
        return found

    @cached_property
    def drawn(self) -> np.ndarray:
        """Imputed values before any delta, shape (n, a): one posterior draw of the parameters each,
        spread over the chains, and a row of the data a column (`conditional.places`)."""
        flat = self.posterior.draws.flat
        chosen = np.linspace(0, len(flat) - 1, self.n).round().astype(int)
        rng = np.random.default_rng(self.seed)
        return self.conditional.from_posterior(self.posterior, chosen.tolist(), rng)

    @cached_property
    def moved(self) -> np.ndarray:
        """What delta adds to each imputed value, shape (a,): nothing to one known by a limit."""
        added: np.ndarray = moved_by(self.rows, self.treatment, self.delta) * self.rows.asked
        found: np.ndarray = added[self.conditional.places]
        return found

    @property
    def values(self) -> np.ndarray:
        """Imputed values, shape (n, a)."""
        found: np.ndarray = self.drawn + self.moved
        return found

    def completed(self) -> Iterator[pd.DataFrame]:
        """The completed data sets, one after the other.

        Yields
        ------
        DataFrame
            The model's data with imputed values in the column of the response. Rows after death
            stay without one. Where values were known by limits only, the column that said so says
            "none" of every row.
        """
        for values in self.values:
            yield self.filled(values)

    def filled(self, values: np.ndarray) -> pd.DataFrame:
        """The data with values (a,) where they are imputed.

        Parameters
        ----------
        values : ndarray, shape (a,)

        Returns
        -------
        DataFrame
        """
        data = pd.DataFrame(self.spec.data)
        column = data[self.rows.response].astype(float).to_numpy(copy=True)
        column[self.rows.at[self.conditional.places]] = values
        whole = {self.rows.response: column}
        if isinstance(self.spec, GLMM) and self.spec.censored is not None:
            return data.assign(**whole, **{self.spec.censored: "none"})
        return data.assign(**whole)

    def expected(self) -> pd.DataFrame:
        """The data with each missing value at its mean given what was seen, at the estimate.

        For a look, and for analyses that are linear in the response: their estimate is then that of
        infinitely many imputations, but their own standard error is too small.

        Returns
        -------
        DataFrame
        """
        return self.filled(self.conditional.from_estimate(self.estimate) + self.moved)

    def with_delta(self, delta: float | Mapping[Hashable, float]) -> Imputation:
        """The same imputed values, moved otherwise.

        Parameters
        ----------
        delta : float or mapping of group to float

        Returns
        -------
        Imputation
        """
        return self._keeping(
            "estimate", "rows", "arrays", "posterior", "drawn", "conditional", delta=delta
        )

    def with_method(self, method: Method) -> Imputation:
        """Values imputed from the same draws of the posterior under another assumption.

        Parameters
        ----------
        method : {"mar", "jump_to_reference", "copy_increments", "copy_reference"}

        Returns
        -------
        Imputation
        """
        return self._keeping("estimate", "rows", "arrays", "posterior", method=method)

    def _keeping(self, *names: str, **changes: object) -> Imputation:
        made = replace(self, **changes)  # type: ignore[arg-type]
        return holding(made, **{name: getattr(self, name) for name in names})

    def analyse(self, analysis: Analysis, *, level: float = 0.95) -> ImputedAnswer:
        """Analyse every completed data set, and pool the answers by Rubin's rules.

        Parameters
        ----------
        analysis : callable
            Takes a completed data set and returns an Estimate, a Posterior, or a table with "term",
            "estimate", "std_error" and, if they are finite, "df".
        level : float
            Of the intervals.

        Returns
        -------
        ImputedAnswer

        Raises
        ------
        LongsurvError
            If n is 1, or the analysis fails in a completed data set.
        """
        answers = [self._answer(analysis, k, data) for k, data in enumerate(self.completed(), 1)]
        return ImputedAnswer(pool(answers, level=level), self.words, self.strategy.needs_reference)

    def _answer(
        self, analysis: Analysis, k: int, data: pd.DataFrame
    ) -> Estimate | Posterior | pd.DataFrame:
        try:
            return analysis(data)
        except LongsurvError as error:
            raise type(error)(f"completed data set {k} of {self.n}: {error}") from error

    def jackknife(self, analysis: Analysis, *, level: float = 0.95) -> ImputedAnswer:
        """Impute conditional means, and take the variance over repeated trials by the jackknife.

        The model is fitted by REML, each missing value is its mean given what was seen, and all of
        it is done again without each patient in turn. There are no random numbers in it. It is for
        analyses that are linear in the response, such as an analysis of covariance of one visit.

        Parameters
        ----------
        analysis : callable
            As for `analyse`; of a posterior the means are taken. Only its estimates are used.
        level : float
            Of the normal intervals.

        Returns
        -------
        ImputedAnswer
        """
        others = without_each(self.spec.data, self.rows)
        expected = (
            part if nothing else replace(self, model=self.spec.with_data(part)).expected()
            for part, nothing in others
        )
        pooled = jackknifed(self.expected(), expected, analysis, level)
        return ImputedAnswer(pooled, self.words, self.strategy.needs_reference, JACKKNIFE)

    def tipping_point(
        self,
        analysis: Analysis,
        deltas: Sequence[float],
        *,
        term: str | None = None,
        group: Hashable = None,
        null: float = 0.0,
        level: float = 0.95,
    ) -> TippingPoint:
        """Move the imputed values by every delta, until the answer is another one.

        Parameters
        ----------
        analysis : callable
            As for `analyse`.
        deltas : sequence of float
            In the unit of the response.
        term : str, optional
            Of the answer; may be left out if there is one only.
        group : str or number, optional
            Move the values of this group only.
        null : float
            No effect.
        level : float
            Of the intervals.

        Returns
        -------
        TippingPoint
        """
        if len(set(deltas)) < 2:
            raise LongsurvError("a tipping point takes two different deltas or more")
        answers = {}
        for delta in sorted(set(map(float, deltas))):
            moved = self.with_delta(delta if group is None else {group: delta})
            answers[delta] = moved.analyse(analysis, level=level).table
        who = "every imputed value" if group is None else f"every imputed value of {group}"
        return tipping(answers, term, null, level, self.rows.response, who)

    @property
    def words(self) -> str:
        """What is imputed, and under which assumption."""
        text = f"{self.rows.words} Assumed: {self.strategy.words}"
        if isinstance(self.delta, Mapping):
            told = ", ".join(f"{value:+g} in {name}" for name, value in self.delta.items())
            text += f"; imputed values moved by {told}"
        elif self.delta:
            text += f"; imputed values moved by {self.delta:+g}"
        return f"{text}."

    @property
    def imputed_means(self) -> pd.DataFrame:
        """Means by visit (and group): of the values seen, of those imputed, and of all.

        Returns
        -------
        DataFrame
            visit, group (if there is a treatment), seen, imputed (counts), mean_seen,
            mean_imputed, mean_all.
        """
        visit = self._visit
        by = [name for name in (visit, self.treatment) if name is not None]
        average = self.rows.y.copy()
        average[self.conditional.places] = self.values.mean(axis=0)
        return means_by(self.rows, by, average)

    def plot(self, *, ax: object = None) -> Axes:
        """Draw the means of the values seen and of all, by visit and group.

        Parameters
        ----------
        ax : Axes, optional
            To draw in.
        """
        from longsurv.figures.imputed import imputed_means
        from longsurv.figures.place import place_of

        visit = self._visit
        if visit is None:
            raise LongsurvError("a figure by visit needs the column of the visits: visit=")
        return imputed_means(
            self.imputed_means, visit, self.treatment, self.rows.response, ax=place_of(ax)
        )
