"""Values missing or known by limits only, imputed from the censored mixed model: against draws of
the dense normal that obey the limits, truncated normals, and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lengths import lengths
from scipy.stats import truncnorm

import longsurv as ls
from longsurv.analyses.imputation.limited import mean_within, within
from longsurv.errors import DataError, LongsurvError
from longsurv.models import GLMM, LMM
from longsurv.results.generalised.quantities import factor

FORMULA = "y ~ C(visit) * arm + (1 | id)"
GROUPS = {"treatment": "arm", "reference": "old", "randomised": True}
LIMIT = -0.5


def trial(seed: int, n: int = 41, effect: float = 0.6, limit: float = LIMIT) -> pd.DataFrame:
    """Three visits; three values in ten lie below the limit, and low ones drop out oftener."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    y = (
        rng.normal(0.0, 0.8, (n, 1))
        + rng.normal(0.0, 0.6, (n, 3))
        + np.outer(arm, [0, 0.3, effect])
    )
    y = y - np.array([0.0, 0.1, 0.2])
    gone = rng.random(n) < 1.0 / (1.0 + np.exp(1.5 + np.maximum(y[:, 0], limit)))
    late = np.column_stack([np.zeros((n, 1), dtype=bool), gone & (rng.random(n) < 0.4), gone])
    kind = np.where((y < limit) & ~late, "left", "none")
    seen = np.where(late, np.nan, np.maximum(y, limit))
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(n) + 7, 3), "visit": np.tile([1, 2, 3], n), "y": seen.ravel(),
            "limit": kind.ravel(), "arm": np.repeat(np.where(arm, "new", "old"), 3),
            "truth": y.ravel(),
        }
    ).astype({"arm": pd.CategoricalDtype(["old", "new"])})  # fmt: skip


def censored(data: pd.DataFrame, formula: str = FORMULA, **options) -> GLMM:
    return GLMM(formula, data, family="censored", censored="limit", **options)


@pytest.fixture(scope="module")
def data():
    return trial(2)


@pytest.fixture(scope="module")
def imputed(data):
    post = censored(data).sample(draws=60, tune=120, chains=2, seed=1)
    return ls.Imputation(post, n=30, visit="visit", treatment="arm", reference="old",
                         randomised=True)  # fmt: skip


def covariance(imputation: ls.Imputation, of: np.ndarray) -> np.ndarray:
    """Of some rows of one patient, at the estimate."""
    fit, Z = imputation.estimate, imputation.arrays.Z[of]
    root = factor(fit.data, fit.theta)
    return Z @ root @ root.T @ Z.T + np.exp(2.0 * fit.theta[fit.data.p]) * np.eye(len(of))


def given_exact(
    imputation: ls.Imputation, patient: int, X: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean and covariance of a patient's other rows given the exact values, and which of the
    imputation they are; with X in place of that of the rows."""
    arrays, rows, fit = imputation.arrays, imputation.rows, imputation.estimate
    of = np.flatnonzero(rows.patient == patient)
    V, beta = covariance(imputation, of), fit.theta[: fit.data.p]
    mean, y = (arrays.X if X is None else X)[of] @ beta, arrays.y[of]
    exact = np.isfinite(y) & (arrays.extent[of] == 0.0)
    weights = V[np.ix_(~exact, exact)] @ np.linalg.inv(V[np.ix_(exact, exact)])
    centre = mean[~exact] + weights @ (y[exact] - mean[exact])
    own = V[np.ix_(~exact, ~exact)] - weights @ V[np.ix_(exact, ~exact)]
    return centre, own, of[~exact]


def within_limits(
    imputation: ls.Imputation, patient: int, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of those rows that obey the limits, and which rows they are."""
    centre, own, of = given_exact(imputation, patient)
    found = np.random.default_rng(1).multivariate_normal(centre, own, draws)
    low, high = (end[of] for end in imputation.arrays.bounds)
    return found[((found >= low) & (found <= high)).all(axis=1)], of


@pytest.mark.parametrize("formula", [FORMULA, "y ~ visit * arm + (visit | id)"])
def test_draws_are_those_of_the_dense_normal_within_the_limits(data, formula):
    model = censored(data, formula)
    imputation = ls.Imputation(model, n=2, visit="visit", treatment="arm")
    fit, conditional = imputation.estimate, imputation.conditional
    rng = np.random.default_rng(3)
    found = conditional.draws(fit.data, [fit.theta] * 1500, rng)
    column = {row: k for k, row in enumerate(conditional.places)}
    both = imputation.rows.limited, imputation.rows.asked
    count = np.array([np.bincount(imputation.rows.patient, each) for each in both])
    patients = np.flatnonzero((count[0] > 0) & (count.sum(axis=0) > 1))[:4]
    assert (count[1][patients] > 0).any(), "some lack a value and have one below the limit"
    for patient in patients:
        expected, of = within_limits(imputation, patient, 120_000)
        assert len(expected) > 4000
        mine = found[:, [column[row] for row in of]]
        error = expected.std(axis=0) * np.sqrt(1 / 1500 + 1 / len(expected))
        assert (np.abs(mine.mean(axis=0) - expected.mean(axis=0)) < 4.5 * error).all()
        np.testing.assert_allclose(mine.std(axis=0), expected.std(axis=0), rtol=0.12)
        near = np.corrcoef(mine.T) - np.corrcoef(expected.T)
        assert np.abs(near).max() < 0.12
        means = conditional.from_estimate(fit)[[column[row] for row in of]]
        exact = expected.std(axis=0) / np.sqrt(len(expected))
        assert (np.abs(means - expected.mean(axis=0)) < 5.0 * exact + 2e-3).all()


def test_without_a_value_known_by_limits_they_are_the_mixed_model_s(data):
    whole = data.assign(y=data["truth"].where(data["y"].notna()), limit="none")
    fit = ls.Imputation(censored(whole), n=2, visit="visit")
    places = fit.conditional.places
    assert not fit.rows.limited.any()
    for patient in np.unique(fit.rows.patient[places]):
        expected, _, of = given_exact(fit, patient)
        mine = fit.conditional.from_estimate(fit.estimate)[np.isin(places, of)]
        np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)


