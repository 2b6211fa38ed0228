"""What the data of a generalised mixed model do not determine has no number, and says why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.models import GLMM

CENSORED = {"family": "censored", "censored": "kind", "nodes": 3}


def rows(patients: int, visits: int, seed: int = 1) -> pd.DataFrame:
    """Patients at the same visits, with a normal, a binary and an ordinal response."""
    rng = np.random.default_rng(seed)
    ids, t = np.repeat(np.arange(patients), visits), np.tile(np.arange(float(visits)), patients)
    x = rng.normal(size=len(ids))
    y = 1.0 + 0.3 * t + 0.5 * x + rng.normal(size=patients)[ids] + rng.normal(size=len(ids))
    data = pd.DataFrame({"id": ids, "t": t, "x": x, "y": y, "kind": "none"})
    return data.assign(b=(y > 1.0).astype(int), o=np.searchsorted([0.5, 2.0], y))


def least_squares(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors by maximum likelihood."""
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    variance = np.mean((y - X @ beta) ** 2)
    return beta, np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * variance)


def check_said(fit, *names: str) -> None:
    """Those parameters have no number, and whoever looks at the result sees it."""
    table = fit.tidy(component="all").set_index("term")
    assert set(table.index[table["estimate"].isna()]) == set(names)
    assert table.loc[list(names)].isna().all(axis=None)
    assert not fit.converged and not fit.diagnose().ok
    (flag,) = (f for f in fit.flags if f.startswith("Not determined by the data"))
    assert all(name in flag and name in fit.optimum.status for name in names)
    assert flag in repr(fit) and flag in fit.diagnose().words


@pytest.mark.parametrize(
    ("options", "family"),
    [(CENSORED, []), ({"family": "student", "nodes": 3}, ["nu"])],
    ids=["censored", "student"],
)
def test_one_row_a_patient_has_a_mean_and_no_separate_variances(options, family):
    data = rows(60, 1)
    fit = GLMM("y ~ x + (1 | id)", data, **options).fit()
    check_said(fit, "sigma", "sd(Intercept|id)", *family)
    # How much of a deviation is the patient's is not known either.
    assert fit.ranef()[["estimate", "std_error"]].isna().all(axis=None)
    assert fit.predict(by_patient=True)["estimate"].isna().all()
    assert fit.random_cov.isna().all(axis=None)
    assert fit.predict()["std_error"].gt(0).all()
    if not family:
        beta, se = least_squares(np.column_stack([np.ones(60), data["x"]]), data["y"].to_numpy())
        np.testing.assert_allclose(fit.params, beta, rtol=1e-6)
        np.testing.assert_allclose(fit.bse, se, rtol=1e-5)


def test_two_visits_at_the_same_times_have_no_random_slope_but_differing_gaps_have():
    data = rows(60, 2)
    fit = GLMM("y ~ t + (t | id)", data, **CENSORED).fit()
    check_said(fit, "sigma", "sd(Intercept|id)", "sd(t|id)", "cor(Intercept,t|id)")
    # Each visit's mean is known as well as if the other did not exist.
    means = data.groupby("t")["y"]
    at = fit.predict(pd.DataFrame({"t": [0.0, 1.0]}))
    np.testing.assert_allclose(at["estimate"], means.mean(), rtol=1e-6)
    np.testing.assert_allclose(at["std_error"], means.std(ddof=0) / np.sqrt(60), rtol=1e-4)
    gaps = data.assign(t=lambda d: d["t"] * (1 + d["id"] % 3))
    assert "sigma" not in GLMM("y ~ t + (t | id)", gaps, **CENSORED).fit().undetermined
    assert not np.isnan(GLMM("y ~ t + (t | id)", gaps, **CENSORED).fit().variance.values).any()


def test_a_random_effect_for_each_visit_leaves_no_residual():
    fit = GLMM("y ~ C(t) + (C(t) | id)", rows(40, 3), **CENSORED).fit()
    assert not fit.undetermined
    check_said(fit, *fit.variance.names)
    means = rows(40, 3).groupby("t")["y"].mean()
    assert fit.params["C(t)[T.2]"] == pytest.approx(means[2.0] - means[0.0], rel=1e-6)


