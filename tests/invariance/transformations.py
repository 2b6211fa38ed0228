"""Changes of the data that do not change the question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from invariance.case import CLOCKS, Case, Units


@dataclass(frozen=True, eq=False)
class Transformation:
    """A change of the data, and what it does to units.

    Attributes
    ----------
    name : str
    needs : tuple of str
        Roles that a case must have.
    parameters : strategy
        What Hypothesis draws; the first thing it tries is a hard one.
    apply : callable
        The changed case, from a case and a parameter.
    units : callable
        From a parameter.
    """

    name: str
    needs: tuple[str, ...]
    parameters: st.SearchStrategy[Any]
    apply: Callable[[Case, Any], Case]
    units: Callable[[Any], Units] = lambda _: Units()

    def __repr__(self) -> str:
        return self.name

    def applies(self, case: Case) -> bool:
        """Whether the case has what this changes."""
        return all(case.has(need) for need in self.needs)


seeds = st.integers(0, 2**31)


def _clocks(case: Case, change: Callable[[pd.Series], pd.Series]) -> Case:
    for role in CLOCKS:
        if role in case.columns:
            case = case.changed(role, change)
    return case


def _responses(case: Case, change: Callable[[pd.Series], pd.Series]) -> Case:
    """The response, and the upper bounds of values that lie between two."""
    for role in ("response", "upper"):
        if role in case.columns:
            case = case.changed(role, change)
    return case


def shift_time(case: Case, by: float) -> Case:
    moved = _clocks(case, lambda t: t + by)
    return replace(moved, moments=tuple(m + by for m in case.moments))


def scale_time(case: Case, by: float) -> Case:
    moved = _clocks(case, lambda t: t * by)
    return replace(moved, moments=tuple(m * by for m in case.moments))


def add_rounding(case: Case, base: float) -> Case:
    """Times as they come out of (age + time) - age."""
    rng = np.random.default_rng(int(base))

    def rounded(t: pd.Series) -> pd.Series:
        age = base * (1.0 + rng.random(len(t)))
        return (age + t) - age

    for role in ("entry", "exit", "begun"):
        if role in case.columns:
            case = case.changed(role, rounded)
    return case


def permute_rows(case: Case, seed: int) -> Case:
    return case.with_tables(lambda t: t.sample(frac=1.0, random_state=seed % 2**31))


def permute_columns(case: Case, seed: int) -> Case:
    return case.with_tables(lambda t: t.sample(frac=1.0, axis=1, random_state=seed % 2**31))


def permute_terms(case: Case, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    formulas = {}
    for name, terms in case.formulas.items():
        order = rng.permutation(len(terms.right))
        if (order == np.arange(len(order))).all():
            order = order[::-1]
        formulas[name] = replace(terms, right=tuple(terms.right[i] for i in order))
    return replace(case, formulas=formulas)


def relabel_patients(case: Case, how: tuple[str, int]) -> Case:
    kind, seed = how
    name = case.columns["patient"]
    known = sorted({v for t in case.tables.values() if name in t for v in t[name]})
    order = np.random.default_rng(seed).permutation(len(known))
    new: list[object] = [int(i) for i in order]
    if kind == "text":
        new = [f"P-{i}/x" for i in order]
    elif kind == "numbers":
        new = [1000.5 + float(i) for i in order]
    mapping = dict(zip(known, new, strict=True))
    return case.changed("patient", lambda c: c.map(mapping))


def reorder_levels(case: Case, order: tuple[int, ...]) -> Case:
    """Another first level, which becomes the reference."""

    def reorder(column: pd.Series) -> pd.Series:
        levels = sorted(column.unique()) if len(column) else []
        everything = sorted({v for t in case.tables.values() if name in t for v in t[name]})
        assert set(levels) <= set(everything)
        return pd.Series(
            pd.Categorical(column, [everything[i] for i in order]), column.index, name=name
        )

    name = case.columns["stage"]
    return case.changed("stage", reorder)


PAIRS = (
    ("a", "b"), (1, 2), (-0.5, 0.5), (10, 11), (False, True), (2.5e-4, 3.5e-4), ("placebo", "x y"),
)  # fmt: skip


def recode(case: Case, pair: tuple) -> Case:
    """Other codes of a two-valued column, the reference still first in their order."""
    mapping = dict(zip(case.order, pair, strict=True))
    return replace(case.changed("arm", lambda c: c.map(mapping)), order=pair)


def swap_groups(case: Case, _: None) -> Case:
    """The other group is the reference."""
    order = tuple(reversed(case.order))
    name = case.columns["arm"]

    def swapped(column: pd.Series) -> pd.Series:
        return pd.Series(pd.Categorical(column, list(order)), column.index, name=name)

    return replace(case.changed("arm", swapped), order=order, swapped=not case.swapped)


AWKWARD = (
    {
        "patient": "Patient No", "time": "day of stay", "arm": "study arm", "age": "age (years)",
        "stage": "stage of disease", "response": "CRP mg/dL", "site": "the site",
        "exit": "last day", "entry": "first day", "event": "died?", "visit": "visit no.",
        "limit": "below limit", "weight": "how often", "known": "known part", "other": "PCT ng/mL",
        "rival": "went home?", "upper": "at most",
    },
    {
        "patient": "patient", "time": "time", "arm": "treatment", "age": "Intercept",
        "stage": "phase", "response": "y", "site": "group", "exit": "stop", "entry": "start",
        "event": "event", "visit": "x", "limit": "kind",
        "weight": "weight", "known": "offset", "other": "z", "rival": "cause", "upper": "limit",
    },
    {
        "patient": "y", "time": "t", "arm": "estimate", "age": "patient", "stage": "term",
        "response": "sigma", "site": "status", "exit": "T", "entry": "weights",
        "event": "C", "visit": "Q", "limit": "log",
        "weight": "cluster", "known": "strata", "other": "value", "rival": "Surv", "upper": "exp",
    },
)  # fmt: skip


def rename(case: Case, which: int) -> Case:
    awkward = {
        role: name
        for role, name in AWKWARD[which].items()
        if role not in case.fixed and name not in case.reserved
    }
    names = {role: awkward.get(role, name) for role, name in case.columns.items()}
    mapping = {case.columns[role]: name for role, name in names.items()}
    tables = {k: t.rename(columns=mapping) for k, t in case.tables.items()}
    return replace(case, tables=tables, columns=names)


def unused_levels(case: Case, where: str) -> Case:
    """A category that no row has, first or last."""
    for role in ("arm", "stage"):
        if role in case.columns:
            name = case.columns[role]
            seen = sorted({v for t in case.tables.values() if name in t for v in t[name]})
            if role == "arm":
                seen = list(case.order)
            levels = ["nobody", *seen] if where == "first" else [*seen, "nobody"]

            def categories(c: pd.Series, levels: list = levels) -> pd.Series:
                return pd.Series(pd.Categorical(c, levels), c.index, name=c.name)

            case = case.changed(role, categories)
    return case


def _typed(column: pd.Series, kind: str) -> pd.Series:
    values = column.dtype.kind
    if kind == "small":  # as Stata's byte and float
        whole = values in "iu" and column.between(-100, 100).all()
        return column.astype("int8" if whole else "float32" if values == "f" else column.dtype)
    if kind == "nullable":
        return column.convert_dtypes()
    if kind == "arrow":
        return column.convert_dtypes(dtype_backend="pyarrow")
    if values == "O":
        return column.astype("category" if kind == "category" else object)
    return column


def change_dtypes(case: Case, kind: str) -> Case:
    """The same values in other columns."""
    tables = {k: t.apply(lambda c: _typed(c, kind)) for k, t in case.tables.items()}
    return replace(case, tables=tables)


def odd_index(case: Case, seed: int) -> Case:
    """Row labels that repeat."""
    return case.with_tables(lambda t: t.set_axis([f"r{(i + seed) % 3}" for i in range(len(t))]))


def more_columns(case: Case, seed: int) -> Case:
    """Columns that the question does not use, mostly missing."""
    rng = np.random.default_rng(seed)
    return case.with_tables(
        lambda t: t.assign(
            **{
                "not used": np.where(rng.random(len(t)) < 0.9, np.nan, 1.0),
                "Unnamed: 0": [None, *["?"] * (len(t) - 1)],
            }
        )
    )


def split_follow_up(case: Case, share: float) -> Case:
    """Every patient's time at risk in two rows."""
    entry, exit, event = (case.columns[r] for r in ("entry", "exit", "event"))

    def split(table: pd.DataFrame) -> pd.DataFrame:
        if exit not in table:
            return table
        cut = table[entry] + share * (table[exit] - table[entry])
        first = table.assign(**{exit: cut, event: 0})
        second = table.assign(**{entry: cut})
        return pd.concat([first, second], ignore_index=True)

    return case.with_tables(split)


