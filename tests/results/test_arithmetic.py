"""Arithmetic means of a response that is modelled as a logarithm: against emmeans, integrals, a
dense likelihood, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lengths import lengths
from scipy.stats import chi2, norm, t

import longsurv as ls
from longsurv import Residual
from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, Linear

LIMITS = ["conf_low", "conf_high"]


def simulated(seed: int, n: int = 41, sds: tuple[float, float] = (0.4, 0.8)) -> pd.DataFrame:
    """Three visits of two arms, whose values vary differently about the patient's own level."""
    rng = np.random.default_rng(seed)
    patient, arm = np.repeat(np.arange(n), 3), np.arange(n) % 2
    week = np.tile([0.0, 1.0, 2.0], n)
    sd = np.array(sds)[arm[patient]]
    y = 1.0 + 0.3 * arm[patient] + 0.1 * week + rng.normal(0, 0.7, n)[patient]
    y += sd * rng.normal(size=len(y))
    group = np.array(["a", "b"])[arm[patient]]
    return pd.DataFrame(
        {"id": patient, "arm": group, "week": week, "crp": np.exp(y), "limit": "none"}
    )


@pytest.fixture(scope="module")
def data():
    return simulated(4)


@pytest.fixture(scope="module")
def by_arm(data):
    return LMM("log(crp) ~ arm * week + (1 | id)", data, residual=Residual(by="arm")).fit()


def test_they_are_the_integrals_that_emmeans_has_two_terms_of(table, r_results):
    bili = table("pbc")
    first = bili[bili["year"] == 0.0]
    mixed = LMM("log(bili) ~ drug * year + (1 | id)", bili).fit(df="normal")
    linear = Linear("log2(bili) ~ drug", first, "id").fit()
    found = {
        "mixed": mixed.response_means("drug", {"year": 2.0}),
        "typical": mixed.response_means("drug", {"year": 2.0}, patients="typical"),
        "linear": linear.response_means("drug"),
    }
    for name, means in found.items():
        base = np.log(2.0) if name == "linear" else 1.0
        logs, drugs = means.logs, list(means.means.cells["drug"])
        r = {q: r_results("arithmetic_means", name, q) for q in ("taylor", "geometric", "integral")}
        geometric = means.means.tidy(ratio=True)["estimate"]
        v = base**2 * logs.spread.variance
        np.testing.assert_allclose(
            logs.spread.variance, r_results("arithmetic_means", name, "variance")[""], rtol=2e-6
        )
        np.testing.assert_allclose(geometric, [r["geometric"][d] for d in drugs], rtol=2e-6)
        np.testing.assert_allclose(
            geometric * (1.0 + v / 2.0), [r["taylor"][d] for d in drugs], rtol=2e-6
        )
        table_ = means.tidy()
        np.testing.assert_allclose(table_["estimate"], [r["integral"][d] for d in drugs], rtol=2e-6)
        assert set(table_["quantity"]) == {"mean bili"}


