"""Analysis of deviance of a Cox model: what each term adds to those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns
from longsurv.results.reference import chi2_p_value

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign
    from longsurv.results.reference import Reference


class MaximisedCox(Protocol):
    """What is used of a fitted Cox model; see `SurvivalEstimate`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def data(self) -> cox.CoxData:
        """Sorted arrays of the partial likelihood."""

    @property
    def llf(self) -> float:
        """The maximum."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays."""

    @property
    def reference(self) -> Reference:
        """The covariance of its coefficients."""

    @property
    def penalty(self) -> str | None:
        """The penalty of its likelihood."""

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coefficients that the data do not determine."""

    @property
    def null_loglik(self) -> float:
        """Without covariates."""


def anova(fit: MaximisedCox) -> pd.DataFrame:
    """Likelihood-ratio test of every term of a Cox model given those before it.

    Returns
    -------
    DataFrame
        As `SurvivalEstimate.anova` says.

    Raises
    ------
    LongsurvError
        For a penalised fit or one with a robust covariance.
    EstimationError
        If the data do not determine a coefficient, or a fit does not converge.
    """
    if fit.penalty is not None:
        raise LongsurvError(
            "an analysis of deviance needs an unpenalised fit; of Firth's, tidy() has the penalised"
            " likelihood-ratio test of every coefficient and global_tests() that of all"
        )
    if fit.reference.method == "robust":
        raise LongsurvError(
            "a likelihood-ratio test takes the rows to be independent, which a robust covariance "
            "(cluster or weights) does not; use test() on the coefficients"
        )
    if fit.undetermined:
        raise EstimationError(
            f"the data do not determine {', '.join(fit.undetermined)}, so what a term adds is not "
            "known; leave such columns out"
        )
    fixed = fit.design.fixed
    coded = [str(name) for name in fixed.recipe.column_names]
    before, kept = fit.null_loglik, np.zeros(0, dtype=np.int64)
    rows: list[tuple[str, float, float, int]] = [("(no covariates)", before, np.nan, 0)]
    for term, where in fixed.recipe.term_slices.items():
        if str(term) == "1":
            continue
        own = [fixed.names.index(name) for name in coded[where] if name in fixed.names]
        kept = np.append(kept, np.array(own, dtype=np.int64))
        after = _loglik(fit, np.sort(kept)) if own else before
        rows.append((str(term), after, max(2.0 * (after - before), 0.0), len(own)))
        before = after
    table = pd.DataFrame(rows, columns=["term", "loglik", "statistic", "df"])
    tested = table["df"] > 0
    p = chi2_p_value(table["statistic"].where(tested), table["df"].where(tested))
    return table.assign(statistic=table["statistic"].where(tested), p_value=p)


def _loglik(fit: MaximisedCox, kept: np.ndarray) -> float:
    """The maximum with some of the coefficients; finite, since with all of them it is."""
    if len(kept) == len(fit.names):
        return fit.llf
    part = columns(fit.data, kept)
    names = [fit.names[int(j)] for j in kept]
    top = ascend(
        lambda b: cox.value_gradient_information(part, b), np.zeros(len(kept)), names, exact=True
    )
    if not top.converged:
        raise EstimationError(f"the model of {', '.join(names)} has not converged: {top.status}")
    return top.value
