"""Measures of prediction against their formulae spelled out, other software, and the truth."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_cohorts import joint, simulated, two_markers, with_second_marker

from longsurv.errors import LongsurvError
from longsurv.estimands.prediction_folds import fold_of
from longsurv.estimands.prediction_measures import (
    auc,
    brier,
    calibration,
    calibration_groups,
    measures,
    outcomes,
    uncensored_before,
)
from longsurv.estimands.prediction_quality import prediction_quality


def follow_up(exit, status, entry=None):
    exit = np.asarray(exit, dtype=float)
    return SimpleNamespace(
        labels=pd.Index(np.arange(len(exit))),
        entry=np.zeros(len(exit)) if entry is None else np.asarray(entry, dtype=float),
        exit=exit,
        status=np.asarray(status, dtype=float),
    )


def random_cohort(n, seed, censoring=6.0, tied=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    time, end = rng.exponential(np.exp(2.0 - 0.8 * x)), rng.uniform(1.0, censoring, n)
    if tied:
        time, end = np.ceil(time * 2) / 2, np.ceil(end * 2) / 2
    risk = 1.0 / (1.0 + np.exp(-x))
    return follow_up(np.minimum(time, end), time <= end), risk, time


def test_by_hand_without_censoring():
    """Six patients at risk at 1; events at 2, 3 and 5; predicted 0.9, 0.2, 0.6."""
    design = follow_up([0.5, 2, 3, 5, 9, 9, 9], [1, 1, 1, 1, 0, 0, 0])
    risk = np.array([0.9, 0.2, 0.6, 0.1, 0.2, 0.7])
    one = outcomes(design, 1.0, 4.0)
    assert one.labels.tolist() == [1, 2, 3, 4, 5, 6]
    assert one.event.tolist() == [True] * 3 + [False] * 3
    assert one.weight == pytest.approx(np.ones(6))
    # 0.9 beats all; 0.2 beats 0.1 and ties with 0.2; 0.6 beats 0.1 and 0.2.
    assert auc(one, risk) == pytest.approx((3 + 1.5 + 2) / 9)
    squares = [0.1**2, 0.8**2, 0.4**2, 0.1**2, 0.2**2, 0.7**2]
    assert brier(one, risk) == pytest.approx(np.mean(squares))
    assert measures(one, risk)[2] == pytest.approx(1 - np.mean(squares) / 0.25)


def brute_force(design, risk, start, window):
    """AUC and Brier score, patient by patient, from the definitions."""
    people = [i for i in range(len(design.exit)) if design.entry[i] <= start < design.exit[i]]

    def g_before(t):
        out = 1.0
        for c in sorted({design.exit[i] for i in people if design.status[i] == 0}):
            if c < t:
                leaving = sum(design.exit[i] == c and design.status[i] == 0 for i in people)
                left = sum(design.exit[i] > c for i in people) + leaving
                out *= 1 - leaving / left
        return out

    end, weight, event = start + window, {}, {}
    for i in people:
        event[i] = design.exit[i] <= end and design.status[i] == 1
        known = event[i] or design.exit[i] >= end
        weight[i] = 1 / g_before(min(design.exit[i], end)) if known else 0.0
    score = sum(weight[i] * (event[i] - risk[i]) ** 2 for i in people) / len(people)
    top = bottom = 0.0
    for i in people:
        for j in people:
            if event[i] and not event[j]:
                w = weight[i] * weight[j]
                top += w * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
                bottom += w
    return top / bottom, score


@pytest.mark.parametrize("tied", [False, True])
def test_with_censoring_against_the_definitions(tied):
    design, risk, _ = random_cohort(90, 3, tied=tied)
    risk = np.round(risk, 1)
    for start, window in [(0.0, 2.0), (1.0, 2.5)]:
        one = outcomes(design, start, window)
        mine = risk[one.labels]
        expected = brute_force(design, risk, start, window)
        assert (auc(one, mine), brier(one, mine)) == pytest.approx(expected, rel=1e-12)
        assert (one.weight == 0).any()


def test_censoring_distribution_against_lifelines():
    from lifelines import KaplanMeierFitter

    design, _, _ = random_cohort(80, 5)
    curve = KaplanMeierFitter().fit(design.exit, 1 - design.status)
    times = np.linspace(0.2, 5.0, 40)
    expected = curve.survival_function_at_times(times).to_numpy()
    assert uncensored_before(design.exit, design.status, times) == pytest.approx(expected)


@pytest.mark.parametrize("start", [0, 100])
@pytest.mark.parametrize("horizon", [250, 365])
def test_against_risk_regression(data, reference, start, horizon):
    """R's riskRegression, on daily times with events and censorings at the same day."""
    lung = data("lung")
    score = -0.2 + 0.04 * (lung["age"] - 62) + 0.8 * (lung["sex"] == 1)
    risk = (1 / (1 + np.exp(-score))).to_numpy()
    one = outcomes(follow_up(lung["time"], lung["status"]), start, horizon - start)
    mine, model = risk[one.labels], f"lung {start} {horizon}"
    null = brier(one, np.full(len(mine), one.observed_risk()))
    assert auc(one, mine) == pytest.approx(reference("prediction_quality", model, "auc"))
    assert brier(one, mine) == pytest.approx(reference("prediction_quality", model, "brier"))
    assert null == pytest.approx(reference("prediction_quality", model, "brier", "null"))


