"""Hazard models through their public names: R, invariances, hard data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from few_clusters import made_up
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.likelihood import hazard as hz
from longsurv.models import CoxPH, Hazard

KINDS = ("exponential", "weibull", "piecewise", "mspline")
HEART = "Surv(start, stop, event) ~ age + year + surgery + transplant"
LUNG = "Surv(time, status) ~ age + sex + ecog"


def agree(fit, r, name, rename=None, robust=False):
    """Coefficients and standard errors to six digits, log-likelihood to more."""
    coef = r("hazard", name, "coef")
    se = r("hazard", name, "robust_se" if robust else "se")
    assert [(rename or {}).get(term, term) for term in coef] == list(fit.names)
    np.testing.assert_allclose(fit.params, list(coef.values()), rtol=1e-6)
    more = np.sqrt(made_up(fit)).to_numpy()
    np.testing.assert_allclose(fit.bse, list(se.values()) * more, rtol=1e-6)
    assert fit.llf == pytest.approx(r("hazard", name, "loglik")[""], abs=1e-6)
    assert fit.converged and fit.diagnose().ok


class TestAgainstR:
    @pytest.mark.parametrize("kind", ["exponential", "weibull"])
    def test_survreg(self, table, r_results, kind):
        data, name = table("veteran"), f"veteran_{kind}"
        fit = Hazard("Surv(time, status) ~ trt + karno + age", data=data, baseline=kind).fit()
        agree(fit, r_results, name)
        if kind == "weibull":
            row = fit.tidy(component="all").set_index("term").loc["log_shape"]
            r = {q: r_results("hazard", name, q)[""] for q in ("log_shape", "log_shape_se")}
            assert row["estimate"] == pytest.approx(r["log_shape"], rel=1e-6)
            assert row["std_error"] == pytest.approx(r["log_shape_se"], rel=1e-6)
        who = pd.DataFrame({"trt": [1], "karno": 60, "age": 58})
        found = fit.predict(who, times=[30, 90, 180])
        for column, quantity in (
            ("estimate", "survival"), ("std_error", "survival_se"),
            ("conf_low", "survival_low"), ("conf_high", "survival_high"),
        ):  # fmt: skip
            expected = list(r_results("hazard", name, quantity).values())
            np.testing.assert_allclose(found[column], expected, rtol=1e-6)

    def test_weibull_with_ties(self, table, r_results):
        formula = "Surv(week, arrest) ~ fin + age + prio"
        fit = Hazard(formula, data=table("rossi"), baseline="weibull").fit()
        agree(fit, r_results, "rossi_weibull")

    def test_pieces(self, table, r_results):
        formula, cuts = "Surv(week, arrest) ~ fin + age + prio", (13, 26, 39)
        spec = Hazard(formula, data=table("rossi"), baseline="piecewise", knots=cuts)
        fit = spec.fit()
        agree(fit, r_results, "rossi_piecewise")
        levels = fit.tidy(component="variance")["estimate"]
        at_0 = levels - table("rossi")[["fin", "age", "prio"]].mean().to_numpy() @ fit.params
        expected = list(r_results("hazard", "rossi_piecewise", "log_hazard_at_0").values())
        np.testing.assert_allclose(at_0, expected, rtol=1e-6)

    def test_start_stop_rows(self, table, r_results):
        """Entry times and a covariate that changes; also robust by patient."""
        kinds = {"baseline": "piecewise", "knots": (20, 60, 180)}
        agree(Hazard(HEART, data=table("heart"), **kinds).fit(), r_results, "heart_piecewise")
        robust = Hazard(HEART + " + cluster(id)", data=table("heart"), **kinds).fit()
        assert robust.reference.method == "robust" and "robust" in robust.method
        agree(robust, r_results, "heart_piecewise", robust=True)

    def test_weibull_with_entry_times(self, table, r_results):
        fit = Hazard(HEART, data=table("heart"), baseline="weibull").fit()
        agree(fit, r_results, "heart_weibull_own")

    def test_weights(self, table, r_results):
        spec = Hazard(
            LUNG + " + cluster(inst)", data=table("lung"), baseline="piecewise",
            knots=(200, 400), weights="weight",
        )  # fmt: skip
        agree(spec.fit(), r_results, "lung_weighted_piecewise", robust=True)

    def test_offset(self, table, r_results):
        formula = "Surv(time, status) ~ sex + ecog + offset(known)"
        fit = Hazard(formula, data=table("lung"), baseline="exponential").fit()
        agree(fit, r_results, "lung_offset_exponential")

    @pytest.mark.parametrize("kind", ["exponential", "weibull"])
    def test_treatment_by_log_time(self, table, r_results, kind):
        """Integrated in closed form there, by quadrature here."""
        data, name = table("veteran"), f"veteran_{kind}_log_time_own"
        data = data.assign(arm=data["trt"] - 1)
        spec = Hazard(
            "Surv(time, status) ~ arm + karno", data=data, baseline=kind, time_varying=("arm",)
        )
        fit = spec.fit()
        coef, se = r_results("hazard", name, "coef"), r_results("hazard", name, "se")
        assert fit.names == ("arm", "karno", "arm:log(t)")
        assert fit.llf == pytest.approx(r_results("hazard", name, "loglik")[""], abs=1e-6)
        trend, karno = fit.names[2], fit.params["karno"]
        assert fit.params[trend] == pytest.approx(coef["arm:log(t)"], rel=1e-5)
        assert fit.bse[trend] == pytest.approx(se["arm:log(t)"], rel=1e-5)
        assert karno == pytest.approx(coef["karno"], rel=1e-6)
        assert f"at time {spec.hazard.baseline.unit:g}" in fit.flags[0]
        at_1 = fit.hazard_ratio([1.0]).set_index("term").loc["arm"]
        assert np.log(at_1["hazard_ratio"]) == pytest.approx(coef["arm"], rel=1e-5)
        width = np.log(at_1["conf_high"] / at_1["conf_low"]) / 2 / 1.959963984540054
        assert width == pytest.approx(se["arm"], rel=1e-5)


def test_hazard_ratio_over_time(table):
    data = table("veteran").assign(arm=table("veteran")["trt"] - 1)
    spec = Hazard("Surv(time, status) ~ arm + karno", data=data, time_varying=("arm",))
    fit, unit = spec.fit(), spec.hazard.baseline.unit
    found = fit.hazard_ratio([10, 100])
    assert list(found["term"]) == ["arm", "arm", "karno", "karno"]
    b, _, g = fit.coefficients
    expected = np.exp(b + g * np.log(np.array([10, 100]) / unit))
    np.testing.assert_allclose(found["hazard_ratio"][:2], expected)
    assert found["hazard_ratio"][2] == found["hazard_ratio"][3]
    # the ratio of predicted hazards is the same
    who = pd.DataFrame({"arm": [0, 1], "karno": 60})
    h = fit.predict(who, times=[10, 100], kind="hazard")["estimate"].to_numpy().reshape(2, 2)
    np.testing.assert_allclose(h[1] / h[0], expected)


def test_spline_follows_cox_s_coefficients(table):
    """Many events and a free baseline: nearly the partial likelihood's answer."""
    formula = "Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio"
    cox, fit = (m(formula, data=table("rossi")).fit() for m in (CoxPH, Hazard))
    assert np.abs((fit.params - cox.params) / cox.bse).max() < 0.05
    np.testing.assert_allclose(fit.bse, cox.bse, rtol=0.02)
    low = Hazard(formula, data=table("rossi"), baseline="exponential").fit()
    assert low.aic > fit.aic and 8 < fit.edf < 8 + 9


