"""What a reader must know of a generalised mixed model's boundaries and quadrature."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from longsurv.design.generalised import GeneralisedDesign
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.crossed_given import correction
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.likelihood.glmm.family import Family
from longsurv.results.assemble import few_sites_flag
from longsurv.results.generalised.quantities import with_rule
from longsurv.results.reference import chi2_p_value

DISPERSION_LEVEL = 0.05
"""p value of the test for overdispersion below which the result speaks of it."""
WIDEST = 3.0
"""Root of the parameter by which counts may vary more, up to which its maximum is looked for."""
WORTH_SAMPLING = 0.2
"""Standard errors by which Laplace's approximation may move an estimate before the result speaks of
the other engine."""
QUADRATURE_TOLERANCE = 0.01
"""Log-likelihood by which a finer rule may differ before the result says so."""


def quadrature_name(design: GeneralisedDesign, nodes: int, *, drawn: bool = False) -> str:
    """How the random effects are integrated out, in words; those of sites may be `drawn`."""
    q, name = len(design.random.names), "Laplace's approximation"
    if nodes > 1:
        power = f"^{q}" if q > 1 else ""
        name = f"adaptive Gauss-Hermite quadrature with {nodes}{power} nodes"
    rule, end = "within the trapezoidal rule over the effect of its", ""
    if drawn:
        rule, end = "while the effect of its", " is drawn"
    if design.crossed:
        rule = (
            "while the effects of"
            if drawn
            else "within Laplace's approximation over the effects of"
        )
        end = " are drawn" if drawn else ""
    of_sites = "".join(
        f" for each {design.group_name}, {rule} {site.name}{end}" for site in design.outer
    )
    return name + of_sites


def boundaries(
    design: GeneralisedDesign, data: glmm.GLMMData, theta: np.ndarray, values: np.ndarray
) -> dict[str, str]:
    """Variance parameters on their boundary, with what to say about them."""
    rows, columns = data.entries
    diagonal = np.diag(glmm.random_factor(data, theta))
    block = np.repeat(np.arange(len(data.blocks)), data.blocks)
    singular = {int(block[k]) for k in np.flatnonzero(diagonal == 0.0)}
    in_block = iter(int(block[i]) for i, j in zip(rows, columns, strict=True) if i > j)
    out: dict[str, str] = {}
    for name, value in zip(design.variance_names, values, strict=True):
        if name.startswith("sd(") and value == 0.0:
            out[name] = (
                f"Boundary: {name} is estimated as exactly 0; the data show no more variation "
                f"between {_group_of(name)} than chance explains."
            )
        # Far from the origin a correlation can be all but 1 although the effects are two.
        elif name.startswith("cor("):
            fewer = next(in_block) in singular
            if np.isnan(value):
                out[name] = f"Boundary: {name} does not exist, as one of its effects is 0."
            elif fewer and abs(value) > 1.0 - 1e-6:
                out[name] = (
                    f"Boundary: {name} is estimated as {value:+.0f}; the random effects have fewer "
                    "dimensions than the formula gives them."
                )
        elif (said := data.family.boundary(name, value)) is not None:
            out[name] = f"Boundary: {said}"
    return out


def _group_of(deviation: str) -> str:
    """The grouping of "sd(effect|grouping)"."""
    return deviation.rpartition("|")[2].removesuffix(")")


def site_flags(design: GeneralisedDesign) -> tuple[str, ...]:
    """What a reader must know of the random effect of a site: what is conditional on it, and
    whether sites are few."""
    flags, family = [], FAMILIES[design.family]
    for site in design.outer:
        if not family.measured:
            what = "Rate ratios" if family.log else "Odds ratios"
            flags.append(
                f"{what} are between values of the same {site.name}, and of patients alike in their"
                " random effects; means of the response are averaged over both."
            )
        flags += few_sites_flag(site.name, len(site.labels))
    return tuple(flags)


def laplace_flags(
    design: GeneralisedDesign, data: glmm.GLMMData, theta: np.ndarray, half: np.ndarray
) -> tuple[str, ...]:
    """How far Laplace's approximation over the effects of sites that patients cross is from exact,
    in the log-likelihood at theta (d,) and in estimates, whose covariance is half half' (d, d)."""
    if data.place is None or theta[-1] == 0.0:
        return ()
    found = correction(data, theta)
    name = design.units.name
    if found is None:
        return (f"How exact Laplace's approximation over the effects of {name} is was not found.",)
    se = np.sqrt((half**2).sum(axis=1))
    moves = half @ (half.T @ found.gradient)
    far = float(np.max(np.abs(moves[se > 0.0]) / se[se > 0.0], initial=0.0))
    words = (
        f"Laplace's approximation over the effects of {name}: by importance sampling the "
        f"log-likelihood here is {found.value:+.2g} different (standard error {found.error:.1g}), "
        f"and exact integrals would move no parameter by more than about {far:.2g} standard errors."
    )
    if far > WORTH_SAMPLING or not found.error < 0.5:
        words += " sample() draws these effects and does not approximate them."
    return (words,)


