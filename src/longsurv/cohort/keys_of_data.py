"""The keys of the study file that say what the tables hold."""

from __future__ import annotations

from longsurv.cohort.key import Key
from longsurv.cohort.kinds import (
    CHARACTER,
    COMPETING,
    DECIMAL,
    ENTRY,
    FILL_DOWN,
    FLAG,
    LABELS,
    LEVEL,
    LEVEL_OR_LEVELS,
    LEVELS,
    LEVELS_OR_NONE,
    NUMBER,
    PAIR,
    SKIPPED,
    TEXT,
    TEXTS,
    THOUSANDS,
    WIDE,
    choice,
)
from longsurv.cohort.schema import DUPLICATES, OUTSIDE, WITHIN_PHASE

FILE_KEYS = {
    "sheet": Key(TEXT, "Sheet of an Excel file.", default="the first"),
    "separator": Key(
        CHARACTER,
        'What stands between the columns of a text file: ",", ";", "\\t", "|".',
        default="found in the file",
    ),
    "encoding": Key(
        TEXT,
        'Of a text file, e.g. "cp932" for an export from a Japanese Windows system.',
        default="UTF-8 or UTF-16, or Japanese or Western Windows where nothing else is possible",
    ),
    "decimal": Key(
        DECIMAL,
        'The decimal mark; with a comma, "75,5" and "<0,02" are numbers.',
        default="a point, or a comma where the columns are separated by something else and every "
        "number with a mark has one",
    ),
    "thousands": Key(
        THOUSANDS,
        'The mark between thousands: "," where "1,234" is above a thousand, "." where "1.234" is '
        "(the decimal mark then is a comma).",
        default="found where numbers can be read in one way only (1,234.5); blanks and apostrophes "
        "always are such marks",
    ),
    "skip_rows": Key(SKIPPED, "Rows above the row of column names.", default="0"),
    "missing": Key(
        TEXTS,
        "Codes for a missing value, as text, besides an empty cell, NA, N/A, NaN, NULL and a dot: "
        'missing = ["-99", "n.d."].',
        default="[]",
    ),
    "fill_down": Key(
        FILL_DOWN,
        "The identifier (true) or the columns named are given only in the first row of each block, "
        "as in a sheet with merged cells; the rows below take it from above.",
        default="false",
    ),
}

_BY_MARKER = {
    "duplicates": Key(
        choice(*DUPLICATES),
        "What becomes of several values of a marker at one time in a patient. First and last are "
        "in the order of the file; the mean is taken on the marker's scale (its transform), and "
        "refused of values partly beyond a limit.",
        default='"error"',
    ),
    "within_phase": Key(
        choice(*WITHIN_PHASE),
        "Which of a patient's values of a marker inside one phase are kept. The worst is told by "
        "the marker's direction, the mean is taken on its scale (its transform), and refused of "
        "values partly beyond a limit.",
        default='"all"',
    ),
}

