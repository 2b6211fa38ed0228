"""A prior from published trials: Bayesian random-effects meta-analysis by quadrature.

Trial k estimates its own effect theta_k, a log ratio, and the effects are alike but not equal,

    theta_k ~ N(mu, tau^2),    mu ~ average,    tau ~ heterogeneity.

What the trials say of the next one is its effect theta* ~ N(mu, tau^2), averaged over the posterior
of mu and tau: the meta-analytic-predictive prior (Neuenschwander and others 2010, Clin Trials
7:5-18). It has heavier tails than a normal, as tau is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.priors.density import log_densities
from longsurv.priors.families import Normal
from longsurv.priors.mixture import Mixture, local_information
from longsurv.priors.prior import Prior

Marginal = Callable[[np.ndarray, float], np.ndarray]
"""Log likelihood of a trial at (mu, of any shape; tau), its own effect integrated out."""

_COARSE, _FINE = 401, 301
_SPREADS = 64
_BETWEEN = 50
_DECADES = 9
_FAR = 1e-12
_PASSES = 60
_FILLED = 0.7
_DROP, _DROP_OF_SPREAD = 30.0, 18.0
_PRUNED = 1e-13
_AT_ONCE = 2_000_000
_POINTS = 2000
_FITTED = 500
_MOST_PARTS = 4
_FEWEST = 10
_DIFFERENT = 0.9
FIT = 1e-3
"""How far the distribution function of a fitted mixture may lie from what it stands for."""


@dataclass(frozen=True, eq=False)
class TrialEffects:
    """Posterior of the average and the spread of trials' effects on a grid.

    Attributes
    ----------
    average : ndarray, shape (m,)
        The grid of mu.
    spread : ndarray, shape (s,)
        The nodes of tau.
    mass : ndarray, shape (m, s)
        Posterior probability of each pair.
    """

    average: np.ndarray
    spread: np.ndarray
    mass: np.ndarray

    @property
    def next_trial(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, means and standard deviations of the normals whose mixture is the distribution
        of the effect of another trial. A point of the grid stands for its cell."""
        cell = np.gradient(self.average)[:, None]
        means = np.broadcast_to(self.average[:, None], self.mass.shape)
        sds = np.broadcast_to(np.sqrt(self.spread**2 + cell**2 / 12.0), self.mass.shape)
        kept = self.mass > _PRUNED * self.mass.max()
        weights = self.mass[kept]
        return weights / weights.sum(), means[kept], sds[kept]

    def quantiles_of_average(self, p: np.ndarray) -> np.ndarray:
        """Of mu.

        Parameters
        ----------
        p : ndarray
        """
        return _inverted(self.average, self.mass.sum(axis=1), p)

    def quantiles_of_spread(self, p: np.ndarray) -> np.ndarray:
        """Of tau.

        Parameters
        ----------
        p : ndarray
        """
        from scipy.interpolate import CubicSpline

        logs = np.log(self.spread)  # evenly spaced, with nothing left at either end
        below = CubicSpline(logs, self.mass.sum(axis=0) / (logs[1] - logs[0])).antiderivative()
        fine = np.linspace(logs[0], logs[-1], _BETWEEN * len(logs))
        reached = np.maximum.accumulate(below(fine))
        rising = np.concatenate([[True], np.diff(reached) > 0.0])
        return np.exp(np.interp(p, reached[rising], fine[rising]))

    def moments_of_spread(self) -> tuple[float, float]:
        """Mean and standard deviation of tau."""
        mass = self.mass.sum(axis=0)
        mean = float(mass @ self.spread)
        return mean, math.sqrt(float(mass @ (self.spread - mean) ** 2))

    def points(self, n: int = _POINTS) -> np.ndarray:
        """Quantiles of equal probability of the effect of another trial.

        Parameters
        ----------
        n : int
            How many.
        """
        return _quantiles_of_normals(*self.next_trial, n)


def _quantiles_of_normals(
    weights: np.ndarray, means: np.ndarray, sds: np.ndarray, n: int
) -> np.ndarray:
    """n quantiles of equal probability of a mixture of many normals."""
    from scipy.special import ndtr

    mean = float(weights @ means)
    sd = math.sqrt(float(weights @ (sds**2 + (means - mean) ** 2)))
    # Close together in the middle, and out to where nothing is left.
    x = mean + sd * 12.0 * np.sinh(np.linspace(-3.0, 3.0, 1201)) / math.sinh(3.0)
    below = np.array([weights @ ndtr((at - means) / sds) for at in x])
    rising = np.concatenate([[True], np.diff(below) > 0.0])
    return np.interp((np.arange(n) + 0.5) / n, below[rising], x[rising])