def test_weights_sum_to_the_patients_and_undo_censoring():
    """With 20,000 patients, the weighted measures are those that no censoring would have given."""
    design, risk, time = random_cohort(20_000, 7, censoring=4.0)
    one, complete = outcomes(design, 0.0, 3.0), outcomes(follow_up(time, np.ones(20_000)), 0.0, 3.0)
    assert (one.weight == 0).mean() > 0.2
    assert one.weight.mean() == pytest.approx(1.0, abs=0.02)
    assert auc(one, risk) == pytest.approx(auc(complete, risk), abs=0.01)
    assert brier(one, risk) == pytest.approx(brier(complete, risk), abs=0.004)
    naive = np.mean((one.event - risk)[one.weight > 0] ** 2)
    assert abs(naive - brier(complete, risk)) > 0.008


def test_administrative_censoring_at_the_horizon_is_known():
    one = outcomes(follow_up([2, 4, 4, 4], [1, 0, 0, 1]), 0.0, 4.0)
    assert one.event.tolist() == [True, False, False, True]
    assert one.weight == pytest.approx(np.ones(4))


def test_late_entries_do_not_count():
    design, risk, _ = random_cohort(60, 9)
    late = np.arange(60) % 4 == 0
    whole = follow_up(design.exit, design.status, np.where(late, 1.5, 0.0))
    rest = follow_up(design.exit[~late], design.status[~late])
    one, two = outcomes(whole, 1.0, 2.0), outcomes(rest, 1.0, 2.0)
    assert one.excluded == (late & (design.exit > 1.0)).sum() and two.excluded == 0
    assert one.weight == pytest.approx(two.weight)
    assert auc(one, risk[one.labels]) == pytest.approx(auc(two, risk[~late][two.labels]))


def test_calibration_against_statsmodels():
    import statsmodels.api as sm

    design, risk, _ = random_cohort(300, 11)
    one = outcomes(design, 0.0, 2.0)
    x, known = np.log(risk / (1 - risk)), one.weight > 0
    y, w = one.event[known].astype(float), one.weight[known]
    family = sm.families.Binomial()
    line = sm.GLM(y, sm.add_constant(x[known]), family, freq_weights=w).fit()
    level = sm.GLM(y, np.ones(known.sum()), family, freq_weights=w, offset=x[known]).fit()
    assert calibration(one, risk) == pytest.approx((level.params[0], line.params[1]), rel=1e-6)


def test_calibration_has_no_slope_where_none_exists():
    one = outcomes(follow_up([1, 1, 9, 9], [1, 1, 0, 0]), 0.0, 4.0)
    intercept, slope = calibration(one, np.array([0.8, 0.9, 0.1, 0.2]))
    assert np.isfinite(intercept) and np.isnan(slope)
    assert np.isnan(calibration(one, np.full(4, 0.5))[1])


@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
@settings(max_examples=25, deadline=None)
def test_only_the_order_matters_for_discrimination(seed, power):
    design, risk, _ = random_cohort(40, seed)
    one = outcomes(design, 0.0, 2.0)
    if not 0 < one.event.sum() < (one.weight > 0).sum():
        return
    value = auc(one, risk)
    assert auc(one, risk**power) == pytest.approx(value)
    assert auc(one, 1 - risk) == pytest.approx(1 - value)


def test_groups_hold_everyone_and_average_to_the_whole():
    design, risk, _ = random_cohort(101, 13)
    one = outcomes(design, 0.0, 2.0)
    table = calibration_groups(one, risk, 4, 0.95)
    assert table["n"].sum() == 101 and table["n"].between(24, 27).all()
    assert np.average(table["predicted"], weights=table["n"]) == pytest.approx(risk.mean())
    assert table["predicted"].is_monotonic_increasing
    assert (table["conf_low"] <= table["observed"]).all()
    assert (table["observed"] <= table["conf_high"]).all()


