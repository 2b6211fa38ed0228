"""Answers for many markers: a table with corrections, and effects shrunken towards their family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.markers.of_markers import (
    INTERVAL,
    STANDARD,
    Drawn,
    ManyMarkers,
    OfMarkers,
    families_of,
    standard,
)
from longsurv.arguments import check_methods
from longsurv.estimands.changes import CORRECTED, adjusted_p_values
from longsurv.inference import Draws, Optimum
from longsurv.likelihood.panel.loglik import Layout
from longsurv.numbers import difference
from longsurv.priors import PriorStack
from longsurv.results.estimate import Estimate
from longsurv.results.posterior import Posterior, summarise
from longsurv.tables.frame import framed
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from xarray import DataArray

    from longsurv.diagnostics import Verdict


type Part = Literal["effects", "hyper"]
type Scale = Literal["response", "standard"]


@check_methods
@dataclass(frozen=True, eq=False)
class PanelEstimate(OfMarkers):
    """Every marker's fit.

    Attributes
    ----------
    panel : Panel
    fits : mapping of str to Estimate
    """

    panel: ManyMarkers
    fits: Mapping[str, Estimate]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The difference in change of each marker.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            marker, family, then the grammar of `Estimate.tidy` on the response's scale, the same in
            baseline SDs towards benefit (std_estimate, std_low, std_high), note (why a marker has
            no answer), p_holm and p_fdr.
        """
        table = _rows(self.panel, self.fits, level)
        for column, method in CORRECTED.items():
            table[column] = adjusted_p_values(table["p_value"].tolist(), method)
        return table

    def _drawn(self) -> Drawn:
        return {"ml": standard(self.tidy())}, families_of(self.panel)


