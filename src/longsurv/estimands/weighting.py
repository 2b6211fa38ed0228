"""Propensity weights: comparing groups as if all were of one population.

With overlap weights each patient counts with the probability of having been in the other
group: 1 - e if treated, e if not, e the propensity score. The groups then have the same mean of
every covariate in the score, by construction, and patients whom nobody would (or everybody would)
have treated count for little. The estimand is the average effect in the overlap population, those
on whom treatment was undecided. Other weights (`targets`) ask about other populations, and all of
them may be of more than two arms, whose chances then are those of a multinomial logit.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from longsurv.arguments import checked
from longsurv.design.centred import centred
from longsurv.design.expression import Functions
from longsurv.design.fixed import check_fewer, fixed_design
from longsurv.design.rank import independent_columns
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.intervals import proportion, within
from longsurv.estimands.propensity import Propensity, fit_arms, fit_propensity, told_apart
from longsurv.estimands.propensity_result import PropensityWeights, patients
from longsurv.estimands.several_arms import compared
from longsurv.estimands.side_by_side import column_beside
from longsurv.estimands.targets import TARGETS
from longsurv.estimands.treatments import Compare, levels_of, pairs_of
from longsurv.estimands.weighted_influence import check_spare, covariance
from longsurv.own_order import own_order
from longsurv.words import listed, plural

type TargetName = Literal["ATE", "ATT", "overlap", "matching"]

LARGE = 2_000
"""Patients of two arms from which on a fit is quicker than asking whether they are told apart."""
ROUNDING = 1e-14
"""Share of the outcome's variance below which the variance of a mean is rounding."""


@checked
def propensity_weights(
    data: pd.DataFrame,
    treatment: str,
    covariates: str,
    *,
    target: TargetName = "ATE",
    like: Hashable | None = None,
    stabilised: bool = False,
    truncate: float | None = None,
    functions: Functions | None = None,
) -> PropensityWeights:
    """Weight patients so that all groups are like one population.

    Parameters
    ----------
    data : DataFrame
        One row a patient.
    treatment : str
        Column with two levels or more; the first category (or the first in order) is the reference.
    covariates : str
        Right-hand side of the propensity model, as ``"age + log(pct)"``: what decided treatment.
    target : {"ATE", "ATT", "overlap", "matching"}
        Whom the comparison is about: all patients; those like the treated; those who might have
        been in any group; those who would be matched one to one.
    like : hashable, optional
        Of the target "ATT" the arm that those treated are in; of two arms by default the one that
        is not the reference.
    stabilised : bool
        Multiply each weight by the share of the patient's group. It changes `raw`, and with it
        which weights `truncate` cuts off; comparisons of weighted groups are the same without.
    truncate : float, optional
        Cut weights off at this quantile of all, as 0.99: less variance, at the price of some of
        the imbalance.
    functions : mapping of str to callable, optional
        Functions of your own that the covariates may call by name, as ``{"f": f}`` for ``f(age)``.

    Returns
    -------
    PropensityWeights
        Its `balance`, `effective_sample_size` and `positivity` say whether the groups can be
        compared; `plot` draws the balance.

    Raises
    ------
    DataError, FormulaError
        Unless there are two groups with someone in each; for covariates that are not there.
    EstimationError
        If the covariates tell two of the groups apart.
    LongsurvError
        For a quantile that is none, or if it is left open which arm's patients "ATT" is about.

    References
    ----------
    Cole SR, Hernan MA. Constructing inverse probability weights for marginal structural models.
    Am J Epidemiol 2008;168:656-664. Li L, Greene T. A weighting analogue to pair matching in
    propensity score analysis. Int J Biostat 2013;9:215-234. Li F, Li F. Propensity score
    weighting for causal inference with multiple treatments. Ann Appl Stat 2019;13:2389-2415.
    """
    if truncate is not None and not 0.5 < truncate < 1:
        raise LongsurvError(
            f"truncate is a quantile between 0.5 and 1, as 0.99 to cut off the largest 1 %; got"
            f" {truncate:g}"
        )
    found = overlap_weights(data, treatment, covariates, functions=functions)
    arms = listed(list(map(str, found.arms)))
    if like is None and target == "ATT" and len(found.arms) > 2:
        raise LongsurvError(
            f"target='ATT' is about patients like those of one arm; name it with like=, of {arms}"
        )
    if like is not None and (target != "ATT" or like not in found.arms):
        raise LongsurvError(
            f"like= names the arm, of {arms}, that target='ATT' is about; got {like!r} with"
            f" target={target!r}"
        )
    return replace(
        found, target=TARGETS[target], like=like, stabilised=stabilised, truncated=truncate
    )