def test_folds_share_patients_and_events():
    event = (np.arange(53) % 3 == 0).astype(float)
    fold = fold_of(event, 5, seed=2)
    sizes, events = np.bincount(fold), np.bincount(fold, weights=event)
    assert np.ptp(sizes) <= 1 and np.ptp(events) <= 1
    assert (fold != fold_of(event, 5, seed=3)).any()


@pytest.fixture(scope="module")
def model():
    rows, patients = simulated(np.random.default_rng(3), 90)
    return joint(rows[rows["id"] != 105], patients)


@pytest.fixture(scope="module")
def fit(model):
    return model.fit()


def test_of_a_joint_model(model, fit):
    got = prediction_quality(fit, [1.0, 2.0], 2.0, folds=3, resamples=40)
    assert set(got.table["landmark"]) == {1.0, 2.0}
    rows = got.table.set_index(["landmark", "measure"])
    assert (rows["apparent"] - rows["optimism"]).to_numpy() == pytest.approx(rows["corrected"])
    one = rows.loc[(1.0, "AUC")]
    assert one["conf_low"] < one["corrected"] < one["conf_high"] and one["corrected"] > 0.6
    assert "AUC" in got.words and "3-fold" in got.words

    # The apparent risk is what predict_survival says of a patient's own rows.
    measured = model.marker.data
    mine = measured[(measured["id"] == 101) & (measured["t"] <= 1.0)]
    expected = 1 - fit.predict_survival(mine, at=1.0, times=[3.0], draws=2)["estimate"].item()
    said = got.predictions.query("id == 101 and landmark == 1.0")
    assert said["apparent"].item() == pytest.approx(expected, rel=1e-9)
    # Out of fold: a model that never saw the fold's patients.
    fold = fold_of(fit.design.status, 3, 1)
    out = fit.design.labels[fold == fold[fit.design.labels.get_loc(101)]]
    others = joint(measured[~measured["id"].isin(out)],
                   model.event.data[~model.event.data["id"].isin(out)]).fit()  # fmt: skip
    honest = 1 - others.predict_survival(mine, at=1.0, times=[3.0], draws=2)["estimate"].item()
    assert said["cross_validated"].item() == pytest.approx(honest, rel=1e-6)


def test_patients_without_a_measurement_are_predicted(fit):
    got = prediction_quality(fit, [1.0], 2.0, folds=0, resamples=10)
    assert 105 in set(got.predictions["id"]) and got.predictions["apparent"].notna().all()
    assert got.table["corrected"].isna().all() and "optimistic" in got.words


def test_posteriors_predict_too(model):
    def sample(spec):
        return spec.sample(draws=100, tune=150, chains=1)

    posterior = sample(model)
    got = prediction_quality(posterior, [1.0], 2.0, folds=2, resamples=10, refit=sample)
    assert got.predictions["cross_validated"].between(0, 1).all()


def test_what_cannot_be_judged_is_said(model, fit):
    with pytest.raises(LongsurvError, match="follow-up ended at"):
        prediction_quality(fit, [7.0], 3.0)
    with pytest.raises(LongsurvError, match="landmarks are one or more times"):
        prediction_quality(fit, [], 3.0)
    with pytest.raises(LongsurvError, match="patients at risk"):
        prediction_quality(fit, [7.5], 0.2)
    with pytest.raises(LongsurvError, match="folds is 0 or from 2"):
        prediction_quality(fit, [1.0], 1.0, folds=1)
    with pytest.raises(LongsurvError, match="takes a joint model, not a LMM"):
        prediction_quality(model.marker, [1.0], 1.0)
    with pytest.raises(LongsurvError, match=r"cause is one of \['event'\], not 'home'"):
        prediction_quality(fit, [1.0], 1.0, cause="home")


def test_two_markers_predict_together(model):
    rows = model.marker.data
    second = with_second_marker(np.random.default_rng(1), rows[rows["id"] != 103])
    spec = two_markers(rows, second, {"death": model.event})
    fit = spec.fit()
    got = prediction_quality(fit, [1.0], 2.0, folds=2, resamples=10)
    mine = {"y": rows.query("id == 101 and t <= 1"), "z": second.query("id == 101 and t <= 1")}
    expected = 1 - fit.predict_survival(mine, at=1.0, times=[3.0], draws=2)["estimate"].item()
    said = got.predictions.set_index("id").loc[101, "apparent"]
    assert said == pytest.approx(expected, rel=1e-9)
    assert got.predictions[["apparent", "cross_validated"]].notna().all(axis=None)
