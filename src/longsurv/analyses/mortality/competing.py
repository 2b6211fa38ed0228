"""Competing events side by side: who died, who went home, and whether the groups differ."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.mortality.hazards import QUESTIONS, hazard_rows
from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.follow_up import by_group
from longsurv.estimands.gray import gray_test
from longsurv.estimands.incidence_posterior import incidence_posterior
from longsurv.estimands.survival_by_group import incidence_curves, risk_times
from longsurv.tables.frame import framed
from longsurv.tables.notebook import Readable
from longsurv.tables.summary import Summary
from longsurv.words import NO_ANSWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = [
    "cause", "quantity", "engine", "estimate", "conf_low", "conf_high", "p_value", "prob_positive",
    "note", "answered",
]  # fmt: skip
SAME_ANSWER = ("cause", "quantity", "engine")
"""Columns that tell the rows of one comparison apart."""
IDS = ("answered",)
"""Columns for a program, which no table shows."""


@dataclass(frozen=True, eq=False)
class CompetingEvents(Readable):
    """Cumulative incidence of every cause in two groups by a horizon, by both engines.

    Attributes
    ----------
    table : DataFrame
        cause, quantity ("risk of" each group, "risk difference", "risk ratio"; "cause-specific
        hazard ratio" and Fine and Gray's "subdistribution hazard ratio"; for Gray's test "no
        difference"), engine ("frequentist": Aalen-Johansen with limits from those of the two
        risks; "bayes": piecewise-constant hazards of all causes), estimate, conf_low, conf_high,
        p_value (Gray's), prob_positive (posterior probability that the group's risk is the higher),
        note; for programs, whether it is answered.
    horizon, level : float
    data : DataFrame
        Follow-up, as `Cohort.survival_data()`.
    treatment : str
    causes : mapping of str to int
        Label and status of each.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    table: pd.DataFrame = field(repr=False)
    horizon: float
    level: float
    data: pd.DataFrame = field(repr=False)
    treatment: str
    causes: Mapping[str, int]

    @property
    def questions(self) -> pd.DataFrame:
        """Which question each kind of answer is to: quantity, question."""
        return pd.DataFrame(list(QUESTIONS.items()), columns=["quantity", "question"])

    def summary(self) -> Summary:
        """The incidences as a reader sees them, and why some have no answer.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        answered = self.table["answered"].astype(bool)
        why = self.table[~answered]
        return Summary(
            title=f"Cumulative incidence by {self.horizon:g}",
            tables=(framed(self.table[answered].drop(columns=["note", *IDS]), level=self.level),),
            notes=(
                *(f"{r['cause']}, {r['engine']}: {r['note']}" for _, r in why.iterrows()),
                *(f"{quantity}: {question}" for quantity, question in QUESTIONS.items()),
            ),
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the cumulative incidence of every cause by group (Aalen and Johansen).

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        groups = [str(level) for level in by_group(self.data, self.treatment)]
        curves = incidence_curves(self.data, self.treatment, groups, self.causes)
        ticks = risk_times(float(curves["time"].min()), self.horizon, "", most=5)
        return plots.incidences(curves, groups, ticks, "time", ax)

    def __repr__(self) -> str:
        head = f"cumulative incidence by {self.horizon:g}; {100 * self.level:g} % intervals"
        shown = self.table.drop(columns=["note", *IDS])
        return f"{head}\n{shown.to_string(index=False, float_format=lambda v: f'{v:.3g}')}"


@checked
def competing_events(
    data: pd.DataFrame,
    treatment: str,
    horizon: float,
    causes: Mapping[str, int],
    *,
    adjust: str = "",
    level: float = 0.95,
    draws: int = 20_000,
    seed: int = 1,
    all_arms: pd.DataFrame | None = None,
    group: Hashable | None = None,
) -> CompetingEvents:
    """Compare the cumulative incidence of every cause between two groups.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`.
    treatment : str
    horizon : float
    causes : mapping of str to int
        Label and status of each cause.
    adjust : str
        Covariates of the hazard ratios, a right-hand side; the incidences are of the groups as
        they are.
    level : float
    draws, seed : int
        Of the posterior.
    all_arms : DataFrame, optional
        Rows of the hazard ratios' models, where these are of a study of several arms; `data` are
        then those of the two compared.
    group : hashable, optional
        Of several arms the one that is compared with the first.

    Returns
    -------
    CompetingEvents
        An engine that cannot answer has a row with the reason.
    """
    parts, models = [], data if all_arms is None else all_arms
    for label, cause in causes.items():
        try:
            curves = incidence_difference(data, treatment, horizon, cause=cause, level=level)
        except LongsurvError as error:
            curves = _nothing(error)
        try:
            drawn = incidence_posterior(
                data, treatment, horizon, cause=cause, level=level, draws=draws, seed=seed
            )
            drawn = drawn[drawn["quantity"].str.startswith("risk")]
        except LongsurvError as error:
            drawn = _nothing(error)
        try:
            test = gray_test(data, treatment, cause=cause).p_value
            gray = pd.DataFrame([{"quantity": "no difference", "p_value": test, "note": "Gray"}])
        except LongsurvError as error:
            gray = _nothing(error, "no difference")
        parts += [
            part.assign(cause=label, engine=engine, answered=part.get("answered", True)).reindex(
                columns=COLUMNS
            )
            for part, engine in (
                (curves, "frequentist"),
                (hazard_rows(models, treatment, cause, adjust, level, group), "frequentist"),
                (gray, "frequentist"),
                (drawn, "bayes"),
            )
        ]
    rows = [row for part in parts for row in part.to_dict("records")]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return CompetingEvents(table, float(horizon), level, data, treatment, dict(causes))


def _nothing(error: LongsurvError, quantity: str = "risk difference") -> pd.DataFrame:
    note = f"{NO_ANSWER}: {error}"
    return pd.DataFrame([{"quantity": quantity, "note": note, "answered": False}])
