"""Cox models of which the data do not determine everything: no number, and words that say why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import EstimationError, LongsurvError
from longsurv.models import CoxPH


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    """All controls are discharged by day 24; four of the treated die after that."""
    rng = np.random.default_rng(1)
    n = 40
    arm = np.repeat([0, 1], n // 2)
    day = np.where(arm == 0, rng.integers(3, 25, n), 28)
    died = np.zeros(n, dtype=int)
    day[[23, 28, 30, 34]], died[[23, 28, 30, 34]] = [26, 25, 27, 26], 1
    age = rng.normal(65.0, 10.0, n).round()
    weight = rng.integers(1, 4, n)
    return pd.DataFrame(
        {"day": day, "died": died, "arm": arm, "age": age, "id": range(n), "weight": weight}
    )


@pytest.fixture(scope="module")
def one(study) -> pd.DataFrame:
    """One treated death, on day 26."""
    return study.assign(died=(study["id"] == 23).astype(int))


@pytest.mark.parametrize("penalty", [None, "firth"])
@pytest.mark.parametrize("coding", [(0, 1), (1, 2), (-0.5, 0.5), ("control", "treated")])
def test_nothing_is_estimated_where_only_one_group_was_at_risk(study, one, penalty, coding):
    for data in (study, one):
        coded = data.assign(arm=data["arm"].map(dict(enumerate(coding))))
        with pytest.raises(EstimationError, match=r"still at risk at .* do not differ in arm"):
            CoxPH("Surv(day, died) ~ arm", coded).fit(penalty)


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("penalty", [None, "firth"])
@pytest.mark.parametrize("cluster", ["", " + cluster(id)"])
def test_what_the_others_say_is_kept(study, penalty, cluster, weights):
    """All events are among the treated, so that strata by arm have the same likelihood of age."""
    model = f"Surv(day, died) ~ arm + age{cluster}"
    fit = CoxPH(model, study, weights=weights).fit(penalty)
    within = f"Surv(day, died) ~ age + strata(arm){cluster}"
    alone = CoxPH(within, study, weights=weights).fit(penalty)
    assert fit.llf == pytest.approx(alone.llf, rel=1e-10)
    assert (fit.aic, fit.bic) == pytest.approx((alone.aic, alone.bic), rel=1e-10)
    table, expected = fit.tidy().set_index("term"), alone.tidy().set_index("term")
    pd.testing.assert_series_equal(table.loc["age"], expected.loc["age"], rtol=1e-7)
    assert table.loc["arm"].isna().all()
    assert fit.undetermined == ("arm",)
    assert not fit.converged and not fit.diagnose().ok
    assert any("Not determined by the data: arm." in flag for flag in fit.flags)
    assert "Not determined by the data: arm." in repr(fit)
    found, expected = fit.global_tests(), alone.global_tests()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    zph, expected = fit.proportional_hazards(), alone.proportional_hazards()
    assert np.isnan(zph.table["statistic"][0])
    np.testing.assert_allclose(zph.table["statistic"][1:], expected.table["statistic"], rtol=1e-6)
    assert fit.residuals("dfbeta")["arm"].isna().all()
    dfbeta, expected = (f.residuals("dfbeta")["age"] for f in (fit, alone))
    np.testing.assert_allclose(dfbeta, expected, rtol=1e-6, atol=1e-12)


def test_rows_cut_into_intervals_say_the_same(study):
    early = study["day"] > 5
    cut = pd.concat(
        [
            study.assign(start=0, stop=np.minimum(study["day"], 5), end=study["died"] * ~early),
            study[early].assign(start=5, stop=study["day"][early], end=study["died"][early]),
        ]
    )
    whole = CoxPH("Surv(day, died) ~ arm + age", study).fit()
    fit = CoxPH("Surv(start, stop, end) ~ arm + age", cut, patient="id").fit()
    pd.testing.assert_frame_equal(fit.tidy(), whole.tidy(), rtol=1e-8)


def test_estimable_combinations_keep_their_answer(study):
    fit = CoxPH("Surv(day, died) ~ arm * age", study).fit()
    alone = CoxPH("Surv(day, died) ~ age + strata(arm)", study).fit()
    assert fit.params.isna().all()
    found = fit.contrast({"age": 1.0, "arm:age": 1.0})
    expected = alone.contrast("age")
    columns = ["estimate", "std_error", "p_value", "conf_low", "conf_high"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=1e-7)
    with pytest.raises(EstimationError, match="do not determine age"):
        fit.test("age")
    profiled = CoxPH("Surv(day, died) ~ arm * age", study).fit("firth")
    found = profiled.contrast({"age": 1.0, "arm:age": 1.0})
    alone = CoxPH("Surv(day, died) ~ age + strata(arm)", study).fit("firth")
    pd.testing.assert_frame_equal(found[columns], alone.contrast("age")[columns], rtol=1e-6)


def test_predictions_that_depend_on_it_are_refused(study):
    fit = CoxPH("Surv(day, died) ~ arm + age", study).fit()
    alone = CoxPH("Surv(day, died) ~ age + strata(arm)", study).fit()
    treated, control = study[study["arm"] == 1].head(3), study[study["arm"] == 0].head(3)
    for call in (
        lambda: fit.predict(control, times=[27]),
        lambda: fit.survival_curve(control),
        lambda: fit.mean_survival([control, treated], 27.0),
        lambda: fit.predict(treated),
    ):
        with pytest.raises(EstimationError, match="do not determine"):
            call()
    found, expected = (f.predict(treated, times=[25, 27]) for f in (fit, alone))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-7)


def test_before_the_first_event_there_is_no_interval(table):
    lung = table("lung")
    fit = CoxPH("Surv(time, status) ~ age", lung).fit()
    first = lung.loc[lung["status"] == 1, "time"].min()
    for kind in ("log-log", "log", "plain"):
        rows = fit.predict(lung.head(1), times=[0, first - 1, first], kind=kind)
        assert list(rows["estimate"][:2]) == [1.0, 1.0]
        assert list(rows[["conf_low", "conf_high"]].isna().all(axis=1)) == [False, True, False]
        assert rows["conf_low"][2] < rows["conf_high"][2]
    _, cov = fit.mean_survival([lung.head(5), lung.tail(5)], float(first - 1))
    assert np.isnan(cov).all()


def test_bic_counts_events(table):
    lung = table("lung")
    fit = CoxPH("Surv(time, status) ~ age + sex", lung).fit()
    events = lung.loc[fit.design.rows, "status"].sum()
    assert fit.bic == pytest.approx(-2 * fit.llf + 2 * np.log(events))
    assert fit.glance()["bic"][0] == fit.bic


def test_strata_of_one_group_each(study):
    spec = CoxPH("Surv(day, died) ~ arm + strata(arm)", study)
    for call in (spec.fit, spec.sample):
        with pytest.raises(EstimationError, match="arm does not vary, or not within any stratum"):
            call()


def test_all_events_at_one_time(study):
    """Log odds of five chosen of forty without replacement; nothing to show a change by."""
    data = study.assign(day=10, died=study["id"].isin([0, 3, 25, 30, 33]).astype(int))
    fit = CoxPH("Surv(day, died) ~ arm", data).fit()
    assert np.isfinite(fit.bse["arm"]) and fit.converged
    zph = fit.proportional_hazards()
    assert zph.table["p_value"].isna().all()
    assert "cannot be tested" in zph.words


def test_one_event_of_a_patient_in_the_middle(study, one):
    """The score of one event: its age less the mean age of its risk set, tilted."""
    fit = CoxPH("Surv(day, died) ~ age", one).fit()
    there = one.loc[one["day"] >= 26, "age"].to_numpy()
    risk = np.exp(fit.params["age"] * (there - there.mean()))
    mean = (risk * there).sum() / risk.sum()
    assert one.loc[23, "age"] == pytest.approx(mean, rel=1e-8)
    variance = (risk * (there - mean) ** 2).sum() / risk.sum()
    assert fit.bse["age"] == pytest.approx(variance**-0.5, rel=1e-8)


def test_fewer_clusters_than_coefficients_have_no_joint_wald_test(study):
    data = study.assign(day=np.arange(40) + 1.0, died=1, site=study["id"] % 2)
    fit = CoxPH("Surv(day, died) ~ arm + age + weight + cluster(site)", data).fit()
    tests = fit.global_tests().set_index("test")["statistic"]
    assert np.isnan(tests["Wald"]) and np.isfinite(tests["score"])


def test_the_posterior_says_that_it_is_its_prior(study, one):
    spec = CoxPH("Surv(day, died) ~ arm + age", study)
    post = spec.sample(draws=1000, chains=2, seed=2)
    assert post.draw("arm").mean() == pytest.approx(0.0, abs=0.15)
    assert post.draw("arm").std() == pytest.approx(1.0, abs=0.12)
    assert any("nothing about arm: its posterior is its prior" in flag for flag in post.flags)
    alone = CoxPH("Surv(day, died) ~ arm", one).sample(draws=100, seed=2, chains=2)
    assert any("nothing about arm: its posterior is its prior" in flag for flag in alone.flags)
    assert "its posterior is its prior" in alone.diagnose().words
    with pytest.raises(EstimationError, match="there is one event"):
        alone.loo()
    both = CoxPH("Surv(day, died) ~ arm * age", study).sample(draws=100, seed=2, chains=2)
    assert any("a combination of arm, age, arm:age" in flag for flag in both.flags)


def test_the_posterior_of_separated_groups_says_where_it_ends_by_its_prior(study):
    data = study.assign(day=28, died=study["id"].isin([21, 25, 30]).astype(int))
    fit = CoxPH("Surv(day, died) ~ arm", data).fit()
    assert any("Separated groups" in flag for flag in fit.flags)
    post = CoxPH("Surv(day, died) ~ arm", data).sample(draws=100, seed=1, chains=2)
    assert any("sets no limit to arm on one side" in flag for flag in post.flags)


def test_separated_where_another_is_not_determined(study):
    """Strata of arm have the same likelihood, also where age separates."""
    old = study["age"].where(study["died"] == 0, 99.0)
    data = study.assign(age=old)
    fit = CoxPH("Surv(day, died) ~ arm + age", data).fit()
    alone = CoxPH("Surv(day, died) ~ age + strata(arm)", data).fit()
    assert fit.penalty == alone.penalty == "firth"
    columns = ["estimate", "conf_low", "conf_high"]
    found, expected = (f.tidy().set_index("term").loc["age", columns] for f in (fit, alone))
    np.testing.assert_allclose(found.to_numpy(float), expected.to_numpy(float), rtol=1e-6)
    assert fit.undetermined == ("arm",)


def test_no_event_is_refused(study):
    with pytest.raises(LongsurvError, match="no event"):
        CoxPH("Surv(day, died) ~ arm", study.assign(died=0)).fit()
