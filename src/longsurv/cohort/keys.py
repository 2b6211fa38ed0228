"""The keys of a study file: what each may hold, what it means, and which field it becomes.

Everything said of a key is said in these tables: the reader (`settings`), the JSON schema and the
reference page (`reference`) are made from them.
"""

from __future__ import annotations

from longsurv.cohort.key import Key
from longsurv.cohort.keys_of_analyses import ANALYSIS_TABLES
from longsurv.cohort.keys_of_data import DATA_TABLES

TABLES: dict[str, dict[str, Key]] = {**DATA_TABLES, **ANALYSIS_TABLES}

TABLE_DOCS: dict[str, str] = {
    "study": "What the study is.",
    "patients": "The table of patients, and what its columns mean.",
    "outcome": "What happened to the patients, and the clock of the study.",
    "measurements": "The table of measurements, and which of them are kept.",
    "phases": (
        "Windows of measurement time, by name: a time (`baseline = 1`), both ends included "
        '(`early = [1, 3]`), or half open as text (`early = "[1, 3)"`), so that phases can touch.'
    ),
    "markers": "One table a marker, `[markers.crp]`, called as the measurement table calls it.",
    "models": "Right-hand sides of the models' formulas.",
    "priors": (
        "Published effects as priors of the treatment's hazard ratio, beside the usual ones, one"
        ' table each: `[priors."trials at low risk of bias"]`.'
    ),
    "target_trial": "A trial to emulate, of a treatment that begins after time zero.",
    "sampling": "How the posterior is sampled.",
    "report": "What the report shows.",
}
"""Every table of the study file, in its order, and what it is for."""

FIELDS: dict[str, dict[str, str]] = {
    table: {name: key.field for name, key in keys.items() if key.field}
    for table, keys in TABLES.items()
}
"""By table: where the study file's words differ from those of the specifications."""
FORMER: dict[str, dict[str, str]] = {
    table: {old: name for name, key in keys.items() for old in key.was}
    for table, keys in TABLES.items()
}
"""By table: words that were renamed, and what they are called now."""
