"""What the columns of a study mean: markers and the schema of the two tables."""

from __future__ import annotations

import datetime
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from longsurv.arguments import checked_last
from longsurv.cohort.former import reads_former_words
from longsurv.cohort.phases import Phase, is_number, phase_problems
from longsurv.cohort.problems import show
from longsurv.errors import DataError

Level = Hashable
type Repeats = Literal["error", "first", "last", "mean"]
type BeyondLimit = Literal["censored", "at the limit"]
type WithinPhase = Literal["all", "first", "last", "mean", "worst"]

DUPLICATES = ("error", "first", "last", "mean")
WITHIN_PHASE = ("all", "first", "last", "mean", "worst")
OUTSIDE = ("refuse", "exclude")
_REPEATS = '"error", "first", "last" or "mean"'
_WITHIN = '"all", "first", "last", "mean" or "worst"'
NO_DIRECTION = (
    'within_phase = "worst" needs a direction: "lower" if low values are better, else "higher"'
)


@checked_last
@dataclass(frozen=True)
class Marker:
    """A quantity measured repeatedly.

    Parameters
    ----------
    name : str
        As it is written in the measurement table (the column's name if that is wide).
    label : str, optional
        As readers see it; the name if not given.
    unit : str
    transform : {"identity", "log"}
        The scale on which the marker is modelled; "log" is the natural logarithm.
    lower_limit : float, optional
        Detection limit in the marker's unit. Values below it are left-censored at it.
    direction : {"lower", "higher"}, optional
        Which way is better for the patient.
    family : str
        A group of markers that belong together, e.g. "inflammation".
    positive : float, optional
        The cut-off of a score, in the marker's unit: patients at or above it are positive, as with
        a JAAM score of 4 or more for DIC.
    range : (float, float), optional
        What can be measured at all, in the marker's unit. A value outside is a mistake, or a code
        for a missing one, and is refused.
    within_phase, duplicates : str, optional
        As in the Schema, for this marker alone.
    relevant : float, optional
        The smallest difference in change between groups that matters to a patient: a difference in
        the marker's unit, or for a marker on the log scale a ratio (0.7: 30 % further down; 1/0.7
        says the same). Never negative; its direction is the marker's.
    """

    name: str
    label: str = ""
    unit: str = ""
    transform: Literal["identity", "log"] = "identity"
    lower_limit: float | None = None
    direction: Literal["lower", "higher"] | None = None
    family: str = ""
    positive: float | None = None
    range: tuple[float, float] | None = None
    within_phase: WithinPhase | None = None
    duplicates: Repeats | None = None
    relevant: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.name, str) or not self.name:
            problems.append(f"a marker's name must be text, not {show(self.name)}")
        if self.transform not in ("identity", "log"):
            problems.append(f'transform must be "identity" or "log", not {show(self.transform)}')
        if self.direction not in (None, "lower", "higher"):
            problems.append(f'direction must be "lower" or "higher", not {show(self.direction)}')
        if self.lower_limit is not None:
            if not is_number(self.lower_limit):
                problems.append(f"lower_limit must be a number, not {show(self.lower_limit)}")
            elif self.transform == "log" and self.lower_limit <= 0:
                problems.append("lower_limit must be above 0 for a marker on the log scale")
        problems += self._cutoff_problems()
        problems += self._relevant_problems()
        if self.range is not None:
            object.__setattr__(self, "range", as_levels(self.range))
        problems += self._rule_problems()
        if problems:
            raise DataError([f"marker {show(self.name)}: {text}" for text in problems])
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def _cutoff_problems(self) -> list[str]:
        if self.positive is None:
            return []
        if not is_number(self.positive):
            return [f"positive must be a number, the cut-off, not {show(self.positive)}"]
        limit = self.lower_limit
        if limit is not None and is_number(limit) and self.positive < limit:
            return [
                f"positive is {self.positive:g}, below lower_limit ({limit:g}): of a value below"
                " the detection limit nobody can say whether it is positive"
            ]
        return []

    def _relevant_problems(self) -> list[str]:
        if self.relevant is None:
            return []
        if not is_number(self.relevant) or not self.relevant > 0:
            return [f"relevant must be a number above 0, not {show(self.relevant)}"]
        if self.transform == "log" and self.relevant == 1:
            return ["relevant is a ratio for a marker on the log scale, and 1 is no difference"]
        return []

    def _rule_problems(self) -> list[str]:
        problems = []
        if self.range is not None and not _is_rising(self.range):
            said = show(list(as_levels(self.range)))
            problems.append(f"range must be two numbers, the lower first, not {said}")
        if self.within_phase not in (None, *WITHIN_PHASE):
            problems.append(f"within_phase must be {_WITHIN}, not {show(self.within_phase)}")
        if self.within_phase == "worst" and self.direction is None:
            problems.append(NO_DIRECTION)
        if self.duplicates not in (None, *DUPLICATES):
            problems.append(f"duplicates must be {_REPEATS}, not {show(self.duplicates)}")
        return problems


