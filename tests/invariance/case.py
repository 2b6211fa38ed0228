"""What is varied and what is compared: a question with its data, and an answer's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

CLOCKS = ("time", "entry", "exit", "begun")
"""Roles of columns that hold times."""


@dataclass(frozen=True)
class Terms:
    """A formula with the roles of columns in braces, as "{time} * {arm}"."""

    left: str
    right: tuple[str, ...]
    special: tuple[str, ...] = ()  # random effects, strata(): their order is no question


@dataclass(frozen=True, eq=False)
class Case:
    """A question and its data.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        "points" are places the answer is read at: they change as the data do, except in order.
    columns : mapping of str to str
        What each role's column is called now: patient, time, exit, arm, age, response, ...
    formulas : mapping of str to Terms
    moments : tuple of float
        Times the answer is read at, on the clock of the data.
    order : tuple
        Values of "arm" and "group", the reference first.
    fixed : tuple of str
        Roles whose names the question sets (`Cohort.survival_data()` has "exit").
    reserved : tuple of str
        Names that the question refuses, and says so, for columns of the user's.
    traits : tuple of str
        What else can be changed: "split" where follow-up may come in several rows.
    swapped : bool
        The groups have swapped places: `order` has the one first that was last.
    """

    tables: Mapping[str, pd.DataFrame]
    columns: Mapping[str, str]
    formulas: Mapping[str, Terms] = field(default_factory=dict)
    moments: tuple[float, ...] = ()
    order: tuple = (0, 1)
    fixed: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    swapped: bool = False

    def group(self, value: object) -> str:
        """The name of the group with this value, which no coding changes."""
        return "AB"[self.order.index(value) ^ self.swapped]

    def has(self, what: str) -> bool:
        """Whether there is a column of this role, or this trait; "a|b" is either."""
        known = {*self.columns, *self.traits, *(["terms"] if self.formulas else [])}
        return not known.isdisjoint(what.split("|"))

    def __getitem__(self, table: str) -> pd.DataFrame:
        return self.tables[table]

    def formula(self, name: str = "model") -> str:
        """The formula in the columns' names of now, quoted where they need it."""
        terms, names = self.formulas[name], {r: quoted(c) for r, c in self.columns.items()}
        sides = (terms.left, " + ".join((*terms.right, *terms.special)))
        return " ~ ".join(side.format_map(names) for side in sides)

    def changed(self, role: str, change: Callable[[pd.Series], pd.Series]) -> Case:
        """The same with the column of a role changed wherever it is."""
        name = self.columns[role]
        tables = {
            key: table.assign(**{name: change(table[name])}) if name in table else table
            for key, table in self.tables.items()
        }
        return replace(self, tables=tables)

    def with_tables(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Case:
        """The same with every table but the points changed."""
        tables = {k: t if k == "points" else change(t) for k, t in self.tables.items()}
        return replace(self, tables=tables)


def quoted(name: str) -> str:
    """A column's name as a formula needs it."""
    return name if name.isidentifier() else f"`{name}`"


@dataclass(frozen=True)
class Units:
    """What a transformation did to the units: response = shift + scale * response before, ..."""

    response_shift: float = 0.0
    response_scale: float = 1.0
    time_shift: float = 0.0
    time_scale: float = 1.0
    swapped: bool = False


@dataclass(frozen=True)
class Output:
    """One number of an answer, and how it depends on units.

    Attributes
    ----------
    value : float
    response, time : int
        Powers of the response's and of time's unit.
    origin : str
        "response" or "time" for a value on that axis, which moves with its origin.
    density : bool
        A log density, of `response` measurements and `time` event times.
    swaps : str
        The output that becomes this one, with the other sign, when two groups swap places; that of
        an estimate is itself, of a lower limit the upper one.
    rtol, atol : float
        How far it may be from what is expected.
    """

    value: float
    response: int = 0
    time: int = 0
    origin: str = ""
    density: bool = False
    swaps: str = ""
    rtol: float = 1e-5
    atol: float = 1e-9

    def expected(self, units: Units) -> float:
        """This number in other units."""
        k, c = abs(units.response_scale), units.time_scale
        if self.density:
            return self.value - self.response * math.log(k) - self.time * math.log(c)
        shift = {"response": units.response_shift, "time": units.time_shift}.get(self.origin, 0.0)
        return self.value * k**self.response * c**self.time + shift

    def unit(self, units: Units) -> float:
        """How large one unit of this number has become."""
        return abs(units.response_scale) ** self.response * units.time_scale**self.time


Answer = dict[str, Output]


def differences(before: Answer, after: Answer, units: Units) -> list[str]:
    """Every output that is not as expected, in words; none if the answers agree."""
    wrong = [f"{name} is missing" for name in before if name not in after]
    for name, new in after.items():
        old = before.get(name)
        if old is None:
            wrong.append(f"{name} is new")
            continue
        if units.swapped and old.swaps:
            old = replace(before[old.swaps], value=-before[old.swaps].value)
        expected, size = old.expected(units), 1.0 if old.density else old.unit(units)
        tolerance = old.rtol * abs(expected) + old.atol * size
        same = math.isnan(expected) and math.isnan(new.value)
        same |= expected == new.value or abs(new.value - expected) <= tolerance
        if not same:
            wrong.append(f"{name}: {new.value:.8g} for {expected:.8g}")
    return wrong


@dataclass(frozen=True, eq=False)
class Family:
    """A model, analysis or function of data, as both tables use it.

    Attributes
    ----------
    name : str
    make : callable
        A case from a seed.
    answer : callable
        The numbers of a case's answer.
    covers : tuple of str
        The public names that this tests.
    short : tuple of str, optional
        Transformations of the short version of the tests; all of them by default.
    """

    name: str
    make: Callable[[int], Case]
    answer: Callable[[Case], Answer]
    covers: tuple[str, ...]
    short: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.name
