"""Standardised risks against sums written out over the patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.estimands.standardised import risk_difference
from longsurv.models import CoxPH

FORMULA = "Surv(week, arrest) ~ arm + prio"
TERMS = ["risk (none)", "risk (aid)", "risk difference", "risk ratio", "odds ratio"]
HORIZON = 40


@pytest.fixture(scope="module")
def rossi(table):
    arm = np.where(table("rossi")["fin"] == 1, "aid", "none")
    return table("rossi").assign(arm=pd.Categorical(arm, ["none", "aid"]))


@pytest.fixture(scope="module")
def spec(rossi):
    return CoxPH(FORMULA, data=rossi, ties="breslow")


@pytest.fixture(scope="module")
def fit(spec):
    return spec.fit()


@pytest.fixture(scope="module")
def posterior(spec):
    return spec.sample(draws=1000, chains=2, seed=4)


@pytest.fixture(scope="module")
def arrays(rossi):
    X = np.column_stack([rossi["arm"] == "aid", rossi["prio"]]).astype(float)
    return X, rossi["week"].to_numpy(), rossi["arrest"].to_numpy()


def risk_sets(arrays, beta):
    """Deaths and the sum of relative hazards at every event time to the horizon."""
    X, week, arrest = arrays
    times = np.unique(week[(arrest == 1) & (week <= HORIZON)])
    deaths = np.array([((week == u) & (arrest == 1)).sum() for u in times])
    return deaths, np.array([np.exp(X[week >= u] @ beta).sum() for u in times])


def mean_risks(arrays, beta, cumulative):
    """Risks of all untreated and all treated, averaged over the patients."""
    out = []
    for arm in (0.0, 1.0):
        X = arrays[0].copy()
        X[:, 0] = arm
        out.append((1 - np.exp(-cumulative * np.exp(X @ beta))).mean())
    return np.array(out)


def breslow_risks(arrays, beta):
    deaths, sums = risk_sets(arrays, beta)
    return mean_risks(arrays, beta, (deaths / sums).sum())


SCALES = {
    "risk (none)": lambda r: r[0],
    "risk (aid)": lambda r: r[1],
    "risk difference": lambda r: r[1] - r[0],
    "risk ratio": lambda r: np.log(r[1] / r[0]),
    "odds ratio": lambda r: np.log(r[1] / (1 - r[1]) * (1 - r[0]) / r[0]),
}


@pytest.mark.parametrize("term", TERMS)
def test_of_a_fit(fit, arrays, numeric_gradient, term):
    """Delta method by differences, in the coefficients and in the baseline hazard's jumps."""
    found = risk_difference(fit, "arm", HORIZON).set_index("term").loc[term]
    beta, scale = fit.coefficients, SCALES[term]
    value = scale(breslow_risks(arrays, beta))
    slope = numeric_gradient(lambda b: scale(breslow_risks(arrays, b)), beta)
    deaths, sums = risk_sets(arrays, beta)
    total = (deaths / sums).sum()
    by_hazard = numeric_gradient(lambda h: scale(mean_risks(arrays, beta, h[0])), np.array([total]))
    variance = slope @ fit.cov_params().to_numpy() @ slope
    variance += by_hazard[0] ** 2 * (deaths / sums**2).sum()
    se, ratio = np.sqrt(variance), "ratio" in term
    assert found["estimate"] == pytest.approx(np.exp(value) if ratio else value, rel=1e-8)
    assert found["std_error"] == pytest.approx(se, rel=1e-6)
    if "(" not in term:
        limits = value + np.array([-1, 1]) * 1.959963984540054 * se
        np.testing.assert_allclose(
            found[["conf_low", "conf_high"]].astype(float),
            np.exp(limits) if ratio else limits,
            rtol=1e-6,
        )


def test_intervals_of_risks_are_on_the_logit_scale(fit):
    found = risk_difference(fit, "arm", HORIZON, level=0.8).set_index("term").loc[TERMS[:2]]
    logit = {c: np.log(found[c] / (1 - found[c])) for c in ("estimate", "conf_low", "conf_high")}
    middle = (logit["conf_low"] + logit["conf_high"]) / 2
    np.testing.assert_allclose(middle, logit["estimate"], rtol=1e-10)
    width = (logit["conf_high"] - logit["conf_low"]) / 2
    se = found["std_error"] / (found["estimate"] * (1 - found["estimate"]))
    np.testing.assert_allclose(width, 1.2815515655446004 * se, rtol=1e-10)


