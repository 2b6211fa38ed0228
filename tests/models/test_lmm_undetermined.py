"""What the data of a mixed model do not determine has no number, and says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import EstimationError
from longsurv.models import LMM
from longsurv.results.mixed.estimate import MixedEstimate


def trial(seed: int, patients: int = 20, visits: int = 4) -> pd.DataFrame:
    """Two sites of ten patients, which have a treatment each; visits at 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    id_ = np.repeat(np.arange(patients), visits)
    t, site = np.tile(np.arange(float(visits)), patients), id_ // (patients // 2)
    y = rng.normal(size=patients)[id_] + 0.3 * t + rng.normal(size=len(id_))
    return pd.DataFrame({"y": y, "id": id_, "site": site, "arm": site.astype(float), "t": t})


def refused(fit: MixedEstimate, coefficients: tuple[str, ...], variances: tuple[str, ...]) -> None:
    """These have no number anywhere, whoever prints the fit sees it, and all agree that it is not
    to be relied on."""
    assert fit.undetermined == coefficients
    assert fit.variance.undetermined == variances
    assert not fit.converged and not fit.diagnose().ok
    table = fit.tidy(component="all").set_index("term")
    assert table.loc[[*coefficients, *variances]].isna().all(axis=None)
    kept = [name for name in table.index if name not in (*coefficients, *variances)]
    assert table.loc[kept, "estimate"].notna().all()
    for name in (*coefficients, *variances):
        assert any(name in flag for flag in fit.flags)
    assert all(flag in repr(fit) for flag in fit.flags)


METHODS = [("REML", "kenward-roger"), ("REML", "satterthwaite"), ("ML", "normal")]


@pytest.mark.parametrize(("method", "df"), METHODS)
def test_one_centre_per_treatment(method, df):
    """The centres' variance is in no contrast; the course within patients does not know of it."""
    fit = LMM("y ~ arm + t + (1 | site/id)", trial(0)).fit(method, df)
    refused(fit, ("Intercept", "arm"), ("sd(Intercept|site)",))
    right = LMM("y ~ arm + t + (1 | id)", trial(0)).fit(method, df).tidy().set_index("term")
    found = fit.tidy().set_index("term")
    for column in ("estimate", "std_error", "df", "p_value"):
        assert found.loc["t", column] == pytest.approx(right.loc["t", column], rel=1e-5)


def test_one_patient_an_arm():
    data = trial(1)
    fit = LMM("y ~ t * arm + (1 | id)", data[data["id"].isin([0, 10])]).fit()
    refused(fit, ("Intercept", "arm"), ("sd(Intercept|id)",))


@pytest.mark.parametrize("seed", range(8))
def test_one_row_a_patient(seed):
    """The mean and its standard error are those of a mean; how it divides is not determined."""
    data = trial(seed)
    data = data[data["t"] == 0]
    fit = LMM("y ~ 1 + (1 | id)", data).fit()
    refused(fit, (), ("sigma", "sd(Intercept|id)"))
    row = fit.tidy().iloc[0]
    assert row["estimate"] == pytest.approx(data["y"].mean(), rel=1e-8)
    assert row["std_error"] == pytest.approx(data["y"].std() / np.sqrt(20), rel=1e-6)
    assert row["df"] == pytest.approx(19.0, rel=1e-6)


def test_a_slope_from_the_same_two_visits_of_all():
    """Three moments for four parameters; the change is a paired t test all the same."""
    data = trial(2)
    data = data[data["t"] < 2]
    fit = LMM("y ~ t + (t | id)", data).fit()
    lost = ("sigma", "sd(Intercept|id)", "sd(t|id)", "cor(Intercept,t|id)")
    refused(fit, (), lost)
    wide = data.pivot(index="id", columns="t", values="y")
    change = wide[1.0] - wide[0.0]
    row = fit.tidy().set_index("term").loc["t"]
    assert row["estimate"] == pytest.approx(change.mean(), rel=1e-6)
    assert row["std_error"] == pytest.approx(change.std() / np.sqrt(20), rel=1e-5)
    assert row["df"] == pytest.approx(19.0, rel=1e-5)


def test_two_visits_at_differing_gaps_determine_a_slope():
    """Fewer rows than random effects and residuals are no proof."""
    data = trial(3)
    data = data[data["t"] < 2].assign(t=lambda d: d["t"] * (1 + 0.3 * (d["id"] % 5)))
    fit = LMM("y ~ t + (t | id)", data).fit()
    assert fit.converged and not fit.undetermined and not fit.variance.undetermined


