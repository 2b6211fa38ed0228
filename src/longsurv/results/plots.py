"""Figures of fits and posteriors: their coefficients, and priors with what the data make of them.

The drawings are the report's (`longsurv.figures`); here are the tables they are made from, and what
they show in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from longsurv import numbers
from longsurv.errors import LongsurvError
from longsurv.estimands.densities import densities
from longsurv.figures import forest, prior_grid
from longsurv.figures.model_checks import (
    positions,
    quantile_panels,
    replicated,
    residual_panels,
)
from longsurv.figures.place import described, place_of, warned
from longsurv.figures.style import shorten
from longsurv.results.contrasts import position
from longsurv.results.drawable import Drawable, DrawablePosterior, Headed
from longsurv.results.summaries import OfHazards
from longsurv.words import capital

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SERIES = {"ml": "Maximum likelihood", "bayes": "Bayes"}
INTERCEPT = "Intercept"
TOLD = 12
"""Terms that a sentence names."""
PANELS = 10
"""Priors in one figure, unless they are chosen."""


class Plotted:
    """A fit or a posterior, whose coefficients can be drawn."""

    def plot(
        self,
        terms: Sequence[str] | None = None,
        *,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the coefficients with their intervals; hazard ratios, if they are logarithms of it.

        Parameters
        ----------
        terms : sequence of str, optional
            Which ones; by default all but the intercept.
        level : float
            Of the intervals, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.

        Raises
        ------
        LongsurvError
            For a term that there is not.
        """
        return coefficients(cast("Drawable", self), terms, level, ax)


def coefficients(result: Drawable, terms: Sequence[str] | None, level: float, ax: object) -> Axes:
    """Coefficients with their intervals, as ratios if they are logarithms of hazard ratios."""
    ratio = isinstance(result, OfHazards)
    table = result.hazard_ratios(level) if isinstance(result, OfHazards) else result.tidy(level)
    table = table.rename(columns={"hazard_ratio": "estimate"})
    table = table[table["term"].isin(_chosen(list(table["term"]), terms))]
    shown = numbers.ratio if ratio else numbers.difference
    limits = ["estimate", "conf_low", "conf_high"]
    text = [shown(*row) for row in table[limits].itertuples(index=False)]
    rows = table[limits].assign(row=table["term"], series=SERIES[result.engine], text=text)
    what = "Hazard ratio (logarithmic axis)" if ratio else "Coefficient"
    drawn = forest(
        rows, xlabel=what, log=ratio, text_heading=f"Estimate ({100 * level:g} % interval)",
        ax=place_of(ax),
    )  # fmt: skip
    warned(drawn, result.headings)
    said = [f"{name} {words}" for name, words in zip(table["term"], text, strict=True)]
    return described(drawn, _sentence(f"{what} with {100 * level:g} % intervals", said, result))


def rows(labels: Sequence[str], table: pd.DataFrame, xlabel: str, level: float, ax: object) -> Axes:
    """Estimates with their intervals, a row each, of a table in the grammar of `tidy`."""
    limits = ["estimate", "conf_low", "conf_high"]
    text = [numbers.difference(*row) for row in table[limits].itertuples(index=False)]
    shown = table[limits].assign(row=list(labels), series="", text=text)
    drawn = forest(
        shown, xlabel=xlabel, text_heading=f"Estimate ({100 * level:g} % interval)",
        ax=place_of(ax),
    )  # fmt: skip
    said = "; ".join(f"{name} {words}" for name, words in zip(labels, text, strict=True))
    return described(drawn, f"{xlabel} with {100 * level:g} % intervals: {said}.")


