"""Residuals and replicates of several causes against dense grids of b, predictions, the truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from joint_cohorts import CausesByHand, Truth, competing, joint, of_causes, two_markers
from joint_cohorts import with_second_marker as second_of

from longsurv.diagnostics.joint_checks import cox_snell_curve, event_residuals, level_shift
from longsurv.diagnostics.joint_replicates import (
    SurvivalReplicates,
    event_statistics,
    predictive_checks,
    which_cause,
)
from longsurv.errors import LongsurvError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp


@pytest.fixture(scope="module")
def cohort():
    return competing(np.random.default_rng(4), 90)


@pytest.fixture(scope="module")
def fit(cohort):
    return of_causes(*cohort).fit()


def by_cause(result):
    got = event_residuals(result)
    return {cause: mine.set_index("id") for cause, mine in got.groupby("cause", sort=False)}


def test_a_row_for_each_patient_and_cause(cohort, fit):
    got = event_residuals(fit)
    assert got.columns.tolist()[:2] == ["id", "cause"]
    assert len(got) == 180 and not got.duplicated(["id", "cause"]).any()
    patients = cohort[1].set_index("id")
    for cause, mine in by_cause(fit).items():
        assert (mine["event"] == patients[cause].loc[mine.index]).all()
        assert (mine["exit"] == patients["stop"].loc[mine.index]).all()
        residual = mine["event"] - mine["cox_snell"]
        assert (np.sign(mine["deviance"]) == np.sign(residual)).all()


@pytest.mark.parametrize(
    ("baseline", "late", "entry"),
    [("weibull", False, "at_risk"), ("spline", True, "at_risk"), ("weibull", True, "population")],
)
def test_martingale_residuals_of_each_cause_sum_to_zero(baseline, late, entry):
    """They are scores, of each baseline's level and of the covariates."""
    cohort = competing(np.random.default_rng(7), 90, late=1.0 if late else 0.0)
    result = of_causes(*cohort, baseline, late=late, entry=entry).fit()
    treated = cohort[1].set_index("id")["treated"]
    for mine in by_cause(result).values():
        assert abs(mine["martingale"].sum()) < 1e-4
        assert abs((mine["martingale"] * treated.loc[mine.index]).sum()) < 1e-4
        # Given survival to entry it is a difference of two expectations.
        if entry == "at_risk":
            assert mine["expected"].min() > 0 and mine["martingale"].max() < 1


def grid_of_effects(hand):
    axes = [np.linspace(-6 * s, 6 * s, 121) for s in np.sqrt(np.diag(hand.D))]
    b = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return b, -0.5 * np.einsum("bi,ij,bj->b", b, np.linalg.inv(hand.D), b)


def test_residuals_against_a_dense_grid_of_effects(cohort, fit):
    """E[H_c | all data], and the integral of the hazard of each cause foreseen at each time."""
    got, (rows, patients) = by_cause(fit), cohort
    for who in (100, 103, 107):
        person, mine = patients.set_index("id").loc[who], rows[rows["id"] == who]
        visits, y = mine["t"].to_numpy(), mine["y"].to_numpy()
        hand = CausesByHand(fit, np.linspace(1e-9, person["stop"], 801))
        t = hand.grid
        b, prior = grid_of_effects(hand)
        error = (y - hand.curve(b, visits, person["treated"])) ** 2 / (2 * hand.sigma**2)
        near = prior - error.sum(axis=1) > (prior - error.sum(axis=1)).max() - 40
        near |= prior > -8
        b, prior, error = b[near], prior[near], error[near]
        h = hand.hazards(b, person["treated"], person["treated"])
        steps = (h[:, :, 1:] + h[:, :, :-1]) / 2 * np.diff(t)
        H = np.concatenate([np.zeros((*h.shape[:2], 1)), np.cumsum(steps, axis=2)], axis=2)
        log_p = prior - error.sum(axis=1) - H[:, :, -1].sum(axis=0)
        for k, cause in enumerate(("dead", "home")):
            log_p = log_p + person[cause] * np.log(h[k, :, -1])
        p = np.exp(log_p - log_p.max())
        # The posterior of b at each time: of the visits until then, and no event.
        known = (visits[:, None] <= t).astype(float)
        log_q = prior[:, None] - error @ known - H.sum(axis=0)
        q = np.exp(log_q - log_q.max(axis=0))
        for k, cause in enumerate(("dead", "home")):
            expected = (p * H[k, :, -1]).sum() / p.sum()
            assert got[cause].loc[who, "expected"] == pytest.approx(expected, rel=5e-3)
            foreseen = (q * h[k]).sum(axis=0) / q.sum(axis=0)
            # Within a step that has a visit the integrand jumps.
            total = np.trapezoid(foreseen, t)
            assert got[cause].loc[who, "cox_snell"] == pytest.approx(total, rel=5e-3)