def test_of_a_posterior(posterior, arrays):
    """Breslow jumps at every draw, each with an own gamma factor of mean 1."""
    found = risk_difference(posterior, "arm", HORIZON).set_index("term")
    rng = np.random.default_rng(99)
    risks = []
    for beta in posterior.coefficients.reshape(-1, 2):
        deaths, sums = risk_sets(arrays, beta)
        risks.append(mean_risks(arrays, beta, (rng.gamma(deaths) / sums).sum()))
    p0, p1 = np.array(risks).T
    draws = {TERMS[0]: p0, TERMS[1]: p1, TERMS[2]: p1 - p0, TERMS[3]: p1 / p0}
    draws[TERMS[4]] = p1 / (1 - p1) * (1 - p0) / p0
    assert list(found.index) == TERMS
    for term, values in draws.items():
        ratio = "ratio" in term
        error = values.std() / np.sqrt(len(values))
        middle = np.median(values) if ratio else values.mean()
        assert found.loc[term, "estimate"] == pytest.approx(middle, abs=6 * error)
        spread = (np.log(values) if ratio else values).std(ddof=1)
        assert found.loc[term, "std_error"] == pytest.approx(spread, rel=0.08)
        low, high = np.quantile(values, [0.025, 0.975])
        assert found.loc[term, "conf_low"] == pytest.approx(low, abs=12 * error)
        assert found.loc[term, "conf_high"] == pytest.approx(high, abs=12 * error)
    for least, column in ((0, ""), (0.01, "_1"), (0.05, "_5")):
        chance = (p1 - p0 < -least).mean()
        assert found.loc[TERMS[2], f"prob_reduction{column}"] == pytest.approx(chance, abs=0.03)
        assert found.drop(index=TERMS[2])[f"prob_reduction{column}"].isna().all()


def test_engines_agree(fit, posterior):
    """432 patients, 114 arrests: the priors hardly matter."""
    ml = risk_difference(fit, "arm", HORIZON).set_index("term")
    bayes = risk_difference(posterior, "arm", HORIZON).set_index("term")
    np.testing.assert_allclose(
        bayes.loc[TERMS[:3], "estimate"], ml.loc[TERMS[:3], "estimate"], atol=0.01
    )
    np.testing.assert_allclose(bayes["std_error"], ml["std_error"], rtol=0.1)


@pytest.mark.parametrize("engine", ["fit", "posterior"])
def test_exchanging_the_groups_mirrors(request, engine):
    result = request.getfixturevalue(engine)
    one = risk_difference(result, "arm", HORIZON)
    other = risk_difference(result, "arm", HORIZON, treated="none", reference="aid")
    assert list(other["term"][:2]) == ["risk (aid)", "risk (none)"]
    np.testing.assert_allclose(other["estimate"][2], -one["estimate"][2], rtol=1e-9)
    np.testing.assert_allclose(other["conf_low"][2], -one["conf_high"][2], rtol=1e-9)
    np.testing.assert_allclose(other["conf_low"][3:], 1 / one["conf_high"][3:], rtol=1e-3)


def test_strata_are_kept(table):
    """Each patient keeps the baseline hazard of the own stratum."""
    veteran = table("veteran")
    fit = CoxPH("Surv(time, status) ~ trt + karno + strata(celltype)", data=veteran).fit()
    found = risk_difference(fit, "trt", 90).set_index("term")
    for arm in (1, 2):
        survival = fit.predict(veteran.assign(trt=arm), times=[90])["estimate"]
        assert found.loc[f"risk ({arm})", "estimate"] == pytest.approx(1 - survival.mean())


def test_several_rows_a_patient_count_once(rossi):
    """Follow-up cut at week 10: the same patients, the same answer."""
    whole = rossi.assign(entry=0, id=np.arange(len(rossi)))
    late = whole[whole["week"] > 10].assign(entry=10)
    early = whole.assign(
        week=whole["week"].clip(upper=10), arrest=whole["arrest"].where(whole["week"] <= 10, 0)
    )
    formula = "Surv(entry, week, arrest) ~ arm + prio"
    one = CoxPH(formula, data=whole, patient="id").fit()
    two = CoxPH(formula, data=pd.concat([late, early]), patient="id").fit()
    a, b = (risk_difference(f, "arm", HORIZON) for f in (one, two))
    pd.testing.assert_frame_equal(a, b, rtol=1e-6)


class TestRefused:
    @pytest.mark.parametrize("horizon", [0, -1, 53, np.nan])
    def test_horizons(self, fit, horizon):
        with pytest.raises(LongsurvError, match="up to the last exit, 52"):
            risk_difference(fit, "arm", horizon)

    def test_levels(self, fit):
        with pytest.raises(LongsurvError, match="has no level 'placebo'"):
            risk_difference(fit, "arm", HORIZON, treated="placebo")
        with pytest.raises(LongsurvError, match="no column 'amr'"):
            risk_difference(fit, "amr", HORIZON)
        with pytest.raises(LongsurvError, match="name treated= and reference="):
            risk_difference(fit, "prio", HORIZON)
        with pytest.raises(LongsurvError, match="level is a probability"):
            risk_difference(fit, "arm", HORIZON, level=95)
