"""The scalar parameters of a PyMC twin, whose priors may be of centred variables."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

CENTRED = " (centred)"


def labels(stack: PriorStack, moved: Collection[str] = ()) -> tuple[str, ...]:
    """What a twin calls the parameters that have the priors of a stack.

    One whose prior is of another than the coefficient as named, the one where the other variables
    are at their means, has " (centred)" after its name, and a combination of differences between
    the levels of a factor " (levels alike)".
    """
    return tuple(
        label + CENTRED if name in moved and label == name else label
        for name, label in zip(stack.names, stack.labels, strict=True)
    )


def parameters(stack: PriorStack, moved: Collection[str] = ()) -> dict[str, TensorVariable]:
    """The parameters by name, in an open PyMC model: phi ~ priors, phi = basis @ coefficients.

    Those among `moved` are as their priors are of them.
    """
    import pymc as pm

    called = labels(stack, moved)
    named = zip(called, stack.priors, strict=True)
    values = [prior.to_pymc(label) for label, prior in named]
    if stack.basis is not None:
        k = len(stack.basis)
        own = np.linalg.inv(stack.basis) @ pm.math.stack(values[:k])
        for j, name in enumerate(stack.names[:k]):
            values[j] = own[j] if called[j] == name else pm.Deterministic(name, own[j])
    return dict(zip(stack.names, values, strict=True))


def at(stack: PriorStack, theta: np.ndarray, moved: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The point of a twin, on PyMC's unconstrained scale, at a parameter vector of the stack."""
    values = np.array(theta[: len(stack.names)], dtype=float)
    if stack.basis is not None:
        values[: len(stack.basis)] = stack.basis @ values[: len(stack.basis)]
    names = zip(labels(stack, moved), stack.priors, strict=True)
    return {
        name + "_log__" * prior.positive: np.array(value)
        for (name, prior), value in zip(names, values, strict=True)
    }