@reads_former_words
@checked_last
@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of the patient and measurement tables, and the rules of the study.

    All times share one clock, which starts at time zero, and one unit. The keys of a study file
    have these names, too; only `measurement_patient` is `patient` of its table [measurements].

    Parameters
    ----------
    patient : str
        Column of the patient table that identifies a patient.
    treatment : str
        Column of the treatment (or exposure) group.
    reference : hashable
        The treatment level others are compared with.
    levels : tuple, optional
        All treatment levels. Without it there must be exactly two in the data. More than two
        may be listed, but the comparisons of longsurv are written for two.
    arms : tuple, optional
        The treatment levels to keep; patients of every other are excluded and counted.
    exit : str
        Column of the follow-up time of each patient: to the event, or to its end.
    status : str
        Column of the status at that time.
    event, censored : hashable or tuple of hashables
        The statuses that mean the event of interest, and the end of follow-up without any event.
        Nothing, (), for `censored` says that nobody was censored; codes 1 and 2 without a 0
        are refused without it, since they may be R's 1 = alive and 2 = dead, unless `competing`
        says what one of them is.
    competing : mapping of str to hashable or tuple
        Label of each competing event and its status.
    entry : float or str, optional
        Time from which patients are at risk (delayed entry): one number for all, or a column.
        Nothing: time zero. A number here and "0" are the same thing.
    horizon : float, optional
        Follow-up is ended (censored) here, and later measurements are excluded.
    time_unit, time_zero : str
        E.g. "days", "ICU admission"; for tables and axes. If times are dates or timestamps,
        `time_zero` is the column of the patient table that holds the date they are counted from,
        and `time_unit` ("minutes", "hours", "days", "weeks", "months" or "years") what is counted.
    date_format : str, optional
        How dates in text are written, such as "%d/%m/%Y %H:%M", where that cannot be told.
    time, marker, value : str
        Columns of the (long) measurement table.
    measurement_patient : str, optional
        The measurement table's patient column if it is not called ``patient``.
    wide : bool or str
        The measurement table has one row a patient and time, and one column a marker; or, as
        text, the pattern of columns in a table with one row a patient: ``"{marker}_d{time}"``.
    tolerance : float
        How long after the end of a patient's follow-up a measurement may be dated.
    outside : {"refuse", "exclude"}
        What becomes of measurements before time zero and after the end of follow-up: an error, or
        excluded and counted.
    baseline_window : (float, float), optional
        Times before time zero, such as ``(-2, 0)``: a patient's latest value of a marker in it is
        taken as measured at time zero, unless there is one at time zero.
    duplicates : {"error", "first", "last", "mean"}
        What becomes of several values of a marker at one time in a patient. "first" and "last" are
        in the order of the table; the mean is taken on the marker's scale (`transform`), and
        refused of values of which only some lie beyond a limit.
    within_phase : {"all", "first", "last", "mean", "worst"}
        Which of a patient's values of a marker inside one phase are kept; "worst" by the marker's
        direction; the mean as that of `duplicates`.
    phases : tuple of Phase
    site : str, optional
        Column of the patient table with the site that a patient belongs to, as the hospital. The
        markers' mixed models of a study then have a random effect of the site.
    covariates : tuple of str
        Columns of the patient table for the table of baseline characteristics.
    categorical : tuple of str
        Covariates whose values are labels, also where they look like numbers (stage 1 to 4, site
        "1", "2", "3A").
    exclude_incomplete : bool
        Exclude (and count) patients whose treatment or outcome is missing, rather than refuse.
    exclude_before_entry : bool
        Exclude (and count) patients whose follow-up ends at or before their entry.
    exclude_other_markers : bool
        Exclude (and count) measurements of markers the study does not name.
    exclude_other_patients : bool
        Exclude (and count) measurements of patients who are not in the patient table.
    """

    patient: str = "patient"
    treatment: str
    reference: Level
    levels: tuple[Level, ...] = ()
    arms: tuple[Level, ...] = ()
    exit: str
    status: str
    event: Level | tuple[Level, ...] = 1
    censored: Level | tuple[Level, ...] = 0
    competing: Mapping[str, Level | tuple[Level, ...]] = field(default_factory=dict)
    entry: float | str | None = None
    horizon: float | None = None
    time_unit: str = "days"
    time_zero: str = ""
    date_format: str | None = None
    time: str = "time"
    marker: str = "marker"
    value: str = "value"
    measurement_patient: str | None = None
    wide: bool | str = False
    tolerance: float = 0.0
    outside: Literal["refuse", "exclude"] = "refuse"
    baseline_window: tuple[float, float] | None = None
    duplicates: Repeats = "error"
    within_phase: WithinPhase = "all"
    phases: tuple[Phase, ...] = ()
    site: str | None = None
    covariates: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    exclude_incomplete: bool = False
    exclude_before_entry: bool = False
    exclude_other_markers: bool = False
    exclude_other_patients: bool = False

    def __post_init__(self) -> None:
        for name in ("levels", "arms", "phases", "covariates", "categorical"):
            object.__setattr__(self, name, as_levels(getattr(self, name)))
        object.__setattr__(self, "competing", dict(self.competing))
        if self.baseline_window is not None:
            object.__setattr__(self, "baseline_window", as_levels(self.baseline_window))
        problems = [
            *self._name_problems(),
            *self._clock_problems(),
            *self._level_problems(),
            *phase_problems(self.phases),
            *self._rule_problems(),
        ]
        if problems:
            raise DataError(problems)

    @property
    def statuses(self) -> list[tuple[str, tuple[Level, ...]]]:
        """Label and levels of each status, in the order of its code: 0, 1, 2, ..."""
        return [
            ("censored", as_levels(self.censored)),
            ("event", as_levels(self.event)),
            *((label, as_levels(level)) for label, level in self.competing.items()),
        ]

    @property
    def outcome_columns(self) -> list[str]:
        """Columns of the patient table that hold the outcome."""
        return [self.exit, self.status, *([self.entry] if isinstance(self.entry, str) else [])]

    def _name_problems(self) -> list[str]:
        taken = ("marker", "value", "y", "censored", "phase")
        return [
            f"the {role} column cannot be called {show(name)}, which longsurv uses for a column of "
            "its own; rename it"
            for role, name in (("patient", self.patient), ("time", self.time))
            if name in taken
        ]

    def _clock_problems(self) -> list[str]:
        problems = []
        if self.horizon is not None and not (is_number(self.horizon) and self.horizon > 0):
            problems.append(f"horizon must be a number above 0, not {show(self.horizon)}")
        if not (is_number(self.tolerance) and self.tolerance >= 0):
            problems.append(f"tolerance must be 0 or more, not {show(self.tolerance)}")
        if self.entry is not None and not isinstance(self.entry, str):
            if not (is_number(self.entry) and self.entry >= 0):
                problems.append(
                    f"entry must be a number, 0 or more, or a column; not {show(self.entry)}"
                )
            elif self.horizon is not None and not problems and self.entry >= self.horizon:
                problems.append(f"entry ({self.entry:g}) must be before horizon ({self.horizon:g})")
        return problems

    def _level_problems(self) -> list[str]:
        problems = []
        if not self.statuses[1][1]:
            problems.append("event names no status: say which one means the event")
        if self.levels and self.reference not in self.levels:
            problems.append(
                f"reference {show(self.reference)} is not among the treatment levels "
                f"{', '.join(map(show, self.levels))}"
            )
        problems += [
            f"a competing event cannot be called {show(label)}; give it a name of its own"
            for label in self.competing
            if not str(label).strip() or str(label).strip().lower() in ("event", "censored")
        ]
        if self.arms and self.reference not in self.arms:
            problems.append(
                f"reference {show(self.reference)} is not among the arms "
                f"{', '.join(map(show, self.arms))}"
            )
        if self.arms and self.levels:
            problems.append("give either levels, all there are, or arms, those to keep; not both")
        owner: dict[str, str] = {}
        for label, levels in self.statuses:
            for level in levels:
                if str(level) in owner:
                    problems.append(
                        f"status {show(level)} cannot mean both {owner[str(level)]} and {label}"
                    )
                owner[str(level)] = label
        return problems

    def _rule_problems(self) -> list[str]:
        """What is wrong with the rules of which measurements are kept."""
        problems = [
            f"{name} must be {words}, not {show(given)}"
            for name, given, known, words in (
                ("outside", self.outside, OUTSIDE, '"refuse" or "exclude"'),
                ("duplicates", self.duplicates, DUPLICATES, _REPEATS),
                ("within_phase", self.within_phase, WITHIN_PHASE, _WITHIN),
            )
            if given not in known
        ]
        window = self.baseline_window
        if window is not None and not (_is_rising(window) and window[1] <= 0):
            problems.append(
                "baseline_window must be two times, first < last <= 0, such as [-2, 0], not "
                f"{show(list(as_levels(window)))}"
            )
        if not isinstance(self.wide, (bool, str)):
            problems.append(f"wide must be true, false or a pattern, not {show(self.wide)}")
        if self.date_format is not None and not _is_format(self.date_format):
            problems.append(
                'date_format must be text such as "%d/%m/%Y %H:%M" (d day, m month, Y year, H '
                f"hour, M minute), not {show(self.date_format)}"
            )
        if isinstance(self.wide, str):
            problems += [
                f"wide = {show(self.wide)}: a pattern names {part} once, as in "
                '"{marker}_d{time}"'
                for part in ("{marker}", "{time}")
                if self.wide.count(part) != 1
            ]
        return problems


def as_levels(level: Level | tuple[Level, ...] | list[Level]) -> tuple[Level, ...]:
    """Return one level or several as a tuple."""
    return tuple(level) if isinstance(level, (tuple, list)) else (level,)


def _is_rising(pair: Sequence[float] | float) -> bool:
    """Whether what was given are two numbers, the lower first."""
    ends = list(pair) if isinstance(pair, (tuple, list)) else []
    return len(ends) == 2 and all(map(is_number, ends)) and ends[0] < ends[1]


def _is_format(text: object) -> bool:
    """Whether dates can be read by a format, as of `datetime.strptime`."""
    if not isinstance(text, str) or not ("%Y" in text or "%y" in text):
        return False
    try:
        datetime.datetime.strptime("", text)
    except ValueError as error:  # of the empty text, or of the format
        return "does not match" in str(error)
    except re.error:  # a directive given twice
        return False
    return True
