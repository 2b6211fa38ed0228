"""Standardised risks against sums written out over the patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.standardised import restricted_mean_difference, risk_difference
from longsurv.models import CoxPH, Hazard

FORMULA = "Surv(week, arrest) ~ arm + prio"
TERMS = ["risk (none)", "risk (aid)", "risk difference", "risk ratio", "odds ratio"]
MEANS = ["mean time (none)", "mean time (aid)", "mean time difference", "mean time ratio"]
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
MEAN_SCALES = {
    "mean time (none)": lambda m: m[0],
    "mean time (aid)": lambda m: m[1],
    "mean time difference": lambda m: m[1] - m[0],
    "mean time ratio": lambda m: np.log(m[1] / m[0]),
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
        sides = np.array([-1, 1]) * 1.959963984540054
        if ratio:
            limits = np.exp(value + sides * se)
        else:  # Fisher's z, and its standard error by the delta method
            limits = np.tanh(np.arctanh(value) + sides * se / (1 - value**2))
        np.testing.assert_allclose(
            found[["conf_low", "conf_high"]].astype(float), limits, rtol=1e-6
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
        assert found.loc[TERMS[2], f"prob_benefit{column}"] == pytest.approx(chance, abs=0.03)
        assert found.drop(index=TERMS[2])[f"prob_benefit{column}"].isna().all()


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


class TestOfHazardModels:
    @pytest.fixture(scope="class", params=["weibull", "mspline"])
    @staticmethod
    def hazard_spec(request, rossi):
        return Hazard(FORMULA, data=rossi, baseline=request.param)

    @pytest.fixture(scope="class")
    @staticmethod
    def hazard_fit(hazard_spec):
        return hazard_spec.fit()

    @pytest.fixture(scope="class")
    @staticmethod
    def drawn(hazard_spec):
        return hazard_spec.sample(draws=300, seed=4, chains=2)

    @staticmethod
    def survival(fit, arrays, natural, times):
        """Mean survival of all untreated and all treated from the model's formula, (2, T)."""
        base, centre = fit.hazard.baseline, arrays[0].mean(axis=0)
        if base.kind == "weibull":
            H0 = np.exp(natural[2]) * (times / base.unit) ** np.exp(natural[3])
        else:
            H0 = base.cumulative(times) @ np.exp(natural[2:])
        out = []
        for arm in (0.0, 1.0):
            X = arrays[0].copy()
            X[:, 0] = arm
            eta = (X - centre) @ natural[:2]
            out.append(np.exp(-np.exp(eta)[:, None] * H0).mean(axis=0))
        return np.array(out)

    @pytest.mark.parametrize("term", TERMS)
    def test_risks(self, hazard_fit, arrays, numeric_gradient, term):
        found = risk_difference(hazard_fit, "arm", HORIZON).set_index("term").loc[term]
        at = np.array([float(HORIZON)])

        def quantity(natural):
            return float(SCALES[term](1 - self.survival(hazard_fit, arrays, natural, at)[:, 0]))

        slope = numeric_gradient(quantity, hazard_fit.natural, h=1e-4)
        value, se = quantity(hazard_fit.natural), np.sqrt(slope @ hazard_fit.natural_cov @ slope)
        expected = np.exp(value) if "ratio" in term else value
        assert found["estimate"] == pytest.approx(expected, rel=1e-8)
        assert found["std_error"] == pytest.approx(se, rel=1e-5)

    @pytest.mark.parametrize("term", MEANS)
    def test_mean_times(self, hazard_fit, arrays, numeric_gradient, term):
        """Areas by the trapezoidal rule on a fine grid."""
        table = restricted_mean_difference(hazard_fit, "arm", HORIZON).set_index("term")
        assert list(table.index) == MEANS
        times = np.linspace(0.0, HORIZON, 2001)

        def quantity(natural):
            S = self.survival(hazard_fit, arrays, natural, times)
            return float(MEAN_SCALES[term](np.trapezoid(S, times, axis=1)))

        slope = numeric_gradient(quantity, hazard_fit.natural, h=1e-4)
        value, se = quantity(hazard_fit.natural), np.sqrt(slope @ hazard_fit.natural_cov @ slope)
        ratio = "ratio" in term
        found = table.loc[term]
        assert found["estimate"] == pytest.approx(np.exp(value) if ratio else value, rel=1e-5)
        assert found["std_error"] == pytest.approx(se, rel=1e-4)
        sides, share = np.array([-1, 1]) * 1.959963984540054, value / HORIZON
        if ratio:
            limits = np.exp(value + sides * se)
        elif "difference" in term:
            limits = np.tanh(np.arctanh(share) + sides * se / HORIZON / (1 - share**2)) * HORIZON
        else:
            logit = np.log(share / (1 - share)) + sides * se / HORIZON / (share * (1 - share))
            limits = HORIZON / (1 + np.exp(-logit))
        np.testing.assert_allclose(
            found[["conf_low", "conf_high"]].astype(float), limits, rtol=1e-4
        )

    def test_draws(self, drawn, arrays):
        times = np.linspace(0.0, HORIZON, 401)
        S = np.array([self.survival(drawn, arrays, n, times) for n in drawn.natural])
        risks = risk_difference(drawn, "arm", HORIZON).set_index("term")
        p0, p1 = 1 - S[:, 0, -1], 1 - S[:, 1, -1]
        row = risks.loc["risk difference"]
        assert row["estimate"] == pytest.approx((p1 - p0).mean(), rel=1e-8)
        assert row["prob_benefit_1"] == pytest.approx((p1 - p0 < -0.01).mean())
        assert risks.loc["odds ratio", "estimate"] == pytest.approx(
            np.median(p1 / (1 - p1) * (1 - p0) / p0), rel=1e-8
        )
        means = restricted_mean_difference(drawn, "arm", HORIZON).set_index("term")
        area = np.trapezoid(S, times, axis=2)
        gain = area[:, 1] - area[:, 0]
        row = means.loc["mean time difference"]
        assert row["estimate"] == pytest.approx(gain.mean(), rel=1e-4)
        assert row["std_error"] == pytest.approx(gain.std(ddof=1), rel=1e-4)
        assert row["prob_benefit"] == pytest.approx((gain > 0).mean(), abs=0.004)
        for term, values in zip(
            MEANS, [area[:, 0], area[:, 1], gain, area[:, 1] / area[:, 0]], strict=True
        ):
            low, high = np.quantile(values, [0.025, 0.975])
            limits = means.loc[term, ["conf_low", "conf_high"]].astype(float)
            np.testing.assert_allclose(limits, [low, high], rtol=1e-3, err_msg=term)
        half = restricted_mean_difference(drawn, "arm", HORIZON, level=0.5).set_index("term")
        limits = half.loc[MEANS[2], ["conf_low", "conf_high"]].astype(float)
        np.testing.assert_allclose(limits, np.quantile(gain, [0.25, 0.75]), rtol=1e-3)
        ratio = np.median(area[:, 1] / area[:, 0])
        assert means.loc["mean time ratio", "estimate"] == pytest.approx(ratio, rel=1e-6)

    def test_engines_and_models_agree(self, hazard_fit, drawn, posterior):
        """Both engines the same mean time gained; a Cox model, which smooths nothing, about it."""
        gains = [
            restricted_mean_difference(r, "arm", HORIZON).set_index("term")
            for r in (hazard_fit, drawn, posterior)
        ]
        for other, share in zip(gains[1:], (0.1, 0.25), strict=True):
            row, first = other.loc["mean time difference"], gains[0].loc["mean time difference"]
            off = abs(row["estimate"] - first["estimate"])
            assert off < share * first["std_error"]
            assert row["std_error"] == pytest.approx(first["std_error"], rel=0.1)

    def test_delayed_entry_starts_the_area(self, table):
        """Hazard constant, one covariate: mean times in closed form."""
        spec = Hazard("Surv(entry, exit, event) ~ group", data=table("icu"), baseline="exponential")
        fit = spec.fit()
        found = restricted_mean_difference(fit, "group", 28).set_index("term")
        followed = table("icu").groupby("group").sum(numeric_only=True)
        for arm in ("control", "ivig"):
            sums = followed.loc[arm]
            rate = sums["event"] / (sums["exit"] - sums["entry"])
            expected = (1 - np.exp(-rate * 21)) / rate
            assert found.loc[f"mean time ({arm})", "estimate"] == pytest.approx(expected, rel=1e-7)
        with pytest.raises(LongsurvError, match="nobody is at risk before 7"):
            restricted_mean_difference(fit, "group", 5)