def test_effects_of_sites_are_those_of_the_dense_normal(data):
    """Nothing being known by a limit, the mean given all rows of a site, written out."""
    whole = data.assign(
        y=(data["truth"] + 0.8 * np.sin(data["id"] % 6)).where(data["y"].notna()),
        limit="none", site=data["id"] % 6,
    )  # fmt: skip
    fit = ls.Imputation(censored(whole, f"{FORMULA} + (1 | site)"), n=2, visit="visit")
    arrays, theta, p = fit.arrays, fit.estimate.theta, fit.estimate.data.p
    root = factor(fit.estimate.data, theta)
    frame, D = fit.rows.frame, np.diag(root @ root.T)
    same = [frame[name].to_numpy()[:, None] == frame[name].to_numpy() for name in ("id", "site")]
    V = D[0] * same[0] + D[1] * same[1] + np.exp(2.0 * theta[p]) * np.eye(len(frame))
    asked, mean = fit.rows.asked, arrays.X @ theta[:p]
    rest = (arrays.y - mean)[~asked]
    expected = mean[asked] + V[np.ix_(asked, ~asked)] @ np.linalg.solve(
        V[np.ix_(~asked, ~asked)], rest
    )
    found = fit.conditional.from_estimate(fit.estimate)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    drawn = fit.conditional.draws(fit.estimate.data, [theta] * 60, np.random.default_rng(5))
    own = V[np.ix_(asked, asked)] - V[np.ix_(asked, ~asked)] @ np.linalg.solve(
        V[np.ix_(~asked, ~asked)], V[np.ix_(~asked, asked)]
    )
    sd = np.sqrt(np.diag(own))
    assert (np.abs(drawn.mean(axis=0) - expected) < 4.5 * sd / np.sqrt(60)).all()
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.4)


def test_values_from_the_reference_group_are_the_dense_ones():
    model = censored(trial(3, n=90))
    own, jump, copy = (
        ls.Imputation(model, n=2, visit="visit", method=method, **GROUPS)
        for method in ("mar", "jump_to_reference", "copy_reference")
    )
    X = copy.conditional.reference
    rows, beta = own.rows, own.estimate.theta[: own.estimate.data.p]
    gap = (X - own.arrays.X) @ beta
    at = {name: one.expected()["y"].to_numpy()[rows.at]
          for name, one in (("own", own), ("jump", jump), ("copy", copy))}  # fmt: skip
    new = (rows.frame["arm"] == "new").to_numpy()
    late = rows.asked & rows.after & new
    assert late.any()
    # Whatever is known of the values before, only the mean of what came after has moved.
    np.testing.assert_allclose(at["jump"] - at["own"], np.where(late, gap, 0.0), atol=1e-8)
    limited = np.bincount(rows.patient, rows.limited)
    count = 0
    for patient in np.unique(rows.patient[late]):
        if not limited[patient]:
            expected, _, of = given_exact(copy, patient, X)
            np.testing.assert_allclose(at["copy"][of], expected, rtol=1e-6, atol=1e-8)
            count += 1
    assert count


def test_completed_data_hold_the_limits_and_have_none_left(imputed, data):
    below = (data["limit"] == "left").to_numpy()
    for k, one in enumerate(imputed.completed()):
        assert one["y"].notna().all()
        assert set(one["limit"]) == {"none"}
        assert (one.loc[below, "y"] <= LIMIT).all()
        exact = data["y"].notna().to_numpy() & ~below
        np.testing.assert_array_equal(one.loc[exact, "y"], data.loc[exact, "y"])
        if k == 0:
            LMM(FORMULA, one).fit()
    moved = imputed.with_delta({"new": -3.0})
    lost, new = data["y"].isna().to_numpy(), (data["arm"] == "new").to_numpy()
    gap = next(moved.completed())["y"].to_numpy() - next(imputed.completed())["y"].to_numpy()
    np.testing.assert_allclose(gap, np.where(lost & new, -3.0, 0.0))
    assert f"{below.sum()} values known by a limit only are drawn within it" in imputed.words
    table = imputed.imputed_means
    assert table["beyond_limit"].sum() == below.sum()
    assert (table["seen"] + table["imputed"] + table["beyond_limit"]).sum() == len(data)