@pytest.mark.parametrize("response", ["b", "o"])
@pytest.mark.parametrize(
    ("visits", "formula"),
    [(1, "x + (1 | id)"), (2, "t + (t | id)"), (3, "C(t) + (C(t) | id)")],
)
def test_without_the_spread_a_logit_model_has_no_coefficient(response, visits, formula):
    family = "bernoulli" if response == "b" else "ordinal"
    spec = GLMM(f"{response} ~ {formula}", rows(40, visits), family=family)
    with pytest.raises(EstimationError, match=r"determines none.*sd\(Intercept\|id\)"):
        spec.fit()


@pytest.mark.parametrize("shift", [0.0, 2015.0])
@pytest.mark.parametrize("response", ["y", "b", "o"])
def test_one_patient_in_each_arm_tells_nothing_of_the_arms(response, shift):
    data = rows(2, 12, seed=5).assign(arm=lambda d: d["id"], t=lambda d: d["t"] + shift)
    options = {"y": CENSORED, "b": {}, "o": {"family": "ordinal"}}[response]
    fit = GLMM(f"{response} ~ arm + t + (1 | id)", data, **options).fit()
    levels = {"y": ["Intercept"], "b": ["Intercept"], "o": ["0|1", "1|2"]}[response]
    check_said(fit, "arm", "sd(Intercept|id)", *levels)
    assert fit.bse["t"] > 0
    if response == "y":
        X = np.column_stack([data["arm"] == 0, data["arm"], data["t"] - shift])
        beta, se = least_squares(X, data["y"].to_numpy())
        assert (fit.params["t"], fit.bse["t"]) == pytest.approx((beta[2], se[2]), rel=1e-5)
    new = pd.DataFrame({"arm": [0, 1], "t": [shift, shift]})
    assert fit.predict(new, type="response")[["estimate", "conf_low"]].isna().all(axis=None)
    at = fit.means([], at={"arm": [0, 1], "t": [shift, shift + 1]})
    if response != "o":  # without its thresholds an ordinal predictor has no level
        assert fit.predict(new)[["estimate", "conf_low"]].isna().all(axis=None)
        assert at.tidy()["estimate"].isna().all()
    assert at.contrast("arm")["estimate"].isna().all()
    assert at.contrast("t")["estimate"].notna().all()
    if response == "b":
        shown = fit.response_means([], at={"arm": [0, 1], "t": [shift]}).tidy()
        assert shown["estimate"].isna().all()
    # Two in each arm do.
    more = pd.concat([data, data.assign(id=data["id"] + 2, x=-data["x"])])
    more[response] = more[response].sample(frac=1.0, random_state=2).to_numpy()
    assert not GLMM(f"{response} ~ arm + t + (1 | id)", more, **options).fit().undetermined


@pytest.fixture(scope="module")
def below() -> pd.DataFrame:
    """Treated patients have never had a value above the limit."""
    data = rows(30, 4).assign(arm=lambda d: d["id"] % 2)
    low = (data["y"] < 0.5) | (data["arm"] == 1)
    return data.assign(y=data["y"].where(~low, 0.5), kind=np.where(low, "left", "none"))


def test_intervals_alone_hold_every_coefficient():
    """Values rounded down to whole numbers, as grouped data: near the values' own fit."""
    data = rows(60, 5)
    whole = data.assign(y=np.floor(data["y"]), u=np.floor(data["y"]) + 1.0, kind="interval")
    ours = GLMM("y ~ t + x + (1 | id)", whole, **CENSORED, upper="u").fit()
    known = GLMM("y ~ t + x + (1 | id)", data, **CENSORED).fit()
    assert ours.converged and not ours.undetermined
    assert (abs(ours.params - known.params) < known.bse).all()
    assert (ours.bse > known.bse).all()
    assert "300 of 300 values are between their two limits and enter as such." in ours.flags


