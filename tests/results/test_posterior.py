"""Tables, contrasts, predictions and ArviZ groups of a posterior."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.likelihood import cox, lmm
from longsurv.models import LMM, CoxPH

TIDY = [
    "term", "estimate", "std_error", "conf_low", "conf_high", "prob_positive", "r_hat", "ess_bulk",
    "ess_tail", "mcse_mean",
]  # fmt: skip


class TestTidy:
    @pytest.mark.parametrize("name", ["sleepstudy", "rossi_two_efron"])
    def test_summary_of_the_draws(self, fits, name):
        post = fits.posterior(name)
        table = post.tidy(0.9, "all")
        assert list(table.columns) == TIDY and list(table["term"]) == list(post.samples)
        for row in table.itertuples():
            x = post.draw(row.term)
            assert x.shape == (2, 2000)
            assert row.estimate == pytest.approx(x.mean())
            assert row.std_error == pytest.approx(x.std(), rel=1e-3)
            assert (row.conf_low, row.conf_high) == pytest.approx(
                tuple(np.quantile(x, [0.05, 0.95]))
            )
            assert row.prob_positive == np.mean(x > 0)

    def test_convergence_measures_are_arviz_s(self, fits):
        import arviz as az

        post = fits.posterior("sleepstudy")
        table = post.tidy(component="all").set_index("term")
        for measure, function in (
            ("r_hat", az.rhat), ("ess_bulk", az.ess), ("mcse_mean", az.mcse),
        ):  # fmt: skip
            found = function(post.idata)
            tree = found.get("posterior", found)
            for term in post.samples:
                assert table.loc[term, measure] == pytest.approx(float(tree[term]), rel=1e-6)

    def test_components(self, fits):
        post = fits.posterior("sleepstudy")
        assert list(post.tidy()["term"]) == ["Intercept", "Days"]
        assert list(post.tidy(component="variance")["term"]) == list(post.design.variance_names)
        with pytest.raises(LongsurvError, match="component is"):
            post.tidy(component="random")
        with pytest.raises(LongsurvError, match="level is a probability"):
            post.tidy(95)


class TestContrast:
    def test_draws_are_combined(self, fits):
        post = fits.posterior("rossi_two_efron")
        row = post.contrast({"fin": 1, "prio": 2}, level=0.8).iloc[0]
        x = post.draw("fin") + 2 * post.draw("prio")
        assert row["term"] == "fin + 2*prio"
        assert (row["estimate"], row["conf_low"]) == pytest.approx((x.mean(), np.quantile(x, 0.1)))

    def test_a_misspelled_term(self, fits):
        with pytest.raises(LongsurvError, match="Did you mean 'prio'"):
            fits.posterior("rossi_two_efron").contrast("pro")
        with pytest.raises(LongsurvError, match="Did you mean 'sigma'"):
            fits.posterior("sleepstudy").draw("sigam")


class TestIdata:
    @pytest.mark.parametrize("name", ["sleepstudy", "rossi_two_efron"])
    def test_groups(self, fits, name):
        groups = {"posterior", "sample_stats", "log_likelihood", "log_prior", "observed_data"}
        assert groups <= set(fits.posterior(name).idata.children)

    @pytest.mark.parametrize("name", ["sleepstudy", "rossi_two_efron"])
    def test_lp_is_the_sum_of_its_parts(self, fits, name):
        """log likelihood + log prior + Jacobians, draw by draw, up to one constant."""
        post = fits.posterior(name)
        tree = post.idata
        (likelihood,) = tree["log_likelihood"].data_vars.values()
        total = likelihood.sum(
            dim=[d for d in likelihood.dims if d not in ("chain", "draw")]
        ).to_numpy()
        total = total + sum(v.to_numpy() for v in tree["log_prior"].data_vars.values())
        theta = post.draws.theta
        p = len(post.names)
        logged = theta[..., p : len(post.stack.names)]
        z = theta[..., len(post.stack.names) :]
        # one correlation: dr / dz = 1 - r^2
        total = total + logged.sum(axis=-1) + np.log1p(-(np.tanh(z) ** 2)).sum(axis=-1)
        difference = post.draws.stats["lp"] - total
        np.testing.assert_allclose(difference, difference[0, 0], atol=1e-6)

    def test_log_likelihood_of_patients(self, fits):
        post = fits.posterior("sleepstudy")
        found = post.idata["log_likelihood"]["y"].to_numpy()
        assert found.shape == (2, 2000, 18)
        value, _ = lmm.loglik(post.data, post.draws.theta[1, 7])
        assert found[1, 7].sum() == pytest.approx(value, rel=1e-10)

    def test_log_likelihood_of_events(self, fits):
        post = fits.posterior("rossi_two_efron")
        found = post.idata["log_likelihood"]["y"].to_numpy()
        assert found.shape == (2, 2000, 114)
        assert found[0, 3].sum() == pytest.approx(cox.loglik(post.data, post.draws.theta[0, 3]))

    def test_correlations_are_natural(self, fits):
        post = fits.posterior("sleepstudy")
        # theta has the SDs and the correlation at the mean day, 4.5; the named ones are at day 0.
        sd, slope = np.exp(post.draws.theta[..., 3]), np.exp(post.draws.theta[..., 4])
        along = np.tanh(post.draws.theta[..., -1]) * sd * slope
        first = np.sqrt(sd**2 - 2 * 4.5 * along + (4.5 * slope) ** 2)
        expected = (along - 4.5 * slope**2) / (first * slope)
        np.testing.assert_allclose(post.draw("cor(Intercept,Days|Subject)"), expected)
        np.testing.assert_allclose(post.draw("sd(Intercept|Subject)"), first)
        np.testing.assert_allclose(post.draw("sigma"), np.exp(post.draws.theta[..., 2]))


class TestChecks:
    def test_loo(self, fits):
        """ArviZ warns of a patient who is hard to leave out, and that is a warning to keep."""
        loo = fits.posterior("rossi_two_efron").loo()
        assert np.isfinite(loo.elpd) and loo.n_data_points == 114
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
            loo = fits.posterior("sleepstudy").loo()
        assert loo.n_data_points == 18 and np.isfinite(loo.elpd)

    @pytest.mark.parametrize("name", ["sleepstudy", "rossi_two_efron"])
    def test_prior_sensitivity(self, fits, name):
        post = fits.posterior(name)
        table = post.prior_sensitivity()
        assert list(table.index) == list(post.samples)
        assert {"prior", "likelihood"} <= set(table.columns)
        assert (table["likelihood"] > table["prior"]).all()

    def test_glance_and_diagnose(self, fits):
        post = fits.posterior("sleepstudy")
        row = post.glance().iloc[0]
        assert (row["nobs"], row["chains"], row["draws"], row["seed"]) == (180, 2, 2000, 1)
        assert row["divergences"] == 0 and row["r_hat_max"] < 1.01 and row["ess_min"] > 400
        assert post.diagnose().ok

    def test_text(self, fits):
        text = repr(fits.posterior("sleepstudy"))
        for part in ("2 chains x 2000 draws", "seed 1", "95 % equal-tailed",
                     "Priors: Intercept ~ Normal(",
                     "correlation ~ LKJ(2)", "cor(Intercept,Days|Subject)"):  # fmt: skip
            assert part in text

    def test_one_seed_one_answer(self, table):
        spec = CoxPH("Surv(week, arrest) ~ fin", data=table("rossi"))
        a, b, c = (
            spec.sample(draws=100, tune=100, chains=2, seed=s).draws.theta for s in (5, 5, 6)
        )
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


class TestPredictions:
    def test_population_mean(self, fits):
        post = fits.posterior("sleepstudy")
        new = pd.DataFrame({"Days": [0.0, 4.5]}, index=["a", "b"])
        found = post.predict(new, level=0.8)
        x = post.draw("Intercept") + 4.5 * post.draw("Days")
        assert list(found.index) == ["a", "b"]
        assert found.loc["b", "estimate"] == pytest.approx(x.mean())
        assert (found.loc["b", "conf_low"], found.loc["b", "conf_high"]) == pytest.approx(
            tuple(np.quantile(x, [0.1, 0.9]))
        )

    def test_random_effects(self, fits):
        """Near those of maximum likelihood, with wider errors: the variances are uncertain too."""
        post, fit = fits.posterior("sleepstudy").ranef(), fits("sleepstudy").ranef()
        assert list(post.columns) == list(fit.columns)
        scale = np.tile(fits("sleepstudy").tidy(component="variance")["estimate"].iloc[1:3], 18)
        np.testing.assert_allclose(post["estimate"] / scale, fit["estimate"] / scale, atol=0.12)
        assert (post["std_error"] > fit["std_error"]).all()

    def test_by_patient(self, fits):
        """Each patient's curve, near the one of maximum likelihood."""
        post, fit = (
            r.predict(by_patient=True) for r in (fits.posterior("sleepstudy"), fits("sleepstudy"))
        )
        np.testing.assert_allclose(post["estimate"], fit["estimate"], atol=4.0)
        np.testing.assert_allclose(post["std_error"], fit["std_error"], rtol=0.15)

    def test_a_patient_not_seen_is_uncertain(self, fits):
        """The spread of a new patient's curve is that of the random effects."""
        post = fits.posterior("sleepstudy")
        new = pd.DataFrame({"Days": [0.0], "Subject": [1]})
        with pytest.raises(LongsurvError, match="has not seen Subject"):
            post.predict(new, by_patient=True)
        found = post.predict(new, by_patient=True, new_groups="population")
        x, sd = post.draw("Intercept"), post.draw("sd(Intercept|Subject)")
        assert found["estimate"].iloc[0] == pytest.approx(x.mean(), abs=2.5)
        assert found["std_error"].iloc[0] == pytest.approx(
            np.sqrt(x.var() + np.mean(sd**2)), rel=0.1
        )

    def test_survival(self, fits):
        post, fit = fits.posterior("rossi_two_efron"), fits("rossi_two_efron")
        new = pd.DataFrame({"fin": [0, 1], "prio": [3, 10]})
        a, b = (r.predict(new, times=[10, 52]) for r in (post, fit))
        assert list(a.columns) == list(b.columns)
        np.testing.assert_allclose(a["estimate"], b["estimate"], atol=0.01)
        np.testing.assert_allclose(
            post.predict(new)["estimate"], post.coefficients.mean(axis=(0, 1)) @ new.to_numpy().T
        )

    def test_hazard_ratios(self, fits):
        post = fits.posterior("rossi_two_efron")
        table = post.hazard_ratios(level=0.9).set_index("term")
        x = np.exp(post.draw("fin"))
        assert (table.loc["fin", "conf_low"], table.loc["fin", "conf_high"]) == pytest.approx(
            tuple(np.quantile(x, [0.05, 0.95])), rel=1e-3
        )
        assert table.loc["fin", "prob_positive"] == pytest.approx(np.mean(x > 1))


