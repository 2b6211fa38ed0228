"""The two answers to one question side by side, and why they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import ArgumentError, LongsurvError
from longsurv.priors import LKJ, apart, log_density
from longsurv.results import Estimate, Posterior
from longsurv.results.against import against
from longsurv.results.comparison import (
    SHIFT_LIMIT,
    WIDTH_LIMIT,
    ComparedAnswers,
    close,
    distance,
    side_by_side,
)
from longsurv.results.nested import of_same_rows

__all__ = ["LOST_R_HAT", "SHIFT_LIMIT", "WIDTH_LIMIT", "compare", "without_priors"]

STRONG = 0.5
"""Share of the posterior's precision that comes from the prior."""
LOST_R_HAT = 1.1
"""From here on the chains are in different places, and their mean is that of none of them."""
LEAST_LEFT = 1e-3
"""Of the precision, taken to be the data's where the draws say that there is none."""


class SmoothingPrior(Protocol):
    """A prior of several parameters."""

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Its logarithm at x, shape (K,), and the slope of that."""


@runtime_checkable
class Smoothed(Protocol):
    """Priors of which one is of several parameters together, as of a spline's coefficients."""

    @property
    def smoothing(self) -> SmoothingPrior:
        """That prior."""

    def smoothed_with(self, term: str) -> tuple[str, ...]:
        """The parameters that share such a prior with this one."""


@checked
def compare(
    fit: object,
    post: object,
    level: float = 0.95,
    *,
    names: Mapping[str, str] | None = None,
) -> ComparedAnswers:
    """Compare two answers to one question: a fit and a posterior, or one of them and another's.

    Parameters
    ----------
    fit : Estimate or Posterior
    post : Posterior, or a fit of another library
        Of the same model as `fit`. Or a CoxPHFitter of lifelines, results of statsmodels (MixedLM,
        OLS, GLM, GEE, Logit, PHReg), or draws for ArviZ, as of PyMC and bambi: these are held
        against `fit` term by term, whatever model they are of.
    level : float
        Of both intervals; a posterior's is equal-tailed.
    names : mapping of str to str, optional
        Of another library's fit: names of its terms to names of ours, where they differ by more
        than notation.

    Returns
    -------
    DataFrame
        One row a term: term, estimate_ml, conf_low_ml, conf_high_ml, estimate_bayes,
        conf_low_bayes, conf_high_bayes, overlap, shift (of the centres, in standard errors of
        maximum likelihood), width_ratio (Bayes over maximum likelihood), verdict, reason. Against
        another library the endings are "longsurv" and its name, and the verdict is "agree",
        "differ" or "no answer"; `attrs["not_compared"]` has those of its terms that nothing here is
        called like. The table has `summary()` and `plot()`.

    Raises
    ------
    LongsurvError
        If the two are not of the same formula; of another library's fit, if it cannot be read, is
        of another quantity or no term is called alike.

    Notes
    -----
    `overlap` is the length the intervals share over the length they cover together. The verdict is

    - "agree": the centres differ by less than a quarter of a standard error and the widths by less
      than a quarter;
    - "prior pulls": taking the parameter's own prior out of the posterior, both taken as quadratic
      around the posterior mean, removes most of the difference (of the coefficients of a joint
      model's baseline spline, which are smoothed together, the priors of all at once), or taking
      out the priors of all coefficients does, and the reason names the one that does most;
    - "boundary": maximum likelihood put the parameter, or another variance, on its boundary, where
      its interval does not exist;
    - "asymptotics": neither explains it: the likelihood is not normal around its maximum, or the
      plug-in variances are uncertain, which the posterior carries and the Wald interval does not;
    - "no answer": one of the two has none. The climb did not end at a maximum, the data do not
      determine the parameter, or the chains are in different places; the reason says which.

    Both use one likelihood, so there is no other cause.
    """
    if isinstance(post, Estimate) or not isinstance(fit, (Estimate, Posterior)):
        fit, post = post, fit  # in whichever order they are given
    if not isinstance(fit, (Estimate, Posterior)):
        raise ArgumentError("compare: one of the two is an Estimate or a Posterior of longsurv")
    if isinstance(post, Estimate) or (isinstance(post, Posterior) and isinstance(fit, Posterior)):
        raise ArgumentError("compare: a fit is compared with a posterior, not with another fit")
    if not isinstance(post, Posterior):
        return against(fit, post, level, names)
    if not isinstance(fit, Estimate):
        raise ArgumentError("compare: a posterior is compared with a fit")
    if fit.spec.formula != post.spec.formula or type(fit.spec) is not type(post.spec):
        raise LongsurvError(
            f"compare needs two answers to one question; these are {type(fit.spec).__name__} "
            f"{fit.spec.formula!r} and {type(post.spec).__name__} {post.spec.formula!r}"
        )
    if not of_same_rows(fit.design, post.design):
        raise LongsurvError(
            f"the two answers to {fit.spec.formula!r} are of different data, or of its rows in"
            " another order; fit and sample one specification"
        )
    ml = fit.tidy(level, "all").set_index("term")
    bayes = post.tidy(level, "all").set_index("term")
    shared = [term for term in ml.index if term in bayes.index]
    rows = []
    for term in shared:
        a, b = ml.loc[term], bayes.loc[term]
        verdict, reason = _verdict(fit, post, term, a, b)
        row = side_by_side(term, a, b, "ml", "bayes")
        rows.append(row | {"verdict": verdict, "reason": reason})
    return ComparedAnswers(rows)