def test_mean_times_of_a_cox_posterior(posterior, arrays):
    """Areas under the stepwise curves of every draw."""
    found = restricted_mean_difference(posterior, "arm", HORIZON).set_index("term")
    week, arrest = arrays[1:]
    times = np.unique(week[(arrest == 1) & (week < HORIZON)])
    X = pd.DataFrame({"arm": ["none", "aid"] * 2, "prio": [0, 0, 5, 5]})
    S = posterior.survival_draws(X, list(times))
    area = times[0] + (S * np.diff([*times, HORIZON])).sum(axis=2)
    gain = area[:, [1, 3]] - area[:, [0, 2]]
    low, high = sorted(gain.mean(axis=0))
    assert 0.5 * low < found.loc["mean time difference", "estimate"] < 1.5 * high
    everyone = posterior.spec.data.assign(arm="aid")
    whole = posterior.survival_draws(everyone.astype({"arm": X["arm"].dtype}), list(times))
    mean = times[0] + (whole.mean(axis=1) * np.diff([*times, HORIZON])).sum(axis=1)
    assert found.loc["mean time (aid)", "estimate"] == pytest.approx(mean.mean(), rel=1e-3)


class TestRefused:
    @pytest.mark.parametrize("horizon", [0, -1, 53])
    def test_horizons(self, fit, horizon):
        with pytest.raises(LongsurvError, match=r"last exit(,| is at) 52"):
            risk_difference(fit, "arm", horizon)

    def test_no_horizon(self, fit):
        with pytest.raises(LongsurvError, match="horizon is a time above 0, not nan"):
            risk_difference(fit, "arm", np.nan)

    def test_levels(self, fit):
        with pytest.raises(LongsurvError, match="has no level 'placebo'"):
            risk_difference(fit, "arm", HORIZON, treated="placebo")
        with pytest.raises(LongsurvError, match="no column 'amr'"):
            risk_difference(fit, "amr", HORIZON)
        with pytest.raises(LongsurvError, match="name treated= and reference="):
            risk_difference(fit, "prio", HORIZON)
        with pytest.raises(LongsurvError, match="level is a probability"):
            risk_difference(fit, "arm", HORIZON, level=95)


