"""Do covariates enter as straight lines?

A number in a formula has one coefficient: each unit of it does the same, wherever it is. Each
such covariate is given its square besides, alone among them, and the model is fitted again in the
same way. The test of the square is one of the straight line against a bend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.fixed import FixedDesign
from longsurv.design.formula import parse
from longsurv.design.terms import columns_of, terms
from longsurv.errors import LongsurvError
from longsurv.figures.model_checks import bends
from longsurv.figures.place import described, place_of
from longsurv.inference.specification import TableSpecification
from longsurv.tables.notebook import Readable
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = 0.05
PLACES = 21
LEAST, MOST = 0.05, 0.95
"""Quantiles of a covariate between which its curve is drawn."""
FEWEST = 3  # distinct values, below which there is no bend to see
COLUMNS = ["term", "statistic", "df", "p_value", "reason"]
CURVES = ["term", "x", "straight", "bent", "conf_low", "conf_high"]


class LinesDesign(Protocol):
    """The design of a model of one table."""

    @property
    def fixed(self) -> FixedDesign:
        """Its covariates."""


class FittedLines(Protocol):
    """What is used of a fitted model."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model and its data."""

    @property
    def design(self) -> LinesDesign:
        """Its arrays."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its coefficients."""

    @property
    def coefficients(self) -> np.ndarray:
        """Their estimates."""

    @property
    def again(self) -> Callable[..., FittedLines]:
        """Another specification fitted as this one was."""

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient."""

    def contrast(self, of: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
        """Combinations of them."""


type LineFit = Annotated[FittedLines, "a fitted LMM, GLMM, CoxPH or Hazard, as of .fit()"]


@dataclass(frozen=True, eq=False, repr=False)
class Linearity(Readable):
    """Tests of straight lines against a bend.

    Attributes
    ----------
    table : DataFrame
        term, statistic, df, p_value: of the square, one row a covariate that is a straight line
        with three values or more; reason says why there is no test.
    curves : DataFrame
        term, x (between the 5 % and 95 % quantiles of the covariate), straight, bent, conf_low,
        conf_high: the effect against that in the middle of them, on the scale of the predictor.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    curves: pd.DataFrame

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        if self.table.empty:
            return (
                "Linearity: no covariate of the model is a straight line of three values or more."
            )
        tested = self.table[self.table["p_value"].notna()]
        if tested.empty:
            return f"Linearity cannot be tested: {self.table['reason'].iloc[0]}."
        low = tested.loc[tested["p_value"] < ALPHA, "term"]
        if len(low):
            return f"Linearity: the square of {listed(list(low))} is called for (p < {ALPHA:g})."
        return (
            f"Linearity: no square is called for (smallest p {tested['p_value'].min():.2g} of"
            f" {plural(len(tested), 'test')})."
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw each straight line and the bent one beside it, with the band of the latter.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.

        Raises
        ------
        LongsurvError
            If there is no covariate to draw.
        """
        if self.curves.empty:
            raise LongsurvError(f"there is nothing to draw. {self.words}")
        return described(bends(self.curves, ax=place_of(ax)), self.words)


@checked
def linearity(fit: LineFit, level: float = 0.95) -> Linearity:
    """Test whether covariates enter as straight lines, one after the other.

    Parameters
    ----------
    fit : Estimate
        Of an LMM, GLMM, CoxPH or Hazard.
    level : float
        Of the band of the bent curve.

    Returns
    -------
    Linearity
        With `table`, `curves`, `words`, `plot`. Empty where no number enters as a straight line:
        factors have a level of their own, splines and powers a bend already.
    """
    rows: list[tuple[object, ...]] = []
    curves = []
    for name, written in straight_lines(fit).items():
        # any: replace() asks for a dataclass, which every specification is
        spec = cast("Any", fit.spec)
        bent = replace(spec, formula=f"{spec.formula} + I(({written})**2)")
        try:
            other = fit.again(bent)
            square = next(n for n in other.names if n not in fit.names)
            row = other.tidy(level).set_index("term").loc[square]
        except LongsurvError as error:
            rows.append((name, np.nan, np.nan, np.nan, str(error)))
            continue
        except StopIteration:
            rows.append((name, np.nan, np.nan, np.nan, "the data do not determine its square"))
            continue
        statistic, df = (float(row.get(c, np.nan)) for c in ("statistic", "df"))
        p = float(row["p_value"])
        reason = "" if np.isfinite(p) else "the data do not determine its square"
        rows.append((name, statistic, df, p, reason))
        if not reason:
            curves.append(_curve(fit, other, name, square, level))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Linearity(
        table, pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=CURVES)
    )


def straight_lines(fit: FittedLines) -> dict[str, str]:
    """Coefficients that are straight lines in a covariate, and how the formula writes them."""
    fixed = fit.design.fixed
    alone = [
        term
        for term in terms(parse(fit.spec.formula, getattr(fit.spec, "functions", None)).fixed)
        if len(term.factors) == 1
    ]
    found = {}
    for term in alone:
        name, of = str(term), columns_of((term,))
        others = [one for one in alone if one is not term and set(columns_of((one,))) & set(of)]
        if name not in fixed.names or len(of) != 1 or others:
            continue
        if len(np.unique(fixed.X[:, fixed.names.index(name)])) >= FEWEST:
            found[name] = term.factors[0].written
    return found


def _curve(
    fit: FittedLines, other: FittedLines, name: str, square: str, level: float
) -> pd.DataFrame:
    """Both lines over the covariate, against the middle of the range."""
    fixed = fit.design.fixed
    values = fixed.X[:, fixed.names.index(name)]
    low, high = np.quantile(values, [LEAST, MOST])
    x = np.linspace(float(low), float(high), PLACES)
    middle = x[PLACES // 2]
    weights = pd.DataFrame({name: x - middle, square: x**2 - middle**2})
    kept = weights.index != PLACES // 2  # nothing is compared with itself
    found = other.contrast(weights[kept], level)[["estimate", "conf_low", "conf_high"]]
    bent = np.zeros((PLACES, 3))
    bent[kept] = found.to_numpy(dtype=float)
    slope = float(fit.coefficients[list(fit.names).index(name)])
    table = pd.DataFrame(bent, columns=["bent", "conf_low", "conf_high"])
    table = table.assign(term=name, x=x, straight=slope * (x - middle))
    return table[CURVES]
