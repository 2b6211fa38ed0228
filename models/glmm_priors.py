"""Default priors of generalised mixed models, and the variables they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import block_diag

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign, unit_weights
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.random_columns import RandomColumns, random_columns
from longsurv.errors import LongsurvError
from longsurv.inference import Affine, Draws, added, outward
from longsurv.inference.density import LogDensity
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import for_sampling
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.likelihood.glmm.site_coordinates import SiteCoordinates
from longsurv.likelihood.glmm.start import starting_point, to_unconstrained

if TYPE_CHECKING:
    import pandas as pd


def columns_of_priors(
    design: GeneralisedDesign, rows: pd.DataFrame, given: Mapping[str, pr.Prior] | None = None
) -> RandomColumns:
    """The random effects whose standard deviations and correlations have the priors."""
    weights, own = unit_weights(design.group), tuple(given or ())
    found = [random_columns(grouping, rows, weights, own) for grouping in design.terms]
    return RandomColumns(
        block_diag(*(columns.to for columns in found)),
        np.concatenate([columns.size for columns in found]),
        tuple(moved for columns in found for moved in columns.moved),
    )


def level_map(design: GeneralisedDesign, found: CentredDesign) -> np.ndarray:
    """Coefficients (and the first threshold) in centred variables from those of the formula."""
    if not design.levels:
        return found.to
    p = len(found.to)
    out = np.eye(p + 1)
    out[:p, :p] = found.to
    # The threshold of a row whose centred columns are 0.
    out[p, :p] = -(design.fixed.X - found.X @ found.to).mean(axis=0)
    return out


def default_priors(
    design: GeneralisedDesign, found: CentredDesign, random: RandomColumns
) -> dict[str, pr.Prior]:
    """Weakly informative priors; see `GLMM.default_priors`."""
    d, family = design, FAMILIES[design.family]
    spread = family.spread(d.middle, d.offsets)
    mean = (
        found.level * family.level(d.middle, d.offsets) + 0.0
        if not d.levels
        else np.zeros(len(found.sd))
    )
    out: dict[str, pr.Prior] = {}
    for name, sd, at in zip(d.fixed.names, found.sd, mean, strict=True):
        out[name] = pr.Normal(float(at), 2.5 * spread / float(sd) if sd else 5.0 * spread)
    out |= family.default_priors(d.family_names, spread)
    for name, size in zip(d.deviations, random.size, strict=True):
        out[name] = pr.Exponential(spread / float(size))
    return out


def prior_stack(
    design: GeneralisedDesign,
    found: CentredDesign,
    random: RandomColumns,
    given: Mapping[str, pr.Prior] | None,
    eta: float,
) -> pr.PriorStack:
    """The priors in the order of the parameter vector, the user's in place of the defaults."""
    defaults = default_priors(design, found, random)
    names, gaps = tuple(defaults), design.levels and design.family_names[1:]
    if wrong := set(given or ()) & set(gaps):
        raise LongsurvError(f"a prior goes on the gap below a threshold: gap({wrong.pop()})")
    aliases = design.fixed.variables
    chosen = pr.choose(names, defaults, given, aliases)
    to = level_map(design, found)
    basis, alike = pr.centred_basis(to, names[: len(to)], given, aliases, found.alike)
    blocks = design.effects.blocks
    sds = names[len(names) - len(random.moved) :]
    moved = tuple(n for n, m in zip(sds, random.moved, strict=True) if m)
    return pr.PriorStack(
        names, chosen, pr.LKJ(eta), max(blocks), blocks, basis=basis, centred=moved, alike=alike
    )


@dataclass(frozen=True, eq=False)
class Sampling:
    """The posterior in coordinates without units.

    Attributes
    ----------
    density : callable
        Log posterior density and its gradient at u, shape (d,); a density of theta = outward(u).
        With sites their effects follow, in `SiteCoordinates`, shape (d + J,): the gradient costs a
        twentieth of that of the density without them.
    begin : ndarray, shape (d,) or (d + J,)
    deviations : mapping of int to float
        Positions in u of log standard deviations, and their prior means there.
    scaled : Affine
        theta, a vector of `glmm.loglik`, from u.
    sites : SiteCoordinates, optional
        Of the effects of sites, which are kept.
    """

    density: LogDensity
    begin: np.ndarray
    deviations: Mapping[int, float]
    scaled: Affine
    sites: SiteCoordinates | None = None

    def outward(self, drawn: Draws) -> Draws:
        """Draws and their mode as vectors theta, with the effects of sites beside them.

        Parameters
        ----------
        drawn : Draws
            In the coordinates without units.
        """
        d = len(self.scaled.centre)
        effects = None if self.sites is None else self.sites.effects(drawn.theta)
        found = outward(drawn, lambda u: self.scaled.outward(u[..., :d]))
        return replace(found, effects=effects)


def sampling(data: glmm.GLMMData, stack: pr.PriorStack) -> Sampling:
    """What a sampler needs."""
    inner = for_sampling(data)
    scaled = Affine(inner.centre, inner.T)
    d, log_prior = len(inner.centre), scaled.density(stack.value_and_gradient)

    def log_likelihood(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = glmm.loglik(inner.data, u)
        return value + inner.constant, gradient

    means = {j: mean * float(np.exp(-inner.centre[j])) for j, mean in stack.deviations.items()}
    begin = to_unconstrained(inner.data, starting_point(inner.data))
    if not data.shared:
        return Sampling(added(log_likelihood, log_prior), begin, means, scaled)
    sites = SiteCoordinates.near(inner.data, begin, data.n_sites)

    def with_sites(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = sites.log_likelihood(x)
        prior, slope = log_prior(x[:d])
        gradient[:d] += slope
        return value + inner.constant + prior, gradient

    return Sampling(with_sites, sites.begin, means, scaled, sites)
