"""What else models of survival can be told: weights, offsets, clusters, effects that change over
time, late entry, several markers, competing causes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, Terms
from invariance.families_survival import (
    FROM_ENTRY,
    FROM_ZERO,
    _survival,
    _weights,
    joint_case,
    survival_case,
)
from invariance.reading import contrasts, posterior_at, verdicts, weights_at
from joint_cohorts import Truth, competing, simulated, with_second_marker

from longsurv.models import LMM, CoxPH, Hazard, JointModel, slope, value

WEIGHTED = {"weight": "copies", "known": "z"}


def weighted_case(seed: int, robust: bool = False) -> Case:
    """Rows that count several times, a part of the log hazard that is known, and sites."""
    special = ("offset({known})", *(("cluster({site})",) if robust else ()))
    case = survival_case(seed, right=("{arm}", "{age}"), special=special, without=("stage",))
    rng = np.random.default_rng(seed + 11)
    rows = case["rows"]
    copies, known = rng.integers(1, 4, len(rows)), np.round(rng.normal(0.0, 0.5, len(rows)) * 64)
    rows = rows.assign(copies=copies, z=known / 64, site=rng.permutation(len(rows)) % 12)
    points = case["points"].assign(copies=1, z=[0.0, 0.5, -0.5, 0.25, 0.0])
    return replace(
        case, tables={"rows": rows, "points": points}, columns={**case.columns, **WEIGHTED}
    )


def weighted_spec(case: Case, baseline: str) -> CoxPH | Hazard:
    how = {"weights": case.columns["weight"], "patient": case.columns["patient"]}
    if baseline == "cox":
        return CoxPH(case.formula(), case["rows"], **how)
    return Hazard(case.formula(), case["rows"], baseline, **how)


def weighted_answer(case: Case, baseline: str) -> Answer:
    spec = weighted_spec(case, baseline)
    fit = spec.fit()
    out = _survival(contrasts(fit, _weights(spec, case)), fit, case)
    events = int((spec.design.weights * (spec.design.event == 1)).sum())
    times = 0 if baseline == "cox" else events
    return out | {"llf": Output(fit.llf, time=times, density=True, rtol=1e-8, atol=1e-5)}


def varying_answer(case: Case, baseline: str) -> Answer:
    """The effect of treatment at a moment of the clock, and by how much it changes."""
    arm, patient = case.columns["arm"], case.columns["patient"]
    spec = Hazard(case.formula(), case["rows"], baseline, time_varying=(arm,), patient=patient)
    fit = spec.fit()
    k, changing = spec.design.fixed.names.index, [n for n in fit.names if n.endswith(":log(t)")]
    (trend,) = changing
    main = trend.removesuffix(":log(t)")
    low, high = (spec.design.fixed.X[:, k(main)].min(), spec.design.fixed.X[:, k(main)].max())
    moment = float(np.log(case.moments[1] / spec.hazard.baseline.unit))
    at = {main: high - low, trend: (high - low) * moment}
    out = contrasts(fit, {"at the moment": at, "change": {trend: high - low}})
    for name, one in list(out.items()):
        kind = name.split(": ")[1]
        mirror = {"conf_low": "conf_high", "conf_high": "conf_low", "estimate": "estimate"}
        if kind in mirror:
            out[name] = replace(one, swaps=name.replace(kind, mirror[kind]))
    events = int(spec.design.n_events)
    out = _survival(out, fit, case)
    return out | {"llf": Output(fit.llf, time=events, density=True, rtol=1e-8, atol=1e-5)}


def varying_case(seed: int) -> Case:
    return survival_case(seed, FROM_ZERO, ("{arm}", "{age}"), without=("site", "entry", "stage"))


def _rounded(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    return table.assign(**{n: np.round(table[n] * 1024) / 1024 for n in names})


def late_case(seed: int) -> Case:
    """Patients who come under observation late, and a marker whose model has no origin of time."""
    case, rng = joint_case(seed, ("{time} * {arm}",)), np.random.default_rng(seed)
    truth = Truth(visits=(0.0, 0.75, 1.5, 3.0, 4.5, 6.0))
    rows, people = simulated(rng, 40, truth, late=1.0)
    people["age"] = np.round(rng.normal(60, 9, len(people)))
    tables = {"rows": _rounded(rows, "y"), "people": _rounded(people, "entry", "stop")}
    event = replace(case.formulas["event"], left=FROM_ENTRY)
    return replace(
        case, tables={**tables, "points": case["points"]},
        columns={**case.columns, "entry": "entry"}, formulas={**case.formulas, "event": event},
    )  # fmt: skip


def two_case(seed: int) -> Case:
    """A second marker, measured half as often."""
    case = joint_case(seed)
    second = with_second_marker(np.random.default_rng(seed + 5), case["rows"])
    formulas = {**case.formulas, "second": Terms("{other}", ("{arm}",), ("(1 | {patient})",))}
    return replace(
        case, tables={**case.tables, "second": _rounded(second, "z")},
        columns={**case.columns, "other": "z"}, formulas=formulas,
    )  # fmt: skip


def competing_case(seed: int) -> Case:
    """Patients who die, or go home."""
    case, rng = joint_case(seed), np.random.default_rng(seed)
    rows, people = competing(rng, 50, truth=Truth(visits=(0.0, 0.75, 1.5, 3.0, 4.5, 6.0)))
    people["age"] = np.round(rng.normal(60, 9, len(people)))
    people = _rounded(people, "stop").drop(columns=["entry", "what"])
    formulas = {
        "marker": case.formulas["marker"],
        "event": Terms(FROM_ZERO, ("{arm}", "{age}")),
        "rival": Terms("Surv({exit}, {rival})", ("{arm}",)),
    }
    return replace(
        case, tables={"rows": _rounded(rows, "y"), "people": people, "points": case["points"]},
        columns={**case.columns, "event": "dead", "rival": "home"}, formulas=formulas,
    )  # fmt: skip


def several_spec(case: Case, baseline: str, **more: Any) -> JointModel:
    """The joint model of whatever formulas a case has."""
    markers = {"first": LMM(case.formula("marker"), case["rows"])}
    if "second" in case.formulas:
        markers["second"] = LMM(case.formula("second"), case["second"])
    causes = {"dead": CoxPH(case.formula("event"), case["people"])}
    if "rival" in case.formulas:
        causes["home"] = CoxPH(case.formula("rival"), case["people"])
    event = causes if len(causes) > 1 else causes["dead"]
    return JointModel(
        markers if len(markers) > 1 else markers["first"], event, time=case.columns["time"],
        baseline=baseline, **more,
    )  # fmt: skip


def _read(spec: JointModel, case: Case) -> dict[str, tuple[dict[str, dict[str, float]], int]]:
    """Combinations of the coefficients of every part, and the power of the response's unit."""
    out = {}
    for m, marker in enumerate(spec.design.markers):
        X, names = marker.design.fixed.rebuild(case["points"]), marker.design.fixed.names
        out[f"marker {m}"] = weights_at([marker.prefix + n for n in names], X), 1 - m
    for c, cause in enumerate(spec.design.causes):
        W = cause.event.fixed.rebuild(case["points"])
        weights = weights_at(list(cause.covariate_names), W)
        del weights["at 0"]
        out[f"cause {c}"] = weights, 0
    return out


