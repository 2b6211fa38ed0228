"""Which prior each coefficient of a model has: the defaults with the user's in their places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.priors.families import LKJ, Normal
from longsurv.priors.mixture import moved
from longsurv.priors.prior import Prior
from longsurv.priors.stack import Alike, Stack


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
    if len(found) == 1:
        return moved(found[0][1], found[0][0])
    normal = [(weight, prior) for weight, prior in found if isinstance(prior, Normal)]
    if not found or len(normal) < len(found):
        return None
    mean = sum(weight * prior.mean for weight, prior in normal)
    return Normal(mean, math.sqrt(sum((weight * prior.sd) ** 2 for weight, prior in normal)))


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
        if targets and not any(target in defaults for target in targets):
            raise LongsurvError(
                f"there is nothing to put the prior of {key!r} on: in these data it is constant, or"
                " the other terms say what it is, so the model has left it out"
            )
        targets = tuple(target for target in targets if target in defaults)
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