def _verdict(
    fit: Estimate, post: Posterior, term: str, a: pd.Series, b: pd.Series
) -> tuple[str, str]:
    se, sd = float(a["std_error"]), float(b["std_error"])
    on_boundary = bool(fit.optimum.at_boundary)
    shift, ratio = distance(a, b)
    reason = _no_answer(fit, post, term, a, b)
    if reason:
        return "no answer", reason
    if not (math.isfinite(se) and math.isfinite(ratio)):
        reason = (
            "maximum likelihood puts a variance on its boundary, where it has no standard error"
        )
        return "boundary", reason
    if close(shift, ratio):
        return (
            "agree",
            f"centres differ by {abs(shift):.2f} standard errors; the Bayesian interval is"
            f" {ratio:.2f} times as wide",
        )
    how = (
        f"the centres differ by {abs(shift):.2f} standard errors and the Bayesian interval is"
        f" {ratio:.2f} times as wide"
    )
    stack = post.stack
    smoothed = stack.smoothed_with(term) if isinstance(stack, Smoothed) else ()
    if smoothed and isinstance(stack, Smoothed):
        prior = f"the smoothing of the spline, {stack.smoothing},"
        mean, without = _without_smoothing(post, smoothed, smoothed.index(term))
        strong = sd**2 < (1.0 - STRONG) * without**2
    else:
        prior, slope, curvature = _prior_at(post, term, float(b["estimate"]))
        steep = abs(slope) * sd > 1.0 and slope * shift > 0.0
        strong = steep or -curvature * sd**2 > STRONG
        if not strong:
            mean, without = _without_prior(b["estimate"], sd, slope, curvature)
    if strong:
        return "prior pulls", f"{how}; {prior} is strong against the data"
    left = _misfit((mean - a["estimate"]) / se, ratio * without / sd)
    if left < 0.5 * _misfit(shift, ratio):
        return "prior pulls", f"{how}; most of that goes when {prior} is taken out"
    if not smoothed and term in post.names:
        mean, without, most = without_priors(post, term)
        told = f"{most} ({post.stack.describe()[most]})"
        if sd**2 < (1.0 - STRONG) * without**2:
            return (
                "prior pulls",
                f"{how}; the prior of {told} is strong against the data, and {term} moves with it",
            )
        left = _misfit((mean - a["estimate"]) / se, ratio * without / sd)
        if left < 0.5 * _misfit(shift, ratio):
            return (
                "prior pulls",
                f"{how}; most of that goes when the priors of all coefficients are taken out, above"
                f" all that of {told}",
            )
    if on_boundary:
        return (
            "boundary",
            f"{how}; maximum likelihood fixed a variance at its boundary, Bayes averages over it",
        )
    return (
        "asymptotics",
        f"{how}; the prior is too weak to explain it, the sample too small for normality",
    )


def _no_answer(fit: Estimate, post: Posterior, term: str, a: pd.Series, b: pd.Series) -> str:
    """Why one of the two says nothing of a term; empty if both say something."""
    if not fit.arrived:
        return f"maximum likelihood did not converge: {fit.optimum.status}"
    if term in fit.undetermined:
        return "the data do not determine it: maximum likelihood has no estimate, Bayes the prior's"
    if not math.isfinite(float(a["estimate"])):
        return "maximum likelihood has no estimate"
    if not fit.optimum.at_boundary and not math.isfinite(float(a["std_error"])):
        return "maximum likelihood has no standard error"
    r_hat = float(b["r_hat"])
    if math.isnan(r_hat):
        return "whether chains agree is not known: R-hat cannot be computed"
    if not r_hat < LOST_R_HAT:
        return f"the chains do not agree: R-hat is {r_hat:.3g}"
    return ""


