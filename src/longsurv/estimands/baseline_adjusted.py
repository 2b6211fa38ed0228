"""The difference in change under three (four) adjustments for where patients began.

They answer different questions, and where the groups begin apart they disagree (Lord's paradox).
With y0 the value at the start, y1 the one at the end and z the group:

    unadjusted  E(y1 - y0 | z = 1) - E(y1 - y0 | z = 0)
    baseline    E(y1 | y0, z = 1) - E(y1 | y0, z = 0), the same at every y0
    overlap     the first, in patients weighted so that the groups agree in y0 and the covariates
    clda        the first, with E(y0 | z = 1) = E(y0 | z = 0) imposed: for randomised groups only

If patients were chosen for treatment by the very value y0 that happened to be measured, the chosen
ones fall back towards their own level whatever is done to them: the first is biased, the second is
not. If they were chosen by their level itself, of which y0 is a noisy reading, and every level
moves in parallel, it is the other way round. The data cannot tell which; hence side by side.

Lord (1967), Psychol Bull 68:304-305; Liang & Zeger (2000), Sankhya B 62:134-148.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods, checked
from longsurv.cohort import Cohort
from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change
from longsurv.words import listed

TREATED = "treated"  # the coefficient that is the answer, in every model made here
SITE = "site"  # the column that says where a patient was, in every table made here
FEWEST = 2  # patients of a group with both values


@checked
@dataclass(frozen=True)
class Adjustment:
    """One way to adjust, in words with {level}, {reference}, {start}, {end} and {balanced}."""

    label: str
    question: str
    assumes: str


ADJUSTMENTS: Mapping[str, Adjustment] = MappingProxyType(
    {
        "unadjusted": Adjustment(
            "Unadjusted",
            "How much further did the marker move from {start} to {end} in {level} than in"
            " {reference}?",
            "a group that begins elsewhere would have moved by as much: no regression to the mean",
        ),
        "baseline": Adjustment(
            "Adjusted for the baseline value",
            "Of two patients with the same value at first ({start}), one in {level} and one in"
            " {reference}, how far apart are they later ({end})?",
            "given the first value, nothing else that decided treatment bears on the later"
            " values; the relation to it is a straight line, the same in both groups, and the value"
            " is free of error",
        ),
        "overlap": Adjustment(
            "Overlap-weighted",
            "Among patients who might have been in either group, alike in {balanced}, how much"
            " further did the marker move in {level}?",
            "what decided treatment and bears on the change is among {balanced}, and the"
            " probability of treatment is modelled rightly",
        ),
        "clda": Adjustment(
            "Common baseline mean (randomised)",
            "How much further did the marker move from {start} to {end} in {level} than in"
            " {reference}, both groups starting from one mean?",
            "treatment was allocated at random, so that the groups differ at first by chance",
        ),
    }
)


@check_methods
@dataclass(frozen=True)
class Regression:
    """change = level + difference (in the group) + slope x first value, on the scale of analysis.

    A slope of -1 means that nothing of the first value is left in the later one, of 0 that those
    who began further off did not fall back further.
    """

    level: float
    difference: float
    slope: float
    ends: tuple[float, float]
    """The least and the greatest first value."""


@dataclass(frozen=True, eq=False)
class ComparedRows:
    """Values of one marker in the two groups, from the start of the change on.

    Attributes
    ----------
    rows : DataFrame
        patient, phase (in the study's order, the start first), y, censored, treated (1.0 in the
        group whose change is reported, 0.0 in the other); of a study with sites, site.
    change : Change
    censored : int
        Rows beyond a detection limit, taken at the limit.
    """

    rows: pd.DataFrame
    change: Change
    censored: int

    @classmethod
    def of(cls, cohort: Cohort, marker: str, change: Change) -> ComparedRows:
        """The rows of one marker of a cohort.

        Parameters
        ----------
        cohort : Cohort
        marker : str
        change : Change

        Returns
        -------
        ComparedRows

        Raises
        ------
        LongsurvError
            If the change is not one between phases and groups of the cohort.
        """
        later = later_phases(cohort, change)
        data = cohort.marker_data(marker)
        groups, kept = [change.level, change.reference], [change.start, *later]
        arm = data[change.treatment]
        data = data[arm.isin(groups) & data["phase"].isin(kept)]
        rows = pd.DataFrame(
            {
                "patient": data[cohort.schema.patient].to_numpy(),
                "phase": pd.Categorical(data["phase"].astype(object), kept),
                "y": data["y"].to_numpy(dtype=float),
                "censored": data["censored"].to_numpy(),
                TREATED: (data[change.treatment] == change.level).to_numpy(dtype=float),
            }
        )
        if cohort.schema.site is not None:
            rows[SITE] = data[cohort.schema.site].to_numpy()
        return cls(rows, change, int((data["censored"] != "none").sum()))

    @cached_property
    def patients(self) -> pd.DataFrame:
        """One row a patient with any value: treated, and the mean y at `start` and at `end`.

        A phase without a value gives NaN.
        """
        means = self.rows.pivot_table(
            index="patient", columns="phase", values="y", aggfunc="mean", observed=False
        )
        wanted = means.reindex(columns=[self.change.start, self.change.end])
        wanted.columns = pd.Index(["start", "end"])
        return wanted.assign(treated=self.rows.groupby("patient")[TREATED].first())

    @property
    def pairs(self) -> pd.DataFrame:
        """The patients with both values."""
        return self.patients.dropna()

    @property
    def problem(self) -> str:
        """Why the groups cannot be compared; empty if they can."""
        if self.rows["y"].nunique() <= 1:
            return "every value is the same: nothing varies that a model could explain"
        change, pairs = self.change, self.pairs
        for value, group in ((1.0, change.level), (0.0, change.reference)):
            n = int((pairs[TREATED] == value).sum())
            if n < FEWEST:
                return (
                    f"{group} has {n} patient{'' if n == 1 else 's'} with a value at both"
                    f" {change.start} and {change.end}; at least {FEWEST} are needed"
                )
        return ""

    @property
    def least_squares(self) -> bool:
        """Whether the answer given the first value is `regression`'s: one later phase, one value a
        patient in each, none of them beyond a limit, and no sites."""
        rows = self.rows
        single = rows["phase"].nunique() <= 2 and not rows.duplicated(["patient", "phase"]).any()
        return single and not self.censored and SITE not in rows

    @property
    def unmeasured(self) -> str:
        """Which group has no value measured at an end of the change, all lying beyond a limit, and
        so nothing that the limits could stand for; empty if none."""
        change, rows = self.change, self.rows
        for value, group in ((1.0, change.level), (0.0, change.reference)):
            for end in (change.start, change.end):
                own = rows.loc[(rows[TREATED] == value) & (rows["phase"] == end), "censored"]
                if len(own) and (own != "none").all():
                    return (
                        f"every value of {group} at {end} lies beyond a limit: taken at their"
                        " limits they would tell the limits and not the marker"
                    )
        return ""

    def left_out(self, kept: pd.Index) -> str:
        """How many patients with any value are not among those kept, and why, in words.

        Parameters
        ----------
        kept : Index
            Of patients.

        Returns
        -------
        str
        """
        gone = self.patients[~self.patients.index.isin(kept)]
        nowhere = self._without_site
        # Where one of them is kept, no patient was left out for want of a site.
        away = gone.index.isin(nowhere) & (not nowhere.isin(kept).any())
        parts = [f"{away.sum()} without a site"] if away.any() else []
        gone = gone[~away]
        no_start = int(gone["start"].isna().sum())
        rest = len(gone) - no_start
        parts += [f"{no_start} without a value at {self.change.start}"] if no_start else []
        later = self.rows.loc[self.rows["phase"] != self.change.start, "patient"]
        seen = gone["start"].notna() & gone.index.isin(later)
        what = f"a value at {self.change.end}" if seen.any() else "a later value"
        parts += [f"{rest} without {what}"] if rest else []
        return f"left out: {listed(parts)}" if parts else ""

    @property
    def _without_site(self) -> pd.Index:
        """Patients of whom no site is known, in a study with sites."""
        if SITE not in self.rows:
            return pd.Index([])
        return pd.Index(self.rows.loc[self.rows[SITE].isna(), "patient"].unique())

    def baseline_adjusted(self) -> tuple[str, pd.DataFrame]:
        """Formula and rows of the later values given the baseline value.

        Returns
        -------
        formula : str
            With one later phase ``y ~ treated + baseline``, with more every effect by phase and
            "treated" the one at the end of the change.
        rows : DataFrame
            The later values of patients who have one and a baseline value; "baseline" is the mean
            of the patient's values at the start, minus its mean over these patients.
        """
        start = self.change.start
        later = self.rows[self.rows["phase"] != start]
        baseline = self.patients["start"].dropna()
        baseline = baseline[baseline.index.isin(later["patient"])]
        rows = later[later["patient"].isin(baseline.index)].reset_index(drop=True)
        rows = rows.assign(baseline=rows["patient"].map(baseline - baseline.mean()))
        # With the end as the reference phase, the coefficient "treated" belongs to it.
        order = [self.change.end, *_others(rows["phase"], self.change.end)]
        rows["phase"] = rows["phase"].cat.set_categories(order)
        several = len(order) > 1
        return f"y ~ {'phase * (treated + baseline)' if several else 'treated + baseline'}", rows

    def regression(self) -> Regression:
        """The line of the change on the first value, one slope for both groups.

        By least squares over the patients with both values; with one value a patient and phase its
        `difference` is the estimate adjusted for the baseline value.

        Raises
        ------
        LongsurvError
            If the first values do not differ.
        """
        pairs = self.pairs
        first = pairs["start"].to_numpy(dtype=float)
        if len(pairs) < 3 or np.ptp(first) == 0:
            raise LongsurvError("the first values do not differ: there is no line through them")
        X = np.column_stack([np.ones(len(pairs)), pairs[TREATED], first - first.mean()])
        change = pairs["end"].to_numpy(dtype=float) - first
        level, difference, slope = np.linalg.lstsq(X, change, rcond=None)[0]
        return Regression(
            float(level - slope * first.mean()), float(difference), float(slope),
            (float(first.min()), float(first.max())),
        )  # fmt: skip

    def constrained(self) -> tuple[str, pd.DataFrame]:
        """Formula and rows of the model in which the groups share their mean at the start.

        An interaction written ``phase + phase:treated`` would be expanded to an effect of treatment
        at the start too. Here each later phase has a column of its own, 1 for the treated in
        it: "treated" for the end of the change, "treated_2" and so on for the others.
        """
        rows, end = self.rows, self.change.end
        rows = rows.assign(phase=rows["phase"].cat.remove_unused_categories())
        rows = rows.rename(columns={TREATED: "arm"})
        columns = {end: TREATED}
        others = [p for p in _others(rows["phase"], end) if p != self.change.start]
        columns |= {phase: f"{TREATED}_{k}" for k, phase in enumerate(others, 2)}
        for phase, name in columns.items():
            rows[name] = rows["arm"] * (rows["phase"] == phase).to_numpy(dtype=float)
        return f"y ~ phase + {' + '.join(columns.values())}", rows


@checked
def later_phases(cohort: Cohort, change: Change) -> Sequence[Hashable]:
    """The phases after the start of the change, in the study's order.

    Raises
    ------
    LongsurvError
        If the change is not one between phases and groups of the cohort.
    """
    names = [phase.name for phase in sorted(cohort.schema.phases, key=lambda phase: phase.first)]
    if change.variable != "phase" or not names:
        raise LongsurvError(
            "baseline adjustment compares phases: give the study [phases], as baseline = [1, 1] and"
            f" after = [4, 7], and a change of 'phase' (this one is of {change.variable!r})"
        )
    problems = [f"there is no phase {p!r}" for p in (change.start, change.end) if p not in names]
    for group in (change.level, change.reference):
        if group not in cohort.groups:
            problems.append(f"there is no group {group!r} in {cohort.schema.treatment!r}")
    if change.treatment != cohort.schema.treatment:
        problems.append(f"the treatment is {cohort.schema.treatment!r}, not {change.treatment!r}")
    if not problems and names.index(str(change.end)) <= names.index(str(change.start)):
        problems.append(f"{change.end!r} does not come after {change.start!r}")
    if problems:
        raise LongsurvError(f"{'; '.join(problems)} (phases {names}, groups {list(cohort.groups)})")
    return names[names.index(str(change.start)) + 1 :]


@checked
def covariance_of(rows: pd.DataFrame) -> tuple[str, Residual]:
    """How a patient's values are correlated: a random term to add, and a residual structure.

    One value a patient needs nothing. With one value a patient and phase the covariance of the
    phases is unstructured, with several values in a phase the phases' levels vary between patients;
    where that is too much for the data (a parameter for fewer than four patients), patients differ
    in their level only. Sites, of a study that has them, differ in their level besides.
    """
    term, residual = _within_patients(rows)
    return f"{term} + (1 | {SITE})" if SITE in rows else term, residual


def _within_patients(rows: pd.DataFrame) -> tuple[str, Residual]:
    independent = Residual("independent", patient="patient")
    if not rows["patient"].duplicated().any():
        return "", independent
    phases = rows["phase"].nunique()
    single = not rows.duplicated(["patient", "phase"]).any()
    if phases > 1 and phases * (phases + 1) / 2 <= rows["patient"].nunique() / 4:
        if single:
            return "", Residual("unstructured", "phase", "patient")
        return " + (phase | patient)", independent
    return " + (1 | patient)", independent


@checked
def propensity_table(
    cohort: Cohort, compared: ComparedRows, covariates: str | None
) -> tuple[pd.DataFrame, str]:
    """Patients with both values, and the right-hand side of their propensity model.

    Returns
    -------
    table : DataFrame
        One row a patient: the cohort's columns, the treatment with two levels, "baseline" (the mean
        at the start of the change) and "change".
    right : str
        `covariates`, or by default the study's baseline covariates and "baseline".

    Raises
    ------
    LongsurvError
        If the cohort has a column called "baseline" or "change" among its covariates.
    """
    schema, change, pairs = cohort.schema, compared.change, compared.pairs
    taken = [name for name in ("baseline", "change") if name in cohort.covariates]
    if taken:
        raise LongsurvError(
            f"the patient table has a column {taken[0]!r}, which is what the marker's own"
            f" {taken[0]} is called in the propensity model; rename it"
        )
    table = cohort.patients
    table = table[table[schema.patient].isin(pairs.index)].reset_index(drop=True)
    pairs = pairs.loc[table[schema.patient]]
    arm = [change.level if z == 1.0 else change.reference for z in pairs[TREATED]]
    table[change.treatment] = pd.Categorical(arm, [change.reference, change.level])
    table["baseline"] = pairs["start"].to_numpy()
    table["change"] = (pairs["end"] - pairs["start"]).to_numpy()
    names = [*schema.covariates, "baseline"]
    return table, covariates or " + ".join(_quoted(str(name)) for name in names)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _others(phase: pd.Series, end: Hashable) -> list[Hashable]:
    """Phases with a value except `end`, in their order."""
    return [p for p in phase.cat.categories if p != end and (phase == p).any()]