def quadrature_flags(
    data: glmm.GLMMData, theta: np.ndarray, value: float, nodes: int
) -> tuple[str, ...]:
    """Whether finer rules would change the log-likelihood, which is `value` at theta."""
    return (*_coarse_sites(data, theta, value), *_few_nodes(data, theta, value, nodes))


def _coarse_sites(data: glmm.GLMMData, theta: np.ndarray, value: float) -> tuple[str, ...]:
    if data.site is None:
        return ()
    fine = replace(data, spacing=0.5 * data.spacing)
    change = glmm.loglik_factor(fine, theta)[0] - value
    if abs(change) <= QUADRATURE_TOLERANCE:
        return ()
    return (
        "With steps half as wide in the integral over the effects of sites the log-likelihood here "
        f"is {change:+.2g} different: it is not exact, nor are estimates.",
    )


def _few_nodes(data: glmm.GLMMData, theta: np.ndarray, value: float, nodes: int) -> tuple[str, ...]:
    q = data.q_own
    finer = nodes + 6 if q == 1 else nodes + 4 if q == 2 else max(3, nodes + 2)
    if finer**q > 1000:
        return ("The number of nodes was not checked: a finer rule would be too large.",)
    change = glmm.loglik_factor(with_rule(data, finer), theta)[0] - value
    if abs(change) <= QUADRATURE_TOLERANCE:
        return ()
    return (
        f"With {finer} quadrature nodes a dimension instead of {nodes} the log-likelihood here is "
        f"{change:+.2g} different: raise nodes.",
    )


def dispersion_flags(data: glmm.GLMMData, theta: np.ndarray) -> tuple[str, ...]:
    """Whether the counts vary more than the family has them vary, at the same coefficients.

    Twice what the log-likelihood gains by the one parameter of the wider family, whose 0 is this
    family and the edge of what is possible: half a chi-squared with one degree of freedom. The
    coefficients stay as they are, so the test says too little rather than too much.
    """
    from scipy.optimize import brentq

    if not data.family.wider:
        return ()
    wider, p, trail = replace(data, family=FAMILIES[data.family.wider]), data.p, glmm.Trail()

    @cache
    def gain(root: float) -> tuple[float, float]:
        value, slope = glmm.loglik_factor(wider, np.insert(theta, p, root * root), trail)
        # Where it has no value it is too far.
        return (value, float(slope[p])) if math.isfinite(value) else (value, -1.0)

    if not gain(0.0)[1] > 0.0:
        return ()
    low, high = 0.0, 0.1
    while high < WIDEST and gain(high)[1] > 0.0:
        low, high = high, min(2.0 * high, WIDEST)
    root = high
    if gain(high)[1] < 0.0:
        root = float(brentq(lambda at: gain(at)[1], low, high, xtol=1e-3))
    own, more = root * root, gain(root)[0] - gain(0.0)[0]
    p_value = 0.5 * float(chi2_p_value(2.0 * more, 1)) if more > 0.0 else 1.0
    if p_value > DISPERSION_LEVEL:
        return ()
    name, value = _own_parameter(wider.family, own)
    shown = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    return (
        f"Overdispersion: the counts vary more than family={data.family.name!r} lets them, so "
        f"intervals are too narrow. family={data.family.wider!r} ({name} about {value:.2g}) raises "
        f"the log-likelihood by {more:.3g} at the same coefficients ({shown}).",
    )


def _own_parameter(family: Family, phi: float) -> tuple[str, float]:
    return family.names((), None)[0], float(family.natural(np.array([phi]))[0])