@checked
def overlap_weights(
    data: pd.DataFrame, treatment: str, covariates: str, *, functions: Functions | None = None
) -> PropensityWeights:
    """Weight patients so that the groups have the same means of the covariates.

    Exactly so of two groups, and nearly of more.

    Parameters
    ----------
    data : DataFrame
        One row a patient.
    treatment : str
        Column with two levels or more; the first category (or the first in order) is the reference.
    covariates : str
        Right-hand side of the propensity model, as ``"age + log(pct)"``: what decided treatment.
    functions : mapping of str to callable, optional
        Functions of your own that the covariates may call by name, as ``{"f": f}`` for ``f(age)``.

    Raises
    ------
    DataError, FormulaError
        Unless there are two groups with someone in each; for covariates that are not there.
    EstimationError
        If the covariates tell two groups apart: nobody in one is like anybody in the other.
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
    levels, every = levels_of(labels), levels_of(data[treatment])
    if len(levels) < 2:
        found = ", ".join(map(str, levels))
        raise DataError(f"expected two groups in {treatment!r} with complete rows, found {found}")
    if len(levels) < len(every):
        lost = listed([str(level) for level in every if level not in levels])
        raise DataError(
            f"nobody of {lost} in {treatment!r} has all of {covariates}: leave those patients out,"
            " or name covariates that are known of them"
        )
    place = {level: j for j, level in enumerate(levels)}
    arm = np.asarray(labels.map(place), dtype=np.int64)
    middle = centred(design, data.loc[complete].reset_index(drop=True)).standard
    propensity = _alike(middle, arm, levels, covariates, treatment)
    used = [name for name in design.variables if name in data]
    return PropensityWeights(
        arms=tuple(levels), names=design.names, X=design.X, centred=middle, arm=arm,
        rows=np.flatnonzero(complete), n_excluded=int((~complete).sum()), propensity=propensity,
        table=data[[treatment, *used]],
    )  # fmt: skip


def _alike(
    X: np.ndarray, arm: np.ndarray, levels: list[Hashable], covariates: str, treatment: str
) -> Propensity:
    """The score; refused where the covariates tell two of the arms apart."""
    several, p = len(levels) > 2, X.shape[1]
    score = None if several else fit_arms(X, arm, 2)
    for i, j in pairs_of(len(levels), "pairwise"):
        two = (arm == i) | (arm == j)
        mine, later = X[two], arm[two] == j
        # Of more arms all chances may be between 0 and 1 where two of the arms are far apart.
        if score is None and len(later) > LARGE:
            known = fit_propensity(full_rank(mine), later).method == "logistic"
        else:
            known = score is not None and score.method == "logistic"
        if known or not told_apart(mine, later):
            continue
        which = f" {levels[i]} and {levels[j]}" if several else ""
        raise EstimationError(
            f"{covariates} tell{'s' if p == 2 else ''} the groups{which} of {treatment} apart"
            f" without fail ({plural(p, 'coefficient')} for {min(later.sum(), (~later).sum())}"
            " patients in the smaller group): nobody in one is like anybody in the other, so nobody"
            " can be weighted to stand for them. Name fewer covariates"
        )
    if score is not None:
        return score
    if len(X) <= p * (len(levels) - 1):
        raise EstimationError(
            f"{patients(len(X))} are too few for a propensity score of {p * (len(levels) - 1)}"
            f" coefficients, those of {len(levels)} groups: name fewer covariates"
        )
    return fit_arms(X, arm, len(levels))


@checked
def weighted_difference(
    weights: PropensityWeights,
    outcome: ArrayLike,
    *,
    compare: Compare = "reference",
    level: float = 0.95,
    bootstrap: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Compare the weighted means (risks, if the outcome is 0/1) of the groups.

    Parameters
    ----------
    weights : PropensityWeights
    outcome : array_like
        A value for every row of the table the weights were made from; missing ones are left out
        of the means, not of the propensity score, and counted.
    compare : {"reference", "pairwise"}
        Of several arms every other with the reference, or every pair.
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
        group in which every outcome is the same has no standard error. Of more than two arms
        there is a difference a comparison, its name ("active - control") first, as `comparison`,
        and p_holm after p_value, corrected by Holm's method for the number of comparisons.

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
    sides = weights.sides
    for label, mine in sides:
        if not (known & mine).any():
            raise DataError(f"no outcome is known in the group {label}")
    n, p = check_spare(weights)
    means, cov = _sandwich(weights, y, known)
    pairs, each = weights.pairs(compare), np.eye(len(sides))
    contrasts = np.array([*each, *(each[i] - each[j] for i, j in pairs)])
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
        quantile = float(stats.t.ppf((1 + level) / 2, df))
        low, high = _limits(estimate, error, quantile, risks, len(sides))
    missing = int((~known).sum())
    parts = [kind, weights.note, f"{patients(missing)} without the outcome" if missing else ""]
    same = np.array([np.ptp(y[known & mine]) == 0 for _, mine in sides])
    parts += [
        f"every outcome in {label} is the same, so its variance is not known"
        for (label, _), unvaried in zip(sides, same, strict=True)
        if unvaried
    ]
    if exact[len(sides) :].any() and not same.any() and not bootstrap:
        parts += ["treatment and covariates reproduce the outcome, so no variance is left"]
    note = "; ".join(part for part in parts if part)
    unknown = np.append(same, [same[i] or same[j] for i, j in pairs])
    error, low, high = (np.where(unknown, np.nan, values) for values in (error, low, high))
    statistic = np.full(len(estimate), np.nan)  # whether a mean is 0 is not a question
    asked = (np.arange(len(estimate)) >= len(sides)) & (error > 0)
    statistic[asked] = estimate[asked] / error[asked]
    both = [int((known & mine).sum()) for _, mine in sides]
    of_pairs = [both[i] + both[j] for i, j in pairs]
    table = pd.DataFrame(
        {
            "quantity": [*(f"mean of {label}" for label, _ in sides), *["difference"] * len(pairs)],
            "n": [*both, *of_pairs],
            "estimate": estimate, "std_error": error, "statistic": statistic, "df": df,
            "p_value": 2 * stats.t.sf(np.abs(statistic), df), "conf_low": low, "conf_high": high,
            "note": note,
        }
    )  # fmt: skip
    return table if len(sides) == 2 else compared(table, weights, compare, ["difference"])


def _limits(
    estimate: np.ndarray, error: np.ndarray, quantile: float, risks: bool, arms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the arms' means and their differences; those of risks stay where risks are."""
    if not risks:
        return estimate - quantile * error, estimate + quantile * error
    scales = [proportion] * arms + [within] * (len(estimate) - arms)
    made = [
        limits(float(value), float(se), quantile)
        for limits, value, se in zip(scales, estimate, error, strict=True)
    ]
    low, high = np.array(made).T
    return low, high