class TestRestrictedMeanOfCox:
    def test_against_the_bootstrap(self, spec, fit, rossi):
        """The steps of the mean curves added up, and the spread of refits of resampled patients."""
        row = restricted_mean_difference(fit, "arm", HORIZON).set_index("term")
        found = row.loc["mean time difference"]
        rng = np.random.default_rng(6)

        def gain(data):
            result = replace(spec, data=data).fit()
            times = np.concatenate([[0.0], np.arange(1.0, HORIZON)])
            frames = [data.assign(arm=pd.Categorical([a] * len(data), ["none", "aid"]))
                      for a in ("none", "aid")]  # fmt: skip
            curves = [
                [1.0, *(result.mean_survival([frame], t)[0][0] for t in times[1:])]
                for frame in frames
            ]
            return np.sum(curves[1]) - np.sum(curves[0])

        assert found["estimate"] == pytest.approx(gain(rossi), rel=1e-9)
        n = len(rossi)
        small = rossi.reset_index(drop=True)
        gains = []
        for _ in range(60):
            resampled = small.iloc[rng.integers(0, n, n)].reset_index(drop=True)
            result = replace(spec, data=resampled).fit()
            table = restricted_mean_difference(result, "arm", HORIZON).set_index("term")
            gains.append(table.loc["mean time difference", "estimate"])
        assert found["std_error"] == pytest.approx(np.std(gains, ddof=1), rel=0.25)

    def test_one_time_is_the_diagonal_of_several(self, fit, rossi):
        frames = [rossi.iloc[:40], rossi.iloc[40:100]]
        mean, cov = fit.mean_survival_at(frames, [5.0, 20.0, 39.0])
        for t, time in enumerate((5.0, 20.0, 39.0)):
            one, own = fit.mean_survival(frames, time)
            np.testing.assert_allclose(mean[:, t], one)
            np.testing.assert_allclose(cov[:, t, :, t], own)
        eigenvalues = np.linalg.eigvalsh(cov.reshape(6, 6))
        assert eigenvalues.min() > -1e-15


