"""The example of rstanarm's vignette on joint models: 40 patients of pbcseq, 29 deaths.

stan_jm(logBili ~ sex + trt + year + (year | id), Surv(futimeYears, death) ~ sex + trt), one chain
of 1000 draws with seed 12345, as the vignette of version 2.21.3 prints it. Transplantation is
censoring.

Priors are rstanarm's defaults: Normal(0, 2.5) over the scale of a covariate (times the SD of the
response for the marker), so of the association over the SD of the marker; Normal(0, 20) and
Cauchy(0, 20) for the baseline, cubic B-splines with three inner knots; LKJ(1). Its half-Cauchy
priors of standard deviations, with scales far beyond the data, are half-normal here.
"""

from __future__ import annotations

import numpy as np
import pytest

from longsurv import priors as pr
from longsurv.models import LMM, CoxPH, JointModel

# mean, SD
RSTANARM = {
    "assoc.value": (1.363, 0.248),
    "event.trt": (-0.740, 0.459),
    "event.female": (-0.328, 0.648),
    "year": (0.213, 0.039),
    "trt": (-0.132, 0.409),
    "female": (0.572, 0.578),
    "Intercept": (0.225, 0.602),
    "sigma": (0.354, 0.017),
}


@pytest.fixture(scope="module")
def posterior(table):
    visits = table("pbc").query("id <= 40")
    visits = visits.assign(
        trt=(visits["drug"] == "D-penicillamine").astype(float),
        female=(visits["sex"] == "f").astype(float),
        died=(visits["status"] == "dead").astype(int),
        log_bili=np.log(visits["bili"]),
    )
    patients = visits.drop_duplicates("id").drop(columns=["year", "bili"])
    assert (len(visits), len(patients), patients["died"].sum()) == (304, 40, 29)
    spread = visits["log_bili"].std()
    wide = 2.5 * spread
    priors = {
        "Intercept": pr.Normal(0.0, 20 * spread),
        "year": pr.Normal(0.0, wide / visits["year"].std()),
        "trt": pr.Normal(0.0, wide),
        "female": pr.Normal(0.0, wide),
        "sigma": pr.HalfNormal(5 * spread),
        "sd(Intercept|id)": pr.HalfNormal(10 * spread),
        "sd(year|id)": pr.HalfNormal(10 * spread / visits["year"].std()),
        "event.trt": pr.Normal(0.0, 2.5),
        "event.female": pr.Normal(0.0, 2.5),
        "assoc.value": pr.Normal(0.0, 2.5 / spread),
    }
    spec = JointModel(
        LMM("log_bili ~ female + trt + year + (year | id)", data=visits),
        CoxPH("Surv(years, died) ~ female + trt", data=patients),
        time="year",
        n_knots=3,
    )
    first, *others = spec.design.baseline_names
    priors |= {first: pr.Normal(0.0, 20.0)} | {n: pr.StudentT(1.0, 0.0, 20.0) for n in others}
    return spec.sample(
        draws=2000, tune=300, seed=4, priors=priors, eta=1.0, smoothing=None, chains=2
    )


@pytest.mark.slow
def test_posterior_means_are_rstanarms(posterior):
    """Within Monte Carlo error: of rstanarm, taking 300 effective draws for its thousand."""
    table = posterior.tidy(component="all").set_index("term")
    for term, (mean, sd) in RSTANARM.items():
        error = np.hypot(sd / np.sqrt(300), table.loc[term, "std_error"] / np.sqrt(
            table.loc[term, "ess_bulk"]))  # fmt: skip
        assert table.loc[term, "estimate"] == pytest.approx(mean, abs=3 * error), term
        assert table.loc[term, "std_error"] == pytest.approx(sd, rel=0.15), term
    assert table.loc["assoc.value", "estimate"] == pytest.approx(1.36, abs=0.05)
