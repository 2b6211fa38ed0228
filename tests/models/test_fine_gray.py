"""Fine and Gray's model against survival and cmprsk, and against its weights written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp
from longsurv.models import CoxPH, FineGray
from longsurv.results.nested import lrt

SIX = 1e-6
MGUS = {
    "mgus": ("Surv(etime, status) ~ age + male", {}),
    "mgus other": ("Surv(etime, status) ~ age + male", {"cause": 2}),
    "mgus strata": ("Surv(etime, status) ~ age + male + strata(later)", {}),
    "mgus weights": ("Surv(etime, status) ~ age + male", {"weights": "w"}),
    "mgus entry": ("Surv(entry, etime, status) ~ age + male", {}),
}


@pytest.fixture(scope="module")
def mgus(table):
    m = table("competing").copy()
    return m.assign(
        age=55 + (m["id"] * 37) % 31, male=(m["sex"] == "M") * 1.0, later=(m["id"] // 4) % 2,
        entry=np.minimum(m["id"] % 7, m["etime"] / 2), w=1 + (m["id"] % 5) % 3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cohort(table):
    return table("weighted_cohort").assign(logcrp=lambda d: np.log(d["crp"]))


# Efron's ties of a row that counts twice are not those of two rows, which is what R had.
CASES = [(n, t) for n in MGUS for t in ("efron", "breslow") if (n, t) != ("mgus weights", "efron")]


@pytest.mark.parametrize(("name", "ties"), CASES)
def test_agrees_with_finegray_and_coxph(mgus, r_results, name, ties):
    formula, how = MGUS[name]
    spec = FineGray(formula, data=mgus, ties=ties, **how)
    fit, model = spec.fit(censoring="known"), f"{name} {ties}"
    if name != "mgus weights":
        assert len(spec.made.source) == r_results("fine_gray", model, "rows")[""]
    for ours, theirs in ((fit.params, "coef"), (fit.bse, "robust_se")):
        expected = r_results("fine_gray", model, theirs)
        assert ours.to_dict() == pytest.approx(expected, rel=SIX)
    assert fit.llf == pytest.approx(r_results("fine_gray", model, "loglik")[""], rel=1e-9)


@pytest.mark.parametrize("cause", [1, 2])
def test_agrees_with_crr_whose_variance_counts_the_estimated_censoring(cohort, r_results, cause):
    formula = "Surv(exact, status) ~ arm + age + logcrp"
    fit = FineGray(formula, data=cohort, cause=cause, ties="breslow").fit()
    assert fit.params.to_dict() == pytest.approx(r_results("fine_gray", f"crr {cause}", "coef"))
    expected = r_results("fine_gray", f"crr {cause}", "se")
    assert fit.bse.to_dict() == pytest.approx(expected, rel=1e-9)
    assert fit.llf == pytest.approx(r_results("fine_gray", f"crr {cause}", "loglik")[""])
    new = pd.DataFrame({"arm": [1, 0], "age": [60, 70], "logcrp": [3, 4]})
    found = fit.incidence(new, [5, 10, 20])
    incidence = r_results("fine_gray", f"crr {cause}", "incidence")
    for k, (_, row) in enumerate(found.iterrows()):
        assert row["estimate"] == pytest.approx(incidence[f"{k // 3 + 1} {row['time']:g}"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_predicted_incidences_are_survivals(mgus, r_results, ties):
    fit = FineGray(MGUS["mgus"][0], data=mgus, ties=ties).fit()
    new = pd.DataFrame({"age": [60.0, 75.0], "male": [0.0, 1.0]})
    found = fit.incidence(new, [24, 60, 120])
    expected = r_results("fine_gray", f"mgus {ties}", "incidence")
    for k, (_, row) in enumerate(found.iterrows()):
        assert row["estimate"] == pytest.approx(expected[f"{k // 3 + 1} {row['time']:g}"])
        assert row["conf_low"] < row["estimate"] < row["conf_high"]


def test_weights_are_the_chance_of_not_being_censored(cohort):
    """Patient by patient, at every event: G(t-) / G(T-), with events before censorings."""
    rows = cohort.assign(exit=np.ceil(cohort["exact"] / 3))
    made = FineGray("Surv(exit, status) ~ arm", data=rows).made
    t, s = rows["exit"].to_numpy(), rows["status"].to_numpy()

    def uncensored(before):
        out = 1.0
        for u in np.unique(t[(s == 0) & (t < before)]):
            out *= 1 - ((t == u) & (s == 0)).sum() / ((t > u) | ((t == u) & (s == 0))).sum()
        return out

    checked = 0
    for i in np.flatnonzero(s == 2):
        mine = made.source == i
        for at in np.unique(t[(s == 1) & (t > t[i])]):
            inside = mine & (made.entry < at) & (at <= made.exit)
            assert inside.sum() <= 1
            expected = uncensored(at) / uncensored(t[i])
            assert made.weight[inside].sum() == pytest.approx(expected)
            checked += 1
    assert checked > 50


def test_without_covariates_to_speak_of_it_is_aalen_and_johansen(cohort):
    """Of a covariate of no effect, by Breslow's estimate of a hazard in small steps."""
    many = pd.concat([cohort] * 40, ignore_index=True)
    rng = np.random.default_rng(3)
    many["noise"] = np.tile([-1.0, 1.0], len(many) // 2)
    many["exact"] = many["exact"] + rng.uniform(0, 1e-3, len(many))
    fit = FineGray("Surv(exact, status) ~ noise", data=many).fit()
    found = fit.incidence(pd.DataFrame({"noise": [0.0]}), [20.0])["estimate"].iloc[0]
    curve = cumulative_incidence(
        FollowUp(np.zeros(len(many)), many["exact"].to_numpy(), many["status"].to_numpy())
    )
    assert found == pytest.approx(curve.at(20.0)[0], abs=2e-3)


def test_without_competing_events_it_is_coxs_model(cohort):
    rows = cohort.assign(status=(cohort["status"] == 1) * 1)
    ours = FineGray("Surv(exact, status) ~ arm + age", data=rows).fit()
    cox = CoxPH("Surv(exact, status) ~ arm + age", data=rows).fit()
    assert ours.params.to_numpy() == pytest.approx(cox.params.to_numpy())


def test_errors_of_an_incidence_are_those_of_the_jackknife(cohort):
    """The derivative in each patient's weight, the curve of censoring being known."""
    cohort = cohort.head(40)
    spec = FineGray("Surv(exact, status) ~ arm + age", data=cohort, ties="breslow")
    new, h = pd.DataFrame({"arm": [1.0, 0.0], "age": [50.0, 70.0]}), 1e-4
    found = spec.fit(censoring="known").incidence(new, [4.0, 15.0])
    made, moves = spec.made, []
    for i in range(len(cohort)):
        side = []
        for sign in (1, -1):
            weight = np.where(made.source == i, made.weight * np.exp(sign * h), made.weight)
            other = replace(spec)
            other.__dict__["made"] = replace(made, weight=weight)
            side.append(other.fit(censoring="known").incidence(new, [4.0, 15.0])["estimate"])
        moves.append((side[0] - side[1]) / (2 * h))
    errors = np.sqrt((np.array(moves) ** 2).sum(axis=0))
    assert found["std_error"].to_numpy() == pytest.approx(errors, rel=1e-4)


def test_clusters_are_added_up(cohort):
    rows = cohort.assign(site=np.arange(len(cohort)) % 9)
    plain = FineGray("Surv(exact, status) ~ arm", data=rows).fit()
    sites = FineGray("Surv(exact, status) ~ arm + cluster(site)", data=rows).fit()
    assert plain.params.to_numpy() == pytest.approx(sites.params.to_numpy())
    assert plain.bse.iloc[0] != pytest.approx(sites.bse.iloc[0], rel=0.01)


def test_what_it_is_not_it_says(cohort):
    spec = FineGray("Surv(exact, status) ~ arm", data=cohort)
    fit = spec.fit()
    assert np.isnan(fit.aic) and np.isnan(fit.bic)
    assert not hasattr(spec, "sample")
    with pytest.raises(LongsurvError, match="robust covariance"):
        lrt(fit, FineGray("Surv(exact, status) ~ arm + age", data=cohort).fit())
    with pytest.raises(DataError, match="nobody has an event of cause 3"):
        FineGray("Surv(exact, status) ~ arm", data=cohort, cause=3).fit()
    with pytest.raises(DataError, match="must hold 0"):
        FineGray("Surv(exact, arm2) ~ age", data=cohort.assign(arm2=0.5)).fit()


def test_a_group_without_events_has_firths_likelihood_and_no_number(cohort):
    """Its robust covariance knows nothing of such a group."""
    rows = cohort.assign(
        status=np.where((cohort["arm"] == 1) & (cohort["status"] == 1), 2, cohort["status"])
    )
    fit = FineGray("Surv(exact, status) ~ arm", data=rows).fit()
    assert "Firth" in fit.method and any("Separated" in flag for flag in fit.flags)
    assert fit.coefficients[0] < -1 and fit.undetermined == ("arm",)
    assert fit.tidy().drop(columns="term").isna().all(axis=None)
    assert any("sees nothing of groups without events" in flag for flag in fit.flags)


def test_late_rows_missing_values_and_their_count(cohort):
    rows = cohort.assign(age=cohort["age"].where(np.arange(len(cohort)) > 4))
    fit = FineGray("Surv(exact, status) ~ age", data=rows).fit()
    again = FineGray("Surv(exact, status) ~ age", data=rows.iloc[5:]).fit()
    assert fit.params.iloc[0] == pytest.approx(again.params.iloc[0])
    assert fit.nobs == len(cohort) - 5 and "5 of 90 rows" in fit.flags[0]


def test_nothing_is_known_after_the_last_exit_of_who_had_no_event():
    rows = pd.DataFrame({"exit": [2.0, 4.0, 5.0, 6.0, 8.0, 9.0], "status": [1, 2, 1, 0, 1, 0],
                         "x": [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]})  # fmt: skip
    for last, known in ((0, False), (2, True)):
        own = rows.assign(status=[*rows["status"][:-1], last])
        found = (
            FineGray("Surv(exit, status) ~ x", data=own).fit().incidence(own.iloc[:1], [9.0, 9.5])
        )
        assert found["estimate"].notna().tolist() == [True, known]


def test_few_events_of_the_cause_are_told():
    """As of a Cox model: fewer than ten of the cause itself for each coefficient."""
    rng, n = np.random.default_rng(2), 200
    data = pd.DataFrame({
        "t": rng.exponential(1.0, n), "x": rng.standard_normal(n), "z": rng.standard_normal(n),
        "status": np.where(np.arange(n) < 15, 1, np.where(np.arange(n) < 90, 2, 0)),
    })  # fmt: skip
    told = "There are 15 events for 2 coefficients"
    assert any(told in flag for flag in FineGray("Surv(t, status) ~ x + z", data).fit().flags)
    for right, cause in (("x", 1), ("x + z", 2)):
        fit = FineGray(f"Surv(t, status) ~ {right}", data, cause=cause).fit()
        assert not any("events a coefficient" in flag for flag in fit.flags)
