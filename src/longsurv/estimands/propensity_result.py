"""Weights that make groups like one population, and whether the groups can be compared."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.errors import LongsurvError
from longsurv.estimands.propensity import Propensity
from longsurv.estimands.targets import ATE, MATCHING, OVERLAP, Target
from longsurv.estimands.treatments import Compare, pairs_of
from longsurv.records import Record
from longsurv.tables.notebook import Readable
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BALANCE = [
    "comparison", "covariate", "mean_group", "mean_reference", "std_difference",
    "mean_group_weighted", "mean_reference_weighted", "std_difference_weighted",
]  # fmt: skip
HARDLY = 0.05
"""A chance of treatment below which who got it stands for more than twenty others."""


@check_methods
@dataclass(frozen=True, eq=False)
class PropensityWeights(Readable):
    """Weights of the patients of a table that make its groups like one population.

    Attributes
    ----------
    arms : tuple of hashable
        Levels of the treatment, the reference first.
    names : tuple of str
        Columns of X.
    X : ndarray, shape (n, p)
        Of the propensity model, with the intercept; complete rows only.
    centred : ndarray, shape (n, p)
        The same space in variables centred before their products are formed, in units of the
        default priors (`CentredDesign.standard`).
    arm : ndarray of int, shape (n,)
        The place in `arms` of each patient's.
    rows : ndarray of int, shape (n,)
        Positions in the table of the patients used.
    n_excluded : int
        Patients left out for a missing covariate.
    propensity : Propensity
        How the score was estimated, and if by Firth's likelihood, why.
    table : DataFrame
        The treatment and what the covariates were made of, of every row of the table.
    target : Target
        Whom the comparison is about.
    like : hashable, optional
        Of the target "ATT" the arm whose patients it is about; None for the group of two.
    stabilised : bool
        Whether a weight is multiplied by the share of the patient's group.
    truncated : float, optional
        The quantile of the weights at which larger ones are cut off.

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. J Am Stat
    Assoc 2018;113:390-400. Li F, Li F. Propensity score weighting for causal inference with
    multiple treatments. Ann Appl Stat 2019;13:2389-2415.
    """

    read_as: ClassVar[tuple[str, ...]] = ("note", "effective_sample_size", "balance")

    arms: tuple[Hashable, ...]
    names: tuple[str, ...]
    X: np.ndarray = field(repr=False)
    centred: np.ndarray = field(repr=False)
    arm: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    n_excluded: int
    propensity: Propensity
    table: pd.DataFrame = field(repr=False)
    target: Target = OVERLAP
    like: Hashable | None = None
    stabilised: bool = False
    truncated: float | None = None

    @property
    def reference(self) -> Hashable:
        """The first arm."""
        return self.arms[0]

    @property
    def group(self) -> Hashable:
        """Of two arms the one that is not the reference."""
        return self._of_two("group", self.arms[-1])

    @property
    def treated(self) -> np.ndarray:
        """Of two arms, who is not in the reference, shape (n,)."""
        return self._of_two("treated", self.arm == len(self.arms) - 1)

    def _of_two[T](self, name: str, value: T) -> T:
        if len(self.arms) > 2:
            raise LongsurvError(
                f"{name!r} is a word of two arms; these weights are of {len(self.arms)},"
                f" {listed(list(map(str, self.arms)))}: see `arms`, or weight two of them"
            )
        return value

    @property
    def sides(self) -> list[tuple[Hashable, np.ndarray]]:
        """Each arm and who is in it, the reference last."""
        places = [*range(1, len(self.arms)), 0]
        return [(self.arms[j], self.arm == j) for j in places]

    def pairs(self, kind: Compare = "reference") -> list[tuple[int, int]]:
        """Which of `sides` are compared: each with the reference, or all pairs; the group first.

        Parameters
        ----------
        kind : {"reference", "pairwise"}
        """
        last = len(self.arms) - 1
        return [(j - 1, (i - 1) % (last + 1)) for i, j in pairs_of(last + 1, kind)]

    @property
    def weights(self) -> np.ndarray:
        """Weight of each patient, shape (n,), summing to 1 in each group."""
        w = self.raw
        return w / np.bincount(self.arm, w, len(self.arms))[self.arm]

    @property
    def raw(self) -> np.ndarray:
        """The weights as they come out of the score, shape (n,), for a model's `weights=`."""
        return self.again(self.arm, self.propensity.chance)

    def again(self, arm: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """The weights, made in the same way, of other patients.

        Parameters
        ----------
        arm : ndarray of int, shape (n,)
        chance : ndarray, shape (n, k)
            Of every arm.

        Returns
        -------
        ndarray, shape (n,)
        """
        w = self._whole(arm, chance)
        return w if self.truncated is None else np.minimum(w, np.quantile(w, self.truncated))

    @property
    def slope(self) -> np.ndarray:
        """Derivative of each log weight in the patient's log odds of each arm against the first.

        Shape (n, k - 1). That of a weight that was cut off is 0: the cut is taken as given.
        """
        chance = self.propensity.chance
        moves = self.raw >= self._whole(self.arm, chance)
        slope = self.target.slope(self.arm, chance, self.about)
        return np.where(moves[:, None], slope, 0.0)

    @property
    def about(self) -> int:
        """The place in `arms` of those treated, of whom the target "ATT" is."""
        return 1 if self.like is None else self.arms.index(self.like)

    def _whole(self, arm: np.ndarray, chance: np.ndarray) -> np.ndarray:
        w = self.target.weights(arm, chance, self.about)
        share = np.bincount(arm, minlength=len(self.arms)) / len(arm)
        return w * share[arm] if self.stabilised else w

    @property
    def note(self) -> str:
        """What to know about how the weights were made; empty if nothing."""
        notes = []
        if self.propensity.method == "firth":
            notes.append(
                f"propensity by Firth's penalised likelihood, since {self.propensity.reason}"
            )
        if self.target is OVERLAP and (self.propensity.method == "firth" or len(self.arms) > 2):
            notes.append("covariates are balanced only nearly")
        if self.n_excluded:
            notes.append(f"{patients(self.n_excluded)} left out for a missing covariate")
        if self.truncated is not None:
            cut = int((self.raw < self._whole(self.arm, self.propensity.chance)).sum())
            notes.append(f"weights of {patients(cut)} cut off, which leaves some imbalance")
        return "; ".join(part for part in (*notes, self.positivity) if part)

    @property
    def positivity(self) -> str:
        """Why the groups may not be comparable among those the target is about; "" if they are.

        Positivity: everybody had some chance of either treatment. Weights of all patients, or of
        those like the treated, rest on the few who got what they hardly could have; overlap and
        matching weights leave them out instead, and say nothing of them.
        """
        if self.target in (OVERLAP, MATCHING):
            return ""
        chance, table = self.propensity.chance, self.effective_sample_size()
        if self.target is ATE:
            rare = {"the treatment they got": chance[np.arange(len(self.arm)), self.arm] < HARDLY}
        else:
            others = [j for j in range(len(self.arms)) if j != self.about]
            rare = {f"being in {self.arms[j]}": chance[:, j] < HARDLY for j in others}
        said = [
            f"{patients(int(who.sum()))} had less than {100 * HARDLY:g} % chance of {what}"
            for what, who in rare.items()
            if who.any()
        ]
        few = table[(table["effective_n"] < table["n"] / 3) | (table["largest_weight"] > 1 / 3)]
        said += [
            f"{row['group']} counts as {row['effective_n']:.2g} of {row['n']} patients, one of them"
            f" for {100 * row['largest_weight']:.0f} %"
            for row in few.to_dict("records")
        ]
        if not said:
            return ""
        return f"hardly comparable: {'; '.join(said)} (overlap weights ask about those who are)"

    def effective_sample_size(self) -> pd.DataFrame:
        """Return patients and effective sample size, (sum w)^2 / sum w^2, of each group.

        Returns
        -------
        DataFrame
            group, n, effective_n, largest_weight (the share of the patient who counts most).
        """
        rows = []
        for label, mine in self.sides:
            w = self.weights[mine]
            rows.append(
                {
                    "group": label, "n": int(mine.sum()),
                    "effective_n": float(w.sum() ** 2 / (w**2).sum()),
                    "largest_weight": float(w.max()),
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the standardised differences of every covariate, before and after weighting.

        Of several arms those of the pair that differs most, before as after.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.figures.balance import love_plot
        from longsurv.figures.place import place_of

        return love_plot(self.imbalance(), ax=place_of(ax))

    def balance(self, compare: Compare = "pairwise") -> pd.DataFrame:
        """Return the means of every covariate by group, before and after weighting.

        Parameters
        ----------
        compare : {"pairwise", "reference"}
            Of several arms every pair, or every other with the reference.

        Returns
        -------
        DataFrame
            covariate (a column of the propensity model), mean_group, mean_reference,
            std_difference (in units of the root mean square of the two unweighted standard
            deviations), and the same after weighting with _weighted. Of more than two arms a row
            a pair, its name ("active - control") first, as `comparison`.
        """
        sides, w, several = self.sides, self.weights, len(self.arms) > 2
        rows: list[Record] = []
        for one, other in self.pairs(compare):
            (label, a), (against, b) = sides[one], sides[other]
            for name, x in zip(self.names, self.X.T, strict=True):
                if name == "Intercept":
                    continue
                scale = np.sqrt((_variance(x[a]) + _variance(x[b])) / 2)
                means = x[a].mean(), x[b].mean()
                after = float(w[a] @ x[a]), float(w[b] @ x[b])
                rows.append(
                    {
                        "comparison": f"{label} - {against}", "covariate": name,
                        "mean_group": float(means[0]), "mean_reference": float(means[1]),
                        "std_difference": _ratio(means[0] - means[1], scale),
                        "mean_group_weighted": after[0], "mean_reference_weighted": after[1],
                        "std_difference_weighted": _ratio(after[0] - after[1], scale),
                    }
                )  # fmt: skip
        return pd.DataFrame(rows, columns=BALANCE if several else BALANCE[1:])

    def imbalance(self) -> pd.DataFrame:
        """Return the largest standardised difference of every covariate between any two groups.

        Returns
        -------
        DataFrame
            covariate, std_difference, std_difference_weighted: absolute values.
        """
        table, columns = self.balance(), ["std_difference", "std_difference_weighted"]
        sizes = table[["covariate"]].join(table[columns].abs())
        return sizes.groupby("covariate", sort=False, as_index=False).max()


def patients(n: int) -> str:
    """So many patients, in words."""
    return f"{n:,} patient{'' if n == 1 else 's'}"


def _variance(x: np.ndarray) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else 0.0


def _ratio(difference: float, scale: float) -> float:
    if scale > 0:
        return float(difference / scale)
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
