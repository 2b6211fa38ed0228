"""How adjusted differences of risks behave in cohorts of 41 patients with about five deaths.

    .venv/bin/python docs/small_mortality_risks.py             # 2 x 250 cohorts, two minutes
    .venv/bin/python docs/small_mortality_risks.py 20 out.csv  # 2 x 20 cohorts, to somewhere else

Patients, deaths and follow-up are those of `small_mortality.py`, but for a severity that was known
at entry: the sicker die more (hazard ratio 1.5 per standard deviation) and were treated more often,
so that the crude difference is confounded. The truth is the difference of risks by day 28 over the
population, or over its overlap population for overlap weights. A cohort in which nobody dies, or
with fewer than five patients in a group, is drawn again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special

from longsurv.errors import LongsurvError
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.standardised import risk_difference
from longsurv.estimands.weighting import propensity_weights
from longsurv.models import CoxPH

HERE = Path(__file__).parent
PATIENTS, HORIZON, EXPECTED_DEATHS, SEED = 41, 28, 5.0, 2014
SEVERITY = np.log(1.5)
SCENARIOS = {"no effect": 1.0, "hazard ratio 0.3": 0.3}
NODES, MASS = np.polynomial.hermite_e.hermegauss(60)
METHODS = {
    "crude": "difference of proportions, Newcombe's limits",
    "Cox, Firth, standardised": "Firth's Cox model adjusted for severity, g-computation",
    "inverse probability weights": "weights of all patients, Aalen-Johansen",
    "overlap weights": "the same with overlap weights",
    "doubly robust (AIPW)": "logistic regressions of treatment and of death",
}


def chance(severity: np.ndarray) -> np.ndarray:
    """Of treatment."""
    return special.expit(0.6 * severity - 0.15)


def risk(hazard: float, ratio: float, severity: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Of death by the horizon."""
    rate = hazard * np.exp(SEVERITY * severity + np.log(ratio) * treated)
    return -np.expm1(-rate * HORIZON)


def control_hazard(ratio: float) -> float:
    """With which `EXPECTED_DEATHS` are expected."""

    def excess(hazard: float) -> float:
        e = chance(NODES)
        both = e * risk(hazard, ratio, NODES, np.ones(1))
        both = both + (1 - e) * risk(hazard, ratio, NODES, np.zeros(1))
        return PATIENTS * float(np.average(both, weights=MASS)) - EXPECTED_DEATHS

    return float(optimize.brentq(excess, 1e-6, 1.0))


def truth(hazard: float, ratio: float, *, overlap: bool) -> float:
    """The difference of the risks in the population, or where the groups overlap."""
    e = chance(NODES)
    difference = risk(hazard, ratio, NODES, np.ones(1)) - risk(hazard, ratio, NODES, np.zeros(1))
    return float(np.average(difference, weights=MASS * (e * (1 - e) if overlap else 1.0)))


def cohort(rng: np.random.Generator, hazard: float, ratio: float) -> pd.DataFrame:
    """One cohort with a death, and five patients or more in each group."""
    while True:
        severity = rng.normal(size=PATIENTS)
        treated = rng.uniform(size=PATIENTS) < chance(severity)
        rate = hazard * np.exp(SEVERITY * severity + np.log(ratio) * treated)
        day = np.ceil(rng.exponential(1 / rate))
        if (day <= HORIZON).any() and 5 <= treated.sum() <= PATIENTS - 5:
            break
    return pd.DataFrame(
        {
            "treated": treated * 1, "severity": severity, "entry": 0.0,
            "exit": np.minimum(day, HORIZON), "event": (day <= HORIZON) * 1,
        }
    )  # fmt: skip


