"""Lines of a study file: where each key stands, also one that a `#` keeps from being read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from longsurv.cohort.keys import FIELDS, FORMER

_HEADING = re.compile(r"\s*(?:#\s*)?\[\s*(?P<table>[^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*(?P<off>#\s*)?(?P<key>[A-Za-z0-9_-]+|\"[^\"]+\")\s*=.*")

type Lines = dict[str, dict[str, str]]
# The keys that name columns, by the table of data that the columns are of.
_OF_PATIENTS = {
    "patients": ("patient", "treatment", "covariates", "categorical"),
    "outcome": ("exit", "status", "entry", "time_zero"),
}
_OF_MEASUREMENTS = {"measurements": ("patient", "time", "marker", "value")}
_CALLED = {
    table: FORMER[table] | {field: key for key, field in fields.items()}
    for table, fields in FIELDS.items()
}
"""By table: other words for keys, and the keys."""


def key_lines(text: str) -> Lines:
    """Of each table the keys, and in words the line that each is first written on.

    A key that is written is told before one behind a `#`. Text in several lines may look like
    keys; these words only help to find a place.
    """
    found: Lines = {}
    off: Lines = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        heading, written = _HEADING.fullmatch(line), _KEY.fullmatch(line)
        if heading is not None:
            table = heading["table"].replace('"', "")
        elif written is not None:
            if written["off"]:
                side, words = off, f"line {number} has it behind #"
            else:
                side, words = found, f"line {number}"
            key = written["key"].strip('"')
            side.setdefault(table, {}).setdefault(_CALLED.get(table, {}).get(key, key), words)
    return {name: off.get(name, {}) | found.get(name, {}) for name in off | found}


def naming_columns(
    tables: Mapping[str, Mapping[str, object]], lines: Lines, file: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Where a study file names the columns of the patients' and of the measurements' table.

    In words for the end of a message, "study.toml, line 12".
    """
    people = _naming(tables, lines, file, _OF_PATIENTS)
    values = _naming(tables, lines, file, _OF_MEASUREMENTS)
    if "patient" not in tables.get("measurements", {}):
        own = tables.get("patients", {}).get("patient")
        values = {str(own): people[str(own)], **values} if str(own) in people else values
    for name in tables.get("markers", {}):
        # Under the heading of a marker stands its first key.
        first = min(map(_number, lines.get(f"markers.{name}", {}).values()), default=0)
        if first:
            values.setdefault(name, f"{file}, line {first}")
    return people, values


def _naming(
    tables: Mapping[str, Mapping[str, object]],
    lines: Lines,
    file: str,
    keys: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    found: dict[str, str] = {}
    for table, names in keys.items():
        for key in names:
            at = _number(lines.get(table, {}).get(key, ""))
            given = tables.get(table, {}).get(key)
            for column in given if isinstance(given, list) else [given]:
                if isinstance(column, str) and at:
                    found.setdefault(column, f"{file}, line {at}")
    return found


def _number(words: str) -> int:
    """The line that "line 12" names; 0 for one that has it behind #."""
    match = re.fullmatch(r"line (\d+)", words)
    return int(match[1]) if match is not None else 0