def _misfit(shift: float, ratio: float) -> float:
    return abs(shift) + abs(math.log(ratio))


def _prior_at(post: Posterior, term: str, x: float) -> tuple[str, float, float]:
    """The prior of a parameter in words, and the slope and curvature of its log density at x."""
    prior = post.priors.get(term)
    if prior is not None:
        step = 1e-4 * max(abs(x), 1e-8)
        up, down = log_density(prior, x + step)[1], log_density(prior, x - step)[1]
        return str(prior), log_density(prior, x)[1], (up - down) / (2.0 * step)
    lkj = post.stack.correlation or LKJ(1.0)
    # Each correlation of an LKJ matrix is 2 Beta(shape, shape) - 1.
    power = lkj.eta - 2.0 + 0.5 * post.stack.size
    rest = max(1.0 - x * x, 1e-12)
    return str(lkj), -2.0 * power * x / rest, -2.0 * power * (1.0 + x * x) / rest**2


def _without_prior(mean: float, sd: float, slope: float, curvature: float) -> tuple[float, float]:
    """Mean and SD of the likelihood alone, were it and the prior's log density quadratic here."""
    precision = 1.0 / sd**2 + curvature
    return mean - slope / precision, 1.0 / math.sqrt(precision)


def without_priors(post: Posterior, term: str) -> tuple[float, float, str]:
    """As `_without_prior`, of a coefficient, less the priors of all coefficients; and the name of
    the one whose prior moves it most.

    In a joint model the smoothing of a baseline spline stays.
    """
    stack = post.stack
    smoothed = getattr(stack, "smoothed_with", lambda _: ())
    chosen = [j for j, n in enumerate(stack.names) if n in post.names and not smoothed(n)]
    names = [stack.names[j] for j in chosen]
    basis = stack.whole_basis[np.ix_(chosen, chosen)]
    draws = np.stack([post.samples[name].ravel() for name in names], axis=-1)
    mean = draws.mean(axis=0)
    phi, spread = basis @ mean, (draws @ basis.T).std(axis=0)
    steps = 1e-4 * np.maximum(spread, 1e-8 * np.maximum(np.abs(phi), 1e-300))
    slopes = np.empty((3, len(names)))
    for k, j in enumerate(chosen):
        for row, at in enumerate((phi[k], phi[k] + steps[k], phi[k] - steps[k])):
            slopes[row, k] = log_density(stack.priors[j], float(at))[1]
    curvature = basis.T @ np.diag((slopes[1] - slopes[2]) / (2.0 * steps)) @ basis
    covariance = _inverse_less(np.cov(draws.T), curvature)
    at = names.index(term)
    # A factor's priors pull its levels, not the combinations of these that are independent.
    back = apart(stack)[np.ix_(chosen, chosen)]
    pulls = (covariance @ (back @ basis).T)[at] * np.linalg.solve(back.T, slopes[0])
    most = names[int(np.abs(pulls).argmax())]
    return float(mean[at] - pulls.sum()), float(np.sqrt(covariance[at, at])), most


def _inverse_less(covariance: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Covariance of the likelihood alone, from the posterior's and the log prior's curvature.

    In coordinates in which the posterior's covariance is the identity; a direction in which the
    prior has all the precision keeps a little.
    """
    half = np.linalg.cholesky(np.atleast_2d(covariance))
    left = np.eye(len(half)) + half.T @ (0.5 * (curvature + curvature.T)) @ half
    values, vectors = np.linalg.eigh(left)
    spread = half @ vectors / np.sqrt(np.maximum(values, LEAST_LEFT))
    return spread @ spread.T


def _without_smoothing(post: Posterior, names: Sequence[str], k: int) -> tuple[float, float]:
    """As `_without_prior`, of the coefficient at k of a spline, less the priors of all of them."""
    draws = np.stack([post.samples[name].ravel() for name in names], axis=-1)
    mean, priors = draws.mean(axis=0), [post.priors[name] for name in names]
    stack = cast(Smoothed, post.stack)

    def slope(x: np.ndarray) -> np.ndarray:
        own = [log_density(prior, float(v))[1] for prior, v in zip(priors, x, strict=True)]
        return np.array(own) + stack.smoothing.value_and_gradient(x)[1]

    steps = 1e-4 * np.maximum(draws.std(axis=0), 1e-8) * np.eye(len(names))
    curvature = np.array([(slope(mean + s) - slope(mean - s)) / (2.0 * s.sum()) for s in steps])
    covariance = _inverse_less(np.cov(draws.T), curvature)
    return float((mean - covariance @ slope(mean))[k]), float(np.sqrt(covariance[k, k]))
