"""Overlap weights: comparing two groups where they are comparable.

Each patient counts with the probability of having been in the other group: 1 - e if treated, e if
not, e the propensity score. The groups then have the same mean of every covariate in the score, by
construction, and patients whom nobody would (or everybody would) have treated count for little. The
estimand is the average effect in the overlap population, those on whom treatment was undecided.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from longsurv.arguments import check_methods, checked
from longsurv.design.centred import centred
from longsurv.design.expression import Functions
from longsurv.design.fixed import check_fewer, fixed_design
from longsurv.design.rank import independent_columns
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.intervals import proportion, within
from longsurv.estimands.propensity import Propensity, fit_propensity

ROUNDING = 1e-14
"""Share of the outcome's variance below which the variance of a mean is rounding."""


@check_methods
@dataclass(frozen=True, eq=False)
class OverlapWeights:
    """Overlap weights of the patients of a table.

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

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. J Am Stat
    Assoc 2018;113:390-400.
    """

    group: Hashable
    reference: Hashable
    names: tuple[str, ...]
    X: np.ndarray = field(repr=False)
    centred: np.ndarray = field(repr=False)
    treated: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    n_excluded: int
    propensity: Propensity

    @property
    def weights(self) -> np.ndarray:
        """Weight of each patient, shape (n,), summing to 1 in each group."""
        return _weights(self.treated, self.propensity.probability)

    @property
    def note(self) -> str:
        """What to know about how the weights were made; empty if nothing."""
        notes = []
        if self.propensity.method == "firth":
            notes.append(
                f"propensity by Firth's penalised likelihood, since {self.propensity.reason};"
                " covariates are balanced only nearly"
            )
        if self.n_excluded:
            notes.append(f"{_patients(self.n_excluded)} left out for a missing covariate")
        return "; ".join(notes)

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


@checked
def overlap_weights(
    data: pd.DataFrame, treatment: str, covariates: str, *, functions: Functions | None = None
) -> OverlapWeights:
    """Weight patients so that the groups have the same means of the covariates.

    Parameters
    ----------
    data : DataFrame
        One row a patient.
    treatment : str
        Column with two levels; the first category (or the first in order) is the reference.
    covariates : str
        Right-hand side of the propensity model, as ``"age + log(pct)"``: what decided treatment.
    functions : mapping of str to callable, optional
        Functions of your own that the covariates may call by name, as ``{"f": f}`` for ``f(age)``.

    Raises
    ------
    DataError, FormulaError
        Unless there are two groups with someone in both; for covariates that are not there.
    """
    if treatment not in data:
        raise DataError(f"there is no column {treatment!r}")
    if data[treatment].isna().any():
        raise DataError(f"column {treatment!r} has missing values")
    design, complete = fixed_design(covariates, data, functions=functions)
    if treatment in design.variables:
        raise LongsurvError(f"{treatment!r} cannot predict itself; leave it out of the covariates")
    check_fewer(design, int(complete.sum()), covariates)
    labels = data.loc[complete, treatment]
    if isinstance(labels.dtype, pd.CategoricalDtype):
        levels = [level for level in labels.cat.categories if (labels == level).any()]
    else:
        levels = sorted(labels.unique())
    if len(levels) != 2:
        found = ", ".join(map(str, levels))
        raise DataError(f"expected two groups in {treatment!r} with complete rows, found {found}")
    treated = (labels == levels[1]).to_numpy()
    middle = centred(design, data.loc[complete].reset_index(drop=True)).standard
    return OverlapWeights(
        group=levels[1], reference=levels[0], names=design.names, X=design.X, centred=middle,
        treated=treated, rows=np.flatnonzero(complete), n_excluded=int((~complete).sum()),
        propensity=fit_propensity(middle, treated),
    )  # fmt: skip


