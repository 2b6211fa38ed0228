"""Straight lines against bends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.diagnostics.linearity import linearity, straight_lines
from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH


def test_the_test_is_that_of_the_square_fitted_by_hand(fits) -> None:
    fit = fits("sleepstudy")
    found = fit.linearity()
    by_hand = LMM(f"{fit.spec.formula} + I(Days**2)", fit.spec.data).fit().tidy().set_index("term")
    square = by_hand.loc["I(Days ** 2)"]
    row = found.table.iloc[0]
    assert list(found.table["term"]) == ["Days"]
    np.testing.assert_allclose(
        [row["statistic"], row["df"], row["p_value"]],
        [square["statistic"], square["df"], square["p_value"]], rtol=1e-6,
    )  # fmt: skip
    curve = found.curves.set_index("x")
    middle = curve.index[len(curve) // 2]
    assert curve.loc[middle, ["straight", "bent"]].tolist() == [0.0, 0.0]
    end = curve.index[-1]
    slopes = by_hand["estimate"]
    expected = slopes["Days"] * (end - middle) + slopes["I(Days ** 2)"] * (end**2 - middle**2)
    assert curve.loc[end, "bent"] == pytest.approx(expected, rel=1e-6)
    line = fit.params["Days"] * (end - middle)
    assert curve.loc[end, "straight"] == pytest.approx(line, rel=1e-9)


def test_a_bend_of_the_hazard_is_found_and_a_line_is_not_called_bent() -> None:
    rng = np.random.default_rng(6)
    n = 600
    x, z = rng.normal(0, 1, n), rng.normal(0, 1, n)
    time = rng.exponential(1 / np.exp(0.8 * x**2 + 0.7 * z))
    data = pd.DataFrame({"t": np.minimum(time, 2.0), "e": (time < 2).astype(int), "x": x, "z": z})
    found = CoxPH("Surv(t, e) ~ x + z", data).fit().linearity()
    p = found.table.set_index("term")["p_value"]
    assert p["x"] < 1e-6 < 0.01 < p["z"]
    assert "x is called for" in found.words
    assert found.plot().get_label() == found.words


def test_what_is_bent_or_has_two_values_is_no_straight_line() -> None:
    rng = np.random.default_rng(7)
    n = 80
    data = pd.DataFrame({
        "t": rng.exponential(1, n), "e": 1, "age": rng.normal(60, 9, n), "sex": np.arange(n) % 2,
        "x y": rng.normal(0, 1, n), "crp": rng.lognormal(0, 1, n),
    })  # fmt: skip
    fit = CoxPH("Surv(t, e) ~ age + I(age**2) + sex + `x y` + log(crp)", data).fit()
    assert list(straight_lines(fit)) == ["x y", "log(crp)"]
    assert fit.linearity().table["p_value"].between(0, 1).all()
    none = CoxPH("Surv(t, e) ~ sex", data).fit().linearity()
    assert none.table.empty and "no covariate" in none.words
    with pytest.raises(LongsurvError, match="nothing to draw"):
        none.plot()


def test_a_square_that_the_data_do_not_determine_has_no_test() -> None:
    rng = np.random.default_rng(8)
    x = np.tile([0.0, 1.0, 2.0], 10)  # with an indicator of the middle every function of x is there
    data = pd.DataFrame({"y": rng.normal(0, 1, 30), "x": x, "z": (x == 1) * 1.0,
                         "id": np.repeat(np.arange(10), 3)})  # fmt: skip
    found = linearity(LMM("y ~ x + z + (1 | id)", data).fit())
    assert found.table["term"].tolist() == ["x"]
    assert found.table["p_value"].isna().all() and found.curves.empty
    assert found.table["reason"].iloc[0] in found.words