@pytest.fixture(scope="module")
def left_early():
    """All controls are discharged before the first death: nothing is said of the treatment."""
    early, late = np.arange(1.0, 13.0), np.arange(13.0, 33.0)
    return pd.DataFrame(
        {
            "day": np.r_[early, late],
            "died": np.r_[np.zeros(12), np.resize([1, 0], 20)].astype(int),
            "arm": pd.Categorical(["none"] * 12 + ["aid"] * 20, ["none", "aid"]),
            "age": np.resize([50.0, 60.0, 71.0, 64.0, 55.0], 32),
        }
    )


@pytest.mark.parametrize("estimand", [risk_difference, restricted_mean_difference])
def test_a_posterior_that_is_all_prior_has_no_estimand(left_early, estimand):
    spec = CoxPH("Surv(day, died) ~ arm + age", data=left_early)
    post = spec.sample(draws=100, tune=100, chains=2, seed=1)
    assert post.all_prior == ("arm[T.aid]",)
    with pytest.raises(EstimationError, match=r"do not determine arm\[T.aid\].*is the prior"):
        estimand(post, "arm", 20.0)
    with pytest.raises(EstimationError, match=r"do not determine arm\[T.aid\]"):
        estimand(spec.fit(), "arm", 20.0)


@pytest.mark.parametrize("estimand", [risk_difference, restricted_mean_difference])
def test_what_is_wrong_with_a_result_goes_with_its_estimands(left_early, estimand):
    known = left_early.assign(died=left_early["died"].mask(left_early["day"].isin([5.0]), 1))
    spec = CoxPH("Surv(day, died) ~ arm + age", data=known)
    hazy = spec.sample(draws=100, tune=100, chains=2, seed=1, priors={"arm": pr.Normal(0.0, 0.02)})
    table = estimand(hazy, "arm", 20.0)
    assert "Nothing but prior" in " ".join(table.attrs["flags"])
    for result in (spec.fit(), Hazard("Surv(day, died) ~ arm", known, "weibull").fit()):
        attrs = estimand(result, "arm", 20.0).attrs
        assert attrs["converged"] == result.converged
        assert set(result.flags) <= set(attrs["flags"])


def test_no_risk_of_a_stratum_that_nobody_was_followed_in(table):
    """Its survival would be that of its last exit, at any later time."""
    veteran = table("veteran").assign(trt=lambda t: np.where(t["trt"] == 1, "old", "new"))
    early = (veteran["celltype"] == "adeno") & (veteran["time"] > 60)
    cut = veteran.assign(
        time=veteran["time"].where(~early, 60.0), status=veteran["status"].where(~early, 0)
    )
    spec = CoxPH("Surv(time, status) ~ trt + strata(celltype)", data=cut)
    for answer in (spec.fit(), spec.sample(draws=100, chains=2, seed=1)):
        assert np.isfinite(risk_difference(answer, "trt", 50.0)["estimate"]).all()
        for estimand in (risk_difference, restricted_mean_difference):
            with pytest.raises(LongsurvError, match="nobody of celltype=adeno was followed to 100"):
                estimand(answer, "trt", 100.0)
    # All who were left had the event: then there is nobody to know anything of.
    emptied = cut.assign(status=cut["status"].where(~early, 1))
    fit = CoxPH("Surv(time, status) ~ trt + strata(celltype)", data=emptied).fit()
    assert np.isfinite(risk_difference(fit, "trt", 100.0)["estimate"]).all()
