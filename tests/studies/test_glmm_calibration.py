"""Simulation-based calibration of generalised mixed models, each family by itself.

As in `test_calibration`: parameters drawn from the prior rank uniformly among their posterior draws
(Talts et al. 2018, arXiv:1804.06788), here with random effects integrated out by quadrature, which
an error in would show. Cohorts whose data the model refuses (a category that nobody is in, nothing
measured within the limits) are drawn again, parameters and all: that is a condition on the data
alone, under which posteriors stay what they are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rank_bands import check_uniform
from scipy.special import expit

from longsurv import priors as pr
from longsurv.models import GLMM

KEPT = 49  # draws kept of each posterior, far enough apart to be nearly independent

SLOPES: dict[str, pr.Prior] = {"time": pr.Normal(0.0, 0.5), "treated": pr.Normal(0.0, 1.0)}
SPREAD: dict[str, pr.Prior] = {"sd(Intercept|id)": pr.Exponential(1.0)}
PRIORS: dict[str, dict[str, pr.Prior]] = {
    "bernoulli": {"Intercept": pr.Normal(0.0, 1.0), **SLOPES, **SPREAD},
    "ordinal": {
        **SLOPES,
        "0|1": pr.Normal(-1.0, 1.0),
        "gap(1|2)": pr.Exponential(1.5),
        "gap(2|3)": pr.Exponential(1.5),
        **SPREAD,
    },
    "censored": {
        "Intercept": pr.Normal(1.0, 1.0),
        **SLOPES,
        "sigma": pr.Exponential(0.8),
        **SPREAD,
    },
    "limits": {
        "Intercept": pr.Normal(1.0, 1.0),
        **SLOPES,
        "sigma": pr.Exponential(0.8),
        **SPREAD,
    },
    "sites": {
        "Intercept": pr.Normal(0.0, 1.0),
        **SLOPES,
        **SPREAD,
        "sd(Intercept|site)": pr.Exponential(0.7),
    },
    "crossed": {
        "Intercept": pr.Normal(0.0, 1.0),
        **SLOPES,
        **SPREAD,
        "sd(Intercept|site)": pr.Exponential(0.7),
    },
    "poisson": {"Intercept": pr.Normal(0.0, 1.0), **SLOPES, **SPREAD},
    "negative_binomial": {
        "Intercept": pr.Normal(0.0, 1.0), **SLOPES, "theta": pr.Gamma(2.0, 0.5), **SPREAD,
    },
    "nbinom1": {"Intercept": pr.Normal(0.0, 1.0), **SLOPES, "phi": pr.Exponential(1.0), **SPREAD},
}  # fmt: skip
STUDY = {"ordinal": 150, "censored": 150} | dict.fromkeys(
    ("bernoulli", "limits", "sites", "crossed", "poisson", "negative_binomial", "nbinom1"), 200
)
SHORT = {"bernoulli": 15, "ordinal": 15, "censored": 15} | dict.fromkeys(
    ("limits", "sites", "crossed", "poisson", "negative_binomial", "nbinom1"), 6
)
"""Cohorts in the short version: counts have the integrals of the others."""
SITES = 6
"""Of a cohort whose patients belong to one each ("sites"), or are seen at several ("crossed")."""


def draw(prior: pr.Prior, rng: np.random.Generator) -> float:
    """One draw from a prior."""
    if isinstance(prior, pr.Normal):
        return float(rng.normal(prior.mean, prior.sd))
    if isinstance(prior, pr.Gamma):
        return float(rng.gamma(prior.shape, 1.0 / prior.rate))
    assert isinstance(prior, pr.Exponential)
    return float(rng.exponential(prior.scale))


def cohort(family: str, rng: np.random.Generator) -> tuple[GLMM, dict[str, float]]:
    """A cohort of 24 patients with three visits, and what it was made from."""
    n = 24
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), 3), "time": np.tile(np.arange(3.0), n)})
    frame["treated"] = np.repeat((np.arange(n) % 2).astype(float), 3)
    while True:
        truth = {name: draw(prior, rng) for name, prior in PRIORS[family].items()}
        b = truth["sd(Intercept|id)"] * rng.normal(size=n)
        eta = truth["time"] * frame["time"] + truth["treated"] * frame["treated"]
        eta = (eta + b[frame["id"]]).to_numpy() + truth.get("Intercept", 0.0)
        formula = "y ~ time + treated + (1 | id)"
        if family == "bernoulli":
            data = frame.assign(y=rng.random(len(eta)) < expit(eta))
            return GLMM(formula, data), truth
        if family in ("sites", "crossed"):
            place = frame["id"].to_numpy() % SITES
            if family == "crossed":
                place = rng.integers(0, SITES, len(frame))
            eta = eta + truth["sd(Intercept|site)"] * rng.normal(size=SITES)[place]
            data = frame.assign(y=rng.random(len(eta)) < expit(eta), site=place)
            return GLMM(f"{formula} + (1 | site)", data), truth
        if family == "limits":
            # Of each row its own: below the first, above the second, or only between which two.
            low = rng.uniform(-0.5, 1.0, size=len(eta))
            high, between = low + rng.uniform(0.5, 3.0, size=len(eta)), rng.random(len(eta)) < 0.2
            y = eta + truth["sigma"] * rng.normal(size=len(eta))
            inside = (y >= low) & (y <= high)
            kind = np.where(y < low, "left", np.where(y > high, "right", "none"))
            kind = np.where(inside & between, "interval", kind)
            shown = np.where(kind == "interval", low, np.clip(y, low, high))
            data = frame.assign(y=shown, kind=kind, high=high)
            if (kind == "none").any():
                return GLMM(formula, data, "censored", censored="kind", upper="high"), truth
            continue
        if family == "ordinal":
            gaps = [truth.pop("gap(1|2)"), truth.pop("gap(2|3)")]
            cuts = truth["0|1"] + np.cumsum([0.0, *gaps])
            truth |= {"1|2": float(cuts[1]), "2|3": float(cuts[2])}
            y = np.searchsorted(cuts, eta + rng.logistic(size=len(eta)))
            if len(np.unique(y)) == 4:
                return GLMM(formula, frame.assign(y=y), family="ordinal"), truth
            continue
        if family in ("poisson", "negative_binomial", "nbinom1"):
            # Unequal times: the truth is of one day.
            days = rng.integers(1, 8, size=len(eta))
            mu = np.exp(eta + np.log(days))
            if family == "negative_binomial":
                mu = mu * rng.gamma(truth["theta"], 1.0 / truth["theta"], size=len(mu))
            if family == "nbinom1":
                mu = truth["phi"] * rng.gamma(mu / truth["phi"])
            if mu.max() < 1e9:
                data = frame.assign(y=rng.poisson(mu), days=days)
                return GLMM(f"{formula} + offset(log(days))", data, family=family), truth
            continue
        limit = rng.uniform(0.0, 1.0, size=len(eta))  # every row has its own
        y = eta + truth["sigma"] * rng.normal(size=len(eta))
        kind = np.where(y < limit, "left", "none")
        data = frame.assign(y=np.maximum(y, limit), kind=kind)
        if (kind == "none").any():
            return GLMM(formula, data, family="censored", censored="kind"), truth


def ranks(family: str, rng: np.random.Generator, seed: int) -> dict[str, float]:
    """Rank of each true value among thinned draws, scaled to (0, 1)."""
    spec, truth = cohort(family, rng)
    post = spec.sample(draws=300, tune=250, chains=2, seed=seed, priors=PRIORS[family])
    out = {}
    for name, value in truth.items():
        flat = np.concatenate(post.samples[name])
        thinned = flat[np.linspace(0, len(flat) - 1, KEPT).round().astype(int)]
        out[name] = (int((thinned < value).sum()) + 0.5) / (KEPT + 1.0)
    return out


def table_of_ranks(family: str, repeats: int, seed: int) -> pd.DataFrame:
    """One row a simulated cohort."""
    children = np.random.SeedSequence(seed).spawn(repeats)
    return pd.DataFrame(
        [ranks(family, np.random.default_rng(c), k + 1) for k, c in enumerate(children)]
    )


def test_the_check_notices_ranks_of_other_parameters() -> None:
    """Ranks among draws of a posterior that is too narrow by a fifth, or shifted by a third of its
    SD, leave the band."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(150, KEPT + 1))
    for truth in (1.5 * z[:, 0], z[:, 0] + 0.5):
        rank = ((z[:, 1:] < truth[:, None]).sum(axis=1) + 0.5) / (KEPT + 1.0)
        with pytest.raises(AssertionError, match="outside"):
            check_uniform(pd.DataFrame({"x": rank}), 0.99)
    fair = ((z[:, 1:] < z[:, :1]).sum(axis=1) + 0.5) / (KEPT + 1.0)
    check_uniform(pd.DataFrame({"x": fair}), 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("family", list(STUDY))
def test_short_calibration(family: str) -> None:
    check_uniform(table_of_ranks(family, SHORT[family], seed=5), 0.999)


@pytest.mark.study
@pytest.mark.parametrize("family", list(STUDY))
def test_calibration(family: str) -> None:
    check_uniform(table_of_ranks(family, STUDY[family], seed=6), 0.99)