@pytest.mark.parametrize(
    ("baseline", "error"), [("weibull", 1e-6), ("piecewise", 1e-6), ("spline", 0.03)]
)
def test_the_causes_add_up_to_a_chain_of_dynamic_predictions(cohort, baseline, error):
    """Of a spline the predictions have an error of their own: fifteen points over all of time."""
    rows, patients = cohort
    fit = of_causes(rows, patients, baseline).fit()
    got = by_cause(fit)
    for who in (100, 103, 110):
        mine = rows[rows["id"] == who]
        stop, total = patients.set_index("id").loc[who, "stop"], 0.0
        for start, end in pairwise([*mine["t"], stop]):
            table = fit.predict_survival(mine, at=start, times=[end], draws=2)
            total -= np.log(table["estimate"].item())
        both = sum(of.loc[who, "cox_snell"] for of in got.values())
        assert both == pytest.approx(total, rel=error)


def test_two_markers_and_late_entry(cohort):
    rows, patients = competing(np.random.default_rng(7), 60, late=1.0)
    event = of_causes(rows, patients, late=True).event
    fit = two_markers(rows, second_of(np.random.default_rng(1), rows), event).fit()
    for mine in by_cause(fit).values():
        assert abs(mine["martingale"].sum()) < 1e-4
        assert (mine["cox_snell"] > 0).all()


def test_a_cause_that_never_comes_leaves_the_residuals_of_the_other(cohort, fit):
    rows, patients = cohort
    one = joint(rows, patients.assign(event=patients["dead"])).fit()
    theta = np.concatenate([one.theta, fit.theta[len(one.theta) :]])
    theta[fit.design.theta_names.index("baseline[home].log_hazard")] = -60.0
    got = by_cause(SimpleNamespace(spec=fit.spec, design=fit.design, theta=theta, engine="ml",
                                   data=never_home(fit)))["dead"]  # fmt: skip
    expected = event_residuals(one).set_index("id")
    for column in ("expected", "martingale", "cox_snell", "deviance"):
        assert got[column].to_numpy() == pytest.approx(expected[column].to_numpy(), rel=1e-6)


def never_home(fit):
    """Its arrays, with everyone who went home censored then."""
    dead, home = fit.data.causes
    return replace(fit.data, causes=(dead, replace(home, event=np.zeros_like(home.event))))


def truth(spec, of, rate):
    """The parameters of `competing` in the order of `of_causes`' parameter vector."""
    design = spec.design
    centre, mean = design.markers[0].curve.mean, design.causes[0].covariate_means[0]
    level = np.log(of.scale) + of.association * centre + of.effect * mean
    return np.array([
        of.intercept, of.slope, of.treated_slope, np.log(of.sigma), *np.log(of.sds),
        np.arctanh(of.correlation), level, of.effect, of.association, np.log(rate), 0.0, 0.0,
    ])  # fmt: skip


def test_cox_snell_residuals_are_unit_exponential_at_the_truth():
    """Of each cause, with the parameters that made the data."""
    from scipy.stats import kstest

    of = Truth(shape=1.0)
    spec = of_causes(*competing(np.random.default_rng(21), 500, 0.2, of), "exponential")
    design, theta = spec.design, truth(spec, of, 0.2)
    known = SimpleNamespace(
        spec=spec, design=design, data=spec.statistics, theta=theta, engine="ml"
    )
    got, rng = event_residuals(known), np.random.default_rng(1)
    curves = cox_snell_curve(got, level=0.99)
    assert curves.columns[0] == "cause"
    for cause, mine in got.groupby("cause"):
        events = mine["event"].sum()
        assert events > 100
        assert abs(events - mine["cox_snell"].sum()) < 3 * np.sqrt(events)
        assert abs(mine["martingale"].sum()) < 3 * np.sqrt(events)
        assert curves.loc[curves["cause"] == cause, "inside"].mean() > 0.95
        r = mine["cox_snell"] + np.where(mine["event"] == 1, 0.0, rng.exponential(size=len(mine)))
        assert kstest(r, "expon").pvalue > 0.01
    # A hazard too high is seen in the curve of its cause, and not in the other's.
    wrong = SimpleNamespace(**vars(known) | {"theta": theta + 0.5 * level_shift(design, "home")})
    inside = cox_snell_curve(event_residuals(wrong)).groupby("cause")["inside"].mean()
    assert inside["home"] < 0.3 < 0.9 < inside["dead"]


