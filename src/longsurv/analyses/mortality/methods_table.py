"""The table of every method's answer: of one comparison, or of several together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.mortality.arms import Comparison, stacked
from longsurv.analyses.mortality.rows import IDS, SCALES
from longsurv.arguments import check_methods, choice
from longsurv.errors import LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.tables.frame import framed
from longsurv.tables.notebook import Readable
from longsurv.tables.summary import Summary
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = tuple(SCALES)
SAME_METHOD = ("quantity", "method")
"""Columns that tell the rows of one comparison apart."""


@dataclass(frozen=True)
class ComparedArms(Comparison):
    """A comparison, and the events and patients of both its groups.

    Attributes
    ----------
    counts : Counts
    """

    counts: Counts


@check_methods
@dataclass(frozen=True, eq=False)
class MortalityMethods(Readable):
    """Every method's answer to one question, or to that of each of several comparisons.

    Attributes
    ----------
    table : DataFrame
        A row a method: quantity (`QUANTITIES`; "no difference" for tests), method, engine
        ("frequentist" or "bayes"), estimand in words, estimate, conf_low, conf_high, p_value
        (two-sided), prob_benefit (posterior probability that the group fares better), note. An
        infinite limit means that the data set none on that side. For programs: method_id,
        approach ("simple", "exact" or "model"), prior_id, prior (density, of the effect),
        adjusted_for (covariates), scale ("ratio", "risk", "time" or "test"), answered, world
        ("", "net": without competing events, "overlap": patients who might be in either group,
        "site": of one site).
        Of several comparisons a row a comparison and method, with `comparison` first ("active -
        control") and p_holm, the p-value corrected for their number by Holm's method; intervals
        are of each comparison alone.
    treatment : str
    horizon, level : float
    comparisons : tuple of ComparedArms
        Whom the answers compare: each has `group`, `reference`, `name` and `counts`.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    table: pd.DataFrame = field(repr=False)
    treatment: str
    horizon: float
    level: float
    comparisons: tuple[ComparedArms, ...]

    @property
    def group(self) -> Hashable:
        """The level compared, where there is one comparison."""
        return self._only.group

    @property
    def reference(self) -> Hashable:
        """The level that it is compared with, where there is one comparison."""
        return self._only.reference

    @property
    def counts(self) -> Counts:
        """Events and patients of both groups, where there is one comparison."""
        return self._only.counts

    @property
    def _only(self) -> ComparedArms:
        if len(self.comparisons) > 1:
            names = listed([one.name for one in self.comparisons])
            raise LongsurvError(
                f"there are several comparisons, {names}: see comparisons, which has the groups and"
                " counts of each"
            )
        return self.comparisons[0]

    def of(self, quantity: str) -> pd.DataFrame:
        """The rows of one quantity.

        Parameters
        ----------
        quantity : str
            As in the table's column.

        Returns
        -------
        DataFrame
        """
        choice("quantity", quantity, QUANTITIES)
        return self.table[self.table["quantity"] == quantity].reset_index(drop=True)

    @property
    def unanswered(self) -> pd.DataFrame:
        """The methods without a usable answer, and why: quantity, method, note."""
        chosen = ~self.table["answered"]
        named = ["comparison"] if len(self.comparisons) > 1 else []
        columns = [*named, "quantity", "method", "note"]
        return self.table.loc[chosen, columns].reset_index(drop=True)

    def summary(self) -> Summary:
        """Every method's answer as a reader sees it, and why some have none.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        shown = self.table[self.table["answered"]].drop(columns=["estimand", "note", *IDS])
        without = self.unanswered.to_dict("records")
        why = [f"{', '.join(map(str, list(row.values())[:-1]))}: {row['note']}" for row in without]
        events = {}
        for one in self.comparisons:
            c = one.counts
            events[f"Events, {one.group}"] = f"{c.events} of {c.n}"
            events[f"Events, {one.reference}"] = f"{c.reference_events} of {c.reference_n}"
        pairs = [one.words for one in self.comparisons]
        return Summary(
            title=f"{listed(pairs)} by {self.horizon:g}",
            words=several_words(len(pairs)),
            tables=(framed(shown, level=self.level),),
            facts=tuple(events.items()),
            notes=tuple(why),
        )

    def plot(
        self,
        quantity: str = "hazard ratio",
        *,
        comparison: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw one quantity by every method that answers it.

        Parameters
        ----------
        quantity : str
            One of `QUANTITIES` of this module, as "risk difference".
        comparison : str, optional
            Which of several to draw, as "active - control".
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        rows = self.of(quantity)
        if len(self.comparisons) > 1:
            names = [one.name for one in self.comparisons]
            if comparison is None:
                raise LongsurvError(
                    f"name the comparison to draw with comparison=: {listed(names)}"
                )
            choice("comparison", comparison, names)
            rows = rows[rows["comparison"] == comparison].reset_index(drop=True)
        return plots.methods(rows, quantity, self.level, ax)

    def __repr__(self) -> str:
        pairs = [
            f"{one.group} ({one.counts.events}/{one.counts.n}) against {one.reference} "
            f"({one.counts.reference_events}/{one.counts.reference_n})"
            for one in self.comparisons
        ]
        head = f"{listed(pairs)} by {self.horizon:g}; {100 * self.level:g} % intervals"
        shown = self.table.drop(columns=["estimand", "note", *IDS])
        return f"{head}\n{shown.to_string(index=False, float_format=lambda v: f'{v:.3g}')}"


def several_words(count: int) -> tuple[str, ...]:
    """What is to be known of several comparisons read together; nothing of one.

    Parameters
    ----------
    count : int
        Of the comparisons.
    """
    if count < 2:
        return ()
    return (
        f"{count} comparisons: intervals are of each alone, p (Holm) is corrected for all of them.",
    )


def together(answers: Sequence[MortalityMethods]) -> MortalityMethods:
    """The answers of several comparisons as one, with p-values corrected for their number.

    Parameters
    ----------
    answers : sequence of MortalityMethods
        Of one comparison each, by the same methods.
    """
    if len(answers) == 1:
        return answers[0]
    table = stacked({one.comparisons[0].name: one.table for one in answers}, SAME_METHOD)
    first = answers[0]
    compared = tuple(c for one in answers for c in one.comparisons)
    return MortalityMethods(table, first.treatment, first.horizon, first.level, compared)
