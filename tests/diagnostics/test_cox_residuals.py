"""Residuals of Cox models against R's residuals.coxph."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import CoxPH

ENTRY = "Surv(entry, exit, event) ~ x + z"
VARIANTS = {
    "tied_plain": ("Surv(exit, event) ~ x + z", None),
    "tied_entry": (ENTRY, None),
    "tied_entry_strata": (f"{ENTRY} + strata(site)", None),
    "tied_entry_weighted": (f"{ENTRY} + cluster(id)", "weight"),
}
MODELS = [f"{name}_{ties}" for name in VARIANTS for ties in ("efron", "breslow")]
R_NAME = {"schoenfeld": "schoenfeld", "scaled_schoenfeld": "scaledsch"}


@pytest.fixture(scope="module")
def fitted(table):
    """The fit of one of `MODELS`."""

    def fit(name: str):
        variant, ties = name.rsplit("_", 1)
        formula, weights = VARIANTS[variant]
        return CoxPH(formula, data=table("tied"), ties=ties, weights=weights).fit()

    return fit


def matrix(values: dict[str, float]) -> np.ndarray:
    """R's matrix from terms "row | column", columns x and z."""
    rows = max(int(term.split(" | ")[0]) for term in values)
    return np.array([[values[f"{i + 1} | {c}"] for c in ("x", "z")] for i in range(rows)])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["martingale", "deviance"])
def test_of_rows(fitted, r_results, name, kind):
    found = fitted(name).residuals(kind)
    expected = list(r_results("cox_basic", name, kind).values())
    assert list(found.columns) == [kind]
    np.testing.assert_allclose(found[kind], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["score", "dfbeta", "dfbetas"])
def test_of_rows_and_coefficients(fitted, r_results, name, kind):
    found = fitted(name).residuals(kind)
    expected = matrix(r_results("cox_basic", name, kind))
    assert list(found.columns) == ["x", "z"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", R_NAME)
def test_of_events(fitted, r_results, name, kind):
    found = fitted(name).residuals(kind)
    expected = matrix(r_results("cox_basic", name, R_NAME[kind]))
    times = list(r_results("cox_basic", name, "schoenfeld_time").values())
    np.testing.assert_array_equal(found["time"], times)
    np.testing.assert_allclose(found[["x", "z"]], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_sums(fitted, table, name):
    """Weighted martingale, score and Schoenfeld residuals sum to nothing at the maximum."""
    fit, weight = fitted(name), table("tied")["weight"].to_numpy()
    w = weight if "weighted" in name else np.ones(len(weight))
    assert w @ fit.residuals("martingale")["martingale"] == pytest.approx(0.0, abs=1e-10)
    np.testing.assert_allclose(w @ fit.residuals("score"), 0.0, atol=1e-7)
    events = fit.residuals("schoenfeld")
    own = pd.Series(w, table("tied").index)[events.index].to_numpy()
    np.testing.assert_allclose(own @ events[["x", "z"]], 0.0, atol=1e-7)


def test_dfbeta_is_close_to_leaving_a_row_out(table):
    rossi = table("rossi")
    fit = CoxPH("Surv(week, arrest) ~ fin + prio", data=rossi).fit()
    moved = fit.residuals("dfbeta")
    for i in (0, 17, int(rossi["prio"].idxmax())):
        left = CoxPH("Surv(week, arrest) ~ fin + prio", data=rossi.drop(index=i)).fit()
        change = (fit.params - left.params).to_numpy()
        assert np.abs(moved.loc[i] - change).max() < 0.2 * np.abs(change).max()


def test_rows_keep_their_index_when_others_are_left_out(table):
    tied = table("tied").copy()
    tied.index = pd.Index([f"p{i}" for i in tied["id"]])
    tied.loc["p3", "z"] = np.nan
    fit = CoxPH(ENTRY, data=tied).fit()
    assert list(fit.residuals("martingale").index) == [i for i in tied.index if i != "p3"]
    events = fit.residuals("schoenfeld")
    np.testing.assert_array_equal(events["time"], tied.loc[events.index, "exit"])
    assert (tied.loc[events.index, "event"] == 1).all()


def test_unknown_kind(fitted):
    with pytest.raises(LongsurvError, match=r"kind is one of martingale, .*not 'cox-snell'"):
        fitted("tied_entry_efron").residuals("cox-snell")