class TestGroupWhollyBelowItsLimit:
    @pytest.mark.parametrize("shift", [0.0, 2015.0])
    def test_is_named(self, below, shift):
        data = below.assign(t=below["t"] + shift)
        with pytest.raises(EstimationError, match=r"would hold arm: for .* beyond its limit"):
            GLMM("y ~ arm + t + (1 | id)", data, **CENSORED).fit()
        with pytest.raises(EstimationError, match="would hold arm, arm:t"):
            GLMM("y ~ arm * t + (1 | id)", data, **CENSORED).fit()

    def test_one_measured_value_is_enough(self, below):
        one = below.index[below["arm"] == 1][0]
        data = below.assign(kind=below["kind"].where(below.index != one, "none"))
        fit = GLMM("y ~ arm + t + (1 | id)", data, **CENSORED).fit()
        assert fit.converged and fit.bse["arm"] < 5.0

    def test_its_posterior_says_how_much_is_prior(self, below):
        post = GLMM("y ~ arm + t + (1 | id)", below, **CENSORED).sample(draws=80, tune=80, chains=2)
        (flag,) = (f for f in post.flags if "the prior's doing" in f)
        prior = post.priors["arm"]
        share = 100 * post.samples["arm"].var() / prior.sd**2
        assert f"arm {share:.0f} % ({prior})" in flag
        assert flag in repr(post) and flag in post.diagnose().words


def test_a_response_without_variation():
    data = rows(10, 4)
    for family in ({"family": "student"}, CENSORED):
        with pytest.raises(EstimationError, match="3 in every row"):
            GLMM("y ~ t + (1 | id)", data.assign(y=3.0), **family).fit()
        with pytest.raises(EstimationError, match="no residual variance"):
            GLMM("y ~ t + (1 | id)", data.assign(y=1.0 * data["id"] + data["t"]), **family).fit()
    with pytest.raises(EstimationError, match="no variance is left over"):
        low = data["t"] > 1
        some = data.assign(y=np.where(low, 5.0, 3.0), kind=np.where(low, "left", "none"))
        GLMM("y ~ t + (1 | id)", some, **CENSORED).fit()
    with pytest.raises(EstimationError, match="pass through every interval"):
        within = data.assign(y=data["t"] - 0.5 + 0.1 * data["x"].clip(-1, 1), u=data["t"] + 0.7)
        GLMM("y ~ t + (1 | id)", within.assign(kind="interval"), **CENSORED, upper="u").fit()
    with pytest.raises(DataError, match="every value of 'y' is censored"):
        GLMM("y ~ t + (1 | id)", data.assign(kind="left"), **CENSORED).fit()
    with pytest.raises(DataError, match="one category only"):
        GLMM("y ~ t + (1 | id)", data.assign(y=3), family="ordinal").fit()


@pytest.mark.parametrize("random", ["t || id", "0 + t | id"])
def test_an_origin_that_matters_and_is_far_away_is_said(random):
    data = rows(30, 4).assign(y=lambda d: d["y"] + np.sin(7.0 * d["id"]) * d["t"])
    near, far, years = (
        GLMM(f"y ~ t + ({term})", data.assign(t=data["t"] + shift), **CENSORED).fit()
        for term, shift in ((random, 0.0), (random, 2015.0), ("t | id", 2015.0))
    )
    assert any("depends on where t is 0" in flag for flag in far.flags)
    assert not any("depends on where t is 0" in flag for flag in (*near.flags, *years.flags))
    assert far.llf != pytest.approx(near.llf, abs=1e-3)


def test_a_patient_the_model_has_not_seen_is_named_with_its_column():
    fit = GLMM("y ~ t + (1 | id)", rows(10, 4), **CENSORED).fit()
    with pytest.raises(LongsurvError, match=r"has not seen id \['77'\]"):
        fit.predict(pd.DataFrame({"t": [1.0], "id": [77]}), by_patient=True)
