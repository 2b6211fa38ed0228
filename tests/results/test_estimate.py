"""Tables, contrasts and tests of an estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH
from longsurv.results.reference import t_p_value, t_quantile

TIDY = ["term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]


class TestTidy:
    @pytest.mark.parametrize("name", ["pbc", "sleepstudy", "rossi_efron"])
    def test_columns_belong_together(self, fits, name):
        """Statistic, p value and interval follow from estimate, standard error and df."""
        fit = fits(name)
        for level in (0.95, 0.8):
            table = fit.tidy(level)
            assert list(table.columns) == TIDY and list(table["term"]) == list(fit.names)
            np.testing.assert_allclose(table["estimate"], fit.params)
            np.testing.assert_allclose(table["std_error"], fit.bse)
            z = table["estimate"] / table["std_error"]
            np.testing.assert_allclose(table["statistic"], z)
            reference = [stats.norm if np.isinf(df) else stats.t(df) for df in table["df"]]
            p = [2 * r.sf(abs(v)) for r, v in zip(reference, z, strict=True)]
            np.testing.assert_allclose(table["p_value"], p, rtol=1e-6)
            q = np.array([r.ppf(0.5 + level / 2) for r in reference])
            np.testing.assert_allclose(
                table["conf_low"], table["estimate"] - q * table["std_error"]
            )
            np.testing.assert_allclose(
                table["conf_high"], table["estimate"] + q * table["std_error"]
            )

    def test_components(self, fits):
        fit = fits("sleepstudy")
        both = list(fit.tidy(component="all")["term"])
        assert both == list(fit.names) + list(fit.tidy(component="variance")["term"])
        assert fits("rossi_efron").tidy(component="variance").empty
        assert list(fits("rossi_efron").tidy(component="all").columns) == TIDY

    def test_conf_int(self, fits):
        fit = fits("sleepstudy")
        table = fit.tidy(0.9).set_index("term")
        pd.testing.assert_frame_equal(fit.conf_int(0.9), table[["conf_low", "conf_high"]])

    def test_variance_intervals_keep_their_range(self, fits):
        table = fits("sleepstudy").tidy(0.999, "variance").set_index("term")
        sds = table.drop("cor(Intercept,Days|Subject)")
        assert (sds["conf_low"] > 0).all()
        # on the log scale: the estimate is the geometric middle
        np.testing.assert_allclose(sds["conf_low"] * sds["conf_high"], sds["estimate"] ** 2)
        cor = table.loc["cor(Intercept,Days|Subject)"]
        assert -1 < cor["conf_low"] < cor["estimate"] < cor["conf_high"] < 1

    @pytest.mark.parametrize("level", [0, 1, 95, -0.5, float("nan")])
    def test_impossible_levels(self, fits, level):
        fit = fits("rossi_two_efron")
        for ask in (
            lambda: fit.tidy(level),
            lambda: fit.contrast("fin", level),
            lambda: fit.predict(level=level),
            lambda: fit.conf_int(level),
            lambda: fits("sleepstudy").ranef(level),
        ):
            with pytest.raises(LongsurvError, match="level is a probability"):
                ask()

    def test_impossible_component(self, fits):
        with pytest.raises(LongsurvError, match="component is"):
            fits("sleepstudy").tidy(component="random")


class TestContrast:
    def test_every_way_of_asking(self, fits):
        fit = fits("rossi_efron")
        weights = {"fin": 1.0, "prio": -2.0}
        row = np.array([weights.get(n, 0.0) for n in fit.names])
        tables = [
            fit.contrast(weights),
            fit.contrast(row),
            fit.contrast(row[None, :]),
            fit.contrast(pd.DataFrame([weights], index=["fin - 2*prio"])),
        ]
        for table in tables:
            pd.testing.assert_frame_equal(table, tables[0])
        only = tables[0].iloc[0]
        assert only["term"] == "fin - 2*prio"
        assert only["estimate"] == pytest.approx(row @ fit.params)
        assert only["std_error"] == pytest.approx(np.sqrt(row @ fit.cov_params() @ row))
        assert list(tables[0].columns) == TIDY

    def test_one_coefficient_is_its_row(self, fits):
        fit = fits("sleepstudy")
        pd.testing.assert_frame_equal(
            fit.contrast("Days"), fit.tidy().iloc[[fit.names.index("Days")]].reset_index(drop=True)
        )

    def test_several_rows_with_labels(self, fits):
        asked = pd.DataFrame({"fin": [1, 0], "age": [0, 10]}, index=["aid", "decade"])
        found = fits("rossi_efron").contrast(asked)
        assert list(found["term"]) == ["aid", "decade"]
        assert found["estimate"].iloc[1] == pytest.approx(10 * fits("rossi_efron").params["age"])

    def test_a_misspelled_term(self, fits):
        for asked in ("Dyas", {"Dyas": 1}, pd.DataFrame({"Dyas": [1]})):
            with pytest.raises(LongsurvError, match="Did you mean 'Days'"):
                fits("sleepstudy").contrast(asked)

    def test_the_wrong_number_of_weights(self, fits):
        with pytest.raises(LongsurvError, match="needs 2 weights, one for each"):
            fits("sleepstudy").contrast([1, 0, 0])


class TestJointTest:
    def test_wald(self, fits):
        fit = fits("rossi_efron")
        L = np.eye(7)[[0, 3]]
        found = fit.test(L).iloc[0]
        part, V = L @ fit.params, L @ fit.cov_params().to_numpy() @ L.T
        chi2 = part @ np.linalg.solve(V, part)
        assert found["statistic"] == pytest.approx(chi2 / 2) and found["df_num"] == 2
        assert found["p_value"] == pytest.approx(stats.chi2(2).sf(chi2))
        assert found["term"] == "fin = wexp = 0"

    def test_a_repeated_row_counts_once(self, fits):
        fit = fits("rossi_efron")
        row = np.eye(7)[[0]]
        one, two = fit.test(row).iloc[0], fit.test(np.vstack([row, 2 * row])).iloc[0]
        assert (two["df_num"], two["statistic"]) == pytest.approx((1, one["statistic"]))

    def test_one_row_is_the_square_of_its_t(self, fits):
        for name, term in (("sleepstudy", "Days"), ("rossi_efron", "prio")):
            fit = fits(name)
            joint, single = fit.test(term).iloc[0], fit.contrast(term).iloc[0]
            assert joint["statistic"] == pytest.approx(single["statistic"] ** 2, rel=1e-6)
            assert joint["p_value"] == pytest.approx(single["p_value"], rel=1e-6, abs=1e-300)


def test_glance(fits):
    for name in ("sleepstudy", "rossi_efron"):
        fit = fits(name)
        row = fit.glance().iloc[0]
        assert len(fit.glance()) == 1
        assert (row["nobs"], row["llf"], row["aic"], row["bic"]) == (
            fit.nobs,
            fit.llf,
            fit.aic,
            fit.bic,
        )
        assert row["converged"] and row["evaluations"] > 0


class TestDisplay:
    def test_text(self, fits):
        text = repr(fits("sleepstudy"))
        for part in ("LMM: Reaction ~ Days + (Days | Subject)", "REML", "180 observations", "95 %",
                     "sd(Days|Subject)", "10.47"):  # fmt: skip
            assert part in text
        assert "CoxPH: Surv(week, arrest)" in repr(fits("rossi_efron"))

    def test_hostile_names_are_escaped(self):
        evil = "<script>alert(1)</script>"
        rng = np.random.default_rng(0)
        patient = np.repeat(np.arange(6), 4)
        data = pd.DataFrame({evil: rng.normal(size=24), "y": rng.normal(size=24), "id": patient})
        data["arm"] = np.where(patient % 2, "<b>x</b>", "a")
        data["t"], data["e"] = rng.exponential(size=24), 1
        for spec in (
            LMM(f"y ~ `{evil}` + arm + (1 | id)", data=data),
            CoxPH(f"Surv(t, e) ~ `{evil}` + arm", data=data),
        ):
            for result in (spec.fit(), spec.sample(draws=50, tune=50, chains=2, seed=1)):
                page = result._repr_html_()
                assert "<script>" not in page and "<b>x" not in page
                assert "&lt;script&gt;" in page and "<table" in page

    def test_notes_are_shown(self, fits):
        page, text = fits("dyestuff2")._repr_html_(), repr(fits("dyestuff2"))
        assert "Note: Boundary" in page and "Note: Boundary" in text


@pytest.mark.parametrize("df", [1.0, 3.7, 30.0, np.inf])
def test_quantiles_and_p_values(df):
    distribution = stats.norm if np.isinf(df) else stats.t(df)
    assert t_quantile(0.9, df) == pytest.approx(distribution.ppf(0.95))
    assert t_p_value(-2.2, df) == pytest.approx(2 * distribution.sf(2.2))
    assert np.isnan(t_p_value(np.nan, df))