@checked
def weighted_difference(
    weights: OverlapWeights,
    outcome: ArrayLike,
    *,
    level: float = 0.95,
    bootstrap: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Compare the weighted means (risks, if the outcome is 0/1) of the two groups.

    Parameters
    ----------
    weights : OverlapWeights
    outcome : array_like
        A value for every row of the table the weights were made from; missing ones are left out
        of the means, not of the propensity score, and counted.
    level : float
    bootstrap : int
        Resamples for percentile limits, the groups resampled apart and the propensity score
        estimated anew in each. 0: limits from the sandwich variance, which accounts for the
        estimated score, times n / (n - p), with Student's t on n - p degrees of freedom.
    seed : int

    Returns
    -------
    DataFrame
        Rows "mean of" each group and "difference" (group minus reference): quantity, n, estimate,
        std_error, statistic, df, p_value (of the difference only), conf_low, conf_high, note.
        Limits of risks are on the logit scale, those of their difference on that of Fisher's z. A
        group in which every outcome is the same has no standard error.

    Raises
    ------
    DataError
        If the outcome has another length than the table, or a group has none.
    EstimationError
        If there are no more patients than coefficients of the propensity score.

    References
    ----------
    Li F, Thomas LE, Li F. Addressing extreme propensity scores via the overlap weights. Am J
    Epidemiol 2019;188:250-257.
    """
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    y = outcome_of(weights, outcome)
    known = np.isfinite(y)
    for label, mine in ((weights.group, weights.treated), (weights.reference, ~weights.treated)):
        if not (known & mine).any():
            raise DataError(f"no outcome is known in the group {label}")
    n, p = weights.X.shape
    if n <= p:
        raise EstimationError(
            f"{n} patients are too few for a propensity score of {p} coefficients: there is no "
            "variance to estimate"
        )
    means, cov = _sandwich(weights, y, known)
    contrasts = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    estimate = contrasts @ means
    variance = np.einsum("ij,jk,ik->i", contrasts, cov, contrasts)
    # Of an outcome that treatment and covariates reproduce, the difference varies by rounding only.
    exact = (
        variance
        <= ROUNDING * np.var(y[known]) + (1e2 * np.finfo(float).eps * np.abs(y[known]).max()) ** 2
    )
    error = np.sqrt(np.where(exact, np.nan, variance))
    df, kind = float(n - p), "sandwich"
    if bootstrap:
        drawn = _resample(weights, y, known, bootstrap, seed) @ contrasts.T
        tail = (1 - level) / 2
        low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
        error, df = np.nanstd(drawn, axis=0, ddof=1), np.inf
        kind = f"{bootstrap:,} bootstrap resamples"
    else:
        risks = bool(np.isin(y[known], (0, 1)).all())
        low, high = _limits(estimate, error, float(stats.t.ppf((1 + level) / 2, df)), risks)
    missing = int((~known).sum())
    parts = [kind, weights.note, f"{_patients(missing)} without the outcome" if missing else ""]
    sides = ((weights.group, weights.treated), (weights.reference, ~weights.treated))
    same = np.array([np.ptp(y[known & mine]) == 0 for _, mine in sides])
    parts += [
        f"every outcome in {label} is the same, so its variance is not known"
        for (label, _), unvaried in zip(sides, same, strict=True)
        if unvaried
    ]
    if exact[2] and not same.any() and not bootstrap:
        parts += ["treatment and covariates reproduce the outcome, so no variance is left"]
    note = "; ".join(part for part in parts if part)
    unknown = np.append(same, same.any())
    error, low, high = (np.where(unknown, np.nan, values) for values in (error, low, high))
    statistic = np.full(3, np.nan)  # whether a mean is 0 is not a question
    statistic[2] = estimate[2] / error[2] if error[2] > 0 else np.nan
    return pd.DataFrame(
        {
            "quantity": [f"mean of {weights.group}", f"mean of {weights.reference}", "difference"],
            "n": [
                int((known & weights.treated).sum()), int((known & ~weights.treated).sum()),
                int(known.sum()),
            ],
            "estimate": estimate, "std_error": error, "statistic": statistic, "df": df,
            "p_value": 2 * stats.t.sf(np.abs(statistic), df), "conf_low": low, "conf_high": high,
            "note": note,
        }
    )  # fmt: skip


def _limits(
    estimate: np.ndarray, error: np.ndarray, quantile: float, risks: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the two means and their difference; those of risks stay where risks are."""
    if not risks:
        return estimate - quantile * error, estimate + quantile * error
    made = [
        limits(float(value), float(se), quantile)
        for limits, value, se in zip((proportion, proportion, within), estimate, error, strict=True)
    ]
    low, high = np.array(made).T
    return low, high


def _patients(n: int) -> str:
    return f"{n:,} patient{'' if n == 1 else 's'}"


def outcome_of(weights: OverlapWeights, outcome: ArrayLike) -> np.ndarray:
    """The outcomes of the patients that have weights, shape (n,)."""
    values = np.asarray(outcome, dtype=float)
    rows = len(weights.rows) + weights.n_excluded
    if values.shape != (rows,):
        raise DataError(f"the outcome must have one value for each of the {rows} rows of the table")
    return values[weights.rows]


def _weights(treated: np.ndarray, probability: np.ndarray) -> np.ndarray:
    w = np.where(treated, 1 - probability, probability)
    return w / np.where(treated, w[treated].sum(), w[~treated].sum())


def _sandwich(
    weights: OverlapWeights, y: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and their covariance, from the equations of score and means together."""
    z, e = weights.treated.astype(float), weights.propensity.probability
    n, p = weights.X.shape
    X = np.linalg.qr(weights.centred)[0]  # of the score only its column space matters
    value = np.where(known, y, 0.0)
    one, zero = known * z * (1 - e), known * (1 - z) * e
    means = np.array([one @ value / one.sum(), zero @ value / zero.sum()])
    from_one, from_zero = one * (value - means[0]), zero * (value - means[1])
    equations = np.column_stack([X * (z - e)[:, None], from_one, from_zero])
    slope = np.zeros((p + 2, p + 2))
    slope[:p, :p] = -(X * (e * (1 - e))[:, None]).T @ X
    slope[p, :p] = -(from_one * e) @ X
    slope[p + 1, :p] = (from_zero * (1 - e)) @ X
    slope[p, p], slope[p + 1, p + 1] = -one.sum(), -zero.sum()
    influence = np.linalg.solve(slope, equations.T)[p:]
    return means, influence @ influence.T * n / (n - p)


def _resample(
    weights: OverlapWeights, y: np.ndarray, known: np.ndarray, times: int, seed: int
) -> np.ndarray:
    """Weighted means in bootstrap resamples, shape (times, 2); NaN where one has no outcome."""
    rng = np.random.default_rng(seed)
    sides = np.flatnonzero(weights.treated), np.flatnonzero(~weights.treated)
    out = np.full((times, 2), np.nan)
    for k in range(times):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        X, treated = _full_rank(weights.centred[rows]), weights.treated[rows]
        e = fit_propensity(X, treated).probability
        for side, w in enumerate((treated * (1 - e), ~treated * e)):
            mine = w * known[rows]
            if mine.sum() > 0:
                out[k, side] = mine @ np.where(known, y, 0.0)[rows] / mine.sum()
    return out


def _full_rank(X: np.ndarray) -> np.ndarray:
    """Leave out columns that a resample has made redundant (a rare level not drawn)."""
    return X[:, independent_columns(X)]


def _variance(x: np.ndarray) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else 0.0


def _ratio(difference: float, scale: float) -> float:
    if scale > 0:
        return float(difference / scale)
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