DATA_TABLES: dict[str, dict[str, Key]] = {
    "study": {
        "title": Key(TEXT, "Shown wherever the study appears."),
        "note": Key(TEXT, "Shown beside the title: where the data come from."),
        "reconstructed": Key(
            FLAG, "The data were simulated from published summaries.", default="false"
        ),
        "randomised": Key(
            FLAG,
            "Treatment was allocated at random. Without it the study is analysed as if it was not, "
            "and its report says that it is not said.",
            default="not said",
        ),
        "primary": Key(
            TEXT,
            'The outcome the study was made for: a marker, or the event by what it is, "death". '
            "The report then says primary, secondary and exploratory.",
            default="none is named",
        ),
        "secondary": Key(TEXTS, "The outcomes named beside it.", default="none"),
        "prespecified": Key(FLAG, "These were chosen before the data were seen.", default="false"),
        "subgroups": Key(
            TEXTS,
            "Columns of the patients, among the covariates, in whose levels the report tells the"
            " treatment's effect on the event: at most ten levels each, and chosen before the data"
            " were seen. What is continuous has to be cut beforehand.",
            default="none",
        ),
        "labels": Key(
            LABELS,
            'What readers call groups and covariates: labels = {ivig = "Immunoglobulin"}. A group '
            "goes by its label in every answer, and in formulas that name a group.",
            default="as in the table of patients",
        ),
    },
    "patients": {
        "file": Key(
            TEXT,
            "The table of patients (.csv, .tsv, .txt, .xlsx, .xlsm, .parquet), beside the study "
            "file. With one row a patient; or with the patient's columns repeated in each row of "
            "the measurements, if [measurements] has the same file or none.",
            required=True,
        ),
        "patient": Key(TEXT, "Column that identifies a patient.", required=True, was=("id",)),
        "treatment": Key(TEXT, "Column of the treatment (or exposure) group.", required=True),
        "reference": Key(LEVEL, "The group that others are compared with.", required=True),
        "levels": Key(
            LEVELS,
            "All treatment groups, where there are more than two; each is compared with the"
            " reference.",
            default="the two there are",
        ),
        "arms": Key(
            LEVELS,
            "The treatment groups to keep; patients of every other are excluded and counted.",
            default="all",
        ),
        "site": Key(
            TEXT,
            "Column of the site that a patient belongs to, as the hospital: the mixed models of"
            " markers and scores have a random effect of it, given the first value, too, and so has"
            " a Cox model among the methods that compare mortality. Overlap weights, other models"
            " of mortality and joint models leave it out, and the report says so.",
            default="all patients are of one site",
        ),
        "covariates": Key(
            TEXTS,
            "Columns for the table of baseline characteristics.",
            default="none",
            was=("baseline_covariates",),
        ),
        "categorical": Key(
            TEXTS,
            "Covariates whose values are labels, also where they look like numbers (stage 1 to 4).",
        ),
        "exclude_incomplete": Key(
            FLAG,
            "Exclude and count patients whose treatment or outcome is missing.",
            default="false: they are refused",
        ),
        **FILE_KEYS,
    },
    "outcome": {
        "exit": Key(
            TEXT,
            "Column of the follow-up time, to the event or to its end: a number, or a date if "
            "time_zero is a column.",
            required=True,
            was=("time",),
            lacking="an outcome of which nothing says when, yes or no alone, is compared by "
            "longsurv.estimands.two_by_two; models of survival need the time of the event or of the"
            " last contact, also of those followed to one day",
        ),
        "status": Key(
            TEXT,
            "Column of the status at that time.",
            required=True,
        ),
        "event": Key(
            LEVEL_OR_LEVELS,
            "The status, or statuses, of the event of interest. 1 is also written true or yes.",
            default="1",
            was=("event_level",),
        ),
        "censored": Key(
            LEVELS_OR_NONE,
            "The status, or statuses, of an end of follow-up without any event; [] if nobody was "
            "censored. 0 is also written false or no.",
            default="0",
            was=("censored_level",),
        ),
        "competing": Key(
            COMPETING,
            "Competing events: the label of each and its status, or statuses.",
            default="none",
        ),
        "entry": Key(
            ENTRY,
            "Time from which patients are at risk (delayed entry): one number, or a column of "
            "numbers or dates.",
            default="0",
        ),
        "horizon": Key(NUMBER, "Follow-up ends here, and so do measurements.", default="none"),
        "time_unit": Key(
            TEXT,
            "Unit of all times. Dates are counted in minutes, hours, days, weeks, months or years.",
            default='"days"',
            was=("unit",),
        ),
        "time_zero": Key(
            TEXT,
            "What all times are counted from: the column of the patient table that holds its date "
            'or timestamp, or words for it, such as "ICU admission", if times are numbers.',
        ),
        "date_format": Key(
            TEXT,
            'How dates are written in both tables, e.g. "%d/%m/%Y %H:%M", where it cannot be told.',
            default="found in the columns",
        ),
        "exclude_before_entry": Key(
            FLAG,
            "Exclude and count patients whose follow-up ends at or before their entry.",
            default="false: they are refused",
        ),
    },
    "measurements": {
        "file": Key(TEXT, "The table of measurements.", default="that of the patients"),
        "patient": Key(
            TEXT,
            "Column that identifies a patient.",
            default="as in the patient table",
            field="measurement_patient",
        ),
        "time": Key(
            TEXT,
            "Column of the time of measurement: a number, or a date if time_zero is a column. "
            "Needed unless wide is a pattern.",
            default='"time"',
        ),
        "marker": Key(TEXT, "Column of the marker's name.", default='"marker"'),
        "value": Key(
            TEXT,
            'Column of the value: a number, "<0.02", ">1000", "LESS THAN 0.02", or any of these '
            "with the marker's unit behind.",
            default='"value"',
        ),
        "wide": Key(
            WIDE,
            "true: one row a patient and time, one column a marker. A pattern: one row a patient, "
            'and columns such as crp_d1 and crp_d4 ("{marker}_d{time}").',
            default="false: one row a measurement",
        ),
        "tolerance": Key(
            NUMBER,
            "How long after the end of a patient's follow-up a measurement may be dated.",
            default="0",
        ),
        "outside": Key(
            choice(*OUTSIDE),
            "What becomes of measurements before time zero and after the end of follow-up: refused "
            "with a message, or excluded and counted.",
            default='"refuse"',
        ),
        "baseline_window": Key(
            PAIR,
            "Times before time zero, such as [-2, 0]: a patient's latest value of a marker in it "
            "is taken as measured at time zero, unless there is one at time zero.",
            default="none",
        ),
        **_BY_MARKER,
        "exclude_other_markers": Key(
            FLAG,
            "Exclude and count measurements of markers the study does not name.",
            default="false: they are refused",
        ),
        "exclude_other_patients": Key(
            FLAG,
            "Exclude and count measurements of patients who are not in the patient table.",
            default="false: they are refused",
        ),
        **FILE_KEYS,
    },
}

MARKER_KEYS: dict[str, Key] = {
    "label": Key(TEXT, "As readers see it.", default="the marker's name"),
    "unit": Key(TEXT, "Of its values; a value may name it too (12 mg/L), and then must name this."),
    "transform": Key(
        choice("identity", "log"), "The scale on which it is modelled.", default='"identity"'
    ),
    "lower_limit": Key(NUMBER, "Detection limit: values below it are left-censored at it."),
    "direction": Key(choice("lower", "higher"), "Which way is better for the patient."),
    "family": Key(
        TEXT,
        'Markers that belong together, such as "inflammation"; the family "component" is measured '
        "for a score and is no outcome of its own.",
    ),
    "positive": Key(NUMBER, "The cut-off of a score: at or above it a patient is positive."),
    "relevant": Key(
        NUMBER,
        "The smallest difference in change between the groups that matters to a patient: in the "
        "marker's unit, or a ratio (0.7) for a marker on the log scale.",
        default="none is named",
    ),
    "range": Key(
        PAIR,
        "What can be measured at all: a value outside is refused as a mistake, or as a code for a "
        "missing one (-1, 999).",
        default="any number",
    ),
    **{
        name: Key(key.kind, "As in [measurements], for this marker alone.", default="as there")
        for name, key in _BY_MARKER.items()
    },
}
