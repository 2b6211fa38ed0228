"""Mixed and linear models of a marker."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, Terms
from invariance.reading import contrasts, log_det, posterior_at, verdicts, weights_at

from longsurv import Residual
from longsurv.models import GLMM, LMM, Linear
from longsurv.results.generalised.residuals import residuals

COLUMNS = {
    "patient": "id", "time": "week", "visit": "nr", "arm": "arm", "age": "age", "stage": "stage",
    "site": "site", "weight": "readings", "response": "crp",
}  # fmt: skip
COUNTED = ("poisson", "negative_binomial", "nbinom1")
STAGES = np.array(["I", "II", "III"])


def visits(seed: int, n: int = 21, irregular: bool = True, crossed: bool = False) -> pd.DataFrame:
    """Four visits of each patient, if crossed at another site each; every number is one of single
    precision too."""
    rng = np.random.default_rng(seed)
    patient, nr = np.repeat(np.arange(n), 4), np.tile(np.arange(4), n)
    week = np.array([0.0, 1.0, 2.0, 4.0])[nr] + irregular * rng.integers(0, 32, 4 * n) / 64
    arm, age = np.arange(n) % 2, np.round(rng.normal(60, 9, n))
    stage, site = STAGES[rng.permutation(n) % 3], rng.permutation(n) % 5
    own = rng.normal(size=(2, n)) * [[1.0], [0.4]]
    at, readings = (site[patient] + nr * crossed) % 5, 1.0 + (3 * patient + nr) % 4
    mean = 3.0 + 0.05 * (age - 60) + 0.4 * (stage == "II") + own[0]
    slope = -0.3 + 0.5 * arm + own[1]
    crp = mean[patient] + (0.5 * rng.normal(size=5))[at] + slope[patient] * week
    crp += 0.5 * rng.normal(size=4 * n)
    return pd.DataFrame(
        {
            "id": patient + 11, "week": week, "nr": nr, "arm": arm[patient], "age": age[patient],
            "stage": stage[patient], "site": at, "readings": readings,
            "crp": np.round(crp * 64) / 64,
        }
    )  # fmt: skip


def places(rows: pd.DataFrame) -> pd.DataFrame:
    """Five rows to predict, of patients that were seen."""
    first = rows.iloc[[0, 4, 9, 14, 19]].reset_index(drop=True)
    return first.assign(arm=[0, 1, 0, 1, 1], week=[0.0, 0.0, 4.0, 4.0, 1.0], nr=[0, 0, 3, 3, 1])


def mixed_case(
    seed: int,
    right: tuple[str, ...] = ("{time} * {arm}", "{age}", "{stage}"),
    special: tuple[str, ...] = ("({time} | {patient})",),
    without: tuple[str, ...] = (),
    weighted: bool = False,
    **more: Any,
) -> Case:
    rows = visits(seed, **more)
    rows.loc[3, "crp"] = np.nan
    without = without if weighted else (*without, "weight")
    columns = {r: c for r, c in COLUMNS.items() if r not in without}
    drop = [COLUMNS[r] for r in without]
    tables = {"rows": rows.drop(columns=drop), "points": places(rows).drop(columns=drop)}
    return Case(tables, columns, {"model": Terms("{response}", right, special)})


def mixed_spec(case: Case, residual: dict[str, str] | None = None) -> LMM:
    described = {k: case.columns.get(v, v) for k, v in (residual or {}).items()}
    weights = case.columns.get("weight")
    return LMM(case.formula(), case["rows"], Residual(**described), weights=weights)


def mixed_answer(case: Case, residual: dict[str, str] | None = None, how: str = "REML") -> Answer:
    at, spec = case["points"], mixed_spec(case, residual)
    fit = spec.fit(how)
    X = fit.design.fixed.rebuild(at)
    rows = fit.nobs - (X.shape[1] if how == "REML" else 0)
    llf = fit.llf + (log_det(fit.design.fixed.X) if how == "REML" else 0.0)
    out = verdicts(fit) | contrasts(fit, weights_at(fit.names, X), response=1, level=True)
    out["llf"] = Output(llf, rows, density=True, rtol=1e-8, atol=1e-6)
    if "time" in case.columns:
        out |= averages(case, fit)
    if fit.design.groupings:
        own = fit.predict(at, by_patient=True)
        for k, value in enumerate(own["estimate"]):
            out[f"own mean {k}"] = Output(float(value), 1, origin="response", atol=2e-5)
    return out


def averages(case: Case, fit: Any) -> Answer:
    """A mean and a slope over the patients as they are, whatever holds their groups."""
    time = case.columns["time"]
    shares = {"weights": "proportional"}
    mean = fit.means(time, at={time: [case["points"][time][2]]}, **shares).tidy()
    like = Output(0.0, 1, rtol=1e-6)
    out: Answer = {}
    for label, table, unit in (("mean", mean, 0), ("slope", fit.slopes(time, **shares).tidy(), -1)):
        se = float(table["std_error"].iloc[0])
        for column, near in (("estimate", 1e-4 * se), ("std_error", 2e-4 * se)):
            origin = "response" if (label, column) == ("mean", "estimate") else ""
            value = float(table[column].iloc[0])
            out[f"{label}: {column}"] = replace(
                like, value=value, time=unit, origin=origin, atol=near
            )
    if fit.design.residual is None:
        # What an arithmetic mean adds to that of the logarithm, whatever the response's origin.
        held = {time: [case["points"][time][2]]}
        found = fit.response_means(time, held, logarithm="log", **shares).logs.spread
        se = float(np.linalg.norm(found.slopes))
        for what, value in (("value", float(found.variance[0])), ("std_error", se)):
            out[f"variance: {what}"] = Output(value, 2, rtol=2e-4)
    return out


def mixed_posterior(case: Case, residual: dict[str, str] | None = None) -> Answer:
    spec = mixed_spec(case, residual)
    fixed = spec.design.fixed
    weights = weights_at(fixed.names, fixed.rebuild(case["points"]))
    return posterior_at(spec, weights, response=1, level=True, measurements=len(spec.design.y))


def generalised_case(seed: int, family: str, sites: bool = False, crossed: bool = False) -> Case:
    special = ("(1 | {patient})", "(1 | {site})") if sites else ("(1 | {patient})",)
    n = 40 if family in ("bernoulli", "ordinal") else 24
    case = mixed_case(seed, special=special, n=n, crossed=crossed)
    rows, y = case["rows"].copy(), case["rows"]["crp"]
    if family == "bernoulli":
        rows["crp"] = np.where(y.isna(), 0, (y > 3).astype(int))
    elif family == "ordinal":
        rows["crp"] = np.digitize(y.fillna(3.0), [2.0, 3.5])
    elif family == "censored":
        rows["crp"] = y.fillna(3.0).clip(lower=1.5)
        rows["limit"] = np.where(rows["crp"] == 1.5, "left", "none")
        between = rows["crp"].between(3.0, 3.5)
        rows["limit"] = rows["limit"].mask(between, "interval")
        rows = rows.assign(crp=rows["crp"].mask(between, 3.0), highest=3.5)
    elif family in COUNTED:
        rows["crp"] = np.floor(np.exp(y.fillna(3.0) / 2.0)).astype(int)
        rows["days"] = 1 + np.arange(len(rows)) % 5
        special = (*special, "offset(log({exposure}))")
    columns = dict(case.columns)
    if family == "censored":
        columns |= {"limit": "limit", "upper": "highest"}
    if family in COUNTED:
        columns["exposure"] = "days"
    if family in ("bernoulli", "ordinal", *COUNTED):
        columns["value"] = columns.pop("response")
        case = Case(
            case.tables, columns, {"model": Terms("{value}", case.formulas["model"].right, special)}
        )
    return Case({**case.tables, "rows": rows}, columns, case.formulas)


def generalised_parts(
    case: Case, family: str
) -> tuple[GLMM, dict[str, dict[str, float]], dict[str, int | bool], int]:
    """Specification, what to read, in which units, and how many measurements have a density."""
    censored = case.columns["limit"] if family == "censored" else None
    upper = case.columns["upper"] if family == "censored" else None
    spec = GLMM(case.formula(), case["rows"], family, censored=censored, nodes=7, upper=upper)
    fixed = spec.design.fixed
    X = fixed.rebuild(case["points"])
    weights = weights_at(fixed.names, X)
    if family == "ordinal":  # only the thresholds less the predictor mean something
        weights["at 0"] = {n: -float(w) for n, w in zip(fixed.names, X[0], strict=True)}
        weights["at 0"][spec.design.family_names[0]] = 1.0
    if family in ("bernoulli", "ordinal", *COUNTED):
        return spec, weights, {"response": 0, "level": False}, 0
    seen = len(spec.design.y)
    seen -= int((case["rows"][censored] != "none").sum()) if censored else 0
    return spec, weights, {"response": 1, "level": True}, seen


def generalised_answer(case: Case, family: str) -> Answer:
    spec, weights, units, counted = generalised_parts(case, family)
    fit = spec.fit()
    out = verdicts(fit) | contrasts(fit, weights, **units)
    out["llf"] = Output(fit.llf, counted, density=True, rtol=1e-8, atol=1e-5)
    for row in fit.r2().itertuples():
        out[f"R squared, {row.term}"] = Output(float(row.estimate), rtol=2e-4)
    if family == "ordinal":  # of responses drawn anew where the order of rows is another
        tests = fit.proportional_odds().table
        out["proportional odds"] = Output(float(tests["statistic"].iloc[-1]), rtol=0.02, atol=0.1)
    else:
        residual = residuals(fit, 1)["residual"]
        out["residual spread"] = Output(
            float(np.sqrt((residual**2).mean())), units["response"], rtol=2e-4
        )
    means = (
        fit.predict(case["points"], type="response")["estimate"] if family == "bernoulli" else []
    )
    for k, value in enumerate(means):
        out[f"risk {k}"] = Output(float(value), rtol=1e-4)
    return out


def generalised_posterior(case: Case, family: str) -> Answer:
    spec, weights, units, counted = generalised_parts(case, family)
    return posterior_at(spec, weights, measurements=counted, **units)


def linear_case(seed: int) -> Case:
    case = mixed_case(seed, ("{time}", "{arm} * {age}", "{stage}"), (), n=40)
    return Case(
        {**case.tables, "rows": case["rows"].groupby("id", as_index=False).last()},
        case.columns,
        case.formulas,
    )


def linear_parts(case: Case) -> tuple[Linear, dict[str, dict[str, float]]]:
    spec = Linear(case.formula(), case["rows"], case.columns["patient"])
    fixed = spec.design.fixed
    return spec, weights_at(fixed.names, fixed.rebuild(case["points"]))


def linear_answer(case: Case) -> Answer:
    spec, weights = linear_parts(case)
    fit = spec.fit()
    return verdicts(fit) | contrasts(fit, weights, response=1, level=True)


def linear_posterior(case: Case) -> Answer:
    spec, weights = linear_parts(case)
    post, out = spec.sample(draws=4000, chains=2), {}
    for label, of in weights.items():
        values = np.asarray(sum(w * post.samples[n] for n, w in of.items()))
        sd, origin = float(values.std()), "response" if label == "at 0" else ""
        error = 6.0 * sd / np.sqrt(values.size)  # of two means, at 4 standard errors
        out[f"{label}: posterior mean"] = Output(
            float(values.mean()), 1, origin=origin, rtol=0.0, atol=error
        )
        out[f"{label}: posterior SD"] = Output(sd, 1, rtol=0.07)
    return out


SHORT = ("{time} * {arm}", "{age}")
PATIENT = ("(1 | {patient})",)
BY_VISIT = {"visit": "visit", "patient": "patient"}
SMALL = {"right": SHORT, "n": 12}
FEW = ("shift time", "scale time", "scale response", "permute rows", "relabel patients", "recode",
       "rename")  # fmt: skip
FEWER = ("shift time", "scale time", "scale response", "swap groups")
PRIOR = ("permute levels", "shift time", "scale time", "shift covariate", "scale response",
         "permute terms", "recode", "swap groups")  # fmt: skip
STRUCTURES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    # name: the residual structure, and the case
    "": ({}, {"without": ("visit", "site")}),
    ", nested": ({}, {"special": ("({time} | {site}/{patient})",), "right": SHORT,
                      "without": ("visit", "stage")}),
    ", crossed": ({}, {"special": ("({time} | {patient})", "(1 | {site})"), "right": SHORT,
                       "without": ("visit", "stage"), "crossed": True}),
    ", cs": ({"kind": "cs", "patient": "patient"},
             SMALL | {"special": (), "without": ("visit", "site", "stage")}),
    ", ar1": ({"kind": "ar1"} | BY_VISIT, SMALL | {"special": (), "without": ("site", "stage")}),
    ", exponential": ({"kind": "exponential", "visit": "time", "patient": "patient"},
                      SMALL | {"special": PATIENT, "without": ("visit", "site", "stage")}),
    ", toeplitz": ({"kind": "toeplitz"} | BY_VISIT,
                   SMALL | {"special": (), "without": ("site", "stage")}),
    ", unstructured": ({"kind": "unstructured"} | BY_VISIT,
                       SMALL | {"special": (), "without": ("site", "stage")}),
    ", by group": ({"by": "arm"}, {"special": PATIENT, "right": SHORT,
                                   "without": ("visit", "site", "stage")}),
    ", ar1 by group": ({"kind": "ar1", "by": "arm"} | BY_VISIT,
                       {"special": (), "right": SHORT, "without": ("site", "stage")}),
    ", weighted": ({}, {"special": PATIENT, "right": SHORT, "weighted": True,
                        "without": ("visit", "site", "stage")}),
}  # fmt: skip
KINDS = ("bernoulli", "ordinal", "censored", "student", *COUNTED)
WITH_SITES = ("bernoulli", "censored")
CROSSING = ("bernoulli", "poisson")

MIXED = (
    *(
        Family(f"LMM{name}", partial(mixed_case, **case), partial(mixed_answer, residual=residual),
               ("models.LMM", "Residual"), FEWER if name else ())
        for name, (residual, case) in STRUCTURES.items()
    ),
    Family("LMM by ML", partial(mixed_case, special=PATIENT, without=("visit", "site")),
           partial(mixed_answer, how="ML"), ("models.LMM",), FEWER),
    *(
        Family(f"LMM{name}, posterior", partial(mixed_case, **case),
               partial(mixed_posterior, residual=residual), ("models.LMM",),
               FEWER if name else PRIOR)
        for name, (residual, case) in STRUCTURES.items()
    ),
    *(
        Family(f"GLMM, {kind}", partial(generalised_case, family=kind),
               partial(generalised_answer, family=kind), ("models.GLMM",),
               () if kind == "bernoulli" else FEW)
        for kind in KINDS
    ),
    *(
        Family(f"GLMM, {kind}, sites", partial(generalised_case, family=kind, sites=True),
               partial(generalised_answer, family=kind), ("models.GLMM",), FEW)
        for kind in WITH_SITES
    ),
    *(
        Family(f"GLMM, {kind}, crossed",
               partial(generalised_case, family=kind, sites=True, crossed=True),
               partial(generalised_answer, family=kind), ("models.GLMM",), FEW)
        for kind in CROSSING
    ),
    *(
        Family(f"GLMM, {kind}, posterior", partial(generalised_case, family=kind),
               partial(generalised_posterior, family=kind), ("models.GLMM",), PRIOR)
        for kind in KINDS
    ),
    Family("Linear", linear_case, linear_answer, ("models.Linear",)),
    Family("Linear, posterior", linear_case, linear_posterior, ("models.Linear",), PRIOR),
)  # fmt: skip
