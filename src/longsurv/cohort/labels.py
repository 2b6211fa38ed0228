"""What readers are told: the groups and covariates by their labels, the event by its name."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from longsurv.cohort.assemble import Tables
from longsurv.cohort.problems import show, show_list, suggest
from longsurv.cohort.schema import Schema
from longsurv.errors import DataError
from longsurv.words import capital

DEATH_WORDS = frozenset(
    {"dead", "death", "died", "deceased", "expired", "exitus", "exitus letalis", "verstorben",
     "gestorben", "tot", "tod", "mort", "morte", "décès", "deces", "décédé", "décédée", "decede",
     "decedee", "dcd", "死亡", "死", "fallecido", "fallecida", "muerto", "muerta", "deceduto",
     "deceduta", "morto", "morta", "overleden", "obito", "óbito", "falecido", "falecida"}
)  # fmt: skip
"""Levels that say in one of several languages that a patient died."""
# Levels that say nothing of what happened; the name of their column may.
_BARE = {
    "1", "true", "yes", "y", "t", "ja", "oui", "0", "false", "no", "n", "f", "nein", "non", "2",
}  # fmt: skip
_OF_DEATH = re.compile(
    r"dead|death|died?\b|deceas|mort|exitus|expire|verstorben|gestorben|\btod|deces|décès|surviv|alive"
    r"|lebt|vivant|死亡|生存",
    re.IGNORECASE,
)


def event_name(schema: Schema) -> str:
    """ "death" when the event's level says so, or its column where the level is a mere yes or 1.

    Else the level itself, or "event": a 1 in a column of relapses is no death.
    """
    text = str(schema.statuses[1][1][0]).lower()
    if text in _BARE:
        return "death" if _OF_DEATH.search(schema.status) else "event"
    return "death" if text in DEATH_WORDS else text


def death_codes(schema: Schema) -> tuple[int, ...]:
    """Codes of the statuses that are death by their names: the event, a competing event or both."""
    named = [k for k, label in enumerate(schema.competing, 2) if str(label).lower() in DEATH_WORDS]
    return (*([1] if event_name(schema) == "death" else []), *named)


def relabelled(
    tables: Tables, schema: Schema, labels: Mapping[str, str], covariates: Sequence[str]
) -> tuple[Tables, Schema]:
    """The tables and their description with the groups called by their labels.

    Parameters
    ----------
    tables : Tables
    schema : Schema
    labels : mapping of str to str
        Group or covariate to what readers call it.
    covariates : sequence of str
        Columns that a label may be of.

    Raises
    ------
    DataError
        If a label is of neither, or two groups would have one name.
    """
    groups = [str(level) for level in tables.groups]
    problems = []
    for name in labels:
        known = [*groups, *covariates]
        if name not in known:
            near = suggest(name, known) or f"there are {show_list(known, 40)}"
            problems.append(
                f"labels names {show(name)}, no group and no covariate of the study; {near}"
            )
    named = [labels.get(name, name) for name in groups]
    problems += [
        f"labels: two groups would be called {show(label)}"
        for label in dict.fromkeys(named)
        if named.count(label) > 1
    ]
    problems += [f"labels: the label of {show(k)} is empty" for k, v in labels.items() if not v]
    if problems:
        raise DataError(problems)
    called: dict[Hashable, Hashable] = {
        level: labels[str(level)] for level in tables.groups if str(level) in labels
    }
    if not called:
        return tables, schema
    column = pd.Categorical(tables.patients[schema.treatment]).rename_categories(called)
    return (
        replace(
            tables,
            patients=tables.patients.assign(**{schema.treatment: column}),
            groups=[called.get(level, level) for level in tables.groups],
        ),
        replace(
            schema,
            reference=_by(called, schema.reference),
            levels=tuple(_by(called, level) for level in schema.levels),
            arms=tuple(_by(called, level) for level in schema.arms),
        ),
    )


def _by(called: Mapping[Hashable, Hashable], level: Hashable) -> Hashable:
    """A level by its label; the file may write 1 where the table has "1"."""
    return {str(k): v for k, v in called.items()}.get(str(level), level)


def column_label(name: str, labels: Mapping[str, str]) -> str:
    """A covariate as a reader sees it: its label, or its column's name as a phrase."""
    return labels.get(name) or capital(name.replace("_", " "))