@check_methods
@dataclass(frozen=True, eq=False)
class PanelPosterior(OfMarkers):
    """Every marker's posterior, each on its own.

    Attributes
    ----------
    panel : Panel
    posteriors : mapping of str to Posterior
    """

    panel: ManyMarkers
    posteriors: Mapping[str, Posterior]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The difference in change of each marker, in the grammar of `Posterior.tidy`.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
        """
        return _rows(self.panel, self.posteriors, level)

    def _drawn(self) -> Drawn:
        return {"bayes": standard(self.tidy())}, families_of(self.panel)


@check_methods
@dataclass(frozen=True, eq=False)
class ShrunkenEffects(OfMarkers):
    """Posterior of all markers' effects in baseline SDs; above 0 is benefit.

    Attributes
    ----------
    panel : Panel
    names : tuple of str
        Markers.
    effects : ndarray, shape (chains, draws, markers)
    hyper : mapping of str to ndarray, shape (chains, draws)
        mu(family) and sd(family).
    stack : PriorStack
        Their priors.
    draws : Draws
    """

    panel: ManyMarkers
    names: tuple[str, ...]
    effects: np.ndarray
    hyper: Mapping[str, np.ndarray]
    stack: PriorStack
    draws: Draws

    @classmethod
    def from_draws(
        cls, panel: ManyMarkers, layout: Layout, stack: PriorStack, draws: Draws
    ) -> ShrunkenEffects:
        """Effects and family parameters from draws of the joint vector.

        Parameters
        ----------
        panel : Panel
        layout : Layout
        stack : PriorStack
        draws : Draws

        Returns
        -------
        ShrunkenEffects
        """
        natural = stack.constrain(draws.theta)
        hyper = stack.names[: 2 * layout.n_families]
        return cls(
            panel=panel,
            names=tuple(m.name for m in layout.members),
            effects=layout.effects(draws.theta),
            hyper={name: natural[..., j] for j, name in enumerate(hyper)},
            stack=stack,
            draws=draws,
        )

    @property
    def mode(self) -> Optimum | None:
        """Where the climb ended that the chains start from, with x the joint vector."""
        return self.draws.mode

    def tidy(
        self, level: float = 0.95, component: Literal["effects", "hyper"] = "effects"
    ) -> pd.DataFrame:
        """Effects by marker ("effects"), or the families' mean and spread ("hyper").

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.
        component : {"effects", "hyper"}

        Returns
        -------
        DataFrame
            marker and family (or term), estimate, std_error, conf_low, conf_high, prob_positive (of
            benefit), r_hat, ess_bulk, ess_tail, mcse_mean; all in baseline SDs.
        """
        if component == "hyper":
            return summarise(self.hyper, level)
        named = {name: self.effects[..., k] for k, name in enumerate(self.names)}
        table = summarise(named, level).rename(columns={"term": "marker"})
        families = [self.panel.members[name].family for name in self.names]
        table.insert(1, "family", families)
        return table

    def diagnose(self) -> Verdict:
        """Whether the chains can be trusted: a `longsurv.diagnostics.Verdict`."""
        from longsurv.diagnostics.convergence import of_posterior, told_again

        table = pd.concat([self.tidy(), self.tidy(component="hyper")])
        return of_posterior(table, self.draws.stats, told_again(self.draws))

    def _drawn(self) -> Drawn:
        return {"shrunken": self.tidy().set_index("marker")[INTERVAL]}, families_of(self.panel)


@check_methods
@dataclass(frozen=True, eq=False)
class PanelResults(OfMarkers):
    """Every marker by both engines, and shrunken towards its family.

    Attributes
    ----------
    estimate : PanelEstimate
    posterior : PanelPosterior
    shrunken : ShrunkenEffects or None
        None where no family is large enough.
    """

    estimate: PanelEstimate
    posterior: PanelPosterior
    shrunken: ShrunkenEffects | None

    def tidy(
        self, level: float = 0.95, scale: Literal["response", "standard"] = "response"
    ) -> pd.DataFrame:
        """The difference in change of each marker by each engine, one row a marker.

        Parameters
        ----------
        level : float
            Of all intervals.
        scale : {"response", "standard"}
            Units of the model's response (logarithms where `ratio`), or baseline SDs towards
            benefit.

        Returns
        -------
        DataFrame
            marker, family, better ("lower", "higher" or ""), ratio; estimate, conf_low and
            conf_high with the endings _ml (REML), _bayes and _shrunken, those of the last missing
            outside the families; p_value, p_holm, p_fdr of REML; prob_benefit_bayes and
            prob_benefit_shrunken, missing where no direction is better; note (why a marker has no
            answer).
        """
        members = self.estimate.panel.members
        better = {-1.0: "lower", 0.0: "", 1.0: "higher"}
        table = pd.DataFrame(
            {
                "family": [m.family for m in members.values()],
                "better": [better[m.direction] for m in members.values()],
                "ratio": [m.ratio for m in members.values()],
            },
            index=pd.Index(members, name="marker"),
        )
        unit = pd.Series({name: m.unit for name, m in members.items()})
        for engine, effects in self._effects(level).items():
            if scale == "response":
                effects = effects.mul(unit, axis=0)
            ends = effects[["conf_low", "conf_high"]].to_numpy()
            table[f"estimate_{engine}"] = effects["estimate"]
            table[f"conf_low_{engine}"], table[f"conf_high_{engine}"] = np.sort(ends, axis=1).T
        p_values = self.estimate.tidy(level).set_index("marker")
        for column in ("p_value", "p_holm", "p_fdr"):
            table[column] = p_values[column]
        positive = self.posterior.tidy(level).set_index("marker")["prob_positive"]
        benefit = positive.where(table["better"] == "higher", 1.0 - positive)
        table["prob_benefit_bayes"] = benefit.where(table["better"] != "")
        table["prob_benefit_shrunken"] = np.nan
        if self.shrunken is not None:
            shrunken = self.shrunken.tidy(level).set_index("marker")["prob_positive"]
            table["prob_benefit_shrunken"] = shrunken.reindex(table.index)
        return _with_left_out(table.reset_index().assign(note=""), self.estimate.panel)

    def to_xarray(self, level: float = 0.95) -> DataArray:
        """The effects in baseline SDs towards benefit, as an array with names.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        xarray.DataArray
            Dimensions engine ("ml", "bayes", "shrunken"), marker and quantity ("estimate",
            "conf_low", "conf_high"), with the markers' families beside their names.
        """
        import xarray as xr

        members = self.estimate.panel.members
        effects = self._effects(level)
        return xr.DataArray(
            np.stack([table.to_numpy() for table in effects.values()]),
            dims=("engine", "marker", "quantity"),
            coords={
                "engine": list(effects),
                "marker": list(members),
                "quantity": INTERVAL,
                "family": ("marker", [m.family for m in members.values()]),
            },
            name="difference_in_change",
            attrs={"units": "baseline SDs, above 0 is benefit", "level": level},
        )

    def diagnose(self) -> pd.DataFrame:
        """Whether each answer can be trusted: marker ("all" for the shrunken effects), engine, ok,
        words."""
        verdicts = [(name, "ml", fit.diagnose()) for name, fit in self.estimate.fits.items()]
        for name, post in self.posterior.posteriors.items():
            verdicts.append((name, "bayes", post.diagnose()))
        if self.shrunken is not None:
            verdicts.append(("all", "shrunken", self.shrunken.diagnose()))
        rows = [(marker, engine, v.ok, v.words) for marker, engine, v in verdicts]
        return pd.DataFrame(rows, columns=["marker", "engine", "ok", "words"])

    def summary(self) -> Summary:
        """The effects of every marker by each engine, as a reader sees them.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        table = self.tidy()
        shown = table[["marker", "family", "better"]].copy()
        for engine, name in plots.ENGINES.items():
            if f"estimate_{engine}" in table:
                limits = table[[f"{column}_{engine}" for column in INTERVAL]]
                shown[name] = [difference(*row) for row in limits.itertuples(index=False)]
        shown = shown.join(table[["p_value", "p_fdr", "prob_benefit_bayes", "note"]])
        headers = {"prob_benefit_bayes": "P(benefit), Bayes"}
        words = "Differences in change on the scale of the model, with 95 % intervals."
        return Summary("Many markers", (framed(shown, headers=headers),), words=(words,))

    def _drawn(self) -> Drawn:
        effects = self._effects(0.95)
        shown = {engine: effects[engine] for engine in ("ml", "bayes")}
        return shown, families_of(self.estimate.panel)

    def _effects(self, level: float) -> dict[str, pd.DataFrame]:
        """Estimates and intervals in baseline SDs, by engine, with a row a marker."""
        markers = list(self.estimate.panel.members)
        effects = {
            engine: table.set_index("marker").loc[markers, list(STANDARD)].rename(columns=STANDARD)
            for engine, table in (
                ("ml", self.estimate.tidy(level)),
                ("bayes", self.posterior.tidy(level)),
            )
        }
        effects["shrunken"] = pd.DataFrame(np.nan, index=markers, columns=INTERVAL)
        if self.shrunken is not None:
            shrunken = self.shrunken.tidy(level).set_index("marker")[INTERVAL]
            effects["shrunken"] = shrunken.reindex(markers)
        return effects


def _rows(
    panel: ManyMarkers, results: Mapping[str, Estimate | Posterior], level: float
) -> pd.DataFrame:
    parts = []
    for name, result in results.items():
        member = panel.members[name]
        row = result.contrast(dict(member.weights), level).assign(term="difference in change")
        standard = row[INTERVAL] / member.unit
        low, high = standard["conf_low"], standard["conf_high"]
        row.insert(0, "marker", name)
        row.insert(1, "family", member.family)
        parts.append(
            row.assign(
                std_estimate=standard["estimate"],
                std_low=np.minimum(low, high),
                std_high=np.maximum(low, high),
                note="",
            )
        )
    return _with_left_out(pd.concat(parts, ignore_index=True), panel)


def _with_left_out(table: pd.DataFrame, panel: ManyMarkers) -> pd.DataFrame:
    """The table with a row, without numbers, for each marker that has no answer."""
    if not panel.left_out:
        return table
    rows = pd.DataFrame({"marker": list(panel.left_out), "note": list(panel.left_out.values())})
    rows = rows.reindex(columns=table.columns).astype(table.dtypes.to_dict())
    return pd.concat([table, rows], ignore_index=True)