def priors(result: DrawablePosterior, terms: Sequence[str] | None, ax: object) -> Axes:
    """The posterior of each parameter with its prior over it."""
    known = result.priors
    have = [name for name in result.samples if name in known]
    if not have:
        raise LongsurvError("this posterior has no parameter with a prior of its own to draw")
    chosen = _chosen(have, terms) if terms is not None else have[:PANELS]
    table = densities({name: result.samples[name] for name in chosen}, known)
    drawn = prior_grid(
        table, subtitles={name: shorten(str(known[name]), 26) for name in chosen}, xlabel="",
        log=False, together=False, warnings=result.headings, ax=place_of(ax),
        width=_width(len(chosen)),
    )  # fmt: skip
    said = []
    for name in chosen:
        mean, sd = result.samples[name].mean(), result.samples[name].std()
        said.append(f"{name} {known[name]} before, mean {mean:.3g} and SD {sd:.2g} after")
    left = len(have) - len(chosen) if terms is None else 0
    more = f" {left} more parameters are not drawn; name them with terms=." if left else ""
    return described(drawn, _sentence("Priors and posterior densities", said, result) + more)


def _width(count: int) -> float:
    """Room for names under panels, in CSS pixels."""
    return max(300.0, 190.0 * min(count, 5))


def _chosen(have: Sequence[str], terms: Sequence[str] | None) -> list[str]:
    """The terms asked for; by default all but the intercept, unless there is nothing else."""
    if terms is None:
        return [name for name in have if name != INTERCEPT] or list(have)
    if not len(terms):
        raise LongsurvError(f"terms is one or more of {list(have)}")
    return [have[position(name, have)] for name in dict.fromkeys(terms)]


def _sentence(what: str, said: Sequence[str], result: Drawable) -> str:
    """The text alternative of a figure."""
    told = "; ".join(said[:TOLD]) + (f"; and {len(said) - TOLD} more" if len(said) > TOLD else "")
    warnings = "".join(f" {text}." for text in result.headings)
    return f"{what}: {told}.{warnings}"


def replicates(result: Headed, table: pd.DataFrame, ax: object) -> Axes:
    """Where the data lie among their replicates, of a table of `predictive_checks`."""
    shown = table.rename(columns={"part": "panel", "statistic": "row"})
    drawn = replicated(shown, ax=place_of(ax))
    warned(drawn, result.headings, above=20.0)
    out = table[np.abs(positions(table)) > 1]
    said = [
        f"{row['statistic']} of {row['part']} {numbers.number(row['observed'])}, replicates"
        f" {numbers.number(row['conf_low'])} to {numbers.number(row['conf_high'])}"
        for row in out.to_dict("records")
    ]
    whole = f"{len(table) - len(out)} of {len(table)} statistics lie within their replicates"
    text = f"{whole}; outside: {'; '.join(said)}." if said else f"{whole}."
    warnings = "".join(f" {one}." for one in result.headings)
    return described(drawn, text + warnings)


def quantiles(result: Headed, table: pd.DataFrame, ax: object) -> Axes:
    """Ordered residuals or effects against normal quantiles, of a table of `qq`."""
    parts = {str(of): part for of, part in table.groupby("of", sort=False)}
    drawn = quantile_panels(parts, ax=place_of(ax))
    warned(drawn, result.headings, above=38.0)
    return described(drawn, _outside(parts) + "".join(f" {one}." for one in result.headings))


def bands(result: Headed, table: pd.DataFrame, ax: object) -> Axes:
    """Mean and spread of residuals over fitted values, of a table of `residual_bands`."""
    drawn = residual_panels({"Studentised residuals": table}, ax=place_of(ax))
    warned(drawn, result.headings, above=38.0)
    parts = {str(of): part for of, part in table.groupby("of", sort=False)}
    return described(drawn, _outside(parts) + "".join(f" {one}." for one in result.headings))


def _outside(parts: Mapping[str, pd.DataFrame]) -> str:
    """How many of the values of each part leave its band."""
    said = []
    for of, part in parts.items():
        out = int(((part["observed"] < part["low"]) | (part["observed"] > part["high"])).sum())
        said.append(f"{of}: {out} of {len(part)} outside the band" if out else f"{of}: within it")
    return f"Residuals with their simultaneous band. {capital('; '.join(said))}."