def several_answer(case: Case, baseline: str, **more: Any) -> Answer:
    spec = several_spec(case, baseline, **more)
    fit = spec.fit()
    out = verdicts(fit)
    for part, (weights, power) in _read(spec, case).items():
        found = contrasts(fit, weights, response=power, level=power == 1)
        out |= {f"{part} {name}": one for name, one in found.items()}
    for c, cause in enumerate(spec.design.causes):
        for k, one in enumerate(cause.associations):
            row = fit.contrast(one.term).iloc[0]
            power = -1 if one.marker == 0 else 0
            for column in ("estimate", "std_error", "conf_low", "conf_high"):
                out[f"association {c} {k}: {column}"] = Output(
                    float(row[column]), power, int(one.kind == "slope"), rtol=2e-4,
                    atol=2e-4 * float(row["std_error"]),
                )  # fmt: skip
    events = sum(int(cause.status.sum()) for cause in spec.design.causes)
    llf = Output(fit.llf, len(case["rows"]), events, density=True, rtol=1e-8, atol=1e-4)
    return out | {"llf": llf}


def several_posterior(case: Case, baseline: str, **more: Any) -> Answer:
    spec, counted = several_spec(case, baseline, **more), len(case["rows"])
    events = sum(int(cause.status.sum()) for cause in spec.design.causes)
    out: Answer = {}
    for part, (weights, power) in _read(spec, case).items():
        found = posterior_at(spec, weights, response=power, level=power == 1, measurements=counted,
                             times=events, own=spec.statistics.own)  # fmt: skip
        out |= {f"{part} {name}": one for name, one in found.items()}
    return out


BOTH = {"first": value(), "second": value()}
RISING = {"dead": value() + slope(), "home": value()}
FEW = ("shift follow-up", "scale time", "scale covariate", "rename", "swap groups")
FEW_JOINT = ("scale time", "scale response", "rename", "swap groups")
PRIOR = ("scale time",)
JOINTS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("at risk from entry", late_case, {"baseline": "piecewise"}),
    ("of all before entry", late_case, {"baseline": "weibull", "entry": "population"}),
    ("of two markers", two_case, {"baseline": "weibull", "link": BOTH}),
    ("of two causes", competing_case, {"baseline": "weibull", "link": RISING}),
)

VARIANTS = (
    *(
        Family(f"{name}, weights and offset", weighted_case,
               partial(weighted_answer, baseline=kind), (f"models.{model}",), FEW)
        for name, kind, model in (
            ("CoxPH", "cox", "CoxPH"), ("Hazard, weibull", "weibull", "Hazard"),
            ("Hazard, mspline", "mspline", "Hazard"),
        )
    ),
    *(
        Family(f"{name}, clusters", partial(weighted_case, robust=True),
               partial(weighted_answer, baseline=kind), (f"models.{model}",), FEW)
        for name, kind, model in (("CoxPH", "cox", "CoxPH"), ("Hazard, piecewise", "piecewise",
                                                             "Hazard"))
    ),
    *(
        Family(f"Hazard, {kind}, time-varying", varying_case,
               partial(varying_answer, baseline=kind), ("models.Hazard",), FEW)
        for kind in ("weibull", "mspline")
    ),
    *(
        Family(f"JointModel {name}", make, partial(several_answer, **how), ("models.JointModel",),
               (*FEW_JOINT, *(("shift time",) if make is late_case and "entry" not in how else ())))
        for name, make, how in JOINTS
    ),
    *(
        Family(f"JointModel {name}, posterior", make, partial(several_posterior, **how),
               ("models.JointModel",), PRIOR)
        for name, make, how in JOINTS
    ),
)  # fmt: skip
