"""Profile-likelihood intervals against lme4, exact refits in R, and a dense likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import chi2

from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results.mixed.profile import profile_intervals

CUT = chi2.ppf(0.95, 1)


def limits(table: pd.DataFrame, term: str) -> np.ndarray:
    return table.set_index("term").loc[term, ["conf_low", "conf_high"]].to_numpy(float)


def test_coefficients_are_those_of_exact_refits_in_r(fits, table, r_results):
    twoarm = table("twoarm").copy()
    twoarm["phase"] = pd.Categorical(twoarm["phase"], ["baseline", "after"])
    arm = LMM("y ~ phase * group + (1 | patient)", twoarm).fit()
    names = {
        "sleepstudy": {"Intercept": "(Intercept)", "Days": "Days"},
        "twoarm": {
            "Intercept": "(Intercept)",
            "phase[T.after]": "phaseafter",
            "group[T.ivig]": "groupivig",
            "phase[T.after]:group[T.ivig]": "phaseafter:groupivig",
        },
    }
    for model, fit in [("sleepstudy", fits("sleepstudy")), ("twoarm", arm)]:
        low, high = (r_results("lmm_kr", model, f"profile_{side}") for side in ("low", "high"))
        found = profile_intervals(fit)
        for ours, theirs in names[model].items():
            expected = [low[theirs], high[theirs]]
            np.testing.assert_allclose(limits(found, ours), expected, rtol=1e-6)


def test_variances_are_lme4s(fits, r_results):
    """lme4 interpolates: its limits of standard deviations have about four digits."""
    found = profile_intervals(fits("sleepstudy"))
    for ours, theirs in {
        "sigma": "sigma",
        "sd(Intercept|Subject)": "sd_(Intercept)|Subject",
        "sd(Days|Subject)": "sd_Days|Subject",
        "cor(Intercept,Days|Subject)": "cor_Days.(Intercept)|Subject",
    }.items():
        expected = [
            r_results("lmm_kr", "sleepstudy", f"lme4_profile_{s}")[theirs] for s in ("low", "high")
        ]
        np.testing.assert_allclose(limits(found, ours), expected, rtol=1e-4)


def simulated(seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(14), 6)
    t, u = rng.uniform(-1, 1, len(g)), rng.normal(size=len(g))
    D = np.array([[1.0, 0.3, -0.2], [0.3, 0.8, 0.1], [-0.2, 0.1, 0.5]])
    b = rng.multivariate_normal(np.zeros(3), D, 14)
    Z = np.column_stack([np.ones(len(g)), t, u])
    y = 2 + t + (Z * b[g]).sum(axis=1) + 0.5 * rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "t": t, "u": u, "y": y})


class Dense:
    """-2 log-likelihood of ``y ~ t + (effects | g)`` with V written out, natural parameters."""

    def __init__(self, data: pd.DataFrame, effects: list[str]) -> None:
        data = data.sort_values("g").assign(one=1.0)
        self.N = data["g"].nunique()
        self.y = data["y"].to_numpy().reshape(self.N, -1)
        self.X = data[["one", "t"]].to_numpy().reshape(*self.y.shape, 2)
        self.Z = data[effects].to_numpy(float).reshape(*self.y.shape, -1)

    def __call__(self, beta: np.ndarray, sigma: float, sd: np.ndarray, cor: np.ndarray) -> float:
        q, n = len(sd), self.y.shape[1]
        C = np.eye(q)
        C[np.tril_indices(q, -1)] = cor
        C = C + np.tril(C, -1).T
        D = sd[:, None] * C * sd
        V = self.Z @ D @ np.swapaxes(self.Z, 1, 2) + sigma**2 * np.eye(n)
        r = self.y - self.X @ beta
        quad = np.einsum("gi,gi->", r, np.linalg.solve(V, r[..., None])[..., 0])
        return self.y.size * np.log(2 * np.pi) + np.linalg.slogdet(V)[1].sum() + quad


@pytest.mark.parametrize(
    ("formula", "effects", "held"),
    [
        ("y ~ t + (t | g)", ["one", "t"], "sd(t|g)"),
        ("y ~ t + (t | g)", ["one", "t"], "cor(Intercept,t|g)"),
        ("y ~ t + (t | g)", ["one", "t"], "sigma"),
        ("y ~ t + (t | g)", ["one", "t"], "t"),
        ("y ~ t + (t || g)", ["one", "t"], "sd(Intercept|g)"),
    ],
)
def test_deviance_at_a_limit_has_risen_by_the_quantile(formula, effects, held):
    """A separate minimiser of the dense deviance, the held parameter at the limit."""
    data = simulated()
    fit = LMM(formula, data).fit("ML")
    dense = Dense(data, effects)
    names = [*fit.names, *fit.variance.names]
    best = np.concatenate([fit.coefficients, fit.variance.values])
    row = profile_intervals(fit, held).iloc[0]
    assert row["estimate"] == pytest.approx(best[names.index(held)])
    free = [k for k, name in enumerate(names) if name != held]

    def unpack(full: np.ndarray) -> tuple:
        sd = full[3 : 3 + len(effects)]
        cor = full[3 + len(effects) :] if "||" not in formula else np.zeros(1)
        return full[:2], full[2], sd, cor

    for limit in (row["conf_low"], row["conf_high"]):

        def rest(x: np.ndarray, limit: float = limit) -> float:
            full = np.empty(len(names))
            full[free], full[names.index(held)] = x, limit
            bad = (full[2:5] < 0).any() or (len(full) > 5 and abs(full[5]) > 1)
            return 1e9 if bad else dense(*unpack(full))

        found = minimize(
            rest,
            best[free],
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-9, "maxfev": 4000},
        )
        assert found.fun == pytest.approx(-2 * fit.llf + CUT, abs=2e-5)


def test_order_and_scale_of_the_effects_do_not_matter():
    data = simulated()
    one = profile_intervals(LMM("y ~ t + (t + u | g)", data).fit()).set_index("term")
    data = data.assign(u=data["u"] * 100.0)
    other = profile_intervals(LMM("y ~ t + (u + t | g)", data).fit()).set_index("term")
    columns = ["conf_low", "conf_high"]
    for a, b, scale in [
        ("sigma", "sigma", 1), ("sd(t|g)", "sd(t|g)", 1), ("sd(u|g)", "sd(u|g)", 100),
        ("cor(Intercept,u|g)", "cor(Intercept,u|g)", 1), ("cor(t,u|g)", "cor(u,t|g)", 1),
    ]:  # fmt: skip
        np.testing.assert_allclose(
            one.loc[a, columns].to_numpy(float),
            scale * other.loc[b, columns].to_numpy(float),
            rtol=1e-4,
        )


def test_a_variance_of_zero_has_an_interval_from_exactly_zero(fits, table):
    found = profile_intervals(fits("dyestuff2")).set_index("term")
    row = found.loc["sd(Intercept|Batch)"]
    assert row["estimate"] == 0.0 and row["conf_low"] == 0.0
    assert 1.0 < row["conf_high"] < 5.0
    y = table("dyestuff2")["Yield"].to_numpy().reshape(6, 5)
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()
    between = 5 * ((y.mean(axis=1) - y.mean()) ** 2).sum()

    def deviance(sd: float) -> float:
        """Balanced one-way layout: 24 contrasts within batches, 5 between, and the mean."""

        def given(log_variance: float) -> float:
            v = np.exp(log_variance)
            w = v + 5 * sd**2
            return 24 * np.log(v) + 6 * np.log(w) + within / v + between / w

        return minimize_scalar(
            given, bounds=(-5, 10), method="bounded", options={"xatol": 1e-10}
        ).fun

    assert deviance(row["conf_high"]) - deviance(0.0) == pytest.approx(CUT, abs=1e-6)
    # Away from the mean batches seem to differ, so the interval is wider than a plain sample's.
    half = np.sqrt(np.var(y) * (np.exp(CUT / y.size) - 1.0))
    low, high = limits(found.reset_index(), "Intercept")
    assert 0.99 * (y.mean() - half) < low < y.mean() - half < y.mean() + half < high


def test_published_intervals_of_dyestuff(fits):
    """The profile intervals of Bates's book on lme4, section 1.5, to its digits."""
    found = profile_intervals(fits("dyestuff"))
    np.testing.assert_allclose(limits(found, "sd(Intercept|Batch)"), [12.2, 84.06], atol=0.01)
    np.testing.assert_allclose(limits(found, "sigma"), [38.23, 67.66], atol=0.01)
    np.testing.assert_allclose(limits(found, "Intercept"), [1486.45, 1568.55], atol=0.01)