def outcome_of(weights: PropensityWeights, outcome: ArrayLike) -> np.ndarray:
    """The outcomes of the patients that have weights, shape (n,)."""
    values = np.asarray(column_beside(weights.table.index, outcome, "the outcome"), dtype=float)
    rows = len(weights.table)
    if values.shape != (rows,):
        raise DataError(f"the outcome must have one value for each of the {rows} rows of the table")
    return values[weights.rows]


def _sandwich(
    weights: PropensityWeights, y: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and their covariance, from the equations of score and means together."""
    value, means, slopes = np.where(known, y, 0.0), [], []
    for _, side in weights.sides:
        w = weights.weights * side * known
        means.append(w @ value / w.sum())
        slopes.append(w * (value - means[-1]) / w.sum())
    return np.array(means), covariance(weights, np.column_stack(slopes))


def _resample(
    weights: PropensityWeights, y: np.ndarray, known: np.ndarray, times: int, seed: int
) -> np.ndarray:
    """Weighted means in bootstrap resamples, shape (times, k); NaN where one has no outcome."""
    rng = np.random.default_rng(seed)
    order = own_order(weights.X, y)
    sides = [order[mine[order]] for _, mine in weights.sides]
    out = np.full((times, len(sides)), np.nan)
    for t in range(times):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        X, arm = full_rank(weights.centred[rows]), weights.arm[rows]
        w = weights.again(arm, fit_arms(X, arm, len(sides)).chance)
        for side, (_, who) in enumerate(weights.sides):
            mine = w * who[rows] * known[rows]
            if mine.sum() > 0:
                out[t, side] = mine @ np.where(known, y, 0.0)[rows] / mine.sum()
    return out


def full_rank(X: np.ndarray) -> np.ndarray:
    """Leave out columns that a resample has made redundant (a rare level not drawn)."""
    return X[:, independent_columns(X)]
