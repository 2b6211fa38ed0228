"""The Cox model in PyMC, stated over explicit risk sets: every event time a row of weights.

Each row of the matrix sums the relative risks of those at risk, less, in Efron's method, a growing
share of the tied events (Efron 1977, J Am Stat Assoc 72:557-565). Meant to be read and extended,
and to check the fast kernel; its size is events times rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longsurv.design import SurvivalDesign
from longsurv.design.sites import Sites
from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from pymc import Model
    from pytensor.tensor import TensorVariable


def twin(design: SurvivalDesign, stack: PriorStack, ties: str) -> Model:
    """The partial likelihood of a design with the priors of a stack, as a `pymc.Model`."""
    import pymc as pm

    d, X, n = design, design.fixed.X, len(design.exit)
    entry = d.entry if len(d.formula.surv) == 3 else np.full(n, -np.inf)
    weight = np.ones(n) if d.weights is None else d.weights
    stratum = np.zeros(n, dtype=int) if d.stratum is None else d.stratum
    risk_sets, powers = [], []
    for s, t in sorted(set(zip(stratum[d.event == 1], d.exit[d.event == 1], strict=True))):
        at_risk = (stratum == s) & (entry < t) & (d.exit >= t)
        dying = at_risk & (d.exit == t) & (d.event == 1)
        for step in range(dying.sum()):
            share = step / dying.sum() if ties == "efron" else 0.0
            risk_sets.append(weight * (at_risk - share * dying))
            powers.append(weight[dying].mean())
    with pm.Model(coords={"term": d.fixed.names}) as model:
        beta = coefficients(stack)
        eta = (X - X.mean(axis=0)) @ beta + (0.0 if d.offset is None else d.offset)
        if d.sites is not None:
            prior = stack.priors[stack.names.index(d.sites.deviation)]
            eta += site_effects(d.sites, prior.to_pymc(d.sites.deviation))[d.sites.group]
        totals = pm.math.dot(np.array(risk_sets), pm.math.exp(eta))
        value = (weight * d.event * eta).sum() - (np.array(powers) * pm.math.log(totals)).sum()
        pm.Potential("partial_likelihood", value)
    return model


def coefficients(stack: PriorStack) -> TensorVariable | np.ndarray:
    """Coefficients by name: phi ~ priors, phi = basis beta."""
    import pymc as pm

    k = sum(not name.startswith("sd(") for name in stack.names)
    if k == 0:
        return np.zeros(0)
    basis = np.eye(k) if stack.basis is None else stack.basis
    phi = [p.to_pymc(label) for label, p in zip(stack.labels[:k], stack.priors[:k], strict=True)]
    beta = pm.math.dot(np.linalg.inv(basis), pm.math.stack(phi))
    for j, (name, label) in enumerate(zip(stack.names[:k], stack.labels[:k], strict=True)):
        if label != name:
            pm.Deterministic(name, beta[j])
    return beta


def site_effects(sites: Sites, s: TensorVariable, kind: str = "gaussian") -> TensorVariable:
    """Effects of the sites on the log hazard, shape (J,), of standard deviation s: of the effect,
    or for gamma ones of the factor on the hazard."""
    import pymc as pm

    J = len(sites.labels)
    if kind == "gamma":
        b = pm.math.log(pm.Gamma("w", alpha=s**-2, beta=s**-2, shape=J))
    else:
        b = s * pm.Normal("z", shape=J)
    return pm.Deterministic(f"effect of {sites.name}", b)