TRANSFORMATIONS = (
    Transformation(
        "shift time", ("time",),
        st.sampled_from([2015.0, -64.0, 1000.0]) | st.floats(-500, 2500).map(lambda x: round(x, 2)),
        shift_time, lambda by: Units(time_shift=by),
    ),
    Transformation(
        "shift follow-up", ("entry",), st.sampled_from([1000.0, 40.5]) | st.floats(0.1, 4000),
        shift_time, lambda by: Units(time_shift=by),
    ),
    Transformation(
        "scale time", ("time|exit",),
        st.sampled_from([365.25, 1 / 7, 1e-3, 1440.0]) | st.floats(-7, 7).map(np.exp),
        scale_time, lambda by: Units(time_scale=float(by)),
    ),
    Transformation("round times", ("exit",), st.sampled_from([40.0, 2015.0, 1e4]), add_rounding),
    Transformation(
        "shift covariate", ("age",), st.sampled_from([2000.0, -60.0]) | st.floats(-3000, 3000),
        lambda case, by: case.changed("age", lambda x: x + by),
    ),
    Transformation(
        "scale covariate", ("age",),
        st.sampled_from([1e-3, 88.4, -1.0, 1e5]) | st.floats(-8, 8).map(np.exp),
        lambda case, by: case.changed("age", lambda x: x * by),
    ),
    Transformation(
        "shift response", ("response",), st.sampled_from([100.0, -2000.0]) | st.floats(-2e3, 2e3),
        lambda case, by: _responses(case, lambda y: y + by),
        lambda by: Units(response_shift=by),
    ),
    Transformation(
        "scale response", ("response",),
        st.sampled_from([1e-3, 5e4, 1e5, 1e-4]) | st.floats(-9, 9).map(np.exp),
        lambda case, by: _responses(case, lambda y: y * by),
        lambda by: Units(response_scale=float(by)),
    ),
    Transformation("permute rows", (), seeds, permute_rows),
    Transformation(
        "relabel patients", ("patient",),
        st.tuples(st.sampled_from(["text", "order", "numbers"]), seeds), relabel_patients,
    ),
    Transformation("permute columns", (), seeds, permute_columns),
    Transformation("permute terms", ("terms",), seeds, permute_terms),
    Transformation(
        "permute levels", ("stage",), st.permutations([2, 0, 1]).map(tuple), reorder_levels
    ),
    Transformation(
        "rename", ("patient|arm|age",), st.sampled_from(range(len(AWKWARD))), rename
    ),
    Transformation("recode", ("arm",), st.sampled_from(PAIRS), recode),
    Transformation(
        "unused level", ("arm|stage",), st.sampled_from(["first", "last"]), unused_levels
    ),
    Transformation(
        "dtypes", (), st.sampled_from(["small", "nullable", "arrow", "category", "object"]),
        change_dtypes,
    ),
    Transformation("odd index", (), st.integers(0, 9), odd_index),
    Transformation("more columns", (), seeds, more_columns),
    Transformation(
        "split follow-up", ("split",), st.sampled_from([0.5, 0.25, 0.8]), split_follow_up
    ),
    Transformation(
        "swap groups", ("arm",), st.none(), swap_groups, lambda _: Units(swapped=True)
    ),
)  # fmt: skip
