"""Whether the treatment's effect on mortality differs between subgroups, and by how much.

Of every column one model, with a hazard ratio in each level (`subgroup_split`). Beside it the
likelihood-ratio test of one ratio in all levels, and the same ratios drawn towards their mean
(`subgroup_shrinkage`). A level's risks are averaged over its own patients under either arm,
competing events taken into account. The row of one subgroup is not an answer by itself: with few
events some row is extreme by chance.

Wang, Lagakos, Ware, Hunter and Drazen (2007), N Engl J Med 357:2189-2194.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.mortality.arms import Comparison
from longsurv.analyses.mortality.subgroup_answers import QUANTITIES, SHRUNKEN, Answers, Quantity
from longsurv.analyses.mortality.subgroup_shrinkage import ShrunkenSubgroups
from longsurv.analyses.mortality.subgroup_split import Trial
from longsurv.arguments import check_methods, checked, choice
from longsurv.cohort.subgroups import subgroup_problem
from longsurv.errors import DataError, LongsurvError
from longsurv.numbers import p_value
from longsurv.tables.display import DisplayTable
from longsurv.tables.frame import framed
from longsurv.tables.notebook import Readable
from longsurv.tables.subgroups import side_by_side
from longsurv.tables.summary import Summary
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.diagnostics import Verdict

COLUMNS = [
    "column", "level", "quantity", "engine", "method", "estimate", "conf_low", "conf_high",
    "prob_benefit", "note", "answered",
]  # fmt: skip
TESTED = ["column", "levels", "statistic", "df", "p_value", "method", "note"]
SPREADS = ["column", "term", "estimate", "conf_low", "conf_high", "note"]
CAUTION = (
    "No row is to be read alone: of several subgroups one looks different by chance. Read the"
    " overall effect first, then the test of whether subgroups differ, then the shrunken estimates."
)


@check_methods
@dataclass(frozen=True, eq=False, repr=False)
class SubgroupEffects(Readable):
    """The treatment's effect in subgroups, beside that in all patients.

    Of several comparisons of arms every table but `counts` has the column `comparison`, as "high -
    placebo", and `tests` a row of all arms together, too.

    Attributes
    ----------
    table : DataFrame
        column, level ("" and "all patients" first), quantity ("hazard ratio", "risk difference"),
        engine ("frequentist", or "bayes": shrunken), method, estimate, conf_low, conf_high,
        prob_benefit (posterior probability that the group fares better), note, answered. Risk
        differences are between 0 and 1. There is no p value of a level: see `tests`.
    counts : DataFrame
        column, level, arm, patients, events.
    tests : DataFrame
        One row a column: levels compared, statistic, df and p_value of the likelihood-ratio test
        that the hazard ratio is the same in all, method, note (why there is none; how many
        patients are in no level).
    spread : DataFrame
        One row a column and term: the geometric "mean" of the levels' hazard ratios, and "sd", the
        standard deviation of their logarithms; posterior median and limits.
    shrunken : mapping of str to ShrunkenSubgroups
        The posterior, by column.
    treatment : str
    comparisons : tuple of Comparison
        Which arms are compared: each has `group`, `reference`, `name` and `words`.
    horizon, level : float
    excluded : int
        Patients left out because a covariate is missing.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table", "tests")

    table: pd.DataFrame
    counts: pd.DataFrame
    tests: pd.DataFrame
    spread: pd.DataFrame
    shrunken: Mapping[str, ShrunkenSubgroups]
    treatment: str
    comparisons: tuple[Comparison, ...]
    horizon: float
    level: float
    excluded: int = 0

    @property
    def columns(self) -> list[str]:
        """The columns asked for."""
        return list(dict.fromkeys(self.tests["column"]))

    @property
    def group(self) -> str:
        """The arm compared, where there is one comparison."""
        return str(self._only.group)

    @property
    def reference(self) -> str:
        """The arm that it is compared with, where there is one comparison."""
        return str(self._only.reference)

    @property
    def _only(self) -> Comparison:
        if len(self.comparisons) > 1:
            names = listed([one.name for one in self.comparisons])
            raise LongsurvError(f"there are several comparisons, {names}: see comparisons")
        return self.comparisons[0]

    def of(
        self, quantity: Quantity, column: str | None = None, *, comparison: str | None = None
    ) -> pd.DataFrame:
        """The rows of one quantity.

        Parameters
        ----------
        quantity : {"hazard ratio", "risk difference"}
        column : str, optional
            Only of this column.
        comparison : str, optional
            Of several only of this one, as "high - placebo".

        Returns
        -------
        DataFrame
        """
        choice("quantity", quantity, QUANTITIES)
        if column is not None:
            choice("column", column, ("", *self.columns))
        chosen = self.table["quantity"] == quantity
        if column is not None:
            chosen &= self.table["column"] == column
        if comparison is not None:
            choice("comparison", comparison, [one.name for one in self.comparisons])
            if len(self.comparisons) > 1:
                chosen &= self.table["comparison"] == comparison
        return self.table[chosen].reset_index(drop=True)

    def diagnose(self) -> Mapping[str, Verdict]:
        """Whether the chains of each column can be trusted, by column."""
        return {column: found.diagnose() for column, found in self.shrunken.items()}

    def summary(self) -> Summary:
        """The effects as a reader sees them, the overall one first.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        tests = self.tests.assign(p_value=self.tests["p_value"].map(p_value))
        named = ["comparison"] if len(self.comparisons) > 1 else []
        silent = self.table[~self.table["answered"]]
        why = silent.drop_duplicates([*named, "column", "level", "note"])
        warnings = tuple(
            f"{column}: {verdict.words}"
            for column, verdict in self.diagnose().items()
            if not verdict.ok
        )
        notes = [f"{_called(r)}: {r['note']}" for r in why.to_dict("records")]
        if self.excluded:
            notes.append(f"{plural(self.excluded, 'patient')} left out: a covariate is missing")
        return Summary(
            title=f"{self.treatment}: {listed([o.words for o in self.comparisons])} in subgroups",
            words=(CAUTION,),
            tables=(
                *(self._side_by_side(one) for one in self.comparisons),
                framed(tests, "One hazard ratio in all levels", headers={"column": "subgroups"}),
            ),
            notes=(
                f"{100 * self.level:g} % intervals; risk differences by {self.horizon:g}, in"
                " percentage points",
                f"Bayes: {SHRUNKEN}",
                *notes,
            ),
            warnings=warnings,
        )

    def _side_by_side(self, one: Comparison) -> DisplayTable:
        """The levels of one comparison, alone and shrunken."""
        rows = self.table
        if len(self.comparisons) > 1:
            rows = rows[rows["comparison"] == one.name]
        arms = (str(one.reference), str(one.group))
        return framed(
            side_by_side(rows, self.counts, arms),
            one.words.capitalize() if len(self.comparisons) > 1 else "",
        )

    def plot(
        self,
        quantity: Quantity = "hazard ratio",
        *,
        comparison: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw every level's effect: as it is (faint) and shrunken (solid), over the overall one.

        Parameters
        ----------
        quantity : {"hazard ratio", "risk difference"}
        comparison : str, optional
            Which of several to draw, as "high - placebo".
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        if comparison is None and len(self.comparisons) > 1:
            names = listed([one.name for one in self.comparisons])
            raise LongsurvError(f"name the comparison to draw with comparison=: {names}")
        return plots.subgroups(self.of(quantity, comparison=comparison), quantity, self.level, ax)


def _called(row: Mapping[str, object]) -> str:
    whose = f", {row['comparison']}" if "comparison" in row else ""
    return f"{row['column']} {row['level']}{whose}".strip()


@checked
def subgroup_effects(
    trial: Trial, names: Sequence[str], *, draws: int = 1000, chains: int = 4, seed: int = 1,
    level: float = 0.95, excluded: int = 0,
) -> SubgroupEffects:  # fmt: skip
    """The treatment's effect in the levels of each column.

    `longsurv.analyses.Mortality(...).subgroups()` calls it.

    Parameters
    ----------
    trial : Trial
    names : sequence of str
        Columns.
    draws, chains, seed : int
        Of the posteriors.
    level : float
        Of all intervals.
    excluded : int
        Patients not among the trial's.

    Returns
    -------
    SubgroupEffects

    Raises
    ------
    DataError
        For a column that has no subgroups. A level without an answer does not raise.
    """
    names = list(dict.fromkeys(names))
    problems = [p for name in names if (p := subgroup_problem(trial.data, name, trial.treatment))]
    if problems or not names:
        raise DataError(problems or "name at least one column to have subgroups of")
    found = Answers(trial, draws, chains, seed, level)
    splits = [trial.together(), *(trial.split(name) for name in names)]
    rows, tests, spread = [], [], []
    shrunken: dict[str, ShrunkenSubgroups] = {}
    for split in splits:
        by_level, tested = found.frequentist(split)
        drawn, of_column = found.bayes(split)
        for one in trial.comparisons:
            for name in split.levels:
                both = (*by_level[name, one], *drawn[name, one])
                rows += [(one.name, split.column, name, row) for row in both]
        if not split.column:
            continue
        tests += [
            test | {"note": "; ".join(filter(None, (test["note"], split.without)))}
            for test in tested
        ]
        if of_column is not None:
            shrunken[split.column] = of_column
            spread += [
                {"comparison": one.name, **row}
                for one in trial.comparisons
                if of_column.has(one)
                for row in of_column.spread_rows(split.column, level, one)
            ]
    table = [
        {"comparison": one, "column": column, "level": name, **row.checked()._asdict()}
        for one, column, name, row in rows
    ]
    named = ["comparison"] if len(trial.comparisons) > 1 else []
    return SubgroupEffects(
        pd.DataFrame(table, columns=[*named, *COLUMNS]),
        pd.concat([split.counts for split in splits], ignore_index=True),
        pd.DataFrame(tests, columns=[*named, *TESTED]),
        pd.DataFrame(spread, columns=[*named, *SPREADS]),
        shrunken, trial.treatment, trial.comparisons, trial.horizon, level, excluded,
    )  # fmt: skip
