"""Effects on the incidence of one cause against Monte Carlo, and what must hold exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from joint_cohorts import CausesByHand, competing, joint, of_causes

from longsurv.errors import LongsurvError
from longsurv.estimands.joint_effects import joint_effects
from longsurv.estimands.joint_worlds import in_worlds, incidences, standardised
from longsurv.models import CoxPH, value

HORIZON = 4.0
WORLDS = ("incidence (0)", "incidence (1, marker as under 0)", "incidence (1)")


@pytest.fixture(scope="module")
def cohort():
    return competing(np.random.default_rng(5), 150)


@pytest.fixture(scope="module")
def fit(cohort):
    return of_causes(*cohort).fit()


def by_simulation(fit, entry, n=20_000):
    """Incidence of each cause in the three worlds at the estimates, shape (2, 3)."""
    rng = np.random.default_rng(1)
    hand = CausesByHand(fit, np.linspace(1e-8, HORIZON, 201))
    b = rng.multivariate_normal([0, 0], hand.D, n)
    begin, step = rng.choice(entry, n)[:, None], np.diff(hand.grid)
    out = []
    for d, m in ((0, 0), (1, 0), (1, 1)):
        h = hand.hazards(b, d, m) * (hand.grid >= begin)
        total = h.sum(axis=0)
        pieces = (total[:, 1:] + total[:, :-1]) / 2 * step
        S = np.exp(-np.hstack([np.zeros((n, 1)), np.cumsum(pieces, axis=1)]))
        out.append([np.trapezoid(of * S, hand.grid, axis=1).mean() for of in h])
    return np.array(out).T


@pytest.mark.parametrize("late", [False, True])
def test_against_monte_carlo(cohort, fit, late):
    if late:
        fit = of_causes(*competing(np.random.default_rng(6), 150, late=2.0), late=True).fit()
    expected = by_simulation(fit, fit.design.entry)
    for cause, by_hand in zip(("dead", "home"), expected, strict=True):
        got = joint_effects(fit, "treated", HORIZON, cause=cause, draws=4)
        rows = got.table.set_index("term")["estimate"]
        tolerance = 0.008  # three standard errors of the simulation, and its grid
        assert rows[list(WORLDS)].to_numpy() == pytest.approx(by_hand, abs=tolerance)
        f00, f10, f11 = by_hand
        assert rows["direct"] == pytest.approx(f10 - f00, abs=tolerance)
        assert rows["through the marker"] == pytest.approx(f11 - f10, abs=tolerance)
        assert rows["overall"] == pytest.approx(
            rows["direct"] + rows["through the marker"], abs=1e-12
        )
        ratio = rows["hazard ratio at the same marker"]
        assert ratio == pytest.approx(np.exp(fit.params[f"event[{cause}].treated"]))
        assert got.cause == cause and got.words.startswith(f"Incidence of {cause} by 4 differs")


@pytest.mark.parametrize(
    ("baseline", "error"),
    [("weibull", 1e-6), ("exponential", 1e-6), ("piecewise", 1e-6), ("spline", 5e-4),
     ({"dead": "weibull", "home": "piecewise"}, 1e-6)],
)  # fmt: skip
def test_incidences_and_survival_add_up_to_one(cohort, baseline, error):
    """A spline's cumulative hazard has an error of its own: fifteen points over all of time."""
    from longsurv.design.quadrature import normal_grid
    from longsurv.likelihood import joint as kernel

    fit = of_causes(*cohort, baseline).fit()
    design, n = fit.design, 3 * len(fit.design.labels)
    hazards, curves, entry = in_worlds(design, "treated", (0, 1))
    causes = tuple(
        kernel.CauseData(
            np.zeros(n),
            cause.event.fixed.rebuild(rows) - cause.covariate_means,
            **vars(design.points(cause, curves, rows, entry, np.full(n, HORIZON))),
        )
        for cause, rows in zip(design.causes, hazards, strict=True)
    )
    markers = tuple(marker.without_values(n) for marker in fit.data.markers)
    data = kernel.JointData(markers, causes, **vars(normal_grid(15, 2)))
    S = standardised(data, fit.theta[None], n // 3)
    F = [
        incidences(fit.data, design, k, "treated", (0, 1), HORIZON, fit.theta[None]) for k in (0, 1)
    ]
    assert S + F[0] + F[1] == pytest.approx(np.ones((1, 3)), abs=error)
    assert min(F[0].min(), F[1].min()) > 0.1


def test_a_cause_that_never_comes_leaves_one_minus_survival(cohort, fit):
    """At parameters under which nobody goes home, against the model with one cause."""
    rows, patients = cohort
    one = joint(rows, patients.assign(event=patients["dead"])).fit()
    d = len(one.theta)
    theta = np.concatenate([one.theta, fit.theta[d:]])
    theta[fit.design.theta_names.index("baseline[home].log_hazard")] = -60.0
    cov = np.zeros((len(theta), len(theta)))
    cov[:d, :d] = one.cov_theta
    never = replace(fit, theta=theta, cov_theta=cov)
    two = replace(one, cov_theta=np.zeros_like(one.cov_theta))
    got = joint_effects(replace(never, cov_theta=0 * cov), "treated", HORIZON, cause="dead",
                        draws=2).table.set_index("term")["estimate"]  # fmt: skip
    said = joint_effects(two, "treated", HORIZON, draws=2).table.set_index("term")["estimate"]
    for term in ("direct", "through the marker", "overall"):
        assert got[term] == pytest.approx(-said[term], abs=1e-7)
    for term in WORLDS:
        assert got[term] == pytest.approx(1 - said[term.replace("incidence", "survival")], abs=1e-7)
    term = "hazard ratio at the same marker"
    assert got[term] == said[term]


def test_treatment_acts_on_every_cause(cohort, fit):
    """A hazard without treatment has another incidence because the other cause takes patients."""
    rows, patients = cohort
    spec = of_causes(rows, patients, marker="y ~ t + (t | id)")
    plain = CoxPH("Surv(stop, home) ~ 1", data=patients.drop(columns="treated"))
    other = replace(spec, event={"dead": spec.event["dead"], "home": plain}).fit()
    table = joint_effects(other, "treated", HORIZON, cause="home", draws=20).table
    rows = table.set_index("term")
    assert rows.loc["through the marker", "estimate"] == 0.0
    fewer_die = other.params["event[dead].treated"] < 0
    assert fewer_die and rows.loc["direct", "estimate"] > 1e-3
    assert np.isnan(rows.loc["hazard ratio at the same marker", "estimate"])
    assert rows.loc["overall", "prob_positive"] > 0.5


def test_probabilities_are_of_more_of_it_and_posteriors_agree(cohort, fit):
    posterior = of_causes(*cohort).sample(draws=300, tune=200, seed=2, chains=2)
    one = joint_effects(fit, "treated", HORIZON, cause="dead", draws=60).table.set_index("term")
    said = joint_effects(posterior, "treated", HORIZON, cause="dead", draws=60)
    two = said.table.set_index("term")
    gap = (one["estimate"] - two["estimate"]).abs() / one["std_error"]
    assert gap.max() < 0.7
    assert said.posterior and list(said.draws) == ["F(0,0)", "F(1,0)", "F(1,1)"]
    overall = said.draws["F(1,1)"] - said.draws["F(0,0)"]
    assert two.loc["overall", "prob_positive"] == (overall > 0).mean() < 0.5
    assert two.loc["overall", "estimate"] == pytest.approx(overall.mean())


def test_an_interaction_has_no_single_hazard_ratio(cohort):
    link = {"dead": value(by="treated"), "home": value()}
    fit = of_causes(*cohort, link=link).fit()
    dead, home = (
        joint_effects(fit, "treated", HORIZON, cause=c, draws=2).table.set_index("term")["estimate"]
        for c in ("dead", "home")
    )
    assert np.isnan(dead["hazard ratio at the same marker"])
    assert np.isfinite(home["hazard ratio at the same marker"])


def test_what_cannot_be_answered_is_said(cohort, fit):
    with pytest.raises(LongsurvError, match=r"name it, cause= one of \['dead', 'home'\]"):
        joint_effects(fit, "treated", HORIZON)
    with pytest.raises(LongsurvError, match=r"cause is one of \['dead', 'home'\], not 'death'"):
        joint_effects(fit, "treated", HORIZON, cause="death")
    with pytest.raises(LongsurvError, match="no column 'arm'"):
        joint_effects(fit, "arm", HORIZON, cause="dead")
