"""What the analyses of completed data sets say together, and where it tips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.results.estimate import Estimate
from longsurv.results.pooled import Pooled
from longsurv.results.posterior import Posterior
from longsurv.tables.notebook import Readable
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

type Analysis = Callable[[pd.DataFrame], Estimate | Posterior | pd.DataFrame]
"""From a completed data set to the answer of one analysis of it."""

RUBIN = "Variance: Rubin's, of the estimate given the assumption."
ANCHORED = (
    "Variance: Rubin's. Under a reference-based assumption it keeps the share of information that "
    "was lost under missing at random, and is larger than the variance over repeated trials, which "
    "`jackknife` estimates."
)
JACKKNIFE = "Variance: over repeated trials (frequentist), by the jackknife over patients."


@dataclass(frozen=True, eq=False, repr=False)
class ImputedAnswer(Readable):
    """One analysis of every completed data set, pooled.

    Attributes
    ----------
    pooled : Pooled
    assumed : str
        What was imputed, and under which assumption.
    anchored : bool
        Whether the assumption is reference-based.
    variance : str
        Which variance the standard errors are of, if not Rubin's.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")
    no_plot: ClassVar[str] = "Imputation.plot() draws means, tipping_point(...).plot() the answer"

    pooled: Pooled
    assumed: str
    anchored: bool = False
    variance: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """The pooled answer, a row a term (see `Pooled`)."""
        return self.pooled.table

    @property
    def words(self) -> str:
        """What was imputed, what was pooled, and which variance this is."""
        variance = self.variance or (ANCHORED if self.anchored else RUBIN)
        return f"{self.assumed} {self.pooled.words} {variance}"

    def tidy(self) -> pd.DataFrame:
        """The pooled answer in the grammar of every answer."""
        return self.pooled.tidy()


@dataclass(frozen=True, eq=False, repr=False)
class TippingPoint(Readable):
    """A pooled answer over deltas, and where it becomes another one.

    Attributes
    ----------
    table : DataFrame
        A row a delta: delta, estimate, std_error, df, p_value, conf_low, conf_high, fmi; `clear`,
        whether the interval is clear of no effect.
    term, response, moved : str
        Of the answer; what is imputed; whose values are moved.
    null, level : float
    tips : tuple of float
        Deltas between which and the one before the interval changes from clear to not, or back,
        by linear interpolation of the limit.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame = field(repr=False)
    term: str
    response: str
    moved: str
    null: float
    level: float
    tips: tuple[float, ...]

    @property
    def words(self) -> str:
        """Where the answer tips, in a sentence."""
        low, high = self.table["delta"].iloc[[0, -1]]
        range_ = f"delta from {low:g} to {high:g}, added to {self.moved}"
        if not len(self.tips):
            always = bool(self.table["clear"].all())
            what = "is clear of no effect at every" if always else "holds no effect at every"
            return f"The {100 * self.level:g} % interval of {self.term} {what} {range_}."
        at = listed([f"{tip:.3g}" for tip in self.tips])
        return (
            f"The {100 * self.level:g} % interval of {self.term} changes from clear of no effect to"
            f" not, or back, at a delta of {at} ({range_})."
        )

    def tidy(self) -> pd.DataFrame:
        """The table, a row a delta."""
        return self.table

    def plot(self, *, ax: object = None) -> Axes:
        """Draw the answer over delta, with its interval.

        Parameters
        ----------
        ax : Axes, optional
            To draw in.
        """
        from longsurv.figures.imputed import over_delta
        from longsurv.figures.place import place_of

        return over_delta(
            self.table, name=f"{self.term} ({100 * self.level:g} % interval)",
            xlabel=f"Added to {self.moved}", said=self.words, null=self.null, tips=self.tips,
            ax=place_of(ax),
        )  # fmt: skip


def tipping(
    answers: Mapping[float, pd.DataFrame], term: str | None, null: float, level: float,
    response: str, moved: str,
) -> TippingPoint:  # fmt: skip
    """The rows of one term from pooled tables by delta.

    Raises
    ------
    LongsurvError
        If the term is not there, or none is named where there are several.
    """
    first = next(iter(answers.values()))
    terms = [str(name) for name in first["term"]]
    if term is None and len(terms) > 1:
        raise LongsurvError(f"term= names one of {', '.join(terms)}")
    term = terms[0] if term is None else term
    if term not in terms:
        raise LongsurvError(f"the answer has no term {term!r}; it has {', '.join(terms)}")
    shown = ["estimate", "std_error", "df", "p_value", "conf_low", "conf_high", "fmi"]
    rows = []
    for delta, table in answers.items():
        row = table[table["term"].astype(str) == term].iloc[0]
        rows.append({"delta": delta} | {name: row[name] for name in shown if name in row})
    table = pd.DataFrame(rows)
    if table["estimate"].isna().all():
        raise LongsurvError(f"{term} has no answer at any delta: the data do not determine it")
    table["clear"] = (table["conf_low"] > null) | (table["conf_high"] < null)
    return TippingPoint(table, term, response, moved, null, level, crossings(table, null))


def crossings(table: pd.DataFrame, null: float) -> tuple[float, ...]:
    """Deltas at which a limit of the interval is at no effect, between neighbouring rows."""
    found = []
    for limit in ("conf_low", "conf_high"):
        at, gap = table["delta"].to_numpy(dtype=float), table[limit].to_numpy(dtype=float) - null
        for k in np.flatnonzero(gap[:-1] * gap[1:] < 0.0):
            found.append(float(at[k] - gap[k] * (at[k + 1] - at[k]) / (gap[k + 1] - gap[k])))
        found += [float(d) for d in at[gap == 0.0]]
    return tuple(sorted(found))
