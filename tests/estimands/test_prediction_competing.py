"""Measures of predicted incidences of one cause of several, spelled out and by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import CausesByHand, competing, of_causes, two_markers, with_second_marker

from longsurv.errors import LongsurvError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.joint_rows import histories
from longsurv.estimands.prediction_folds import fold_of
from longsurv.estimands.prediction_measures import (
    auc,
    brier,
    calibration_groups,
    measures,
    outcomes,
    status_of,
)
from longsurv.estimands.prediction_quality import prediction_quality


def follow_up(exit, what):
    """`what`: 0 censored, 1 dead, 2 home."""
    exit, what = np.asarray(exit, dtype=float), np.asarray(what)
    causes = [
        SimpleNamespace(name=name, status=(what == k) * 1.0)
        for k, name in ((1, "dead"), (2, "home"))
    ]
    return SimpleNamespace(
        labels=pd.Index(np.arange(len(exit))),
        entry=np.zeros(len(exit)),
        exit=exit,
        status=(what > 0) * 1.0,
        causes=causes,
    )


def random_cohort(n, seed, tied=False, homes=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    times = np.array([rng.exponential(np.exp(2.0 - 0.8 * x)), rng.exponential(5.0, n)])
    if not homes:
        times[1] = 99.0
    end = rng.uniform(1.0, 6.0, n)
    if tied:
        times, end = np.ceil(times * 2) / 2, np.ceil(end * 2) / 2
    first = times.min(axis=0)
    what = np.where(first <= end, 1 + times.argmin(axis=0), 0)
    return follow_up(np.minimum(first, end), what), 1.0 / (1.0 + np.exp(-x)), times, what


def test_by_hand():
    """Eight patients from 0 to 4: deaths at 1 and 3, home at 2 and 3.5, censored at 1.5 and 2.5."""
    design = follow_up([1, 1.5, 2, 2.5, 3, 3.5, 9, 9], [1, 0, 2, 0, 1, 2, 0, 1])
    risk = np.array([0.7, 0.5, 0.4, 0.1, 0.6, 0.8, 0.3, 0.6])
    one = outcomes(design, 0.0, 4.0, "dead")
    assert one.event.tolist() == [True, False, False, False, True, False, False, False]
    # 7 at risk at the first censoring, 5 at the second: G is 1, 6/7 and then 6/7 4/5 = 24/35.
    w = np.array([1, 0, 7 / 6, 0, 35 / 24, 35 / 24, 35 / 24, 35 / 24])
    assert one.weight == pytest.approx(w)
    assert w.sum() == pytest.approx(8.0)
    # Controls: 0.4 (7/6), 0.8, 0.3, 0.6 (35/24 each). 0.7 beats all but 0.8; 0.6 ties with 0.6.
    total = 7 / 6 + 3 * 35 / 24
    wins = 1 * (7 / 6 + 2 * 35 / 24) + 35 / 24 * (7 / 6 + 1.5 * 35 / 24)
    assert auc(one, risk) == pytest.approx(wins / ((1 + 35 / 24) * total))
    squares = [0.3**2, 0, 7 / 6 * 0.4**2, 0, *(35 / 24 * np.array([0.4, 0.8, 0.3, 0.6]) ** 2)]
    assert brier(one, risk) == pytest.approx(np.sum(squares) / 8)
    # Aalen-Johansen: 1/8, then free of events 7/8 5/6 of whom 1 in 4 dies.
    assert one.observed_risk() == pytest.approx(1 / 8 + 7 / 8 * 5 / 6 / 4)
    row = one.row()
    assert (row["events"], row["competing"], row["censored"]) == (2, 2, 2)
    other = outcomes(design, 0.0, 4.0, "home")
    assert other.weight == pytest.approx(w)
    assert other.event.tolist() == [False, False, True, False, False, True, False, False]


def brute_force(design, what, risk, start, window):
    """AUC and Brier score for what == 1, patient by patient, from the definitions."""
    people = [i for i in range(len(risk)) if design.exit[i] > start]

    def g_before(t):
        out = 1.0
        for c in sorted({design.exit[i] for i in people if what[i] == 0}):
            if c < t:
                leaving = sum(design.exit[i] == c and what[i] == 0 for i in people)
                out *= 1 - leaving / (sum(design.exit[i] > c for i in people) + leaving)
        return out

    end, weight, event = start + window, {}, {}
    for i in people:
        event[i] = design.exit[i] <= end and what[i] == 1
        known = design.exit[i] >= end or what[i] > 0
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
def test_against_the_definitions(tied):
    design, risk, _, what = random_cohort(90, 3, tied)
    risk = np.round(risk, 1)
    for start, window in [(0.0, 2.0), (1.0, 2.5)]:
        one = outcomes(design, start, window, "dead")
        mine = risk[one.labels]
        expected = brute_force(design, what, risk, start, window)
        assert (auc(one, mine), brier(one, mine)) == pytest.approx(expected, rel=1e-12)
        assert (one.weight == 0).any() and (one.status == 2).any()


def test_weights_undo_censoring():
    """With 20,000 patients, the measures are those that no censoring would have given."""
    design, risk, times, _ = random_cohort(20_000, 7)
    complete = follow_up(times.min(axis=0), 1 + times.argmin(axis=0))
    one, whole = (outcomes(d, 0.0, 3.0, "dead") for d in (design, complete))
    assert (one.weight == 0).mean() > 0.15
    assert one.weight.mean() == pytest.approx(1.0, abs=0.02)
    assert auc(one, risk) == pytest.approx(auc(whole, risk), abs=0.01)
    assert brier(one, risk) == pytest.approx(brier(whole, risk), abs=0.004)
    assert one.observed_risk() == pytest.approx(whole.event.mean(), abs=0.01)
    # Going home is not censoring: taking it for that would raise the risk.
    naive = outcomes(
        SimpleNamespace(**vars(design) | {"status": design.causes[0].status}), 0.0, 3.0
    )
    assert naive.observed_risk() > one.observed_risk() + 0.05


def test_without_competing_events_all_is_as_for_one_cause():
    design, risk, _, _ = random_cohort(120, 5, homes=False)
    one, two = outcomes(design, 1.0, 2.0, "dead"), outcomes(design, 1.0, 2.0)
    mine = risk[one.labels]
    assert measures(one, mine) == pytest.approx(measures(two, mine), rel=1e-12)
    assert one.row() == pytest.approx(two.row(), rel=1e-12)
    same = ["group", "n", "events", "predicted", "observed"]
    groups = [calibration_groups(x, mine, 4, 0.95)[same] for x in (one, two)]
    pd.testing.assert_frame_equal(*groups)
    folds = [fold_of((3.0 - status_of(design, c)) % 3.0, 4, 1) for c in ("dead", None)]
    assert (folds[0] == folds[1]).all()
    assert (folds[0] == fold_of(design.status, 4, 1)).all()


def test_calibration_observes_by_aalen_and_johansen():
    design, risk, _, what = random_cohort(100, 13)
    one = outcomes(design, 0.0, 2.0, "dead")
    table = calibration_groups(one, risk, 4, 0.9)
    top = risk > np.quantile(risk, 0.75)
    curve = cumulative_incidence(FollowUp(np.zeros(top.sum()), design.exit[top], what[top]))
    last = table.iloc[-1]
    assert last["n"] == top.sum()
    assert last["observed"] == pytest.approx(curve.at(2.0)[0])
    assert (last["conf_low"], last["conf_high"]) == pytest.approx(curve.interval(2.0, 0.9))


@pytest.fixture(scope="module")
def model():
    return of_causes(*competing(np.random.default_rng(3), 120))


@pytest.fixture(scope="module")
def fit(model):
    return model.fit()


def by_quadrature(fit, person, measured, start, window):
    """Incidence of each cause given the measurements and no event until `start`, on a grid of b."""
    grid = np.linspace(1e-9, start + window, 1201)
    hand = CausesByHand(fit, grid)
    sd = np.sqrt(np.diag(hand.D))
    axes = [np.linspace(-6 * s, 6 * s, 121) for s in sd]
    b = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    logs = -0.5 * np.einsum("bi,ij,bj->b", b, np.linalg.inv(hand.D), b)
    error = measured["y"].to_numpy() - hand.curve(b, measured["t"].to_numpy(), person["treated"])
    logs -= 0.5 * (error**2).sum(axis=1) / hand.sigma**2
    near = logs > logs.max() - 30
    b, weight = b[near], np.exp(logs[near] - logs.max())
    h = hand.hazards(b, person["treated"], person["treated"])
    total = h.sum(axis=0)
    steps = (total[:, 1:] + total[:, :-1]) / 2 * np.diff(grid)
    S = np.exp(-np.hstack([np.zeros((len(b), 1)), np.cumsum(steps, axis=1)]))
    inside = grid >= start - 1e-9
    alive = weight @ S[:, np.argmax(inside)]
    return [weight @ np.trapezoid(of[:, inside] * S[:, inside], grid[inside], axis=1) / alive
            for of in h]  # fmt: skip


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_the_risk_is_the_incidence_of_the_cause(model, fit, start):
    got = prediction_quality(fit, [start], 2.0, cause="dead", folds=0, resamples=10)
    home = prediction_quality(fit, [start], 2.0, cause="home", folds=0, resamples=10)
    said = [x.predictions.set_index("id")["apparent"] for x in (got, home)]
    rows, patients = model.marker.data, model.event["dead"].data
    for who in said[0].index[:3]:
        person = patients.set_index("id").loc[who]
        measured = rows[(rows["id"] == who) & (rows["t"] <= start)]
        # The kernel's seven adaptive nodes against 121 x 121 points.
        expected = by_quadrature(fit, person, measured, start, 2.0)
        assert [s[who] for s in said] == pytest.approx(expected, abs=2e-4)
    assert got.cause == "dead" and f"Incidence of dead: from {start:g}, over 2" in got.words
    for table in (got.table, got.risk_sets, got.calibration, got.predictions):
        assert set(table["outcome"]) == {"incidence of dead"}
    count, at_risk = got.risk_sets.iloc[0], patients[patients["stop"] > start]
    soon = at_risk["stop"] <= start + 2.0
    assert count["events"] == (soon & (at_risk["dead"] == 1)).sum()
    assert count["competing"] == (soon & (at_risk["home"] == 1)).sum()
    # The probability of no event is what is left.
    people = fit.design.labels[fit.design.exit > start]
    new = histories(fit.design, people, start)
    S = fit.predict_survival(new, at=start, times=[start + 2.0], draws=2).set_index("id")[
        "estimate"
    ]
    assert (said[0] + said[1] + S).to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_a_fold_is_left_out_of_the_data_of_every_cause(model, fit):
    seen = []

    def refit(spec):
        seen.append(spec)
        return spec.fit()

    got = prediction_quality(
        fit, [1.0], 2.0, cause="dead", folds=2, resamples=10, refit=refit, seed=4
    )
    fold = fold_of((3.0 - status_of(fit.design, "dead")) % 3.0, 2, 4)
    dead, home = (c.status for c in fit.design.causes)
    for of in (dead, home):
        assert np.ptp(np.bincount(fold, weights=of)) <= 1
    for k, spec in enumerate(seen):
        out = set(fit.design.labels[fold == k])
        tables = [spec.markers["y"].data, *(event.data for event in spec.causes.values())]
        assert list(spec.causes) == ["dead", "home"]
        assert all(not out & set(data["id"]) and len(data) for data in tables)
    others = seen[0].fit()
    who = next(i for i in got.predictions["id"] if i in set(fit.design.labels[fold == 0]))
    new = histories(fit.design, pd.Index([who]), 1.0)
    table = others.predict_incidence(new, at=1.0, times=[3.0], draws=2)
    expected = table.query("cause == 'dead'")["estimate"].item()
    said = got.predictions.set_index("id").loc[who, "cross_validated"]
    assert said == pytest.approx(expected, rel=1e-6)
    assert "2-fold" in got.words and got.table["corrected"].notna().all()


def test_what_cannot_be_judged_is_said(model, fit):
    with pytest.raises(LongsurvError, match=r"name it, cause= one of \['dead', 'home'\]"):
        prediction_quality(model, [1.0], 2.0)
    with pytest.raises(LongsurvError, match=r"cause is one of \['dead', 'home'\], not 'death'"):
        prediction_quality(model, [1.0], 2.0, cause="death")
    with pytest.raises(LongsurvError, match=r"cause is one of \['dead', 'home'\], not 'death'"):
        new = histories(fit.design, fit.design.labels[:2], 0.0)
        fit.predict_incidence(new, at=0.0, times=[1.0], cause="death")


def test_causes_that_disagree_about_a_covariate_are_refused():
    rows, patients = competing(np.random.default_rng(3), 40)
    spec = of_causes(rows, patients)
    home = patients.assign(x=np.arange(40.0), treated=1 - patients["treated"])
    for event in (spec.event["home"].formula, "Surv(stop, home) ~ x"):
        other = replace(spec.event["home"], formula=event, data=home)
        one = replace(spec, event={"dead": spec.event["dead"], "home": other})
        if "x" in event:
            assert "x" in histories(one.design, one.design.labels, 1.0)["y"]
        else:
            with pytest.raises(LongsurvError, match=r"'treated' of id 100, .* is another in"):
                histories(one.design, one.design.labels, 1.0)


def test_a_weibull_hazard_is_integrated_from_its_origin(fit):
    """With shapes below 1 the hazards have no value at 0, where these predictions start."""
    from longsurv.estimands.dynamic import conditional_incidence, conditional_survival

    theta = fit.theta.copy()
    for cause in ("dead", "home"):
        theta[fit.design.theta_names.index(f"baseline[{cause}].shape_minus_1")] = -0.5
    new = histories(fit.design, fit.design.labels[:3], 0.0)
    arguments = (fit.design, fit.data, new, 0.0, [0.5, 4.0], theta[None])
    _, S = conditional_survival(*arguments)
    _, F = conditional_incidence(*arguments)
    assert S[0] + F[0].reshape(-1, 2).sum(axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("entry", ["at_risk", "population"])
def test_two_markers_late_entry_and_patients_without_measurements(entry):
    rows, patients = competing(np.random.default_rng(8), 100, late=1.5)
    second = with_second_marker(np.random.default_rng(1), rows)
    kept = rows[~rows["id"].isin([103, 104])]
    event = of_causes(rows, patients, late=True).event
    fit = two_markers(kept, second[second["id"] != 104], event, entry=entry).fit()
    got = {
        c: prediction_quality(fit, [1.0], 2.0, cause=c, folds=0, resamples=10)
        for c in ("dead", "home")
    }
    late = (patients["entry"] > 1.0) & (patients["stop"] > 1.0)
    assert got["dead"].risk_sets["excluded"].item() == late.sum() > 0
    people = fit.design.labels[(fit.design.entry <= 1.0) & (fit.design.exit > 1.0)]
    new = histories(fit.design, people, 1.0)
    S = fit.predict_survival(new, at=1.0, times=[3.0], draws=2).set_index("id")["estimate"]
    risk = [x.predictions.set_index("id")["apparent"] for x in got.values()]
    assert (risk[0] + risk[1] + S).to_numpy() == pytest.approx(1.0, abs=5e-5)
    assert len(risk[0]) == len(people)
