"""A row of weight 3 is three patients, whatever a fit or a posterior is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.estimands.standardised import restricted_mean_difference, risk_difference
from longsurv.estimands.standardised_curves import standardised_survival
from longsurv.models import CoxPH, Hazard
from longsurv.results.survival.by_group import follow_up_of

LEFT = "Surv(entry, exit, event) ~ "


def cohort(seed: int, n: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients with a weight, and each as often as it says; weight goes with age and effect."""
    rng = np.random.default_rng(seed)
    age, treated = np.round(rng.normal(0.0, 1.0, n), 2), rng.integers(0, 2, n)
    entry = np.round(rng.uniform(0.0, 0.1, n), 3)
    data = pd.DataFrame({
        "patient": np.arange(n), "entry": entry, "age": age, "treated": treated,
        "exit": entry + np.round(rng.exponential(np.exp(-0.5 * treated - 0.6 * age)), 3) + 0.001,
        "event": (rng.random(n) < 0.8).astype(int), "site": rng.integers(0, 2, n),
        "weight": 1 + (age > 0) + rng.integers(0, 2, n),
    })  # fmt: skip
    copies = data.loc[data.index.repeat(data["weight"])].reset_index(drop=True)
    return data, copies.assign(patient=np.arange(len(copies)))


def models(data: pd.DataFrame, weights: str | None):
    yield CoxPH(LEFT + "treated + age", data, ties="breslow", weights=weights)
    yield CoxPH(LEFT + "treated + age + strata(site)", data, ties="breslow", weights=weights)
    yield Hazard(LEFT + "treated + age", data, baseline="weibull", weights=weights)
    yield Hazard(LEFT + "treated + age", data, baseline="mspline", weights=weights)


def answers(fit) -> dict[str, pd.DataFrame]:
    """What is said of the cohort as a whole, or of how a ratio changes in it."""
    horizon = 0.8 * float(fit.design.exit.max() if fit.design.stratum is None else 1.0)
    found = {
        "risks": risk_difference(fit, "treated", horizon),
        "times": restricted_mean_difference(fit, "treated", horizon),
        "curves": standardised_survival(fit, "treated", [0.5 * horizon, horizon]),
        "tidy": fit.tidy(),
    }
    if fit.engine == "bayes":
        return {name: found[name] for name in ("risks", "times", "curves")}
    if hasattr(fit, "baseline"):
        found |= {"baseline": fit.baseline(), "parameters": fit.variance_table()}
    if hasattr(fit, "hazard_ratio_over_time"):
        for how in ({"cuts": [0.3]}, {"times": [0.2, 1.0]}):
            table = fit.hazard_ratio_over_time("treated", **how)
            test = pd.DataFrame([{k: table.attrs[k] for k in ("statistic", "df", "p_value")}])
            found |= {f"ratios {how}": table, f"change {how}": test}
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", range(4))
def test_weights_that_are_counts_are_copies(seed, which):
    weighted, copied = cohort(seed)
    one = answers(list(models(weighted, "weight"))[which].fit())
    other = answers(list(models(copied, None))[which].fit())
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], rtol=1e-5, atol=1e-8, obj=name)


def test_a_posterior_counts_them_too():
    weighted, copied = cohort(1)
    fits = [
        CoxPH(LEFT + "treated + age", data, ties="breslow", weights=weights).sample(seed=3)
        for data, weights in ((weighted, "weight"), (copied, None))
    ]
    one, other = map(answers, fits)
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], rtol=1e-5, atol=1e-8, obj=name)


def test_weights_that_are_no_counts_weigh_the_mean():
    """Of each patient's own survival under either treatment."""
    data, _ = cohort(2)
    data["weight"] = data["weight"] / 3.0 + 0.2
    for spec in models(data, "weight"):
        fit = spec.fit()
        expected = [
            1.0 - np.average(fit.predict(data.assign(treated=k), times=[0.6])["estimate"],
                             weights=data["weight"])
            for k in (0, 1)
        ]  # fmt: skip
        found = risk_difference(fit, "treated", 0.6)["estimate"].iloc[:2]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_patients_behind_a_drawn_curve_are_counted():
    weighted, copied = cohort(0)
    one, other = (
        CoxPH(LEFT + "treated + age", data, weights=weights, patient="patient").fit()
        for data, weights in ((weighted, "weight"), (copied, None))
    )
    shown = [
        follow_up_of(fit.design, data, "treated").sort_values(["exit", "entry"])
        for fit, data in ((one, weighted), (other, copied))
    ]
    pd.testing.assert_frame_equal(*(t.reset_index(drop=True) for t in shown))
