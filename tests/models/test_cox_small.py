"""Firth's penalty against brute-force maxima, and cohorts with hardly a death."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError
from longsurv.models import CoxPH

TIED = "Surv(entry, exit, event) ~ x + z"
BOTH = ("efron", "breslow")
SIX = 1e-6
FIRTH = {
    "icu": ("icu", "Surv(entry, exit, event) ~ ivig"),
    "icu_age": ("icu", "Surv(entry, exit, event) ~ ivig + age"),
    "tied_plain": ("tied", "Surv(exit, event) ~ x + z"),
    "tied_entry": ("tied", TIED),
    "tied_entry_strata": ("tied", f"{TIED} + strata(site)"),
    "separated": ("separated", "Surv(exit, event) ~ x + z"),
}
FIRTH_MODELS = [(n, t) for n in FIRTH for t in BOTH] + [("ovarian", "breslow")]


def agree(found, expected: dict[str, float]) -> None:
    """A Series by term against reference values by term, to six digits."""
    np.testing.assert_allclose(found[list(expected)], list(expected.values()), SIX)


@pytest.fixture(scope="module")
def firth(table):
    """A specification of `FIRTH`."""

    def make(name: str, ties: str) -> CoxPH:
        if name == "ovarian":
            formula = "Surv(futime, fustat) ~ age + residual + rx + ecog"
            return CoxPH(formula, data=table("ovarian"), ties=ties)
        data, formula = FIRTH[name]
        rows = table(data)
        if data == "icu":
            rows = rows.assign(ivig=(rows["group"] == "ivig").astype(int))
        return CoxPH(formula, data=rows, ties=ties)

    return make


class TestFirth:
    @pytest.mark.parametrize(("name", "ties"), FIRTH_MODELS)
    def test_is_the_brute_force_maximum(self, firth, r_results, name, ties):
        fit = firth(name, ties).fit(penalty="firth")

        def own(quantity: str) -> dict[str, float]:
            return r_results("cox_small", f"{name}_{ties}", f"firth_{quantity}_own")

        agree(fit.params, own("coef"))
        agree(fit.bse, own("se"))
        assert fit.llf == pytest.approx(own("loglik")[""], rel=SIX)
        assert fit.optimum.value == pytest.approx(own("penalised_loglik")[""], rel=1e-9)
        table = fit.tidy().set_index("term")
        agree(table["conf_low"], own("profile_low"))
        agree(table["conf_high"], own("profile_high"))
        agree(table["p_value"], own("plr_p"))
        agree(table["statistic"] ** 2, own("plr_chisq"))
        ratio = 2 * (own("penalised_loglik")[""] - own("penalised_loglik_null")[""])
        tests = fit.global_tests().set_index("test")
        assert tests.loc["likelihood ratio", "statistic"] == pytest.approx(ratio, rel=SIX)

    @pytest.mark.parametrize("ties", BOTH)
    def test_with_weights(self, table, r_results, ties):
        fit = CoxPH(TIED, data=table("tied"), ties=ties, weights="weight").fit(penalty="firth")
        results = f"tied_entry_weighted_{ties}"
        agree(fit.params, r_results("cox_small", results, "firth_coef_own"))
        naive = pd.Series(np.sqrt(np.diag(fit.naive_cov)), fit.names)
        agree(naive, r_results("cox_small", results, "firth_se_own"))
        assert "robust" in fit.method and "profile" not in fit.method

    @pytest.mark.parametrize("ties", BOTH)
    def test_two_subjects(self, ties):
        """The penalised likelihood r/(1+r) sqrt(r)/(1+r) of the hazard ratio r is largest at 3."""
        two = pd.DataFrame({"time": [1, 2], "died": 1, "x": [1, 0]})
        fit = CoxPH("Surv(time, died) ~ x", data=two, ties=ties).fit(penalty="firth")
        assert fit.params["x"] == pytest.approx(np.log(3.0), rel=1e-9)
        survival = fit.predict(pd.DataFrame({"x": [0]}), times=[1.0])["estimate"][0]
        assert -np.log(survival) == pytest.approx(0.25, rel=1e-8)

    def test_limits_for_two_subjects(self):
        """Where r^1.5 / (1+r)^2 has fallen by half the chi-squared quantile from r = 3."""
        two = pd.DataFrame({"time": [1, 2], "died": 1, "x": [1, 0]})
        table = CoxPH("Surv(time, died) ~ x", data=two).fit(penalty="firth").tidy()

        def fall(b: float) -> float:
            def value(u: float) -> float:
                return 1.5 * u - 2.0 * np.logaddexp(0.0, u)

            return 2.0 * (value(np.log(3.0)) - value(b))

        for limit in (table["conf_low"][0], table["conf_high"][0]):
            assert fall(limit) == pytest.approx(3.841458820694124, rel=1e-7)
        assert table["conf_low"][0] < np.log(3.0) < table["conf_high"][0]


class TestSmallData:
    def test_separation_is_answered_by_firth(self, table, firth, r_results):
        fit = firth("separated", "efron").fit()
        assert fit.penalty == "firth" and np.isfinite(fit.params).all()
        agree(fit.params, r_results("cox_small", "separated_efron", "firth_coef_own"))
        (flag,) = (f for f in fit.flags if f.startswith("Separated groups"))
        assert "the coefficient of x rises without end" in flag

    def test_firth_asked_for_is_not_called_separation(self, firth):
        fit = firth("icu", "efron").fit(penalty="firth")
        assert not any("Separated" in flag for flag in fit.flags)

    @pytest.mark.parametrize("dead", [0, 3, 7])
    def test_one_event(self, dead):
        """One death among 8 always separates; Firth's maximum is known."""
        rows = pd.DataFrame({"time": np.full(8, 5.0), "died": 0, "x": [1, 1, 1, 1, 0, 0, 0, 0]})
        rows.loc[dead, ["time", "died"]] = (4.0, 1)
        fit = CoxPH("Surv(time, died) ~ x", data=rows).fit()
        sign = 1.0 if rows.loc[dead, "x"] == 1 else -1.0
        # the penalised likelihood in the probability q of the group with the death is
        # q sqrt(q (1 - q)), largest at 3/4 in groups of one size
        assert fit.params["x"] == pytest.approx(sign * np.log(3.0), rel=1e-8)
        assert fit.design.n_events == 1 and "Firth" in fit.method
        assert any(flag.startswith("Separated groups") for flag in fit.flags)

    def test_more_covariates_than_people_at_risk(self):
        """Two people differ in x - z alone, which the event separates: neither has an estimate."""
        rows = pd.DataFrame({"time": [1, 5, 6], "died": [0, 1, 0], "x": [0, 1, 0], "z": [1, 2, 3]})
        fit = CoxPH("Surv(time, died) ~ x + z", data=rows).fit()
        assert fit.undetermined == ("x", "z") and not fit.converged
        assert fit.tidy()[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
        assert any("along a combination of x, z" in flag for flag in fit.flags)
        apart = CoxPH("Surv(time, died) ~ x", data=rows).fit()
        assert fit.contrast({"x": 1.0, "z": -1.0})["estimate"][0] == pytest.approx(
            apart.params["x"], rel=1e-6
        )

    def test_no_event(self):
        rows = pd.DataFrame({"time": [1.0, 2.0], "died": 0, "x": [1, 0]})
        with pytest.raises(DataError, match="'died' has no events among 2 rows"):
            CoxPH("Surv(time, died) ~ x", data=rows).fit()
