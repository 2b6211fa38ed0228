"""Models of survival: Cox, parametric hazards, joint models."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, Terms
from invariance.families_mixed import PRIOR, STAGES
from invariance.reading import contrasts, posterior_at, verdicts, weights_at
from joint_cohorts import Truth, simulated

from longsurv.models import LMM, CoxPH, FineGray, Hazard, JointModel, area, slope, value

COLUMNS = {
    "patient": "id", "entry": "start", "exit": "stop", "event": "died", "arm": "arm", "age": "age",
    "stage": "stage", "site": "site",
}  # fmt: skip
FROM_ENTRY = "Surv({entry}, {exit}, {event})"
FROM_ZERO = "Surv({exit}, {event})"


def patients(seed: int, n: int = 60) -> pd.DataFrame:
    """Follow-up in whole days, so with ties, and late entry."""
    rng = np.random.default_rng(seed)
    arm, age = rng.permutation(n) % 2, np.round(rng.normal(60, 9, n))
    stage, site = STAGES[rng.permutation(n) % 3], rng.permutation(n) % 3
    rate = 0.04 * np.exp(-0.6 * arm + 0.03 * (age - 60) + 0.4 * (stage == "II"))
    died = rng.exponential(1.0 / rate)
    start = np.where(rng.random(n) < 0.4, rng.integers(1, 5, n), 0).astype(float)
    stop = start + np.ceil(np.minimum(died, rng.uniform(8.0, 30.0, n)))
    return pd.DataFrame(
        {
            "id": np.arange(n) + 7, "start": start, "stop": stop,
            "died": (died <= stop - start).astype(int), "arm": arm, "age": age, "stage": stage,
            "site": site,
        }
    )  # fmt: skip


def competing_case(seed: int, late: bool = False) -> Case:
    """As `survival_case`, some of those without the event having left by another."""
    left = FROM_ENTRY if late else FROM_ZERO
    case = survival_case(seed, left=left, without=("site",) if late else ("site", "entry"))
    rng = np.random.default_rng(seed + 1)

    def other(table: pd.DataFrame) -> pd.DataFrame:
        home = (table["died"] == 0) & (rng.random(len(table)) < 0.5)
        table = table.assign(died=np.where(home, 2, table["died"]))
        return table if late else table.assign(stop=table["stop"] + 1.0)

    return case.with_tables(other)


def fine_gray_answer(case: Case, **how: Any) -> Answer:
    spec = FineGray(case.formula(), case["rows"], **how)
    fit = spec.fit()
    fixed = spec.design.fixed
    weights = weights_at(fixed.names, fixed.rebuild(case["points"]))
    del weights["at 0"]
    out = contrasts(fit, weights)
    out["pseudo-llf"] = Output(fit.llf, rtol=1e-8, atol=1e-6)
    curve = fit.incidence(case["points"], list(case.moments))
    for k, (_, row) in enumerate(curve.iterrows()):
        for column in ("estimate", "std_error", "conf_low", "conf_high"):
            out[f"F {k}: {column}"] = Output(float(row[column]), rtol=1e-5, atol=1e-6)
    return out | verdicts(fit)


def survival_case(
    seed: int,
    left: str = FROM_ENTRY,
    right: tuple[str, ...] = ("{arm} * {age}", "{stage}"),
    special: tuple[str, ...] = (),
    without: tuple[str, ...] = ("site",),
    traits: tuple[str, ...] = (),
) -> Case:
    rows = patients(seed)
    rows.loc[3, "age"] = np.nan
    places = rows.iloc[[0, 4, 9, 14, 19]].reset_index(drop=True).assign(arm=[0, 1, 0, 1, 1])
    columns = {r: c for r, c in COLUMNS.items() if r not in without}
    drop = [COLUMNS[r] for r in without]
    return Case(
        {"rows": rows.drop(columns=drop), "points": places.drop(columns=drop)},
        columns, {"model": Terms(left, right, special)}, moments=(6.0, 14.0), traits=traits,
    )  # fmt: skip


def _weights(spec: CoxPH | Hazard, case: Case) -> dict[str, dict[str, float]]:
    fixed = spec.design.fixed
    weights = weights_at(fixed.names, fixed.rebuild(case["points"]))
    del weights["at 0"]  # there is no intercept: only differences mean something
    return weights


def _survival(out: Answer, fit: Any, case: Case) -> Answer:
    """Verdicts, and what is predicted of the places."""
    found = verdicts(fit)
    del found["nobs"]  # rows, of which a patient may have several
    curve = fit.predict(case["points"], times=list(case.moments))
    for k, (_, row) in enumerate(curve.iterrows()):
        for column in ("estimate", "conf_low", "conf_high"):
            out[f"S {k}: {column}"] = Output(float(row[column]), rtol=1e-5, atol=1e-6)
    return out | found


def _cox(case: Case, split: bool = False, **how: Any) -> CoxPH:
    patient = case.columns["patient"] if split else None
    return CoxPH(case.formula(), case["rows"], patient=patient, **how)


def cox_answer(case: Case, penalty: str | None = None, **how: Any) -> Answer:
    spec = _cox(case, **how)
    fit = spec.fit(penalty=penalty)
    out = _survival(contrasts(fit, _weights(spec, case)), fit, case)
    out["llf"] = Output(fit.llf, rtol=1e-8, atol=1e-6)
    c = fit.concordance()
    out["C"], out["SE of C"] = Output(c.c, rtol=1e-6), Output(c.std_error, rtol=1e-4)
    tests = fit.global_tests()
    for test, statistic in zip(tests["test"], tests["statistic"], strict=True):
        out[f"global: {test}"] = Output(float(statistic), rtol=1e-4)
    return out


def sites_case(seed: int, right: tuple[str, ...] = ("{arm} * {age}", "{stage}")) -> Case:
    """As `survival_case`, with sites that differ: patients are at one with others who stay as
    long, more or less."""
    rng = np.random.default_rng(seed + 2)
    case = survival_case(seed, right=right, special=("(1 | {site})",), without=())

    def apart(table: pd.DataFrame) -> pd.DataFrame:
        place = (table["stop"] - table["start"] + rng.normal(0.0, 7.0, len(table))).rank()
        return table.assign(site=place // 10)

    return case.with_tables(apart)


def sites_answer(case: Case, baseline: str | None = None) -> Answer:
    spec = _cox(case) if baseline is None else _hazard(case, baseline)
    fit = spec.fit()
    out = _survival(contrasts(fit, _weights(spec, case)), fit, case)
    time = 0 if baseline is None else int(spec.design.n_events)
    out["llf"] = Output(fit.llf, time=time, density=time > 0, rtol=1e-8, atol=1e-6)
    row = fit.variance_table().iloc[-1]
    for column in ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"):
        out[f"SD of sites: {column}"] = Output(float(row[column]), rtol=1e-4)
    effects = fit.ranef().set_index(case.columns["site"])
    for site, effect in effects["estimate"].items():
        out[f"site {site}"] = Output(float(effect), rtol=1e-5, atol=1e-6)
    return out


def cox_posterior(case: Case, **how: Any) -> Answer:
    spec = _cox(case, **how)
    return posterior_at(spec, _weights(spec, case))


def _hazard(case: Case, baseline: str) -> Hazard:
    return Hazard(case.formula(), case["rows"], baseline, patient=case.columns["patient"])


def hazard_answer(case: Case, baseline: str) -> Answer:
    spec = _hazard(case, baseline)
    fit = spec.fit()
    out = _survival(contrasts(fit, _weights(spec, case)), fit, case)
    events = int(spec.design.n_events)
    return out | {"llf": Output(fit.llf, time=events, density=True, rtol=1e-8, atol=1e-5)}


def hazard_posterior(case: Case, baseline: str) -> Answer:
    spec = _hazard(case, baseline)
    return posterior_at(spec, _weights(spec, case), times=int(spec.design.n_events))


JOINT_COLUMNS = {"patient": "id", "time": "t", "exit": "stop", "event": "event", "arm": "treated",
                 "age": "age", "response": "y"}  # fmt: skip


def joint_case(seed: int, right: tuple[str, ...] = ("{time}", "{time}:{arm}")) -> Case:
    rng = np.random.default_rng(seed)
    truth = Truth(visits=(0.0, 0.75, 1.5, 3.0, 4.5, 6.0))
    rows, people = simulated(rng, 40, truth)
    people["age"] = np.round(rng.normal(60, 9, len(people)))
    for name, table in (("y", rows), ("stop", people)):
        table[name] = np.round(table[name] * 1024) / 1024  # of single precision too
    people = people.drop(columns="entry")
    places = people.iloc[:4].assign(treated=[0, 1, 0, 1], t=[0.0, 0.0, 4.0, 4.0])
    return Case(
        {"rows": rows.drop(columns=[]), "people": people, "points": places.reset_index(drop=True)},
        JOINT_COLUMNS,
        {"marker": Terms("{response}", right, ("({time} | {patient})",)),
         "event": Terms(FROM_ZERO, ("{arm}", "{age}"))},
        moments=(2.0, 5.0),
    )  # fmt: skip


LINKS = {"value": (value, -1, 0), "slope": (slope, -1, 1), "area": (area, -1, -1)}
"""What the hazard depends on, and the powers of the response's and time's unit in its effect."""


def _joint(case: Case, link: str, baseline: str) -> JointModel:
    return JointModel(
        LMM(case.formula("marker"), case["rows"]), CoxPH(case.formula("event"), case["people"]),
        time=case.columns["time"], link=LINKS[link][0](), baseline=baseline,
    )  # fmt: skip


def _joint_weights(spec: JointModel, case: Case) -> dict[str, dict[str, dict[str, float]]]:
    (marker,), (cause,) = spec.design.markers, spec.design.causes
    X, W = (fixed.rebuild(case["points"]) for fixed in (marker.design.fixed, cause.event.fixed))
    names = [marker.prefix + n for n in marker.design.fixed.names]
    event = {f"event {k}": w for k, w in weights_at(list(cause.covariate_names), W).items()}
    del event["event at 0"]
    return {"marker": weights_at(names, X), "event": event}


def joint_answer(case: Case, link: str, baseline: str) -> Answer:
    spec = _joint(case, link, baseline)
    fit = spec.fit()
    weights = _joint_weights(spec, case)
    out = verdicts(fit) | contrasts(fit, weights["marker"], response=1, level=True)
    out |= contrasts(fit, weights["event"])
    (term,) = spec.design.causes[0].association_names
    row = fit.contrast(term).iloc[0]
    _, response, time = LINKS[link]
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        out[f"association: {column}"] = Output(
            float(row[column]), response, time, rtol=2e-4, atol=2e-4 * float(row["std_error"])
        )
    out["association: p_value"] = Output(float(row["p_value"]), rtol=2e-3, atol=1e-6)
    events = int(spec.design.status.sum())
    out["llf"] = Output(fit.llf, fit.nobs, events, density=True, rtol=1e-8, atol=1e-4)
    return out | predicted(fit, case)


def predicted(fit: Any, case: Case) -> Answer:
    """Survival of four patients and their own curves, given what was measured of them early on."""
    patient, age = case.columns["patient"], case.columns["age"]
    ages = case["people"][[patient, age]]
    rows = case["rows"].merge(ages, on=patient).sort_values(patient, kind="stable")
    rows = rows[rows[patient].isin(case["points"][patient])]
    at, until = case.moments
    asked = {"newdata": rows, "at": at, "times": [until], "draws": 2}
    alive = fit.predict_survival(**asked)
    curve = fit.predict_marker(**asked, interval="prediction")
    out: Answer = {}
    for k, who in enumerate(case["points"][patient]):
        survival, own = (found[found[patient] == who]["estimate"] for found in (alive, curve))
        out[f"survival {k}"] = Output(float(survival.iloc[0]), atol=1e-4)
        spread = float(case["rows"][case.columns["response"]].std())
        out[f"own curve {k}"] = Output(float(own.iloc[0]), 1, origin="response", atol=1e-4 * spread)
    return out


def joint_posterior(case: Case, link: str, baseline: str) -> Answer:
    spec = _joint(case, link, baseline)
    weights, counted = _joint_weights(spec, case), len(case["rows"])
    events = int(spec.design.status.sum())
    out = posterior_at(spec, weights["marker"], response=1, level=True, measurements=counted,
                       times=events)  # fmt: skip
    return out


CLOCK = ("shift follow-up", "scale time", "round times", "split follow-up", "rename", "swap groups")
TIES, SURVIVAL_PRIOR = ("stage", "site"), (*PRIOR[1:], "shift follow-up")
BASELINES = ("exponential", "weibull", "piecewise", "mspline")
JOINTS = (("value", "weibull"), ("slope", "spline"), ("area", "piecewise"))
JOINT_SHORT = ("shift time", "scale time", "scale covariate", "shift response", "scale response",
               "permute rows", "rename", "recode", "dtypes", "swap groups")  # fmt: skip
ONE_ROW = {"left": FROM_ZERO, "without": ("site", "entry")}
SEVERAL = {"traits": ("split",)}

SURVIVAL = (
    Family("CoxPH, Efron", partial(survival_case, **ONE_ROW), cox_answer, ("models.CoxPH",)),
    Family("CoxPH, Breslow", partial(survival_case, **ONE_ROW), partial(cox_answer, ties="breslow"),
           ("models.CoxPH",), CLOCK),
    Family("CoxPH, Firth", partial(survival_case, right=("{arm}", "{age}"), without=TIES),
           partial(cox_answer, penalty="firth"), ("models.CoxPH",), ("scale covariate", *CLOCK)),
    Family("CoxPH, strata", partial(survival_case, special=("strata({site})",), without=()),
           cox_answer, ("models.CoxPH",), CLOCK),
    Family("CoxPH, start-stop", partial(survival_case, **SEVERAL), partial(cox_answer, split=True),
           ("models.CoxPH",), CLOCK),
    Family("CoxPH, sites", sites_case, sites_answer, ("models.CoxPH",), SURVIVAL_PRIOR),
    Family("CoxPH, sites, posterior", sites_case, cox_posterior, ("models.CoxPH",),
           SURVIVAL_PRIOR),
    Family("Hazard, sites", sites_case, partial(sites_answer, baseline="piecewise"),
           ("models.Hazard",), SURVIVAL_PRIOR),
    Family("Hazard, sites, posterior", sites_case, partial(hazard_posterior, baseline="mspline"),
           ("models.Hazard",), SURVIVAL_PRIOR),
    Family("FineGray", competing_case, fine_gray_answer, ("models.FineGray",)),
    Family("FineGray, delayed entry", partial(competing_case, late=True),
           partial(fine_gray_answer, ties="breslow"), ("models.FineGray",), CLOCK),
    Family("CoxPH, posterior", survival_case, cox_posterior, ("models.CoxPH",), SURVIVAL_PRIOR),
    *(
        Family(f"Hazard, {baseline}", partial(survival_case, **SEVERAL),
               partial(hazard_answer, baseline=baseline), ("models.Hazard",),
               () if baseline == "mspline" else CLOCK)
        for baseline in BASELINES
    ),
    *(
        Family(f"Hazard, {baseline}, posterior", survival_case,
               partial(hazard_posterior, baseline=baseline), ("models.Hazard",), SURVIVAL_PRIOR)
        for baseline in BASELINES
    ),
    *(
        Family(f"JointModel, {link}, {baseline}", joint_case,
               partial(joint_answer, link=link, baseline=baseline),
               ("models.JointModel", f"models.{link}"), JOINT_SHORT)
        for link, baseline in JOINTS
    ),
    Family("JointModel, posterior", joint_case,
           partial(joint_posterior, link="value", baseline="weibull"), ("models.JointModel",),
           PRIOR[1:]),
)  # fmt: skip
