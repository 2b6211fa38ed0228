"""Cox models of data that have few deaths, or deaths in one arm only, or awkward units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.models import CoxPH

FORMULA = "Surv(entry, exit, event) ~ group"


@pytest.fixture
def icu(table) -> pd.DataFrame:
    rows = table("icu")
    return rows.assign(group=pd.Categorical(rows["group"], ["control", "ivig"]))


def cohort(seed: int) -> pd.DataFrame:
    """41 patients at risk from day 7 to day 28, of whom about three die."""
    rng = np.random.default_rng(seed)
    time = np.ceil(7.0 + rng.exponential(250.0, 41))
    return pd.DataFrame(
        {
            "entry": 7.0,
            "exit": np.minimum(time, 28.0),
            "event": (time <= 28.0).astype(int),
            "group": np.repeat(["control", "ivig"], [22, 19]),
            "age": rng.normal(65.0, 12.0, 41),
        }
    )


class TestOneDeathIsEnough:
    @pytest.mark.parametrize("penalty", [None, "firth"])
    @pytest.mark.parametrize("right", ["group", "group + age"])
    def test_to_fit(self, penalty, right):
        deaths = []
        for seed in range(80):
            data = cohort(seed)
            if not data["event"].any():
                continue
            deaths.append(int(data["event"].sum()))
            fit = CoxPH(f"Surv(entry, exit, event) ~ {right}", data=data).fit(penalty)
            table = fit.tidy()
            assert fit.converged and np.isfinite(table.drop(columns=["term", "df"])).all(axis=None)
            assert (table["conf_low"] < table["estimate"]).all()
            assert (table["estimate"] < table["conf_high"]).all()
            # no estimate as those of a likelihood that rises for ever
            assert abs(table["estimate"][0]) < 6.0 and table["std_error"][0] < 4.0
        assert min(deaths) == 1 and len(deaths) > 60

    def test_to_sample(self):
        data = next(d for d in map(cohort, range(99)) if d["event"].sum() == 1)
        post = CoxPH(FORMULA, data=data).sample(
            draws=500, chains=2, seed=1, priors={"group": pr.Normal(0.0, 0.355)}
        )
        row = post.tidy().iloc[0]
        assert row["r_hat"] < 1.02 and 0.25 < row["std_error"] < 0.4  # nearly all prior


class TestDeathsInOneArm:
    def test_the_subgroup_without_the_treated_death(self, icu):
        """Of 1/19 and 4/22 the one: nobody with ivig dies."""
        some = icu[~((icu["group"] == "ivig") & (icu["event"] == 1))]
        fit = CoxPH(FORMULA, data=some).fit()
        assert fit.penalty == "firth"
        (flag,) = (f for f in fit.flags if f.startswith("Separated"))
        assert "the coefficient of group[T.ivig] falls without end" in flag
        row = fit.tidy().iloc[0]
        assert -4.0 < row["estimate"] < 0.0 and row["conf_low"] < row["estimate"] < row["conf_high"]
        asked = CoxPH(FORMULA, data=some).fit("firth").tidy().iloc[0]
        assert row["p_value"] == asked["p_value"] and row["conf_low"] == asked["conf_low"]

    def test_a_combination_that_separates_is_named(self):
        data = pd.DataFrame(
            {"t": range(1, 9), "e": [1] * 4 + [0] * 4, "x": [3, 0, 2, 1, 1, 0, 0, 1.0],
             "z": [0, 3, 1, 2, 0, 1, 0, -1.0]}
        )  # fmt: skip
        fit = CoxPH("Surv(t, e) ~ x + z", data=data).fit()
        assert "coefficients move along" in fit.flags[0]
        assert "x" in fit.flags[0] and "z" in fit.flags[0]

    def test_with_clusters_there_is_no_interval(self, icu):
        """A robust one knows nothing of a group without events."""
        some = icu[~((icu["group"] == "ivig") & (icu["event"] == 1))].assign(
            ward=lambda d: d.index % 9
        )
        fit = CoxPH("Surv(exit, event) ~ group + cluster(ward)", data=some).fit()
        assert fit.penalty == "firth" and fit.profile is None
        assert fit.reference.method == "robust" and fit.bse.isna().all()
        assert any("sees nothing of groups without events" in flag for flag in fit.flags)


class TestInvariance:
    def test_relabelling_changes_the_sign(self, icu):
        other = icu.assign(group=icu["group"].cat.reorder_categories(["ivig", "control"]))
        a, b = (CoxPH(FORMULA, data=d).fit("firth").tidy().iloc[0] for d in (icu, other))
        assert a["estimate"] == pytest.approx(-b["estimate"], rel=1e-9)
        assert a["conf_low"] == pytest.approx(-b["conf_high"], rel=1e-6)
        assert a["p_value"] == pytest.approx(b["p_value"], rel=1e-9)
        prior = {"group": pr.Normal(0.0, 1.0)}
        a, b = (
            CoxPH(FORMULA, data=d).sample(draws=4000, seed=2, priors=prior, chains=2).tidy().iloc[0]
            for d in (icu, other)
        )
        assert a["estimate"] == pytest.approx(-b["estimate"], abs=0.06)
        assert a["conf_low"] == pytest.approx(-b["conf_high"], abs=0.15)

    @pytest.mark.parametrize("unit", [1e-7, 1e6])
    def test_units_of_a_covariate(self, icu, unit):
        a, b = (
            CoxPH("Surv(exit, event) ~ group + age", data=d).fit("firth").tidy()
            for d in (icu, icu.assign(age=unit * icu["age"]))
        )
        scale = np.array([1.0, unit])
        for column in ("estimate", "conf_low", "conf_high"):
            np.testing.assert_allclose(a[column], b[column] * scale, rtol=1e-6)
        np.testing.assert_allclose(a["p_value"], b["p_value"], rtol=1e-6)

    @pytest.mark.parametrize("size", [1e3, -1e8])
    def test_huge_offsets(self, icu, size):
        some = icu.assign(known=0.02 * icu["age"])
        moved = some.assign(known=some["known"] + size)
        formula = FORMULA + " + offset(known)"
        a, b = (CoxPH(formula, data=d).fit("firth") for d in (some, moved))
        np.testing.assert_allclose(a.params, b.params, rtol=1e-6)
        for fit, data in ((a, some), (b, moved)):
            curve = fit.predict(data.iloc[[0, 30]], times=[28.0])
            assert np.isfinite(curve[["conf_low", "conf_high"]]).all(axis=None)
            assert (curve["conf_low"] < curve["estimate"]).all()
        np.testing.assert_allclose(
            a.predict(some, times=[28.0])["estimate"],
            b.predict(moved, times=[28.0])["estimate"],
            rtol=1e-6,
        )


def test_draws_of_the_baseline_have_the_moments_of_their_gammas(table):
    """Mean the estimate's jump, variance its square over the number of deaths, in every stratum."""
    from longsurv.results.survival.cox_curves import people
    from longsurv.results.survival.cox_drawn_curves import drawn_hazards

    spec = CoxPH("Surv(entry, exit, event) ~ x + z + strata(site)", data=table("tied"))
    fit, times = spec.fit(), np.array([3.0, 5.0, 9.0])
    new = pd.DataFrame({"x": [1, 0], "z": [0.2, 0.9], "site": ["a", "b"]})
    who = people(fit, new)
    beta = np.tile(fit.coefficients, (40_000, 1))
    drawn = drawn_hazards(fit.data, beta, who, times, np.random.default_rng(0))
    still = drawn_hazards(fit.data, beta[:1], who, times, None)[0]
    np.testing.assert_allclose(
        still.ravel(), -np.log(fit.predict(new, times=times)["estimate"]), rtol=1e-9
    )
    np.testing.assert_allclose(drawn.mean(axis=0), still, rtol=0.03)
    data = table("tied")
    for i, site in enumerate(new["site"]):
        dying = data[(data["site"] == site) & (data["event"] == 1)]
        deaths = dying.groupby("exit").size()
        jumps = np.diff(
            [0.0, *-np.log(fit.predict(new.iloc[[i]], times=list(deaths.index))["estimate"])]
        )
        variance = np.cumsum(jumps**2 / deaths.to_numpy())
        at = np.searchsorted(deaths.index, times, side="right")
        expected = np.append(0.0, variance)[at]
        np.testing.assert_allclose(drawn[:, i].var(axis=0), expected, rtol=0.05)


@pytest.mark.parametrize("penalty", [None, "firth"])
def test_units_do_not_decide_what_is_known(penalty):
    """Columns whose units lie 1e20 apart: each standard error is in its own unit."""
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.normal(size=(60, 2)), columns=["x", "z"])
    rows["time"], rows["event"] = rng.exponential(size=60), rng.integers(0, 2, size=60)
    units = {"x": 1e-10, "z": 1e10}
    plain = CoxPH("Surv(time, event) ~ x + z", rows).fit(penalty)
    scaled = CoxPH("Surv(time, event) ~ x + z", rows.assign(**rows[[*units]] * units)).fit(penalty)
    np.testing.assert_allclose(scaled.bse * pd.Series(units), plain.bse, rtol=1e-8)
    np.testing.assert_allclose(scaled.params * pd.Series(units), plain.params, rtol=1e-8)
