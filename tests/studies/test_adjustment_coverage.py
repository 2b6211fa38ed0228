"""How often the intervals of an overlap-weighted difference hold the truth in a small cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
from longsurv.estimands.weighting import overlap_weights, weighted_difference

COHORTS, PATIENTS, COVARIATES, EFFECT = 400, 41, 6, -1.0


def cohort(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(PATIENTS, COVARIATES))
    treated = rng.uniform(size=PATIENTS) < special.expit(0.7 * x[:, 0] - 0.3)
    y = x[:, 0] + 0.5 * x[:, 1] + EFFECT * treated + rng.normal(size=PATIENTS)
    arm = pd.Categorical(np.where(treated, "ivig", "none"), ["none", "ivig"])
    return pd.DataFrame(x, columns=[f"x{k}" for k in range(COVARIATES)]).assign(arm=arm, y=y)


@pytest.mark.study
def test_coverage_at_41_patients_and_7_coefficients(capsys: pytest.CaptureFixture[str]) -> None:
    right = " + ".join(f"x{k}" for k in range(COVARIATES))
    held = {"sandwich": 0, "posterior": 0}
    for seed in range(COHORTS):
        data = cohort(seed)
        weights = overlap_weights(data, "arm", right)
        row = weighted_difference(weights, data["y"]).iloc[2]
        held["sandwich"] += row["conf_low"] <= EFFECT <= row["conf_high"]
        drawn = bayesian_bootstrap(weights, data["y"], draws=500, seed=seed)
        low, high = np.quantile(drawn, [0.025, 0.975])
        held["posterior"] += low <= EFFECT <= high
    share = {name: count / COHORTS for name, count in held.items()}
    with capsys.disabled():
        print(f"\noverlap weights, 95 % intervals hold the truth: {share}")
    # Three standard errors of a share of 0.95 are 0.033; both are known to fall a little short.
    assert 0.89 <= share["sandwich"] <= 0.98
    assert 0.86 <= share["posterior"] <= 0.98
