"""Answers for many markers: a table with corrections, and effects shrunken towards their family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.estimands.changes import adjusted_p_values
from longsurv.inference import Draws, Optimum
from longsurv.likelihood.panel import Layout
from longsurv.priors import PriorStack
from longsurv.results.estimate import Estimate, check_level
from longsurv.results.posterior import Posterior, summarise

INTERVAL = ["estimate", "conf_low", "conf_high"]


@dataclass(frozen=True, eq=False)
class PanelEstimate:
    """Every marker's fit.

    Attributes
    ----------
    panel : Panel
    fits : mapping of str to Estimate
    """

    panel: Any
    fits: Mapping[str, Estimate]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The difference in change of each marker.

        Returns
        -------
        DataFrame
            marker, family, then the grammar of `Estimate.tidy` on the response's scale, the same in
            baseline SDs towards benefit (std_estimate, std_low, std_high), p_holm and p_fdr.
        """
        check_level(level)
        table = _rows(self.panel, self.fits, level)
        for column, method in (("p_holm", "holm"), ("p_fdr", "fdr_bh")):
            table[column] = adjusted_p_values(table["p_value"].tolist(), method)
        return table


@dataclass(frozen=True, eq=False)
class PanelPosterior:
    """Every marker's posterior, each on its own.

    Attributes
    ----------
    panel : Panel
    posteriors : mapping of str to Posterior
    """

    panel: Any
    posteriors: Mapping[str, Posterior]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The difference in change of each marker, in the grammar of `Posterior.tidy`."""
        check_level(level)
        return _rows(self.panel, self.posteriors, level)


@dataclass(frozen=True, eq=False)
class ShrunkenEffects:
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
    mode : Optimum
    draws : Draws
    """

    panel: Any
    names: tuple[str, ...]
    effects: np.ndarray
    hyper: Mapping[str, np.ndarray]
    stack: PriorStack
    mode: Optimum
    draws: Draws

    @classmethod
    def from_draws(
        cls, panel: Any, layout: Layout, stack: PriorStack, mode: Optimum, draws: Draws
    ) -> ShrunkenEffects:
        """Effects and family parameters from draws of the joint vector."""
        theta, top = draws.theta, 2 * layout.n_families
        natural = stack.constrain(theta[..., :top])
        effects = [
            natural[..., 2 * m.family] + natural[..., 2 * m.family + 1] * theta[..., part.start]
            for m, part in zip(layout.members, layout.slices, strict=True)
        ]
        return cls(
            panel=panel,
            names=tuple(m.name for m in layout.members),
            effects=np.stack(effects, axis=-1),
            hyper={name: natural[..., j] for j, name in enumerate(stack.names)},
            stack=stack,
            mode=mode,
            draws=draws,
        )

    def tidy(self, level: float = 0.95, component: str = "effects") -> pd.DataFrame:
        """Effects by marker ("effects"), or the families' mean and spread ("hyper").

        Returns
        -------
        DataFrame
            marker and family (or term), estimate, std_error, conf_low, conf_high, prob_positive (of
            benefit), r_hat, ess_bulk, ess_tail; all in baseline SDs.
        """
        check_level(level)
        if component == "hyper":
            return summarise(self.hyper, level)
        named = {name: self.effects[..., k] for k, name in enumerate(self.names)}
        table = summarise(named, level).rename(columns={"term": "marker"})
        families = [self.panel.members[name].family for name in self.names]
        table.insert(1, "family", families)
        return table

    def diagnose(self) -> Any:
        """Whether the chains can be trusted: a `longsurv.diagnostics.Verdict`."""
        from longsurv.diagnostics.convergence import of_posterior

        table = pd.concat([self.tidy(), self.tidy(component="hyper")])
        return of_posterior(table, self.draws.stats)


def _rows(panel: Any, results: Mapping[str, Any], level: float) -> pd.DataFrame:
    parts = []
    for name, result in results.items():
        member = panel.members[name]
        row = result.contrast(dict(member.weights), level).assign(term="difference in change")
        unit = member.spread * (member.direction or 1.0)
        standard = row[INTERVAL] / unit
        low, high = standard["conf_low"], standard["conf_high"]
        row.insert(0, "marker", name)
        row.insert(1, "family", member.family)
        parts.append(
            row.assign(
                std_estimate=standard["estimate"],
                std_low=np.minimum(low, high),
                std_high=np.maximum(low, high),
            )
        )
    return pd.concat(parts, ignore_index=True)
