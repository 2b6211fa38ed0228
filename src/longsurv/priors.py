"""Prior distributions of a model's parameters, and the named sets for treatment effects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.prior_families import (
    LKJ,
    Exponential,
    Gamma,
    HalfNormal,
    Normal,
    Prior,
    StudentT,
    log_densities,
    log_density,
    moments,
    scalar_log_density,
)

__all__ = [
    "LKJ",
    "TREATMENT",
    "Exponential",
    "Gamma",
    "HalfNormal",
    "Normal",
    "Prior",
    "PriorStack",
    "StudentT",
    "choose",
    "from_interval",
    "log_density",
    "moments",
    "prior_of",
]


@njit(cache=True, nogil=True, error_model="numpy")
def _lkj_shape(eta: float, q: int, j: int) -> float:
    """Partial correlations of column j are 2 Beta(shape, shape) - 1 independently."""
    return eta + 0.5 * (q - 2 - j)


@njit(cache=True, nogil=True, error_model="numpy")
def _stack(
    theta: np.ndarray,
    codes: np.ndarray,
    constants: np.ndarray,
    logged: np.ndarray,
    eta: float,
    blocks: np.ndarray,
    basis: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Sum of log priors and log Jacobians at unconstrained theta, with its gradient.

    The first p elements are seen through `basis`, shape (k, p): the first k priors are of
    basis @ theta[:p].
    """
    value = 0.0
    gradient = np.zeros(theta.shape[0])
    m = codes.shape[0]
    k, p = basis.shape
    for j in range(m):
        x, at = 0.0, j + p - k
        if j < k:
            for i in range(p):
                x += basis[j, i] * theta[i]
        else:
            x = math.exp(theta[at]) if logged[j] else theta[at]
        v, g = scalar_log_density(codes[j], constants[j, 0], constants[j, 1], constants[j, 2], x)
        if logged[j]:
            v += theta[at]
            g = g * x + 1.0
        value += v
        if j < k:
            for i in range(p):
                gradient[i] += basis[j, i] * g
        else:
            gradient[at] = g
    k = m + p - k
    for q in blocks:
        for i in range(1, q):
            for j in range(i):
                shape = _lkj_shape(eta, q, j)
                r = math.tanh(theta[k])
                value += shape * math.log1p(-r * r) - (2.0 * shape - 1.0) * math.log(2.0)
                value += math.lgamma(2.0 * shape) - 2.0 * math.lgamma(shape)
                gradient[k] = -2.0 * shape * r
                k += 1
    return value, gradient


type Alike = tuple[tuple[int, ...], np.ndarray]
"""Positions of a factor's coefficients, and L, shape (k, k)."""