def random_effects(
    trials: Sequence[Marginal], average: Prior, heterogeneity: Prior
) -> TrialEffects:
    """The posterior of the average and the spread of the effects of trials.

    On a grid of the average and of the logarithm of the spread, both by the trapezoidal rule, that
    begins where their priors are, and is moved, widened and narrowed until it is where their
    posterior is.

    Raises
    ------
    LongsurvError
        Where the prior of the spread has no standard deviation, or no such grid is found.
    """
    top = math.log(_end(heterogeneity))
    rho = np.linspace(top - _DECADES * math.log(10.0), top, _SPREADS)
    middle = float(average.quantiles(np.array([0.5]))[0])
    low, high = average.quantiles(np.array([_FAR, 1.0 - _FAR]))
    width = float(np.diff(average.quantiles(np.array([0.25, 0.75])))[0])
    low, high = np.arcsinh((np.array([low, high]) - middle) / width)
    t = np.linspace(low, high, _COARSE)
    mu = middle + width * np.sinh(t)
    for _ in range(_PASSES):
        tau = np.exp(rho)
        found = log_densities(average, mu)[:, None] + (log_densities(heterogeneity, tau) + rho)
        for k, spread in enumerate(tau):
            found[:, k] += np.sum([trial(mu, float(spread)) for trial in trials], axis=0)
        mass = np.exp(found - found.max()) * np.cosh(t)[:, None]
        in_mu, settled_mu = _where(found.max(axis=1), _DROP)
        in_rho, settled_rho = _where(found.max(axis=0), _DROP_OF_SPREAD)
        if settled_mu and settled_rho:
            return TrialEffects(mu, tau, mass / mass.sum())
        low, high = _moved(rho, in_rho)
        rho = np.linspace(low, high, _SPREADS)
        # Close together in the middle: the tails are long, as the spread is not known.
        lower, middle, upper = _inverted(mu, mass.sum(axis=1), np.array([0.25, 0.5, 0.75]))
        width = max(upper - lower, 1e-3 * float(np.diff(mu).min()), 1e-12 * abs(middle))
        low, high = np.arcsinh((np.array(_moved(mu, in_mu)) - middle) / width)
        t = np.linspace(low, high, _FINE)
        mu = middle + width * np.sinh(t)
    raise LongsurvError(
        f"the trials and the priors of their average, {average}, and of the spread between them,"
        f" {heterogeneity}, are too far apart to be put together: look for a slip of the pen"
    )


def _where(profile: np.ndarray, drop: float) -> tuple[tuple[int, int], bool]:
    """The first and last node around those with a mass that counts, and whether these fill the
    nodes without going beyond them."""
    inside = np.flatnonzero(profile > profile.max() - drop)
    first, last = int(inside[0]) - 1, int(inside[-1]) + 1
    within = first >= 0 and last < len(profile)
    return (first, last), within and last - first > _FILLED * len(profile)


def _moved(nodes: np.ndarray, ends: tuple[int, int]) -> tuple[float, float]:
    """Values at the ends, an end outside the nodes being half as far again as these reach."""
    more = 0.5 * float(nodes[-1] - nodes[0])
    first, last = ends
    return (
        float(nodes[first]) if first >= 0 else float(nodes[0]) - more,
        float(nodes[last]) if last < len(nodes) else float(nodes[-1]) + more,
    )


def normal_trial(estimate: float, std_error: float) -> Marginal:
    """A trial known by an estimate that is normal around its effect."""

    def marginal(mu: np.ndarray, tau: float) -> np.ndarray:
        variance = std_error**2 + tau**2
        return -0.5 * (mu - estimate) ** 2 / variance - 0.5 * math.log(variance)

    return marginal


