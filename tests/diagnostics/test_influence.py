"""Leaving out each patient, against refits in lme4 and refits from the rows."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from longsurv.diagnostics.influence import influence, without_patient
from longsurv.errors import LongsurvError
from longsurv.likelihood import lmm
from longsurv.models import GLMM, LMM

module = import_module("longsurv.diagnostics.influence")  # the package has the function


@pytest.fixture(scope="module")
def sleep(fits):
    return influence(fits("sleepstudy"))


def test_coefficients_without_each_subject_are_lme4s(sleep, r_results):
    for subject, rows in sleep.terms.groupby("Subject"):
        expected = r_results("lmm_kr", "sleepstudy", f"coef_without {subject}")
        found = rows.set_index("term")["estimate"]
        np.testing.assert_allclose(
            found[["Intercept", "Days"]], [expected["(Intercept)"], expected["Days"]], rtol=1e-6
        )


def test_everything_without_a_patient_is_the_fit_of_the_other_rows(table):
    data = table("twoarm")
    fit = LMM("y ~ phase * group + (1 | patient)", data).fit()
    found = influence(fit)
    p = len(fit.names)
    for patient in (1, 5, 41):
        rest = LMM(fit.spec.formula, data[data["patient"] != patient]).fit()
        rows = found.terms[found.terms["patient"] == patient].set_index("term")
        for column in ("estimate", "p_value", "conf_low", "conf_high"):
            np.testing.assert_allclose(
                rows[column], rest.tidy().set_index("term")[column], rtol=1e-5, atol=1e-7
            )
        change = rest.coefficients - fit.coefficients
        np.testing.assert_allclose(rows["change"], change, atol=1e-7)
        np.testing.assert_allclose(rows["change_in_se"], change / fit.bse.to_numpy(), atol=1e-6)
        summary = found.patients.set_index("patient").loc[patient]
        assert summary["rows"] == (data["patient"] == patient).sum()
        assert summary["sigma"] == pytest.approx(rest.sigma, rel=1e-5)
        cook = change @ np.linalg.solve(fit.cov_params().to_numpy(), change) / p
        assert summary["cooks_distance"] == pytest.approx(cook, rel=1e-4)


def test_statistics_less_a_patient_give_the_likelihood_of_the_rest(fits):
    fit = fits("gaps")
    d, lam = fit.design, fit.lam
    for i in (0, 7):
        out = d.group == i
        rest = lmm.prepare(
            d.fixed.X[~out],
            d.y[~out],
            d.Z[~out],
            d.group[~out] - (d.group[~out] > i),
            len(d.labels) - 1,
        )
        less = without_patient(fit.data, i, d.fixed.X[out], d.y[out])
        # lam belongs to the kernel's own columns of Z, and those differ.
        half = rest.z_basis @ np.linalg.solve(fit.data.z_basis, lam)
        other = np.linalg.cholesky(half @ half.T)
        for reml in (True, False):
            a, b = lmm.profile(less, lam, reml), lmm.profile(rest, other, reml)
            assert a.deviance(2.0) == pytest.approx(b.deviance(2.0), rel=1e-12)
            np.testing.assert_allclose(
                lmm.coefficients(less, a.gamma), lmm.coefficients(rest, b.gamma), rtol=1e-9
            )


def test_the_patient_who_carries_the_result_is_named():
    """Nineteen patients without a trend and one with a steep one."""
    rng = np.random.default_rng(1)
    g, t = np.repeat(np.arange(20), 5), np.tile(np.arange(5.0), 20)
    y = 5 + 0.01 * t + 0.3 * rng.normal(size=20)[g] + 0.3 * rng.normal(size=100)
    y[g == 13] += 1.2 * t[g == 13]
    data = pd.DataFrame({"id": [f"p{k:02d}" for k in g], "t": t, "y": y})
    fit = LMM("y ~ t + (1 | id)", data).fit()
    assert fit.tidy().set_index("term").loc["t", "p_value"] < 0.05
    found = influence(fit)
    assert "t without id p13" in found.words
    assert found.patients.set_index("id").loc["p13", "turns"] == "t"
    assert found.patients.loc[found.patients["cooks_distance"].idxmax(), "id"] == "p13"
    rows = found.terms.query("id == 'p13' and term == 't'").iloc[0]
    assert rows["verdict_changes"] and rows["p_value"] > 0.05 > fit.tidy()["p_value"][1]


def test_no_news_is_said_in_words(sleep):
    assert sleep.words.startswith("No conclusion rests on one patient: with any of the 18 left out")


def test_any_estimand_can_be_followed(fits, sleep):
    found = influence(fits("sleepstudy"), lambda f: f.contrast({"Days": 7.0}))
    np.testing.assert_allclose(
        found.terms["estimate"], 7 * sleep.terms.query("term == 'Days'")["estimate"], rtol=1e-9
    )
    with pytest.raises(LongsurvError, match="no column"):
        influence(fits("sleepstudy"), lambda f: f.ranef())


def test_verdicts_follow_the_level(fits):
    """At a level that nothing reaches, no interval excludes 0, with or without a patient."""
    days = influence(fits("sleepstudy"), level=1 - 1e-9).terms.query("term == 'Days'")
    assert not days["verdict_changes"].any()
    assert (days["conf_low"] > 0).all()


def test_a_patient_the_model_cannot_do_without_is_noted(table):
    data = table("twoarm").assign(rare=lambda d: (d["patient"] == 3).astype(float))
    found = influence(LMM("y ~ phase * group + rare + (1 | patient)", data).fit())
    row = found.patients.set_index("patient").loc[3]
    assert "no longer determine" in row["note"] and np.isnan(row["cooks_distance"])
    assert not (found.terms["patient"] == 3).any()
    assert (found.patients.set_index("patient").drop(3)["note"] == "").all()
    assert "could not be fitted without 1" in found.words


def test_a_change_of_sign_within_the_noise_is_no_change_of_verdict(table):
    """An estimate near 0 changes its sign easily; nothing was concluded from it."""
    fit = LMM("y ~ C(visit) * arm + (1 | patient)", table("visits")).fit()
    found = influence(fit)
    flips = found.terms[found.terms["sign_changes"]]
    assert len(flips) > 0 and not flips["verdict_changes"].any()
    whole = fit.tidy().set_index("term").loc[flips["term"]]
    assert (whole["p_value"] > 0.2).all()


def test_patients_and_sites_of_a_nested_model(table):
    data = table("sites")
    fit = LMM("y ~ time * treated + (1 | site/id)", data).fit()
    by_site = influence(fit, by="site")
    assert list(by_site.patients["site"]) == sorted(data["site"].unique())
    assert by_site.unit == "site"
    for site in ("s2", "s7"):
        rest = LMM(fit.spec.formula, data[data["site"] != site]).fit()
        rows = by_site.terms[by_site.terms["site"] == site]
        np.testing.assert_allclose(rows["estimate"], rest.coefficients, rtol=1e-6)
        np.testing.assert_allclose(rows["p_value"], rest.tidy()["p_value"], rtol=1e-4)
    with pytest.raises(LongsurvError, match=r"by is one of \['site:id', 'site'\]"):
        influence(fit, by="hospital")


def test_a_generalised_model_is_fitted_again_without_each_patient(table):
    data = table("dic")
    formula = "positive ~ time * treated + (1 | patient)"
    fit = GLMM(formula, data).fit()
    found = fit.influence()
    assert len(found.patients) == 60 and "sigma" not in found.patients
    for patient in (3, 60):
        rest = GLMM(formula, data[data["patient"] != patient]).fit()
        rows = found.terms[found.terms["patient"] == patient]
        np.testing.assert_allclose(rows["estimate"], rest.coefficients, rtol=1e-6)
        np.testing.assert_allclose(rows["conf_low"], rest.tidy()["conf_low"], rtol=1e-5)
        step = fit.coefficients - rest.coefficients
        cook = step @ np.linalg.solve(fit.cov_params().to_numpy(), step) / 4
        summary = found.patients.set_index("patient").loc[patient]
        assert summary["cooks_distance"] == pytest.approx(cook, rel=1e-4)


def test_the_patient_whose_category_is_his_alone_is_noted(table):
    """Without the one patient who ever scored 7 the model has one threshold less."""
    data = table("wine").assign(rating=lambda d: d["rating"].where(d.index != 10, 7))
    judge = data.loc[10, "judge"]
    fit = GLMM("rating ~ temp + contact + (1 | judge)", data, family="ordinal").fit()
    found = fit.influence()
    assert set(found.terms["term"]) == {"temp[T.warm]", "contact[T.yes]"}
    notes = found.patients.set_index("judge")["note"]
    assert "no longer determine" in notes[judge] and (notes.drop(judge) == "").all()


def test_estimands_that_are_numbers_or_contrasts(fits, sleep):
    fit = fits("sleepstudy")
    found = influence(fit, lambda f: f.sigma)
    np.testing.assert_allclose(found.terms["estimate"], sleep.patients["sigma"])
    np.testing.assert_allclose(found.terms["change"], sleep.patients["sigma"] - fit.sigma)
    assert found.terms["conf_low"].isna().all() and not found.terms["verdict_changes"].any()
    several = influence(fit, lambda f: {"sigma": f.sigma, "llf": f.llf})
    assert list(several.terms["term"][:2]) == ["sigma", "llf"]
    week = influence(fit, {"Days": 7.0})
    np.testing.assert_allclose(
        week.terms["estimate"], 7 * sleep.terms.query("term == 'Days'")["estimate"], rtol=1e-9
    )


def test_verdicts_at_a_level_are_of_the_intervals_at_that_level(fits, table):
    fit = LMM("y ~ C(visit) * arm + (1 | patient)", table("visits")).fit()
    found = influence(fit, level=0.5)
    assert found.level == 0.5 and "50%" in replace(found, terms=found.terms.head(0)).words

    def verdicts(frame: pd.DataFrame) -> np.ndarray:
        width = t.ppf(0.75, frame["df"]) * frame["std_error"]
        above, below = frame["estimate"] - width > 0, frame["estimate"] + width < 0
        return above.to_numpy().astype(int) - below.to_numpy()

    whole = verdicts(fit.tidy())
    for patient in found.patients["patient"][:3]:
        rest = LMM(fit.spec.formula, fit.spec.data[fit.spec.data["patient"] != patient]).fit()
        rows = found.terms[found.terms["patient"] == patient]
        assert list(rows["verdict_changes"]) == list(verdicts(rest.tidy()) != whole)
    assert found.terms["verdict_changes"].any()


def test_the_table_of_patients_names_every_estimand_that_turns(fits):
    """An estimand that is above 0 with everybody only, and one that never is."""
    fit = fits("sleepstudy")

    def estimand(result):
        all_of_them = len(result.design.labels) == 18
        low = [1.0, 2.0, -1.0] if all_of_them else [-1.0, -3.0, -1.0]
        high = [2.0, 3.0, 1.0] if all_of_them else [1.0, -2.0, 1.0]
        middle = (np.array(low) + high) / 2
        return pd.DataFrame({
            "term": ["a", "b", "c"], "estimate": middle, "std_error": 0.5, "df": 10.0,
            "p_value": 0.5, "conf_low": low, "conf_high": high,
        })  # fmt: skip

    found = influence(fit, estimand)
    assert set(found.patients["turns"]) == {"a; b"}
    subjects = ", ".join(map(str, fit.design.labels))
    assert found.words == (
        f"Conclusions that rest on one patient: a without Subject {subjects}; b without Subject"
        f" {subjects}."
    )
    signs = found.terms.groupby("term")["sign_changes"].all()
    assert signs.to_dict() == {"a": False, "b": True, "c": False}
    np.testing.assert_allclose(found.terms.query("term == 'b'")["change_in_se"], -10.0)


def test_the_five_largest_distances_are_shown(sleep):
    shown = repr(sleep).split("\n")
    assert shown[0] == sleep.words and len(shown) == 2 + 1 + 5
    ordered = sleep.patients.sort_values("cooks_distance", ascending=False)["Subject"]
    assert [line.split()[0] for line in shown[3:]] == [str(s) for s in ordered[:5]]


def test_the_patients_own_grouping_is_the_default(fits, sleep):
    named = influence(fits("sleepstudy"), by="Subject")
    assert named.unit == sleep.unit == "patient"
    pd.testing.assert_frame_equal(named.terms, sleep.terms)


def test_a_refit_that_did_not_converge_is_noted_and_kept(fits, monkeypatch):
    fit, refit = fits("sleepstudy"), module._refit

    def second_fails(result, i, left_out):
        found = refit(result, i, left_out)
        stopped = replace(found.optimum, status="out of steps")
        return replace(found, optimum=stopped) if i == 1 else found

    monkeypatch.setattr(module, "_refit", second_fails)
    found = influence(fit)
    notes = found.patients["note"].to_numpy()
    assert notes[1] == "not converged: out of steps" and (np.delete(notes, 1) == "").all()
    assert len(found.terms) == 2 * 18
    assert "could not be fitted without 1" in found.words


def test_estimands_that_are_none(fits):
    fit = fits("sleepstudy")
    twice = fit.tidy().assign(term="same")
    for wrong, said in (
        (lambda f: "text", "it returned dict|it returned str"),
        (lambda f: {"a": "text"}, "it returned dict"),
        (lambda f: twice, "names a term twice"),
    ):
        with pytest.raises(LongsurvError, match=said):
            influence(fit, wrong)


def test_nobody_can_be_left_out(fits, monkeypatch):
    def fails(*_):
        raise LongsurvError("no")

    monkeypatch.setattr(module, "_refit", fails)
    with pytest.raises(LongsurvError, match="cannot be fitted without any one of the patients"):
        influence(fits("sleepstudy"))
