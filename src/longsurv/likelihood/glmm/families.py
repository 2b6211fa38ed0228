"""The response families of the generalised mixed model, and their compiled functions by code.

A further family is a file like `longsurv.likelihood.glmm.bernoulli`, its name in `FAMILIES`, and a
line in `row` and `at_nodes` (and, where its parameters need more than a copy, in `constants`,
`parameter_gradient`, `to_climbed` and `from_climbed`). One signature serves all families, so none
adds another compilation.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.glmm import (
    bernoulli,
    censored,
    measured,
    nbinom1,
    negative_binomial,
    ordinal,
    poisson,
    student,
)
from longsurv.likelihood.glmm.family import Family

BERNOULLI, ORDINAL = bernoulli.CODE, ordinal.CODE
CENSORED, STUDENT = censored.CODE, student.CODE
POISSON, NEGATIVE_BINOMIAL, NBINOM1 = poisson.CODE, negative_binomial.CODE, nbinom1.CODE

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        bernoulli.Bernoulli(),
        ordinal.Ordinal(),
        censored.Censored(),
        student.Student(),
        poisson.Poisson(),
        negative_binomial.NegativeBinomial(),
        nbinom1.NegativeBinomial1(),
    )
}
"""What `GLMM` calls them."""


@njit(cache=True, nogil=True, error_model="numpy")
def row(code, y, extent, eta, par):
    """The eleven numbers of one row."""
    if code == BERNOULLI:
        return bernoulli.row(y, eta)
    if code == ORDINAL:
        return ordinal.row(y, eta, par)
    if code == CENSORED:
        return censored.row(y, extent, eta, par)
    if code == POISSON:
        return poisson.row(y, eta)
    if code == NEGATIVE_BINOMIAL:
        return negative_binomial.row(y, eta, par)
    if code == NBINOM1:
        return nbinom1.row(y, eta, par)
    return student.row(y, eta, par)


@njit(cache=True, nogil=True, error_model="numpy")
def at_nodes(code, y, extent, at, par, h, l1, la, lb):
    """The row at every node."""
    if code == BERNOULLI:
        bernoulli.at_nodes(y, at, h, l1)
    elif code == ORDINAL:
        ordinal.at_nodes(y, at, par, h, l1, la, lb)
    elif code == CENSORED:
        censored.at_nodes(y, extent, at, par, h, l1, la)
    elif code == POISSON:
        poisson.at_nodes(y, at, h, l1)
    elif code == NEGATIVE_BINOMIAL:
        negative_binomial.at_nodes(y, at, par, h, l1, la)
    elif code == NBINOM1:
        nbinom1.at_nodes(y, at, par, h, l1, la)
    else:
        student.at_nodes(y, at, par, h, l1, la, lb)


@njit(cache=True, nogil=True, error_model="numpy")
def constants(code, phi, levels):
    """What the rows need of the family parameters phi, computed once; shape (3, m)."""
    par = np.zeros((3, max(levels + 1, 5)))
    if code == ORDINAL:
        ordinal.constants(phi, levels, par)
    elif code == CENSORED:
        measured.constants(phi, par)
    elif code == STUDENT:
        measured.constants(phi, par)
        student.constants(phi, par)
    elif code == NEGATIVE_BINOMIAL:
        negative_binomial.constants(phi, par)
    elif code == NBINOM1:
        nbinom1.constants(phi, par)
    return par


@njit(cache=True, nogil=True, error_model="numpy")
def to_climbed(code, phi, m):
    """Turn the m parameters of `glmm.loglik` into phi of the climb, in place."""
    if code == STUDENT and m == 2:
        phi[1] = math.exp(-phi[1])
    elif code == NEGATIVE_BINOMIAL:
        phi[0] = math.exp(-phi[0])
    elif code == NBINOM1:
        phi[0] = math.exp(phi[0])


@njit(cache=True, nogil=True, error_model="numpy")
def from_climbed(code, phi, m, gradient):
    """Turn a gradient in phi of the climb into that in the parameters of `glmm.loglik`."""
    if code == STUDENT and m == 2:
        gradient[1] *= -phi[1]
    elif code == NEGATIVE_BINOMIAL:
        gradient[0] *= -phi[0]
    elif code == NBINOM1:
        gradient[0] *= phi[0]


@njit(cache=True, nogil=True, error_model="numpy")
def parameter_gradient(code, phi, levels, raw):
    """Gradient in phi from `raw`: that in the cuts, or in the parameters themselves."""
    out = np.zeros(phi.shape[0])
    if code == ORDINAL:
        ordinal.parameter_gradient(phi, levels, raw, out)
    else:
        for k in range(phi.shape[0]):
            out[k] = raw[k]
    return out