def test_smoothing_maximises_the_marginal_likelihood(table):
    """Against Laplace's approximation computed on a grid, by differences of the gradient."""
    from longsurv.inference import hessian
    from longsurv.likelihood import hazard as hz

    spec = Hazard("Surv(week, arrest) ~ fin + prio", data=table("rossi"))
    fit, data = spec.fit(), spec.hazard.data

    def marginal(s):
        x = spec.fit(smoothing=s).optimum.x

        def penalised(v):
            value, slope = hz.value_and_gradient(data, v, s)
            z = np.r_[np.zeros(3), v[3:]]
            return value - 0.5 * z @ z, slope - z

        return penalised(x)[0] - 0.5 * np.linalg.slogdet(-hessian(penalised, x))[1]

    best = marginal(fit.smoothing)
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert marginal(fit.smoothing * factor) < best
    assert marginal(1e-8) < best


def test_no_smoothing_left_is_the_exponential_model(table):
    formula = "Surv(entry, exit, event) ~ group"
    spline = Hazard(formula, data=table("icu")).fit()
    constant = Hazard(formula, data=table("icu"), baseline="exponential").fit()
    assert spline.smoothing == 0.0 and "from a constant one" in " ".join(spline.flags)
    np.testing.assert_allclose(spline.params, constant.params, rtol=1e-6)
    np.testing.assert_allclose(spline.bse, constant.bse, rtol=1e-6)
    assert spline.aic == pytest.approx(constant.aic) and spline.edf == pytest.approx(2)


