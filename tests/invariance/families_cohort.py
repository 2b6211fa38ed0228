"""Analyses of a cohort: several markers, adjustments, mortality, simple tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output
from invariance.families_groups import comparison, group_case
from invariance.families_survival import patients
from invariance.reading import around_the_mode

from longsurv import Cohort, Marker, Phase, Schema
from longsurv import priors as pr
from longsurv.analyses import (
    BaselineAdjustment,
    DeathInMarkers,
    Mortality,
    Panel,
    adjusted_changes,
)
from longsurv.estimands import baseline_adjusted, simple
from longsurv.estimands.changes import Change
from longsurv.estimands.counts import Counts
from longsurv.estimands.landmark import landmark
from longsurv.estimands.tipping import tipping_points
from longsurv.estimands.two_by_two import two_by_two

MARKERS = ("crp", "pct", "wbc")
COLUMNS = {"patient": "id", "exit": "stop", "event": "died", "arm": "arm", "age": "age",
           "time": "day", "response": "value"}  # fmt: skip
RESERVED = ("y", "phase", "status")
"""Names of columns that a cohort makes, and refuses for those it is given."""


def cohort_case(seed: int, n: int = 36) -> Case:
    """Three markers on days 1, 4 and 6."""
    people = patients(seed, n).drop(columns=["start", "stage", "site"]).assign(stop=28.0)
    rng = np.random.default_rng(seed + 3)
    died = people["died"] == 1
    people.loc[died, "stop"] = 7.0 + rng.integers(1, 20, int(died.sum()))
    parts = []
    for name in MARKERS:
        own, arm = rng.normal(size=n), people["arm"].to_numpy()
        for day in (1.0, 4.0, 6.0):
            y = 5.0 + own - 0.2 * (day - 1) * (1 + arm) + 0.6 * rng.normal(size=n)
            y += 0.02 * (people["age"] - 60)
            parts.append(
                pd.DataFrame(
                    {"id": people["id"], "day": day, "marker": name, "value": np.round(y * 64) / 64}
                )
            )
    tables = {"people": people, "rows": pd.concat(parts, ignore_index=True)}
    moments = (1.0, 4.0, 6.0, 25.0)
    return Case(tables, COLUMNS, moments=moments, reserved=RESERVED)


def cohort_of(case: Case) -> Cohort:
    names = case.columns
    first, later, last, _ = case.moments
    schema = Schema(
        patient=names["patient"], treatment=names["arm"], reference=case.order[0],
        levels=tuple(case.order), exit=names["exit"], status=names["event"], time=names["time"],
        value=names["response"], covariates=(names["age"],),
        phases=(Phase("before", first, first), Phase("after", later, last)),
    )  # fmt: skip
    markers = [Marker(m, direction="lower", family="inflammation") for m in MARKERS]
    return Cohort(case["people"], case["rows"], schema, markers)


def change_of(case: Case) -> Change:
    return Change("phase", "before", "after", case.columns["arm"], case.order[1], case.order[0])


MIRROR = {"estimate": "estimate", "conf_low": "conf_high", "conf_high": "conf_low"}


def _differences(table: pd.DataFrame, keys: tuple[str, ...], draws: bool = False) -> Answer:
    """Rows of differences on the markers' scale, and per baseline SD."""
    out: Answer = {}
    for _, row in table.iterrows():
        label = " ".join(str(row[k]) for k in keys)
        se = float(row["std_error"])
        loose = 0.2 if draws else 1e-3
        for name, mirror in MIRROR.items():
            out[f"{label}: {name}"] = Output(
                float(row[name]), 1, swaps=f"{label}: {mirror}", rtol=1e-6, atol=loose * se
            )
        out[f"{label}: std_error"] = Output(se, 1, rtol=loose)
        for name, tolerance in (("df", 5e-3), ("p_value", 1e-4), ("p_holm", 1e-4)):
            if name in row:
                out[f"{label}: {name}"] = Output(float(row[name]), rtol=tolerance, atol=1e-7)
        standard = float(row["std_estimate"])
        out[f"{label}: std"] = Output(standard, swaps=f"{label}: std", rtol=1e-4, atol=loose)
    return out


def panel_answer(case: Case) -> Answer:
    right = f"phase * {_q(case, 'arm')} + (1 | {_q(case, 'patient')})"
    panel = Panel.from_cohort(cohort_of(case), right, change_of(case))
    return _differences(panel.fit().tidy(), ("marker",))