def likelihood_trial(log_likelihood: Callable[[np.ndarray], np.ndarray], scale: float) -> Marginal:
    """A trial known by any likelihood of its effect, which bends over a distance of `scale`.

    The effect is integrated out by the trapezoidal rule, in steps that are short for the likelihood
    and for the normal distribution of effects.
    """

    def marginal(mu: np.ndarray, tau: float) -> np.ndarray:
        step = 0.5 / math.sqrt(1.0 + (tau / scale) ** 2)
        z = step * np.arange(-math.ceil(8.5 / step), math.ceil(8.5 / step) + 1)
        found = []
        for some in np.array_split(mu, -(-mu.size * z.size // _AT_ONCE)):
            logs = log_likelihood(some[:, None] + tau * z) - 0.5 * z**2
            top = logs.max(axis=1)
            found.append(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)))
        return np.concatenate(found) + math.log(step / math.sqrt(2.0 * math.pi))

    return marginal


def conditional_trial(events: int, n: int, reference_events: int, reference_n: int) -> Marginal:
    """A trial known by its counts: the likelihood of the log odds ratio given the margins of its
    table, exact and without a correction for cells that are zero (Fisher's noncentral
    hypergeometric distribution)."""
    from scipy.interpolate import CubicSpline
    from scipy.special import gammaln

    total = events + reference_events
    k = np.arange(max(0, total - reference_n), min(n, total) + 1)

    def choose(of: int, some: np.ndarray) -> np.ndarray:
        return gammaln(of + 1.0) - gammaln(some + 1.0) - gammaln(of - some + 1.0)

    base = choose(n, k) + choose(reference_n, total - k)

    def exact(theta: np.ndarray) -> np.ndarray:
        logs = base + np.multiply.outer(theta, k - events)
        top = logs.max(axis=-1, keepdims=True)
        return base[k == events][0] - (top[..., 0] + np.log(np.exp(logs - top).sum(axis=-1)))

    # Between its ends by a spline; beyond, where one end of the range has all the mass, straight.
    grid = 30.0 * np.sinh(np.linspace(-5.0, 5.0, 4001)) / math.sinh(5.0)
    found = np.concatenate([exact(part) for part in np.array_split(grid, 40)])
    spline = CubicSpline(grid, found)
    slope_low, slope_high = k[0] - events, k[-1] - events

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        inside = np.clip(theta, grid[0], grid[-1])
        beyond = theta - inside
        return spline(inside) - np.where(beyond > 0.0, slope_high, slope_low) * beyond

    cells = np.array([events, n - events, reference_events, reference_n - reference_events]) + 0.5
    return likelihood_trial(log_likelihood, float(np.sqrt((1.0 / cells).sum())))


@checked
def mixture_of(draws: np.ndarray, spread: Prior | None = None) -> tuple[Prior, float]:
    """A prior with the quantiles of draws: the normal, or the mixture of as few normals as will do.

    So the posterior of one study can be the prior of the next. Fitted by the EM algorithm
    (Dempster, Laird & Rubin 1977, J R Stat Soc B 39:1-38).

    Parameters
    ----------
    draws : ndarray, any shape
        Of one parameter.
    spread : Prior, optional
        Of the standard deviation of a normal distribution around the parameter drawn, where the
        prior is of something that is like it but not the same.

    Returns
    -------
    prior : Normal or Mixture
    error : float
        The largest difference between its distribution function and that of the draws: at most
        0.001 unless four normals are not enough.

    Raises
    ------
    LongsurvError
        For fewer than ten draws, or draws that are all the same or not finite.
    """
    flat = np.ravel(np.asarray(draws, dtype=float))
    if len(flat) < _FEWEST or not np.isfinite(flat).all() or np.ptp(flat) == 0.0:
        raise LongsurvError(
            f"draws are {_FEWEST} or more finite numbers that differ; got {len(flat)}"
        )
    points = np.quantile(flat, (np.arange(_FITTED) + 0.5) / _FITTED)
    if len(np.unique(points)) < _DIFFERENT * len(points):
        raise LongsurvError(
            f"the draws take {len(np.unique(flat))} values, and many of them the same one: no"
            " normals have their quantiles; give draws of a parameter that is continuous"
        )
    if spread is not None:
        tau, weight = _spreads(spread)
        gaps = np.gradient(points)  # each point stands for what lies around it
        sds = np.sqrt(tau**2 + (gaps**2 / 12.0)[:, None])
        weights = np.broadcast_to(weight / weight.sum() / len(points), sds.shape)
        means = np.broadcast_to(points[:, None], sds.shape)
        points = _quantiles_of_normals(weights.ravel(), means.ravel(), sds.ravel(), _FITTED)
    chance = (np.arange(len(points)) + 0.5) / len(points)
    best: tuple[Prior, float] | None = None
    for parts in range(1, _MOST_PARTS + 1):
        prior = _by_em(points, parts)
        error = float(np.abs(prior.distribution(points) - chance).max())
        if best is None or error < best[1]:
            best = prior, error
        if error <= FIT:
            break
    assert best is not None
    return best