class TestInvariance:
    @settings(max_examples=8, deadline=None)
    @given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), unit=st.floats(0.01, 100))
    def test_rows_and_units(self, table, kind, seed, unit):
        data = table("veteran").iloc[::2]
        formula = "Surv(time, status) ~ trt + karno"
        one = Hazard(formula, data=data, baseline=kind).fit()
        other = data.sample(frac=1, random_state=seed)
        other = other.assign(time=other["time"] * unit)
        two = Hazard(formula, data=other, baseline=kind).fit()
        np.testing.assert_allclose(two.params, one.params, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(two.bse, one.bse, rtol=1e-5)
        a = one.predict(data.iloc[:3], times=[50])["estimate"]
        b = two.predict(data.iloc[:3], times=[50 * unit])["estimate"]
        np.testing.assert_allclose(a, b, rtol=1e-5)

    @pytest.mark.parametrize("kind", ["weibull", "piecewise", "mspline"])
    def test_time_that_counts_from_long_before_follow_up(self, table, kind):
        """In seconds since 1970, say. There a Weibull hazard is one that grows exponentially; of
        the others nothing changes."""
        data = table("veteran").assign(entry=0.0)
        data = data.assign(time=np.sqrt(data["time"]))  # so that the hazard grows
        formula = "Surv(entry, time, status) ~ trt + karno"
        fits = []
        for origin in (1e6, 1.7e9):
            moved = data.assign(entry=data["entry"] + origin, time=data["time"] + origin)
            fits.append(Hazard(formula, data=moved, baseline=kind).fit())
        near, far = fits
        assert near.converged and far.converged
        np.testing.assert_allclose(far.coefficients, near.coefficients, atol=1e-3 * near.bse.min())
        np.testing.assert_allclose(far.bse.iloc[:2], near.bse.iloc[:2], rtol=3e-4)
        assert far.llf == pytest.approx(near.llf, abs=1e-2)

    @pytest.mark.parametrize("kind", KINDS)
    def test_exchanging_the_levels_turns_the_sign(self, table, kind):
        fits = []
        for levels in (["control", "ivig"], ["ivig", "control"]):
            data = table("icu").assign(group=pd.Categorical(table("icu")["group"], levels))
            fits.append(Hazard("Surv(entry, exit, event) ~ group", data=data, baseline=kind).fit())
        assert fits[0].coefficients[0] == pytest.approx(-fits[1].coefficients[0], rel=1e-8)
        assert fits[0].llf == pytest.approx(fits[1].llf, abs=1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    def test_whole_weights_are_copies(self, table, kind):
        """The knots, which are at quantiles of the events, included."""
        data = table("veteran").iloc[:40].assign(w=np.arange(40) ** 2 % 7)
        formula = "Surv(time, status) ~ trt + karno"
        more = {"smoothing": 0.7} if kind == "mspline" else {}
        one = Hazard(formula, data=data[data["w"] > 0], baseline=kind, weights="w").fit(**more)
        copies = data.loc[data.index.repeat(data["w"])]
        two = Hazard(formula, data=copies, baseline=kind).fit(**more)
        np.testing.assert_allclose(one.params, two.params, rtol=1e-6)
        np.testing.assert_allclose(one.bse, two.bse, rtol=1e-6)
        assert one.llf == pytest.approx(two.llf)
        assert one.bic == pytest.approx(two.bic)  # which counts events

    @pytest.mark.parametrize("kind", KINDS)
    def test_follow_up_cut_in_two_is_the_same(self, table, kind):
        data = table("veteran").assign(entry=0.0, id=np.arange(137))
        late = data[data["time"] > 60].assign(entry=60.0)
        early = data.assign(
            time=data["time"].clip(upper=60), status=data["status"].where(data["time"] <= 60, 0)
        )
        formula = "Surv(entry, time, status) ~ trt + karno"
        one = Hazard(formula, data=data, baseline=kind, patient="id").fit()
        cut = Hazard(formula, data=pd.concat([early, late]), baseline=kind, patient="id")
        two = cut.fit()
        # covariates are centred at the means of the rows, which the level follows
        np.testing.assert_allclose(two.params, one.params, rtol=1e-5)
        assert two.llf == pytest.approx(one.llf, abs=1e-4)


class TestSeparated:
    @pytest.fixture(scope="class")
    @staticmethod
    def separated(table):
        group = table("icu")["group"]
        return table("icu").assign(event=table("icu")["event"].where(group == "control", 0))

    @pytest.mark.parametrize("varying", [(), ("group",)])
    @pytest.mark.parametrize("kind", KINDS)
    def test_firth_answers(self, separated, kind, varying):
        spec = Hazard(
            "Surv(entry, exit, event) ~ group", data=separated, baseline=kind, time_varying=varying
        )
        fit = spec.fit()
        assert fit.penalty == "firth" and fit.flags[0].startswith("Separated groups")
        assert np.abs(fit.coefficients[0]) < 6 and fit.bse.iloc[0] < 20

    def test_constant_hazard_in_closed_form(self, separated):
        """Two groups of d events in T: Firth's estimates are log((d + 1/2) / T)."""
        spec = Hazard("Surv(entry, exit, event) ~ group", data=separated, baseline="exponential")
        fit = spec.fit()
        time = (separated["exit"] - separated["entry"]).groupby(separated["group"]).sum()
        events = separated.groupby("group")["event"].sum()
        rate = np.log((events + 0.5) / time)
        assert fit.params.iloc[0] == pytest.approx(rate["ivig"] - rate["control"], rel=1e-7)
        assert fit.llf < 0 and "profile intervals" in fit.method

    def test_profile_limits_are_where_the_likelihood_has_fallen(self, separated):
        from scipy.optimize import minimize_scalar

        spec = Hazard("Surv(entry, exit, event) ~ group", data=separated, baseline="exponential")
        fit = spec.fit()
        time = (separated["exit"] - separated["entry"]).groupby(separated["group"]).sum()
        events = separated.groupby("group")["event"].sum() + 0.5

        def profile(b):
            def lost(a):
                rate = {"control": a, "ivig": a + b}
                return -sum(events[g] * rate[g] - time[g] * np.exp(rate[g]) for g in rate)

            return -minimize_scalar(lost, bounds=(-15, 3), method="bounded").fun

        top = profile(fit.coefficients[0])
        for side in fit.conf_int().iloc[0]:
            assert 2 * (top - profile(side)) == pytest.approx(3.841458820694124, rel=1e-4)

    def test_the_posterior_works(self, separated):
        post = Hazard("Surv(entry, exit, event) ~ group", data=separated).sample(
            draws=500, seed=3, chains=2
        )
        assert post.tidy()["estimate"].abs().max() < 3
        assert post.tidy()["r_hat"].max() < 1.02


class TestProfileAndPenalty:
    def test_profile_of_an_ordinary_fit(self, table):
        """Close to Wald with a hundred events; its p value is that of the likelihood ratio."""
        from scipy.stats import chi2

        formula = "Surv(week, arrest) ~ fin + prio"
        spec = Hazard(formula, data=table("rossi"), baseline="weibull")
        fit, wald = spec.fit(intervals="profile"), spec.fit()
        less = Hazard("Surv(week, arrest) ~ prio", data=table("rossi"), baseline="weibull")
        # the same unit of time, so the same likelihood
        ratio = 2 * (fit.llf - less.fit().llf)
        assert fit.tidy()["p_value"][0] == pytest.approx(chi2.sf(ratio, 1), rel=1e-5)
        np.testing.assert_allclose(fit.conf_int(), wald.conf_int(), atol=0.02)

    def test_firth_pulls_towards_zero(self, table):
        spec = Hazard("Surv(entry, exit, event) ~ group", data=table("icu"))
        assert abs(spec.fit("firth").coefficients[0]) < abs(spec.fit().coefficients[0])


class TestPredictions:
    @pytest.fixture(scope="class")
    @staticmethod
    def fit(table):
        return Hazard("Surv(week, arrest) ~ fin + prio", data=table("rossi")).fit()

    def test_kinds_fit_together(self, fit, table):
        who, times = table("rossi").iloc[[5, 8]], [13.0, 40.0]
        S, R, H = (
            fit.predict(who, times=times, kind=k) for k in ("survival", "risk", "cumulative_hazard")
        )
        np.testing.assert_allclose(S["estimate"] + R["estimate"], 1.0)
        np.testing.assert_allclose(S["conf_low"], 1.0 - R["conf_high"])
        np.testing.assert_allclose(-np.log(S["estimate"]), H["estimate"])
        np.testing.assert_allclose(-np.log(S["conf_low"]), H["conf_high"])
        assert list(S["time"]) == times * 2
        fine = np.linspace(0, 40, 4001)[1:] - 0.005
        h = fit.predict(who.iloc[:1], times=list(fine), kind="hazard")["estimate"]
        assert h.sum() * 0.01 == pytest.approx(H["estimate"][1], rel=1e-5)

    def test_hazard_s_error_is_the_delta_method_s(self, fit, table, numeric_gradient):
        who = table("rossi").iloc[[5]]
        X = who[["fin", "prio"]].to_numpy(dtype=float)[0] - fit.hazard.centre
        M = fit.hazard.baseline.hazard(np.array([20.0]))[0]
        slope = numeric_gradient(
            lambda v: float(X @ v[:2] + np.log(M @ np.exp(v[2:]))), fit.natural, h=1e-4
        )
        row = fit.predict(who, times=[20.0], kind="hazard").iloc[0]
        se = np.sqrt(slope @ fit.natural_cov @ slope)
        assert row["std_error"] == pytest.approx(row["estimate"] * se, rel=1e-6)

    def test_survival_is_given_alive_at_the_first_entry(self, table):
        fit = Hazard("Surv(entry, exit, event) ~ group", data=table("icu")).fit()
        found = fit.predict(table("icu").iloc[:1], times=[0.0, 7.0, 28.0])
        assert list(found["estimate"][:2]) == [1.0, 1.0] and found["estimate"][2] < 1

    def test_residuals(self, fit, table):
        M = fit.residuals()
        assert M["martingale"].sum() == pytest.approx(0.0, abs=1e-5)
        H = fit.residuals("cox_snell")["cox_snell"]
        one = fit.predict(table("rossi").iloc[[7]], times=[float(table("rossi")["week"][7])])
        assert H.iloc[7] == pytest.approx(-np.log(one["estimate"][0]))
        deviance = fit.residuals("deviance")["deviance"]
        assert (np.sign(deviance) == np.sign(M["martingale"])).all()

    def test_columns_are_cox_s(self, fit, table):
        cox = CoxPH("Surv(week, arrest) ~ fin + prio", data=table("rossi")).fit()
        who = table("rossi").iloc[:2]
        assert list(cox.tidy()) == list(fit.tidy())
        assert list(cox.hazard_ratios()) == list(fit.hazard_ratios())
        assert list(cox.predict(who)) == list(fit.predict(who))
        assert list(cox.predict(who, times=[9])) == list(fit.predict(who, times=[9]))
        a, b = (f.survival_curve(who) for f in (cox, fit))
        pd.testing.assert_frame_equal(a.iloc[:, :-4], b.iloc[:, :-4], check_dtype=False)
        np.testing.assert_allclose(a["estimate"], b["estimate"], atol=0.02)
        np.testing.assert_allclose(a["std_error"], b["std_error"], atol=0.005)

    def test_baseline(self, fit, table):
        found = fit.baseline([10, 30])
        mean = pd.DataFrame(table("rossi")[["fin", "prio"]].mean()).T
        for kind in ("hazard", "cumulative_hazard"):
            same = fit.predict(mean, times=[10, 30], kind=kind)
            np.testing.assert_allclose(found[kind], same["estimate"])
            np.testing.assert_allclose(found[f"{kind}_low"], same["conf_low"])
        assert len(fit.baseline()) == 25


@pytest.mark.slow
def test_recovers_what_was_simulated():
    """Weibull data, 60 % censored: intervals of every baseline hold the truth about as often as
    they say, and the spline's hazard is near the true one."""
    rng, truth, inside = np.random.default_rng(11), np.array([-0.7, 0.4]), []
    for _ in range(40):
        X = np.column_stack([rng.integers(0, 2, 400), rng.normal(size=400)])
        t = (rng.exponential(size=400) * np.exp(-X @ truth)) ** (1 / 1.6) * 20
        end = rng.uniform(2, 20, 400)
        data = pd.DataFrame(X, columns=["a", "z"]).assign(
            t=np.minimum(t, end), d=(t <= end).astype(int)
        )
        fit = Hazard("Surv(t, d) ~ a + z", data=data).fit()
        limits = fit.conf_int().to_numpy()
        inside.append((limits[:, 0] < truth) & (truth < limits[:, 1]))
    assert 0.85 <= np.mean(inside) <= 1.0
    found = fit.predict(pd.DataFrame({"a": [0], "z": [0.0]}), times=[5, 10, 15], kind="hazard")
    true = 1.6 / 20 * (np.array([5, 10, 15]) / 20) ** 0.6
    assert ((found["conf_low"] < true) & (true < found["conf_high"])).all()


class TestRefused:
    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [({"baseline": "gompertz"}, "one of"), ({"time_varying": ("dose",)}, "no term 'dose'"),
         ({"time_varying": "group"}, "time_varying is a list"),
         ({"knots": (3.0,)}, "between the first entry, 7")],
    )  # fmt: skip
    def test_specifications(self, table, kwargs, message):
        with pytest.raises(LongsurvError, match=message):
            Hazard("Surv(entry, exit, event) ~ group", data=table("icu"), **kwargs).fit()

    def test_strata_and_times(self, table):
        with pytest.raises(LongsurvError, match="put group among the covariates"):
            Hazard("Surv(exit, event) ~ age + strata(group)", data=table("icu")).fit()
        zero = table("icu").assign(exit=lambda d: d["exit"].where(d.index != 3, 0))
        with pytest.raises(DataError, match="'exit' is 0 in 1 row "):
            Hazard("Surv(exit, event) ~ group", data=zero).fit()

    def test_pieces_without_events(self, table):
        spec = Hazard(
            "Surv(exit, event) ~ group", data=table("icu"), baseline="piecewise", knots=(6.0,)
        )
        with pytest.raises(EstimationError, match=r"no events in \(0, 6\]"):
            spec.fit()

    def test_options(self, table):
        spec = Hazard("Surv(exit, event) ~ group", data=table("icu"), baseline="weibull")
        with pytest.raises(LongsurvError, match="has no smoothing"):
            spec.fit(smoothing=1.0)
        with pytest.raises(LongsurvError, match="penalty is firth or None"):
            spec.fit("ridge")
        with pytest.raises(LongsurvError, match="kind is one of"):
            spec.fit().predict(times=[3], kind="odds")
        with pytest.raises(LongsurvError, match="times above 0"):
            spec.fit().predict(times=[0], kind="hazard")
        with pytest.raises(LongsurvError, match="at least 0"):
            Hazard("Surv(exit, event) ~ group", data=table("icu")).sample(smoothing=-1.0)


TREND = "arm:age:log(t)"


@pytest.mark.parametrize("kind", KINDS)
def test_changes_with_log_time_do_not_depend_on_the_coding(table, kind):
    """Of a number's origin and unit, of two groups' codes, of how follow-up was cut."""
    data = table("veteran").iloc[::2].assign(arm=lambda d: d["trt"] - 1.0)
    how = {"baseline": kind, "time_varying": ("arm", "age", "arm:age")}
    smoothing = {"smoothing": 0.5} if kind == "mspline" else {}
    formula = "Surv(start, time, status) ~ arm * age + karno"
    data = data.assign(start=0.0, id=np.arange(len(data)))
    one = Hazard(formula, data, **how).fit(**smoothing)
    half = data.assign(time=data["time"] / 2, status=0)
    cut = pd.concat([half, data.assign(start=data["time"] / 2)])
    for moved, scale, error in (
        (data.assign(age=data["age"] + 1e4), 1.0, 1e-6),
        (data.assign(age=365.25 * data["age"], arm=data["arm"] + 1.0), 365.25, 1e-6),
        (data.assign(arm=1.0 - data["arm"]), -1.0, 1e-6),
        (cut, 1.0, 1e-4),  # another rule for the integral over time
    ):
        knots = one.hazard.baseline.knots or None
        two = Hazard(formula, moved, patient="id", knots=knots, **how).fit(**smoothing)
        assert two.llf == pytest.approx(one.llf, abs=error)
        assert scale * two.params[TREND] == pytest.approx(one.params[TREND], rel=10 * error)
        assert abs(scale) * two.bse[TREND] == pytest.approx(one.bse[TREND], rel=10 * error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_with_changes_over_time_has_no_origin(table, kind):
    data = table("veteran").iloc[::2].assign(arm=lambda d: d["trt"] - 1.0)
    formula, values = "Surv(time, status) ~ arm + age + karno", []
    for moved in (data, data.assign(age=data["age"] + 1e4, arm=data["arm"] + 1.0)):
        spec = Hazard(formula, moved, baseline=kind, time_varying=("arm", "age"))
        stack = spec.prior_stack(None)
        theta = np.linspace(-0.02, 0.02, len(stack.names))
        theta[len(spec.hazard.names)] = spec.hazard.level
        log_likelihood, slope = hz.value_and_gradient(spec.hazard.data, theta)
        prior, by_prior = stack.value_and_gradient(theta)
        values.append([log_likelihood, prior, *slope, *by_prior])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-8, atol=1e-7)