def _q(case: Case, role: str) -> str:
    name = case.columns[role]
    return name if name.isidentifier() else f"`{name}`"


def adjusted_answer(case: Case) -> Answer:
    cohort, change = cohort_of(case), change_of(case)
    table = BaselineAdjustment(cohort, "crp", change).fit().tidy()
    everything = adjusted_changes(cohort, change, ["pct"], engines=["ml"]).tidy()
    compared = baseline_adjusted.ComparedRows.of(cohort, "crp", change)
    table_e, _ = baseline_adjusted.propensity_table(cohort, compared, None)
    out = _differences(pd.concat([table, everything]), ("marker", "adjustment"))
    return out | {
        "phases": Output(float(len(baseline_adjusted.later_phases(cohort, change)))),
        "patients": Output(float(len(table_e))),
        "covariance": Output(float(len(baseline_adjusted.covariance_of(compared.rows)[0]))),
    }


def death_in(case: Case) -> DeathInMarkers:
    """Deaths after the last phase count too: in it nobody dies."""
    cohort = cohort_of(case)
    deaths = (cohort.event_name,)  # whatever the column of the status is called
    return DeathInMarkers(cohort, "crp", change_of(case), deaths, until=case.moments[3])


def death_answer(case: Case) -> Answer:
    spec = death_in(case)
    with around_the_mode():
        both = spec.fit().and_also(spec.sample(draws=500, chains=2))
    out: Answer = {"deaths": Output(float(spec.composite.deaths))}
    for _, row in both.table.iterrows():
        quantity, engine = row["quantity"], row["engine"]
        label = f"{row['estimand']}, {quantity}, {engine}"
        drawn = engine == "bayes" and quantity != "odds ratio"
        bound = "bound" in quantity
        mirror = {"lower bound": "upper bound", "upper bound": "lower bound"}.get(quantity)
        for name, other in MIRROR.items():
            value, to = float(row[name]), label.replace(quantity, mirror or quantity)
            if quantity == "probability index":
                value = math.log(value / (1 - value))
            elif quantity == "odds ratio":
                value = math.log(value)
            if bound and name != "estimate":  # resampled patients, in the order of their labels
                continue
            out[f"{label}: {name}"] = Output(
                value, int(bound or row["estimand"] == "alive"), swaps=f"{to}: {other}",
                rtol=1e-5, atol=0.15 if drawn else 1e-4,
            )  # fmt: skip
        if engine == "ml" and not bound:
            out[f"{label}: p"] = Output(float(row["p_value"]), rtol=1e-4, atol=1e-7)
    return out


def simple_answer(case: Case) -> Answer:
    cohort, out = cohort_of(case), {}
    first = simple.baseline_differences(cohort)
    for _, row in first.iterrows():
        label = f"{row['marker']}"
        for side in ("reference", "group"):
            name = case.group(row[side])
            out[f"{label} {name}"] = Output(
                float(row[f"median_{side}"]), 1, origin="response", rtol=1e-9
            )
        out[f"{label} p"] = Output(float(row["p_value"]), rtol=1e-6)
    for _, row in simple.within_group_changes(cohort).iterrows():
        label = f"{row['marker']} {case.group(row['group'])}"
        out[f"{label} change"] = Output(float(row["median_change"]), 1, rtol=1e-7)
        out[f"{label} p change"] = Output(float(row["p_value"]), rtol=1e-6)
    return out


def counts_answer(case: Case) -> Answer:
    """Deaths in two groups of a cohort: everything that follows from four numbers."""
    cohort = cohort_of(case)
    table = simple.mortality_table(cohort)
    counts = Counts.of(cohort)
    out = {
        "deaths": Output(float(counts.events + counts.reference_events)),
        "rows": Output(float(len(table))),
        "risk of " + case.group(case.order[1]): Output(counts.risk),
        "risk of " + case.group(case.order[0]): Output(counts.reference_risk),
    }
    both = two_by_two(counts.events, counts.n, counts.reference_events, counts.reference_n)
    label = both["quantity"] + " " + both["method"]
    chosen = both[both["quantity"].isin(["risk difference", "odds ratio", "no difference"])]
    chosen = chosen.assign(quantity=label[chosen.index])
    # Priors that expect a benefit of one of the two groups are not of the other.
    chosen = chosen[~chosen["method"].str.contains("enthusiastic|pessimistic|trials")]
    out |= comparison(chosen.reset_index(drop=True), case)
    tipping = tipping_points(counts, 3)
    return out | {"tipping": Output(float(tipping["to_reverse"].iloc[0]))}


