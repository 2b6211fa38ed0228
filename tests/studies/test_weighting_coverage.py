"""Coverage of weighted and doubly robust risk differences in cohorts of 41 and of 400 patients."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from lengths import lengths
from scipy import special

from longsurv.errors import LongsurvError
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.weighting import TargetName, propensity_weights

HORIZON = 28.0
LOG_RATIO = -0.6
TARGETS: tuple[TargetName, ...] = ("ATE", "ATT", "overlap", "matching")


def chance(severity: np.ndarray) -> np.ndarray:
    """Of treatment."""
    return special.expit(0.8 * severity - 0.2)


def risk(severity: np.ndarray, treated: np.ndarray | float) -> np.ndarray:
    """Of death by the horizon: exponential times."""
    hazard = 0.02 * np.exp(0.6 * severity + LOG_RATIO * np.asarray(treated, dtype=float))
    return -np.expm1(-hazard * HORIZON)


def cohort(n: int, seed: int) -> pd.DataFrame:
    """Sicker patients are treated more often; some are lost, the treated earlier."""
    rng = np.random.default_rng([n, seed])
    severity = rng.normal(size=n)
    treated = rng.uniform(size=n) < chance(severity)
    hazard = 0.02 * np.exp(0.6 * severity + LOG_RATIO * treated)
    death, lost = rng.exponential(1 / hazard), rng.uniform(10, np.where(treated, 80, 150), n)
    exit = np.minimum(np.minimum(death, lost), HORIZON)
    event = (death <= np.minimum(lost, HORIZON)) * 1
    return pd.DataFrame({"arm": treated * 1, "severity": severity, "exit": exit, "event": event})


@cache
def truth(target: str) -> float:
    """The difference of the risks in a target population, by quadrature over severity."""
    nodes, w = np.polynomial.hermite_e.hermegauss(80)
    e = chance(nodes)
    tilt = {"ATE": 1.0, "ATT": e, "overlap": e * (1 - e), "matching": np.minimum(e, 1 - e)}[target]
    return float(np.average(risk(nodes, 1.0) - risk(nodes, 0.0), weights=w * tilt))


def answers(n: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Estimate and limits of every method; what has none is left out."""
    data, found = cohort(n, seed), {}
    for name in (*TARGETS, "doubly robust"):
        target: TargetName = "ATE" if name == "doubly robust" else name  # type: ignore[assignment]
        try:
            weights = propensity_weights(data, "arm", "severity", target=target)
            ask = doubly_robust_risk if name == "doubly robust" else weighted_comparison
            table = ask(weights, data, HORIZON).set_index("quantity")
        except LongsurvError:
            continue
        row = table.loc["risk difference"]
        if np.isfinite(row["conf_low"]):
            found[name] = (row["estimate"], row["conf_low"], row["conf_high"])
    return found


@lengths("cohorts", 30, 1000)
@pytest.mark.parametrize("n", [41, 400])
def test_intervals_hold_the_truth(n: int, cohorts: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (name, truth("ATE" if name == "doubly robust" else name), *values)
        for seed in range(cohorts)
        for name, values in answers(n, seed).items()
    ]
    table = pd.DataFrame(rows, columns=["method", "truth", "estimate", "low", "high"])
    table["held"] = (table["low"] <= table["truth"]) & (table["truth"] <= table["high"])
    table["error"] = table["estimate"] - table["truth"]
    shown = table.groupby("method", sort=False).agg(
        answers=("held", "size"), coverage=("held", "mean"), bias=("error", "mean"),
        sd=("error", "std"),
    )  # fmt: skip
    with capsys.disabled():
        print(f"\n{n} patients, {cohorts} cohorts\n{shown.round(3).to_string()}")
    error = np.sqrt(0.95 * 0.05 / cohorts)
    small = 0.03 if n == 41 else 0.0  # intervals of 41 patients may be a little too narrow
    assert (shown["answers"] >= 0.9 * cohorts).all()
    assert (shown["coverage"] >= 0.95 - 3.5 * error - small).all()
    assert (shown["bias"].abs() <= 4 * shown["sd"] / np.sqrt(cohorts) + 0.005).all()
