"""Tests of the terms of a mixed model's fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.design.expression import categorised
from longsurv.design.fixed import evaluated
from longsurv.design.mixed import MixedDesign
from longsurv.design.rank import combination
from longsurv.errors import LongsurvError
from longsurv.inference.specification import TableSpecification
from longsurv.results.contrasts import ContrastLike

if TYPE_CHECKING:
    from formulaic import ModelSpec

    from longsurv.design.terms import ColumnFactor


class Tested(Protocol):
    """What is used of a fitted mixed model."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """What was fitted."""

    @property
    def design(self) -> MixedDesign:
        """Its arrays."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    def test(self, of: ContrastLike) -> pd.DataFrame:
        """Joint test."""


class TermTests:
    """Methods of estimates of mixed models, linear and generalised."""

    def anova(self: Tested) -> pd.DataFrame:
        """Test of each term of the fixed effects given all others ("type III").

        With sum-to-zero coding of every factor, the term's coefficients are zero: a main effect is
        tested at equal weights of the levels of the other factors, and where numeric variables it
        interacts with are zero. By F or, where intervals are normal, by Wald's chi-squared over its
        degrees of freedom, as `test` does; of thresholds there is none.

        Returns
        -------
        DataFrame
            term, statistic, df_num, df_den, p_value, method.

        Raises
        ------
        LongsurvError
            If the design had to leave out columns (an empty cell), or has no terms.
        """
        return anova(self)


def anova(fit: Tested) -> pd.DataFrame:
    """See `TermTests.anova`."""
    design = fit.design.fixed
    if design.aliased:
        raise LongsurvError(
            f"columns {list(design.aliased)} are determined by others, so effects of whole terms "
            "are not determined by the data; ask for the differences you want with means()"
        )
    data = fit.spec.data.iloc[fit.design.rows]
    coded, slices = _sum_coded(design.recipe, data)
    to_coded = combination(coded, design.X)
    # Thresholds of an ordinal response come after the fixed effects.
    more = np.zeros((len(to_coded), len(fit.names) - to_coded.shape[1]))
    to_names = np.hstack([to_coded, more])
    rows = [
        fit.test(to_names[where]).assign(term=term) for term, where in slices.items() if term != "1"
    ]
    if not rows:
        raise LongsurvError(f"{fit.spec.formula!r} has no term besides the intercept")
    return pd.concat(rows, ignore_index=True)


def _sum_coded(recipe: ModelSpec, data: pd.DataFrame) -> tuple[np.ndarray, dict[str, slice]]:
    """The design with factors in sum-to-zero coding, and the columns of each term."""
    kinds = {name: kind.value for name, (kind, _) in recipe.encoder_state.items()}

    def coded(factor: ColumnFactor) -> str:
        if kinds.get(factor.expr) != "categorical":
            return factor.written
        return f"C({categorised(factor.written)}, contr.sum)"

    terms = {str(term): ":".join(map(coded, term.factors)) for term in recipe.term_slices}
    right = " + ".join(t for t in terms.values() if t != "1")
    right = right if "1" in terms else f"0 + {right}"
    matrix = evaluated(right or "1", data, (recipe.materializer_params or {}).get("functions"))
    slices = matrix.model_spec.term_slices.values()
    return matrix.to_numpy(dtype=float), dict(zip(terms, slices, strict=True))
