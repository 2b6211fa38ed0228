"""Data that do not determine an answer, and what an analysis makes of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from invariance.case import Case

from longsurv.errors import LongsurvError


@dataclass(frozen=True, eq=False)
class Defect:
    """What is wrong with the data: a name, the roles it needs, and how to bring it about."""

    name: str
    needs: tuple[str, ...]
    apply: Callable[[Case], Case]

    def __repr__(self) -> str:
        return self.name

    def applies(self, case: Case) -> bool:
        """Whether the case has what this spoils."""
        return all(case.has(need) for need in self.needs)


def _rows(case: Case, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Case:
    return case.with_tables(lambda t: change(t).reset_index(drop=True))


def _flat_response(case: Case) -> Case:
    role = "response" if "response" in case.columns else "value"
    return case.changed(role, lambda y: y * 0 + (3 if y.dtype.kind == "f" else 1))


def _one_patient(case: Case) -> Case:
    name = case.columns["patient"]
    return _rows(case, lambda t: t[t[name] == t[name].iloc[0]] if len(t) else t)


def _events(case: Case, keep: Callable[[pd.DataFrame], np.ndarray]) -> Case:
    event = case.columns["event"]

    def fewer(table: pd.DataFrame) -> pd.DataFrame:
        if event not in table:
            return table
        return table.assign(**{event: np.where(keep(table), table[event], 0)})

    return _rows(case, fewer)


def _first_event(table: pd.DataFrame, event: str) -> np.ndarray:
    return np.arange(len(table)) == int(np.flatnonzero(table[event] == 1)[0])


def _of_treated(case: Case, table: pd.DataFrame) -> np.ndarray:
    return (table[case.columns["arm"]] == case.order[1]).to_numpy()


def _late_event(case: Case) -> Case:
    """Nobody but the treated is at risk at the only event: all controls were discharged before."""
    event, exit = case.columns["event"], case.columns["exit"]

    def late(table: pd.DataFrame) -> pd.DataFrame:
        if event not in table or exit not in table:
            return table
        treated = _of_treated(case, table)
        first = int(np.flatnonzero(treated)[0])
        status = np.zeros(len(table), dtype=int)
        status[first] = 1
        end = np.where(treated, 26.0, 24.0)
        end = np.where(treated & (np.arange(len(table)) != first), 28.0, end)
        return table.assign(**{event: status, exit: end})

    return _rows(case, late)


def _more_covariate(case: Case, noise: float) -> Case:
    """A second column beside age, the same but for its unit and noise."""
    name, rng = case.columns["age"], np.random.default_rng(5)

    def more(table: pd.DataFrame) -> pd.DataFrame:
        if name not in table:
            return table
        other = 2.0 * table[name] + 1.0 + noise * rng.normal(size=len(table))
        return table.assign(age2=other)

    tables = {k: more(t) for k, t in case.tables.items()}
    formulas = {
        k: replace(f, right=(*f.right, "{age2}")) if any("{age}" in r for r in f.right) else f
        for k, f in case.formulas.items()
    }
    return replace(case, tables=tables, formulas=formulas, columns={**case.columns, "age2": "age2"})


def _separated(case: Case) -> Case:
    """No event, or no positive value, among the treated."""
    if "event" in case.columns:
        return _events(case, lambda t: ~_of_treated(case, t))
    name = case.columns["value"]
    return _rows(case, lambda t: t.assign(**{name: np.where(_of_treated(case, t), 0, t[name])}))


def _below_limit(case: Case, group: bool) -> Case:
    """Every value, or every one of the treated, below the detection limit."""
    y, limit = case.columns["response"], case.columns["limit"]

    def lower(table: pd.DataFrame) -> pd.DataFrame:
        these = _of_treated(case, table) if group else np.ones(len(table), dtype=bool)
        return table.assign(
            **{
                y: np.where(these, 1.5, table[y]),
                limit: np.where(these, "left", table[limit]),
            }
        )

    return _rows(case, lower)


def _site_of_group(case: Case) -> Case:
    """Every group at a site of its own."""
    arm, site = case.columns["arm"], case.columns["site"]
    return _rows(case, lambda t: t.assign(**{site: t[arm]}) if arm in t and site in t else t)


def _one_row_each(case: Case) -> Case:
    name = case.columns["patient"]
    return _rows(case, lambda t: t.drop_duplicates(name, keep="last"))


DEFECTS = (
    Defect("empty", (), lambda case: _rows(case, lambda t: t.iloc[:0])),
    Defect("one row", (), lambda case: _rows(case, lambda t: t.iloc[:1])),
    Defect("one patient", ("patient", "time"), _one_patient),
    Defect(
        "one group", ("arm",), lambda case: _rows(case, lambda t: t[~_of_treated(case, t)]
                                                  if case.columns["arm"] in t else t),
    ),
    Defect("flat response", ("response|value",), _flat_response),
    Defect("flat covariate", ("age", "terms"), lambda case: case.changed("age", lambda x: 0 * x)),
    Defect("collinear", ("age", "terms"), lambda case: _more_covariate(case, 0.0)),
    Defect("nearly collinear", ("age", "terms"), lambda case: _more_covariate(case, 1e-9)),
    Defect("one row each", ("patient", "time"), _one_row_each),
    Defect("no events", ("event",), lambda case: _events(case, lambda t: np.zeros(len(t), bool))),
    Defect(
        "one event", ("event",),
        lambda case: _events(case, lambda t: _first_event(t, case.columns["event"])),
    ),
    Defect("separated", ("event|value",), _separated),
    Defect("last group alone", ("event", "exit"), _late_event),
    Defect("below limit", ("limit",), lambda case: _below_limit(case, False)),
    Defect("group below limit", ("limit",), lambda case: _below_limit(case, True)),
    Defect("site of each group", ("site", "arm"), _site_of_group),
)  # fmt: skip


def outcome(run: Callable[[Case], Any], case: Case) -> str:
    """What an analysis makes of data, in a word.

    "refused", with a reason that names something; "undetermined": some estimates are missing, a
    flag or note says so, and the verdict is no better; "variances": all estimates are there, and it
    says which variances are not; "left out": a column, by name; "Firth"; "answered": every estimate
    has a positive standard error or an interval. Anything else is a
    fault, and the word is the fault.
    """
    try:
        result = run(case)
        shown = repr(result)
        page = getattr(result, "_repr_html_", lambda: "")()
    except LongsurvError as error:
        return (
            "refused" if _names_something(str(error), case) else f"refused without reason: {error}"
        )
    if isinstance(result, pd.DataFrame):
        return _of_table(result)
    return _of_fit(result, shown, page)


def _names_something(message: str, case: Case) -> bool:
    """Whether a reason says what it is about: a column, a formula, a group or a count."""
    names = [*case.columns.values(), *map(str, case.order)]
    named = any(re.search(rf"\b{re.escape(str(name))}\b", message) for name in names)
    words = (
        "patients",
        "rows",
        "events",
        "measurement",
        "response",
        "data",
        "group",
        "marker",
        "event",
    )
    return len(message.split()) >= 4 and (named or any(word in message for word in words))


def _missing(table: pd.DataFrame) -> pd.Series:
    return table["estimate"].isna()


def _of_fit(result: Any, shown: str, page: str) -> str:
    table, flags = result.tidy(), result.flags
    for flag in flags:
        if flag not in shown.replace("\n", " ") and flag[:40] not in shown:
            return f"a flag is not printed: {flag}"
    gone = dict.fromkeys([*table.loc[_missing(table), "term"].map(str), *result.undetermined])
    verdict = result.diagnose()
    if verdict.ok and not result.converged:
        return "diagnose() is content with a fit that did not converge"
    if gone:
        unnamed = [term for term in gone if not any(term in flag for flag in flags)]
        return f"no flag names {unnamed}" if unnamed else "undetermined"
    se, size = table["std_error"].to_numpy(dtype=float), table["estimate"].abs().to_numpy()
    wild = ~np.isfinite(se) | (se <= 1e-9 * (1e-9 + size)) | (se > 1e3 * (1.0 + size))
    bounded = np.isfinite(table[["conf_low", "conf_high"]].to_numpy(dtype=float)).any(axis=1)
    if (wild & ~(bounded & ~np.isfinite(se))).any():
        seen = table.loc[wild, ["term", "estimate", "std_error"]].iloc[0].tolist()
        return f"silent: {seen}, converged={result.converged}, ok={verdict.ok}, flags={flags}"
    if not result.converged:
        said = any("ot determined" in flag for flag in flags)
        return "variances" if said else f"not converged, finite: {flags}"
    if "Firth" in result.method or "penalis" in result.method:
        return "Firth" if flags else "Firth, without a word"
    parts = [result.design.fixed] if hasattr(result.design, "fixed") else []
    parts += [m.design.fixed for m in getattr(result.design, "markers", ())]
    parts += [c.event.fixed for c in getattr(result.design, "causes", ())]
    left = [name for part in parts for name in part.aliased]
    if any(name not in " ".join(flags) for name in left):
        return f"{left} left out without a word: {flags}"
    return "left out" if left else "answered"


def _of_table(table: pd.DataFrame) -> str:
    """Of a table of estimates or tests with a column of notes."""
    value = next(c for c in ("estimate", "survival", "p_value") if c in table)
    empty = pd.Series("", table.index)
    said = table.get("note", table.get("reason", table.get("notes", empty))).fillna("").astype(str)
    for _, row in table[said == ""].iterrows():
        if math.isnan(row[value]) and math.isnan(row.get("p_value", math.nan)):
            return f"nothing said of {row.dropna().to_dict()}"
    for _, row in table.iterrows():
        width = row.get("conf_high", math.nan) - row.get("conf_low", math.nan)
        size = abs(row.get("conf_low", 0.0)) + 1e-3
        if width <= 1e-9 * size or (row.get("p_value", 1.0) < 1.0 and row.get("std_error", 1) == 0):
            return f"silent: {row.dropna().to_dict()}"
    gone = table[value].isna()
    if {"std_error", "conf_low", "conf_high"} <= set(table):
        bare = table[["std_error", "conf_low", "conf_high"]].isna().all(axis=1)
        if (bare & ~gone & (said != "")).all():
            return "variances"
    return "undetermined" if (gone & (said != "")).any() else "answered"