@pytest.mark.parametrize("kind", ["mixed", "survival"])
def test_coordinates_of_the_log_likelihood(fits, kind):
    """The units that are left out one at a time are patients, or events, by name."""
    post = fits.posterior("sleepstudy" if kind == "mixed" else "rossi_two_efron")
    likelihood = post.idata["log_likelihood"]["y"]
    (dim,) = [d for d in likelihood.dims if d not in ("chain", "draw")]
    labels = [str(v) for v in likelihood[dim].to_numpy()]
    if kind == "mixed":
        assert labels == [str(v) for v in post.design.labels]
    else:
        assert labels == [str(v) for v in post.spec.data.index[post.spec.data["arrest"] == 1]]


def test_a_slash_in_a_name(table):
    """ArviZ's groups cannot have one; the tables keep it."""
    post = LMM("Reaction ~ I(Days / 7) + (1 | Subject)", data=table("sleepstudy")).sample(
        draws=50, tune=50, chains=2
    )
    assert list(post.tidy()["term"]) == ["Intercept", "I(Days / 7)"]
    assert "I(Days \\ 7)" in post.idata["posterior"]


def test_a_dropped_option_is_refused(table):
    """A misspelled option is an error, not silence."""
    spec = LMM("Reaction ~ Days + (1 | Subject)", data=table("sleepstudy"))
    with pytest.raises(TypeError):
        spec.sample(chain=2)
    with pytest.raises(TypeError):
        spec.fit(methd="ML")
