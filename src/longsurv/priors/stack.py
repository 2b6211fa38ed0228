"""The priors of all parameters of a model, stacked: one log density of its unconstrained vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from numba import njit

from longsurv.priors.density import Packed, log_densities, mixed_log_density, packed
from longsurv.priors.families import LKJ
from longsurv.priors.mixture import Mixture
from longsurv.priors.prior import Prior

type Density = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""A log density with its gradient."""

type Alike = tuple[tuple[int, ...], np.ndarray]
"""Positions of a factor's coefficients, and L, shape (k, k)."""

AT_MEANS = " with the other variables at their means"
"""What a prior is of, where columns were centred before their products were formed."""


@njit(cache=True, nogil=True, error_model="numpy")
def _lkj_shape(eta: float, q: int, j: int) -> float:
    """Partial correlations of column j are 2 Beta(shape, shape) - 1 independently."""
    return eta + 0.5 * (q - 2 - j)


@njit(cache=True, nogil=True, error_model="numpy")
def _stack(
    theta: np.ndarray,
    first: np.ndarray,
    log_weights: np.ndarray,
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
    m = logged.shape[0]
    k, p = basis.shape
    for j in range(m):
        x, at = 0.0, j + p - k
        if j < k:
            for i in range(p):
                x += basis[j, i] * theta[i]
        else:
            x = math.exp(theta[at]) if logged[j] else theta[at]
        v, g = mixed_log_density(first[j], first[j + 1], log_weights, codes, constants, x)
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


def _weighted(weight: float, density: Density) -> Density:
    """The log of `weight` times a density."""
    more = math.log(weight)

    def evaluate(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(theta)
        return value + more, gradient

    return evaluate


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
        object.__setattr__(self, "_packed", packed(self.priors))
        object.__setattr__(self, "_logged", np.array([p.positive for p in self.priors], dtype=bool))
        eta = self.correlation.eta if self.correlation is not None else 1.0
        object.__setattr__(self, "_eta", float(eta))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of the unconstrained vector theta, shape (d,), and its gradient."""
        one: Packed = self._packed  # type: ignore[attr-defined]
        return _stack(
            theta,
            one.first,
            one.log_weights,
            one.codes,
            one.constants,
            self._logged,  # type: ignore[attr-defined]
            self._eta,  # type: ignore[attr-defined]
            self._blocks,  # type: ignore[attr-defined]
            self._basis,  # type: ignore[attr-defined]
        )

    def unmixed(self) -> tuple[Density, ...]:
        """Log densities without mixtures whose densities add up to this stack's: one for every
        choice of a part of each."""
        choices = [
            tuple(zip(prior.weights, prior.parts, strict=True))
            if isinstance(prior, Mixture)
            else ((1.0, prior),)
            for prior in self.priors
        ]
        return tuple(
            _weighted(
                math.prod(weight for weight, _ in chosen),
                replace(self, priors=tuple(prior for _, prior in chosen)).value_and_gradient,
            )
            for chosen in product(*choices)
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
        """Positions of the random effects' standard deviations, and what the prior expects."""
        return {
            j: prior.typical
            for j, (name, prior) in enumerate(zip(self.names, self.priors, strict=True))
            if name.startswith("sd(")
        }

    def constrain(self, theta: np.ndarray) -> np.ndarray:
        """Scalar parameters on their natural scale, from theta of shape (..., d)."""
        scalars = theta[..., : len(self.priors)]
        return np.where(self._logged, np.exp(np.where(self._logged, scalars, 0.0)), scalars)  # type: ignore[attr-defined]

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Unconstrained vectors drawn from the priors, shape (count, d)."""
        values = np.column_stack(
            [np.empty((count, 0)), *(prior.drawn(count, rng) for prior in self.priors)]
        )
        k = len(self._basis)  # type: ignore[attr-defined]
        values[:, :k] = np.linalg.solve(self._basis, values[:, :k].T).T  # type: ignore[attr-defined]
        logged: np.ndarray = self._logged  # type: ignore[attr-defined]
        values[:, logged] = np.log(values[:, logged])
        shapes = [
            _lkj_shape(self._eta, q, j)  # type: ignore[attr-defined]
            for q in self.blocks
            for i in range(1, q)
            for j in range(i)
        ]
        # Of partial correlations 2 Beta - 1 the inverse hyperbolic tangents.
        partial = [np.log(rng.gamma(a, size=(2, count))) for a in shapes]
        return np.column_stack([values, *(0.5 * (up - down) for up, down in partial)])

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
            out["correlation"] = self._lkj(theta[..., len(self.priors) :])
        return out

    def _lkj(self, z: np.ndarray) -> np.ndarray:
        """Density of the correlation matrix, up to its constant, at partial correlations tanh z."""
        pairs = sum(q * (q - 1) // 2 for q in self.blocks)
        size = np.abs(z[..., :pairs])
        # log(1 - tanh(z)^2), also where the correlation rounds to one.
        log_rest = 2.0 * (np.log(2.0) - size - np.log1p(np.exp(-2.0 * size)))
        return (self._eta - 1.0) * log_rest.sum(axis=-1)  # type: ignore[attr-defined]

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
            out[name] += AT_MEANS
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

    @property
    def correlation(self) -> LKJ | None:
        """Prior of the random effects' correlation matrix."""
        ...

    @property
    def size(self) -> int:
        """Dimension of that matrix."""
        ...

    def log_prior(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log prior densities of draws of all parameters, by name."""
        ...

    def describe(self) -> dict[str, str]:
        """Each prior in words, by parameter name."""
        ...


def apart(stack: Stack) -> np.ndarray:
    """Differences from the references of factors, in centred variables, from what the priors of a
    stack are of: shape (m, m), the identity but for `PriorStack.alike`."""
    out = np.eye(len(stack.names))
    for columns, root in stack.alike:
        out[np.ix_(columns, columns)] = root
    return out
