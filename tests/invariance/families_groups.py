"""Functions of a table of patients in two groups, and checks of fitted models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, Terms
from invariance.families_mixed import mixed_case, mixed_spec
from invariance.families_survival import (
    FROM_ENTRY,
    FROM_ZERO,
    _cox,
    _hazard,
    _joint,
    joint_case,
    patients,
    survival_case,
)

from longsurv.diagnostics import cox_residuals, joint_checks, residuals
from longsurv.diagnostics.joint_influence import joint_influence
from longsurv.diagnostics.proportional_hazards import cox_zph
from longsurv.estimands import (
    adjusted_curves,
    competing,
    doubly_robust,
    exact_hazard,
    gray,
    standardised,
    weighting,
)
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
from longsurv.estimands.changes import Change, difference_in_change, mean_curves
from longsurv.estimands.joint_effects import joint_effects
from longsurv.estimands.propensity import fit_propensity, propensity_draws
from longsurv.estimands.standardised_curves import standardised_survival
from longsurv.estimands.weighted_log_rank import weighted_log_rank

# Modules that hold a public function of the same name.
concordance, influence = map(
    import_module, ("longsurv.diagnostics.concordance", "longsurv.diagnostics.influence")
)
(
    follow_up, incidence_posterior, kaplan_meier, log_rank, restricted_mean, start_stop,
    survival_times,
) = (
    import_module(f"longsurv.estimands.{name}")
    for name in ("follow_up", "incidence_posterior", "kaplan_meier", "log_rank", "restricted_mean",
                 "start_stop", "survival_times")
)  # fmt: skip

FIXED = ("entry", "exit", "event", "status")
FOLLOW_UP = {"patient": "id", "exit": "exit", "event": "status", "arm": "arm", "age": "age",
             "stage": "stage"}  # fmt: skip


def group_case(seed: int, late: bool = False, competing: bool = True, n: int = 50) -> Case:
    """Follow-up as `Cohort.survival_data()` has it."""
    rows = patients(seed, n)
    rng = np.random.default_rng(seed + 1)
    status = np.where((rows["died"] == 0) & (rng.random(n) < 0.4 * competing), 2, rows["died"])
    rows = rows.rename(columns={"start": "entry", "stop": "exit"}).assign(status=status)
    columns = FOLLOW_UP | ({"entry": "entry"} if late else {})
    drop = ["died", "site"]
    if not late:
        rows["exit"] -= rows["entry"]
        drop += ["entry"]
    return Case({"rows": rows.drop(columns=drop)}, columns, moments=(6.0, 14.0), fixed=FIXED)


def comparison(
    table: pd.DataFrame, case: Case, column: str = "quantity", *, time: int = 0, draws: bool = False
) -> Answer:
    """Rows of a table of two groups: each group's value, their difference, their ratio.

    `time` is the power of time's unit in values and differences; `draws` says that they are of a
    random sample, whose seed the two groups share.
    """
    out: Answer = {}
    rtol, atol = (0.05, 0.03) if draws else (1e-6, 1e-8)
    for i, (_, row) in enumerate(table.iterrows()):
        label, signed, ratio = str(row[column]), False, False
        for value in case.order:
            for text in (f" of {value}", f" ({value})"):
                if label.endswith(text):
                    label = label.removesuffix(text) + " of " + case.group(value)
        if " of " not in label:
            signed, ratio, label = True, "ratio" in label or not label, f"{i} {label}"
        power = 0 if ratio else time
        if draws:  # four standard errors of two tail quantiles of 4000 draws each, of one normal
            low, high = float(row["conf_low"]), float(row["conf_high"])
            width = math.log(high / low) if ratio and low > 0.0 else high - low
            atol = 0.062 * width if math.isfinite(width) else 0.03

        def read(name: str, log: bool = ratio, row: pd.Series = row) -> float:
            value = float(row.get(name, math.nan))
            return math.log(value) if log and value > 0 else value

        for name, mirror in (
            ("estimate", "estimate"), ("conf_low", "conf_high"), ("conf_high", "conf_low"),
        ):  # fmt: skip
            swaps = f"{label}: {mirror}" if signed else ""
            out[f"{label}: {name}"] = Output(
                read(name), time=power, swaps=swaps, rtol=rtol, atol=atol
            )
        if "p_value" in row:
            out[f"{label}: p_value"] = Output(read("p_value", False), rtol=1e-5, atol=1e-7)
        if "std_error" in row:
            out[f"{label}: std_error"] = Output(
                read("std_error", False), time=power, rtol=max(rtol, 1e-5), atol=atol
            )
    return out


def by_group(table: pd.DataFrame, case: Case, columns: Iterable[str], arm: str = "") -> Answer:
    """Rows of a table with a column of the group, in order within each."""
    out: Answer = {}
    arm = arm or next(c for c in table.columns if str(c).startswith(case.columns["arm"]))
    seen: dict[str, int] = {}
    for _, row in table.iterrows():
        name = case.group(row[arm])
        seen[name] = seen.get(name, -1) + 1
        for column in columns:
            out[f"{name} {seen[name]}: {column}"] = Output(float(row[column]), rtol=1e-7)
    return out


KM = ("n_risk", "events", "survival", "std_error", "conf_low", "conf_high")
CIF = ("n_risk", "events", "estimate", "std_error", "conf_low", "conf_high")


def survival_table(case: Case) -> Answer:
    rows, arm = case["rows"], case.columns["arm"]
    out = by_group(kaplan_meier.survival_table(rows, arm, case.moments), case, KM)
    for value, side in follow_up.by_group(rows, arm).items():
        curve = kaplan_meier.kaplan_meier(side)
        out[f"{case.group(value)}: steps"] = Output(float(len(curve.time)))
        out[f"{case.group(value)}: last"] = Output(float(curve.time[-1]), time=1, origin="time")
    return out


def quantiles_answer(case: Case) -> Answer:
    rows, arm, out = case["rows"], case.columns["arm"], {}
    for name, function in (
        ("event", survival_times.survival_quantiles), ("end", survival_times.follow_up_quantiles),
    ):  # fmt: skip
        table = function(rows, arm, (0.1, 0.25, 0.5))
        column = next(c for c in table.columns if str(c).startswith(arm))
        for _, row in table.iterrows():
            label = f"{name} {case.group(row[column])} {row['share']}"
            for limit in ("estimate", "conf_low", "conf_high"):
                value = float(row[limit])
                moved = {"time": 1, "origin": "time"} if math.isfinite(value) else {}
                out[f"{label}: {limit}"] = Output(value, rtol=1e-9, **moved)
    return out


def incidence_table(case: Case) -> Answer:
    rows, arm = case["rows"], case.columns["arm"]
    out = by_group(competing.incidence_table(rows, arm, case.moments), case, CIF)
    for value, side in follow_up.by_group(rows, arm).items():
        curve = cumulative_incidence(side)
        out[f"{case.group(value)}: incidence"] = Output(
            float(np.ravel(curve.at(case.moments[1]))[0])
        )
    return out


def log_rank_answer(case: Case) -> Answer:
    table = log_rank.log_rank_table(case["rows"], case.columns["arm"], draws=200)
    out: Answer = {}
    for i, (_, row) in enumerate(table.iterrows()):
        label, drawn = f"{row['method']}", i > 2
        statistic = float(row["statistic"])
        out[f"{label}: z"] = Output(statistic, swaps=f"{label}: z", rtol=1e-7)
        atol = 0.2 if drawn else 1e-8  # 200 random draws: four standard errors and a half
        out[f"{label}: p"] = Output(float(row["p_value"]), atol=atol)
    _, mine, _, others = follow_up.two_groups(case["rows"], case.columns["arm"])
    direct = log_rank.log_rank(mine, others)
    out["variance"] = Output(direct.variance, rtol=1e-8)
    return out


def weighted_log_rank_answer(case: Case) -> Answer:
    rows, arm = case["rows"], case.columns["arm"]
    out: Answer = {}
    for strata in (None, case.columns["stage"]):
        table = weighted_log_rank(rows, arm, strata=strata, draws=100)
        for _, row in table.iterrows():
            label = f"{row['method']}{' in strata' * (strata is not None)}"
            out[f"{label}: z"] = Output(float(row["statistic"]), swaps=f"{label}: z", rtol=1e-7)
            out[f"{label}: p"] = Output(float(row["p_value"]), rtol=1e-5, atol=1e-6)
    return out


def gray_answer(case: Case) -> Answer:
    test = gray.gray_test(case["rows"], case.columns["arm"])
    return {"statistic": Output(test.statistic, rtol=1e-7), "p": Output(test.p_value, rtol=1e-7)}


def exact_answer(case: Case) -> Answer:
    table = exact_hazard.exact_hazard_ratio(case["rows"], case.columns["arm"])
    return comparison(table.assign(quantity=table["method"] + " ratio"), case)


def restricted_answer(case: Case) -> Answer:
    start, horizon = case.moments
    table = restricted_mean.restricted_mean_table(
        case["rows"], case.columns["arm"], horizon, start=start
    )
    return comparison(table, case, time=1)


def difference_answer(case: Case) -> Answer:
    rows, arm, at = case["rows"], case.columns["arm"], case.moments[1]
    return comparison(competing.incidence_difference(rows, arm, at), case)


def incidence_draws(case: Case) -> Answer:
    rows, arm, at = case["rows"], case.columns["arm"], case.moments[1]
    table = incidence_posterior.incidence_posterior(rows, arm, at, draws=4000)
    return comparison(table, case, draws=True)


def weighted_answer(case: Case) -> Answer:
    rows, names = case["rows"], case.columns
    right = case.formula().split("~")[1]
    weights = weighting.overlap_weights(rows, names["arm"], right)
    outcome = rows[names["response"]].to_numpy(dtype=float)
    out: Answer = {}
    for name, one in comparison(weighting.weighted_difference(weights, outcome), case).items():
        level = " of " in name and not name.endswith("std_error")
        unit = 0 if name.endswith("p_value") else 1
        out[name] = replace(one, response=unit, origin="response" if level and unit else "")
    drawn = bayesian_bootstrap(weights, outcome, draws=400)
    error = 0.35 * float(drawn.std())  # 400 draws: five standard errors of a difference of means
    out["bootstrap"] = Output(float(drawn.mean()), 1, swaps="bootstrap", rtol=0.0, atol=error)
    X, treated = weights.centred, weights.treated
    fitted = fit_propensity(X, treated).probability
    (drawn_e,) = propensity_draws(X, treated, np.ones((1, len(X))))
    for name, e in (("e", fitted), ("drawn e", drawn_e)):
        # Who is called treated does not change how far from a half anybody's probability is.
        out[f"{name}: spread"] = Output(float(np.mean((e - 0.5) ** 2)), rtol=1e-4)
    return out


def curves_answer(case: Case) -> Answer:
    rows, arm, horizon = case["rows"], case.columns["arm"], case.moments[1]
    right = case.formula().split("~")[1]
    out: Answer = {}
    for target in ("ATE", "overlap", "matching"):
        weights = weighting.propensity_weights(rows, arm, right, target=target)
        table = adjusted_curves.weighted_comparison(weights, rows, horizon)
        time = table["quantity"].str.startswith("mean")
        for part, power in ((table[~time], 0), (table[time], 1)):
            found = comparison(part.drop(columns="note"), case, time=power)
            out |= {
                f"{target}, {name}": replace(
                    one, rtol=1e-5, swaps=one.swaps and f"{target}, {one.swaps}"
                )
                for name, one in found.items()
            }
        for name, function in (
            ("survival", adjusted_curves.weighted_survival),
            ("incidence", adjusted_curves.weighted_incidence),
        ):
            curve = function(weights, rows, case.moments)
            found = by_group(curve, case, ("n_risk", "estimate", "std_error"), "group")
            out |= {f"{target}, {name}, {k}": replace(v, rtol=1e-5) for k, v in found.items()}
    if "entry" not in case.columns:
        whole = weighting.propensity_weights(rows, arm, right)
        table = doubly_robust.doubly_robust_risk(whole, rows, horizon)
        found = comparison(table.drop(columns="note"), case)
        out |= {
            f"robust, {k}": replace(v, rtol=1e-5, swaps=v.swaps and f"robust, {v.swaps}")
            for k, v in found.items()
        }
    return out


def several_arms_answer(case: Case) -> Answer:
    """Of arms that are the levels of a factor; what is told does not depend on their names."""
    rows, arm, horizon = case["rows"], case.columns["stage"], case.moments[1]
    out: Answer = {}
    for target in ("ATE", "overlap", "matching"):
        weights = weighting.propensity_weights(rows, arm, case.formula().split("~")[1],
                                               target=target)  # fmt: skip
        k = len(weights.arms)
        table = adjusted_curves.weighted_comparison(weights, rows, horizon, compare="pairwise")
        found = {"chance": np.mean((weights.propensity.chance - 1 / k) ** 2),
                 "size": weights.effective_sample_size()["effective_n"].prod(),
                 "imbalance": weights.imbalance()["std_difference_weighted"].max()}  # fmt: skip
        if "entry" not in case.columns and target == "ATE":
            robust = doubly_robust.doubly_robust_risk(weights, rows, horizon, compare="pairwise")
            table = pd.concat([table, robust.replace({"quantity": r"^r"}, "robust r", regex=True)])
        for name in ("risk of", "risk difference", "mean time of", "mean time difference",
                     "robust risk of", "robust risk difference"):  # fmt: skip
            some = table[table["quantity"].str.startswith(name)]
            if name.startswith("robust") and some.empty:
                continue
            for column in ("estimate", "std_error"):
                value = float((some[column] ** 2).sum())
                power = 2 if name.startswith("mean") else 0
                out[f"{target}, {name}, {column}"] = Output(value, time=power)
        out |= {f"{target}, {name}": Output(float(value)) for name, value in found.items()}
    return out


def several_arms_case(seed: int, late: bool = False) -> Case:
    case = group_case(seed, late=late, n=120)
    return replace(case, formulas={"model": Terms("1", ("{age}", "{arm}"))})


def curves_case(seed: int, late: bool = False) -> Case:
    case = group_case(seed, late=late)
    return replace(case, formulas={"model": Terms("1", ("{age}", "{stage}"))})


def weighted_case(seed: int) -> Case:
    case = group_case(seed)
    rows = case["rows"].drop(columns=["exit", "status"])
    rng = np.random.default_rng(seed + 2)
    rows["crp"] = np.round(64 * (0.05 * rows["age"] + rng.normal(size=len(rows)))) / 64
    columns = {r: c for r, c in case.columns.items() if r not in ("exit", "event")}
    return replace(
        case, tables={"rows": rows}, columns=columns | {"response": "crp"},
        formulas={"model": Terms("{response}", ("{age}", "{stage}"))},
    )  # fmt: skip


def standardised_answer(case: Case, baseline: str) -> Answer:
    spec = _cox(case) if baseline == "cox" else _hazard(case, baseline)
    fit, arm, horizon = spec.fit(), case.columns["arm"], case.moments[1]
    levels = {"treated": case.order[1], "reference": case.order[0]}
    risk = standardised.risk_difference(fit, arm, horizon, **levels)
    mean = standardised.restricted_mean_difference(fit, arm, horizon, **levels)
    curve = standardised_survival(fit, arm, case.moments, **levels)
    return (
        comparison(risk, case, "term")
        | comparison(mean, case, "term", time=1)
        | by_group(curve, case, ("estimate", "conf_low", "conf_high"), "group")
    )


def change_answer(case: Case) -> Answer:
    rows, names = case["rows"], case.columns
    fit = mixed_spec(case).fit()
    start, end = case.moments
    change = Change(names["time"], start, end, names["arm"], case.order[1], case.order[0])
    row = difference_in_change(fit, change, rows).iloc[0]
    out: Answer = {}
    for name, mirror in (
        ("estimate", "estimate"), ("conf_low", "conf_high"), ("conf_high", "conf_low"),
    ):  # fmt: skip
        tolerance = (1e-4 if name == "estimate" else 2e-3) * float(row["std_error"])
        out[name] = Output(float(row[name]), 1, swaps=mirror, atol=tolerance)
    out["std_error"] = Output(float(row["std_error"]), 1, rtol=2e-4)
    out["df"] = Output(float(row["df"]), rtol=5e-3)
    curves = mean_curves(fit, rows, names["time"], case.moments, names["arm"], list(case.order))
    arm = names["arm"] if names["arm"] != "estimate" else "estimate_newdata"
    for group, values in curves.groupby(arm, sort=False, observed=True):
        for k, value in enumerate(values["estimate"]):
            out[f"{case.group(group)} {k}"] = Output(float(value), 1, origin="response", atol=1e-5)
    return out


def change_case(seed: int) -> Case:
    case = mixed_case(seed, ("{time} * {arm}", "{age}"), without=("visit", "site", "stage"))
    return replace(case, moments=(1.0, 4.0), tables={"rows": case["rows"]})


def start_stop_case(seed: int) -> Case:
    case = joint_case(seed)
    tables = {"rows": case["rows"], "people": case["people"]}
    tables["rows"] = tables["rows"].drop(columns="treated")
    return replace(case, tables=tables, formulas={})


def start_stop_answer(case: Case) -> Answer:
    names = case.columns
    found = start_stop.start_stop(
        case["rows"], case["people"], [names["response"]], patient=names["patient"],
        time=names["time"], exit=names["exit"], event=names["event"],
    )  # fmt: skip
    data = found.data
    at_risk = (data["stop"] - data["start"]).to_numpy(dtype=float)
    y = data[names["response"]].to_numpy(dtype=float)
    return {
        "rows": Output(float(len(data))),
        "time at risk": Output(float(at_risk.sum()), time=1),
        "mean value": Output(float(at_risk @ y / at_risk.sum()), 1, origin="response"),
        "left out": Output(float(len(found.left_out))),
    }


def concordance_answer(case: Case) -> Answer:
    rows, names = case["rows"], case.columns
    numeric = [rows[names[r]].to_numpy(dtype=float) for r in ("age", "exit", "event")]
    numeric[2] = (numeric[2] == 1).astype(float)
    found = concordance.concordance(*numeric)
    # A score that is read backwards has 1 - C.
    apart = abs(found.c - 0.5)
    return {"C": Output(apart), "SE": Output(found.std_error), "tied": Output(found.tied)}


def cox_checks(case: Case) -> Answer:
    fit = _cox(case).fit()
    out: Answer = {}
    zph = cox_zph(fit).table
    for k, (_, row) in enumerate(zph.iloc[-1:].iterrows()):
        out[f"zph {k}: p"] = Output(float(row["p_value"]), rtol=1e-3, atol=1e-6)
    for kind in ("martingale", "deviance"):
        found = cox_residuals.residuals(fit, kind)
        values = np.sort(found.select_dtypes("number").iloc[:, -1].to_numpy(dtype=float))
        for k in (0, len(values) // 2, -1):
            out[f"{kind} {k}"] = Output(float(values[k]), rtol=1e-4, atol=1e-5)
    robust = cox_residuals.robust_covariance(fit.data, fit.coefficients, fit.naive_cov)
    X = fit.design.fixed.rebuild(case["points"])
    d = X[1:] - X[0]
    for k, v in enumerate(np.einsum("ij,jk,ik->i", d, robust, d)):
        out[f"robust {k}"] = Output(float(v), rtol=1e-3)
    return out


def mixed_checks(case: Case) -> Answer:
    fit = mixed_spec(case).fit()
    found = residuals.residuals(fit)
    out: Answer = {}
    for column in ("scaled", "marginal", "conditional"):
        if column in found:
            values = np.sort(found[column].to_numpy(dtype=float))
            power = 0 if column == "scaled" else 1
            # Residuals within a patient can be whitened in any order: their length is what stays.
            size = float(np.sqrt(np.mean(values**2)))
            out[column] = Output(size, power, rtol=1e-4)
    left = influence.influence(fit, by=case.columns["patient"]).patients
    distances = left["cooks_distance"].to_numpy(dtype=float)
    out["influence"] = Output(float(np.nanmax(distances)), rtol=1e-2)
    return out


def joint_answers(case: Case) -> Answer:
    fit = _joint(case, "value", "weibull").fit()
    levels = {"treated": case.order[1], "reference": case.order[0]}
    effects = joint_effects(fit, case.columns["arm"], case.moments[1], draws=20, **levels).table
    # A direct and an indirect part add up differently from the other group's point of view.
    effects = effects[~effects["term"].str.contains("direct|through|as under")]
    effects = effects[["term", "estimate"]].reset_index(drop=True)
    out = {
        k: replace(v, rtol=1e-3, atol=1e-5) for k, v in comparison(effects, case, "term").items()
    }
    events = joint_checks.event_residuals(fit)
    cs = np.sort(events["cox_snell"].to_numpy(dtype=float))
    out["Cox-Snell"] = Output(float(cs.sum()), rtol=1e-4)
    marker = joint_checks.marker_residuals(fit)
    out["marker residuals"] = Output(float(len(marker)))
    out["influence"] = Output(float(len(joint_influence(fit).patients)))
    return out


def _estimand(name: str, answer: Callable[[Case], Answer], *covers: str, **case: Any) -> Family:
    return Family(name, partial(group_case, **case), answer, covers)


FEW_JOINT = ("scale time", "scale response", "permute rows", "recode", "swap groups")
GROUPS = (
    _estimand("survival_table", survival_table, "estimands.kaplan_meier", "estimands.follow_up",
              late=True),
    _estimand("survival_quantiles", quantiles_answer, "estimands.survival_times", late=True),
    _estimand("incidence_table", incidence_table, "estimands.competing.incidence_table",
              "estimands.aalen_johansen.cumulative_incidence", late=True),
    _estimand("incidence_difference", difference_answer, "estimands.competing", late=True),
    _estimand("incidence_posterior", incidence_draws, "estimands.incidence_posterior", late=True),
    _estimand("log_rank_table", log_rank_answer, "estimands.log_rank"),
    _estimand("weighted_log_rank", weighted_log_rank_answer, "estimands.weighted_log_rank"),
    _estimand("gray_test", gray_answer, "estimands.gray"),
    _estimand("exact_hazard_ratio", exact_answer, "estimands.exact_hazard", late=True),
    _estimand("restricted_mean_table", restricted_answer, "estimands.restricted_mean", late=True),
    _estimand("concordance", concordance_answer, "diagnostics.concordance"),
    Family("overlap weights", weighted_case, weighted_answer,
           ("estimands.weighting", "estimands.bayesian_bootstrap", "estimands.propensity")),
    Family("weighted curves", curves_case, curves_answer,
           ("estimands.adjusted_curves", "estimands.doubly_robust", "estimands.weighted_risks",
            "estimands.weighted_influence", "estimands.weighted_sample")),
    Family("weighted curves of several arms", several_arms_case, several_arms_answer,
           ("estimands.propensity", "estimands.targets", "estimands.several_arms")),
    Family("weighted curves of several arms, delayed entry",
           partial(several_arms_case, late=True), several_arms_answer, ("estimands.targets",)),
    Family("weighted curves, delayed entry", partial(curves_case, late=True), curves_answer,
           ("estimands.adjusted_curves",)),
    *(
        Family(f"standardised, {kind}",
               partial(survival_case, left=FROM_ZERO, without=("site", "entry")),
               partial(standardised_answer, baseline=kind), ("estimands.standardised",))
        for kind in ("cox", "weibull")
    ),
    Family("difference_in_change", change_case, change_answer, ("estimands.changes",)),
    Family("start_stop", start_stop_case, start_stop_answer, ("estimands.start_stop",)),
    Family("checks of CoxPH", partial(survival_case, left=FROM_ENTRY), cox_checks,
           ("diagnostics.cox_residuals", "diagnostics.proportional_hazards")),
    Family("checks of LMM", partial(mixed_case, without=("visit", "site")), mixed_checks,
           ("diagnostics.residuals", "diagnostics.influence", "diagnostics.clusters"),
           ("shift time", "scale response", "recode")),
    Family("checks of JointModel", joint_case, joint_answers,
           ("estimands.joint_effects", "diagnostics.joint_checks", "diagnostics.joint_influence"),
           FEW_JOINT),
)  # fmt: skip
