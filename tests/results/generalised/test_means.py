"""Marginal means of generalised mixed models against emmeans, brute force and simulation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from longsurv.errors import LongsurvError
from longsurv.models import GLMM
from longsurv.results.generalised.quantities import AskedRows, population_means, row_means

FORMULAS = {
    "cbpp": ("disease ~ C(period) + (1 | herd)", "cbpp_bernoulli", "bernoulli"),
    "dic": ("positive ~ time * treated + (1 | patient)", "dic", "bernoulli"),
    "slope": ("positive ~ time * treated + (time | patient)", "dic", "bernoulli"),
    "wine": ("rating ~ temp + contact + (1 | judge)", "wine", "ordinal"),
}
AT = {"time": [0, 2], "treated": [0, 1]}
# R's optimisers leave 1e-6 of an estimate and 2e-5 of a standard error (see test_glmm).
NEAR = {"estimate": {"rtol": 2e-6}, "other": {"rtol": 5e-5, "atol": 1e-6}}


@pytest.fixture(scope="module")
def model(table):
    @cache
    def make(name: str) -> GLMM:
        formula, data, family = FORMULAS[name]
        return GLMM(formula, table(data), family=family, nodes=5 if name == "slope" else None)

    return make


@pytest.fixture(scope="module")
def fitted(model):
    return cache(lambda name: model(name).fit())


@pytest.fixture(scope="module")
def posterior(model):
    return cache(lambda name: model(name).sample(draws=150, tune=150, chains=2))


def labels(table: pd.DataFrame, *columns: str) -> list[str]:
    return list(table[list(columns)].astype(str).agg(" : ".join, axis=1))


def compare(table: pd.DataFrame, keys: list[str], r, columns: dict[str, str]) -> None:
    for ours, theirs in columns.items():
        expected = r(theirs)
        assert set(keys) == set(expected)
        near = NEAR.get(ours, NEAR["other"])
        np.testing.assert_allclose(table[ours], [expected[k] for k in keys], err_msg=ours, **near)


LINK = {
    "estimate": "emmean",
    "std_error": "SE",
    "statistic": "z.ratio",
    "conf_low": "asymp.LCL",
    "conf_high": "asymp.UCL",
}
PROBABILITY = {
    "estimate": "prob",
    "std_error": "SE",
    "conf_low": "asymp.LCL",
    "conf_high": "asymp.UCL",
}


def test_means_by_a_factor_are_those_of_emmeans(fitted, r_results):
    fit = fitted("cbpp")
    m = fit.means("period")
    table = m.tidy()
    compare(
        table, labels(table, "period"), lambda q: r_results("glmm_means", "cbpp", f"link {q}"), LINK
    )
    table = fit.response_means("period", patients="typical").tidy()
    compare(
        table,
        labels(table, "period"),
        lambda q: r_results("glmm_means", "cbpp", f"response {q}"),
        PROBABILITY,
    )
    odds = m.contrast("period", ratio=True)
    keys = [f"period{b} / period{a}" for b, a in odds["period"].str.split(" - ")]
    ratios = {"estimate": "odds.ratio", "conf_low": "asymp.LCL", "conf_high": "asymp.UCL"}
    compare(odds, keys, lambda q: r_results("glmm_means", "cbpp", f"odds {q}"), ratios)
    same = fit.response_means("period", patients="typical").contrast("period", measure="odds_ratio")
    for column in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(same[column], odds[column], rtol=1e-5)


def test_means_at_values_and_differences_of_probabilities_are_those_of_emmeans(fitted, r_results):
    fit = fitted("dic")
    m = fit.means([], at=AT)
    table = m.tidy()
    keys = labels(table, "time", "treated")
    compare(table, keys, lambda q: r_results("glmm_means", "dic", f"link {q}"), LINK)
    typical = fit.response_means([], at=AT, patients="typical")
    compare(
        typical.tidy(), keys, lambda q: r_results("glmm_means", "dic", f"response {q}"), PROBABILITY
    )
    columns = {"estimate": "estimate"} | {k: v for k, v in LINK.items() if k != "estimate"}
    change = m.contrast("time", "treated")
    compare(
        change,
        labels(change, "time", "treated"),
        lambda q: r_results("glmm_means", "dic", f"change {q}"),
        columns,
    )
    risk = typical.contrast("treated")
    keys = [f"treated1 - treated0 : {t}" for t in risk["time"]]
    compare(risk, keys, lambda q: r_results("glmm_means", "dic", f"risk {q}"), columns)
    assert list(risk["quantity"]) == ["P(positive = 1)"] * 2
    assert list(risk["patients"]) == ["typical"] * 2


def test_scores_and_their_probabilities_are_those_of_emmeans(fitted, r_results):
    fit = fitted("wine")
    both = ["temp", "contact"]
    found = {
        "mean": ("mean.class", fit.response_means(both, patients="typical")),
        "above 3": ("exc.prob", fit.response_means(both, patients="typical", at_least=4)),
    }
    for what, (name, m) in found.items():
        table = m.tidy()
        columns = {"estimate": name, "std_error": "SE"}
        compare(
            table,
            labels(table, *both),
            lambda q, what=what: r_results("glmm_means", "wine", f"{what} {q}"),
            columns,
        )
    latent = fit.means("temp").contrast("temp")
    columns = {"estimate": "estimate", "std_error": "SE", "p_value": "p.value"}
    compare(
        latent,
        list(latent["temp"]),
        lambda q: r_results("glmm_means", "wine", f"latent {q}"),
        columns,
    )


def averaged(f, eta: float, sd: float) -> float:
    """The mean of f over a normal predictor, by adaptive integration."""
    value, error = quad(
        lambda z: f(eta + sd * z) * norm.pdf(z), -np.inf, np.inf, epsabs=1e-12, epsrel=1e-12
    )
    assert error < 1e-9
    return value


@pytest.mark.parametrize("name", ["dic", "slope"])
def test_population_averages_are_integrals(fitted, name):
    fit = fitted(name)
    m = fit.response_means([], at=AT)
    table, eta = m.tidy(), fit.means([], at=AT).tidy()["estimate"]
    D = fit.random_cov.to_numpy()
    for row, predictor in zip(table.itertuples(), eta, strict=True):
        z = np.array([1.0, row.time])[: len(D)]
        exact = averaged(expit, predictor, float(np.sqrt(z @ D @ z)))
        assert row.estimate == pytest.approx(exact, rel=1e-7)
    typical = fit.response_means([], at=AT, patients="typical").tidy()["estimate"]
    assert (np.abs(table["estimate"] - 0.5) < np.abs(typical - 0.5)).all()
    odds = m.contrast("treated", measure="odds_ratio").set_index("time")["estimate"]
    p = table.set_index(["time", "treated"])["estimate"]
    for t in (0, 2):
        assert odds[t] == pytest.approx(np.exp(logit(p[t, 1]) - logit(p[t, 0])), rel=1e-9)
    ratio = m.contrast("time", "treated", measure="ratio")["estimate"].item()
    assert ratio == pytest.approx(p[2, 1] / p[0, 1] / (p[2, 0] / p[0, 0]), rel=1e-9)


def test_mean_scores_of_the_population_are_integrals(fitted):
    fit = fitted("wine")
    cuts, sd = fit.params[-4:].to_numpy(), fit.variance.values[0]
    eta = fit.means(["temp", "contact"]).tidy()["estimate"]

    def mean(x: float) -> float:
        return 1.0 + float((1.0 - expit(cuts - x)).sum())

    table = fit.response_means(["temp", "contact"]).tidy()
    expected = [averaged(mean, e, sd) for e in eta]
    np.testing.assert_allclose(table["estimate"], expected, rtol=1e-8)
    assert set(table["quantity"]) == {"mean rating"}


def test_standard_errors_of_population_contrasts_by_simulation(fitted):
    fit = fitted("dic")
    m = fit.response_means([], at=AT)
    rng = np.random.default_rng(3)
    thetas = fit.theta + 0.2 * rng.normal(size=(3000, fit.half.shape[1])) @ fit.half.T
    weights = np.array([1.0, -1.0, -1.0, 1.0])
    drawn = np.array([weights @ m.values(theta) for theta in thetas])
    table = m.contrast("time", "treated")
    assert table["std_error"].item() == pytest.approx(drawn.std() / 0.2, rel=0.05)
    assert table["estimate"].item() == pytest.approx(weights @ m.tidy()["estimate"])


@pytest.mark.parametrize(("name", "options"), [("dic", {}), ("wine", {"at_least": 3})])
def test_posterior_means_are_averages_over_draws(posterior, name, options):
    post = posterior(name)
    by, at = ([], AT) if name == "dic" else (["temp", "contact"], None)
    eta = post.means(by, at).L @ post.coefficients[..., : post.spec.arrays.p].reshape(300, -1).T
    sd = post.samples[next(k for k in post.samples if k.startswith("sd("))].ravel()
    cut = 0.0 if name == "dic" else post.samples["2|3"].ravel()
    typical = post.response_means(by, at, patients="typical", **options).tidy()
    np.testing.assert_allclose(typical["estimate"], expit(eta - cut).mean(axis=1), rtol=1e-9)
    z, w = np.polynomial.hermite_e.hermegauss(80)
    p = expit((eta - cut)[..., None] + sd[:, None] * z) @ (w / w.sum())
    table = post.response_means(by, at, **options).tidy()
    np.testing.assert_allclose(table["estimate"], p.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(table["conf_low"], np.quantile(p, 0.025, axis=1), rtol=1e-5)
    first = post.response_means(by, at, **options)
    along = "treated" if name == "dic" else "contact"
    odds = first.contrast(along, measure="odds_ratio").iloc[0]
    change = logit(p[1]) - logit(p[0])
    assert odds["estimate"] == pytest.approx(np.exp(change.mean()), rel=1e-5)
    assert odds["prob_positive"] == (change > 0).mean()


def test_ratios_of_geometric_means_of_a_censored_marker(table):
    data = table("detection_limit").assign(kind=lambda d: d["censored"].map({0: "none", 1: "left"}))
    formula = "y ~ time * treated + (1 | patient)"
    fit = GLMM(formula, data, family="censored", censored="kind").fit()
    m = fit.means([], at={"time": [0, 3], "treated": [0, 1]})
    change = m.contrast("time", "treated", ratio="log")["estimate"].item()
    assert change == pytest.approx(np.exp(3 * fit.params["time:treated"]))
    # A mean of the marker itself is the same for a typical patient and on average.
    both = [
        fit.response_means([], {"time": [0, 3]}, patients=who) for who in ("typical", "population")
    ]
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(both[0].tidy()[column], both[1].tidy()[column], rtol=1e-6)
    np.testing.assert_allclose(
        both[0].tidy()["std_error"], fit.means([], {"time": [0, 3]}).tidy()["std_error"], rtol=1e-5
    )


def test_an_empty_cell_is_missing(table):
    data = table("wine")
    data = data[~((data["temp"] == "warm") & (data["contact"] == "yes"))]
    fit = GLMM("rating ~ temp * contact + (1 | judge)", data, family="ordinal").fit()
    cells = (
        fit.response_means(["temp", "contact"]).tidy().set_index(["temp", "contact"])["estimate"]
    )
    assert np.isnan(cells["warm", "yes"]) and cells.notna().sum() == 3
    assert fit.means(["temp", "contact"]).tidy()["estimate"].notna().sum() == 3


def test_what_cannot_be_asked(fitted, table):
    with pytest.raises(LongsurvError, match="patients is one of"):
        fitted("dic").response_means([], at=AT, patients="all")
    with pytest.raises(LongsurvError, match="at_least=1 is for an ordinal"):
        fitted("dic").response_means([], at=AT, at_least=1)
    with pytest.raises(LongsurvError, match="has no category '7'"):
        fitted("wine").response_means("temp", at_least=7)
    with pytest.raises(LongsurvError, match="odds are made of probabilities"):
        fitted("wine").response_means("temp").contrast("temp", measure="odds_ratio")
    with pytest.raises(LongsurvError, match="measure is one of"):
        fitted("wine").response_means("temp").contrast("temp", measure="odds")
    words = pd.Categorical.from_codes(table("wine")["rating"] - 1, list("abcde"), ordered=True)
    fit = GLMM(FORMULAS["wine"][0], table("wine").assign(rating=words), family="ordinal").fit()
    with pytest.raises(LongsurvError, match="are not numbers"):
        fit.response_means("temp")
    assert fit.response_means("temp", at_least="d").quantity == "P(rating >= d)"


@pytest.mark.parametrize("name", ["dic", "slope", "wine"])
def test_means_of_many_draws_are_those_of_each(fitted, name: str) -> None:
    data, theta = fitted(name).data, fitted(name).theta
    rng = np.random.default_rng(4)
    thetas = theta + 0.1 * rng.standard_normal((7, len(theta)))
    m = 3
    rows = AskedRows(
        rng.standard_normal((m, data.p)), rng.standard_normal((m, data.q)), np.full(m, -1),
        rng.standard_normal(m),
    )  # fmt: skip
    each = [row_means(data, one, rows, link=False)[0] for one in thetas]
    np.testing.assert_allclose(population_means(data, thetas, rows), each, rtol=1e-12)


@pytest.mark.parametrize("family", ["censored", "student"])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_where_the_mean_is_the_predictor_there_is_one_answer(family, level):
    """Few patients: Student's t of the coefficients is that of means and predictions too."""
    rng, n = np.random.default_rng(3), 14
    data = pd.DataFrame({
        "id": np.repeat(np.arange(n), 3), "t": np.tile([0.0, 1.0, 2.0], n),
        "arm": np.repeat(np.array(["a", "b"])[np.arange(n) % 2], 3),
    })  # fmt: skip
    y = 3.0 + 0.1 * data["t"] + np.repeat(rng.normal(size=n), 3) + 0.5 * rng.normal(size=3 * n)
    data = data.assign(kind=np.where(y < 2.0, "left", "none"), y=y.clip(lower=2.0))
    more = {"censored": "kind"} if family == "censored" else {"df": 6.0}
    fit = GLMM("y ~ t + arm + (1 | id)", data, family=family, **more).fit()
    means, response = fit.means("arm"), fit.response_means("arm")
    shown = ["estimate", "std_error", "df", "conf_low", "conf_high"]
    for one, other, columns in (
        (means.tidy(level), response.tidy(level), shown),
        (means.contrast("arm", level=level), response.contrast("arm", level=level),
         [*shown, "statistic", "p_value"]),
        (fit.predict(level=level), fit.predict(level=level, type="response"),
         [c for c in shown if c != "df"]),
    ):  # fmt: skip
        np.testing.assert_allclose(other[columns], one[columns], rtol=1e-6)
    ratio = response.contrast("arm", measure="ratio", level=level).iloc[0]
    df = means.contrast("arm", level=level)["df"].iloc[0]
    width = np.log(ratio["conf_high"] / ratio["conf_low"]) / (2 * ratio["std_error"])
    assert ratio["df"] == pytest.approx(df, rel=0.2) or np.isinf(df)
    assert width == pytest.approx(stats.t.ppf(0.5 + level / 2, ratio["df"]), rel=1e-6)
    assert np.isinf(df) == (family == "student")