def landmark_answer(case: Case) -> Answer:
    found = landmark(cohort_of(case), case.moments[1])
    values = found.data["crp"].to_numpy(dtype=float)
    return {
        "at risk": Output(float(len(found.data))),
        "mean": Output(float(values.mean()), 1, origin="response"),
        "left out": Output(float(found.left_out["n"].sum())),
    }


def mortality_answer(case: Case) -> Answer:
    """Every method, and the competing events."""
    names = case.columns
    study = Mortality(case["rows"], names["arm"], case.moments[1], adjust=_q(case, "age"))
    with around_the_mode():
        found = study.methods(priors={"weak": pr.TREATMENT["weak"]}, draws=200)
    out: Answer = {}
    for _, row in found.table.iterrows():
        label = f"{row['quantity']}, {row['method']}"
        if any(w in row["method"] for w in ("enthusiastic", "pessimistic", "trials")):
            continue
        drawn = row["engine"] == "bayes" or "permutation" in label or "imputation" in label
        ratio, time = "ratio" in row["quantity"], int("mean" in row["quantity"])
        for name, mirror in MIRROR.items():
            value = float(row[name])
            value = math.log(value) if ratio and 0 < value < math.inf else value
            out[f"{label}: {name}"] = Output(
                value, time=time, swaps=f"{label}: {mirror}", rtol=1e-5, atol=0.5 if drawn else 1e-6
            )
        out[f"{label}: p"] = Output(float(row["p_value"]), rtol=1e-4, atol=0.05 if drawn else 1e-6)
    competing = study.competing(draws=500).table
    out |= {
        f"competing {k}": Output(float(v), atol=0.1)
        for k, v in enumerate(competing["p_value"].dropna())
    }
    return out


def subgroups_answer(case: Case) -> Answer:
    """Every level by both engines, and the test that all are alike."""
    names = case.columns
    study = Mortality(case["rows"], names["arm"], case.moments[1], adjust=_q(case, "age"))
    with around_the_mode():
        found = study.subgroups([names["stage"]], draws=500, chains=2)
    out: Answer = {}
    for _, row in found.table.iterrows():
        label = f"{row['level']}, {row['quantity']}, {row['engine']}"
        drawn, ratio = row["engine"] == "bayes", row["quantity"] == "hazard ratio"
        for name, mirror in MIRROR.items():
            value = math.log(row[name]) if ratio else float(row[name])
            out[f"{label}: {name}"] = Output(
                value, swaps=f"{label}: {mirror}", rtol=1e-5, atol=0.1 if drawn else 1e-6
            )
    (test,) = found.tests.to_dict("records")
    return out | {
        "statistic": Output(test["statistic"], rtol=1e-5, atol=1e-7),
        "df": Output(float(test["df"])),
    }


FEW = ("scale response", "permute rows", "recode", "swap groups")


def _of(name: str, answer: Callable[[Case], Answer], *covers: str) -> Family:
    return Family(name, cohort_case, answer, covers, FEW)


def mortality_case(seed: int) -> Case:
    case = group_case(seed)
    rows = case["rows"].drop(columns="stage")
    columns = {r: c for r, c in case.columns.items() if r != "stage"}
    return replace(case, tables={"rows": rows}, columns=columns, moments=(6.0, 20.0))


COHORT = (
    _of("Panel", panel_answer, "analyses.Panel", "estimands.changes"),
    _of("BaselineAdjustment", adjusted_answer, "analyses.BaselineAdjustment",
        "analyses.adjusted_changes", "estimands.baseline_adjusted"),
    _of("DeathInMarkers", death_answer, "analyses.DeathInMarkers", "estimands.truncation",
        "estimands.worst_rank", "estimands.proportional_odds"),
    _of("baseline_differences", simple_answer, "estimands.simple", "Cohort", "Schema", "Marker",
        "Phase"),
    _of("two_by_two", counts_answer, "estimands.two_by_two", "estimands.counts",
        "estimands.tipping", "estimands.simple"),
    _of("landmark", landmark_answer, "estimands.landmark"),
    Family("Mortality", mortality_case, mortality_answer, ("analyses.Mortality",),
           ("round times", "swap groups")),
    Family("Subgroups", group_case, subgroups_answer, ("analyses.Mortality",),
           ("permute rows", "swap groups")),
)  # fmt: skip