def dense_information(fit, data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(tau^2, sigma_a^2, sigma_b^2) and the information of them in the restricted likelihood, by
    differences of a dense computation."""
    X, y = fit.design.fixed.X, np.log(data["crp"].to_numpy())
    same = data["id"].to_numpy()[:, None] == data["id"].to_numpy()
    b = (data["arm"] == "b").to_numpy()

    def criterion(x: np.ndarray) -> float:
        V = x[0] * same + np.diag(np.where(b, x[2], x[1]))
        W = np.linalg.inv(V)
        A = X.T @ W @ X
        r = y - X @ np.linalg.solve(A, X.T @ W @ y)
        return -0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1] + r @ W @ r)

    sd = fit.variance_table().set_index("term")["estimate"]
    x = np.array([sd["sd(Intercept|id)"], sd["sigma(a)"], sd["sigma(b)"]]) ** 2
    H, h = np.empty((3, 3)), 1e-3 * x
    for i in range(3):
        for j in range(3):
            e, f = h[i] * np.eye(3)[i], h[j] * np.eye(3)[j]
            H[i, j] = (
                criterion(x + e + f)
                - criterion(x + e - f)
                - criterion(x - e + f)
                + criterion(x - e - f)
            ) / (4.0 * h[i] * h[j])
    return x, -H


def test_the_uncertainty_of_the_variances_is_that_of_a_dense_likelihood(by_arm, data):
    x, information = dense_information(by_arm, data)
    cov = np.linalg.inv(information)
    slopes = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    means = by_arm.response_means("arm", {"week": 1.0})
    np.testing.assert_allclose(means.logs.spread.variance, slopes @ x, rtol=1e-6)
    own = means.means.tidy()
    se = np.sqrt(own["std_error"] ** 2 + 0.25 * np.diag(slopes @ cov @ slopes.T))
    np.testing.assert_allclose(means.tidy()["std_error"], se, rtol=1e-5)
    np.testing.assert_allclose(
        np.log(means.tidy()["estimate"]), own["estimate"] + 0.5 * slopes @ x, rtol=1e-6
    )
    apart = np.array([0.0, -1.0, 1.0])
    ratio, logs = means.contrast("arm"), means.means.contrast("arm")
    np.testing.assert_allclose(
        np.log(ratio["estimate"]), logs["estimate"] + 0.5 * apart @ x, rtol=1e-5
    )
    np.testing.assert_allclose(
        ratio["std_error"], np.sqrt(logs["std_error"] ** 2 + 0.25 * apart @ cov @ apart), rtol=1e-5
    )
    # Of a patient with b = 0 only the residual varies.
    typical = by_arm.response_means("arm", {"week": 1.0}, patients="typical")
    np.testing.assert_allclose(typical.logs.spread.variance, x[1:], rtol=1e-6)
    np.testing.assert_allclose(
        typical.tidy()["std_error"],
        np.sqrt(own["std_error"] ** 2 + 0.25 * np.diag(cov)[1:]),
        rtol=1e-5,
    )


def test_differences_are_by_the_delta_method(by_arm):
    means = by_arm.response_means("arm", {"week": 1.0})
    table, found = means.tidy(), means.contrast("arm", measure="difference").iloc[0]
    a, b = table["estimate"]
    assert found["estimate"] == pytest.approx(b - a, rel=1e-12)
    step, logs = 1e-4, means.logs
    # Derivatives in every independent direction, by differences of the exact means.
    root = np.linalg.cholesky(by_arm.cov_params().to_numpy())

    def gap(beta: np.ndarray, variance: np.ndarray) -> float:
        low, high = np.exp(means.means.L @ beta + variance / 2.0)
        return float(high - low)

    beta, v = by_arm.coefficients, logs.spread.variance
    slopes = [(gap(beta + step * d, v) - gap(beta - step * d, v)) / (2 * step) for d in root.T]
    slopes += [
        (gap(beta, v + step * d) - gap(beta, v - step * d)) / (2 * step)
        for d in logs.spread.slopes.T
    ]
    assert found["std_error"] == pytest.approx(np.linalg.norm(slopes), rel=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_limits_of_a_linear_model_are_the_closed_form(data, level):
    first = data[data["week"] == 0.0]
    fit = Linear("log(crp) ~ 1", first, "id").fit()
    found = fit.response_means([]).tidy(level).iloc[0]
    y = np.log(first["crp"])
    n, m, s2 = len(y), y.mean(), y.var(ddof=1)
    share = 0.5 + level / 2.0
    own = t.ppf(share, n - 1) * np.sqrt(s2 / n)
    low = np.hypot(own, s2 / 2 * (1 - (n - 1) / chi2.ppf(share, n - 1)))
    high = np.hypot(own, s2 / 2 * ((n - 1) / chi2.ppf(1 - share, n - 1) - 1))
    expected = np.exp([m + s2 / 2 - low, m + s2 / 2, m + s2 / 2 + high])
    np.testing.assert_allclose(found[["conf_low", "estimate", "conf_high"]].astype(float), expected)
    cox = np.sqrt(s2 / n + s2**2 / (2 * (n - 1)))
    assert found["std_error"] == pytest.approx(cox)


def test_with_one_spread_ratios_are_those_of_geometric_means(data):
    fit = LMM("log(crp) ~ arm * week + (1 | id)", data).fit()
    means = fit.response_means("arm", {"week": [0.0, 2.0]})
    columns = ["estimate", "std_error", "statistic", "df", "p_value", *LIMITS]
    np.testing.assert_allclose(
        means.contrast("arm")[columns],
        means.means.contrast("arm", ratio=True)[columns],
        rtol=1e-9,
    )
    # Along several variables: the ratio of ratios.
    np.testing.assert_allclose(
        means.contrast("arm", "week")[columns],
        means.means.contrast("arm", "week", ratio=True)[columns],
        rtol=1e-9,
    )


def test_the_variance_is_that_of_the_time_asked_for(data):
    fit = LMM("log(crp) ~ arm * week + (week | id)", data).fit("ML")
    D, s2 = fit.random_cov.to_numpy(), fit.sigma**2
    for week in (0.0, 1.5):
        z = np.array([1.0, week])
        found = fit.response_means("arm", {"week": week}).logs.spread.variance
        np.testing.assert_allclose(found, z @ D @ z + s2, rtol=1e-9)


def test_of_visits_and_sites(data):
    visits = data.assign(nr=data["week"].astype(int), site=data["id"] % 5)
    spread = Residual("unstructured", "nr", "id")
    fit = LMM("log(crp) ~ arm * C(nr)", visits, residual=spread).fit()
    own = fit.visit_cov.to_numpy()
    found = fit.response_means("arm", {"nr": [0, 2]})
    np.testing.assert_allclose(found.logs.spread.variance, np.tile(np.diag(own)[[0, 2]], 2))
    assert np.isfinite(found.tidy()[["std_error", *LIMITS]].to_numpy()).all()
    sites = LMM("log(crp) ~ arm + (1 | site/id)", visits).fit()
    total = (sites.variance_table()["estimate"] ** 2).sum()
    np.testing.assert_allclose(sites.response_means("arm").logs.spread.variance, total)
    with pytest.raises(LongsurvError, match=r"by 'nr' in this model"):
        LMM("log(crp) ~ arm * week", visits, residual=spread).fit().response_means("arm")


def test_a_variance_of_nothing_counts_as_known():
    rng = np.random.default_rng(8)
    data = simulated(8)
    y = np.concatenate([rng.permutation([-1.0, 0.0, 1.0]) for _ in range(41)])
    data["crp"] = np.exp(y + 0.01 * rng.normal(size=len(y)))
    fit = LMM("log(crp) ~ arm + (1 | id)", data).fit()
    assert fit.random_cov.to_numpy()[0, 0] == 0.0
    found = fit.response_means("arm")
    n, s2 = len(data), fit.sigma**2
    np.testing.assert_allclose(found.logs.spread.variance, s2)
    np.testing.assert_allclose(
        np.linalg.norm(found.logs.spread.slopes, axis=1), s2 * np.sqrt(2.0 / (n - 2)), rtol=1e-6
    )


def test_both_rooms_of_mixed_models_agree(data):
    """Nothing being censored, the censored model is the mixed one by maximum likelihood."""
    formula, at = "log(crp) ~ arm * week + (1 | id)", {"week": 1.0}
    mixed = LMM(formula, data).fit("ML").response_means("arm", at)
    other = GLMM(formula, data, family="censored", censored="limit").fit()
    for patients in ("population", "typical"):
        mixed = LMM(formula, data).fit("ML").response_means("arm", at, patients=patients)
        censored = other.response_means("arm", at, patients=patients)
        mine, theirs = mixed.tidy(), censored.tidy()
        assert list(theirs["quantity"]) == ["mean crp"] * 2
        np.testing.assert_allclose(mine["estimate"], theirs["estimate"], rtol=1e-5)
        np.testing.assert_allclose(mine["std_error"], theirs["std_error"], rtol=1e-3)
        for measure, rtol, scale in (("ratio", 1e-3, np.log), ("difference", 2e-3, np.array)):
            a, b = (m.contrast("arm", measure=measure) for m in (mixed, censored))
            np.testing.assert_allclose(a["estimate"], b["estimate"], rtol=rtol)
            # The censored one has Student's t where that of maximum likelihood is normal.
            wide = t.ppf(0.975, b["df"]) / norm.ppf(0.975)
            widths = [np.diff(scale(m[LIMITS].to_numpy())).ravel() for m in (a, b)]
            np.testing.assert_allclose(widths[0] * wide, widths[1], rtol=rtol)
            assert (wide > 1.0).all()
    kept = other.response_means("arm", at, logarithm=False).tidy()
    assert list(kept["quantity"]) == ["mean log(crp)"] * 2
    np.testing.assert_allclose(kept["estimate"], other.means("arm", at).tidy()["estimate"])


def test_posteriors_are_of_every_draw(data):
    spec = LMM("log(crp) ~ arm * week + (1 | id)", data, residual=Residual(by="arm"))
    post = spec.sample(draws=60, tune=100, chains=2)
    means = post.response_means("arm", {"week": 2.0})
    s = post.samples
    slope = s["week"] + s["arm[T.b]:week"]
    b = s["Intercept"] + s["arm[T.b]"] + 2.0 * slope
    logs = b + 0.5 * (s["sd(Intercept|id)"] ** 2 + s["sigma(b)"] ** 2)
    row = means.tidy(0.9).iloc[1]
    assert row["estimate"] == pytest.approx(np.exp(logs.mean()))
    assert row["std_error"] == pytest.approx(logs.std(ddof=1))
    np.testing.assert_allclose(row[LIMITS].astype(float), np.exp(np.quantile(logs, [0.05, 0.95])))
    typical = post.response_means("arm", {"week": 2.0}, patients="typical").tidy().iloc[1]
    assert typical["estimate"] == pytest.approx(np.exp((b + 0.5 * s["sigma(b)"] ** 2).mean()))
    with pytest.raises(LongsurvError, match="too heavy"):
        means.contrast("arm", measure="difference")
    first = data[data["week"] == 0.0]
    alone = Linear("log10(crp) ~ arm", first, "id").sample(draws=200)
    base, s = np.log(10.0), alone.samples
    logs = base * (s["Intercept"] + 0.5 * base * s["sigma"] ** 2)
    found = alone.response_means("arm").tidy()
    assert found["estimate"].iloc[0] == pytest.approx(np.exp(logs.mean()))


def test_posteriors_of_a_censored_response(data):
    below = data.assign(
        crp=data["crp"].clip(lower=2.0), limit=np.where(data["crp"] < 2.0, "left", "none")
    )
    spec = GLMM("log(crp) ~ arm + (1 | id)", below, family="censored", censored="limit")
    post = spec.sample(draws=60, tune=100, chains=2)
    s = post.samples
    logs = s["Intercept"] + 0.5 * (s["sigma"] ** 2 + s["sd(Intercept|id)"] ** 2)
    found = post.response_means("arm").tidy()
    assert found["estimate"].iloc[0] == pytest.approx(np.exp(logs.mean()))


def test_of_values_already_transformed():
    cohort = ls.read_cohort(ls.example_path("pbc") / "study.toml")
    rows = cohort.marker_data("bili")
    fit = LMM("y ~ drug * year + (1 | id)", rows).fit(df="normal")
    found = fit.response_means("drug", {"year": 0.0}, logarithm="log")
    assert set(found.tidy()["quantity"]) == {"mean exp(y)"}
    written = rows.assign(bili=np.exp(rows["y"]))
    again = LMM("log(bili) ~ drug * year + (1 | id)", written).fit(df="normal")
    np.testing.assert_allclose(
        found.tidy()[["estimate", *LIMITS]],
        again.response_means("drug", {"year": 0.0}).tidy()[["estimate", *LIMITS]],
        rtol=1e-6,
    )
    with pytest.raises(LongsurvError, match="name it: 'log'"):
        fit.response_means("drug", {"year": 0.0})


def test_what_has_no_arithmetic_mean_is_refused(by_arm, data):
    with pytest.raises(LongsurvError, match="logarithms to the base of log"):
        by_arm.response_means("arm", {"week": 1.0}, logarithm="log2")
    with pytest.raises(LongsurvError, match="logarithms to the base of log"):
        by_arm.means("arm", {"week": 1.0}).tidy(ratio="log10")
    heavy = GLMM("log(crp) ~ arm + (1 | id)", data, family="student").fit()
    with pytest.raises(LongsurvError, match="tails are too heavy"):
        heavy.response_means("arm")
    counts = data.assign(n=np.arange(len(data)) % 4)
    fit = GLMM("n ~ arm + (1 | id)", counts, family="poisson").fit()
    with pytest.raises(LongsurvError, match="is for a measurement"):
        fit.response_means("arm", logarithm="log2")
    with pytest.raises(LongsurvError, match="coefficients of this family"):
        fit.means("arm").tidy(ratio="log2")


def test_where_the_variances_are_not_determined_there_is_no_mean(data):
    first = data[data["week"] == 0.0]
    fit = LMM("log(crp) ~ arm + (1 | id)", first).fit()
    found = fit.response_means("arm").tidy()
    assert found[["estimate", "std_error", *LIMITS]].isna().all(axis=None)
    # A combination that no patient is in has none either.
    crossed = data.assign(sex=np.where(data["arm"] == "a", "f", np.where(data["id"] % 4, "m", "f")))
    fit = LMM("log(crp) ~ arm * sex + (1 | id)", crossed).fit()
    found = fit.response_means(["arm", "sex"]).tidy().set_index(["arm", "sex"])
    assert np.isnan(found.loc[("a", "m"), "estimate"])
    assert np.isfinite(found.loc[("b", "m"), "estimate"])


@lengths("repeats", 60, 1000)
def test_intervals_hold_the_arithmetic_mean(repeats):
    """41 patients of two arms whose residuals spread differently: the mean of arm b at the first
    visit, on either side, and the ratio of the arms."""
    logs = np.array([1.0, 1.3]) + 0.5 * (0.7**2 + np.array([0.4, 0.8]) ** 2)
    truth, ratio = np.exp(logs), np.exp(logs[1] - logs[0])
    below, above, missed = np.zeros(2), np.zeros(2), 0
    for k in range(repeats):
        data = simulated(1000 + k)
        fit = LMM("log(crp) ~ arm * week + (1 | id)", data, residual=Residual(by="arm")).fit()
        means = fit.response_means("arm", {"week": 0.0})
        table, gap = means.tidy(), means.contrast("arm").iloc[0]
        below += table["conf_low"].to_numpy() > truth
        above += table["conf_high"].to_numpy() < truth
        missed += not gap["conf_low"] <= ratio <= gap["conf_high"]
    near = 4.0 * np.sqrt(0.05 * 0.95 / repeats)
    assert np.abs((below + above) / repeats - 0.05).max() < near
    assert abs(missed / repeats - 0.05) < near
    one_side = 4.0 * np.sqrt(0.025 * 0.975 / repeats)
    assert np.abs(below / repeats - 0.025).max() < one_side
    assert np.abs(above / repeats - 0.025).max() < one_side
