"""p values and intervals that hold for a family of comparisons together.

Each comparison is an estimate over its standard error, t on its degrees of freedom; together they
are multivariate t with the correlations of the estimates. A simultaneous interval is an ordinary
one with another multiple of the standard error, and its p value is below 1 - level just where it
does not hold zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError

type Simultaneous = Literal["bonferroni", "tukey", "mvt"]
SEED, SETS, POINTS, GROUP = 1, 16, 14, 64
"""Of the directions of the multivariate t integral: independent sets of 2 to the power POINTS
quasi-random ones, of which GROUP neighbours count as one. The same answer every time; of all pairs
of four means to about 1e-5, of ten to about 1e-4."""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Comparisons that are to hold together.

    Attributes
    ----------
    correlation : ndarray, shape (r, r)
        Of their estimates.
    means : int
        How many means they are all pairs of; 0 where they are not all pairs.
    """

    correlation: np.ndarray
    means: int

    def tail(self, how: Simultaneous) -> Callable[[float, float], float]:
        """The probability that the largest of the absolute t statistics is beyond a value, for
        given degrees of freedom.

        Parameters
        ----------
        how : {"bonferroni", "tukey", "mvt"}

        Returns
        -------
        callable
        """
        return {"bonferroni": self._bonferroni, "tukey": self._tukey, "mvt": self._mvt}[how]

    def _bonferroni(self, t: float, df: float) -> float:
        from scipy.stats import t as student

        return float(min(1.0, 2.0 * len(self.correlation) * student.sf(abs(t), df)))

    def _tukey(self, t: float, df: float) -> float:
        """Tukey (1953) and Kramer (1956): exact where all means are equally precise."""
        from scipy.stats import studentized_range

        return float(studentized_range.sf(np.sqrt(2.0) * abs(t), self.means, df))

    def _mvt(self, t: float, df: float) -> float:
        """With the estimates' errors a point z of a normal distribution times a factor A, the
        largest |t| is |z| h(u) over the residual spread, h(u) = max |A u| in the direction u of z:
        beyond t with the tail probability of an F distribution in each direction. What is left is
        the mean over directions, which need not determine all comparisons apart."""
        from scipy.stats import chi2, f

        rank, h = self._directions
        beyond = (t / h) ** 2
        tails = chi2.sf(beyond, rank) if np.isinf(df) else f.sf(beyond / rank, rank, df)
        return float(tails.mean())

    @cached_property
    def _directions(self) -> tuple[int, np.ndarray]:
        """Rank of the correlation, and h at quasi-random directions: in ascending order, the means
        of groups of them, as what is averaged over directions is a smooth function of h alone."""
        from scipy.special import ndtri
        from scipy.stats import qmc

        values, vectors = np.linalg.eigh(self.correlation)
        kept = values > 1e-10 * values[-1]
        A, rank = vectors[:, kept] * np.sqrt(values[kept]), int(kept.sum())
        found = []
        for stream in np.random.SeedSequence(SEED).spawn(SETS):
            points = qmc.Sobol(rank, seed=np.random.default_rng(stream)).random_base2(POINTS)
            z = ndtri(np.clip(points, 1e-12, 1.0 - 1e-12))
            found.append(np.abs(z @ A.T).max(axis=1) / np.linalg.norm(z, axis=1))
        return rank, np.sort(np.concatenate(found)).reshape(-1, GROUP).mean(axis=1)


def adjusted(
    family: Comparisons, how: Simultaneous, statistic: np.ndarray, df: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted p values, and the multiples of the standard errors in simultaneous intervals.

    Parameters
    ----------
    family : Comparisons
    how : {"bonferroni", "tukey", "mvt"}
    statistic, df : ndarray, shape (r,)
        Of each comparison; all finite but the degrees of freedom, which may be infinite.
    level : float
        Of the intervals together.
    """
    from scipy.optimize import brentq
    from scipy.stats import t as student

    if how == "tukey" and not family.means:
        raise LongsurvError(
            "adjust='tukey' is for all pairwise differences along one variable; "
            "adjust='mvt' is for any family of comparisons"
        )
    tail, found = family.tail(how), {}
    for freedom in np.unique(df):
        # At least as far as one comparison's own, at most as far as Bonferroni's.
        least = float(student.isf(0.5 * (1.0 - level), freedom))
        most = float(student.isf(0.5 * (1.0 - level) / len(statistic), freedom)) * 1.01
        if len(statistic) == 1:
            found[freedom] = least
            continue

        def excess(t: float, freedom: float = freedom) -> float:
            return tail(t, freedom) - (1.0 - level)

        found[freedom] = float(brentq(excess, 0.99 * least, most, xtol=1e-6))
    p = np.array([tail(t, freedom) for t, freedom in zip(statistic, df, strict=True)])
    return p, np.array([found[freedom] for freedom in df])


def hold_together(
    table: pd.DataFrame,
    cov: np.ndarray,
    families: list[np.ndarray],
    means: int,
    adjust: Simultaneous,
    level: float,
) -> None:
    """Write the p values and intervals of families of rows into a table of them; `cov`, shape
    (rows, rows), is that of the estimates, `means` the number of which they are all pairs."""
    p, multiple = np.full((2, len(table)), np.nan)
    known = np.isfinite(table["statistic"].to_numpy(dtype=float))
    for rows in families:
        # What has no answer is no part of a family, and leaves it not all pairs.
        chosen = rows[known[rows]]
        if len(chosen):
            S = cov[np.ix_(chosen, chosen)]
            sd = np.sqrt(np.diag(S))
            family = Comparisons(S / np.outer(sd, sd), means if len(chosen) == len(rows) else 0)
            statistic, df = table.loc[chosen, ["statistic", "df"]].to_numpy(dtype=float).T
            p[chosen], multiple[chosen] = adjusted(family, adjust, statistic, df, level)
    half = multiple * table["std_error"]
    insert_adjusted(table, p)
    table["conf_low"], table["conf_high"] = table["estimate"] - half, table["estimate"] + half


def insert_adjusted(table: pd.DataFrame, p_adjusted: np.ndarray) -> None:
    """Put adjusted p values beside the others."""
    table.insert(list(table.columns).index("p_value") + 1, "p_adjusted", p_adjusted)


def families_of(frame: pd.DataFrame, others: list[str]) -> list[np.ndarray]:
    """Rows that share the values of some variables."""
    if not others:
        return [np.arange(len(frame))]
    number = frame.groupby(others, sort=False, observed=True).ngroup().to_numpy()
    return [np.flatnonzero(number == k) for k in range(int(number.max()) + 1)]
