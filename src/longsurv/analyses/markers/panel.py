"""Many markers at once: each on its own, and all together with their effects shrunken.

Marker k follows its own mixed model (`longsurv.models.lmm`; with values beyond a limit of detection
the censored one of `longsurv.models.glmm`), with the difference in change c_k = l'beta_k. On a
common scale, d_k = c_k s_k / SD_k (s_k = -1 where lower is better, SD_k between patients at
baseline), so that d_k > 0 always means benefit. Within a family f of markers (inflammation,
coagulation)

    d_k = mu_f + sd_f eta_k,   eta_k ~ N(0, 1),   mu_f ~ N(0, 1),   sd_f ~ HalfNormal(0.5)

and the posterior of all markers is that of the sum of their marginal log-likelihoods. Markers are
taken as independent given their effects: the residual correlation between markers of one patient is
not modelled.

Efron & Morris (1975), J Am Stat Assoc 70:311-319; Gelman, Hill & Yajima (2012), J Res Educ Eff
5:189-211.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from longsurv import priors as pr
from longsurv.analyses.markers.hierarchy import hierarchy
from longsurv.analyses.markers.marker import PanelMarker
from longsurv.analyses.markers.responses import response_of
from longsurv.analyses.markers.shrunken import (
    PanelEstimate,
    PanelPosterior,
    PanelResults,
    ShrunkenEffects,
)
from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.cohort.schema import BeyondLimit
from longsurv.design import Residual
from longsurv.design.expression import Functions
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.changes import Change, baseline_sd, contrast_weights
from longsurv.inference import added, outward, sample_posterior
from longsurv.likelihood.panel.coordinates import Recentred
from longsurv.likelihood.panel.loglik import log_density

SMALLEST_FAMILY = 3
FAMILY_PRIORS = {"mu": pr.Normal(0.0, 1.0), "sd": pr.HalfNormal(0.5)}


@checked
@dataclass(frozen=True, eq=False)
class Panel:
    """Mixed models of many markers and the hierarchy of their treatment effects.

    Parameters
    ----------
    members : mapping of str to PanelMarker
        By marker. `Panel.from_cohort` makes them from a cohort.
    change : Change
        The difference in change that is estimated for each.
    left_out : mapping of str to str
        Markers that have no such difference, and why; every table has a row for them.
    """

    members: Mapping[str, PanelMarker]
    change: Change
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_cohort(
        cls,
        cohort: Cohort,
        trajectory: str,
        change: Change,
        markers: Iterable[str] | None = None,
        *,
        functions: Functions | None = None,
        residual: Residual | None = None,
        beyond_limit: BeyondLimit = "censored",
    ) -> Panel:
        """A panel of a cohort's markers.

        Parameters
        ----------
        cohort : Cohort
        trajectory : str
            Right-hand side for every marker, as in "phase * treatment + (1 | patient)".
        change : Change
        markers : iterable of str, optional
            All of the cohort's except the components of scores, unless given.
        functions : mapping of str to callable, optional
            Functions of your own that the trajectory may call by name (see `LMM`).
        residual : Residual, optional
            Of every marker's model, as ``Residual(by="treatment")``; independent and of one spread
            by default.
        beyond_limit : {"censored", "at the limit"}
            What a value beyond a limit of detection counts as.

        Raises
        ------
        LongsurvError
            For a marker the cohort does not have, and for a residual that a marker with values
            beyond a limit cannot have.
        EstimationError
            If no marker was measured where the change is.
        """
        chosen = list(markers) if markers is not None else cohort.endpoints
        unknown = [name for name in chosen if name not in cohort.markers]
        if unknown:
            known = list(cohort.markers)
            raise LongsurvError(f"the cohort has no markers {unknown}; it has {known}")
        members: dict[str, PanelMarker] = {}
        left_out: dict[str, str] = {}
        for name in chosen:
            marker, data = cohort.markers[name], cohort.marker_data(name)
            if change.variable == "phase":
                data = data[data["phase"].notna()].reset_index(drop=True)
            spec = response_of(data, beyond_limit).model(trajectory, data, residual, functions)
            try:
                weights = contrast_weights(spec.design.fixed, change, data)
            except EstimationError as error:
                left_out[name] = str(error)
                continue
            members[name] = PanelMarker(
                spec=spec,
                weights=weights,
                spread=baseline_sd(data, cohort.schema.patient, cohort.schema.time),
                direction={"lower": -1.0, "higher": 1.0}.get(marker.direction or "", 0.0),
                family=marker.family,
                ratio=marker.transform == "log",
            )
        if not members:
            raise EstimationError("; ".join(f"{name}: {why}" for name, why in left_out.items()))
        return cls(members, change, left_out)

    def fit(self) -> PanelEstimate:
        """Every marker by REML, with Holm's and Benjamini and Hochberg's corrections.

        One with values beyond a limit is fitted by maximum likelihood.
        """
        return PanelEstimate(self, {name: m.spec.fit() for name, m in self.members.items()})

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1
    ) -> PanelPosterior:
        """Every marker's posterior on its own.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.

        Returns
        -------
        PanelPosterior
        """
        seeds = np.random.SeedSequence(seed).generate_state(len(self.members)) >> 1
        posteriors = {
            name: member.spec.sample(draws=draws, tune=tune, chains=chains, seed=int(s))
            for (name, member), s in zip(self.members.items(), seeds, strict=True)
        }
        return PanelPosterior(self, posteriors)

    @cached_property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Families that are shrunken, with their markers: those of three or more with a
        direction."""
        out: dict[str, list[str]] = {}
        for name, member in self.members.items():
            if member.family and member.direction:
                out.setdefault(member.family, []).append(name)
        large = {family: names for family, names in out.items() if len(names) >= SMALLEST_FAMILY}
        return {family: tuple(names) for family, names in large.items()}

    def shrink(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1
    ) -> ShrunkenEffects:
        """One posterior of all markers, each family's effects drawn towards their common mean.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.

        Returns
        -------
        ShrunkenEffects

        Raises
        ------
        LongsurvError
            If no family has three markers with a direction.
        """
        if not self.families:
            raise LongsurvError(
                f"shrinking needs a family of at least {SMALLEST_FAMILY} markers that say which "
                "direction is better; set `family` and `direction` of the markers"
            )
        layout, stack = hierarchy(self.members, self.families, FAMILY_PRIORS)
        coordinates = Recentred.of(layout)
        mode, drawn = sample_posterior(
            coordinates.density(added(partial(log_density, layout), stack.value_and_gradient)),
            coordinates.start(),
            deviations=stack.deviations,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
        )
        if drawn is None:
            raise EstimationError(f"the panel cannot be sampled: {mode.status}")
        drawn = outward(drawn, coordinates.outward, coordinates.log_jacobian)
        return ShrunkenEffects.from_draws(self, layout, stack, drawn)

    def run(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1
    ) -> PanelResults:
        """`fit`, `sample` and, where there is a family to shrink, `shrink`.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.

        Returns
        -------
        PanelResults
        """
        sampling = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
        return PanelResults(
            estimate=self.fit(),
            posterior=self.sample(**sampling),
            shrunken=self.shrink(**sampling) if self.families else None,
        )