@dataclass(frozen=True)
class PriorStack:
    """The priors of all parameters of a model, in the order of its unconstrained vector.

    Positive parameters are on the log scale in theta; after them may come the partial correlations
    of one LKJ prior, or of several independent ones with the same eta. `value_and_gradient`
    includes the log Jacobians of those transforms, so that the sum with a log-likelihood is a log
    density of theta. Elements of theta after all of these have no prior here.

    Attributes
    ----------
    names : tuple of str
    priors : tuple of Prior
        One scalar prior a name.
    correlation : LKJ or None
    size : int
        Dimension of the largest correlation matrix (0 for none).
    blocks : tuple of int
        Dimensions of all correlation matrices, in the order of theta; by default the one of `size`.
    basis : ndarray, shape (k, k), optional
        The priors of the first k parameters, coefficients on the whole line, are of
        basis @ theta[:k], not of those elements themselves: default priors are of coefficients of
        variables centred before their products are formed (see `centred_basis`). By default k = 0.
        With fewer rows than columns the columns are the first elements of theta, of which some
        combinations have no prior: only `value_and_gradient` is for that case.
    centred : tuple of str
        Standard deviations of random effects that are those at the means of their variables.
    alike : tuple of (tuple of int, ndarray)
        Positions of a factor's coefficients, differences from its reference, that `basis` sees
        through L^-1, and L: so all its levels are alike (`longsurv.design.levels`), and the prior
        of each of them alone is the one of that name.
    """

    names: tuple[str, ...]
    priors: tuple[Prior, ...]
    correlation: LKJ | None = None
    size: int = 0
    blocks: tuple[int, ...] = ()
    basis: np.ndarray | None = None
    centred: tuple[str, ...] = ()
    alike: tuple[Alike, ...] = ()

    def __post_init__(self) -> None:
        basis = np.empty((0, 0)) if self.basis is None else np.ascontiguousarray(self.basis, float)
        object.__setattr__(self, "_basis", basis)
        if not self.blocks:
            object.__setattr__(self, "blocks", (self.size,))
        object.__setattr__(self, "_blocks", np.array(self.blocks, dtype=np.int64))
        object.__setattr__(self, "_codes", np.array([p.code for p in self.priors], dtype=np.int64))
        constants = np.array([p.constants for p in self.priors], dtype=float).reshape(-1, 3)
        object.__setattr__(self, "_constants", constants)
        object.__setattr__(self, "_logged", np.array([p.positive for p in self.priors], dtype=bool))
        eta = self.correlation.eta if self.correlation is not None else 1.0
        object.__setattr__(self, "_eta", float(eta))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of the unconstrained vector theta, shape (d,), and its gradient."""
        return _stack(
            theta,
            self._codes,  # type: ignore[attr-defined]
            self._constants,  # type: ignore[attr-defined]
            self._logged,  # type: ignore[attr-defined]
            self._eta,  # type: ignore[attr-defined]
            self._blocks,  # type: ignore[attr-defined]
            self._basis,  # type: ignore[attr-defined]
        )

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """What the scalar priors are of, on its natural scale, from theta of shape (..., d)."""
        values = self.constrain(theta)
        k = len(self._basis)  # type: ignore[attr-defined]
        if k == 0:
            return values
        return np.concatenate([values[..., :k] @ self._basis.T, values[..., k:]], axis=-1)  # type: ignore[attr-defined]

    @property
    def whole_basis(self) -> np.ndarray:
        """What all scalar priors are of, from the scalars themselves, shape (m, m): `basis`, and
        the identity for the others."""
        out = np.eye(len(self.priors))
        k = len(self._basis)  # type: ignore[attr-defined]
        out[:k, :k] = self._basis  # type: ignore[attr-defined]
        return out

    @property
    def deviations(self) -> dict[int, float]:
        """Positions of the random effects' standard deviations, and their prior means."""
        return {
            j: moments(prior)[0]
            for j, (name, prior) in enumerate(zip(self.names, self.priors, strict=True))
            if name.startswith("sd(")
        }

    def constrain(self, theta: np.ndarray) -> np.ndarray:
        """Scalar parameters on their natural scale, from theta of shape (..., d)."""
        scalars = theta[..., : len(self.priors)]
        return np.where(self._logged, np.exp(np.where(self._logged, scalars, 0.0)), scalars)  # type: ignore[attr-defined]

    def log_prior(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log prior density of each parameter on its natural scale (no Jacobian), by name.

        theta has shape (chains, draws, d); each array has shape (chains, draws).
        """
        values = self.coordinates(theta)
        out = {
            name: log_densities(p, values[..., j])
            for j, (name, p) in enumerate(zip(self.names, self.priors, strict=True))
        }
        if self.correlation is not None and self.size > 1:
            out["correlation"] = self._lkj(np.tanh(theta[..., len(self.priors) :]))
        return out

    def _lkj(self, r: np.ndarray) -> np.ndarray:
        """Density of the correlation matrix, up to its constant."""
        pairs = sum(q * (q - 1) // 2 for q in self.blocks)
        return (self._eta - 1.0) * np.log1p(-(r[..., :pairs] ** 2)).sum(axis=-1)  # type: ignore[attr-defined]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what the priors are of: " (centred)" after those of a parameter at the means,
        " (levels alike)" after a combination of the differences between levels."""
        plain = np.eye(len(self._basis))  # type: ignore[attr-defined]
        mixed = set(np.flatnonzero((self._basis != plain).any(axis=1)))  # type: ignore[attr-defined]
        of_levels = {j for columns, _ in self.alike for j in columns}
        centred = {self.names.index(name) for name in self.centred}
        return tuple(
            f"{name} (levels alike)" if j in mixed & of_levels
            else f"{name} (centred)" if j in mixed | centred
            else name
            for j, name in enumerate(self.names)
        )  # fmt: skip

    @property
    def moved(self) -> tuple[str, ...]:
        """Parameters whose priors are of those with the other variables at their means."""
        own: np.ndarray = self._basis  # type: ignore[attr-defined]
        basis = apart(self)[: len(own), : len(own)] @ own
        size = np.abs(basis).max(axis=1, initial=0.0)
        mixed = (np.abs(basis) > 1e-12 * size[:, None]).sum(axis=1) > 1
        return (*(self.names[j] for j in np.flatnonzero(mixed)), *self.centred)

    def describe(self) -> dict[str, str]:
        """Each prior in words, by parameter name."""
        out = {name: str(p) for name, p in zip(self.names, self.priors, strict=True)}
        if self.correlation is not None and self.size > 1:
            out["correlation"] = str(self.correlation)
        for columns, _ in self.alike:
            for j in columns:
                out[self.names[j]] += " between any two levels"
        for name in (*self.moved, *(("correlation",) if self.centred and self.size > 1 else ())):
            out[name] += " with the other variables at their means"
        return out


class Stack(Protocol):
    """Priors of the scalar parameters of a model: `PriorStack`, or the priors of a joint model."""

    @property
    def names(self) -> tuple[str, ...]:
        """The scalar parameters."""
        ...

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Their priors: of `whole_basis` times the parameters."""
        ...

    @property
    def whole_basis(self) -> np.ndarray:
        """Shape (m, m)."""
        ...

    @property
    def alike(self) -> tuple[Alike, ...]:
        """As of a `PriorStack`."""
        ...


def apart(stack: Stack) -> np.ndarray:
    """Differences from the references of factors, in centred variables, from what the priors of a
    stack are of: shape (m, m), the identity but for `PriorStack.alike`."""
    out = np.eye(len(stack.names))
    for columns, root in stack.alike:
        out[np.ix_(columns, columns)] = root
    return out


@checked
def prior_of(stack: Stack, weights: Mapping[str, float]) -> Prior | None:
    """The prior of a linear combination of coefficients, as of one of them alone.

    A stack's priors may be of the coefficients of centred variables; that of a coefficient as named
    is then the one of a combination of these.

    Parameters
    ----------
    stack : Stack
    weights : mapping of str to float

    Returns
    -------
    Prior or None
        None where it is of no family: for a combination of priors that are not all normal, or of
        something without a scalar prior.
    """
    if not set(weights) <= set(stack.names):
        return None
    row = np.zeros(len(stack.names))
    for name, weight in weights.items():
        row[stack.names.index(name)] = weight
    row = np.linalg.solve(stack.whole_basis.T, row)
    used = np.flatnonzero(np.abs(row) > 1e-12 * np.abs(row).max())
    found = [(float(row[j]), stack.priors[j]) for j in used]
    if len(found) == 1 and found[0][0] == 1.0:
        return found[0][1]
    only = found[0][1] if len(found) == 1 else None
    if isinstance(only, StudentT):
        weight = found[0][0]
        return StudentT(only.df, weight * only.mean, abs(weight) * only.scale)
    normal = [(weight, prior) for weight, prior in found if isinstance(prior, Normal)]
    if not found or len(normal) < len(found):
        return None
    mean = sum(weight * prior.mean for weight, prior in normal)
    return Normal(mean, math.sqrt(sum((weight * prior.sd) ** 2 for weight, prior in normal)))


@checked
def from_interval(ratio: float, low: float, high: float, level: float = 0.95) -> Normal:
    """Normal prior on a log ratio from a published ratio with its interval.

    Parameters
    ----------
    ratio, low, high : float
        Point estimate and interval of a hazard, odds or risk ratio.
    level : float
        Of the interval.

    Raises
    ------
    LongsurvError
        Unless 0 < low < ratio < high and 0 < level < 1.
    """
    from scipy.special import ndtri

    if not 0 < low < ratio < high:
        raise LongsurvError(f"expected 0 < low < ratio < high, got {low}, {ratio}, {high}")
    if not 0.0 < level < 1.0:
        raise LongsurvError(f"level is a probability between 0 and 1, such as 0.95; got {level!r}")
    width = 2.0 * float(ndtri(0.5 + level / 2.0))
    return Normal(math.log(ratio), (math.log(high) - math.log(low)) / width)


# An effect of two thirds with a 15 % chance of none or the opposite: SD = log(1.5) / 1.036.
_ENTHUSIASM = Normal(-math.log(1.5), math.log(1.5) / 1.0364334)

TREATMENT: Mapping[str, Normal] = {
    "flat-ish": Normal(0.0, 5.0),
    "weak": Normal(0.0, 1.0),
    "sceptical": Normal(0.0, 0.355),
    "enthusiastic": _ENTHUSIASM,
    "pessimistic": Normal(-_ENTHUSIASM.mean, _ENTHUSIASM.sd),
}
"""Named priors for a treatment's log hazard ratio or log odds ratio.

"sceptical" puts 95 % of its mass between ratios of 0.5 and 2; "enthusiastic" is centred at 2/3 and
leaves 15 % to harm; "pessimistic" is its mirror image.
"""


def centred_basis(
    to: np.ndarray,
    names: Sequence[str],
    given: Mapping[str, Prior] | None,
    aliases: Mapping[str, Sequence[str]],
    alike: Sequence[Alike] = (),
) -> tuple[np.ndarray | None, tuple[Alike, ...]]:
    """The coordinates in which the coefficients' priors are stated, for `PriorStack`.

    Default priors are of the coefficients of variables centred before their products are formed,
    and treat the levels of a factor alike. A prior that the user gives is of the coefficient as
    named, in the user's coordinates; the other differences from that reference then have
    independent priors, each the default of its own.

    Parameters
    ----------
    to : ndarray, shape (p, p)
        Coefficients in centred variables from those of the formula (`CentredDesign.to`).
    names : sequence of str
        The p coefficients.
    given, aliases
        As for `choose`.
    alike : sequence of (tuple of int, ndarray)
        Of `CentredDesign`: positions among the coefficients, and L.

    Returns
    -------
    basis : ndarray, shape (p, p), or None
        None where it would be the identity.
    alike : tuple of (tuple of int, ndarray)
        The factors without a prior of the user's.
    """
    basis, own = to.copy(), set()
    for key in given or {}:
        for target in (key,) if key in names else tuple(aliases.get(key, ())):
            if target in names:
                j = list(names).index(target)
                basis[j] = np.eye(len(names))[j]
                own.add(j)
    left = tuple(one for one in alike if not own & set(one[0]))
    for columns, root in left:
        basis[list(columns)] = np.linalg.solve(root, basis[list(columns)])
    return (None if np.array_equal(basis, np.eye(len(names))) else basis), left


def choose(
    names: Sequence[str],
    defaults: Mapping[str, Prior],
    given: Mapping[str, Prior] | None,
    aliases: Mapping[str, Sequence[str]],
) -> tuple[Prior, ...]:
    """Default priors with the user's put in their places.

    Parameters
    ----------
    names : sequence of str
        Parameters of the model, in order.
    defaults : mapping of str to Prior
    given : mapping of str to Prior, optional
        By parameter name or by alias.
    aliases : mapping of str to sequence of str
        A variable's name to the parameters it stands for (drug -> drug[T.active]).

    Raises
    ------
    LongsurvError
        For a name the model does not have (with the nearest one), for something that is not a
        prior, or for a family that does not fit the parameter.
    """
    import difflib

    chosen = dict(defaults)
    for key, prior in (given or {}).items():
        targets = (key,) if key in defaults else tuple(aliases.get(key, ()))
        if not targets:
            known = [*names, *(a for a in aliases if a not in names)]
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise LongsurvError(f"no parameter {key!r} to put a prior on; there are {known}.{hint}")
        for target in targets:
            if not isinstance(prior, Prior):
                raise LongsurvError(
                    f"the prior of {key!r} must be one of longsurv.priors, got {prior!r}"
                )
            if prior.positive != defaults[target].positive or isinstance(prior, LKJ):
                kind = "a positive parameter" if defaults[target].positive else "any real number"
                raise LongsurvError(f"{prior} does not fit {target!r}, which is {kind}")
            chosen[target] = prior
    return tuple(chosen[name] for name in names)
