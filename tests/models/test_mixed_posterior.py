"""Draws of a random-intercept model against its posterior by integration in R."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv import priors
from longsurv.models import LMM

PRIORS = {
    "sleepstudy_weak": priors.Normal(0, 100),
    "sleepstudy_own": priors.Normal(5, 1),
}


@pytest.mark.parametrize("name", PRIORS)
def test_means_and_spreads_are_those_of_the_integral(name, table, r_results):
    r = {q: r_results("mixed_posterior", name, q) for q in ("mean", "sd")}
    post = LMM("Reaction ~ Days + (1 | Subject)", table("sleepstudy")).sample(
        priors={
            "Intercept": priors.Normal(250, 100),
            "Days": PRIORS[name],
            "sd(Intercept|Subject)": priors.HalfNormal(50),
            "sigma": priors.HalfNormal(50),
        },
        draws=4000, chains=2, seed=1,
    )  # fmt: skip
    table_ = post.tidy(component="all").set_index("term")
    for term, mean in r["mean"].items():
        sd, draws = r["sd"][term], post.samples[term]
        error = sd / np.sqrt(float(table_.loc[term, "ess_bulk"]))
        assert draws.mean() == pytest.approx(mean, abs=4.5 * error), term
        assert draws.std() == pytest.approx(sd, rel=0.06), term


def test_the_prior_moves_the_slope(r_results):
    weak, own = (
        r_results("mixed_posterior", name, "mean")["Days"]
        for name in ("sleepstudy_weak", "sleepstudy_own")
    )
    assert weak == pytest.approx(10.467, abs=0.02)
    assert own < 8.5  # 5 before, 10.5 from the data alone
