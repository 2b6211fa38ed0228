"""Which numbers of a fitted generalised mixed model the data do not determine, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from longsurv.design.mixed import check_variation
from longsurv.errors import EstimationError
from longsurv.inference import Flat, Identified, Optimum
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import Coordinates, for_climbing
from longsurv.likelihood.glmm.existence import (
    absorbed,
    no_maximum,
    separation,
    to_coefficients,
    unseen_variances,
)
from longsurv.priors import PriorStack, apart, moments
from longsurv.results.generalised.quantities import coefficient_jacobian, variance_parameters
from longsurv.words import cannot_be_fitted, listed, shortened

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign

FLAT_LIKELIHOOD = "The likelihood is flat along a combination of them."


@dataclass(frozen=True, eq=False)
class Undetermined:
    """What is not determined.

    Attributes
    ----------
    flat : Flat
        Directions of the coefficients (thresholds included).
    variances : ndarray of bool
        Variance parameters.
    names : tuple of str
        All of these by name.
    why : str
        The reasons, in sentences.
    """

    flat: Flat
    variances: np.ndarray
    names: tuple[str, ...]
    why: str

    def __bool__(self) -> bool:
        return bool(self.names)

    def record(self, optimum: Optimum) -> Optimum:
        """The optimiser's record, which does not call what is left of a ridge a maximum.

        Parameters
        ----------
        optimum : Optimum
            Of the climb.

        Returns
        -------
        Optimum
        """
        if not self:
            return optimum
        return replace(optimum, status=f"the data do not determine {', '.join(self.names)}")


def check_estimable(
    design: GeneralisedDesign, data: glmm.GLMMData, coordinates: Coordinates, formula: str
) -> None:
    """Refuse to fit what has no maximum, or no coefficient that the data determine.

    Raises
    ------
    EstimationError
    """
    if data.family.measured:
        rest = replace(design, y=design.middle - design.offsets)
        check_variation(rest, np.linalg.lstsq(rest.fixed.X, rest.y, rcond=None)[0])
    lost = unseen_in(design, data, coordinates)
    # On the logit scale every coefficient grows with the spread between patients.
    if (data.family.logit and unseen_variances(data, coordinates)) or (
        lost and not lost.flat.determined.any()
    ):
        raise EstimationError(
            f"{shortened(formula)!r} determines none of its coefficients: the data do not "
            f"determine {', '.join(lost.names)}. {lost.why} Leave out random effects."
        )
    # The mean of a count depends on the intercept and on variances.
    if data.family.log and lost:
        unseen = (
            f"the data do not determine {', '.join(lost.names)}, on which the intercept depends."
            f" {lost.why} Leave out random effects, or take family='poisson', whose spread between"
            " rows they then are."
        )
        raise EstimationError(cannot_be_fitted(formula, unseen))
    if why := no_maximum(data, coordinates, design.coefficient_names):
        answer = "sample() has an answer, as its priors keep the estimates finite"
        raise EstimationError(
            f"{shortened(formula)!r} has no maximum-likelihood estimate: {why}. {answer}"
        )


def undetermined(
    design: GeneralisedDesign,
    data: glmm.GLMMData,
    coordinates: Coordinates,
    theta: np.ndarray,
    found: Identified,
    free: np.ndarray,
) -> Undetermined:
    """Of a fit at theta, whose information in the free coordinates determines `found`."""
    T = coordinates.T[:, free]
    jacobian = coefficient_jacobian(data, theta) @ T
    flat, why = found.flat.mapped(jacobian), []
    variances = ~found.flat.estimable(_variance_jacobian(data, theta, T))
    if flat or variances.any():
        why.append(FLAT_LIKELIHOOD)
    structural = unseen_in(design, data, coordinates)
    if structural:
        flat = Flat(np.hstack([flat.directions, structural.flat.directions]), flat.scale)
        variances |= structural.variances
        why = [structural.why]
    return _named(design, flat, variances, why)


def unseen_in(
    design: GeneralisedDesign, data: glmm.GLMMData, coordinates: Coordinates
) -> Undetermined:
    """What no data of this design could determine."""
    unseen, taken = unseen_variances(data, coordinates), absorbed(data, coordinates)
    parts = [np.empty(0, dtype=bool)]
    if not design.levels:
        parts.append(np.full(len(design.family_names), unseen.family))
    parts += [unseen.sd | taken.sd, unseen.correlation | taken.correlation]
    directions = np.hstack([unseen.coefficients, taken.coefficients])
    why, group = [], design.group_name
    alone = bool(design.outer) and len(design.units.labels) == len(design.labels)
    if unseen and alone:
        why.append(
            f"Every value of {design.units.name} has one {group} only, so that a difference between"
            f" the one cannot be told from one between the other: leave (1 | {design.units.name})"
            " out."
        )
    elif unseen:
        why.append(
            f"No two rows of one {group} tell these variances apart: that takes more rows of one "
            f"{group}, or rows that differ more, or fewer random effects."
        )
    if taken:
        reproduced = listed(
            [g.name for g, k in zip(design.terms, _by_term(design, taken.sd), strict=True) if k]
        )
        why.append(
            f"The fixed effects can reproduce every difference between the values of {reproduced}"
            " (with one in each arm, say), so the two cannot be told apart."
        )
    flat = Flat(directions, np.linalg.norm(to_coefficients(data, coordinates), axis=1))
    return _named(design, flat, np.concatenate(parts).astype(bool), why)


def _by_term(design: GeneralisedDesign, sd: np.ndarray) -> list[bool]:
    """Whether any of the standard deviations of each grouping is concerned."""
    ends = np.cumsum([len(grouping.random.names) for grouping in design.terms])[:-1]
    return [bool(part.any()) for part in np.split(sd, ends)]


def prior_words(
    design: GeneralisedDesign, data: glmm.GLMMData, stack: PriorStack, thetas: np.ndarray
) -> tuple[str, ...]:
    """How much of a posterior is prior, where the data alone have no answer; thetas is (S, d)."""
    coordinates, words = for_climbing(data), []
    lost = unseen_in(design, data, coordinates)
    why = no_maximum(data, coordinates, design.coefficient_names)
    # Along a ridge all of it is prior, along a recession direction how far it goes.
    names = set(lost.names)
    if lost:
        words.append(f"Not determined by the data: {', '.join(lost.names)}. {lost.why}")
    if why:
        words.append(f"By the data alone there is no finite estimate: {why}.")
        direction = separation(data, coordinates)
        if direction is None:
            names |= {n for n in stack.names if n.startswith("sd(")}
        else:
            names |= {
                n for n, d in zip(design.coefficient_names, direction, strict=True) if d != 0.0
            }
    if not words:
        return ()
    values, shares = stack.coordinates(thetas) @ apart(stack).T, []
    own = (*design.coefficient_names, *stack.names[len(design.coefficient_names) :])
    for j, (name, prior) in enumerate(zip(own, stack.priors, strict=True)):
        if name in names:
            share = min(1.0, float(values[:, j].var()) / moments(prior)[1] ** 2)
            centred = " (centred)" if stack.names[j] in stack.moved else ""
            shares.append(f"{stack.names[j]}{centred} {100 * share:.0f} % ({prior})")
    listed = f": the posterior variance as a share of the prior's is {', '.join(shares)}"
    words.append(
        f"How far the posterior goes there is the prior's doing{listed if shares else ''}."
    )
    return (" ".join(words),)


def _named(
    design: GeneralisedDesign, flat: Flat, variances: np.ndarray, why: Sequence[str]
) -> Undetermined:
    names = [n for n, k in zip(design.coefficient_names, flat.determined, strict=True) if not k]
    names += [n for n, lost in zip(design.variance_names, variances, strict=True) if lost]
    return Undetermined(flat, variances, tuple(names), " ".join(why))


def _variance_jacobian(data: glmm.GLMMData, theta: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Derivatives of the variance parameters along the columns of T; 0 where there are none."""
    step, columns = 1e-5, []
    with np.errstate(invalid="ignore"):
        for direction in T.T:
            up, down = (variance_parameters(data, theta + s * direction) for s in (step, -step))
            columns.append((up - down) / (2.0 * step))
    found = np.column_stack([*columns, np.empty((len(variance_parameters(data, theta)), 0))])
    return np.where(np.isfinite(found), found, 0.0)
