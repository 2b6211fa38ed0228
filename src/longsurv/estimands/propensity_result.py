"""Weights that make two groups like one population, and whether the groups can be compared."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.estimands.propensity import Propensity
from longsurv.estimands.targets import ATE, MATCHING, OVERLAP, Target
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HARDLY = 0.05
"""A chance of treatment below which who got it stands for more than twenty others."""


@check_methods
@dataclass(frozen=True, eq=False)
class PropensityWeights(Readable):
    """Weights of the patients of a table that make two groups like one population.

    Attributes
    ----------
    group, reference : hashable
        The treated level and the one it is compared with.
    names : tuple of str
        Columns of X.
    X : ndarray, shape (n, p)
        Of the propensity model, with the intercept; complete rows only.
    centred : ndarray, shape (n, p)
        The same space in variables centred before their products are formed, in units of the
        default priors (`CentredDesign.standard`).
    treated : ndarray of bool, shape (n,)
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
    stabilised : bool
        Whether a weight is multiplied by the share of the patient's group.
    truncated : float, optional
        The quantile of the weights at which larger ones are cut off.

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. J Am Stat
    Assoc 2018;113:390-400.
    """

    read_as: ClassVar[tuple[str, ...]] = ("note", "effective_sample_size", "balance")

    group: Hashable
    reference: Hashable
    names: tuple[str, ...]
    X: np.ndarray = field(repr=False)
    centred: np.ndarray = field(repr=False)
    treated: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    n_excluded: int
    propensity: Propensity
    table: pd.DataFrame = field(repr=False)
    target: Target = OVERLAP
    stabilised: bool = False
    truncated: float | None = None

    @property
    def weights(self) -> np.ndarray:
        """Weight of each patient, shape (n,), summing to 1 in each group."""
        w = self.raw
        return w / np.where(self.treated, w[self.treated].sum(), w[~self.treated].sum())

    @property
    def raw(self) -> np.ndarray:
        """The weights as they come out of the score, shape (n,), for a model's `weights=`."""
        return self.again(self.treated, self.propensity.probability)

    def again(self, treated: np.ndarray, e: np.ndarray) -> np.ndarray:
        """The weights, made in the same way, of other patients.

        Parameters
        ----------
        treated : ndarray of bool, shape (n,)
        e : ndarray, shape (n,)
            Probability of treatment.

        Returns
        -------
        ndarray, shape (n,)
        """
        w = self._whole(treated, e)
        return w if self.truncated is None else np.minimum(w, np.quantile(w, self.truncated))

    @property
    def slope(self) -> np.ndarray:
        """Derivative of each log weight in the patient's log odds of treatment, shape (n,).

        That of a weight that was cut off is 0: the cut is taken as given.
        """
        e = self.propensity.probability
        moves = self.raw >= self._whole(self.treated, e)
        return np.where(moves, self.target.slope(self.treated, e), 0.0)

    def _whole(self, treated: np.ndarray, e: np.ndarray) -> np.ndarray:
        w = self.target.weights(treated, e)
        return w * np.where(treated, treated.mean(), 1 - treated.mean()) if self.stabilised else w

    @property
    def note(self) -> str:
        """What to know about how the weights were made; empty if nothing."""
        notes = []
        if self.propensity.method == "firth":
            nearly = "; covariates are balanced only nearly" if self.target is OVERLAP else ""
            notes.append(
                f"propensity by Firth's penalised likelihood, since {self.propensity.reason}"
                f"{nearly}"
            )
        if self.n_excluded:
            notes.append(f"{patients(self.n_excluded)} left out for a missing covariate")
        if self.truncated is not None:
            cut = int((self.raw < self._whole(self.treated, self.propensity.probability)).sum())
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
        e, table = self.propensity.probability, self.effective_sample_size()
        least = np.where(self.treated, e, 1 - e) if self.target is ATE else 1 - e
        rare = int((least < HARDLY).sum())
        said = []
        if rare:
            said.append(
                f"{patients(rare)} had less than {100 * HARDLY:g} % chance of "
                + ("the treatment they got" if self.target is ATE else f"being in {self.reference}")
            )
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
        for label, mine in ((self.group, self.treated), (self.reference, ~self.treated)):
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

        return love_plot(self.balance(), ax=place_of(ax))

    def balance(self) -> pd.DataFrame:
        """Return the means of every covariate by group, before and after weighting.

        Returns
        -------
        DataFrame
            covariate (a column of the propensity model), mean_group, mean_reference,
            std_difference (in units of the root mean square of the two unweighted standard
            deviations), and the same after weighting with _weighted.
        """
        a, b, w = self.treated, ~self.treated, self.weights
        rows = []
        for name, x in zip(self.names, self.X.T, strict=True):
            if name == "Intercept":
                continue
            scale = np.sqrt((_variance(x[a]) + _variance(x[b])) / 2)
            means = x[a].mean(), x[b].mean()
            after = float(w[a] @ x[a]), float(w[b] @ x[b])
            rows.append(
                {
                    "covariate": name,
                    "mean_group": float(means[0]), "mean_reference": float(means[1]),
                    "std_difference": _ratio(means[0] - means[1], scale),
                    "mean_group_weighted": after[0], "mean_reference_weighted": after[1],
                    "std_difference_weighted": _ratio(after[0] - after[1], scale),
                }
            )  # fmt: skip
        return pd.DataFrame(rows)


def patients(n: int) -> str:
    """So many patients, in words."""
    return f"{n:,} patient{'' if n == 1 else 's'}"


def _variance(x: np.ndarray) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else 0.0


def _ratio(difference: float, scale: float) -> float:
    if scale > 0:
        return float(difference / scale)
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