def answers(data: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Estimate and limits of every method; what it cannot say is NaN."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = {}
    counts = data.groupby("treated")["event"].agg(["sum", "count"])
    low, high = confint_proportions_2indep(
        *counts.loc[1], *counts.loc[0], method="newcomb", compare="diff"
    )
    risks = counts["sum"] / counts["count"]
    found["crude"] = (risks[1] - risks[0], low, high)
    asked = {
        "Cox, Firth, standardised": lambda: risk_difference(
            CoxPH("Surv(exit, event) ~ treated + severity", data).fit(penalty="firth"),
            "treated", float(HORIZON),
        ).rename(columns={"term": "quantity"}),
        "inverse probability weights": lambda: weighted_comparison(
            propensity_weights(data, "treated", "severity"), data, float(HORIZON)
        ),
        "overlap weights": lambda: weighted_comparison(
            propensity_weights(data, "treated", "severity", target="overlap"), data, float(HORIZON)
        ),
        "doubly robust (AIPW)": lambda: doubly_robust_risk(
            propensity_weights(data, "treated", "severity"), data, float(HORIZON)
        ),
    }  # fmt: skip
    for name, ask in asked.items():
        try:
            row = ask().set_index("quantity").loc["risk difference"]
            found[name] = (row["estimate"], row["conf_low"], row["conf_high"])
        except LongsurvError:
            found[name] = (np.nan, np.nan, np.nan)
    return found


def simulate(cohorts: int) -> pd.DataFrame:
    """All answers, a row a scenario, cohort and method."""
    rows = []
    for s, (scenario, ratio) in enumerate(SCENARIOS.items()):
        hazard = control_hazard(ratio)
        for k in range(cohorts):
            data = cohort(np.random.default_rng([SEED, 7, s, k]), hazard, ratio)
            for method, values in answers(data).items():
                true = truth(hazard, ratio, overlap=method == "overlap weights")
                rows.append((scenario, method, true, *values))
    return pd.DataFrame(rows, columns=["scenario", "method", "true", "estimate", "low", "high"])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Behaviour of each method, coverage among the intervals that there are."""
    out = []
    for (scenario, method), part in rows.groupby(["scenario", "method"], sort=False):
        limited = part[np.isfinite(part["low"]) & np.isfinite(part["high"])]
        held = (limited["low"] <= limited["true"]) & (limited["true"] <= limited["high"])
        excludes = (limited["low"] > 0) | (limited["high"] < 0)
        out.append(
            {
                "scenario": scenario, "method": method, "cohorts": len(part),
                "no_estimate": float(part["estimate"].isna().mean()),
                "no_interval": 1 - len(limited) / len(part),
                "coverage": float(held.mean()), "rejects": float(excludes.sum() / len(part)),
                "bias": float((part["estimate"] - part["true"]).mean()),
                "median_width": float((limited["high"] - limited["low"]).median()),
            }
        )  # fmt: skip
    return pd.DataFrame(out)


BEGIN = "<!-- risks: made by small_mortality_risks.py -->"
END = "<!-- end of the risks -->"


def markdown(table: pd.DataFrame) -> str:
    """The tables of the page."""
    heads = (
        "method",
        "no estimate",
        "no interval",
        "coverage",
        "excludes 0",
        "bias",
        "median width",
    )
    lines = []
    for scenario, part in table.groupby("scenario", sort=False):
        lines += [f"### {str(scenario).capitalize()}", "", "| " + " | ".join(heads) + " |",
                  "|" + "---|" * len(heads)]  # fmt: skip
        lines += [
            f"| {r['method']} | {100 * r['no_estimate']:.1f} % | {100 * r['no_interval']:.1f} % |"
            f" {100 * r['coverage']:.1f} % | {100 * r['rejects']:.1f} % | {r['bias']:.3f} |"
            f" {r['median_width']:.2f} |"
            for r in part.to_dict("records")
        ]
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Run the study and write its table, to docs/ or to the file named."""
    table = summary(simulate(int(arguments[0]) if arguments else 250)).round(6)
    target = Path(arguments[1]) if len(arguments) > 1 else HERE / "small_mortality_risks.csv"
    table.to_csv(target, index=False, lineterminator="\n")
    if target.parent == HERE:
        page = HERE / "small_mortality.md"
        head, rest = page.read_text(encoding="utf-8").split(BEGIN)
        text = f"{head}{BEGIN}\n\n{markdown(table)}{END}{rest.split(END)[1]}"
        page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