def test_above_a_limit_and_between_two(data):
    kind = np.where(
        data["truth"] > 0.5, "right", np.where(data["truth"] < -0.5, "interval", "none")
    )
    lost = data["y"].isna()
    coarse = data.assign(
        limit=np.where(lost, "none", kind),
        y=np.where(lost, np.nan, np.select([kind == "right", kind == "interval"], [0.5, -4.0],
                                           data["truth"])),
        upper=-0.5,
    )  # fmt: skip
    model = censored(coarse, upper="upper")
    imputation = ls.Imputation(model.sample(draws=40, tune=80, chains=1), n=10, visit="visit")
    for one in imputation.completed():
        assert (one.loc[coarse["limit"] == "right", "y"] >= 0.5).all()
        assert one.loc[coarse["limit"] == "interval", "y"].between(-4.0, -0.5).all()


def test_truncated_normals_are_exact_far_out():
    low = np.array([-np.inf, 1.0, -0.3, 6.0, -np.inf, -np.inf])
    high = np.array([-1.0, np.inf, 0.4, 6.5, -8.0, np.inf])
    mean, sigma, share = 0.2, 0.7, np.linspace(0.03, 0.97, 6)
    a, b = (low - mean) / sigma, (high - mean) / sigma
    law = truncnorm(a, b, loc=mean, scale=sigma)
    centre = np.full(6, mean)
    np.testing.assert_allclose(within(centre, sigma, low, high, share), law.ppf(share), rtol=1e-8)
    np.testing.assert_allclose(mean_within(centre, sigma, low, high), law.mean(), rtol=1e-6)
    far = within(np.zeros(1), 1.0, np.array([60.0]), np.array([np.inf]), np.array([0.5]))
    assert far == pytest.approx(60.0)


def test_what_is_not_imputed_is_refused(data):
    whole = data.dropna(subset="y")
    ls.Imputation(censored(whole), n=2)  # values below the limit are enough
    with pytest.raises(DataError, match="nothing to impute"):
        ls.Imputation(censored(whole.assign(y=whole["truth"], limit="none")), n=2)
    with pytest.raises(LongsurvError, match="family 'censored'"):
        ls.Imputation(GLMM(FORMULA, data, family="student"), n=2)
    lost = data.assign(site=data["id"] % 5, y=data["y"].where(data["id"] != 8))
    ls.Imputation(censored(lost), n=2)
    with pytest.raises(LongsurvError, match="random effects of sites, and 1 patient without"):
        ls.Imputation(censored(lost, f"{FORMULA} + (1 | site)"), n=2)


def test_the_jackknife_is_of_expected_values():
    small = trial(5, n=12)

    def analysis(one: pd.DataFrame) -> pd.DataFrame:
        last = one[one["visit"] == 3].groupby("arm", observed=True)["y"].mean()
        gap = [last["new"] - last["old"]]
        return pd.DataFrame({"term": ["gap"], "estimate": gap, "std_error": [1.0]})

    imputation = ls.Imputation(censored(small, "y ~ visit + arm + (1 | id)"), n=2, visit="visit")
    found = imputation.jackknife(analysis).table
    assert found["estimate"].item() == pytest.approx(
        analysis(imputation.expected())["estimate"].item()
    )
    assert found["std_error"].item() > 0.0


@lengths("repeats", 3, 150)
def test_intervals_hold_the_difference_at_the_last_visit(repeats):
    """41 patients, three values in ten below the limit, one in five gone at the last visit."""
    held, below, gaps = 0, [], []
    for k in range(repeats):
        data = trial(500 + k)
        below.append((data["limit"] == "left").mean())
        post = censored(data).sample(draws=100, tune=100, chains=1, seed=k + 1)
        imputation = ls.Imputation(post, n=20, visit="visit", seed=k + 1)

        def analysis(one: pd.DataFrame) -> pd.DataFrame:
            fit = LMM(FORMULA, one).fit()
            return fit.means("arm", {"visit": 3}).contrast("arm").assign(term="gap")

        row = imputation.analyse(analysis).table.iloc[0]
        held += row["conf_low"] <= 0.6 <= row["conf_high"]
        gaps.append(row["estimate"])
    assert 0.22 < np.mean(below) < 0.36
    assert held / repeats > 0.95 - 4.0 * np.sqrt(0.05 * 0.95 / repeats)
    assert abs(np.mean(gaps) - 0.6) < 4.0 * np.std(gaps, ddof=1) / np.sqrt(repeats)