def _spreads(prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a standard deviation and their prior probabilities: Gauss and Legendre's from zero
    to where nothing is left of its prior, denser towards zero."""
    largest = _end(prior)
    x, w = np.polynomial.legendre.leggauss(_SPREADS)
    u = 0.5 * (x + 1.0)
    nodes = largest * u**2
    return nodes, np.exp(log_densities(prior, nodes)) * w * u * largest


def _by_em(points: np.ndarray, parts: int) -> Prior:
    mean, sd = float(points.mean()), float(points.std())
    if parts == 1:
        return Normal(mean, sd)
    # Normals of one centre and several widths, and slightly apart: heavy tails or skewness.
    sds = sd * np.geomspace(0.6, 1.8, parts)
    means = mean + sd * np.linspace(-0.2, 0.2, parts)
    weights = np.full(parts, 1.0 / parts)
    for _ in range(1000):
        logs = np.log(weights) - 0.5 * ((points[:, None] - means) / sds) ** 2 - np.log(sds)
        share = np.exp(logs - logs.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        size = share.sum(axis=0)
        old = np.concatenate([weights, means / sd, sds / sd])
        weights = size / len(points)
        means = (share * points[:, None]).sum(axis=0) / size
        sds = np.sqrt((share * (points[:, None] - means) ** 2).sum(axis=0) / size)
        if np.abs(np.concatenate([weights, means / sd, sds / sd]) - old).max() < 1e-7:
            break
    kept = weights > 1e-6
    weights = weights[kept] / weights[kept].sum()
    normals = tuple(Normal(float(m), float(s)) for m, s in zip(means[kept], sds[kept], strict=True))
    return Mixture(normals, tuple(map(float, weights))) if len(normals) > 1 else normals[0]


@checked
def effective_events(prior: Prior, allocation: float = 0.5) -> float:
    """Events that a prior of a log hazard ratio is worth: its expected local-information ratio.

    The information of the prior, minus the second derivative of its log density, averaged over the
    prior itself, over that of one event, a (1 - a) with a share a of those at risk in the group
    (Neuenschwander, Weber, Schmidli & O'Hagan 2020, Biometrics 76:578-587). Unlike a ratio of
    variances it adds up: after m events the expected size is m more.

    Parameters
    ----------
    prior : Normal, StudentT or Mixture of them
    allocation : float
        Share of the patients who are in the group, between 0 and 1.

    Returns
    -------
    float
    """
    from scipy.special import ndtr

    if not 0.0 < allocation < 1.0:
        raise LongsurvError(f"allocation is a share between 0 and 1, not {allocation:g}")
    parts, weights = (
        (prior.parts, prior.weights) if isinstance(prior, Mixture) else ((prior,), (1.0,))
    )
    tail = ndtr(np.linspace(-9.0, 0.0, 10001))
    total = 0.0
    for part, weight in zip(parts, weights, strict=True):
        low = part.quantiles(tail)  # every family here is symmetric
        x = np.concatenate([low, 2.0 * low[-1] - low[-2::-1]])
        density = np.exp(log_densities(part, x))
        total += weight * float(np.trapezoid(density * local_information(prior, x), x))
    return total / (allocation * (1.0 - allocation))


def _end(heterogeneity: Prior) -> float:
    """Where nothing is left of the prior of a spread."""
    mean, sd = heterogeneity.moments()
    if not math.isfinite(sd):
        raise LongsurvError(f"{heterogeneity} has no standard deviation; use HalfNormal(0.5)")
    top = mean + 5.0 * sd
    while log_densities(heterogeneity, np.array([top]))[0] > math.log(1e-10 / sd):
        top *= 1.3
    return top


def _inverted(x: np.ndarray, mass: np.ndarray, p: np.ndarray) -> np.ndarray:
    below = np.cumsum(mass) - 0.5 * mass
    return np.interp(p, below / mass.sum(), x)