def test_an_effect_for_each_visit():
    fit = LMM("y ~ t + (C(t) | id)", trial(4)).fit()
    names = fit.variance.names
    refused(fit, (), tuple(names))


def test_a_random_intercept_beside_compound_symmetry():
    fit = LMM("y ~ t * arm + (1 | id)", trial(5), Residual("cs")).fit()
    refused(fit, (), ("sigma", "rho", "sd(Intercept|id)"))
    right = LMM("y ~ t * arm", trial(5), Residual("cs", patient="id")).fit()
    for column in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(fit.tidy()[column], right.tidy()[column], rtol=1e-4)


def test_visits_never_seen_together():
    rng = np.random.default_rng(6)
    rows = [(i, k) for i in range(30) for k in ((0, 1, 2) if i < 15 else (0, 3, 4))]
    data = pd.DataFrame(rows, columns=["id", "visit"])
    data["y"] = rng.normal(size=30)[data["id"]] + rng.normal(size=len(data))
    fit = LMM("y ~ C(visit)", data, Residual("unstructured", "visit", "id")).fit()
    refused(fit, (), ("cor(1,3)", "cor(2,3)", "cor(1,4)", "cor(2,4)"))
    assert fit.bse.notna().all()


class TestChangeFromBaseline:
    def data(self) -> pd.DataFrame:
        data = trial(7)
        first = data.groupby("id")["y"].transform("first")
        return data.assign(y=data["y"] - first, arm=data["id"] % 2)

    @pytest.mark.parametrize("kind", ["unstructured", "cs", "independent"])
    def test_a_visit_without_variance_is_refused(self, kind):
        spec = LMM("y ~ C(t) * arm", self.data(), Residual(kind, "t", "id", heterogeneous=True))
        with pytest.raises(EstimationError, match=r"visit 0.* leave those rows out"):
            spec.fit()

    @pytest.mark.parametrize(
        "spec",
        [("y ~ C(t) * arm + (1 | id)", Residual()), ("y ~ C(t) * arm", Residual("cs", "t", "id"))],
        ids=["intercept", "cs"],
    )
    def test_elsewhere_the_rows_are_told_of(self, spec):
        formula, residual = spec
        flags = LMM(formula, self.data(), residual).fit().flags
        assert any("exactly 0 in one row of 20 of 20 patients" in flag for flag in flags)
        after = LMM(formula, self.data().query("t > 0"), residual).fit()
        assert not any("exactly 0" in flag for flag in after.flags)


def test_more_visits_than_patients():
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"id": np.repeat(range(6), 8), "visit": np.tile(range(8), 6)})
    data["y"] = rng.normal(size=6)[data["id"]] + rng.normal(size=48)
    with pytest.raises(EstimationError, match="6 patients are too few for the residual structure"):
        LMM("y ~ C(visit)", data, Residual("unstructured", "visit", "id")).fit()


def test_a_far_origin_is_told_where_the_model_depends_on_it():
    data = trial(9).assign(year=lambda d: d["t"] + 2015)
    for random in ("(year || id)", "(0 + year | id)"):
        assert any(
            "far outside the data" in f for f in LMM(f"y ~ year + {random}", data).fit().flags
        )
    for random, time in (("(year | id)", "year"), ("(t || id)", "t")):
        flags = LMM(f"y ~ {time} + {random}", data).fit().flags
        assert not any("far outside" in flag for flag in flags)


def test_predictions_have_the_degrees_of_freedom_of_means():
    for spec in (
        LMM("y ~ t * arm + (1 | id)", trial(10)),
        LMM("y ~ t * arm", trial(10), Residual("ar1", "t", "id")),
    ):
        fit = spec.fit()
        at = pd.DataFrame({"t": [0.0, 2.0], "arm": [1.0, 0.0]})
        means = fit.means(["t", "arm"], at={"t": [0.0, 2.0], "arm": [0.0, 1.0]}).tidy()
        found = fit.predict(at)
        for row in (0, 1):
            (k,) = np.flatnonzero((means["t"] == at["t"][row]) & (means["arm"] == at["arm"][row]))
            for column in ("estimate", "std_error", "conf_low", "conf_high"):
                assert found[column][row] == pytest.approx(means[column][k], rel=1e-9)


def test_predictions_of_what_is_not_determined_are_missing():
    fit = LMM("y ~ arm + t + (1 | site/id)", trial(0)).fit()
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    assert fit.predict()[columns].isna().all(axis=None)
    assert fit.predict(by_patient=True)[columns].isna().all(axis=None)
    assert fit.ranef()["estimate"].isna().all()