def test_replicates_are_the_models():
    """No association and constant hazards: the number of events of each cause has a known mean."""
    of = Truth(association=0.0, shape=1.0)
    cohort = competing(np.random.default_rng(3), 200, 0.2, of, late=1.0)
    fit = of_causes(*cohort, "exponential", late=True).fit()
    theta, design = fit.theta.copy(), fit.design
    rates = []
    for cause in design.causes:
        theta[design.theta_names.index(f"assoc[{cause.name}].value")] = 0.0
        omega = fit.params[f"event[{cause.name}].treated"] * cause.covariates[:, 0]
        rates.append(np.exp(fit.params[f"baseline[{cause.name}].log_hazard"] + omega))
    rng = np.random.default_rng(2)
    new = SurvivalReplicates(design, fit.data, rng)
    total = np.sum(rates, axis=0)
    whole = 1 - np.exp(-total * (new.until - design.entry))
    drawn = [new.replicate(theta, rng) for _ in range(300)]
    for k, rate in enumerate(rates, 1):
        events = np.mean([(what == k).sum() for _, what in drawn])
        assert events == pytest.approx((rate / total * whole).sum(), rel=0.02)
    exit = np.array([e for e, _ in drawn])
    assert (exit > design.entry).all() and (exit <= new.until + 1e-9).all()


def test_replicates_have_the_incidences_of_the_model(cohort, fit):
    """By Aalen and Johansen and by the integral of `joint_effects`."""
    from longsurv.estimands.joint_worlds import incidences

    rng = np.random.default_rng(5)
    drawn = [SurvivalReplicates(fit.design, fit.data, rng).replicate(fit.theta, rng)
             for _ in range(150)]  # fmt: skip
    exit, what = (np.concatenate(x) for x in zip(*drawn, strict=True))
    follow_up = FollowUp(np.zeros(len(exit)), exit, what.astype(int))
    treated = (fit.design.causes[0].covariates[:, 0] > 0).mean()
    for k in (0, 1):
        F = incidences(fit.data, fit.design, k, "treated", (0, 1), 2.5, fit.theta[None])[0]
        expected = (1 - treated) * F[0] + treated * F[2]
        assert cumulative_incidence(follow_up, k + 1).at(2.5)[0] == pytest.approx(
            expected, abs=0.02
        )


def test_statistics_by_part(cohort, fit):
    patients = cohort[1]
    what = which_cause(fit.design)
    codes = {"dead": 1, "home": 2, "": 0}
    assert what.tolist() == [codes[w] for w in patients.sort_values("id")["what"]]
    zero, cuts = np.zeros(90), np.array([1.0, 2.0])
    got = event_statistics(["dead", "home"], zero, fit.design.exit, what, cuts)
    assert list(got) == ["survival", "incidence of dead", "incidence of home"]
    for t in ("1", "2"):
        total = sum(got[f"incidence of {c}"][f"incidence by {t}"] for c in ("dead", "home"))
        assert got["survival"][f"survival at {t}"] + total == pytest.approx(1.0)
    homes = patients.loc[patients["home"] == 1, "stop"]
    assert got["incidence of home"]["events"] == len(homes)
    assert got["incidence of home"]["mean time of events"] == pytest.approx(homes.mean())


def test_predictive_checks_see_a_cause_that_stops(cohort):
    """A right model passes; one whose constant hazard of going home ends at 1 does not."""
    rows, patients = competing(np.random.default_rng(9), 150, 0.3)
    right = of_causes(rows, patients, "weibull").sample(draws=150, chains=1)
    got = predictive_checks(right, draws=60)
    parts = ["marker", "survival", "incidence of dead", "incidence of home"]
    assert list(dict.fromkeys(got["part"])) == parts
    events = got[(got["statistic"] == "events")].set_index("part")
    assert events.loc["incidence of home", "observed"] == patients["home"].sum()
    assert events["p_value"].between(0.02, 0.98).all()
    stays = patients["stop"].where(patients["home"] == 0, np.minimum(patients["stop"], 1.0))
    early = patients.assign(stop=stays)
    until = early.set_index("id")["stop"].loc[rows["id"]].to_numpy()
    bent = of_causes(rows[rows["t"] < until], early, "exponential").sample(draws=150, chains=1)
    got = predictive_checks(bent, draws=60).set_index(["part", "statistic"])["p_value"]
    assert got["incidence of home", "mean time of events"] > 0.98


def test_an_estimate_has_no_replicates(fit):
    with pytest.raises(LongsurvError, match="takes a posterior"):
        predictive_checks(fit)
