"""Differences in change under several adjustments, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.analyses import plots
from longsurv.arguments import check_methods
from longsurv.cohort import Marker
from longsurv.errors import LongsurvError
from longsurv.estimands.baseline_adjusted import ADJUSTMENTS
from longsurv.estimands.changes import CORRECTED, Change, adjusted_p_values
from longsurv.estimands.propensity_result import PropensityWeights
from longsurv.estimands.weighting import weighted_difference
from longsurv.records import Fields, Record
from longsurv.results import Estimate, Posterior
from longsurv.results.linear import LinearPosterior
from longsurv.results.posterior import summarise
from longsurv.results.summaries import text_table
from longsurv.tables.frame import framed
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL = ["estimate", "conf_low", "conf_high"]
NUMBERS = [
    "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
    "prob_positive", "r_hat", "ess_bulk", "ess_tail", "mcse_mean",
]  # fmt: skip


class AnswerSource(Protocol):
    """What an answer is read from."""

    def row(self, level: float) -> pd.DataFrame:
        """One row in the grammar of `Estimate.tidy` or `Posterior.tidy`."""


@dataclass(frozen=True, eq=False)
class ModelContrast:
    """A combination of the coefficients of a fitted or sampled model.

    Attributes
    ----------
    result : Estimate or Posterior
    weights : mapping of str to float
    """

    result: Estimate | Posterior | LinearPosterior
    weights: Mapping[str, float]

    def row(self, level: float) -> pd.DataFrame:
        """One row of the result's table.

        Parameters
        ----------
        level : float
            Of the interval.

        Returns
        -------
        DataFrame
        """
        return self.result.contrast(dict(self.weights), level)


@dataclass(frozen=True, eq=False)
class WeightedContrast:
    """An overlap-weighted difference in means, with its sandwich variance or its posterior.

    Attributes
    ----------
    weights : PropensityWeights
    outcome : ndarray, shape (patients,)
        The change of each patient of the table the weights were made from.
    draws : ndarray, shape (chains, draws), or None
        Of the posterior; None for the sandwich.
    """

    weights: PropensityWeights
    outcome: np.ndarray
    draws: np.ndarray | None = None

    def row(self, level: float) -> pd.DataFrame:
        """One row in the grammar of `tidy`.

        Parameters
        ----------
        level : float
            Of the interval.

        Returns
        -------
        DataFrame
        """
        if self.draws is not None:
            return summarise({"difference in change": self.draws}, level)
        return weighted_difference(self.weights, self.outcome, level=level).iloc[[2]]


@dataclass(frozen=True, eq=False)
class AdjustedChange:
    """One marker's difference in change, under one adjustment, by one engine.

    Attributes
    ----------
    marker : Marker
    change : Change
    spread : float
        SD between patients of the first value, on the analysis scale.
    adjustment : str
        One of `longsurv.estimands.baseline_adjusted.ADJUSTMENTS`.
    engine : {"ml", "bayes"}
    method : str
        How it was estimated; for Bayes with the prior.
    balanced : str
        Covariates of the propensity model; empty for the other adjustments.
    effective : str
        Its effective sample sizes by group, in words; likewise.
    source : ModelContrast, WeightedContrast or None
        None if there is no answer.
    n : int
        Patients used.
    notes : tuple of str
        What a reader must know: patients left out, values at the detection limit, Firth's score.
    reason : str
        Why there is no answer; empty if there is one.
    """

    marker: Marker
    change: Change
    spread: float
    adjustment: str
    engine: str
    method: str = ""
    balanced: str = ""
    effective: str = ""
    source: AnswerSource | None = None
    n: int = 0
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def words(self) -> dict[str, str]:
        """What the adjustment is called, what it asks and what it assumes, for this change."""
        change, kind = self.change, ADJUSTMENTS[self.adjustment]
        of = {
            "level": change.level, "reference": change.reference, "start": change.start,
            "end": change.end, "balanced": self.balanced or "the covariates",
        }  # fmt: skip
        texts = {"question": kind.question, "assumes": kind.assumes}
        return {"label": kind.label} | {name: text.format(**of) for name, text in texts.items()}

    @property
    def n_effective(self) -> float:
        """Effective sample size of the weights, both groups together; `n` without weights."""
        if isinstance(self.source, WeightedContrast):
            return float(self.source.weights.effective_sample_size()["effective_n"].sum())
        return float(self.n) if self.source is not None else np.nan


@check_methods
@dataclass(frozen=True, repr=False, eq=False)
class AdjustedChanges(Result):
    """Differences in change of one or more markers: one row a marker, adjustment and engine.

    Attributes
    ----------
    answers : tuple of AdjustedChange
    """

    answers: tuple[AdjustedChange, ...]

    @classmethod
    def joined(cls, parts: Iterable[AdjustedChanges]) -> AdjustedChanges:
        """All answers of several, those of a marker and adjustment together.

        Parameters
        ----------
        parts : iterable of AdjustedChanges

        Returns
        -------
        AdjustedChanges
        """
        answers = [answer for part in parts for answer in part.answers]
        markers = list(dict.fromkeys(answer.marker.name for answer in answers))
        kinds, engines = list(ADJUSTMENTS), ["ml", "bayes"]

        def place(a: AdjustedChange) -> tuple[int, int, int]:
            return (
                markers.index(a.marker.name), kinds.index(a.adjustment), engines.index(a.engine)
            )  # fmt: skip

        return cls(tuple(sorted(answers, key=place)))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The answers on the analysis scale (the logarithm, for markers analysed as such).

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            marker, adjustment, engine, n, n_effective, then the grammar of `Estimate.tidy` and
            `Posterior.tidy`; p_holm and p_fdr (over the markers, within an adjustment);
            prob_benefit (of a difference in the marker's better direction); the same in baseline
            SDs (std_estimate, std_low, std_high) and, for logarithms, as a ratio of geometric means
            (ratio, ratio_low, ratio_high).
        """
        table = pd.DataFrame([_numbers(answer, level) for answer in self.answers])
        for column, method in CORRECTED.items():
            table[column] = table["p_value"]
            for _, part in table.groupby("adjustment"):
                if part["p_value"].notna().sum() > 1:
                    corrected = adjusted_p_values(part["p_value"].tolist(), method)
                    table.loc[part.index, column] = corrected
        return table

    @cached_property
    def table(self) -> pd.DataFrame:
        """The answers as a reader wants them, with 95 % intervals.

        Returns
        -------
        DataFrame
            marker, label, unit, direction, adjustment, adjustment_label, question, assumes, engine,
            method, scale ("ratio" of geometric means, or "difference" in the unit), estimate,
            conf_low, conf_high on that scale, std_estimate, std_low, std_high, p_value, p_holm,
            p_fdr, prob_positive, prob_benefit, mcse (Monte Carlo standard error of a posterior's
            estimate; of a ratio, by the delta method), n, n_effective, effective (sample sizes of
            weighted groups, in words), notes, reason.
        """
        tidy, rows = self.tidy(), []
        for answer, row in zip(self.answers, tidy.to_dict("records"), strict=True):
            marker, words = answer.marker, answer.words
            ratio = marker.transform == "log"
            shown = ["ratio", "ratio_low", "ratio_high"] if ratio else INTERVAL
            copied = (
                "std_estimate", "std_low", "std_high", "p_value", "p_holm", "p_fdr",
                "prob_positive", "prob_benefit", "n", "n_effective",
            )  # fmt: skip
            rows.append(
                {
                    "marker": marker.name, "label": marker.label, "unit": marker.unit,
                    "direction": marker.direction, "adjustment": answer.adjustment,
                    "adjustment_label": words["label"], "question": words["question"],
                    "assumes": words["assumes"], "engine": answer.engine, "method": answer.method,
                    "scale": "ratio" if ratio else "difference",
                    **{to: row[name] for to, name in zip(INTERVAL, shown, strict=True)},
                    **{name: row[name] for name in copied},
                    "mcse": row["mcse_mean"] * (row["ratio"] if ratio else 1.0),
                    "effective": answer.effective,
                    "notes": "; ".join(answer.notes), "reason": answer.reason,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    def balance(self) -> pd.DataFrame:
        """Standardised differences of the covariates before and after weighting, by marker."""
        return self._of_weights("balance")

    def effective_sample_size(self) -> pd.DataFrame:
        """Patients and effective sample size of each group, by marker."""
        return self._of_weights("effective_sample_size")

    def _of_weights(self, what: str) -> pd.DataFrame:
        found: dict[str, PropensityWeights] = {
            a.marker.name: a.source.weights
            for a in self.answers
            if isinstance(a.source, WeightedContrast)
        }
        if not found:
            raise LongsurvError("none of the answers is overlap-weighted")
        parts = [
            getattr(weights, what)().assign(marker=name)[lambda t: ["marker", *t.columns[:-1]]]
            for name, weights in found.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def __repr__(self) -> str:
        columns = ["marker", "adjustment", "engine", "scale", *INTERVAL, "n", "n_effective"]
        lines = ["Differences in change, 95 % intervals", "", text_table(self.table[columns])]
        return "\n".join(lines + [f"Note: {note}" for note in self._notes()])

    def summary(self) -> Summary:
        """The answers as a reader sees them, one row a marker, adjustment and engine.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        columns = ["label", "adjustment_label", "engine", "scale", *INTERVAL, "n", "n_effective"]
        headers = {"label": "", "adjustment_label": "adjustment", "n_effective": "effective n"}
        table = framed(self.table[columns], headers=headers)
        return Summary("Differences in change", (table,), notes=tuple(self._notes()))

    def plot(self, scale: Literal["sd", "ratio"] = "sd", *, ax: Axes | None = None) -> Axes:
        """Draw the difference in change of every marker under each adjustment, by both engines.

        Parameters
        ----------
        scale : {"sd", "ratio"}
            Standard deviations of the first value, which every marker has; or ratios of geometric
            means, for the markers analysed as logarithms.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.adjusted_changes(self.table, scale, ax)

    def _notes(self) -> list[str]:
        """Notes and reasons, each once, with the markers and adjustments they are about."""
        about: dict[str, dict[str, None]] = {}
        for answer in self.answers:
            sizes = f"effective sample size {answer.effective}" if answer.effective else ""
            for note in filter(None, (*answer.notes, sizes, answer.reason)):
                about.setdefault(note, {})[f"{answer.marker.name} {answer.adjustment}"] = None
        return [f"{', '.join(where)}: {note}" for note, where in about.items()]


def _numbers(answer: AdjustedChange, level: float) -> Record:
    """One row of `AdjustedChanges.tidy`, without the corrected p-values."""
    row: Fields = {
        "marker": answer.marker.name, "adjustment": answer.adjustment, "engine": answer.engine,
        "n": answer.n, "n_effective": answer.n_effective,
    }  # fmt: skip
    found = {} if answer.source is None else answer.source.row(level).iloc[0].to_dict()
    row |= {name: float(found.get(name, np.nan)) for name in NUMBERS}
    below = {"lower": True, "higher": False}.get(answer.marker.direction or "")
    positive = row["prob_positive"]
    row["prob_benefit"] = np.nan if below is None else 1.0 - positive if below else positive
    log = answer.marker.transform == "log"
    for name in INTERVAL:
        to = name.removeprefix("conf_")
        row[f"std_{to}"] = row[name] / answer.spread if answer.spread > 0 else np.nan
        with np.errstate(over="ignore"):  # a hopeless interval of a log ratio is infinite
            ratio = float(np.exp(row[name])) if log else np.nan
        row["ratio" if to == "estimate" else f"ratio_{to}"] = ratio
    return row
