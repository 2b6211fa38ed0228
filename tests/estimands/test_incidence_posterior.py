"""The posterior of cumulative incidence against closed forms and Aalen-Johansen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.incidence_posterior import (
    HazardDraws,
    hazard_draws,
    incidence_posterior,
)
from longsurv.estimands.restricted_mean import restricted_mean_table


def follow_up(exit, status) -> FollowUp:
    return FollowUp(np.zeros(len(exit)), np.array(exit, dtype=float), np.array(status))


def arms(n_a: int, deaths_a: list[float], n_b: int, deaths_b: list[float]) -> pd.DataFrame:
    exit = [*deaths_a, *[28.0] * (n_a - len(deaths_a)), *deaths_b]
    exit += [28.0] * (n_b - len(deaths_b))
    status = [1] * len(deaths_a) + [0] * (n_a - len(deaths_a))
    status += [1] * len(deaths_b) + [0] * (n_b - len(deaths_b))
    arm = pd.Categorical(["a"] * n_a + ["b"] * n_b, ["a", "b"])
    return pd.DataFrame({"exit": exit, "status": status, "arm": arm})


def test_one_piece_is_the_conjugate_posterior_of_a_constant_hazard():
    side = follow_up([3.0, 9.0, 20.0, 28.0, 28.0], [1, 1, 2, 0, 0])
    drawn = hazard_draws(side, np.array([0.0, 28.0]), (1, 2), 40_000, np.random.default_rng(1))
    for k, events in enumerate((2, 1)):
        exact = stats.gamma(events + 0.5, scale=1 / (88.0 + 14.0))
        assert stats.kstest(drawn.hazard[:, 0, k], exact.cdf).pvalue > 1e-3


def test_incidence_and_mean_given_the_hazards_solve_the_differential_equations():
    edges, hazard = np.array([2.0, 5.0, 11.0]), np.array([[[0.05, 0.1], [0.02, 0.0]]])
    drawn = HazardDraws(edges, (1, 2), hazard)
    t = np.linspace(2, 11, 200_001)
    h = np.where(t[:, None] < 5, hazard[0, 0], hazard[0, 1])
    step = np.diff(t, prepend=2.0)
    survival = np.exp(-np.cumsum(h.sum(axis=1) * step))
    assert drawn.incidence(1)[0] == pytest.approx((survival * h[:, 0] * step).sum(), rel=1e-4)
    assert drawn.incidence(2)[0] == pytest.approx((survival * h[:, 1] * step).sum(), rel=1e-4)
    assert drawn.restricted_mean()[0] == pytest.approx((survival * step).sum(), rel=1e-4)
    still = HazardDraws(edges, (1,), np.zeros((1, 2, 1)))
    assert still.incidence(1)[0] == 0
    assert still.restricted_mean()[0] == 9


def test_many_patients_agree_with_aalen_johansen(data):
    mgus = data("competing").rename(columns={"etime": "exit"})
    drawn = incidence_posterior(mgus, "sex", 120).set_index("quantity")
    curves = incidence_difference(mgus, "sex", 120).set_index("quantity")
    for quantity in ("risk of M", "risk of F", "risk difference"):
        row, other = drawn.loc[quantity], curves.loc[quantity]
        assert row["estimate"] == pytest.approx(other["estimate"], abs=0.25 * other["std_error"])
        assert row["std_error"] == pytest.approx(other["std_error"], rel=0.12)


def test_without_competing_events_the_mean_agrees_with_the_area_under_the_curve(data):
    lung = data("veteran")[["time", "status", "trt"]].rename(columns={"time": "exit"})
    drawn = incidence_posterior(lung, "trt", 200).set_index("quantity")
    area = restricted_mean_table(lung, "trt", 200).set_index("quantity").loc["difference"]
    row = drawn.loc["restricted mean difference"]
    assert row["estimate"] == pytest.approx(area["estimate"], abs=0.25 * area["std_error"])
    assert row["std_error"] == pytest.approx(area["std_error"], rel=0.12)


def test_a_group_without_deaths_has_a_posterior_and_probability_goes_with_the_sign():
    table = incidence_posterior(arms(22, [9.0, 12.0, 20.0, 27.0], 19, []), "arm", 28)
    rows = table.set_index("quantity")
    risk = rows.loc["risk of b"]
    assert 0 < risk["conf_low"] < risk["estimate"] < risk["conf_high"] < 0.2
    assert rows.loc["risk difference", "estimate"] < 0
    assert rows.loc["risk difference", "prob_positive"] < 0.05
    assert rows.loc["restricted mean difference", "prob_positive"] > 0.9
    back = incidence_posterior(arms(19, [], 22, [9.0, 12.0, 20.0, 27.0]), "arm", 28)
    assert back.set_index("quantity").loc["risk difference", "prob_positive"] > 0.95


def test_it_is_near_the_beta_posterior_of_a_proportion():
    data = arms(22, [9.0, 12.0, 20.0, 27.0], 19, [15.0])
    row = incidence_posterior(data, "arm", 28).set_index("quantity").loc["risk of b"]
    low, middle, high = stats.beta(1.5, 18.5).ppf([0.025, 0.5, 0.975])
    assert row[["conf_low", "estimate", "conf_high"]].tolist() == pytest.approx(
        [low, middle, high], abs=0.02
    )


def test_a_group_that_has_left_before_the_horizon_is_no_obstacle_but_censoring_is():
    gone = arms(6, [3.0, 5.0], 6, [4.0])
    gone.loc[(gone["arm"] == "b") & (gone["status"] == 0), ["exit", "status"]] = [11.0, 2]
    assert np.isfinite(incidence_posterior(gone, "arm", 28)["estimate"]).all()
    gone.loc[(gone["arm"] == "b") & (gone["status"] == 2), "status"] = 0
    with pytest.raises(DataError, match="group b: follow-up ends at 11 with patients at risk"):
        incidence_posterior(gone, "arm", 28)


def test_hazards_of_an_empty_piece_are_not_made_up():
    with pytest.raises(DataError, match="nobody is at risk between 10 and 28"):
        hazard_draws(
            follow_up([3.0, 9.0], [1, 0]), np.array([0.0, 10.0, 28.0]), (1,), 10,
            np.random.default_rng(1),
        )  # fmt: skip


def test_wrong_questions_are_refused():
    data = arms(6, [3.0], 6, [4.0])
    with pytest.raises(LongsurvError, match="level"):
        incidence_posterior(data, "arm", 28, level=2)
    with pytest.raises(LongsurvError, match="must come after the first entry"):
        incidence_posterior(data.assign(entry=1.0), "arm", 1)
    apart = data.assign(entry=np.where(data["arm"] == "a", 0.0, 3.5))
    apart["exit"] = np.where(data["arm"] == "a", 3.0, data["exit"])
    apart["status"] = 1
    with pytest.raises(DataError, match="never at risk at the same time"):
        incidence_posterior(apart, "arm", 28)


@pytest.mark.slow
def test_ranks_are_uniform_when_hazards_come_from_the_prior():
    """Talts and others 2018 (arXiv:1804.06788): 400 cohorts of 19 and 22 from the prior itself."""
    rng = np.random.default_rng(3)
    edges, horizon = np.linspace(0, 28, 25), 28.0
    ranks = []
    for k in range(400):
        frames, risks = [], []
        for name, n in (("a", 22), ("b", 19)):
            hazard = rng.gamma(0.5 / 24, size=(1, 24, 2)) / (0.5 * np.diff(edges))[:, None]
            risks.append(HazardDraws(edges, (1, 2), hazard).incidence(1)[0])
            cumulative = np.concatenate([[0], np.cumsum(hazard[0].sum(axis=1) * np.diff(edges))])
            target = rng.exponential(size=n)
            piece = np.clip(np.searchsorted(cumulative, target) - 1, 0, 23)
            left = target < cumulative[-1]
            within = (target - cumulative[piece]) / hazard[0, piece].sum(axis=1)
            exit = np.where(left, edges[piece] + within, horizon)
            first = rng.uniform(size=n) < hazard[0, piece, 0] / hazard[0, piece].sum(axis=1)
            status = np.where(left, np.where(first, 1, 2), 0)
            frames.append(pd.DataFrame({"exit": exit, "status": status, "arm": name}))
        data = pd.concat(frames)
        data["event"] = data["status"] == 1
        found = incidence_posterior(data, "arm", horizon, draws=400, seed=k, level=0.9)
        row = found.set_index("quantity").loc["risk difference"]
        truth = risks[1] - risks[0]
        ranks.append((truth < row["conf_low"], truth < row["estimate"], truth > row["conf_high"]))
    low, middle, high = np.mean(ranks, axis=0)
    # Within 3.5 standard errors of 5 %, 50 % and 5 %.
    assert (low, middle, high) == (
        pytest.approx(0.05, abs=0.038), pytest.approx(0.5, abs=0.088),
        pytest.approx(0.05, abs=0.038),
    )  # fmt: skip