def test_a_contrast_is_a_coefficient_of_another_coding(fits, table):
    data = table("sleepstudy").assign(late=table("sleepstudy")["Days"] - 9)
    moved = profile_intervals(LMM("Reaction ~ late + (late | Subject)", data).fit(), "Intercept")
    contrast = profile_intervals(fits("sleepstudy"), {"Intercept": 1, "Days": 9})
    columns = ["estimate", "conf_low", "conf_high"]
    np.testing.assert_allclose(contrast[columns], moved[columns], rtol=1e-7)


def test_wider_level_gives_wider_intervals_and_names_are_checked(fits):
    fit = fits("sleepstudy")
    narrow, wide = (profile_intervals(fit, "sigma", level).iloc[0] for level in (0.9, 0.99))
    assert wide["conf_low"] < narrow["conf_low"] < narrow["conf_high"] < wide["conf_high"]
    with pytest.raises(LongsurvError, match="no coefficient 'Dayz'"):
        profile_intervals(fit, "Dayz")


@pytest.mark.parametrize("model", ["nested", "autoregressive"])
def test_coefficients_of_structured_models_from_refits_of_a_shifted_response(table, model):
    """At a limit, the model without the column, of y less the limit times the column, is worse by
    the quantile."""
    if model == "nested":
        data, formula, rest = table("sites"), "y ~ time + treated + (1 | site/id)", "treated"
        residual, held = Residual(), "time"
    else:
        data, formula, rest = table("visits"), "y ~ day + arm + (1 | patient)", "arm"
        residual, held = Residual("ar1", "visit"), "day"
    fit = LMM(formula, data, residual).fit("ML")
    row = profile_intervals(LMM(formula, data, residual).fit(), held).iloc[0]
    assert row["estimate"] == pytest.approx(fit.params[held], rel=1e-5)
    random = formula.split(" + (")[1]
    for limit in (row["conf_low"], row["conf_high"]):
        shifted = data.assign(y=data["y"] - limit * data[held])
        other = LMM(f"y ~ {rest} + ({random}", shifted, residual).fit("ML")
        assert 2 * (fit.llf - other.llf) == pytest.approx(CUT, abs=1e-5)
    assert list(profile_intervals(fit)["term"]) == list(fit.names)
    with pytest.raises(LongsurvError, match="only coefficients"):
        profile_intervals(fit, "sigma")
